//! Human-readable addresses.

use crate::common::{bytes, each};
use klay_accounts::hra::{
    Name, NameError, NameRules,
    name::{is_reserved_address, skeleton_of},
};
use klay_core::{Address, keccak256};
use proptest::prelude::*;

#[test]
fn names_are_those_of_their_profile() {
    each("names.json", "readable_names", |case| {
        let text = case["name"].as_str().unwrap();
        for (rules, member) in [(NameRules::k2019(), "valid_2019"), (NameRules::default(), "valid_strict")] {
            let name = Name::parse(text, &rules);
            assert_eq!(name.is_ok(), case[member].as_bool().unwrap(), "{text:?} {name:?}");
            if let Ok(name) = name {
                assert_eq!(name.address().as_slice(), bytes(&case["address"]), "{text}");
                assert_eq!(Name::from_address(name.address(), &rules).unwrap().as_str(), text);
            }
        }
    });
}

#[test]
fn addresses_that_look_like_names_were_reserved() {
    each("names.json", "reserved_addresses", |case| {
        let address = Address::from_slice(&bytes(&case["address"]));
        assert_eq!(is_reserved_address(address), case["reserved"].as_bool().unwrap(), "{address}");
    });
    assert!(!is_reserved_address(Address::ZERO));
}

#[test]
fn look_alikes_have_one_skeleton() {
    each("names.json", "skeletons", |case| {
        let skeleton = skeleton_of(case["name"].as_str().unwrap());
        assert_eq!(skeleton, case["skeleton"].as_str().unwrap());
        assert_eq!(keccak256(&skeleton).as_slice(), bytes(&case["hash"]));
    });
}

#[test]
fn a_refusal_says_what_and_where() {
    let error = |text| Name::parse(text, &NameRules::default()).unwrap_err();
    assert_eq!(error(""), NameError::Empty);
    assert_eq!(error("al\u{131}ce.klaytn"), NameError::NonAscii { position: 2 });
    assert_eq!(error("abcdefghijklmn.klaytn"), NameError::TooLong { max: 20, got: 21 });
    assert_eq!(error("alice.klay"), NameError::MissingSuffix);
    assert_eq!(error("abcd.klaytn"), NameError::TooShort { min: 5, got: 4 });
    assert_eq!(error("1alice.klaytn"), NameError::BadFirstChar);
    assert_eq!(error("a.alice.klaytn"), NameError::BadChar { position: 1 });
    assert_eq!(error("Alice.klaytn"), NameError::NotCanonical { suggestion: "alice.klaytn".to_owned() });
    let mut bytes = *b"alice.klaytn\0\0\0\0\0\0\0\0";
    bytes[2] = 0;
    assert_eq!(
        Name::from_address(bytes.into(), &NameRules::default()).unwrap_err(),
        NameError::EmbeddedZero { position: 2 }
    );
}

#[test]
fn reserved_words_are_recognised_by_skeleton() {
    let rules = NameRules::default();
    for text in ["wallet.klaytn", "wa11et.klaytn", "adrnin.klaytn", "vvallet.klaytn"] {
        match Name::parse(text, &rules) {
            Ok(name) => assert!(rules.is_reserved(&name), "{text}"),
            Err(error) => panic!("{text}: {error}"),
        }
    }
    assert!(!rules.is_reserved(&Name::parse("alice.klaytn", &rules).unwrap()));
}

proptest! {
    #[test]
    fn any_address_is_a_name_or_refused(bytes in any::<[u8; 20]>(), text in "[a-z0-9.]{0,22}") {
        for rules in [NameRules::default(), NameRules::k2019()] {
            if let Ok(name) = Name::from_address(bytes.into(), &rules) {
                prop_assert_eq!(name.address(), Address::from(bytes));
            }
            if let Ok(name) = Name::parse(&text, &rules) {
                prop_assert_eq!(Name::from_address(name.address(), &rules), Ok(name));
                prop_assert!(is_reserved_address(name.address()));
            }
        }
    }
}
