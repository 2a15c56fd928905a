//! Keystores, wallet keys, messages and derivation, as the reference client and the SDKs do them.

use crate::common::{bytes, each};
use klay_accounts::{
    AccountKey, KeyError,
    wallet::{
        Keyring, KeyringError, Keystore, KeystoreError, SecretKey, SecretKeyError, WalletKey, WalletKeyError, Weights,
        keystore::{Kdf, LimitError, Version},
        message::{self, MessageError, MessageSignature, Prefix},
        mnemonic::{self, Mnemonic, MnemonicError},
    },
};
use klay_core::{Address, B256, Role, U256, crypto};
use serde_json::{Value, json};

fn secret(n: u8) -> SecretKey {
    let mut scalar = [0; 32];
    scalar[31] = n;
    SecretKey::from_slice(&scalar).unwrap()
}

fn counting() -> impl FnMut(&mut [u8]) {
    let mut next = 0u8;
    move |bytes| {
        for byte in bytes {
            next = next.wrapping_add(37);
            *byte = next;
        }
    }
}

#[test]
fn published_keystores_open() {
    each("wallets.json", "keystores", |case| {
        let file = Keystore::from_json(&case["json"].to_string()).unwrap();
        let password = case["password"].as_str().unwrap();
        let plain: Vec<Vec<String>> = file
            .decrypt_plain(password.as_bytes())
            .unwrap()
            .iter()
            .map(|keys| keys.iter().map(|key| format!("0x{}", hex::encode(key.as_slice()))).collect())
            .collect();
        assert_eq!(json!(plain), case["keys"], "{}", case["source"]);
        if let Some(address) = case["address"].as_str() {
            assert_eq!(file.address(), Some(address.parse().unwrap()));
        }
        let are_keys = plain.iter().flatten().all(|key| key.len() == 66);
        match file.decrypt(password.as_bytes()) {
            Ok(keyring) => {
                assert!(are_keys);
                assert!(file.address().is_none_or(|address| address == keyring.address()));
            }
            Err(error) => {
                assert!(matches!(error, KeystoreError::Secret(SecretKeyError::WrongLength { .. })), "{error}");
                assert!(!are_keys, "{}", case["source"]);
            }
        }
    });
}

#[test]
fn foreign_and_broken_keystores_are_refused_by_name() {
    each("wallets.json", "keystores_rejected", |case| {
        let error = Keystore::from_json(&case["json"].to_string())
            .and_then(|file| file.decrypt(case["password"].as_str().unwrap().as_bytes()))
            .unwrap_err();
        let name = match error {
            KeystoreError::Mac => "mac",
            KeystoreError::Version => "version",
            KeystoreError::Cipher => "cipher",
            KeystoreError::Kdf => "kdf",
            KeystoreError::Shape(_) => "shape",
            other => panic!("{other}"),
        };
        assert_eq!(name, case["error"].as_str().unwrap(), "{}", case["name"]);
    });
}

#[test]
fn keyrings_survive_their_keystores() {
    let light = Kdf::Scrypt { n: 2, r: 8, p: 1 };
    let address = Address::repeat_byte(7);
    let roles = [vec![secret(1), secret(2)], vec![], vec![secret(3)]];
    let keyrings = [
        Keyring::single(secret(1)),
        Keyring::decoupled(address, secret(1)),
        Keyring::multiple(address, vec![secret(1), secret(2)]).unwrap(),
        Keyring::role_based(address, roles).unwrap(),
    ];
    for keyring in keyrings {
        for kdf in [light, Kdf::Pbkdf2 { c: 3 }] {
            let file = Keystore::encrypt(&keyring, Version::V4, b"", kdf, counting()).unwrap();
            let text = file.to_json();
            let read = Keystore::from_json(&text).unwrap();
            assert_eq!(read, file);
            let opened = read.decrypt_for(keyring.address(), b"").unwrap();
            assert_eq!(opened.address(), keyring.address());
            assert_eq!(
                opened.lists().concat().iter().map(SecretKey::expose).collect::<Vec<_>>(),
                keyring.lists().concat().iter().map(SecretKey::expose).collect::<Vec<_>>()
            );
            assert_eq!(read.decrypt(b"x").unwrap_err(), KeystoreError::Mac);
            assert!(matches!(read.decrypt_for(Address::ZERO, b"").unwrap_err(), KeystoreError::WrongAddress { .. }));
        }
    }
}

#[test]
fn keys_with_leading_zeros_keep_them() {
    let keyring = Keyring::single(secret(5));
    for version in [Version::V3, Version::V4] {
        let kdf = Kdf::Pbkdf2 { c: 1 };
        let text = Keystore::encrypt(&keyring, version, b"p", kdf, counting()).unwrap().to_json();
        let opened = Keystore::from_json(&text).unwrap().decrypt(b"p").unwrap();
        assert_eq!(opened.only_key().unwrap().expose(), secret(5).expose());
        let file: Value = serde_json::from_str(&text).unwrap();
        let id = file["id"].as_str().unwrap();
        assert!(id.len() == 36 && id.as_bytes()[14] == b'4', "{id}");
        assert_eq!(file["address"], json!(format!("0x{}", hex::encode(secret(5).address()))));
    }
}

#[test]
fn version_3_holds_one_key() {
    let two = Keyring::multiple(Address::ZERO, vec![secret(1), secret(2)]).unwrap();
    let error = Keystore::encrypt(&two, Version::V3, b"", Kdf::CAVER, counting()).unwrap_err();
    assert_eq!(error, KeystoreError::NotSingle);
}

#[test]
fn a_hostile_file_cannot_take_memory_or_time() {
    let check = |n, r, p| Kdf::Scrypt { n, r, p }.check();
    assert_eq!(check(3, 8, 1), Err(LimitError::NotAPowerOfTwo { n: 3 }));
    assert_eq!(check(0, 8, 1), Err(LimitError::NotAPowerOfTwo { n: 0 }));
    assert_eq!(check(2, 0, 1), Err(LimitError::Zero { name: "r" }));
    assert_eq!(check(2, 8, 0), Err(LimitError::Zero { name: "p" }));
    assert!(matches!(check(1 << 40, 8, 1), Err(LimitError::Memory { .. })));
    assert!(matches!(check(1 << 63, u32::MAX, u32::MAX), Err(LimitError::Memory { .. })));
    assert!(matches!(check(1 << 18, 8, 100), Err(LimitError::Work { .. })));
    assert!(matches!(Kdf::Pbkdf2 { c: u32::MAX }.check(), Err(LimitError::Rounds { .. })));
    // parameters of the original version 3 vector, which some libraries refuse, and of every default
    assert_eq!(check(262_144, 1, 8), Ok(()));
    for kdf in [Kdf::CAVER, Kdf::STANDARD, Kdf::LIGHT, Kdf::PBKDF2] {
        assert_eq!(kdf.check(), Ok(()));
    }
}

#[test]
fn ambiguous_keystores_are_refused() {
    let text = Keystore::encrypt(&Keyring::single(secret(1)), Version::V4, b"", Kdf::Pbkdf2 { c: 1 }, counting())
        .unwrap()
        .to_json();
    let file: Value = serde_json::from_str(&text).unwrap();
    let cipher = file["keyring"][0].clone();
    let refused = |change: &dyn Fn(&mut Value)| {
        let mut file = file.clone();
        change(&mut file);
        assert!(
            matches!(Keystore::from_json(&file.to_string()), Err(KeystoreError::Shape(_) | KeystoreError::Keyring(_))),
            "{file}"
        );
    };
    refused(&|file| file["crypto"] = cipher.clone());
    refused(&|file| file["keyring"] = json!([]));
    refused(&|file| file["keyring"] = json!([[]]));
    refused(&|file| file["keyring"] = json!([[cipher.clone()], cipher.clone()]));
    refused(&|file| file["keyring"] = json!([cipher.clone(), [cipher.clone()]]));
    refused(&|file| file["keyring"] = json!([[cipher.clone()], [], [], []]));
    refused(&|file| file["keyring"] = json!(vec![cipher.clone(); 11]));
    refused(&|file| file["address"] = json!("0x12"));
    refused(&|file| file["address"] = Value::Null);
    refused(&|file| file["version"] = json!(3));
    refused(&|file| file["keyring"][0]["cipherparams"]["iv"] = json!("00"));
    refused(&|file| file["keyring"][0]["kdfparams"]["c"] = json!(-1));
}

#[test]
fn wallet_keys_carry_key_type_and_address() {
    each("wallets.json", "wallet_keys", |case| {
        let text = case["wallet_key"].as_str().unwrap();
        let parsed = text.parse::<WalletKey>();
        assert_eq!(parsed.is_ok(), case["ok"].as_bool().unwrap(), "{text}");
        if let Ok(key) = parsed {
            assert_eq!(key.secret.expose(), bytes(&case["private_key"]).as_slice());
            assert_eq!(key.address.as_slice(), bytes(&case["address"]));
            assert_eq!(key.address != key.secret.address(), case["decoupled"].as_bool().unwrap());
            assert_eq!(key.to_text().trim_start_matches("0x"), text.to_lowercase().trim_start_matches("0x"));
        }
    });
    let with_type = |kind: &str| format!("{}{kind}0x{}", "1".repeat(64), "2".repeat(40)).parse::<WalletKey>();
    assert!(with_type("0x00").is_ok());
    assert_eq!(with_type("0x01").unwrap_err(), WalletKeyError::UnsupportedType);
}

#[test]
fn published_messages_hash_sign_and_recover() {
    each("wallets.json", "signed_messages", |case| {
        let prefix = if case["prefix"] == "Klaytn" { Prefix::Klaytn } else { Prefix::Ethereum };
        let data = bytes(&case["data"]);
        assert_eq!(prefix.hash(&data).as_slice(), bytes(&case["hash"]));
        if let Some(text) = case.get("private_key") {
            let key = SecretKey::from_slice(&bytes(text)).unwrap();
            assert_eq!(message::sign(&key, prefix, &data).unwrap().to_bytes().as_slice(), bytes(&case["signature"]));
        }
        if let Some(signature) = case.get("signature") {
            let address: Address = case["address"].as_str().unwrap().parse().unwrap();
            let signature = bytes(signature);
            let parsed = MessageSignature::from_rpc_bytes(&signature).unwrap();
            assert_eq!(parsed.recover(prefix, &data).unwrap().address(), address);
            assert_eq!(message::recover_member(address, &AccountKey::Legacy, &data, &signature), Ok(address));
        }
    });
}

#[test]
fn message_signatures_are_checked_as_by_the_node() {
    let key = secret(1);
    let member = AccountKey::from(key.public_key());
    let signature = message::sign(&key, Prefix::Ethereum, b"hi").unwrap();
    let recover = |signature: &[u8]| message::recover_member(Address::ZERO, &member, b"hi", signature);
    assert_eq!(recover(&signature.to_bytes()), Ok(key.address()), "the signer, not the account");
    assert_eq!(recover(&[0; 64]), Err(MessageError::WrongLength { got: 64 }));
    let mut bytes = signature.to_bytes();
    bytes[64] -= 27;
    assert_eq!(recover(&bytes), Err(MessageError::WrongV { got: bytes[64] }));
    assert_eq!(MessageSignature::from_bytes(&bytes), Ok(signature));
    assert_eq!(
        message::recover_member(Address::ZERO, &AccountKey::Legacy, b"hi", &signature.to_bytes()),
        Err(MessageError::NotAMember)
    );
    assert_eq!(recover(&[&[0; 64][..], &[27]].concat()), Err(MessageError::RecoveryFailed));

    // high s: the node's call accepts it, own code does not
    let high = MessageSignature { s: crypto::SECP256K1_N - signature.s, odd_y: !signature.odd_y, ..signature };
    assert_eq!(recover(&high.to_bytes()), Ok(key.address()));
    assert!(high.recover(Prefix::Ethereum, b"hi").is_err());
}

#[test]
fn caver_reads_hexadecimal_text_as_bytes() {
    assert_eq!(message::caver_bytes("0x6869"), b"hi");
    assert_eq!(message::caver_bytes("0x68zz"), b"0x68zz");
    assert_eq!(message::caver_bytes("\0hi\0"), b"hi");
    assert_eq!(message::caver_bytes("0x"), b"");
}

#[test]
fn mnemonics_give_the_keys_of_every_other_wallet() {
    each("wallets.json", "hd", |case| {
        let words: Mnemonic = case["mnemonic"].as_str().unwrap().parse().unwrap();
        let key = words.derive(case["passphrase"].as_str().unwrap(), case["path"].as_str().unwrap()).unwrap();
        assert_eq!(key.expose(), bytes(&case["private_key"]).as_slice());
        assert_eq!(key.address().as_slice(), bytes(&case["address"]));
    });
    assert_eq!(mnemonic::klaytn_path(3), "m/44'/8217'/0'/0/3");
    let parse = |text: &str| text.parse::<Mnemonic>().unwrap_err();
    assert_eq!(parse("test test"), MnemonicError::WordCount { got: 2 });
    assert_eq!(parse(&["test"; 12].join(" ")), MnemonicError::Checksum);
    assert_eq!(parse(&format!("{} blorb", ["test"; 11].join(" "))), MnemonicError::UnknownWord { index: 11 });
    let words = Mnemonic::from_entropy(&[0; 16]).unwrap();
    assert!(words.expose().ends_with("abandon about"));
    assert_eq!(words.derive("", "m/x").unwrap_err(), MnemonicError::Path);
    assert_eq!(Mnemonic::from_entropy(&[0; 15]).unwrap_err(), MnemonicError::Entropy { got: 15 });
}

#[test]
fn secrets_are_in_range_and_not_in_debug_output() {
    let parse = |text: String| text.parse::<SecretKey>().unwrap_err();
    assert_eq!(parse("00".repeat(32)), SecretKeyError::OutOfRange);
    assert_eq!(parse(format!("{:x}", crypto::SECP256K1_N)), SecretKeyError::OutOfRange);
    assert_eq!(parse("ab".repeat(31)), SecretKeyError::WrongLength { expected: 32, got: 31 });
    assert_eq!(parse("zz".repeat(32)), SecretKeyError::NotHex);
    let highest = format!("{:x}", crypto::SECP256K1_N - U256::ONE);
    assert!(highest.parse::<SecretKey>().is_ok());

    let key: SecretKey = "0xf8cc7c3813ad23817466b1802ee805ee417001fcce9376ab8728c92dd8ea0a6b".parse().unwrap();
    let words: Mnemonic = "test test test test test test test test test test test junk".parse().unwrap();
    let wallet_key = WalletKey { secret: key.clone(), address: Address::ZERO };
    let shown = format!("{key:?} {:?} {wallet_key:?} {words:?}", Keyring::single(key.clone()));
    assert!(!shown.to_lowercase().contains("f8cc7c38") && !shown.contains("junk"), "{shown}");
}

#[test]
fn a_keyring_signs_with_every_key_of_the_role() {
    let roles = [vec![secret(1)], vec![secret(2), secret(3)], vec![]];
    let keyring = Keyring::role_based(Address::ZERO, roles).unwrap();
    let digest = B256::repeat_byte(3);
    for (role, signers) in [
        (Role::Transaction, vec![secret(1)]),
        (Role::AccountUpdate, vec![secret(2), secret(3)]),
        (Role::FeePayer, vec![secret(1)]),
    ] {
        let signatures = keyring.sign(role, digest, 1001).unwrap();
        assert_eq!(signatures.len(), signers.len());
        for (signature, signer) in signatures.iter().zip(signers) {
            let odd = signature.parity(1001).unwrap();
            assert_eq!(crypto::recover(digest, odd, signature.r, signature.s), Ok(signer.public_key()));
        }
    }
}

#[test]
fn a_keyring_makes_the_key_that_lets_it_sign() {
    use klay_core::Authority;
    let address = Address::repeat_byte(1);
    let roles = [vec![secret(1)], vec![secret(2), secret(3)], vec![secret(4)]];
    let keyring = Keyring::role_based(address, roles).unwrap();
    let weights = [None, Some(Weights { threshold: 3, weights: vec![1, 2] }), None];
    let key = keyring.account_key_with(&weights).unwrap();
    assert_eq!(key.check_installable(), Ok(()));
    for role in [Role::Transaction, Role::AccountUpdate, Role::FeePayer] {
        assert!(key.authorize(role, address, &keyring.public_keys(role).unwrap()).is_ok());
    }
    let single = Keyring::single(secret(1)).account_key().unwrap();
    assert_eq!(single, AccountKey::from(secret(1).public_key()));
    let empty_role = Keyring::role_based(address, [vec![secret(1)], vec![], vec![]]).unwrap();
    assert!(
        matches!(empty_role.account_key().unwrap(), AccountKey::RoleBased(key) if key.roles()[1] == AccountKey::Nil)
    );
}

#[test]
fn impossible_keyrings_are_refused() {
    let many = (1..=11).map(secret).collect::<Vec<_>>();
    assert_eq!(Keyring::multiple(Address::ZERO, many).unwrap_err(), KeyringError::TooManyKeys { max: 10, got: 11 });
    assert_eq!(Keyring::multiple(Address::ZERO, vec![]).unwrap_err(), KeyringError::NoKey { role: Role::Transaction });
    assert!(Keyring::role_based(Address::ZERO, [vec![], vec![], vec![]]).is_err());
    let fee_only = Keyring::role_based(Address::ZERO, [vec![], vec![], vec![secret(1)]]).unwrap();
    assert!(fee_only.keys(Role::FeePayer).is_ok());
    assert_eq!(fee_only.keys(Role::AccountUpdate).unwrap_err(), KeyringError::NoKey { role: Role::AccountUpdate });
    let twice = Keyring::multiple(Address::ZERO, vec![secret(1), secret(1)]).unwrap();
    assert_eq!(twice.account_key().unwrap_err(), KeyringError::Key(KeyError::DuplicatedKey));
    let two = Keyring::multiple(Address::ZERO, vec![secret(1), secret(2)]).unwrap();
    let weights = [Some(Weights { threshold: 1, weights: vec![1] }), None, None];
    assert_eq!(two.account_key_with(&weights).unwrap_err(), KeyringError::WeightCount { expected: 2, got: 1 });
}
