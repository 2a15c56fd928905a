//! Anchored records, as the reference client reads and shows them.
#![cfg(feature = "serde")]
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::path::PathBuf;

use klay_anchor::{Anchor, AnchorError, Digest, Number, Record, decoded_anchoring, input_json, json_payload};
use klay_core::B256;
use klay_feedeleg::KlaytnTx;
use proptest::{collection::vec, prelude::*};
use serde_json::{Value, json};

fn each(group: &str, mut check: impl FnMut(&Value)) {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let own = root.join("tests/vectors/anchor.json");
    let shared = std::env::var_os("KLAY_SHARED")
        .map_or_else(|| root.join("../../shared"), PathBuf::from)
        .join("vectors/anchor.json");
    for path in [own, shared] {
        let Ok(text) = std::fs::read_to_string(&path) else {
            println!("{group}: {} is absent", path.display());
            continue;
        };
        let all: Value = serde_json::from_str(&text).unwrap();
        all[group].as_array().unwrap().iter().for_each(&mut check);
    }
}

fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().unwrap().trim_start_matches("0x")).unwrap()
}

#[test]
fn records_are_read_as_by_the_reference_client() {
    for group in ["anchor_data", "anchor_data_invalid"] {
        each(group, |case| {
            let input = bytes(&case["input"]);
            let (bridge, rpc) = (&case["bridge"], &case["rpc"]);
            let anchor = Anchor::decode(&input);
            assert_eq!(anchor.is_ok(), bridge["ok"].as_bool().unwrap(), "{}: {anchor:?}", case["id"]);
            if let Ok(anchor) = anchor {
                let kind = if matches!(anchor, Anchor::Legacy(_)) { "legacy" } else { "type0" };
                assert_eq!(bridge["kind"], kind, "{}", case["id"]);
                assert_eq!(serde_json::to_value(&anchor).unwrap(), bridge["fields"], "{}", case["id"]);
                assert_eq!(anchor.encode(), input, "{}", case["id"]);
            }
            let shown = input_json(&input);
            assert_eq!(shown.is_ok(), rpc["ok"].as_bool().unwrap(), "{}: {shown:?}", case["id"]);
            if let Ok(shown) = shown {
                assert_eq!(shown, rpc["fields"], "{}", case["id"]);
            }
        });
    }
}

#[test]
fn anchoring_transactions_are_those_of_the_reference_client() {
    each("anchor_tx", |case| {
        let chain_id = case["chainId"].as_u64().unwrap();
        let raw = bytes(&case["raw"]);
        let tx = KlaytnTx::decode(&raw).unwrap();
        assert_eq!(tx.encode(), raw, "{}", case["id"]);
        assert_eq!(tx.hash().as_slice(), bytes(&case["hash"]), "{}", case["id"]);
        assert_eq!(tx.sender_hash().as_slice(), bytes(&case["senderTxHash"]), "{}", case["id"]);
        assert_eq!(tx.signing_hash(Some(chain_id)).as_slice(), bytes(&case["sigHash"]), "{}", case["id"]);
        if let Some(hash) = case.get("feePayerSigHash") {
            assert_eq!(tx.payer_signing_hash(chain_id).unwrap().as_slice(), bytes(hash), "{}", case["id"]);
        }
        let input = bytes(&case["input"]);
        assert_eq!(tx.view().input, input);
        if let Ok(anchor) = Anchor::decode(&input) {
            let rebuilt = match anchor {
                Anchor::Record(record) => record.payload().input.to_vec(),
                Anchor::Legacy(digest) => digest.encode(),
            };
            assert_eq!(rebuilt, input);
        }
    });
}

#[test]
fn errors_have_the_reference_clients_texts() {
    let text = |hex: &str| Anchor::decode(&hex::decode(hex).unwrap()).unwrap_err().to_string();
    assert_eq!(text(""), "EOF");
    assert_eq!(text("0123"), "rlp: expected input list for types.AnchoringDataLegacy");
    assert_eq!(text("c0"), "rlp: too few elements for types.AnchoringDataLegacy");
    assert_eq!(text("c28080"), "EOF");
    assert_eq!(text("c2807f"), "rlp: expected input list for types.AnchoringDataInternalType0");
    assert_eq!(
        text("c17f"),
        "rlp: input string too short for common.Hash, decoding into (types.AnchoringDataLegacy).BlockHash"
    );
    assert_eq!(
        text("c1c0"),
        "rlp: expected input string or byte for common.Hash, decoding into (types.AnchoringDataLegacy).BlockHash"
    );
    let hashes = format!("a0{}", "11".repeat(32)).repeat(5);
    assert_eq!(
        text(&format!("f8a6{hashes}00")),
        "rlp: non-canonical integer (leading zero bytes) for *big.Int, decoding into \
         (types.AnchoringDataLegacy).BlockNumber"
    );
    assert_eq!(
        text(&format!("f8a7{hashes}0102")),
        "rlp: input list has too many elements for types.AnchoringDataLegacy"
    );
    assert_eq!(text(&format!("f8a6{hashes}0500")), "rlp: input contains more than one value");
    assert_eq!(text("c2077f"), "unknown anchoring tx type");
    assert_eq!(text("f8"), "rlp: value size exceeds available input length");
}

#[test]
fn a_json_object_passes_through_floating_point() {
    let shown = |text: &str| input_json(&json_payload(text).unwrap().input).unwrap().to_string();
    assert_eq!(shown(r#"{"b":1.0,"a":[12345678901234567890]}"#), r#"{"a":[12345678901234567000],"b":1}"#);
    assert_eq!(
        shown(r#"{"a":1e21,"b":1e20,"c":0.000001,"d":1e-7,"e":-0}"#),
        r#"{"a":1e+21,"b":100000000000000000000,"c":0.000001,"d":1e-7,"e":-0}"#
    );
    assert_eq!(json_payload("[1]"), Err(AnchorError::NotAJsonObject));
    assert!(input_json(&json_payload(r#"{"a":1e400}"#).unwrap().input).is_err());
}

#[test]
fn the_decoded_record_loses_digits_above_two_to_the_53_and_input_json_does_not() {
    let number = (1u64 << 53) + 1;
    let input = record(number).encode();
    assert_eq!(input_json(&input).unwrap()["blockNumber"], json!(number));
    assert_eq!(decoded_anchoring(&input).unwrap()["blockNumber"], json!(number - 1));
    assert_eq!(decoded_anchoring(&json_payload("{}").unwrap().input), Err(AnchorError::UnknownType(128)));
}

fn record(number: u64) -> Record {
    Record {
        digest: Digest {
            block_hash: B256::repeat_byte(1),
            transactions_root: B256::repeat_byte(2),
            parent_hash: B256::repeat_byte(3),
            receipts_root: B256::repeat_byte(4),
            state_root: B256::repeat_byte(5),
            block_number: number.into(),
        },
        block_count: 1.into(),
        tx_count: 0.into(),
    }
}

#[test]
fn type_zero_as_a_literal_zero_byte_is_refused() {
    let mut input = record(5).encode();
    assert_eq!(input[2], 0x80);
    input[2] = 0x00;
    assert!(matches!(Anchor::decode(&input), Err(AnchorError::Record(_))));
}

#[test]
fn numbers_of_any_size_are_decimal() {
    let number = |bytes: usize| {
        let hashes = format!("a0{}", "11".repeat(32)).repeat(5);
        let body = format!("{hashes}b9{bytes:04x}{}", "ff".repeat(bytes));
        let input = format!("f9{:04x}{body}", body.len() / 2);
        Anchor::decode(&hex::decode(input).unwrap()).map(|anchor| anchor.digest().block_number.clone())
    };
    let big = number(256).unwrap();
    assert_eq!(big.to_string().len(), 617);
    assert!(
        big.to_string().starts_with("32317006071311007300714876688669951960444102669715484032130345427524655138867")
    );
    assert_eq!(serde_json::to_string(&big).unwrap(), big.to_string());
    assert!(number(1024).is_ok());
    assert!(number(1025).is_err());
}

proptest! {
    #[test]
    fn a_number_prints_itself(value: u64) {
        prop_assert_eq!(Number::from(value).to_string(), value.to_string());
        prop_assert_eq!(u64::try_from(&Number::from(value)), Ok(value));
    }

    #[test]
    fn a_record_survives_its_encoding(hashes in any::<[[u8; 32]; 5]>(), numbers in any::<[u64; 3]>(), cut in 1usize..180) {
        let [block_hash, transactions_root, parent_hash, receipts_root, state_root] = hashes.map(B256::new);
        let digest = Digest {
            block_hash, transactions_root, parent_hash, receipts_root, state_root, block_number: numbers[0].into(),
        };
        let record = Record { digest: digest.clone(), block_count: numbers[1].into(), tx_count: numbers[2].into() };
        for anchor in [Anchor::Record(record), Anchor::Legacy(digest)] {
            let mut bytes = anchor.encode();
            prop_assert_eq!(Anchor::decode(&bytes), Ok(anchor));
            prop_assert!(Anchor::decode(&bytes[..bytes.len() - cut.min(bytes.len())]).is_err());
            bytes.push(0);
            prop_assert!(Anchor::decode(&bytes).is_err());
        }
    }

    #[test]
    fn whatever_decodes_is_canonical(bytes in vec(any::<u8>(), 0..64)) {
        if let Ok(anchor) = Anchor::decode(&bytes) {
            prop_assert_eq!(anchor.encode(), bytes.clone());
        }
        let _ = input_json(&bytes);
    }
}
