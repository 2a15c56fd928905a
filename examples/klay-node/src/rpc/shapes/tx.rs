//! Transactions: what their bytes say, and where they stand.

use alloy_primitives::{Address, B256};
use klay_core::{Rules, TxView, block::Header};
use serde_json::Value;

use super::{Object, Put, anchor, bytes, quantity};
use crate::{KlaytnTx, SharedTx, chain::SealedBlock};

/// Where a transaction stands in a block.
#[derive(Debug, Clone, Copy)]
pub struct TxPlace<'a> {
    /// Header of the block.
    pub header: &'a Header,
    /// Its hash.
    pub block_hash: B256,
    /// Place in the block.
    pub index: usize,
    /// Forks active in the block.
    pub rules: Rules,
}

impl<'a> TxPlace<'a> {
    /// The place of transaction `index` of `block`.
    pub const fn new(block: &'a SealedBlock, index: usize, rules: Rules) -> Self {
        Self { header: &block.header, block_hash: block.hash, index, rules }
    }
}

/// The kaia_ form; without a place it is waiting, which shows as zeros.
pub fn kaia(tx: &SharedTx, place: Option<TxPlace<'_>>) -> Object {
    let mut object = tx.to_kaia_json();
    anchor::put_record(&mut object, tx.tx());
    put_paid_price(&mut object, &tx.view(), place);
    object.put_hex("blockHash", place.map_or(B256::ZERO, |p| p.block_hash));
    object.put_quantity("blockNumber", place.map_or(0, |p| p.header.number));
    object.put_quantity("transactionIndex", place.map_or(0, |p| p.index as u64));
    object
}

/// The kaia_ form of a transaction that is only signed.
pub fn bare(tx: &KlaytnTx) -> Object {
    let mut object = tx.tx_json();
    anchor::put_record(&mut object, tx);
    object
}

/// The eth_ form; without a place it is waiting, which shows as nulls.
pub fn eth(tx: &SharedTx, place: Option<TxPlace<'_>>) -> Object {
    let mut object = tx.to_eth_json();
    put_paid_price(&mut object, &tx.view(), place);
    object.put("blockHash", place.map_or(Value::Null, |p| bytes(p.block_hash)));
    object.put("blockNumber", place.map_or(Value::Null, |p| quantity(p.header.number)));
    object.put("transactionIndex", place.map_or(Value::Null, |p| quantity(p.index as u64)));
    object
}

/// Types with cap and tip show what was paid, once they are mined.
fn put_paid_price(object: &mut Object, view: &TxView<'_>, place: Option<TxPlace<'_>>) {
    if let Some(place) = place.filter(|_| view.is_dynamic) {
        object.put_big("gasPrice", view.effective_gas_price(place.header.base_fee, place.rules));
    }
}

/// The recipient that Ethereum's clients are shown: types without one go to their own sender, and the zero address in
/// Klaytn types looks like a creation.
pub fn eth_to(view: &TxView<'_>, sender: Address) -> Option<Address> {
    match view.tx_type.family() {
        0x20 | 0x38 | 0x48 if view.tx_type.is_klaytn() => Some(sender),
        _ if view.reports_no_recipient() => None,
        _ => view.to,
    }
}
