//! What a Klaytn transaction asks for: seven payloads behind one trait.

mod account_update;
mod anchoring;
mod cancel;
mod contract_deploy;
mod contract_execution;
mod value_transfer;
mod value_transfer_memo;

use alloy_primitives::{Address, U256};
use rlp::RlpStream;

pub use self::{
    account_update::{AccountUpdate, EncodedKey},
    anchoring::ChainDataAnchoring,
    cancel::Cancel,
    contract_deploy::ContractDeploy,
    contract_execution::ContractExecution,
    value_transfer::ValueTransfer,
    value_transfer_memo::ValueTransferMemo,
};
use super::fee::FeeRatio;
use crate::{
    auth::Role,
    codec::{DecodeError, DecodeErrorKind, Reader},
};

/// A payload that the frame of [`super::Tx`] can encode, hash and sign, under every fee mode.
///
/// A chain with payloads of its own implements this for an enum beside [`Payload`], with families that the protocol
/// leaves free.
pub trait PayloadType: Sized + Clone + core::fmt::Debug + PartialEq + Eq + Send + Sync + 'static {
    /// Whether a payload with these bits of the type byte exists.
    fn is_family(family: u8) -> bool;

    /// Payload bits of the type byte, fee bits zero.
    fn family(&self) -> u8;

    /// The role whose key answers for the sender's signatures.
    fn role(&self) -> Role;

    /// Recipient; none also for payloads that have no such field.
    fn to(&self) -> Option<Address>;

    /// Amount moved, in peb.
    fn value(&self) -> U256;

    /// Call data, memo, init code or record; empty where there is none.
    fn input(&self) -> &[u8];

    /// Whether the payload asks for a human-readable address, which is charged for and then refused.
    fn is_human_readable(&self) -> bool {
        false
    }

    /// Writes the elements between the gas limit and the signatures, `from` and the ratio at their place.
    fn encode(&self, from: Address, ratio: Option<FeeRatio>, out: &mut RlpStream);

    /// How many elements that is, without the ratio.
    fn len(&self) -> usize;

    /// Whether there are no elements; never, as `from` is one.
    fn is_empty(&self) -> bool {
        false
    }

    /// Reads these elements; [`Self::is_family`] is true of the family.
    ///
    /// # Errors
    /// If an element is malformed.
    fn decode(
        family: u8,
        has_ratio: bool,
        list: &mut Reader<'_>,
    ) -> Result<(Self, Address, Option<FeeRatio>), DecodeError>;
}

/// The seven payloads of the protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payload {
    /// Type `0x08`.
    ValueTransfer(ValueTransfer),
    /// Type `0x10`.
    ValueTransferMemo(ValueTransferMemo),
    /// Type `0x20`.
    AccountUpdate(AccountUpdate),
    /// Type `0x28`.
    ContractDeploy(ContractDeploy),
    /// Type `0x30`.
    ContractExecution(ContractExecution),
    /// Type `0x38`.
    Cancel(Cancel),
    /// Type `0x48`.
    ChainDataAnchoring(ChainDataAnchoring),
}

impl PayloadType for Payload {
    fn is_family(family: u8) -> bool {
        matches!(family, 0x08 | 0x10 | 0x20 | 0x28 | 0x30 | 0x38 | 0x48)
    }

    fn family(&self) -> u8 {
        match self {
            Self::ValueTransfer(_) => 0x08,
            Self::ValueTransferMemo(_) => 0x10,
            Self::AccountUpdate(_) => 0x20,
            Self::ContractDeploy(_) => 0x28,
            Self::ContractExecution(_) => 0x30,
            Self::Cancel(_) => 0x38,
            Self::ChainDataAnchoring(_) => 0x48,
        }
    }

    fn role(&self) -> Role {
        match self {
            Self::AccountUpdate(_) => Role::AccountUpdate,
            _ => Role::Transaction,
        }
    }

    fn to(&self) -> Option<Address> {
        match self {
            Self::ValueTransfer(transfer) => Some(transfer.to),
            Self::ValueTransferMemo(transfer) => Some(transfer.to),
            Self::ContractExecution(call) => Some(call.to),
            Self::ContractDeploy(deploy) => deploy.to,
            Self::AccountUpdate(_) | Self::Cancel(_) | Self::ChainDataAnchoring(_) => None,
        }
    }

    fn value(&self) -> U256 {
        match self {
            Self::ValueTransfer(transfer) => transfer.value,
            Self::ValueTransferMemo(transfer) => transfer.value,
            Self::ContractExecution(call) => call.value,
            Self::ContractDeploy(deploy) => deploy.value,
            Self::AccountUpdate(_) | Self::Cancel(_) | Self::ChainDataAnchoring(_) => U256::ZERO,
        }
    }

    fn input(&self) -> &[u8] {
        match self {
            Self::ValueTransferMemo(transfer) => &transfer.input,
            Self::ContractExecution(call) => &call.input,
            Self::ContractDeploy(deploy) => &deploy.input,
            Self::ChainDataAnchoring(record) => &record.input,
            Self::ValueTransfer(_) | Self::AccountUpdate(_) | Self::Cancel(_) => &[],
        }
    }

    fn is_human_readable(&self) -> bool {
        matches!(self, Self::ContractDeploy(deploy) if deploy.human_readable)
    }

    fn encode(&self, from: Address, ratio: Option<FeeRatio>, out: &mut RlpStream) {
        match self {
            Self::ValueTransfer(transfer) => transfer.encode(from, out),
            Self::ValueTransferMemo(transfer) => transfer.encode(from, out),
            Self::AccountUpdate(update) => update.encode(from, out),
            Self::ContractDeploy(deploy) => return deploy.encode(from, ratio, out),
            Self::ContractExecution(call) => call.encode(from, out),
            Self::Cancel(cancel) => cancel.encode(from, out),
            Self::ChainDataAnchoring(record) => record.encode(from, out),
        }
        if let Some(ratio) = ratio {
            out.append(&ratio.percent());
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::ValueTransfer(_) => 3,
            Self::ValueTransferMemo(_) | Self::ContractExecution(_) => 4,
            Self::ContractDeploy(_) => 6,
            Self::AccountUpdate(_) | Self::ChainDataAnchoring(_) => 2,
            Self::Cancel(_) => 1,
        }
    }

    fn decode(
        family: u8,
        has_ratio: bool,
        list: &mut Reader<'_>,
    ) -> Result<(Self, Address, Option<FeeRatio>), DecodeError> {
        fn wrap<T: Into<Payload>>((payload, from): (T, Address)) -> (Payload, Address) {
            (payload.into(), from)
        }
        let (payload, from) = match family {
            0x08 => ValueTransfer::decode(list).map(wrap)?,
            0x10 => ValueTransferMemo::decode(list).map(wrap)?,
            0x20 => AccountUpdate::decode(list).map(wrap)?,
            0x28 => {
                let (deploy, from, ratio) = ContractDeploy::decode(has_ratio, list)?;
                return Ok((deploy.into(), from, ratio));
            }
            0x30 => ContractExecution::decode(list).map(wrap)?,
            0x38 => Cancel::decode(list).map(wrap)?,
            0x48 => ChainDataAnchoring::decode(list).map(wrap)?,
            other => return Err(list.error("type", DecodeErrorKind::UndefinedTxType(other.into()))),
        };
        let ratio = has_ratio.then(|| list.u8("feeRatio")).transpose()?;
        Ok((payload, from, ratio.map(FeeRatio::new_unchecked)))
    }
}

impl From<ValueTransfer> for Payload {
    fn from(payload: ValueTransfer) -> Self {
        Self::ValueTransfer(payload)
    }
}

impl From<ValueTransferMemo> for Payload {
    fn from(payload: ValueTransferMemo) -> Self {
        Self::ValueTransferMemo(payload)
    }
}

impl From<AccountUpdate> for Payload {
    fn from(payload: AccountUpdate) -> Self {
        Self::AccountUpdate(payload)
    }
}

impl From<ContractDeploy> for Payload {
    fn from(payload: ContractDeploy) -> Self {
        Self::ContractDeploy(payload)
    }
}

impl From<ContractExecution> for Payload {
    fn from(payload: ContractExecution) -> Self {
        Self::ContractExecution(payload)
    }
}

impl From<Cancel> for Payload {
    fn from(payload: Cancel) -> Self {
        Self::Cancel(payload)
    }
}

impl From<ChainDataAnchoring> for Payload {
    fn from(payload: ChainDataAnchoring) -> Self {
        Self::ChainDataAnchoring(payload)
    }
}
