//! What the machine does with a payload.

use klay_core::{
    Address,
    tx::{Payload, PayloadType},
};

use crate::error::TxError;

/// What executing a transaction means, once its nonce and fee are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect<'a> {
    /// A call of the recipient with value and input.
    Call,
    /// The creation of a contract.
    Create,
    /// The sender's key is replaced by the one with this encoding.
    UpdateKey(&'a [u8]),
    /// Nothing else happens.
    Nothing,
}

/// What a recipient has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recipient {
    /// Anything.
    Any,
    /// Absent, or a user without code.
    Plain,
    /// An account with code.
    Program,
}

/// A payload that can be executed.
///
/// A chain with payloads of its own implements this beside [`PayloadType`]; everything else (fees, nonces, receipts)
/// works for them as for the seven of the protocol.
pub trait ExecutablePayload: PayloadType {
    /// What executing it means.
    fn effect(&self) -> Effect<'_>;

    /// What the recipient has to be.
    fn recipient(&self) -> Recipient {
        Recipient::Any
    }

    /// Whether recipients in the reserved range are refused by the type itself.
    fn refuses_reserved(&self) -> bool {
        false
    }

    /// Rules that the payload alone decides.
    ///
    /// # Errors
    /// The first rule that fails.
    fn check(&self, _from: Address, _nonce: u64) -> Result<(), TxError> {
        Ok(())
    }
}

impl ExecutablePayload for Payload {
    fn effect(&self) -> Effect<'_> {
        match self {
            Self::ValueTransfer(_) | Self::ValueTransferMemo(_) | Self::ContractExecution(_) => Effect::Call,
            Self::ContractDeploy(_) => Effect::Create,
            Self::AccountUpdate(update) => Effect::UpdateKey(&update.key.0),
            Self::Cancel(_) | Self::ChainDataAnchoring(_) => Effect::Nothing,
        }
    }

    fn recipient(&self) -> Recipient {
        match self {
            Self::ValueTransfer(_) | Self::ValueTransferMemo(_) => Recipient::Plain,
            Self::ContractExecution(_) => Recipient::Program,
            _ => Recipient::Any,
        }
    }

    fn refuses_reserved(&self) -> bool {
        matches!(self, Self::ValueTransfer(_) | Self::ValueTransferMemo(_))
    }

    fn check(&self, from: Address, nonce: u64) -> Result<(), TxError> {
        let Self::ContractDeploy(deploy) = self else { return Ok(()) };
        if deploy.to.is_some() {
            Err(TxError::DeployWithRecipient)
        } else if crate::precompile::reserved(from.create(nonce)).is_some() {
            Err(TxError::ReservedAddress)
        } else if deploy.human_readable {
            Err(TxError::HumanReadable)
        } else if deploy.code_format != 0 {
            Err(TxError::CodeFormat)
        } else {
            Ok(())
        }
    }
}
