//! The receipts of a block as one value, without what the block and its transaction list say anyway.
//!
//! `rlp([[status, gasUsed, contract address or "", [log..]]..])` with `log = [address, [topic..], data]`. The bloom is
//! computed from the logs and the transaction hashes stand in the block's list, so a transfer's receipt takes 7 bytes
//! where the reference client's form takes 330.

use crate::{
    block::{
        Receipt, Status, bloom,
        receipt::{put_log, read_log},
    },
    codec::{DecodeError, DecodeErrorKind, Reader, put_bytes, put_list_header, put_u64},
};
use alloy_primitives::B256;

/// Writes the receipts of one block.
///
/// ```
/// use klay_core::{B256, block::{Receipt, Status}, storage::receipts::{decode_receipts, encode_receipts}};
///
/// let tx_hashes = [B256::repeat_byte(1)];
/// let receipts = [Receipt::new(Status::SUCCESS, 21_000, Vec::new(), tx_hashes[0])];
/// let stored = encode_receipts(&receipts);
/// assert_eq!(stored.len(), 8);
/// assert_eq!(decode_receipts(&stored, &tx_hashes)?, receipts);
/// # Ok::<_, klay_core::DecodeError>(())
/// ```
pub fn encode_receipts(receipts: &[Receipt]) -> Vec<u8> {
    let mut all = Vec::with_capacity(receipts.len() * 8);
    let mut fields = Vec::new();
    let mut logs = Vec::new();
    let mut log_fields = Vec::new();
    for receipt in receipts {
        fields.clear();
        put_u64(u64::from(receipt.status.0), &mut fields);
        put_u64(receipt.gas_used, &mut fields);
        put_bytes(receipt.contract_address.as_ref().map_or(&[], |address| address.as_slice()), &mut fields);
        logs.clear();
        for log in &receipt.logs {
            log_fields.clear();
            put_log(log, &mut log_fields);
            put_list(&log_fields, &mut logs);
        }
        put_list(&logs, &mut fields);
        put_list(&fields, &mut all);
    }
    let mut list = Vec::with_capacity(all.len() + 9);
    put_list(&all, &mut list);
    list
}

/// Reads the receipts of the block whose transactions have these hashes.
///
/// # Errors
/// If the bytes are not the receipts of so many transactions.
pub fn decode_receipts(stored: &[u8], tx_hashes: &[B256]) -> Result<Vec<Receipt>, DecodeError> {
    let mut input = Reader::new(stored);
    let mut items = input.list("receipts")?;
    input.end("receipts")?;
    let mut receipts = Vec::with_capacity(tx_hashes.len());
    for tx_hash in tx_hashes {
        receipts.push(decode_receipt(&mut items, *tx_hash)?);
    }
    items.end("receipts")?;
    Ok(receipts)
}

fn decode_receipt(items: &mut Reader<'_>, tx_hash: B256) -> Result<Receipt, DecodeError> {
    let mut item = items.list("receipt")?;
    let status = Status(item.u8("receipt.status")?);
    let gas_used = item.u64("receipt.gasUsed")?;
    let contract_address = item.opt_address("receipt.contractAddress")?;
    let mut list = item.list("receipt.logs")?;
    if !item.is_empty() {
        return Err(item.error("receipt", DecodeErrorKind::Trailing { count: item.rest().len() }));
    }
    let mut logs = Vec::new();
    while !list.is_empty() {
        let mut log = list.list("log")?;
        logs.push(read_log(&mut log)?);
        log.end("log")?;
    }
    Ok(Receipt { status, gas_used, bloom: bloom::of_logs(&logs), logs, tx_hash, contract_address })
}

fn put_list(payload: &[u8], out: &mut Vec<u8>) {
    put_list_header(payload.len(), out);
    out.extend_from_slice(payload);
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use alloy_primitives::{Address, Bytes, Log};
    use proptest::{collection::vec, prelude::*};

    prop_compose! {
        fn log()(address: [u8; 20], topics in vec(any::<[u8; 32]>(), 0..=4), data in vec(any::<u8>(), 0..70)) -> Log {
            Log::new_unchecked(address.into(), topics.into_iter().map(B256::from).collect(), Bytes::from(data))
        }
    }

    prop_compose! {
        fn receipt()(
            status in 0u8..0x20, gas: u64, logs in vec(log(), 0..4),
            contract in proptest::option::of(any::<[u8; 20]>()), tx_hash: [u8; 32],
        ) -> Receipt {
            let receipt = Receipt::new(Status(status), gas, logs, tx_hash.into());
            Receipt { contract_address: contract.map(Address::from), ..receipt }
        }
    }

    proptest! {
        #[test]
        fn receipts_come_back(receipts in vec(receipt(), 0..6), cut: proptest::sample::Index, tail: u8) {
            let hashes: Vec<_> = receipts.iter().map(|receipt| receipt.tx_hash).collect();
            let stored = encode_receipts(&receipts);
            prop_assert_eq!(decode_receipts(&stored, &hashes).unwrap(), receipts);
            prop_assert!(decode_receipts(&stored[..cut.index(stored.len())], &hashes).is_err());
            prop_assert!(decode_receipts(&[stored.as_slice(), &[tail]].concat(), &hashes).is_err());
            prop_assert!(decode_receipts(&stored, &[hashes.as_slice(), &[B256::ZERO]].concat()).is_err());
            if let Some((_, fewer)) = hashes.split_last() {
                prop_assert!(decode_receipts(&stored, fewer).is_err());
            }
        }
    }
}
