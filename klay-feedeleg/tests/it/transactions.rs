//! Every transaction of the vectors: preimages, hashes, wire form, signatures, recovery, gas; and what must be refused.

use crate::common;
use crate::common::{bytes, hash, keys, sets, signatures, signers, text, transaction, u64, uint};
use alloy_primitives::{Address, Bytes, U256};
use klay_core::{
    FeeRatio, PublicKey, Rules,
    block::ListRoot,
    codec::Reader,
    config::Fork,
    keccak256,
    tx::{DynamicPrice, EthereumFields, EthereumKind, EthereumTx, Tx, gas},
};
use klay_feedeleg::{Fee, HashedKlaytnTx, KlaytnTx};
use serde_json::Value;

fn each_vector(mut check: impl FnMut(&str, &Value, KlaytnTx)) {
    for set in sets() {
        for vector in set["vectors"].as_array().unwrap() {
            check(text(&vector["name"]), vector, transaction(vector));
        }
    }
}

fn chain_id(vector: &Value) -> Option<u64> {
    (!vector["chainId"].is_null()).then(|| u64(&vector["chainId"]))
}

fn addresses(keys: &[PublicKey]) -> Vec<String> {
    keys.iter().map(|key| key.address().to_string().to_lowercase()).collect()
}

#[test]
fn encodings_and_hashes_are_those_of_the_vectors() {
    each_vector(|name, vector, tx| {
        assert_eq!(Bytes::from(tx.encode()), bytes(&vector["raw"]), "{name}: raw");
        assert_eq!(tx.encoded_len(), bytes(&vector["raw"]).len(), "{name}");
        assert_eq!(tx.tx_type().name(), text(&vector["type"]), "{name}: type");
        assert_eq!(tx.hash(), hash(&vector["txHash"]), "{name}: hash");
        assert_eq!(tx.sender_hash(), hash(&vector["senderTxHash"]), "{name}: sender hash");
        if !vector["rawEth"].is_null() {
            assert_eq!(Bytes::from(tx.encode_ethereum()), bytes(&vector["rawEth"]), "{name}: raw");
            assert_eq!(KlaytnTx::decode_ethereum(&bytes(&vector["rawEth"])).ok(), KlaytnTx::decode(&tx.encode()).ok());
        }
        if !vector["txHashRLP"].is_null() {
            assert_eq!(keccak256(bytes(&vector["txHashRLP"])), tx.hash(), "{name}");
            assert_eq!(Bytes::from(tx.encode_ethereum()), bytes(&vector["txHashRLP"]), "{name}: hash preimage");
        }
        if let (KlaytnTx::Klaytn(tx), false) = (&tx, vector["senderTxHashRLP"].is_null()) {
            assert_eq!(Bytes::from(tx.encode_unpaid()), bytes(&vector["senderTxHashRLP"]), "{name}");
        }
        let hashed = HashedKlaytnTx::new(tx.clone());
        assert_eq!(hashed.encoded(), &tx.encode()[..], "{name}");
        assert_eq!((hashed.hash(), hashed.sender_hash()), (tx.hash(), tx.sender_hash()), "{name}");
    });
}

#[test]
fn preimages_are_those_of_the_vectors() {
    each_vector(|name, vector, tx| {
        let chain_id = chain_id(vector);
        let (sender, payer) = match &tx {
            KlaytnTx::Legacy(tx) => (tx.preimage(chain_id), None),
            KlaytnTx::Ethereum(tx) => (tx.fields.preimage(), None),
            KlaytnTx::Klaytn(tx) => {
                let chain_id = chain_id.unwrap();
                (tx.sender_preimage(chain_id), tx.payer_preimage(chain_id))
            }
        };
        assert_eq!(keccak256(&sender), hash(&vector["sigHash"]), "{name}");
        assert_eq!(tx.signing_hash(chain_id), hash(&vector["sigHash"]), "{name}");
        if !vector["sigRLP"].is_null() {
            assert_eq!(Bytes::from(sender), bytes(&vector["sigRLP"]), "{name}");
        }
        assert_eq!(payer.is_some(), !vector["feePayerSigHash"].is_null(), "{name}");
        if let Some(payer) = payer {
            assert_eq!(keccak256(&payer), hash(&vector["feePayerSigHash"]), "{name}");
            assert_eq!(tx.payer_signing_hash(chain_id.unwrap()), Some(keccak256(&payer)), "{name}");
            if !vector["feePayerSigRLP"].is_null() {
                assert_eq!(Bytes::from(payer), bytes(&vector["feePayerSigRLP"]), "{name}");
            }
        }
    });
}

#[test]
fn decoding_gives_the_fields_back() {
    each_vector(|name, vector, tx| {
        let raw = bytes(&vector["raw"]);
        if vector["nodeDecodable"] == false {
            let error = KlaytnTx::decode(&raw).unwrap_err();
            assert!(error.to_string().contains("invalid transaction v, r, s values"), "{name}: {error}");
            return;
        }
        assert_eq!(KlaytnTx::decode(&raw).as_ref(), Ok(&tx), "{name}");
        assert_eq!(KlaytnTx::decode_any(&raw).as_ref(), Ok(&tx), "{name}");
        assert_eq!(HashedKlaytnTx::decode(&raw).unwrap(), HashedKlaytnTx::new(tx), "{name}");
    });
}

#[test]
fn signing_again_gives_the_same_signatures() {
    let mut signed = 0;
    each_vector(|name, vector, tx| {
        let (senders, payers) = (keys(&vector["sender_keys"]), keys(&vector["fee_payer_keys"]));
        let (Some(chain_id), false) = (chain_id(vector), senders.is_empty()) else { return };
        let again = match tx.clone() {
            KlaytnTx::Klaytn(Tx { body, fee, .. }) => {
                let unsigned = match fee {
                    Fee::Payer(mut payer) => {
                        if !payers.is_empty() {
                            payer.signatures = Default::default();
                        }
                        body.paid_by(Fee::Payer(payer))
                    }
                    sender => body.paid_by(sender),
                };
                let mut tx = unsigned.sign(chain_id, &signers(&senders)).unwrap();
                let hash = tx.payer_signing_hash(chain_id);
                if let (Fee::Payer(payer), Some(hash), false) = (&mut tx.fee, hash, payers.is_empty()) {
                    payer.signatures = klay_core::tx::sign::sign_all(hash, chain_id, &signers(&payers)).unwrap();
                }
                KlaytnTx::Klaytn(tx)
            }
            other => other.sign(chain_id, &signers(&senders)).unwrap(),
        };
        assert_eq!(again, tx, "{name}");
        signed += 1;
    });
    assert!(signed >= 26, "{signed}");
}

#[test]
fn recovery_gives_the_signers() {
    each_vector(|name, vector, tx| {
        let id = chain_id(vector).unwrap_or(1);
        let expected = vector["recoveredSenders"].as_array().unwrap();
        if expected.iter().any(Value::is_null) {
            assert!(tx.recover_senders(id).is_err(), "{name}");
            assert!(HashedKlaytnTx::new(tx).recover(id).is_err(), "{name}");
            return;
        }
        let senders = addresses(&tx.recover_senders(id).unwrap());
        assert_eq!(senders, expected.iter().map(text).collect::<Vec<_>>(), "{name}");
        let recovered = HashedKlaytnTx::decode(&tx.encode()).unwrap().recover(id).unwrap();
        assert_eq!(Some(recovered.sender()), tx.sender(id).ok(), "{name}");
        if let klay_core::tx::SenderAuth::Keys(keys) = recovered.auth() {
            assert_eq!(addresses(keys), senders, "{name}");
        } else {
            assert_eq!(addresses(&tx.recover_senders(id).unwrap()), senders, "{name}");
        }
        if let Some(payers) = vector["recoveredFeePayers"].as_array() {
            let expected: Vec<_> = payers.iter().map(text).collect();
            assert_eq!(addresses(&tx.recover_payers(id).unwrap()), expected, "{name}");
            assert_eq!(addresses(recovered.payer_keys()), expected, "{name}");
            assert_eq!(Some(recovered.payer()), tx.view().fee_payer, "{name}");
        }
        if chain_id(vector).is_some() && tx.view().chain_id.is_some() {
            let wrong = tx.recover_senders(id + 1).unwrap_err();
            assert_eq!(wrong.to_string(), "invalid chain id for signer", "{name}");
        }
    });
}

#[test]
fn gas_is_that_of_the_vectors() {
    let forks = [
        ("genesis", Fork::Genesis),
        ("istanbul", Fork::Istanbul),
        ("shanghai", Fork::Shanghai),
        ("prague", Fork::Prague),
    ];
    each_vector(|name, vector, tx| {
        let view = tx.view();
        let key_gas = if view.tx_type.family() == 0x20 { key_gas(&vector["fields"]["key"]) } else { 0 };
        for (fork, rules) in forks {
            if let Some(expected) = vector["intrinsicGas"].get(fork) {
                let got = gas::intrinsic(&view, Rules::up_to(rules)).unwrap() + key_gas;
                assert_eq!(got, u64(expected), "{name} at {fork}");
            }
        }
        if let Some(expected) = vector["intrinsicGas"].get("pragueFloor") {
            assert_eq!(gas::floor(&view).unwrap(), u64(expected), "{name}");
        }
    });
}

/// 20000 per point in the key, which is what account keys add.
fn key_gas(key: &Value) -> u64 {
    fn points(key: &[u8]) -> u64 {
        let mut reader = Reader::new(key);
        match reader.u8("key").unwrap() {
            2 => 1,
            4 => {
                let mut list = reader.list("key").unwrap();
                list.item("threshold").unwrap();
                let mut keys = list.list("keys").unwrap();
                std::iter::from_fn(|| keys.item("key").ok()).count() as u64
            }
            5 => {
                let mut roles = reader.list("key").unwrap();
                std::iter::from_fn(|| roles.bytes("role").ok()).map(points).sum()
            }
            _ => 0,
        }
    }
    20_000 * points(&bytes(key))
}

fn ethereum(to: Option<Address>, input: Bytes, kind: EthereumKind) -> KlaytnTx {
    let (chain_id, value) = (U256::from(1), U256::ZERO);
    let access_list = Default::default();
    let fields = EthereumFields { chain_id, nonce: 0, gas_limit: 0, to, value, input, access_list, kind };
    KlaytnTx::Ethereum(EthereumTx::unsigned(fields))
}

#[test]
fn gas_of_ethereum_types_by_fork() {
    for set in sets() {
        for case in set["aux"]["intrinsicGasEthereumTypes"]["cases"].as_array().unwrap() {
            let rules = match text(&case["fork"]) {
                "pre-istanbul" => Rules::none(),
                "istanbul" => Rules::up_to(Fork::Istanbul),
                _ => Rules::up_to(Fork::Prague),
            };
            let to = (case["contractCreation"] == false).then_some(Address::ZERO);
            let kind = EthereumKind::AccessList { gas_price: U256::ZERO };
            let view = ethereum(to, bytes(&case["data"]), kind);
            assert_eq!(gas::intrinsic(&view.view(), rules).unwrap(), case["gas"].as_u64().unwrap(), "{case}");
        }
    }
}

#[test]
fn fees_are_split_as_the_vectors_say() {
    for set in sets() {
        let split = |amount: U256, ratio: &Value| FeeRatio::new(ratio.as_u64().unwrap() as u8).unwrap().split(amount);
        for case in set["aux"]["feeSplit"]["cases"].as_array().unwrap() {
            let parts = split(uint(&case["fee"]), &case["feeRatio"]);
            assert_eq!((parts.payer, parts.sender), (uint(&case["feePayer"]), uint(&case["sender"])), "{case}");
        }
        for case in set["aux"]["feeSettlement"]["cases"].as_array().unwrap() {
            let (limit, used) = (case["gasLimit"].as_u64().unwrap(), case["gasUsed"].as_u64().unwrap());
            let price = uint(&case["gasPrice"]);
            let paid = split(price * U256::from(limit), &case["feeRatio"]);
            let back = split(price * U256::from(limit - used), &case["feeRatio"]);
            assert_eq!(paid.payer - back.payer, uint(&case["netFeePayer"]), "{case}");
            assert_eq!(paid.sender - back.sender, uint(&case["netSender"]), "{case}");
        }
    }
}

#[test]
fn the_effective_price_follows_fork_and_type() {
    for set in sets() {
        for case in set["aux"]["effectiveGasPrice"]["cases"].as_array().unwrap() {
            let (cap, tip) = (uint(&case["feeCap"]), uint(&case["tipCap"]));
            let kind = if case["kind"] == "dynamic" {
                EthereumKind::DynamicFee(DynamicPrice { cap, tip })
            } else {
                EthereumKind::AccessList { gas_price: cap }
            };
            let tx = ethereum(None, Bytes::new(), kind);
            let base_fee = (!case["baseFee"].is_null()).then(|| uint(&case["baseFee"]));
            let rules = Rules::up_to(if case["kaiaFork"] == true { Fork::Kaia } else { Fork::Magma });
            let price = tx.view().effective_gas_price(base_fee, rules);
            assert_eq!(price, uint(&case["effectiveGasPrice"]), "{case}");
        }
    }
}

#[test]
fn transactions_are_spliced_into_a_body() {
    for set in sets() {
        for block in set["aux"]["blocks"]["cases"].as_array().unwrap() {
            let body = bytes(&block["bodyListRLP"]);
            let mut outer = Reader::new(&body);
            let mut items = outer.list("transactions").unwrap();
            let mut count = items.clone();
            let count = std::iter::from_fn(|| count.item("item").ok()).count() as u64;
            assert_eq!(count, block["bodyListItems"].as_u64().unwrap());
            for raw in block["transactions"].as_array().unwrap() {
                let at = items.clone();
                let tx = HashedKlaytnTx::decode_item(&mut items).unwrap();
                assert_eq!(tx.encoded(), &bytes(raw)[..]);
                assert_eq!(KlaytnTx::decode_item(&mut at.clone()).as_ref(), Ok(tx.tx()));
            }
            items.end("transactions").unwrap();
        }
    }
}

#[test]
fn list_roots_are_taken_over_the_wire_form() {
    let check = |expected: &Value, items: &[Vec<u8>]| {
        for (name, list_root) in
            [("orig", ListRoot::Original), ("simple", ListRoot::Simple), ("concat", ListRoot::Concat)]
        {
            assert_eq!(list_root.root(items), hash(&expected[name]), "{name} of {}", items.len());
        }
    };
    for set in sets() {
        let vectors = set["vectors"].as_array().unwrap().iter();
        let small = |v: &&Value| text(&v["name"]).starts_with("docs/") && text(&v["raw"]).len() - 2 < 1200;
        let docs: Vec<_> = vectors.filter(small).map(|vector| transaction(vector).encode()).collect();
        for case in set["aux"]["listRoots"]["cases"].as_array().unwrap() {
            let count = case["count"].as_u64().unwrap() as usize;
            check(case, &docs.iter().cycle().take(count).cloned().collect::<Vec<_>>());
        }
        for block in set["aux"]["blocks"]["cases"].as_array().unwrap() {
            if let Some(expected) = block.get("allRoots") {
                let raws = block["transactions"].as_array().unwrap().iter();
                check(expected, &raws.map(|raw| KlaytnTx::decode(&bytes(raw)).unwrap().encode()).collect::<Vec<_>>());
            }
        }
    }
}

#[test]
fn what_the_reference_client_refuses_is_refused_with_its_error() {
    let mut refused = 0;
    for set in sets() {
        for case in set["aux"]["rejects"]["cases"].as_array().unwrap() {
            let (name, raw, error) = (text(&case["name"]), bytes(&case["raw"]), text(&case["error"]));
            let got = match (text(&case["failsAt"]), KlaytnTx::decode(&raw)) {
                ("decode", tx) => tx.unwrap_err().to_string(),
                ("recover", tx) => {
                    let chain_id = if text(&case["raw"]).starts_with("0x7801") { 2 } else { 1 };
                    tx.unwrap().recover_senders(chain_id).unwrap_err().to_string()
                }
                (_, tx) => {
                    tx.unwrap().recover_senders(1).unwrap();
                    continue;
                }
            };
            assert!(got.contains(error), "{name}: {got}");
            refused += 1;
        }
    }
    assert!(refused >= 25);
}

#[test]
fn a_sidecar_travels_with_the_transaction_but_not_in_blocks() {
    let mut found = 0;
    for set in sets() {
        let form = &set["aux"]["blobNetworkForm"];
        let Some(base) = set["vectors"].as_array().unwrap().iter().find(|vector| vector["name"] == form["base"]) else {
            continue;
        };
        let KlaytnTx::Ethereum(mut tx) = transaction(base) else { panic!("a blob transaction") };
        let point = |value: &Value| bytes(value).as_ref().try_into().unwrap();
        tx.sidecar = Some(Box::new(klay_core::tx::BlobSidecar {
            version: 1,
            blobs: vec![Bytes::from(vec![0; 131_072])],
            commitments: vec![point(&form["commitments"][0])],
            proofs: vec![point(&form["proofs"][0])],
        }));
        let raw = tx.encode_network();
        assert_eq!(raw.len() as u64, form["rawLength"].as_u64().unwrap());
        assert_eq!(keccak256(&raw), hash(&form["rawKeccak256"]));
        assert!(Bytes::copy_from_slice(&raw).to_string().starts_with(text(&form["rawPrefix"])));

        // The printed signature has a v that no node takes; with a parity in its place the form decodes.
        tx.signature.v = U256::from(1);
        let raw = tx.encode_network();
        let tx = KlaytnTx::Ethereum(tx);
        assert_eq!(KlaytnTx::decode(&raw).as_ref(), Ok(&tx));
        let hashed = HashedKlaytnTx::decode(&raw).unwrap();
        assert_eq!(hashed.encoded(), &tx.encode()[..]);
        assert_eq!(hashed.hash(), tx.hash());
        assert!(hashed.encoded().len() < 1000);
        found += 1;
    }
    assert!(found > 0);
}

#[test]
fn the_first_form_of_sidecars_decodes_too() {
    let set = common::compact();
    let vector = set["vectors"].as_array().unwrap().iter().find(|vector| vector["name"] == "docs/TxTypeEthereumBlob");
    let KlaytnTx::Ethereum(mut tx) = transaction(vector.unwrap()) else { panic!("a blob transaction") };
    tx.sidecar = Some(Box::new(klay_core::tx::BlobSidecar {
        version: 0,
        blobs: vec![Bytes::from(vec![7; 131_072])],
        commitments: vec![[1; 48]],
        proofs: vec![[2; 48]],
    }));
    let raw = tx.encode_network();
    assert_eq!(KlaytnTx::decode(&raw), Ok(KlaytnTx::Ethereum(tx.clone())));
    let hashes: Vec<_> = tx.sidecar.unwrap().versioned_hashes().collect();
    assert_eq!(hashes[0].0[0], 1);
}

#[test]
fn signatures_of_vectors_parse() {
    each_vector(|name, vector, tx| {
        assert_eq!(tx.view().signatures, &signatures(&vector["signatures"])[..], "{name}");
    });
}
