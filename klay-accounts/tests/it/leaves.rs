//! State leaves, as the reference client writes and reads them.

use crate::common::{bytes, each};
use klay_accounts::{
    AccountKey, CodeInfo, EMPTY_CODE_HASH, EMPTY_ROOT, KeyError, Program, StateAccount, account::Kind,
};
use klay_core::{
    B256, PublicKey, U256,
    codec::{DecodeErrorKind, put_bytes},
    keccak256,
    trie::Trie,
};
use serde_json::{Value, json};

fn account(case: &Value) -> StateAccount {
    let hash = |name: &str| case.get(name).map(|value| B256::from_slice(&bytes(value)));
    let byte = |name: &str| case.get(name).map_or(0, |value| value.as_u64().unwrap() as u8);
    StateAccount {
        kind: if case["type"] == "SCA" { Kind::Contract } else { Kind::Eoa },
        nonce: case["nonce"].as_u64().unwrap(),
        balance: case["balance"].as_str().unwrap().parse().unwrap(),
        human_readable: case.get("human_readable").is_some_and(|value| value.as_bool().unwrap()),
        key: AccountKey::decode(&bytes(&case["key"])).unwrap(),
        program: Program {
            storage_root: hash("storage_root").unwrap_or(EMPTY_ROOT),
            code_hash: hash("code_hash").unwrap_or(EMPTY_CODE_HASH),
            code_info: CodeInfo::from_byte(byte("vm_version") << 4 | byte("code_format")),
        },
    }
}

#[test]
fn leaves_are_those_of_the_reference_client() {
    each("leaves.json", "accounts", |case| {
        let account = account(case);
        let leaf = bytes(&case["rlp"]);
        assert_eq!(account.encode(), leaf, "{}", case["name"]);
        assert_eq!(StateAccount::decode(&leaf).unwrap(), account, "{}", case["name"]);
        if let Some(on_disk) = case.get("rlp_on_disk") {
            assert_eq!(StateAccount::decode(&bytes(on_disk)).unwrap(), account, "{}", case["name"]);
        }
        let json = serde_json::to_value(&account).unwrap();
        assert_eq!(serde_json::from_value::<StateAccount>(json).unwrap(), account, "{}", case["name"]);
    });
}

#[test]
fn leaves_of_the_public_genesis_states_are_those_of_the_reference_client() {
    each("leaves.json", "state_roots", |network| {
        for case in network["accounts"].as_array().unwrap() {
            assert_eq!(account(case).encode(), bytes(&case["rlp"]), "{}", case["address"]);
        }
    });
}

#[test]
fn state_roots_of_the_public_genesis_states_follow_from_the_leaves() {
    each("leaves.json", "state_roots", |network| {
        let storage_root = |slots: &Value| {
            let slots = slots.as_object().unwrap().iter().map(|(slot, value)| {
                let (slot, value) = (bytes(&json!(slot)), bytes(value));
                let zeros = value.iter().take_while(|byte| **byte == 0).count();
                let mut leaf = Vec::new();
                put_bytes(&value[zeros..], &mut leaf);
                (keccak256(B256::left_padding_from(&slot)), leaf)
            });
            root(slots.collect())
        };
        let leaves = network["accounts"].as_array().unwrap().iter().map(|case| {
            let account = account(case);
            if let Some(slots) = case.get("storage") {
                assert_eq!(storage_root(slots), account.program.storage_root, "{}", case["address"]);
            }
            (keccak256(bytes(&case["address"])), account.encode())
        });
        assert_eq!(root(leaves.collect()).as_slice(), bytes(&network["state_root"]), "{}", network["network"]);
    });
}

fn root(mut entries: Vec<(B256, Vec<u8>)>) -> B256 {
    entries.sort_unstable();
    let changes: Vec<_> = entries.into_iter().map(|(key, value)| (key, Some(value))).collect();
    Trie::new().update(&(), &changes).unwrap().root()
}

#[test]
fn malformed_leaves_are_refused() {
    each("leaves.json", "account_rejected", |case| {
        assert!(StateAccount::decode(&bytes(&case["rlp"])).is_err(), "{}", case["name"]);
    });
    let kind = |text: &str| StateAccount::decode(&hex::decode(text).unwrap()).unwrap_err().kind;
    assert_eq!(kind("80c580808001c0"), DecodeErrorKind::UndefinedAccountType(0));
    assert_eq!(kind("03c580808001c0"), DecodeErrorKind::UndefinedAccountType(3));
    assert_eq!(kind("01c580800201c0"), DecodeErrorKind::InvalidBool(2));
    assert_eq!(kind("01c500808001c0"), DecodeErrorKind::LeadingZero);
    assert!(matches!(kind("01c580808001c000"), DecodeErrorKind::Trailing { .. }));
    assert!(matches!(kind("01c680808001c080"), DecodeErrorKind::TooMany { .. }));
    assert!(StateAccount::decode(&hex::decode("02c580808001c0").unwrap()).is_err(), "a contract has no compact form");
}

#[test]
fn code_information_follows_the_fork() {
    each("leaves.json", "code_info", |case| {
        let info = if case["istanbul"].as_bool().unwrap() { CodeInfo::ISTANBUL } else { CodeInfo::GENESIS };
        assert_eq!([info.byte()], bytes(&case["byte"])[..]);
        assert_eq!(u64::from(info.format()), case["format"].as_u64().unwrap());
    });
    assert_eq!(CodeInfo::ISTANBUL.vm_version(), 1);
}

#[test]
fn a_full_form_with_nothing_to_tell_becomes_compact() {
    for root in [EMPTY_ROOT, B256::ZERO] {
        let mut leaf = hex::decode("01f849c580808001c0a0").unwrap();
        leaf.extend(root);
        leaf.push(0xa0);
        leaf.extend(EMPTY_CODE_HASH);
        leaf.push(0x80);
        let account = StateAccount::decode(&leaf).unwrap();
        assert_eq!(account, StateAccount::default());
        assert_eq!(hex::encode(account.encode()), "01c580808001c0");
    }
}

#[test]
fn a_contract_without_storage_holds_the_empty_root_and_the_fail_key() {
    let leaf = StateAccount::contract(1, U256::ZERO, Program::default()).encode();
    assert!(hex::encode(&leaf).starts_with("02f849c501808003c0a056e81f17"));
}

#[test]
fn emptiness_depends_on_the_key_of_a_user_and_on_the_code_of_a_contract() {
    let key = PublicKey::from_secret(&[1; 32]).unwrap();
    let program = Program { code_hash: B256::repeat_byte(1), ..Program::default() };
    let eoa = StateAccount::default;
    assert!(eoa().is_empty());
    assert!(!StateAccount { key: key.into(), ..eoa() }.is_empty());
    assert!(!StateAccount { key: AccountKey::Fail, ..eoa() }.is_empty());
    assert!(StateAccount { human_readable: true, program, ..eoa() }.is_empty());
    assert!(!StateAccount { nonce: 1, ..eoa() }.is_empty());
    assert!(!StateAccount { balance: U256::ONE, ..eoa() }.is_empty());

    let stored = Program { storage_root: B256::repeat_byte(1), ..Program::default() };
    assert!(StateAccount::contract(0, U256::ZERO, stored).is_empty());
    assert!(!StateAccount::contract(0, U256::ZERO, program).is_empty());
    assert!(!StateAccount::contract(1, U256::ZERO, stored).is_empty());
}

#[test]
fn the_key_of_a_contract_cannot_be_changed() {
    let mut contract = StateAccount::contract(1, U256::ZERO, Program::default());
    assert_eq!(contract.update_key(&AccountKey::Legacy), Err(KeyError::NotModifiable));
    let mut user = StateAccount::eoa(1, U256::ZERO);
    assert_eq!(user.update_key(&AccountKey::Fail), Ok(()));
    assert_eq!(user.key, AccountKey::Fail);
}

#[test]
fn json_has_a_number_for_the_nonce_and_base64_for_the_code_hash() {
    let expected = json!({"accType": 1, "account": {
        "nonce": 42, "balance": "0x12345678", "humanReadable": false, "key": {"keyType": 1, "key": {}},
        "storageRoot": EMPTY_ROOT, "codeHash": "xdJGAYb3IzySfn2y3McDwOUAtlPKgic7e/rYBF2FpHA=",
        "codeFormat": 0, "vmVersion": 0}});
    let account = StateAccount::eoa(42, U256::from(0x12345678));
    assert_eq!(serde_json::to_value(&account).unwrap(), expected);
    let short = json!({"accType": 1, "account": {
        "nonce": 42, "balance": "0x12345678", "humanReadable": false, "key": {"keyType": 1, "key": {}}}});
    assert_eq!(serde_json::from_value::<StateAccount>(short).unwrap(), account);
}
