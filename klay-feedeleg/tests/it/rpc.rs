//! JSON forms: what a node prints of a transaction, and what it reads of a request to sign one.

use crate::common;
use crate::common::{sets, text, transaction};
use klay_core::{Address, TxType, tx::HashedTx};
use klay_feedeleg::{KlaytnTx, rpc::TxArgs};
use serde_json::{Map, Value, json};

fn object(value: &Value) -> &Map<String, Value> {
    value.as_object().unwrap()
}

#[test]
fn objects_are_those_of_the_reference_client() {
    let mut seen = 0;
    for set in sets() {
        for vector in set["vectors"].as_array().unwrap() {
            let (name, tx) = (text(&vector["name"]), transaction(vector));
            if let Some(expected) = vector.get("rpcFields") {
                assert_eq!(&tx.rpc_fields(), object(expected), "{name}");
                seen += 1;
            }
            if let Some(expected) = vector.get("txJson") {
                // The hash is not filled in where the vectors come from.
                let mut got = tx.tx_json();
                assert_eq!(got.remove("hash"), Some(json!(tx.hash())), "{name}");
                let mut expected = object(expected).clone();
                expected.remove("hash");
                assert_eq!(got, expected, "{name}");
            }
        }
    }
    assert!(seen >= 26);
}

#[test]
fn kaia_objects_have_hashes_and_sender() {
    let sender = Address::repeat_byte(7);
    for vector in common::compact()["vectors"].as_array().unwrap() {
        let tx = transaction(vector);
        let (name, view) = (text(&vector["name"]), tx.view());
        let out = HashedTx::new(tx.clone()).to_kaia_json(sender);
        assert_eq!(out["from"], json!(sender), "{name}");
        assert_eq!(out["hash"], vector["txHash"], "{name}");
        assert_eq!(out["senderTxHash"], vector["senderTxHash"], "{name}");
        assert_eq!(out["typeInt"], json!(view.tx_type.code()), "{name}");
        let price = if view.is_dynamic { &vector["fields"]["maxFeePerGas"] } else { &vector["fields"]["gasPrice"] };
        assert_eq!(&out["gasPrice"], price, "{name}");
        assert_eq!(out.contains_key("chainId"), view.tx_type.is_ethereum(), "{name}");
    }
}

#[test]
fn eth_objects_hide_what_ethereum_does_not_know() {
    let sender = Address::repeat_byte(7);
    for vector in common::compact()["vectors"].as_array().unwrap() {
        let tx = transaction(vector);
        let (name, tx_type) = (text(&vector["name"]), tx.tx_type());
        let out = HashedTx::new(tx).to_eth_json(sender);
        assert_eq!(out["type"], json!(format!("{:#x}", tx_type.ethereum_type())), "{name}");
        if tx_type.is_klaytn() {
            assert_eq!(out["type"], "0x0", "{name}");
        }
        for member in ["signatures", "feePayer", "feeRatio", "key", "typeInt", "senderTxHash", "yParity", "codeFormat"]
        {
            assert!(!out.contains_key(member), "{name}: {member}");
        }
        match tx_type.family() {
            0x20 | 0x38 | 0x48 if tx_type.is_klaytn() => assert_eq!(out["to"], json!(sender), "{name}"),
            _ => assert_eq!(out["to"], vector["fields"].get("to").cloned().unwrap_or_default(), "{name}"),
        }
        assert_eq!(out["v"], vector["signatures"][0]["V"], "{name}");
        assert_eq!(out.contains_key("chainId"), tx_type.is_ethereum(), "{name}");
    }
}

#[test]
fn a_transfer_to_the_zero_address_has_no_recipient_for_ethereum() {
    let set = common::compact();
    let vector = set["vectors"].as_array().unwrap().iter().find(|v| v["type"] == "TxTypeValueTransfer").unwrap();
    let mut vector = vector.clone();
    vector["fields"]["to"] = json!(Address::ZERO);
    let hashed = HashedTx::new(transaction(&vector));
    assert_eq!(hashed.to_eth_json(Address::ZERO)["to"], Value::Null);
    assert_eq!(hashed.to_kaia_json(Address::ZERO)["to"], json!(Address::ZERO));
}

/// The argument object that describes the transaction of a vector.
fn args_of(vector: &Value) -> Map<String, Value> {
    let mut args = object(&vector["fields"]).clone();
    args.insert("typeInt".into(), vector["typeInt"].clone());
    args.entry("from").or_insert_with(|| json!(Address::ZERO));
    args.insert("signatures".into(), vector["signatures"].clone());
    for member in ["codeFormat", "feeRatio"] {
        if let Some(value) = args.get_mut(member) {
            *value = json!(common::u64(value));
        }
    }
    args.remove("maxFeePerBlobGas");
    args.remove("blobVersionedHashes");
    args
}

#[test]
fn the_argument_object_describes_every_type_but_blobs() {
    for vector in common::compact()["vectors"].as_array().unwrap() {
        let name = text(&vector["name"]);
        let args = TxArgs::from_json(&args_of(vector)).unwrap();
        let expected = match transaction(vector) {
            KlaytnTx::Klaytn(mut tx) => {
                if let klay_feedeleg::Fee::Payer(payer) = &mut tx.fee {
                    payer.signatures = Default::default();
                }
                KlaytnTx::Klaytn(tx)
            }
            other => other,
        };
        if expected.tx_type() == TxType::ETHEREUM_BLOB {
            assert!(args.to_tx().is_err(), "{name}");
        } else {
            assert_eq!(args.to_tx().as_ref(), Ok(&expected), "{name}");
        }
    }
}

#[test]
fn a_klaytn_type_needs_each_of_its_fields_and_no_other() {
    let set = common::compact();
    for vector in set["vectors"].as_array().unwrap() {
        let tx = transaction(vector);
        if !tx.tx_type().is_klaytn() {
            continue;
        }
        let whole = args_of(vector);
        let message = |args: &Map<String, Value>| TxArgs::from_json(args).unwrap().to_tx().unwrap_err().to_string();
        let name = tx.tx_type().name();
        for member in whole.keys().filter(|member| !matches!(member.as_str(), "typeInt" | "from" | "signatures")) {
            if member == "to" && tx.tx_type().family() == 0x28 {
                continue;
            }
            let mut args = whole.clone();
            args.insert(member.clone(), Value::Null);
            assert_eq!(message(&args), format!("json:\"{member}\" is required for {name}"));
        }
        for (member, tag, value) in [
            ("chainId", "chainId,omitempty", json!("0x1")),
            ("data", "data", json!("0x")),
            ("accessList", "accessList,omitempty", json!([])),
            ("maxFeePerGas", "maxFeePerGas", json!("0x1")),
            ("feeRatio", "feeRatio", json!(30)),
            ("key", "key", json!("0x01c0")),
        ] {
            if whole.get(member).is_none_or(Value::is_null) {
                let mut args = whole.clone();
                args.insert(member.into(), value);
                assert_eq!(message(&args), format!("json:\"{tag}\" is not a field of {name}"));
            }
        }
    }
}

#[test]
fn a_fee_payers_method_has_no_defaults() {
    let all = json!({"typeInt": 9, "nonce": "0x0", "gas": "0x1", "gasPrice": "0x1", "signatures": []});
    for (member, error) in [
        ("typeInt", "tx should have a type value"),
        ("nonce", "nonce of the sender is not set"),
        ("gas", "gas limit is not set"),
        ("gasPrice", "gas price is not set"),
        ("signatures", "sender signature is not set"),
    ] {
        let mut args = object(&all).clone();
        args.remove(member);
        let args = TxArgs::from_json(&args).unwrap();
        assert_eq!(args.check_signed_by_sender().unwrap_err().to_string(), error);
    }
    assert_eq!(TxArgs::from_json(object(&all)).unwrap().check_signed_by_sender(), Ok(()));
}

#[test]
fn legacy_arguments_have_rules_of_their_own() {
    let legacy = |extra: Value| {
        let mut args = object(&json!({"nonce": "0x0", "gas": "0x1", "gasPrice": "0x1"})).clone();
        args.extend(object(&extra).clone());
        TxArgs::from_json(&args).unwrap().to_tx().map_err(|error| error.to_string())
    };
    assert_eq!(legacy(json!({})), Err("contract creation without any data provided".into()));
    let both = legacy(json!({"data": "0x01", "input": "0x02"})).unwrap_err();
    assert!(both.starts_with("Both \"data\" and \"input\" are set and not equal"));
    assert!(legacy(json!({"data": "0x01", "input": "0x01"})).is_ok());
    assert_eq!(legacy(json!({"typeInt": 24})), Err("undefined tx type".into()));
}

#[test]
fn members_of_the_wrong_form_are_named() {
    for (member, value) in [
        ("to", json!("0x12")),
        ("gas", json!("0x01")),
        ("gas", json!("0x10000000000000000")),
        ("value", json!(5)),
        ("input", json!("0x1")),
        ("feeRatio", json!(256)),
        ("signatures", json!([{"V": "0x1", "R": "0x1"}])),
        ("accessList", json!([{"address": "0x"}])),
        ("typeInt", json!("0x8")),
    ] {
        let args = json!({ member: value });
        let error = TxArgs::from_json(object(&args)).unwrap_err().to_string();
        assert!(error.starts_with(&format!("invalid {member}: expected ")), "{error}");
    }
}
