//! Account keys: what decodes is canonical, and every rule answers.
#![no_main]

use klay_accounts::{AccountKey, MultiSigRules};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(key) = AccountKey::decode(data) else { return };
    assert_eq!(key.encode(), data);
    assert_eq!(key.encoded_len(), data.len());
    let _ = (key.check_installable(), key.creation_gas());
    assert_eq!(key.check_replacable(&key).is_ok(), key.updated_by(&key).is_ok());
    for role in [klay_core::Role::Transaction, klay_core::Role::AccountUpdate, klay_core::Role::FeePayer] {
        let _ = key.validate(role, klay_core::Address::ZERO, &[], MultiSigRules::Istanbul);
        let _ = key.signature_gas(role, data.len(), MultiSigRules::BeforeIstanbul);
    }
});
