//! A transaction whose hashes and signers are known: the work that is done once per process.
use super::{
    envelope::TxEnvelope,
    fee::FeeMode,
    payload::{Payload, PayloadType},
};
use crate::crypto::{PublicKey, RecoverError};
use alloy_primitives::{Address, B256};

/// Who signed as sender.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SenderAuth {
    /// Legacy and Ethereum types: the address *is* the recovered key's; the account's key must be Legacy.
    Address,
    /// Klaytn types: the account at `from` must accept these keys.
    Keys(Vec<PublicKey>),
}

/// A transaction with its hash, encoding size and recovered signers.
///
/// Nothing is checked against an account: whether the keys speak for the addresses is up to the state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecoveredTx<F, P = Payload> {
    tx: TxEnvelope<F, P>,
    hash: B256,
    sender_hash: B256,
    encoded: std::sync::Arc<[u8]>,
    sender: Address,
    auth: SenderAuth,
    payer_keys: Vec<PublicKey>,
}

impl<F: FeeMode, P: PayloadType> RecoveredTx<F, P> {
    /// Hashes the transaction and recovers every signature under `chain_id`.
    ///
    /// # Errors
    /// If a signature is invalid or made for another chain.
    pub fn recover(_tx: TxEnvelope<F, P>, _chain_id: u64) -> Result<Self, RecoverError> {
        todo!()
    }
    /// The transaction.
    pub const fn tx(&self) -> &TxEnvelope<F, P> {
        &self.tx
    }
    /// Its hash.
    pub const fn hash(&self) -> B256 {
        self.hash
    }
    /// Its hash without the fee payer's part.
    pub const fn sender_hash(&self) -> B256 {
        self.sender_hash
    }
    /// Its node wire form.
    pub fn encoded(&self) -> &[u8] {
        &self.encoded
    }
    /// The sender: written down, or recovered.
    pub const fn sender(&self) -> Address {
        self.sender
    }
    /// How the sender is proven.
    pub const fn auth(&self) -> &SenderAuth {
        &self.auth
    }
    /// The fee payer, or the sender where there is none.
    pub fn payer(&self) -> Address {
        todo!()
    }
    /// Keys behind the fee payer's signatures.
    pub fn payer_keys(&self) -> &[PublicKey] {
        &self.payer_keys
    }
}
