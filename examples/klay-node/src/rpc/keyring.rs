//! Keys that clients bring through `personal_`, beside those that the node was started with (spec 80, section 3.5).
//!
//! They live in memory only and are wiped when they go. The node's own keys are always unlocked.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use alloy_primitives::{Address, B256};
use klay_accounts::wallet::{SecretKey, WalletKey, WalletKeyError};
use klay_core::{Sign, Signature};
use parking_lot::Mutex;
use zeroize::Zeroizing;

use super::RpcError;
use crate::NodeWallet;

/// Most keys that clients may bring.
const MAX_KEYS: usize = 1_000;

/// How long a key stays unlocked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lock {
    Locked,
    OpenUntil(Instant),
    Open,
}

struct Held {
    key: SecretKey,
    password: Zeroizing<String>,
    lock: Lock,
}

/// The keys of clients.
#[derive(Default)]
pub(super) struct Keyring(Mutex<BTreeMap<Address, Held>>);

impl core::fmt::Debug for Keyring {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_tuple("Keyring").field(&self.0.lock().len()).finish()
    }
}

fn wrong_password() -> RpcError {
    RpcError::failed("could not decrypt key with given passphrase")
}

impl Keyring {
    /// All addresses: the node's first.
    pub(super) fn addresses(&self, wallet: &dyn NodeWallet) -> Vec<Address> {
        let mut list = wallet.addresses();
        list.extend(self.0.lock().keys());
        list
    }

    /// Takes over a key in hex, or a wallet key text, and locks it.
    pub(super) fn import(&self, wallet: &dyn NodeWallet, text: &str, password: &str) -> Result<Address, RpcError> {
        let (address, key) = parse(text)?;
        self.add(wallet, address, key, password)
    }

    /// Puts another key in the place of one that a client brought, and locks it.
    pub(super) fn replace(&self, text: &str, password: &str, new: &str) -> Result<Address, RpcError> {
        let (address, key) = parse(text)?;
        match self.0.lock().get_mut(&address) {
            Some(held) if *held.password == password => {
                *held = Held { key, password: Zeroizing::new(new.to_owned()), lock: Lock::Locked };
                Ok(address)
            }
            Some(_) => Err(wrong_password()),
            None => Err(RpcError::failed("no key for given address or file")),
        }
    }

    /// Makes a key.
    pub(super) fn create(&self, wallet: &dyn NodeWallet, password: &str) -> Result<Address, RpcError> {
        let key = SecretKey::random().map_err(RpcError::from_error)?;
        self.add(wallet, key.address(), key, password)
    }

    fn add(
        &self,
        wallet: &dyn NodeWallet,
        address: Address,
        key: SecretKey,
        password: &str,
    ) -> Result<Address, RpcError> {
        let mut held = self.0.lock();
        if held.contains_key(&address) || wallet.addresses().contains(&address) {
            return Err(RpcError::failed("account already exists"));
        }
        if held.len() >= MAX_KEYS {
            return Err(RpcError::failed(format!("limit of {MAX_KEYS} keys reached")));
        }
        held.insert(address, Held { key, password: Zeroizing::new(password.to_owned()), lock: Lock::Locked });
        Ok(address)
    }

    /// Unlocks a key for a time, or for good with no time at all.
    pub(super) fn unlock(
        &self,
        wallet: &dyn NodeWallet,
        address: Address,
        password: &str,
        time: Duration,
    ) -> Result<(), RpcError> {
        let mut held = self.0.lock();
        match held.get_mut(&address) {
            Some(held) if *held.password == password => {
                held.lock = if time.is_zero() {
                    Lock::Open
                } else {
                    Instant::now().checked_add(time).map_or(Lock::Open, Lock::OpenUntil)
                };
                Ok(())
            }
            Some(_) => Err(wrong_password()),
            None if wallet.addresses().contains(&address) => Ok(()),
            None => Err(RpcError::failed("no key for given address or file")),
        }
    }

    /// Locks a key; whether there is one.
    pub(super) fn lock(&self, address: Address) -> bool {
        self.0.lock().get_mut(&address).map(|held| held.lock = Lock::Locked).is_some()
    }

    /// Signs with the node's key or an unlocked one; a password opens a locked one for this once.
    pub(super) fn sign(
        &self,
        wallet: &dyn NodeWallet,
        address: Address,
        digest: B256,
        password: Option<&str>,
    ) -> Result<Signature, RpcError> {
        let held = self.0.lock();
        let Some(held) = held.get(&address) else {
            return wallet.sign(address, digest).map_err(|error| match error {
                klay_core::auth::SignError::NoKey(_) => RpcError::failed("unknown account"),
                other => RpcError::from_error(other),
            });
        };
        match (password, held.lock) {
            (Some(password), _) if *held.password != password => return Err(wrong_password()),
            (None, Lock::Locked) => return Err(RpcError::failed("authentication needed: password or unlock")),
            (None, Lock::OpenUntil(until)) if until <= Instant::now() => {
                return Err(RpcError::failed("authentication needed: password or unlock"));
            }
            _ => {}
        }
        held.key.sign_digest(digest).map_err(RpcError::from_error)
    }
}

/// A key in hex, or a wallet key text with the address that it belongs to.
fn parse(text: &str) -> Result<(Address, SecretKey), RpcError> {
    let invalid = || RpcError::failed("invalid hex string");
    if text.len() == 64 {
        let bytes = Zeroizing::new(alloy_primitives::hex::decode(text).map_err(|_| invalid())?);
        let key = SecretKey::from_slice(&bytes).map_err(RpcError::from_error)?;
        Ok((key.address(), key))
    } else {
        let key: WalletKey = text.parse().map_err(|error| match error {
            WalletKeyError::UnsupportedType => RpcError::failed("Kaia wallet key type must be 00."),
            _ => invalid(),
        })?;
        Ok((key.address, key.secret))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::node::NoWallet;

    const KEY: &str = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";

    #[test]
    fn imported_keys_are_locked_until_the_password_comes() {
        let ring = Keyring::default();
        let address = ring.import(&NoWallet, KEY, "open").unwrap();
        let sign = |password| ring.sign(&NoWallet, address, B256::ZERO, password);
        assert_eq!(sign(None).unwrap_err().to_string(), "authentication needed: password or unlock");
        assert_eq!(sign(Some("no")).unwrap_err(), wrong_password());
        assert!(sign(Some("open")).is_ok());
        assert_eq!(ring.unlock(&NoWallet, address, "no", Duration::ZERO).unwrap_err(), wrong_password());
        ring.unlock(&NoWallet, address, "open", Duration::ZERO).unwrap();
        assert!(sign(None).is_ok());
        assert!(ring.lock(address));
        assert!(sign(None).is_err());
        ring.unlock(&NoWallet, address, "open", Duration::from_nanos(1)).unwrap();
        assert!(sign(None).is_err());
    }

    #[test]
    fn a_replaced_key_answers_to_the_new_password() {
        let ring = Keyring::default();
        assert!(ring.replace(KEY, "old", "new").is_err());
        let address = ring.import(&NoWallet, KEY, "old").unwrap();
        assert_eq!(ring.replace(KEY, "no", "new").unwrap_err(), wrong_password());
        assert_eq!(ring.replace(KEY, "old", "new"), Ok(address));
        assert!(ring.sign(&NoWallet, address, B256::ZERO, Some("old")).is_err());
        assert!(ring.sign(&NoWallet, address, B256::ZERO, Some("new")).is_ok());
    }

    #[test]
    fn keys_are_taken_once_and_must_be_keys() {
        let ring = Keyring::default();
        ring.import(&NoWallet, KEY, "").unwrap();
        assert_eq!(ring.import(&NoWallet, KEY, "").unwrap_err().to_string(), "account already exists");
        assert_eq!(ring.import(&NoWallet, "zz", "").unwrap_err().to_string(), "invalid hex string");
        assert!(!format!("{ring:?}").contains("ac09"));
    }
}
