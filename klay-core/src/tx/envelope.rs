//! The sum of all transactions.
use super::{
    ethereum::EthereumTx,
    fee::FeeMode,
    legacy::LegacyTx,
    payload::{Payload, PayloadType},
    tx_type::TxType,
    typed::Tx,
    view::TxView,
};
use crate::{
    codec::{DecodeError, Reader},
    crypto::{PublicKey, RecoverError},
};
use alloy_primitives::B256;

/// Any transaction of a chain whose fee modes are `F`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TxEnvelope<F, P = Payload> {
    /// Untyped.
    Legacy(LegacyTx),
    /// Inside the `0x78` envelope.
    Ethereum(EthereumTx),
    /// Payload under a fee mode.
    Klaytn(Tx<F, P>),
}

impl<F: FeeMode, P: PayloadType> TxEnvelope<F, P> {
    /// Reads the node's wire form, all of `bytes`.
    ///
    /// # Errors
    /// If the bytes are not the canonical encoding of one transaction (signature sanity included).
    pub fn decode(_bytes: &[u8]) -> Result<Self, DecodeError> {
        todo!()
    }
    /// Reads the node's wire form or Ethereum's raw form (without `0x78`).
    ///
    /// # Errors
    /// As [`Self::decode`].
    pub fn decode_any(_bytes: &[u8]) -> Result<Self, DecodeError> {
        todo!()
    }
    /// Reads one transaction out of a list in which transactions are spliced (1, 2 or 3 items).
    ///
    /// # Errors
    /// As [`Self::decode`], except for bytes that follow.
    pub fn decode_item(_list: &mut Reader<'_>) -> Result<Self, DecodeError> {
        todo!()
    }
    /// The node's wire form.
    pub fn encode(&self) -> Vec<u8> {
        todo!()
    }
    /// Ethereum's raw form: without the leading `0x78`; other types as [`Self::encode`].
    pub fn encode_ethereum(&self) -> Vec<u8> {
        todo!()
    }
    /// Length of [`Self::encode`] in bytes.
    pub fn encoded_len(&self) -> usize {
        todo!()
    }
    /// The type.
    pub fn tx_type(&self) -> TxType {
        todo!()
    }
    /// The transaction hash.
    pub fn hash(&self) -> B256 {
        todo!()
    }
    /// The hash without the fee payer's two elements; [`Self::hash`] where there are none.
    pub fn sender_hash(&self) -> B256 {
        todo!()
    }
    /// What the sender signs on the chain `chain_id` (unprotected legacy: pass `None`).
    pub fn signing_hash(&self, _chain_id: Option<u64>) -> B256 {
        todo!()
    }
    /// What the fee payer signs; none without one.
    pub fn payer_signing_hash(&self, _chain_id: u64) -> Option<B256> {
        todo!()
    }
    /// Recovers the keys behind the sender's signatures, in order.
    ///
    /// # Errors
    /// If a signature is invalid or made for another chain.
    pub fn recover_senders(&self, _chain_id: u64) -> Result<Vec<PublicKey>, RecoverError> {
        todo!()
    }
    /// Recovers the keys behind the fee payer's signatures, in order; empty without a fee payer.
    ///
    /// # Errors
    /// If a signature is invalid or made for another chain.
    pub fn recover_payers(&self, _chain_id: u64) -> Result<Vec<PublicKey>, RecoverError> {
        todo!()
    }
    /// The fields that most readers want, by one match.
    pub fn view(&self) -> TxView<'_> {
        todo!()
    }
}
