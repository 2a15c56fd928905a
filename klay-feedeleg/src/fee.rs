//! The three fee modes of the protocol as one closed enum, and the transactions of a chain that has them all.

use alloy_primitives::{Address, U256};
use klay_core::{DecodeError, FeeMode, FeeRatio, FeeSplit, SenderPays, Signatures, codec::Reader};
use rlp::RlpStream;

use crate::payer::FeePayer;

/// Who pays: the sender, or somebody else.
///
/// ```
/// use klay_core::{FeeMode, FeeRatio, U256, address};
/// use klay_feedeleg::{Fee, FeePayer};
///
/// let payer = address!("0x5a0043070275d9f6054307ee7348bd660849d90f");
/// let fee = Fee::Payer(FeePayer::with_ratio(payer, FeeRatio::new(30)?));
/// let split = fee.split(U256::from(101));
/// assert_eq!((split.payer, split.sender), (U256::from(30), U256::from(71)));
/// # Ok::<_, klay_core::tx::FeeRatioError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fee {
    /// Type bits 0.
    Sender(SenderPays),
    /// Type bits 1, or 2 with a ratio.
    Payer(FeePayer),
}

/// Any transaction of Klaytn: what a full node puts into a block.
pub type KlaytnTx = klay_core::TxEnvelope<Fee>;
/// A [`KlaytnTx`] with its bytes and hashes.
pub type HashedKlaytnTx = klay_core::tx::HashedTx<Fee>;
/// A [`KlaytnTx`] with its bytes, hashes and signers.
pub type RecoveredKlaytnTx = klay_core::tx::RecoveredTx<Fee>;

impl Fee {
    /// The sender pays.
    pub const SENDER: Self = Self::Sender(SenderPays);

    /// The second party, if there is one.
    pub const fn as_payer(&self) -> Option<&FeePayer> {
        match self {
            Self::Sender(_) => None,
            Self::Payer(payer) => Some(payer),
        }
    }
}

impl FeeMode for Fee {
    fn writes_ratio(bits: u8) -> Option<bool> {
        match bits {
            0 | 1 => Some(false),
            2 => Some(true),
            _ => None,
        }
    }

    fn bits(&self) -> u8 {
        self.as_payer().map_or(0, FeePayer::bits)
    }

    fn ratio(&self) -> Option<FeeRatio> {
        self.as_payer()?.ratio
    }

    fn payer(&self) -> Option<Address> {
        Some(self.as_payer()?.address)
    }

    fn payer_signatures(&self) -> &Signatures {
        match self {
            Self::Sender(sender) => sender.payer_signatures(),
            Self::Payer(payer) => &payer.signatures,
        }
    }

    /// With a ratio the payer's part is rounded down and the sender owes the rest; without one the payer owes all.
    ///
    /// Where payer and sender are one account the caller adds the parts up again. A refund is split by itself, so that
    /// what a party pays in the end can differ by 1 peb from a split of the final fee.
    fn split(&self, amount: U256) -> FeeSplit {
        match self {
            Self::Sender(sender) => sender.split(amount),
            Self::Payer(FeePayer { ratio: Some(ratio), .. }) => ratio.split(amount),
            Self::Payer(_) => FeeSplit::of_payer(amount),
        }
    }

    fn tail_len(&self) -> usize {
        match self {
            Self::Sender(_) => 0,
            Self::Payer(_) => 2,
        }
    }

    fn encode_tail(&self, out: &mut RlpStream) {
        if let Self::Payer(payer) = self {
            payer.append_to(out);
        }
    }

    fn decode_tail(bits: u8, ratio: Option<FeeRatio>, list: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match bits {
            0 => Ok(Self::SENDER),
            _ => FeePayer::decode(ratio, list).map(Self::Payer),
        }
    }
}

impl From<SenderPays> for Fee {
    fn from(sender: SenderPays) -> Self {
        Self::Sender(sender)
    }
}

impl From<FeePayer> for Fee {
    fn from(payer: FeePayer) -> Self {
        Self::Payer(payer)
    }
}
