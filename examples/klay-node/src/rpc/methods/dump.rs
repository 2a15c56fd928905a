//! `debug_`: a whole state, and what stands behind a hash.

use std::sync::Arc;

use alloy_primitives::{B256, U256, hex};
use klay_accounts::StateAccount;
use klay_vm::State;
use serde_json::{Value, json};

use super::stored::named_block;
use crate::{
    Chain,
    rpc::{
        Namespace, RpcError, Services, Table,
        decode::BlockId,
        shapes::{Object, Put, bytes},
    },
};

/// About how many bytes an account and a slot take in an answer.
const ACCOUNT_BYTES: usize = 360;
const SLOT_BYTES: usize = 140;

pub(super) fn add(table: &mut Table, services: &Arc<Services>) {
    let debug = [Namespace::Debug];
    let s = Arc::clone(services);
    table.trace(&debug, "dumpBlock", move |(id,): (BlockId,)| {
        let block = named_block(&s, id)?;
        let state = s.state_after(&block)?;
        Dump { chain: s.node.chain(), state: &state, left: s.limits.response_bytes, max: s.limits.response_bytes }.all()
    });
    let s = Arc::clone(services);
    table.heavy(&debug, "preimage", move |(hash,): (B256,)| {
        let found = s.node.chain().preimage(hash).map_err(RpcError::from_error)?;
        found.map(bytes).ok_or(RpcError::failed("unknown preimage"))
    });
}

/// A state on its way into an answer.
struct Dump<'a> {
    chain: &'a Chain,
    state: &'a State,
    /// Bytes that the answer may still have.
    left: usize,
    max: usize,
}

impl Dump<'_> {
    /// All accounts by address; one whose address is not known stands under the empty name, as in the reference client.
    fn all(mut self) -> Result<Value, RpcError> {
        let mut accounts = Object::new();
        for entry in self.state.accounts(B256::ZERO) {
            let (key, account) = entry.map_err(RpcError::from_error)?;
            let code = self.state.code_of(&account).map_err(RpcError::from_error)?;
            self.take(ACCOUNT_BYTES + 2 * code.len())?;
            let dumped = json!({
                "balance": account.balance.to_string(),
                "nonce": account.nonce,
                "root": hex::encode(account.program.storage_root),
                "codeHash": hex::encode(account.program.code_hash),
                "code": hex::encode(code),
                "storage": self.storage(&account)?,
            });
            accounts.put(&self.name(key)?, dumped);
        }
        Ok(json!({ "root": hex::encode(self.state.root()), "accounts": accounts }))
    }

    /// Words by slot, as they stand in the leaves.
    fn storage(&mut self, account: &StateAccount) -> Result<Object, RpcError> {
        let mut storage = Object::new();
        for word in self.state.words_of(account, B256::ZERO) {
            let (key, word) = word.map_err(RpcError::from_error)?;
            self.take(SLOT_BYTES)?;
            storage.put(&self.name(key)?, hex::encode(leaf(word)));
        }
        Ok(storage)
    }

    fn name(&self, key: B256) -> Result<String, RpcError> {
        let preimage = self.chain.preimage(key).map_err(RpcError::from_error)?;
        Ok(hex::encode(preimage.unwrap_or_default()))
    }

    fn take(&mut self, bytes: usize) -> Result<(), RpcError> {
        self.left = self.left.checked_sub(bytes).ok_or(RpcError::ResponseTooLarge { max: self.max })?;
        Ok(())
    }
}

fn leaf(word: U256) -> Vec<u8> {
    let mut leaf = Vec::with_capacity(33);
    klay_core::codec::put_u256(word, &mut leaf);
    leaf
}
