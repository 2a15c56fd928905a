//! Keys, accounts and keystore files as JSON. Keystores are read and not opened: that takes time by design.
#![no_main]

use klay_accounts::{AccountKey, StateAccount, wallet::Keystore};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(file) = Keystore::from_json(text) {
        assert_eq!(Keystore::from_json(&file.to_json()), Ok(file));
    }
    let Ok(value) = serde_json::from_str(text) else { return };
    if let Ok(key) = AccountKey::from_rpc_json(&value) {
        assert_eq!(serde_json::from_value::<AccountKey>(value.clone()).ok(), Some(key));
    }
    if let Ok(account) = serde_json::from_value::<StateAccount>(value) {
        let written = serde_json::to_value(&account).expect("accounts serialize");
        assert_eq!(serde_json::from_value::<StateAccount>(written).ok(), Some(account));
    }
});
