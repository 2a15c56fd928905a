//! Receipts (spec 10, section 5.3).

use klay_core::{
    U256,
    block::{Receipt, price},
};
use serde_json::Value;

use super::{
    Object, Put, bytes, log, quantity,
    tx::{self, TxPlace},
};
use crate::{SharedTx, chain::BlockReceipts};

/// A receipt with what is needed to show it.
#[derive(Debug, Clone, Copy)]
pub struct Shown<'a> {
    /// The transaction.
    pub tx: &'a SharedTx,
    /// Where it stands.
    pub place: TxPlace<'a>,
    /// All receipts of the block.
    pub receipts: &'a BlockReceipts,
}

impl<'a> Shown<'a> {
    fn receipt(&self) -> Option<&'a Receipt> {
        self.receipts.receipts.get(self.place.index)
    }

    /// The kaia_ form; `None` if the block has no such receipt.
    pub fn kaia(&self) -> Option<Object> {
        let receipt = self.receipt()?;
        let mut object = tx::kaia(self.tx, Some(self.place));
        if let Some(hash) = object.remove("hash") {
            object.put("transactionHash", hash);
        }
        self.put_common(&mut object, receipt);
        if !receipt.status.is_success() {
            object.put_quantity("txError", u64::from(receipt.status.0));
        }
        Some(object)
    }

    /// The eth_ form; `None` if the block has no such receipt.
    pub fn eth(&self) -> Option<Object> {
        let receipt = self.receipt()?;
        let view = self.tx.view();
        let sender = self.tx.sender();
        let mut object = Object::new();
        object.put_hex("blockHash", self.place.block_hash);
        object.put_quantity("blockNumber", self.place.header.number);
        object.put_hex("transactionHash", self.tx.hash());
        object.put_quantity("transactionIndex", self.place.index as u64);
        object.put_hex("from", sender);
        object.put("to", tx::eth_to(&view, sender).map_or(Value::Null, bytes));
        object.put_quantity("type", u64::from(view.tx_type.ethereum_type()));
        let before = self.receipts.receipts.iter().take(self.place.index + 1);
        object.put_quantity("cumulativeGasUsed", before.map(|r| r.gas_used).sum());
        self.put_common(&mut object, receipt);
        Some(object)
    }

    fn put_common(&self, object: &mut Object, receipt: &Receipt) {
        let TxPlace { header, block_hash, index, rules } = self.place;
        let view = self.tx.view();
        let tx_hash = self.tx.hash();
        let first = self.receipts.first_log_index(index);
        let logs = receipt.logs.iter().zip(first..).map(|(entry, log_index)| {
            let place =
                log::LogPlace { block_number: header.number, block_hash, tx_hash, tx_index: index as u64, log_index };
            log::log(entry, place)
        });
        object.put("logs", logs.collect::<Vec<_>>());
        object.put_hex("logsBloom", receipt.bloom);
        object.put_quantity("gasUsed", receipt.gas_used);
        object.put("status", quantity(u64::from(receipt.status.is_success())));
        object.put_big("effectiveGasPrice", view.effective_gas_price(header.base_fee, rules));
        object.put("contractAddress", receipt.contract_address.map_or(Value::Null, bytes));
        if !view.blob_hashes.is_empty() {
            const GAS_PER_BLOB: u64 = 131_072;
            object.put_quantity("blobGasUsed", GAS_PER_BLOB * view.blob_hashes.len() as u64);
            object.put_big("blobGasPrice", header.base_fee.map_or(U256::ZERO, price::blob_base_fee));
        }
    }
}
