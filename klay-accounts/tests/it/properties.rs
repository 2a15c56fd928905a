//! What holds for every key and every account.

use klay_accounts::{
    AccountKey, CodeInfo, KeyError, MultiSig, MultiSigRules, Program, RoleBased, StateAccount, WeightedKey,
    account::Kind,
};
use klay_core::{Address, B256, PublicKey, Role, U256};
use proptest::{collection::vec, prelude::*};

fn public_key() -> impl Strategy<Value = PublicKey> {
    any::<[u8; 32]>().prop_filter_map("a scalar in range", |secret| PublicKey::from_secret(&secret))
}

fn single_key() -> impl Strategy<Value = AccountKey> {
    let member = (any::<u64>(), public_key()).prop_map(|(weight, key)| WeightedKey { weight, key });
    prop_oneof![
        Just(AccountKey::Nil),
        Just(AccountKey::Legacy),
        Just(AccountKey::Fail),
        public_key().prop_map(AccountKey::from),
        (any::<u64>(), vec(member, 0..12))
            .prop_map(|(threshold, keys)| MultiSig::new_unchecked(threshold, keys).into()),
    ]
}

fn any_key() -> impl Strategy<Value = AccountKey> {
    prop_oneof![single_key(), vec(single_key(), 0..5).prop_map(|roles| RoleBased::update(roles).into())]
}

fn any_account() -> impl Strategy<Value = StateAccount> {
    let program = (any::<[u8; 32]>(), any::<[u8; 32]>(), any::<u8>()).prop_map(|(root, code, info)| Program {
        storage_root: B256::new(root),
        code_hash: B256::new(code),
        code_info: CodeInfo::from_byte(info),
    });
    let program = prop_oneof![Just(Program::default()), program];
    (any::<bool>(), any::<u64>(), any::<[u64; 4]>(), 0usize..256, any::<bool>(), any_key(), program).prop_map(
        |(contract, nonce, balance, shift, human_readable, key, program)| StateAccount {
            kind: if contract { Kind::Contract } else { Kind::Eoa },
            nonce,
            balance: U256::from_limbs(balance) >> shift,
            human_readable,
            key,
            program,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_key_survives_its_encoding(key in any_key()) {
        let bytes = key.encode();
        prop_assert_eq!(bytes.len(), key.encoded_len());
        prop_assert_eq!(AccountKey::decode(&bytes).unwrap(), key);
    }

    #[test]
    fn an_account_survives_its_leaf(account in any_account()) {
        prop_assert_eq!(StateAccount::decode(&account.encode()).unwrap(), account);
    }

    #[test]
    fn a_cut_or_padded_leaf_is_refused(account in any_account(), cut in 1usize..40, pad in any::<u8>()) {
        let mut leaf = account.encode();
        let cut = cut.min(leaf.len());
        prop_assert!(StateAccount::decode(&leaf[..leaf.len() - cut]).is_err());
        leaf.push(pad);
        prop_assert!(StateAccount::decode(&leaf).is_err());
    }

    #[test]
    fn whatever_decodes_is_canonical(bytes in vec(any::<u8>(), 0..80)) {
        if let Ok(key) = AccountKey::decode(&bytes) {
            prop_assert_eq!(key.encode(), &bytes[..]);
        }
        if let Ok(account) = StateAccount::decode(&bytes) {
            prop_assert_eq!(StateAccount::decode(&account.encode()).unwrap(), account);
        }
    }

    #[test]
    fn a_changed_byte_never_decodes_to_the_same_key(key in any_key(), at in any::<prop::sample::Index>(), bit in 0u8..8) {
        let mut bytes = key.encode();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        if let Ok(other) = AccountKey::decode(&bytes) {
            prop_assert_ne!(other, key);
        }
    }

    #[test]
    fn an_update_gives_an_installable_key_that_is_never_shorter(old in any_key(), new in any_key()) {
        prop_assume!(old.check_installable().is_ok());
        prop_assert_eq!(old.check_replacable(&new).err(), old.updated_by(&new).err());
        if let Ok(after) = old.updated_by(&new) {
            prop_assert_eq!(after.check_installable(), Ok(()));
            if let (AccountKey::RoleBased(old), AccountKey::RoleBased(after)) = (&old, &after) {
                prop_assert!(after.roles().len() >= old.roles().len());
            }
        }
    }

    #[test]
    fn all_members_together_satisfy_an_installable_multisig(keys in vec((1u64..1000, public_key()), 1..=10), share in 0u64..=100) {
        let sum: u64 = keys.iter().map(|(weight, _)| weight).sum();
        let signers: Vec<_> = keys.iter().map(|(_, key)| *key).collect();
        let keys = keys.into_iter().map(|(weight, key)| WeightedKey { weight, key }).collect();
        let multisig = match MultiSig::new(sum * share / 100, keys) {
            Err(KeyError::DuplicatedKey) => return Ok(()),
            other => AccountKey::from(other.unwrap()),
        };
        for rules in [MultiSigRules::BeforeIstanbul, MultiSigRules::Istanbul] {
            prop_assert!(multisig.validate(Role::Transaction, Address::ZERO, &signers, rules).is_ok());
        }
    }
}

#[cfg(feature = "serde")]
proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_key_survives_its_json(key in any_key()) {
        let text = serde_json::to_string(&key).unwrap();
        prop_assert_eq!(serde_json::from_str::<AccountKey>(&text).unwrap(), key);
    }

    #[test]
    fn an_account_survives_its_json(account in any_account()) {
        let text = serde_json::to_string(&account).unwrap();
        prop_assert_eq!(serde_json::from_str::<StateAccount>(&text).unwrap(), account);
    }
}
