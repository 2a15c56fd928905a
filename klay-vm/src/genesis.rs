//! The state that a genesis describes, and the block over it.
//!
//! Empty accounts of a genesis are kept, unlike those of later blocks.
//!
//! Source: spec 30, section 2.3; `blockchain/genesis.go` in the reference client.

use klay_accounts::{CodeInfo, Program, StateAccount, account::Kind};
use klay_core::{
    B256, Fork, Rules, U256,
    block::Header,
    genesis::{Genesis, GenesisAccount},
    keccak256,
    storage::{Batch, Table},
    trie::{EMPTY_ROOT, Trie, TrieError},
};

/// An EIP-7702 designator is this and an address.
const DELEGATION_PREFIX: [u8; 3] = [0xef, 0x01, 0x00];
/// Length of a designator, in bytes.
const DELEGATION_LEN: usize = 23;

/// Builds the state of `genesis`, adds its nodes and codes to `batch`, and returns the header over it.
///
/// The governance field is what [`Genesis::governance`] holds: call [`Genesis::prepared`] before for the genesis that a
/// node would write.
///
/// ```
/// use klay_core::{Address, U256, config::ChainConfig, genesis::{Genesis, GenesisAccount}, storage::Batch};
///
/// let mut genesis = Genesis::new(ChainConfig::all_forks(1337), vec![Address::repeat_byte(1)]).prepared()?;
/// let rich = GenesisAccount { balance: U256::from(10), ..GenesisAccount::default() };
/// genesis.alloc.insert(Address::repeat_byte(2), rich);
/// let mut batch = Batch::default();
/// let header = klay_vm::genesis::genesis_block(&genesis, &mut batch)?;
/// assert_eq!(header.number, 0);
/// assert!(!batch.is_empty());
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// None that a genesis can cause: the trie is built in memory.
pub fn genesis_block(genesis: &Genesis, batch: &mut Batch) -> Result<Header, TrieError> {
    let rules = genesis.config.rules(genesis.number);
    let mut leaves = Vec::with_capacity(genesis.alloc.len());
    for (address, account) in &genesis.alloc {
        let account = state_account(account, rules, batch)?;
        leaves.push((keccak256(address), Some(account.encode())));
    }
    let root = build(leaves, batch)?;
    Ok(genesis.header(root))
}

/// The account at genesis; its storage and code go into `batch`.
fn state_account(account: &GenesisAccount, rules: Rules, batch: &mut Batch) -> Result<StateAccount, TrieError> {
    let has_code = !account.code.is_empty();
    let has_storage = !account.storage.is_empty();
    let is_prague = rules.has(Fork::Prague);
    let is_delegation = is_prague && is_designator(&account.code);
    let kind = if is_delegation || !has_code && (is_prague || !has_storage) { Kind::Eoa } else { Kind::Contract };
    let code_info = if has_code && rules.has(Fork::Istanbul) { CodeInfo::ISTANBUL } else { CodeInfo::GENESIS };

    let code_hash = keccak256(&account.code);
    if has_code {
        batch.put(Table::Code, code_hash.as_slice(), account.code.as_ref());
    }
    let program = Program { storage_root: storage_root(account, batch)?, code_hash, code_info };
    Ok(match kind {
        Kind::Eoa => StateAccount { program, ..StateAccount::eoa(account.nonce, account.balance) },
        Kind::Contract => StateAccount::contract(account.nonce, account.balance, program),
    })
}

fn storage_root(account: &GenesisAccount, batch: &mut Batch) -> Result<B256, TrieError> {
    let words = account.storage.iter().filter(|(_, value)| !value.is_zero());
    let leaves = words.map(|(slot, value)| {
        let mut leaf = Vec::with_capacity(33);
        klay_core::codec::put_u256(U256::from_be_bytes(value.0), &mut leaf);
        (keccak256(slot), Some(leaf))
    });
    build(leaves.collect(), batch)
}

fn build(mut leaves: Vec<(B256, Option<Vec<u8>>)>, batch: &mut Batch) -> Result<B256, TrieError> {
    if leaves.is_empty() {
        return Ok(EMPTY_ROOT);
    }
    leaves.sort_unstable();
    let trie = Trie::new().update(&(), &leaves)?;
    // The trie is dropped with its marks; whoever opens the state reads it from the store.
    let _ = trie.commit(batch);
    Ok(trie.root())
}

fn is_designator(code: &[u8]) -> bool {
    code.len() == DELEGATION_LEN && code.starts_with(&DELEGATION_PREFIX)
}
