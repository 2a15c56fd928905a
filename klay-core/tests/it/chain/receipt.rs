use klay_core::{
    Address, B256, Bloom, Bytes,
    block::{Header, ListRoot, Log, LogPosition, Receipt, Status, bloom},
    codec::{DecodeErrorKind, Reader},
};
use serde_json::Value;

use super::{address, bytes, hash, list, shared, vector};

fn decode(encoded: &[u8]) -> Receipt {
    let mut reader = Reader::new(encoded);
    let receipt = Receipt::decode_consensus(&mut reader).unwrap();
    reader.end("receipt").unwrap();
    assert_eq!(receipt.encode_consensus(), encoded);
    assert_eq!(bloom::of_logs(&receipt.logs), receipt.bloom);
    receipt
}

fn check_block(block: &Value) {
    let Some(receipts) = block["receipts"].as_array() else { return };
    let header = Header::decode_all(&bytes(&block["headerRlp"])).unwrap();
    let encoded: Vec<Vec<u8>> = receipts.iter().map(bytes).collect();
    let decoded: Vec<Receipt> = encoded.iter().map(|receipt| decode(receipt)).collect();
    let derivation = ListRoot::from_parameter(block["deriveShaImpl"].as_u64().unwrap());
    assert_eq!(derivation.root(&encoded), header.receipts_root, "{}", block["id"]);
    assert_eq!(bloom::union(decoded.iter().map(|receipt| &receipt.bloom)), header.logs_bloom);
    assert_eq!(decoded.iter().map(|receipt| receipt.gas_used).sum::<u64>(), header.gas_used);
}

#[test]
fn receipts_of_real_blocks_have_the_root_and_bloom_of_the_header() {
    for block in list(&vector("headers.json")) {
        check_block(block);
    }
    let Some(file) = shared("headers.json") else { return };
    for block in list(&file["blocks"]) {
        check_block(block);
    }
}

#[test]
fn receipts_encode_as_the_reference_encodes_them() {
    let file = vector("receipts.json");
    let mut all = Vec::new();
    let mut blooms = Vec::new();
    for case in list(&file["receipts"]) {
        let encoded = bytes(&case["rlp"]);
        let receipt = decode(&encoded);
        let number = |name: &str| u64::from_str_radix(&case[name].as_str().unwrap()[2..], 16).unwrap();
        assert_eq!(u64::from(receipt.status.0), number("status"));
        assert_eq!(receipt.gas_used, number("gasUsed"));
        assert_eq!(receipt.bloom, case["logsBloom"].as_str().unwrap().parse::<Bloom>().unwrap());
        for (log, expected) in receipt.logs.iter().zip(list(&case["logs"])) {
            assert_eq!(log.address, address(&expected["address"]));
            assert_eq!(log.topics(), list(&expected["topics"]).iter().map(hash).collect::<Vec<_>>());
            assert_eq!(log.data.data, bytes(&expected["data"]));
        }
        assert_eq!(Receipt::new(receipt.status, receipt.gas_used, receipt.logs.clone(), B256::ZERO), receipt);
        blooms.push(receipt.bloom);
        all.push(encoded);
    }
    assert_eq!(bloom::union(&blooms), file["blockBloom"].as_str().unwrap().parse::<Bloom>().unwrap());
    assert_eq!(ListRoot::Original.root(&all), hash(&file["orig"]));
    assert_eq!(ListRoot::Simple.root(&all), hash(&file["simple"]));
    assert_eq!(ListRoot::Concat.root(&all), hash(&file["concat"]));
}

fn sample() -> Receipt {
    let log = |topics| Log::new_unchecked(Address::repeat_byte(1), topics, Bytes::from_static(b"data"));
    let logs = vec![log(vec![B256::repeat_byte(2)]), log(vec![])];
    Receipt {
        contract_address: Some(Address::repeat_byte(9)),
        ..Receipt::new(Status(9), 77, logs, B256::repeat_byte(3))
    }
}

#[test]
fn a_failure_keeps_its_code_in_the_receipt() {
    let encoded = sample().encode_consensus();
    let mut list = Reader::new(&encoded).list("receipt").unwrap();
    assert_eq!(list.u8("status").unwrap(), 0x09);
    assert_eq!(list.u64("gasUsed").unwrap(), 77);
}

#[test]
fn the_storage_form_places_every_log() {
    let receipt = sample();
    let position = LogPosition { block_number: 5, block_hash: B256::repeat_byte(6), tx_index: 2, first_log_index: 300 };
    let encoded = receipt.encode_storage(&position);
    let mut reader = Reader::new(&encoded);
    assert_eq!(Receipt::decode_storage(&mut reader).unwrap(), (receipt, Some(position)));
    assert!(reader.is_empty());

    let bare = Receipt { contract_address: None, ..Receipt::new(Status::SUCCESS, 1, vec![], B256::ZERO) };
    let encoded = bare.encode_storage(&position);
    assert_eq!(Receipt::decode_storage(&mut Reader::new(&encoded)).unwrap(), (bare, None));
}

#[test]
fn a_log_has_at_most_four_topics() {
    let log = Log::new_unchecked(Address::ZERO, vec![B256::ZERO; 5], Bytes::new());
    let encoded = Receipt::new(Status::SUCCESS, 1, vec![log], B256::ZERO).encode_consensus();
    let error = Receipt::decode_consensus(&mut Reader::new(&encoded)).unwrap_err();
    assert_eq!((error.field, error.kind), ("log.topics", DecodeErrorKind::TooManyElements { max: 4 }));
}

#[test]
fn every_failure_has_a_text_and_nothing_else_has() {
    for code in 0..=u8::MAX {
        assert_eq!(Status(code).error_text().is_some(), (0x02..=0x1e).contains(&code), "{code:#x}");
        assert_eq!(Status(code).is_success(), code == 1);
    }
}

#[test]
fn a_bloom_contains_what_was_added() {
    let receipt = sample();
    assert!(bloom::may_contain(&receipt.bloom, Address::repeat_byte(1)));
    assert!(bloom::may_contain(&receipt.bloom, B256::repeat_byte(2)));
    assert!(!bloom::may_contain(&receipt.bloom, Address::repeat_byte(3)));
}
