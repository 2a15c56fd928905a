//! The accounts of a block while it is executed: the parent's state with what has changed so far.

use std::sync::Arc;

use klay_accounts::{AccountKey, CodeInfo, EMPTY_CODE_HASH, EMPTY_ROOT, Program, StateAccount, account::Kind};
use klay_core::{Address, B256, Bytes, U256, keccak256, trie::Trie};
use revm::{
    Database,
    bytecode::Bytecode,
    primitives::{AddressMap, B256Map, U256Map, hash_map::Entry as MapEntry},
    state::{Account, AccountExtension, AccountInfo},
};

use super::{AccountSource, State, StateError, pending::Made, snapshot::bytecode};
use crate::{env::BlockHashes, spec::Level};

/// Why the machine stopped before the end of a frame.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorldError {
    /// The state could not be read.
    #[error(transparent)]
    State(#[from] StateError),
    /// The time that was given is over.
    #[error("time limit is reached")]
    TimeLimit,
}

/// The accounts of a block in progress. The machine reads from it and, after each transaction, writes to it.
#[derive(Debug)]
pub struct World {
    base: State,
    level: Level,
    hashes: Arc<dyn BlockHashes>,
    entries: AddressMap<Entry>,
    codes: B256Map<Bytecode>,
    /// What was there before each change, while somebody may want it back.
    undo: Option<Vec<Undo>>,
    /// What the machine is told about accounts that are not empty although nonce, balance and code are.
    keyed: AccountExtension,
}

/// One account.
#[derive(Debug)]
struct Entry {
    /// The hashed address.
    key: B256,
    account: Option<StateAccount>,
    /// Whether the parent's state has the account.
    in_base: bool,
    /// Whether the parent's storage is void.
    wiped: bool,
    dirty: bool,
    /// Storage in the parent's state, opened when first asked for.
    trie: Option<Trie>,
    words: U256Map<Word>,
}

/// One storage word.
#[derive(Debug, Clone, Copy)]
struct Word {
    /// The hashed slot.
    key: B256,
    now: U256,
    /// The parent's value; zero where storage is void.
    base: U256,
}

/// What stands behind the hashed keys that a block has added to the state: a store that keeps it can name the accounts
/// and slots of a state.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Preimages {
    /// Addresses by their hashes.
    pub accounts: Vec<(B256, Address)>,
    /// Storage slots by their hashes.
    pub slots: Vec<(B256, B256)>,
}

/// What a block leaves behind.
#[derive(Debug)]
pub(crate) struct Finished {
    /// The state with everything that has changed.
    pub(crate) state: State,
    /// The accounts that have changed, in order of hashed addresses; one that is gone stands there as an absent one reads.
    pub(crate) changed: Vec<(Address, StateAccount)>,
    /// What is new among the keys.
    pub(crate) preimages: Preimages,
}

#[derive(Debug)]
enum Undo {
    Account { address: Address, account: Option<StateAccount>, dirty: bool },
    Word { address: Address, slot: U256, now: U256 },
    Wipe { address: Address, words: U256Map<Word>, wiped: bool },
}

impl World {
    /// The accounts of `base`, for a block of `level`.
    pub(crate) fn new(base: State, level: Level, hashes: Arc<dyn BlockHashes>) -> Self {
        Self {
            base,
            level,
            hashes,
            entries: AddressMap::default(),
            codes: B256Map::default(),
            undo: None,
            keyed: AccountExtension::copy_from_slice(&[1]),
        }
    }

    /// The account as of now, read from the parent's state when it is met for the first time.
    pub(crate) fn account(&mut self, address: Address) -> Result<Option<&StateAccount>, StateError> {
        Ok(self.entry(address)?.account.as_ref())
    }

    /// The code of an account as of now.
    pub(crate) fn code(&mut self, address: Address) -> Result<Bytecode, StateError> {
        match self.account(address)?.map(|account| account.program.code_hash) {
            Some(hash) => self.code_at(hash),
            None => Ok(Bytecode::default()),
        }
    }

    /// A storage word as of now.
    pub(crate) fn word(&mut self, address: Address, slot: U256) -> Result<U256, StateError> {
        let Self { base, entries, .. } = self;
        let entry = load(base, entries, address)?;
        if let Some(word) = entry.words.get(&slot) {
            return Ok(word.now);
        }
        // A zero that nobody had to look up is not worth remembering.
        if entry.base_root().is_none() { Ok(U256::ZERO) } else { Ok(entry.word(base, slot)?.now) }
    }

    /// Whether storage is kept under the address, which keeps a contract from being made there since Shanghai.
    pub(crate) fn has_storage(&mut self, address: Address) -> Result<bool, StateError> {
        let entry = self.entry(address)?;
        Ok(entry.account.as_ref().is_some_and(|account| account.program.storage_root != EMPTY_ROOT))
    }

    /// Version of the machine for which the code at `address` was made; none for absent accounts and users without
    /// code.
    pub(crate) fn vm_version(&mut self, address: Address) -> Result<Option<u8>, StateError> {
        Ok(self.account(address)?.and_then(|account| {
            (account.is_contract() || account.has_code()).then(|| account.program.code_info.vm_version())
        }))
    }

    /// Changes an account; an absent one starts as `absent`. Empty ones stay until a transaction or the block ends.
    pub(crate) fn change<R>(
        &mut self,
        address: Address,
        absent: impl FnOnce() -> StateAccount,
        change: impl FnOnce(&mut StateAccount) -> R,
    ) -> Result<R, StateError> {
        self.remember(address)?;
        let entry = self.entry(address)?;
        entry.dirty = true;
        Ok(change(entry.account.get_or_insert_with(absent)))
    }

    /// Sets a storage word.
    pub(crate) fn set_word(&mut self, address: Address, slot: U256, value: U256) -> Result<(), StateError> {
        self.set_words(address, core::iter::once((slot, value)))
    }

    /// Sets storage words of one account.
    fn set_words(&mut self, address: Address, words: impl IntoIterator<Item = (U256, U256)>) -> Result<(), StateError> {
        let Self { base, entries, undo, .. } = self;
        let entry = load(base, entries, address)?;
        for (slot, value) in words {
            entry.dirty = true;
            let now = core::mem::replace(&mut entry.word(base, slot)?.now, value);
            if let Some(undo) = undo {
                undo.push(Undo::Word { address, slot, now });
            }
        }
        Ok(())
    }

    /// Forgets all storage of an account.
    pub(crate) fn wipe_storage(&mut self, address: Address) -> Result<(), StateError> {
        let keeps = self.undo.is_some();
        let entry = self.entry(address)?;
        let words = core::mem::take(&mut entry.words);
        let wiped = core::mem::replace(&mut entry.wiped, true);
        entry.dirty = true;
        if let Some(account) = &mut entry.account {
            account.program.storage_root = EMPTY_ROOT;
        }
        if keeps && let Some(undo) = &mut self.undo {
            undo.push(Undo::Wipe { address, words, wiped });
        }
        Ok(())
    }

    /// Registers a code and gives its hash.
    pub(crate) fn add_code(&mut self, code: Bytes) -> B256 {
        if code.is_empty() {
            return EMPTY_CODE_HASH;
        }
        let hash = keccak256(&code);
        self.codes.entry(hash).or_insert_with(|| bytecode(code));
        hash
    }

    /// Removes the account if nothing is in it.
    pub(crate) fn remove_if_empty(&mut self, address: Address) -> Result<(), StateError> {
        if self.account(address)?.is_some_and(StateAccount::is_empty) {
            self.remove(address)?;
        }
        Ok(())
    }

    /// Takes over what a transaction has left in the machine's journal for one account.
    ///
    /// `placeholder` says that an absent account was called as a precompiled contract first, which makes it a contract.
    ///
    /// Source: spec 40, section 4.9.
    pub(crate) fn apply(&mut self, address: Address, after: Account, placeholder: bool) -> Result<(), StateError> {
        if !after.is_touched() {
            return Ok(());
        }
        if after.is_selfdestructed() {
            return self.remove(address);
        }
        let Account { info, storage, status, .. } = after;
        let level = self.level;
        if status.contains(revm::state::AccountStatus::Created) {
            self.remember(address)?;
            self.wipe_storage(address)?;
            self.note_code(&info);
            let program = Program { code_hash: info.code_hash, code_info: level.code_info(), ..Program::default() };
            let entry = self.entry(address)?;
            entry.account = Some(StateAccount::contract(info.nonce, info.balance, program));
        } else {
            self.write_info(address, info, placeholder)?;
        }
        let changed = storage.into_iter().filter(|(_, word)| word.is_changed());
        self.set_words(address, changed.map(|(slot, word)| (slot, word.present_value())))?;
        self.remove_if_empty(address)
    }

    /// A place to come back to.
    pub(crate) fn checkpoint(&mut self) -> usize {
        self.undo.get_or_insert_default().len()
    }

    /// Undoes every change since `checkpoint`.
    pub(crate) fn revert(&mut self, checkpoint: usize) {
        let Some(log) = &mut self.undo else { return };
        for undo in log.drain(checkpoint.min(log.len())..).rev() {
            let Some(entry) = self.entries.get_mut(undo.address()) else { continue };
            match undo {
                Undo::Account { account, dirty, .. } => {
                    entry.account = account;
                    entry.dirty = dirty;
                }
                Undo::Word { slot, now, .. } => {
                    if let Some(word) = entry.words.get_mut(&slot) {
                        word.now = now;
                    }
                }
                Undo::Wipe { words, wiped, .. } => {
                    entry.words = words;
                    entry.wiped = wiped;
                }
            }
        }
    }

    /// Makes the next state.
    pub(crate) fn finish(mut self) -> Result<Finished, StateError> {
        let Self { base, entries, codes, .. } = &mut self;
        let mut dirty: Vec<_> = entries.iter_mut().filter(|(_, entry)| entry.dirty).collect();
        dirty.sort_unstable_by_key(|(_, entry)| entry.key);
        let mut leaves = Leaves::with_capacity(dirty.len());
        let mut changed = Vec::with_capacity(dirty.len());
        let (mut made, mut preimages) = (Made::default(), Preimages::default());
        for (address, entry) in dirty {
            let (key, in_base) = (entry.key, entry.in_base);
            match entry.seal(base, &mut made, &mut preimages.slots)? {
                Some(account) => {
                    if !in_base {
                        preimages.accounts.push((key, *address));
                    }
                    if let Some(code) = codes.get(&account.program.code_hash) {
                        made.codes.insert(account.program.code_hash, code.clone());
                    }
                    leaves.put(key, &account);
                    changed.push((*address, account));
                }
                None if in_base => {
                    made.storages.push((key, Trie::new()));
                    leaves.delete(key);
                    changed.push((*address, StateAccount::default()));
                }
                None => {}
            }
        }
        Ok(Finished { state: base.changed(&leaves.changes(), made)?, changed, preimages })
    }

    fn entry(&mut self, address: Address) -> Result<&mut Entry, StateError> {
        load(&self.base, &mut self.entries, address)
    }

    fn remember(&mut self, address: Address) -> Result<(), StateError> {
        if self.undo.is_none() {
            return Ok(());
        }
        let entry = self.entry(address)?;
        let undo = Undo::Account { address, account: entry.account.clone(), dirty: entry.dirty };
        self.undo.get_or_insert_default().push(undo);
        Ok(())
    }

    fn remove(&mut self, address: Address) -> Result<(), StateError> {
        self.remember(address)?;
        self.wipe_storage(address)?;
        self.entry(address)?.account = None;
        Ok(())
    }

    /// Writes nonce, balance and code of an account that was not created by a contract creation.
    fn write_info(&mut self, address: Address, info: AccountInfo, placeholder: bool) -> Result<(), StateError> {
        let code_info = self.level.code_info();
        let before = self.account(address)?.map(|account| account.program.code_hash);
        if info.code_hash != before.unwrap_or(EMPTY_CODE_HASH) {
            self.note_code(&info);
        } else if before.is_none() && info.is_empty() {
            return Ok(());
        }
        let absent = || match placeholder {
            true => StateAccount::contract(0, U256::ZERO, Program { code_info, ..Program::default() }),
            false => StateAccount::default(),
        };
        self.change(address, absent, |account| {
            account.nonce = info.nonce;
            account.balance = info.balance;
            if account.program.code_hash != info.code_hash {
                account.program.code_hash = info.code_hash;
                // The only code that changes is the delegation of a user: spec 40, section 1.12.
                let delegates = info.code_hash != EMPTY_CODE_HASH;
                account.program.code_info = if delegates { CodeInfo::ISTANBUL } else { CodeInfo::GENESIS };
            }
        })
    }

    fn note_code(&mut self, info: &AccountInfo) {
        if let Some(code) = &info.code
            && info.code_hash != EMPTY_CODE_HASH
        {
            // A creation before Prague leaves what looks like a delegation as ordinary code; from Prague on it is one.
            self.codes.entry(info.code_hash).or_insert_with(|| match code.original_byte_slice() {
                [0xef, 0x01, ..] if !code.is_eip7702() => bytecode(code.original_bytes()),
                _ => code.clone(),
            });
        }
    }

    fn code_at(&self, hash: B256) -> Result<Bytecode, StateError> {
        let code = match self.codes.get(&hash) {
            Some(code) => code.clone(),
            None => self.base.bytecode(&hash)?,
        };
        // What looks like a delegation is ordinary code to the machine before Prague.
        if code.is_eip7702() && !self.level.is_since(Level::Prague) {
            return Ok(Bytecode::new_legacy(code.original_bytes()));
        }
        Ok(code)
    }
}

impl Entry {
    /// Root of the parent's storage; none where storage is void.
    fn base_root(&self) -> Option<B256> {
        let root = self.account.as_ref().filter(|_| !self.wiped)?.program.storage_root;
        (root != EMPTY_ROOT).then_some(root)
    }

    /// The word in a slot, which is the parent's when it is met for the first time.
    fn word(&mut self, base: &State, slot: U256) -> Result<&mut Word, StateError> {
        let root = self.base_root();
        match self.words.entry(slot) {
            MapEntry::Occupied(word) => Ok(word.into_mut()),
            MapEntry::Vacant(place) => {
                let key = keccak256(B256::from(slot));
                let value = match root {
                    None => U256::ZERO,
                    Some(root) => base.word(self.trie.get_or_insert_with(|| base.storage_trie(root)), &key)?,
                };
                Ok(place.insert(Word { key, now: value, base: value }))
            }
        }
    }

    /// The leaf to write, with the storage root brought up to date; `None` to delete. Slots that were not there go into
    /// `slots`. What the entry held is gone.
    fn seal(
        &mut self,
        base: &State,
        made: &mut Made,
        slots: &mut Vec<(B256, B256)>,
    ) -> Result<Option<StateAccount>, StateError> {
        let Some(mut account) = self.account.take() else { return Ok(None) };
        let wiped = self.wiped;
        let words = core::mem::take(&mut self.words);
        let mut changes: Vec<_> = words
            .into_iter()
            .filter(|(_, word)| word.now != if wiped { U256::ZERO } else { word.base })
            .map(|(slot, word)| {
                if wiped || word.base.is_zero() {
                    slots.push((word.key, B256::from(slot)));
                }
                (word.key, encode_word(word.now))
            })
            .collect();
        if !changes.is_empty() {
            changes.sort_unstable_by_key(|(key, _)| *key);
            let before = match self.trie.take() {
                Some(trie) if !wiped => trie,
                _ => base.storage_trie(account.program.storage_root),
            };
            let after = base.changed_trie(&before, &changes)?;
            account.program.storage_root = after.root();
            made.storages.push((self.key, after));
        }
        Ok(Some(account))
    }
}

/// The changes to the account trie, all leaves in one buffer.
#[derive(Debug)]
struct Leaves {
    bytes: Vec<u8>,
    /// With where the leaf ends; a deleted key has none.
    ends: Vec<(B256, Option<usize>)>,
}

impl Leaves {
    /// For so many accounts.
    fn with_capacity(accounts: usize) -> Self {
        /// The leaf of a user with a small balance and the key that every account starts with.
        const USUAL: usize = 32;
        Self { bytes: Vec::with_capacity(accounts * USUAL), ends: Vec::with_capacity(accounts) }
    }

    fn put(&mut self, key: B256, account: &StateAccount) {
        account.encode_into(&mut self.bytes);
        self.ends.push((key, Some(self.bytes.len())));
    }

    fn delete(&mut self, key: B256) {
        self.ends.push((key, None));
    }

    fn changes(&self) -> Vec<(B256, Option<&[u8]>)> {
        let mut start = 0;
        let mut leaf = |end| &self.bytes[core::mem::replace(&mut start, end)..end];
        self.ends.iter().map(|(key, end)| (*key, end.map(&mut leaf))).collect()
    }
}

impl Undo {
    const fn address(&self) -> &Address {
        match self {
            Self::Account { address, .. } | Self::Word { address, .. } | Self::Wipe { address, .. } => address,
        }
    }
}

fn load<'e>(base: &State, entries: &'e mut AddressMap<Entry>, address: Address) -> Result<&'e mut Entry, StateError> {
    match entries.entry(address) {
        MapEntry::Occupied(entry) => Ok(entry.into_mut()),
        MapEntry::Vacant(place) => {
            let key = keccak256(address);
            let account = base.account_at(&key)?;
            let in_base = account.is_some();
            Ok(place.insert(Entry {
                key,
                account,
                in_base,
                wiped: false,
                dirty: false,
                trie: None,
                words: U256Map::default(),
            }))
        }
    }
}

/// The value of a storage leaf; none for zero, which is not stored.
fn encode_word(word: U256) -> Option<Vec<u8>> {
    (!word.is_zero()).then(|| rlp::encode(&word.to_be_bytes_trimmed_vec()).into())
}

impl Database for World {
    type Error = WorldError;

    fn basic(&mut self, address: Address) -> Result<Option<AccountInfo>, WorldError> {
        let Self { base, entries, keyed, .. } = self;
        let Some(account) = &load(base, entries, address)?.account else { return Ok(None) };
        let has_code = account.has_code();
        Ok(Some(AccountInfo {
            balance: account.balance,
            nonce: account.nonce,
            code_hash: account.program.code_hash,
            account_id: None,
            code: (!has_code).then(Bytecode::default),
            extension: match account.kind == Kind::Eoa && account.key != AccountKey::Legacy {
                true => keyed.clone(),
                false => AccountExtension::new(),
            },
        }))
    }

    fn code_by_hash(&mut self, hash: B256) -> Result<Bytecode, WorldError> {
        Ok(self.code_at(hash)?)
    }

    fn storage(&mut self, address: Address, slot: U256) -> Result<U256, WorldError> {
        Ok(self.word(address, slot)?)
    }

    fn block_hash(&mut self, number: u64) -> Result<B256, WorldError> {
        Ok(self.hashes.block_hash(number).unwrap_or_default())
    }
}

impl AccountSource for World {
    fn read_account<R>(
        &self,
        address: Address,
        read: impl FnOnce(Option<&StateAccount>) -> R,
    ) -> Result<R, StateError> {
        match self.entries.get(&address) {
            Some(entry) => Ok(read(entry.account.as_ref())),
            None => self.base.read_account(address, read),
        }
    }
}
