//! Account keys: codec, JSON, installation and update, as the reference client does them.

use crate::common::{bytes, each};
use klay_accounts::{AccountKey, KeyError, MultiSig, RoleBased, WeightedKey, key::KeyJsonError};
use klay_core::{DecodeError, PublicKey, codec::DecodeErrorKind, tx::EncodedKey};
use serde_json::{Value, json};

fn key(value: &Value) -> AccountKey {
    AccountKey::decode(&bytes(value)).unwrap()
}

fn public(secret: u8) -> PublicKey {
    let mut scalar = [0; 32];
    scalar[31] = secret;
    PublicKey::from_secret(&scalar).unwrap()
}

fn error_name(result: Result<(), KeyError>) -> Value {
    result.err().map_or(Value::Null, |error| json!(format!("{error:?}")))
}

#[test]
fn keys_decode_and_encode_as_the_reference_client_does() {
    each("keys.json", "account_keys", |case| {
        let encoding = bytes(&case["rlp"]);
        let key = AccountKey::decode(&encoding).unwrap();
        assert_eq!(key.encode(), encoding, "{}", case["name"]);
        assert_eq!(key.encoded_len(), encoding.len(), "{}", case["name"]);
        assert_eq!(AccountKey::try_from(&EncodedKey::from(&key)).unwrap(), key);
        assert_eq!(serde_json::to_value(&key).unwrap(), case["json"], "{}", case["name"]);
        assert_eq!(AccountKey::from_rpc_json(&case["json"]).unwrap(), key, "{}", case["name"]);
        assert_eq!(serde_json::from_value::<AccountKey>(case["json"].clone()).unwrap(), key);
    });
}

#[test]
fn nil_keeps_its_place_in_an_update() {
    each("keys.json", "account_keys_in_role_update", |case| {
        let roles: Vec<AccountKey> = serde_json::from_value(case["roles"].clone()).unwrap();
        let update = AccountKey::from(RoleBased::update(roles));
        assert_eq!(update.encode(), bytes(&case["rlp"]));
        assert_eq!(key(&case["rlp"]), update);
    });
}

#[test]
fn json_members_stand_in_the_nodes_order() {
    let text = serde_json::to_string(&AccountKey::from(
        MultiSig::new(1, vec![WeightedKey { weight: 2, key: public(1) }]).unwrap(),
    ))
    .unwrap();
    assert_eq!(
        text,
        "{\"keyType\":4,\"key\":{\"threshold\":1,\"keys\":[{\"weight\":2,\"key\":{\
         \"x\":\"0x79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798\",\
         \"y\":\"0x483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8\"}}]}}"
    );
}

#[test]
fn malformed_json_is_refused() {
    each("keys.json", "account_key_json_rejected", |case| {
        assert!(AccountKey::from_rpc_json(&case["json"]).is_err(), "{}", case["name"]);
    });
}

#[test]
fn json_errors_have_the_nodes_texts() {
    let text = |value: Value| AccountKey::from_rpc_json(&value).unwrap_err().to_string();
    let point = json!({"x": "0xdbac81e8486d68eac4e6ef9db617f7fbd79a04a3b323c982a09cdfc61f0ae0e8",
        "y": "0x906d7170ba349c86879fb8006134cbf57bda9db9214a90b607b6b4ab57fc026e"});
    assert_eq!(text(json!({"key": {}})), "key type is not specified");
    assert_eq!(text(json!({"keyType": 6, "key": {}})), "undefined account key type");
    assert_eq!(text(json!({"keyType": 2, "key": {"x": "0x1"}})), "X or Y value of the public key does not exist");
    assert_eq!(text(json!({"keyType": 4, "key": {}})), "invalid threshold of the multiSigKey");
    assert_eq!(
        text(json!({"keyType": 4, "key": {"threshold": 1, "keys": [{"key": point}]}})),
        "invalid weight of the multiSigKey"
    );
    assert_eq!(
        text(json!({"keyType": 5, "key": [{"keyType": 5, "key": []}]})),
        "roleBasedKey cannot contains a roleBasedKey as a role key"
    );
    assert_eq!(
        text(json!({"keyType": 2, "key": {"x": "0xa", "y": "0x14"}})),
        "the key probably contains an invalid public key: key is not on the S256 curve"
    );
    assert_eq!(
        text(json!({"keyType": 2, "key": {"x": "0x01", "y": "0x14"}})),
        "json: cannot unmarshal hex number with leading zero digits into Go struct field \
         publicKeySerializableInternalJSON.x of type *hexutil.Big"
    );
    assert_eq!(AccountKey::from_rpc_json(&json!({"keyType": 1})), Err(KeyJsonError::MissingKey));
}

#[test]
fn a_key_is_installable_by_the_reference_clients_rules() {
    each("keys.json", "install", |case| {
        let key = key(&case["key"]);
        assert_eq!(error_name(key.check_installable()), case["error"], "{}", case["name"]);
        match case["creation_gas"].as_u64() {
            Some(gas) => assert_eq!(key.creation_gas(), Ok(gas), "{}", case["name"]),
            None => assert_eq!(key.creation_gas(), Err(KeyError::MaxKeysExceed), "{}", case["name"]),
        }
    });
}

#[test]
fn a_key_replaces_another_by_the_reference_clients_rules() {
    each("keys.json", "update", |case| {
        let (old, new) = (key(&case["old"]), key(&case["new"]));
        assert_eq!(error_name(old.check_replacable(&new)), case["error"], "{}", case["name"]);
        match old.updated_by(&new) {
            Ok(after) => assert_eq!(after.encode(), bytes(&case["result"]), "{}", case["name"]),
            Err(error) => assert_eq!(json!(format!("{error:?}")), case["error"], "{}", case["name"]),
        }
    });
}

#[test]
fn a_role_set_to_fail_can_be_changed_but_not_to_fail_again() {
    let old = AccountKey::from(RoleBased::new(vec![AccountKey::Legacy, AccountKey::Fail]).unwrap());
    let to = |key| AccountKey::from(RoleBased::update(vec![AccountKey::Nil, key]));
    assert_eq!(old.check_replacable(&to(AccountKey::Fail)), Err(KeyError::AccountKeyFailNotUpdatable));
    assert_eq!(old.check_replacable(&to(AccountKey::Legacy)), Ok(()));
    assert_eq!(old.check_replacable(&to(public(1).into())), Ok(()));
}

#[test]
fn weights_up_to_64_bits_add_up_without_wrapping() {
    let members = |weights: [u64; 2]| {
        let keys =
            [WeightedKey { weight: weights[0], key: public(1) }, WeightedKey { weight: weights[1], key: public(2) }];
        MultiSig::new(u64::MAX, keys.to_vec())
    };
    assert!(members([u64::MAX - 1, 1]).is_ok());
    assert_eq!(members([u64::MAX, 1]).unwrap_err(), KeyError::WeightedSumOverflow);
    assert_eq!(members([u64::MAX - 2, 1]).unwrap_err(), KeyError::UnsatisfiableThreshold);
    assert!(MultiSig::new(0, vec![WeightedKey { weight: 1, key: public(1) }]).is_ok());
}

fn decode_error(text: &str) -> DecodeError {
    AccountKey::decode(&hex::decode(text).unwrap()).unwrap_err()
}

#[test]
fn refused_encodings_name_what_and_where() {
    let kind = |text: &str| (decode_error(text).offset, decode_error(text).kind);
    assert_eq!(kind(""), (0, DecodeErrorKind::Missing));
    assert_eq!(kind("06c0"), (0, DecodeErrorKind::UndefinedAccountKeyType(6)));
    assert_eq!(kind("01"), (1, DecodeErrorKind::Missing));
    assert_eq!(decode_error("01c180").offset, 2);
    assert_eq!(decode_error("8000").offset, 1);
    assert_eq!(decode_error("01c000").offset, 2);
    assert_eq!(kind("00c0").1, DecodeErrorKind::LeadingZero);
    // a point off the curve, an x beyond the field, an uncompressed form
    let point = |x: &str| kind(&format!("02a1{x}"));
    assert_eq!(
        point("020000000000000000000000000000000000000000000000000000000000000005"),
        (1, DecodeErrorKind::UnserializableKey)
    );
    assert_eq!(point(&format!("02{}", "ff".repeat(32))), (1, DecodeErrorKind::UnserializableKey));
    assert_eq!(kind(&format!("02b841{}", "04".repeat(65))).0, 1);
}

#[test]
fn the_empty_string_is_not_a_role_but_nil_is() {
    assert_eq!(decode_error("05c180").kind, DecodeErrorKind::Missing);
    assert_eq!(AccountKey::decode(&[0x05, 0xc2, 0x81, 0x80]).unwrap(), RoleBased::update(vec![AccountKey::Nil]).into());
}

#[test]
fn nesting_is_bounded() {
    let nest = |inner: Vec<u8>| AccountKey::from(RoleBased::update(vec![AccountKey::decode(&inner).unwrap()])).encode();
    let once = nest(vec![0x01, 0xc0]);
    let twice = nest(once);
    assert_eq!(AccountKey::decode(&twice).unwrap().check_installable(), Err(KeyError::NestedCompositeType));
    let mut thrice = vec![0x05, 0xc0 + twice.len() as u8 + 1, 0x80 + twice.len() as u8];
    thrice.extend(twice);
    assert_eq!(AccountKey::decode(&thrice).unwrap_err().kind, DecodeErrorKind::UnserializableKey);
}
