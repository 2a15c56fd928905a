//! Parts of the state that a call replaces.

use std::collections::BTreeMap;

use klay_accounts::{Program, StateAccount};
use klay_core::{Address, B256, Bytes, U256};

use crate::state::{StateError, World};

/// What to replace in one account before a call.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccountOverride {
    /// Balance in peb.
    pub balance: Option<U256>,
    /// Nonce.
    pub nonce: Option<u64>,
    /// Code.
    pub code: Option<Bytes>,
    /// The whole storage. Excludes `state_diff`.
    pub state: Option<BTreeMap<B256, B256>>,
    /// Single storage words.
    pub state_diff: Option<BTreeMap<B256, B256>>,
}

impl AccountOverride {
    /// Nonce, code, balance and storage, in this order: what comes first decides what an absent account becomes. A code
    /// makes it a contract of machine version 0; on a user it leaves the user one, which has version 0 as well.
    pub(super) fn apply(&self, world: &mut World, address: Address) -> Result<(), StateError> {
        if let Some(nonce) = self.nonce {
            world.change(address, StateAccount::default, |account| account.nonce = nonce)?;
        }
        if let Some(code) = self.code.clone() {
            let hash = world.add_code(code);
            let contract = || StateAccount::contract(1, U256::ZERO, Program::default());
            world.change(address, contract, |account| account.program.code_hash = hash)?;
        }
        if let Some(balance) = self.balance {
            world.change(address, StateAccount::default, |account| account.balance = balance)?;
        }
        if self.state.is_some() {
            world.change(address, StateAccount::default, |_| ())?;
            world.wipe_storage(address)?;
        }
        for (slot, word) in self.state.iter().chain(&self.state_diff).flatten() {
            world.set_word(address, (*slot).into(), (*word).into())?;
        }
        Ok(())
    }
}
