//! All accounts at one root, immutable and shared.

use std::{
    num::NonZero,
    sync::{Arc, OnceLock},
    thread,
};

use klay_accounts::{EMPTY_CODE_HASH, EMPTY_ROOT, StateAccount};
use klay_core::{
    Address, B256, Bytes, U256,
    codec::Reader,
    keccak256,
    storage::{Batch, KeyValue, Table},
    trie::{self, Trie},
};
use revm::bytecode::Bytecode;

use super::{
    AccountSource, StateError,
    cache::Shared,
    pending::{Made, Pending},
};

/// All accounts at one state root: immutable, shared between threads, cheap to clone.
///
/// A state that a block has made holds what is not stored yet; see [`State::commit`].
///
/// ```
/// use std::sync::Arc;
/// use klay_core::{Address, storage::Memory};
/// use klay_vm::State;
///
/// let state = State::empty(Arc::new(Memory::new()));
/// assert!(state.account(Address::ZERO)?.is_none());
/// # Ok::<_, klay_vm::StateError>(())
/// ```
#[derive(Debug, Clone)]
pub struct State(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: Arc<dyn KeyValue>,
    shared: Arc<Shared>,
    root: B256,
    accounts: Trie,
    pending: Pending,
}

/// Writes that are in a batch and not yet known to be stored. See [`State::commit`].
#[must_use = "the state keeps counting as not stored until the commit is confirmed"]
#[derive(Debug)]
pub struct StateCommit {
    state: State,
    nodes: Vec<trie::Commit>,
}

/// Accounts in the order of their hashed addresses. Made by [`State::accounts`].
#[derive(Debug)]
pub struct Accounts<'s>(trie::Iter<'s, dyn KeyValue>);

/// Storage words in the order of their hashed slots. Made by [`State::words`].
#[derive(Debug)]
pub struct Words<'s>(trie::Iter<'s, dyn KeyValue>);

impl State {
    /// The state with `root` in `store`. The root need not be there until something is read.
    pub fn open(store: Arc<dyn KeyValue>, root: B256) -> Self {
        let accounts = Trie::at(root);
        Self(Arc::new(Inner { store, shared: Arc::default(), root, accounts, pending: Pending::default() }))
    }

    /// The state without accounts.
    pub fn empty(store: Arc<dyn KeyValue>) -> Self {
        Self::open(store, EMPTY_ROOT)
    }

    /// The state with `root` in the same store, sharing caches with this one.
    #[must_use]
    pub fn at(&self, root: B256) -> Self {
        let (store, shared) = (Arc::clone(&self.0.store), Arc::clone(&self.0.shared));
        Self(Arc::new(Inner { store, shared, root, accounts: Trie::at(root), pending: Pending::default() }))
    }

    /// The root.
    pub fn root(&self) -> B256 {
        self.0.root
    }

    /// The account at `address`, `None` where there is none.
    ///
    /// # Errors
    /// If the store fails or holds something that does not decode.
    pub fn account(&self, address: Address) -> Result<Option<StateAccount>, StateError> {
        self.account_at(&keccak256(address))
    }

    /// Whether there is an account at `address`.
    ///
    /// # Errors
    /// As [`Self::account`].
    pub fn exists(&self, address: Address) -> Result<bool, StateError> {
        Ok(self.account(address)?.is_some())
    }

    /// Number of transactions sent from `address`; 0 for an absent account.
    ///
    /// # Errors
    /// As [`Self::account`].
    pub fn nonce(&self, address: Address) -> Result<u64, StateError> {
        Ok(self.account(address)?.unwrap_or_default().nonce)
    }

    /// Balance of `address` in peb; 0 for an absent account.
    ///
    /// # Errors
    /// As [`Self::account`].
    pub fn balance(&self, address: Address) -> Result<U256, StateError> {
        Ok(self.account(address)?.unwrap_or_default().balance)
    }

    /// The code at `address`; empty for an absent account and one without code.
    ///
    /// # Errors
    /// As [`Self::account`], and if the code is missing.
    pub fn code(&self, address: Address) -> Result<Bytes, StateError> {
        self.account(address)?.map_or(Ok(Bytes::new()), |account| self.code_of(&account))
    }

    /// The code of an account of this state that was read before.
    ///
    /// # Errors
    /// If the code is missing or the store fails.
    pub fn code_of(&self, account: &StateAccount) -> Result<Bytes, StateError> {
        Ok(self.bytecode(&account.program.code_hash)?.original_bytes())
    }

    /// The word in a storage slot; 0 where nothing was stored.
    ///
    /// # Errors
    /// As [`Self::account`].
    pub fn storage(&self, address: Address, slot: B256) -> Result<U256, StateError> {
        match self.account(address)? {
            Some(account) => self.word(&self.storage_trie(account.program.storage_root), &keccak256(slot)),
            None => Ok(U256::ZERO),
        }
    }

    /// Trie nodes from the state root to the account (or to where it is not), root first.
    ///
    /// # Errors
    /// As [`Self::account`].
    pub fn account_proof(&self, address: Address) -> Result<Vec<Bytes>, StateError> {
        Ok(self.0.accounts.prove(&*self.0.store, &keccak256(address))?)
    }

    /// Trie nodes from the account's storage root to the slot, root first; empty without storage.
    ///
    /// # Errors
    /// As [`Self::account`].
    pub fn storage_proof(&self, address: Address, slot: B256) -> Result<Vec<Bytes>, StateError> {
        let root = self.account(address)?.unwrap_or_default().program.storage_root;
        Ok(self.storage_trie(root).prove(&*self.0.store, &keccak256(slot))?)
    }

    /// Hashed slots and words of an account from `start` on, ascending by hashed slot; none for an absent account.
    ///
    /// # Errors
    /// As [`Self::account`].
    pub fn words(&self, address: Address, start: B256) -> Result<Option<Words<'_>>, StateError> {
        Ok(self.account(address)?.map(|account| self.words_of(&account, start)))
    }

    /// As [`Self::words`], for an account of this state that was read before.
    pub fn words_of(&self, account: &StateAccount, start: B256) -> Words<'_> {
        Words(self.storage_trie(account.program.storage_root).iter(&*self.0.store, start))
    }

    /// Hashed addresses and accounts from `start` on, ascending by hashed address.
    pub fn accounts(&self, start: B256) -> Accounts<'_> {
        Accounts(self.0.accounts.iter(&*self.0.store, start))
    }

    /// Adds everything that the store does not have to `batch`.
    ///
    /// Call [`StateCommit::confirm`] when, and only when, the batch has been written.
    pub fn commit(&self, batch: &mut Batch) -> StateCommit {
        let inner = &*self.0;
        let mut nodes: Vec<_> = inner.pending.tries().map(|(_, trie)| trie.commit(batch)).collect();
        nodes.push(inner.accounts.commit(batch));
        for (hash, code) in &inner.pending.codes {
            batch.put(Table::Code, hash.as_slice(), code.original_byte_slice());
        }
        StateCommit { state: self.clone(), nodes }
    }

    /// The same state without what `written` carried, an earlier state whose commit has been confirmed meanwhile.
    ///
    /// For chains that go on while a state is being written.
    #[must_use]
    pub fn without_written(&self, written: &Self) -> Self {
        let mut pending = self.0.pending.clone();
        pending.without(&written.0.pending);
        self.with(self.0.accounts.clone(), pending)
    }

    /// About how many nodes of the account trie are in memory.
    pub fn resident(&self) -> usize {
        self.0.accounts.resident()
    }

    /// The same state with the stored part of the account trie out of memory that was not used since the last call.
    #[must_use]
    pub fn unload(&self) -> Self {
        self.with(self.0.accounts.unload(), self.0.pending.clone())
    }

    /// The store behind it.
    pub fn store(&self) -> &Arc<dyn KeyValue> {
        &self.0.store
    }

    /// As [`Self::account`], by hashed address.
    pub(super) fn account_at(&self, key: &B256) -> Result<Option<StateAccount>, StateError> {
        let leaf = self.0.accounts.get(&*self.0.store, key)?;
        leaf.map(|leaf| decode_account(&leaf)).transpose()
    }

    /// A code in the machine's form.
    pub(super) fn bytecode(&self, hash: &B256) -> Result<Bytecode, StateError> {
        if *hash == EMPTY_CODE_HASH {
            return Ok(Bytecode::default());
        }
        if let Some(code) = self.0.pending.codes.get(hash) {
            return Ok(code.clone());
        }
        if let Some(code) = self.0.shared.code(hash) {
            return Ok(code);
        }
        let code = self.0.store.get(Table::Code, hash.as_slice())?.ok_or(StateError::MissingCode(*hash))?;
        let code = bytecode(code.into());
        self.0.shared.keep_code(*hash, code.clone());
        Ok(code)
    }

    /// The storage trie with this root.
    pub(super) fn storage_trie(&self, root: B256) -> Trie {
        if root == EMPTY_ROOT {
            return Trie::new();
        }
        if let Some(trie) = self.0.pending.trie(&root) {
            return trie.clone();
        }
        if let Some(trie) = self.0.shared.trie(&root) {
            return trie;
        }
        let trie = Trie::at(root);
        self.0.shared.keep_trie(root, trie.clone());
        trie
    }

    /// The word at a hashed slot.
    pub(super) fn word(&self, storage: &Trie, key: &B256) -> Result<U256, StateError> {
        storage.get(&*self.0.store, key)?.map_or(Ok(U256::ZERO), |leaf| decode_word(&leaf))
    }

    /// The state after `changes` to the accounts, with storage tries and codes that the changes refer to.
    pub(super) fn changed(&self, changes: &[(B256, Option<&[u8]>)], made: Made) -> Result<Self, StateError> {
        let accounts = self.changed_trie(&self.0.accounts, changes)?;
        let mut pending = self.0.pending.clone();
        pending.extend(made);
        Ok(self.with(accounts, pending))
    }

    /// `trie` with `changes` made, and hashed: on all cores if they are many.
    pub(super) fn changed_trie<V>(&self, trie: &Trie, changes: &[(B256, Option<V>)]) -> Result<Trie, StateError>
    where
        V: AsRef<[u8]> + Sync,
    {
        /// Changed keys that keep a core busy for some milliseconds; starting a thread takes a hundredth of that.
        const MANY: usize = 1_024;
        static CORES: OnceLock<usize> = OnceLock::new();
        if changes.len() < MANY {
            let trie = trie.update(&*self.0.store, changes)?;
            trie.root();
            return Ok(trie);
        }
        let cores = *CORES.get_or_init(|| thread::available_parallelism().map_or(1, NonZero::get));
        Ok(trie.update_on(&*self.0.store, changes, cores)?)
    }

    fn with(&self, accounts: Trie, pending: Pending) -> Self {
        let (store, shared) = (Arc::clone(&self.0.store), Arc::clone(&self.0.shared));
        Self(Arc::new(Inner { store, shared, root: accounts.root(), accounts, pending }))
    }
}

impl AccountSource for State {
    fn read_account<R>(
        &self,
        address: Address,
        read: impl FnOnce(Option<&StateAccount>) -> R,
    ) -> Result<R, StateError> {
        Ok(read(self.account(address)?.as_ref()))
    }
}

impl StateCommit {
    /// Notes that the batch has been written, and gives the state without what is stored now.
    ///
    /// Later blocks should be executed over that state, or they carry what is already stored with them.
    pub fn confirm(self) -> State {
        for commit in self.nodes {
            commit.confirm();
        }
        let inner = &*self.state.0;
        for (root, trie) in inner.pending.tries() {
            inner.shared.keep_trie(*root, trie.clone());
        }
        for (hash, code) in &inner.pending.codes {
            inner.shared.keep_code(*hash, code.clone());
        }
        self.state.with(inner.accounts.clone(), Pending::default())
    }
}

impl Iterator for Accounts<'_> {
    type Item = Result<(B256, StateAccount), StateError>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(match self.0.next()? {
            Ok((key, leaf)) => decode_account(&leaf).map(|account| (key, account)),
            Err(error) => Err(error.into()),
        })
    }
}

impl Iterator for Words<'_> {
    type Item = Result<(B256, U256), StateError>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(match self.0.next()? {
            Ok((key, leaf)) => decode_word(&leaf).map(|word| (key, word)),
            Err(error) => Err(error.into()),
        })
    }
}

fn decode_word(leaf: &[u8]) -> Result<U256, StateError> {
    let mut reader = Reader::new(leaf);
    let word = reader.u256("storage word").and_then(|word| reader.end("storage word").map(|()| word));
    word.map_err(|source| StateError::Corrupt { what: "storage word", source })
}

/// A code in the machine's form. Bytes that only look like a delegation are code like any other.
pub(super) fn bytecode(code: Bytes) -> Bytecode {
    Bytecode::new_raw_checked(code.clone()).unwrap_or_else(|_| Bytecode::new_legacy(code))
}

fn decode_account(leaf: &[u8]) -> Result<StateAccount, StateError> {
    StateAccount::decode(leaf).map_err(|source| StateError::Corrupt { what: "account", source })
}
