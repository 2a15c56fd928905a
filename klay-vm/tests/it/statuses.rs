//! Each receipt status that execution can reach, and the gas that goes with it.
//!
//! Source: spec 40, sections 1.13, 4.5 and 4.10.

use crate::kit::*;
use klay_core::{Fork, U256};

/// The status of a call of `code` and whether all gas was consumed.
fn run(fork: Fork, code: Vec<u8>, gas: u64) -> (u8, bool) {
    let mut kit = Kit::up_to(fork);
    let contract = kit.deploy(&code);
    let receipt = kit.call_with(contract, &[], gas).receipt;
    (receipt.status.0, receipt.gas_used == gas)
}

/// The status of a creation with this init code.
fn create(fork: Fork, init: &[u8], gas: u64) -> (u8, bool) {
    let mut kit = Kit::up_to(fork);
    let tx = kit.legacy(1, None, 0, init, gas);
    let receipt = kit.execute(tx).unwrap().receipt;
    (receipt.status.0, receipt.gas_used == gas)
}

#[test]
fn failures_of_the_outermost_frame_have_their_codes() {
    const GAS: u64 = 200_000;
    let max = U256::MAX;
    let cases: Vec<(&str, Vec<u8>, (u8, bool))> = vec![
        ("success", asm().stop(), (0x01, false)),
        ("invalid opcode", asm().op(&[0xfe]).0, (0x02, true)),
        ("undefined opcode", asm().op(&[0x0c]).0, (0x02, true)),
        ("stack underflow", asm().op(&[0x01]).0, (0x02, true)),
        ("bad jump", asm().push(U256::from(3)).op(&[0x56]).0, (0x02, true)),
        (
            "return data out of bounds",
            asm().push(U256::from(1)).push(U256::ZERO).push(U256::ZERO).op(&[0x3e]).0,
            (0x02, true),
        ),
        ("memory offset beyond 64 bits", asm().push(max).op(&[0x51]).0, (0x02, true)),
        ("memory range beyond 64 bits", asm().push(U256::from(u64::MAX - 5)).op(&[0x51]).0, (0x02, true)),
        ("memory nobody can pay", asm().push(U256::from(1u64 << 40)).op(&[0x51]).0, (0x07, true)),
        (
            "copy range beyond 64 bits",
            asm().push(U256::from(100)).push(U256::ZERO).push(U256::from(u64::MAX - 5)).op(&[0x37]).0,
            (0x02, true),
        ),
        (
            "copy nobody can pay",
            asm().push(U256::from(1u64 << 40)).push(U256::ZERO).push(U256::ZERO).op(&[0x37]).0,
            (0x07, true),
        ),
        ("revert", asm().push(U256::ZERO).push(U256::ZERO).op(&[0xfd]).0, (0x09, false)),
        ("endless loop", asm().op(&[0x5b, 0x60, 0, 0x56]).0, (0x07, true)),
    ];
    for (what, code, expected) in cases {
        assert_eq!(run(Fork::Osaka, code, GAS), expected, "{what}");
    }
}

#[test]
fn the_stack_is_looked_at_before_the_gas() {
    // 21,000 and one gas left: ADD would cost 3 and has nothing to add.
    assert_eq!(run(Fork::Osaka, asm().op(&[0x01]).0, 21_001), (0x02, true));
    assert_eq!(run(Fork::Osaka, asm().push(U256::ONE).0, 21_001), (0x07, true));
    // CREATE takes 32,000 before its range is looked at.
    let code = asm().push(U256::ONE).push(U256::MAX).push(U256::ZERO).op(&[0xf0]).0;
    assert_eq!(run(Fork::Osaka, code.clone(), 30_000), (0x07, true));
    assert_eq!(run(Fork::Osaka, code, 200_000), (0x02, true));
}

#[test]
fn return_data_is_paid_for_before_its_bounds_are_looked_at() {
    let copy = |len: u64| asm().push(U256::from(len)).push(U256::ZERO).push(U256::ZERO).op(&[0x3e]).0;
    assert_eq!(run(Fork::Osaka, copy(1_000_000), 100_000), (0x07, true));
    assert_eq!(run(Fork::Osaka, copy(100), 100_000), (0x02, true));
}

#[test]
fn failures_of_a_creation_have_their_codes() {
    // Returns this many zero bytes.
    let zeros = |len: u64| asm().push(U256::from(len)).push(U256::ZERO).op(&[0xf3]).0;
    assert_eq!(create(Fork::Osaka, &zeros(24_577), 10_000_000), (0x06, true));
    assert_eq!(create(Fork::Osaka, &zeros(24_576), 10_000_000).0, 0x01);
    assert_eq!(create(Fork::Osaka, &zeros(24_576), 1_000_000), (0x05, true));
    assert_eq!(create(Fork::Osaka, &init_code(&[0xef]), 1_000_000), (0x02, true));
}

#[test]
fn an_account_in_the_way_is_a_collision() {
    // Before Shanghai any account, even one with a balance only.
    for (fork, status) in [(Fork::Kore, 0x04), (Fork::Shanghai, 0x01)] {
        let mut kit = Kit::up_to(fork);
        kit.send(2, transfer(created(1, 0), 1)).unwrap();
        let tx = kit.legacy(1, None, 0, &init_code(&[0]), 1_000_000);
        let receipt = kit.execute(tx).unwrap().receipt;
        assert_eq!(receipt.status.0, status, "{fork:?}");
        assert_eq!(receipt.gas_used == 1_000_000, status == 0x04);
        assert_eq!(kit.block.nonce(user(1)).unwrap(), 1);
        // The balance is carried over.
        assert_eq!(kit.balance(created(1, 0)), 1);
    }
}

#[test]
fn the_cost_limit_ends_every_frame() {
    // JUMPDEST PUSH1 0 JUMP: 383 cost and 12 gas a round. Source: spec 40, section 3.2.
    let endless = asm().op(&[0x5b, 0x60, 0, 0x56]).0;
    for (fork, rounds) in [(Fork::Kore, 261_097u64), (Fork::Osaka, 391_645)] {
        let enough = 21_000 + rounds * 12;
        assert_eq!(run(fork, endless.clone(), enough + 1_000), (0x0a, true), "{fork:?}");
        assert_eq!(run(fork, endless.clone(), enough - 1_000), (0x07, true), "{fork:?}");
        // Within a call as well: the caller's next instruction fails in the same way.
        let mut kit = Kit::up_to(fork);
        let inner = kit.deploy(&endless);
        let outer = kit.deploy(&asm().call(inner, 0, 0).store(0).stop());
        let receipt = kit.call_with(outer, &[], 20_000_000).receipt;
        assert_eq!((receipt.status.0, receipt.gas_used), (0x0a, 20_000_000));
    }
}

#[test]
fn a_transaction_without_much_gas_fails_the_same_unmetered() {
    let endless = asm().op(&[0x5b, 0x60, 0, 0x56]).0;
    assert_eq!(run(Fork::Osaka, endless, 150_000), (0x07, true));
}
