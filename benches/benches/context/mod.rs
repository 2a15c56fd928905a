//! The block that the benchmarks execute in.

use alloy_primitives::{Address, U256};
use klay_core::{Fork, Rules, block::Header};
use klay_vm::BlockContext;

pub(crate) const CHAIN: u64 = 1001;
/// Price per gas, in peb.
pub(crate) const PRICE: u64 = 25_000_000_000;
pub(crate) const PROPOSER: Address = Address::repeat_byte(0xc0);

pub(crate) fn context() -> BlockContext {
    let header = Header {
        rewardbase: Address::repeat_byte(0xbb),
        block_score: U256::ONE,
        number: 100,
        timestamp: 1_700_000_000,
        base_fee: Some(U256::from(PRICE)),
        excess_blob_gas: Some(0),
        ..Header::default()
    };
    BlockContext::new(CHAIN, Rules::up_to(Fork::Osaka), &header, PROPOSER)
}
