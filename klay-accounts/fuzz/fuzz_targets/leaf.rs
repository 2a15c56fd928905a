//! State leaves: what decodes has one encoding.
#![no_main]

use klay_accounts::StateAccount;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(account) = StateAccount::decode(data) else { return };
    assert_eq!(StateAccount::decode(&account.encode()).as_ref(), Ok(&account));
    let _ = account.is_empty();
});
