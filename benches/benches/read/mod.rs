//! Our state behind revm's own machine, so that nothing but the machines differs.

use alloy_primitives::{Address, B256, U256};
use klay_vm::{State, StateError};
use revm::{DatabaseRef, bytecode::Bytecode, database::DBErrorMarker, state::AccountInfo};

/// The state as revm reads it.
#[derive(Debug)]
pub(crate) struct Read(pub(crate) State);

#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub(crate) struct ReadError(#[from] StateError);

impl DBErrorMarker for ReadError {}

impl DatabaseRef for Read {
    type Error = ReadError;

    fn basic_ref(&self, address: Address) -> Result<Option<AccountInfo>, ReadError> {
        let Some(account) = self.0.account(address)? else { return Ok(None) };
        let code = if account.has_code() { Bytecode::new_raw(self.0.code(address)?) } else { Bytecode::default() };
        let info = AccountInfo { balance: account.balance, nonce: account.nonce, ..AccountInfo::default() };
        Ok(Some(info.with_code(code)))
    }

    fn code_by_hash_ref(&self, _: B256) -> Result<Bytecode, ReadError> {
        Ok(Bytecode::default())
    }

    fn storage_ref(&self, address: Address, slot: U256) -> Result<U256, ReadError> {
        Ok(self.0.storage(address, slot.into())?)
    }

    fn block_hash_ref(&self, _: u64) -> Result<B256, ReadError> {
        Ok(B256::ZERO)
    }
}
