//! Who pays: the fee mode as a trait, and the one mode that needs no second party.
use crate::{
    codec::{DecodeError, Reader},
    crypto::Signatures,
};
use alloy_primitives::{Address, U256};
use rlp::RlpStream;

/// The part of a fee that the payer takes, in percent; the sender owes the rest.
///
/// # Invariant
/// A value from [`FeeRatio::new`] is 1 to 99. A decoded one is whatever the wire held.
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
    /// The payer's part of `amount`, rounded down; the sender owes the rest. Must not overflow for any amount.
    pub fn payer_share(self, _amount: U256) -> U256 {
        todo!()
    }
}

/// An amount divided between payer and sender; the two add up to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeeSplit {
    /// The fee payer's part, in peb.
    pub payer: U256,
    /// The sender's part, in peb.
    pub sender: U256,
}

/// Who pays the fee, how that is written, and how an amount is divided.
pub trait FeeMode: Sized + Clone + core::fmt::Debug + PartialEq + Eq + Send + Sync + 'static {
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
    /// Reads the mode with these fee bits; the payload has already read the ratio.
    ///
    /// # Errors
    /// If the bits name a mode that this chain does not carry, or the elements are malformed.
    fn decode_tail(bits: u8, ratio: Option<FeeRatio>, list: &mut Reader<'_>) -> Result<Self, DecodeError>;
}

/// The sender pays: the only mode that core knows. A chain that carries only this refuses the other bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SenderPays;

impl FeeMode for SenderPays {
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
        todo!()
    }
    fn split(&self, amount: U256) -> FeeSplit {
        FeeSplit { payer: U256::ZERO, sender: amount }
    }
    fn tail_len(&self) -> usize {
        0
    }
    fn encode_tail(&self, _out: &mut RlpStream) {}
    fn decode_tail(_bits: u8, _ratio: Option<FeeRatio>, _list: &mut Reader<'_>) -> Result<Self, DecodeError> {
        todo!()
    }
}
