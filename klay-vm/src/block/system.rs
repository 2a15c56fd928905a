//! What happens in a block beside transactions: the system call at its beginning, and writes by the node.
//!
//! Source: spec 40, section 5.

use klay_accounts::{Program, StateAccount};
use klay_core::{Address, B256, Bytes, Fork, U256, address};

use super::BlockExecutor;
use crate::{
    machine::{Klvm, Meter},
    state::{StateError, WorldError},
    transition::{Action, Message},
    validate::IntrinsicGas,
};

/// Sender of the node's own calls.
pub const SYSTEM_ADDRESS: Address = address!("fffffffffffffffffffffffffffffffffffffffe");
/// The contract that keeps hashes of earlier blocks, EIP-2935.
pub const HISTORY_ADDRESS: Address = address!("0000F90827F1C53a10cb7A02335B175320002935");
/// Gas of the call to it.
const HISTORY_GAS: u64 = 30_000_000;

impl BlockExecutor {
    /// What happens before the first transaction: from Prague the parent's hash is handed to the history contract.
    ///
    /// # Errors
    /// If the state cannot be read. A failure of the contract is ignored, as in the reference client.
    pub fn begin(&mut self, parent_hash: B256) -> Result<(), StateError> {
        if !self.ctx.rules.has(Fork::Prague) {
            return Ok(());
        }
        self.system_call(SYSTEM_ADDRESS, HISTORY_ADDRESS, Bytes::copy_from_slice(parent_hash.as_slice()), HISTORY_GAS)
            .map(drop)
    }

    /// Runs a call without fee, nonce and receipt, and keeps what it changes. Gives the output of a call that
    /// succeeds.
    ///
    /// # Errors
    /// If the state cannot be read.
    pub fn system_call(
        &mut self,
        from: Address,
        to: Address,
        input: Bytes,
        gas: u64,
    ) -> Result<Option<Bytes>, StateError> {
        self.klvm.0.ctx.chain.meter = Meter::limited(self.klvm.0.ctx.chain.level, gas, false);
        let message = Message {
            sender: from,
            payer: Address::ZERO,
            action: Action::Call { to, is_warm: true },
            nonce: 0,
            value: U256::ZERO,
            input,
            gas_limit: gas,
            gas_price: U256::ZERO,
            intrinsic: IntrinsicGas::default(),
            access_list: None,
            authorizations: &[],
            blob_hashes: &[],
            prepaid: klay_core::FeeSplit::of_sender(U256::ZERO),
            fee_receiver: None,
        };
        match self.klvm.system(&message, Klvm::run) {
            Ok(outcome) => {
                self.klvm.commit()?;
                Ok(outcome.result.is_ok().then_some(outcome.output))
            }
            Err(error) => {
                self.klvm.reset();
                match error {
                    WorldError::State(error) => Err(error),
                    WorldError::TimeLimit => Ok(None),
                }
            }
        }
    }

    /// The account at `address` as of now, `None` where there is none.
    ///
    /// # Errors
    /// If the state cannot be read.
    pub fn account(&mut self, address: Address) -> Result<Option<&StateAccount>, StateError> {
        self.klvm.world().account(address)
    }

    /// Balance of `address` as of now, in peb.
    ///
    /// # Errors
    /// If the state cannot be read.
    pub fn balance(&mut self, address: Address) -> Result<U256, StateError> {
        Ok(self.account(address)?.map_or(U256::ZERO, |account| account.balance))
    }

    /// Nonce of `address` as of now.
    ///
    /// # Errors
    /// If the state cannot be read.
    pub fn nonce(&mut self, address: Address) -> Result<u64, StateError> {
        Ok(self.account(address)?.map_or(0, |account| account.nonce))
    }

    /// Code of `address` as of now.
    ///
    /// # Errors
    /// If the state cannot be read.
    pub fn code(&mut self, address: Address) -> Result<Bytes, StateError> {
        Ok(self.klvm.world().code(address)?.original_bytes())
    }

    /// A storage word as of now.
    ///
    /// # Errors
    /// If the state cannot be read.
    pub fn storage(&mut self, address: Address, slot: B256) -> Result<U256, StateError> {
        self.klvm.world().word(address, slot.into())
    }

    /// Adds `amount` peb to an account, creating it as an EOA.
    ///
    /// # Errors
    /// If the state cannot be read.
    pub fn credit(&mut self, address: Address, amount: U256) -> Result<(), StateError> {
        let world = self.klvm.world();
        world.change(address, StateAccount::default, |account| {
            account.balance = account.balance.saturating_add(amount);
        })?;
        world.remove_if_empty(address)
    }

    /// Sets a balance, in peb, creating the account as an EOA.
    ///
    /// # Errors
    /// If the state cannot be read.
    pub fn set_balance(&mut self, address: Address, balance: U256) -> Result<(), StateError> {
        let world = self.klvm.world();
        world.change(address, StateAccount::default, |account| account.balance = balance)?;
        world.remove_if_empty(address)
    }

    /// Sets a nonce, creating the account as an EOA.
    ///
    /// # Errors
    /// If the state cannot be read.
    pub fn set_nonce(&mut self, address: Address, nonce: u64) -> Result<(), StateError> {
        let world = self.klvm.world();
        world.change(address, StateAccount::default, |account| account.nonce = nonce)?;
        world.remove_if_empty(address)
    }

    /// Sets a code as the node does it for system contracts: an absent account becomes a contract with nonce 0 and
    /// code information 0.
    ///
    /// # Errors
    /// If the state cannot be read.
    pub fn set_code(&mut self, address: Address, code: Bytes) -> Result<(), StateError> {
        let world = self.klvm.world();
        let code_hash = world.add_code(code);
        world.change(address, system_contract, |account| account.program.code_hash = code_hash)
    }

    /// Sets a storage word, creating the account as in [`Self::set_code`].
    ///
    /// # Errors
    /// If the state cannot be read.
    pub fn set_storage(&mut self, address: Address, slot: B256, value: U256) -> Result<(), StateError> {
        let world = self.klvm.world();
        world.change(address, system_contract, |_| ())?;
        world.set_word(address, slot.into(), value)
    }
}

fn system_contract() -> StateAccount {
    StateAccount::contract(0, U256::ZERO, Program::default())
}
