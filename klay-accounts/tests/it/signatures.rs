//! Which signers satisfy which key in which role, and what the check costs.

use crate::common::{bytes, each};
use klay_accounts::{AccountKey, KeyError, MultiSig, MultiSigRules, RoleBased, WeightedKey, key::Refusal};
use klay_core::{Address, Authority, PublicKey, Role};

fn signers(secrets: &[u8]) -> Vec<PublicKey> {
    secrets
        .iter()
        .map(|secret| {
            let mut scalar = [0; 32];
            scalar[31] = *secret;
            PublicKey::from_secret(&scalar).unwrap()
        })
        .collect()
}

fn two_of_three() -> AccountKey {
    let keys = signers(&[1, 2, 3]).into_iter().map(|key| WeightedKey { weight: 1, key }).collect();
    MultiSig::new(2, keys).unwrap().into()
}

#[test]
fn signature_sets_are_judged_as_by_the_reference_client() {
    each("signatures.json", "signature_sets", |case| {
        let key = AccountKey::decode(&bytes(&case["key"])).unwrap();
        let role = match case["role"].as_str().unwrap() {
            "transaction" => Role::Transaction,
            "account_update" => Role::AccountUpdate,
            "fee_payer" => Role::FeePayer,
            other => panic!("role {other}"),
        };
        let from = Address::from_slice(&bytes(&case["from"]));
        let signers: Vec<PublicKey> = case["signers"]
            .as_array()
            .unwrap()
            .iter()
            .map(|signer| PublicKey::from_compressed(&bytes(signer)).unwrap())
            .collect();
        let rules =
            if case["istanbul"].as_bool().unwrap() { MultiSigRules::Istanbul } else { MultiSigRules::BeforeIstanbul };
        let verdict = key.validate(role, from, &signers, rules);
        assert_eq!(verdict.is_ok(), case["valid"].as_bool().unwrap(), "{}: {verdict:?}", case["name"]);
        if let Err(error) = verdict {
            assert_eq!(error.to_string(), "invalid account key");
        }
        assert_eq!(key.signature_gas(role, signers.len(), rules).ok(), case["gas"].as_u64(), "{}", case["name"]);
        if rules == MultiSigRules::Istanbul {
            assert_eq!(key.authorize(role, from, &signers).is_ok(), case["valid"].as_bool().unwrap());
        }
    });
}

#[test]
fn a_refusal_says_why() {
    let reason = |key: &AccountKey, secrets: &[u8]| {
        key.authorize(Role::Transaction, Address::ZERO, &signers(secrets)).unwrap_err().reason
    };
    let key = two_of_three();
    assert_eq!(reason(&key, &[1]), Refusal::BelowThreshold { got: 1, threshold: 2 });
    assert_eq!(reason(&key, &[1, 1]), Refusal::BelowThreshold { got: 1, threshold: 2 });
    assert_eq!(reason(&key, &[1, 4]), Refusal::Stranger { index: 1 });
    assert_eq!(reason(&key, &[1, 2, 3, 1]), Refusal::TooManySignatures { max: 3, got: 4 });
    assert_eq!(reason(&AccountKey::Fail, &[1]), Refusal::Unusable);
    assert_eq!(reason(&AccountKey::Legacy, &[]), Refusal::NotSingle { got: 0 });
    let signer = signers(&[1])[0];
    assert_eq!(
        reason(&AccountKey::Legacy, &[1]),
        Refusal::WrongAddress { expected: Address::ZERO, got: signer.address() }
    );
    assert_eq!(reason(&signer.into(), &[2]), Refusal::WrongKey);
}

#[test]
fn a_stranger_is_ignored_before_istanbul_and_refused_from_it() {
    let key = two_of_three();
    let judge =
        |secrets: &[u8], rules| key.validate(Role::Transaction, Address::ZERO, &signers(secrets), rules).is_ok();
    assert!(judge(&[1, 9, 2], MultiSigRules::BeforeIstanbul));
    assert!(!judge(&[1, 9, 2], MultiSigRules::Istanbul));
    assert!(judge(&[1, 2, 3, 1], MultiSigRules::BeforeIstanbul));
    assert!(!judge(&[1, 2, 3, 1], MultiSigRules::Istanbul));
    assert!(judge(&[1, 2, 1], MultiSigRules::Istanbul), "the same member twice counts once and does not offend");
}

#[test]
fn a_missing_role_falls_back_to_the_transaction_key() {
    let key = AccountKey::from(RoleBased::new(vec![two_of_three()]).unwrap());
    for role in [Role::Transaction, Role::AccountUpdate, Role::FeePayer] {
        assert!(key.authorize(role, Address::ZERO, &signers(&[1, 3])).is_ok());
        assert_eq!(key.signature_gas(role, 2, MultiSigRules::Istanbul), Ok(15_000));
        assert_eq!(key.signature_gas(role, 2, MultiSigRules::BeforeIstanbul), Ok(30_000));
    }
}

#[test]
fn a_legacy_role_is_not_a_legacy_key() {
    let key = AccountKey::from(RoleBased::new(vec![AccountKey::Legacy]).unwrap());
    assert_eq!(key.require_legacy(), Err(KeyError::LegacyTransactionMustBeWithLegacyKey));
    assert_eq!(AccountKey::Legacy.require_legacy(), Ok(()));
    let signer = signers(&[1])[0];
    assert!(key.authorize(Role::Transaction, signer.address(), &[signer]).is_ok());
}

#[test]
fn a_member_of_any_role_may_sign_messages() {
    let members = signers(&[1, 2]);
    let key = AccountKey::from(RoleBased::new(vec![members[0].into(), AccountKey::Fail, members[1].into()]).unwrap());
    assert!(key.validate_member(Address::ZERO, &members[0]));
    assert!(key.validate_member(Address::ZERO, &members[1]));
    assert!(!key.validate_member(Address::ZERO, &signers(&[3])[0]));
    assert!(two_of_three().validate_member(Address::ZERO, &members[1]), "one member is enough");
    assert!(!AccountKey::Fail.validate_member(members[0].address(), &members[0]));
    assert!(AccountKey::Legacy.validate_member(members[0].address(), &members[0]));
}

#[test]
fn keys_that_no_account_has_authorize_nobody() {
    let empty = AccountKey::from(RoleBased::update(vec![]));
    let nested = AccountKey::from(RoleBased::update(vec![RoleBased::update(vec![AccountKey::Legacy]).into()]));
    let signer = signers(&[1])[0];
    for key in [AccountKey::Nil, empty, nested] {
        assert!(key.authorize(Role::Transaction, signer.address(), &[signer]).is_err());
        assert!(!key.validate_member(signer.address(), &signer));
    }
}
