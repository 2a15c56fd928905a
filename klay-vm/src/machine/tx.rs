//! What instructions see of the transaction.

use klay_core::{Address, B256, Bytes, U256};
use revm::{
    context_interface::transaction::{AccessListItem, SignedAuthorization, Transaction, TransactionType},
    primitives::TxKind,
};

/// The part of a transaction that instructions, precompiled contracts and inspectors ask for.
#[derive(Debug, Clone, Default)]
pub struct KlvmTx {
    /// What ORIGIN pushes: the sender, never the payer.
    pub caller: Address,
    /// What the feePayer contract answers.
    pub payer: Address,
    /// What GASPRICE pushes: the effective price, in peb.
    pub gas_price: U256,
    /// Gas limit, intrinsic gas included.
    pub gas_limit: u64,
    /// Nonce.
    pub nonce: u64,
    /// Amount moved, in peb.
    pub value: U256,
    /// Recipient or creation.
    pub kind: TxKind,
    /// Call data or init code.
    pub input: Bytes,
    /// What BLOBHASH pushes.
    pub blob_hashes: Vec<B256>,
}

impl Transaction for KlvmTx {
    type AccessListItem<'a> = &'a AccessListItem;
    type Authorization<'a> = &'a SignedAuthorization;

    fn tx_type(&self) -> u8 {
        let kind = if self.blob_hashes.is_empty() { TransactionType::Legacy } else { TransactionType::Eip4844 };
        kind as u8
    }

    fn caller(&self) -> Address {
        self.caller
    }

    fn gas_limit(&self) -> u64 {
        self.gas_limit
    }

    fn value(&self) -> U256 {
        self.value
    }

    fn input(&self) -> &Bytes {
        &self.input
    }

    fn nonce(&self) -> u64 {
        self.nonce
    }

    fn kind(&self) -> TxKind {
        self.kind
    }

    fn chain_id(&self) -> Option<u64> {
        None
    }

    /// Saturates at 128 bits; the GASPRICE instruction uses the field.
    fn gas_price(&self) -> u128 {
        self.gas_price.saturating_to()
    }

    fn access_list(&self) -> Option<impl Iterator<Item = &AccessListItem>> {
        None::<core::iter::Empty<&AccessListItem>>
    }

    fn blob_versioned_hashes(&self) -> &[B256] {
        &self.blob_hashes
    }

    fn max_fee_per_blob_gas(&self) -> u128 {
        0
    }

    fn authorization_list_len(&self) -> usize {
        0
    }

    fn authorization_list(&self) -> impl Iterator<Item = &SignedAuthorization> {
        core::iter::empty()
    }

    fn max_priority_fee_per_gas(&self) -> Option<u128> {
        None
    }

    fn effective_gas_price(&self, _base_fee: u128) -> u128 {
        self.gas_price()
    }
}
