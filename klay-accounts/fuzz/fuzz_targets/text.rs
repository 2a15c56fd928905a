//! Names, wallet keys and words.
#![no_main]

use klay_accounts::{
    hra::{Name, NameRules},
    wallet::{SecretKey, WalletKey, message, mnemonic::Mnemonic},
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    for rules in [NameRules::default(), NameRules::k2019()] {
        if let Ok(name) = Name::parse(text, &rules) {
            assert_eq!(Name::from_address(name.address(), &rules), Ok(name));
        }
    }
    let _ = (text.parse::<SecretKey>(), text.parse::<WalletKey>(), text.parse::<Mnemonic>());
    let _ = message::caver_bytes(text);
});
