//! The second party: who pays, how much of it, and the signatures that prove it.

use alloy_primitives::Address;
use klay_core::{
    DecodeError, FeeRatio, Signatures,
    codec::{AppendExt, Reader},
};
use rlp::RlpStream;

/// An account that pays the fee, or a share of it, for the sender.
///
/// On the wire the ratio stands among the payload's elements, address and signatures behind the sender's signatures.
/// The sender does not sign the address: whoever holds a transaction signed by its sender may offer to pay for it.
///
/// ```
/// use klay_core::{FeeRatio, address};
/// use klay_feedeleg::FeePayer;
///
/// let payer = address!("0x5a0043070275d9f6054307ee7348bd660849d90f");
/// let third = FeePayer::with_ratio(payer, FeeRatio::new(30)?);
/// assert_eq!((third.address, third.ratio.map(FeeRatio::percent)), (payer, Some(30)));
/// # Ok::<_, klay_core::tx::FeeRatioError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeePayer {
    /// The account.
    pub address: Address,
    /// Its share in percent; none is everything.
    pub ratio: Option<FeeRatio>,
    /// Its signatures.
    pub signatures: Signatures,
}

impl FeePayer {
    /// Pays everything. Has not signed.
    pub const fn new(address: Address) -> Self {
        Self { address, ratio: None, signatures: Signatures::EMPTY }
    }

    /// Pays a share, and the sender the rest. Has not signed.
    pub const fn with_ratio(address: Address, ratio: FeeRatio) -> Self {
        Self { address, ratio: Some(ratio), signatures: Signatures::EMPTY }
    }

    /// Fee bits of the type byte: 1, or 2 with a ratio.
    pub const fn bits(&self) -> u8 {
        match self.ratio {
            None => 1,
            Some(_) => 2,
        }
    }

    pub(crate) fn append_to(&self, out: &mut RlpStream) {
        out.append_address(self.address);
        self.signatures.append_to(out);
    }

    pub(crate) fn decode(ratio: Option<FeeRatio>, list: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let address = list.address("feePayer")?;
        let signatures = Signatures::decode("feePayerSignatures", list)?;
        Ok(Self { address, ratio, signatures })
    }
}
