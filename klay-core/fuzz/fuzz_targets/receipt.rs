//! Receipts in the consensus form, in the storage form of the reference, and as this store keeps them.

#![no_main]

use klay_core::{
    B256,
    block::Receipt,
    codec::Reader,
    storage::receipts::{decode_receipts, encode_receipts},
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut reader = Reader::new(bytes);
    if let Ok(receipt) = Receipt::decode_consensus(&mut reader) {
        let used = bytes.len() - reader.rest().len();
        assert_eq!(receipt.encode_consensus(), &bytes[..used]);
    }
    let mut reader = Reader::new(bytes);
    if let Ok((receipt, Some(position))) = Receipt::decode_storage(&mut reader) {
        let again = receipt.encode_storage(&position);
        assert_eq!(Receipt::decode_storage(&mut Reader::new(&again)), Ok((receipt, Some(position))));
    }
    let hashes = [B256::ZERO; 2];
    if let Ok(receipts) = decode_receipts(bytes, &hashes) {
        assert_eq!(decode_receipts(&encode_receipts(&receipts), &hashes), Ok(receipts));
    }
});
