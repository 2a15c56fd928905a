//! What a genesis has to hold for the load: funds, a token and a counter.

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256, Bytes, U256, address, keccak256};
use klay_core::genesis::GenesisAccount;

use super::Workload;

/// Where the token stands in a genesis.
pub const TOKEN: Address = address!("0x4c6f616400000000000000000000000000000001");
/// Where the counter stands in a genesis.
pub const COUNTER: Address = address!("0x4c6f616400000000000000000000000000000002");

/// Runtime code of the token. Source: spec 75, section 1; solc 0.8.24, EVM istanbul, one optimizer run, no metadata.
const TOKEN_CODE: &str = include_str!("token.hex");
/// Runtime code of the counter, compiled like the token.
const COUNTER_CODE: &str = include_str!("counter.hex");

impl Workload {
    /// The accounts to add to a genesis: 10^24 peb for each sender and payer, and the two contracts, with 10^24 units
    /// of the token for each sender.
    pub fn alloc(&self) -> BTreeMap<Address, GenesisAccount> {
        let funds = U256::from(10).pow(U256::from(24));
        let rich = GenesisAccount { balance: funds, ..GenesisAccount::default() };
        let mut alloc: BTreeMap<_, _> =
            self.senders().chain(self.payers()).map(|address| (address, rich.clone())).collect();
        let mut storage: BTreeMap<B256, B256> =
            self.senders().map(|sender| (balance_slot(sender), B256::from(funds))).collect();
        storage.insert(B256::with_last_byte(2), B256::from(U256::from(10).pow(U256::from(28))));
        alloc.insert(TOKEN, GenesisAccount { code: code(TOKEN_CODE), storage, ..GenesisAccount::default() });
        alloc.insert(COUNTER, GenesisAccount { code: code(COUNTER_CODE), ..GenesisAccount::default() });
        alloc
    }
}

fn balance_slot(owner: Address) -> B256 {
    let mut key = [0; 64];
    key[12..32].copy_from_slice(owner.as_slice());
    keccak256(key)
}

fn code(text: &str) -> Bytes {
    hex::decode(text).expect("written here as hex").into()
}
