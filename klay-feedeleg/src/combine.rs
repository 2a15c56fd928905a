//! Signatures of one party, made in different places, put together.

use klay_core::{
    FeeMode, Signature, Signatures, Tx, U256,
    tx::sign::{MAX_SIGNATURES, SignTxError},
};

use crate::{fee::Fee, payer::FeePayer};

/// What some SDKs write where a signature is still missing: `[1, 0, 0]`.
pub const PLACEHOLDER: Signature = Signature::new_unchecked(U256::from_limbs([1, 0, 0, 0]), U256::ZERO, U256::ZERO);

/// Why two copies of a transaction cannot become one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CombineError {
    /// They ask for different things, so that signatures of one are worth nothing in the other.
    #[error("the transactions differ in more than their signatures")]
    Different,
    /// They name different fee payers.
    #[error("the transactions name different fee payers")]
    DifferentPayer,
    /// Together there are too many signatures.
    #[error(transparent)]
    TooMany(#[from] TooManySignatures),
}

/// More signatures than any account key can use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the number of keys exceeds the limit: {got}, at most {max}")]
pub struct TooManySignatures {
    /// Distinct signatures.
    pub got: usize,
    /// The limit, 10.
    pub max: usize,
}

impl From<TooManySignatures> for SignTxError {
    fn from(TooManySignatures { got, max }: TooManySignatures) -> Self {
        Self::TooMany { got, max }
    }
}

/// The signatures of both lists in the order in which they are first seen, each once, without placeholders.
///
/// # Errors
/// If more than ten are left.
pub fn merge(first: &[Signature], second: &[Signature]) -> Result<Signatures, TooManySignatures> {
    let mut merged = Vec::with_capacity(first.len() + second.len());
    for signature in first.iter().chain(second) {
        if *signature != PLACEHOLDER && !merged.contains(signature) {
            merged.push(*signature);
        }
    }
    if merged.len() > MAX_SIGNATURES {
        return Err(TooManySignatures { got: merged.len(), max: MAX_SIGNATURES });
    }
    Ok(merged.into())
}

/// Puts the signatures of `second`, sender's and payer's, into `first`.
///
/// Both are whole transactions; for those on their way between the parties see
/// [`PartialTx::combine`](crate::PartialTx::combine).
///
/// # Errors
/// If the two differ in anything but signatures, or there are too many of these.
pub fn combine(first: Tx<Fee>, second: &Tx<Fee>) -> Result<Tx<Fee>, CombineError> {
    if first.fee.payer() != second.fee.payer() {
        return Err(CombineError::DifferentPayer);
    }
    if first.body != second.body || first.fee.bits() != second.fee.bits() || first.fee.ratio() != second.fee.ratio() {
        return Err(CombineError::Different);
    }
    let signatures = merge(&first.signatures, &second.signatures)?;
    let fee = match first.fee {
        Fee::Payer(payer) => {
            let signatures = merge(&payer.signatures, second.fee.payer_signatures())?;
            Fee::Payer(FeePayer { signatures, ..payer })
        }
        sender => sender,
    };
    Ok(Tx { body: first.body, fee, signatures })
}
