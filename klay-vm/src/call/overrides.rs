//! Parts of the state that a call replaces.

use std::collections::BTreeMap;

use klay_accounts::{CodeInfo, StateAccount, account::Kind};
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
    pub(super) fn apply(&self, world: &mut World, address: Address) -> Result<(), StateError> {
        let code = self.code.clone().map(|code| (code.is_empty(), world.add_code(code)));
        world.change(address, StateAccount::default, |account| {
            if let Some(nonce) = self.nonce {
                account.nonce = nonce;
            }
            if let Some((is_empty, hash)) = code {
                account.program.code_hash = hash;
                if !is_empty && account.kind == Kind::Eoa {
                    account.kind = Kind::Contract;
                    account.program.code_info = CodeInfo::ISTANBUL;
                }
            }
            if let Some(balance) = self.balance {
                account.balance = balance;
            }
        })?;
        if self.state.is_some() {
            world.wipe_storage(address)?;
        }
        for (slot, word) in self.state.iter().chain(&self.state_diff).flatten() {
            world.set_word(address, (*slot).into(), (*word).into())?;
        }
        Ok(())
    }
}
