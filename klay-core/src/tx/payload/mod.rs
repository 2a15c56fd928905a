//! What a Klaytn transaction asks for: seven payloads behind one trait.
//
// One page each: value_transfer, value_transfer_memo, account_update, contract_deploy, contract_execution, cancel, anchoring.
use super::fee::FeeRatio;
use crate::{
    auth::Role,
    codec::{DecodeError, Reader},
};
use alloy_primitives::{Address, Bytes, U256};
use rlp::RlpStream;

/// An account key as the byte string that it is on the wire. `klay-accounts` knows the meaning.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EncodedKey(pub Bytes);

/// Moves value. Type `0x08`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValueTransfer {
    /// Recipient.
    pub to: Address,
    /// Amount in peb.
    pub value: U256,
}
/// Moves value with a memo. Type `0x10`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValueTransferMemo {
    /// Recipient.
    pub to: Address,
    /// Amount in peb.
    pub value: U256,
    /// The memo.
    pub input: Bytes,
}
/// Replaces the sender's key. Type `0x20`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountUpdate {
    /// The new key.
    pub key: EncodedKey,
}
/// Deploys a contract. Type `0x28`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContractDeploy {
    /// Must be none to be valid.
    pub to: Option<Address>,
    /// Amount in peb.
    pub value: U256,
    /// Init code.
    pub input: Bytes,
    /// Must be false to be valid.
    pub human_readable: bool,
    /// Must be 0 (EVM) to be valid.
    pub code_format: u8,
}
/// Calls a contract. Type `0x30`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContractExecution {
    /// The contract.
    pub to: Address,
    /// Amount in peb.
    pub value: U256,
    /// Call data.
    pub input: Bytes,
}
/// Spends the nonce and nothing else. Type `0x38`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cancel;
/// Records data of a service chain. Type `0x48`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainDataAnchoring {
    /// The record, opaque to consensus.
    pub input: Bytes,
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

/// A payload that the frame of [`super::Tx`] can encode, hash and sign.
pub trait PayloadType: Sized + Clone + core::fmt::Debug + PartialEq + Eq + Send + Sync + 'static {
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
    /// Writes the elements between the gas limit and the signatures, `from` and the ratio at their place.
    fn encode(&self, from: Address, ratio: Option<FeeRatio>, out: &mut RlpStream);
    /// How many elements that is, without the ratio.
    fn len(&self) -> usize;
    /// Reads these elements.
    ///
    /// # Errors
    /// If the family is unknown or an element malformed.
    fn decode(
        family: u8,
        has_ratio: bool,
        list: &mut Reader<'_>,
    ) -> Result<(Self, Address, Option<FeeRatio>), DecodeError>;
}
