//! The published load, byte for byte.

use alloy_primitives::{U256, address, keccak256};
use klay_node::workload::{Mix, TOKEN, Workload};

#[test]
fn the_first_accounts_are_the_published_ones() {
    let load = Workload::new(1, 2019);
    assert_eq!(load.senders().next(), Some(address!("0xf5aeb14c17871ffA40F1326E8bbE1E798656c09F")));
    assert_eq!(load.payers().next(), Some(address!("0x3b2B3556e8Fcd86A0CB230a1A22F23dC922830ad")));
    assert_eq!(load.receivers()[0], address!("0xd4cfe1958e9f85581aa21c09e9a78ea46c4a011d"));
}

#[test]
fn the_first_thousand_hashes_of_each_mix_are_the_published_ones() {
    let load = Workload::new(1, 2019);
    for mix in [Mix::Transfer, Mix::App, Mix::Sponsored, Mix::Ethereum] {
        let plans = load.plan(mix, 1_000, &mut load.nonces());
        let hashes: Vec<u8> = plans.iter().flat_map(|plan| load.sign(plan).unwrap().hash().0).collect();
        assert_eq!(keccak256(hashes).to_string(), mix.check(), "{mix:?}");
    }
}

#[test]
fn the_genesis_part_funds_senders_payers_and_the_token() {
    let load = Workload::new(1, 2019);
    let alloc = load.alloc();
    assert_eq!(alloc.len(), 10_000 + 16 + 2);
    let token = &alloc[&TOKEN];
    let held: U256 =
        token.storage.iter().filter(|(slot, _)| slot[..31] != [0; 31]).map(|(_, v)| U256::from_be_bytes(v.0)).sum();
    assert_eq!(held, U256::from(10).pow(U256::from(28)));
    assert_eq!(token.storage.len(), 10_001);
}
