//! Who pays the fee: the fee mode as a trait, and the one mode that needs no second party.

use alloy_primitives::{Address, U256};
use rlp::RlpStream;

use crate::{
    codec::{DecodeError, Reader},
    crypto::Signatures,
};

/// The part of a fee that the payer takes, in percent; the sender owes the rest.
///
/// # Invariant
/// A value from [`FeeRatio::new`] is 1 to 99. A decoded one is whatever the wire held: the range is a rule of the
/// transaction pool, and a block must not be refused for it.
///
/// ```
/// # use klay_core::{FeeRatio, U256};
/// assert_eq!(FeeRatio::new(30)?.payer_share(U256::from(101)), U256::from(30)); // rounds down, the sender pays 71
/// assert!(FeeRatio::new(100).is_err());
/// # Ok::<_, klay_core::tx::FeeRatioError>(())
/// ```
///
/// Source: spec 10, section 4.4; `learn/transactions/partial-fee-delegation` in the public docs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FeeRatio(u8);

/// A ratio outside 1 to 99.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("fee ratio is out of range [1, 99]: {got}")]
pub struct FeeRatioError {
    /// The percentage given.
    pub got: u8,
}

impl FeeRatio {
    /// A ratio that the transaction pool accepts.
    ///
    /// # Errors
    /// Outside 1 to 99.
    pub const fn new(percent: u8) -> Result<Self, FeeRatioError> {
        if percent >= 1 && percent <= 99 { Ok(Self(percent)) } else { Err(FeeRatioError { got: percent }) }
    }

    /// A ratio as the wire holds it, any byte.
    pub const fn new_unchecked(percent: u8) -> Self {
        Self(percent)
    }

    /// The percentage.
    pub const fn percent(self) -> u8 {
        self.0
    }

    /// Whether the pool accepts it (1 to 99).
    pub const fn is_in_range(self) -> bool {
        self.0 >= 1 && self.0 <= 99
    }

    /// The payer's part of `amount`, rounded down; the sender owes the rest.
    ///
    /// Above 100 percent, which no pool lets in, the part saturates at the largest 256-bit number.
    pub fn payer_share(self, amount: U256) -> U256 {
        let (hundreds, rest) = amount.div_rem(U256::from(100));
        let percent = U256::from(self.0);
        hundreds.saturating_mul(percent).saturating_add(rest * percent / U256::from(100))
    }

    /// Divides `amount` between payer and sender.
    pub fn split(self, amount: U256) -> FeeSplit {
        let payer = self.payer_share(amount);
        FeeSplit { payer, sender: amount.saturating_sub(payer), surplus: payer.saturating_sub(amount) }
    }
}

/// An amount divided between payer and sender; the two add up to it, less the surplus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeeSplit {
    /// The fee payer's part, in peb.
    pub payer: U256,
    /// The sender's part, in peb.
    pub sender: U256,
    /// What the sender gains instead of owing, in peb. Only at a ratio above 100, which no pool lets in and blocks may
    /// hold: there the payer's part is larger than the amount, and the sender's is below zero.
    pub surplus: U256,
}

impl FeeSplit {
    /// Everything is the sender's.
    pub const fn of_sender(amount: U256) -> Self {
        Self { payer: U256::ZERO, sender: amount, surplus: U256::ZERO }
    }

    /// Everything is the payer's.
    pub const fn of_payer(amount: U256) -> Self {
        Self { payer: amount, sender: U256::ZERO, surplus: U256::ZERO }
    }
}

/// Who pays the fee, how that is written, and how an amount is divided.
///
/// The frame around it ([`Tx`](super::Tx)) does the rest: preimages, hashes and codec know nothing else of a mode.
pub trait FeeMode: Sized + Clone + core::fmt::Debug + PartialEq + Eq + Send + Sync + 'static {
    /// Whether transactions with these fee bits write a ratio among the payload's elements; none for bits that this
    /// chain does not carry.
    fn writes_ratio(bits: u8) -> Option<bool>;

    /// Fee bits of the type byte: 0 sender, 1 payer, 2 payer with ratio.
    fn bits(&self) -> u8;

    /// The ratio, where the mode has one.
    fn ratio(&self) -> Option<FeeRatio>;

    /// The account that pays, where it is not simply the sender.
    fn payer(&self) -> Option<Address>;

    /// The payer's signatures; empty where there is no payer.
    fn payer_signatures(&self) -> &Signatures;

    /// Divides `amount` (in peb). Without a payer everything is the sender's.
    fn split(&self, amount: U256) -> FeeSplit;

    /// How many list elements stand behind the sender's signatures (0 or 2).
    fn tail_len(&self) -> usize;

    /// Writes these elements.
    fn encode_tail(&self, out: &mut RlpStream);

    /// Reads the mode with these fee bits, for which [`Self::writes_ratio`] has an answer; the payload has already
    /// read the ratio.
    ///
    /// # Errors
    /// If the elements are malformed.
    fn decode_tail(bits: u8, ratio: Option<FeeRatio>, list: &mut Reader<'_>) -> Result<Self, DecodeError>;
}

/// The sender pays: the only mode that core knows. A chain that carries only this refuses the other bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SenderPays;

static NO_SIGNATURES: Signatures = Signatures::EMPTY;

impl FeeMode for SenderPays {
    fn writes_ratio(bits: u8) -> Option<bool> {
        (bits == 0).then_some(false)
    }

    fn bits(&self) -> u8 {
        0
    }

    fn ratio(&self) -> Option<FeeRatio> {
        None
    }

    fn payer(&self) -> Option<Address> {
        None
    }

    fn payer_signatures(&self) -> &Signatures {
        &NO_SIGNATURES
    }

    fn split(&self, amount: U256) -> FeeSplit {
        FeeSplit::of_sender(amount)
    }

    fn tail_len(&self) -> usize {
        0
    }

    fn encode_tail(&self, _out: &mut RlpStream) {}

    fn decode_tail(_bits: u8, _ratio: Option<FeeRatio>, _list: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_parts_add_up_and_the_payer_rounds_down(limbs: [u64; 4], percent in 0u8..=100) {
            let amount = U256::from_limbs(limbs);
            let split = FeeRatio::new_unchecked(percent).split(amount);
            prop_assert_eq!(split.payer + split.sender, amount);
            let small = U256::from(limbs[0]);
            let expected = u128::from(limbs[0]) * u128::from(percent) / 100;
            prop_assert_eq!(FeeRatio::new_unchecked(percent).payer_share(small), U256::from(expected));
        }

        #[test]
        fn no_ratio_overflows(percent: u8) {
            FeeRatio::new_unchecked(percent).split(U256::MAX);
        }
    }
}
