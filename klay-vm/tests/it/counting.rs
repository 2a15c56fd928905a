//! The cost that the fast loop counts is the one that a tracer sees counted instruction by instruction, and so is the
//! limit.
//!
//! Source: spec 40, sections 1.13 and 3.1.

use crate::kit::*;
use klay_core::{Fork, U256};
use klay_vm::{Executed, trace::Tracer};
use proptest::prelude::*;

/// Wants to know nothing.
struct Blind;

impl Tracer for Blind {}

/// Instructions that often have enough on the stack; jumps go to the first byte, which is a destination.
fn instruction() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        8 => any::<u8>().prop_map(|byte| vec![0x60, byte]),
        4 => (0x80..=0x83u8).prop_map(|dup| vec![dup]),
        4 => prop::sample::select(&[0x01, 0x02, 0x03, 0x10, 0x14, 0x16, 0x18, 0x1b, 0x50, 0x58, 0x59, 0x5a, 0x5b][..])
            .prop_map(|op| vec![op]),
        2 => prop::sample::select(&[0x20, 0x51, 0x52, 0x54, 0x55][..]).prop_map(|op| vec![0x60, 0x40, 0x60, 0x20, op]),
        2 => Just(vec![0x60, 0, 0x57]),
        1 => Just(vec![0x60, 0, 0x56]),
        1 => (1..=9u8).prop_map(|contract| asm().call(number(contract.into()), 0, 0).0),
        1 => Just(vec![0x30, 0x31]),
        1 => any::<u8>().prop_map(|op| vec![op]),
    ]
}

/// The pairing contract with zeros, so often that the limit is near or passed.
fn near_the_limit() -> impl Strategy<Value = Vec<u8>> {
    let pairing = |pairs: u64| {
        let asm = asm().push(U256::ZERO).push(U256::ZERO).push(U256::from(192 * pairs)).push(U256::ZERO);
        asm.push(U256::ZERO).address(number(8)).push(U256::from(45_000 + 34_000 * pairs)).op(&[0xf1, 0x50]).0
    };
    prop_oneof![2 => Just(Vec::new()), 1 => (146..=148u64).prop_map(pairing)]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(128) })]

    #[test]
    fn with_and_without_a_tracer(
        near in near_the_limit(),
        code in prop::collection::vec(instruction(), 1..60),
        gas in 5_300_000u64..9_000_000,
        fork in prop::sample::select(&[Fork::Istanbul, Fork::Kore, Fork::Osaka][..]),
    ) {
        let code = [vec![0x5b], near, code.concat()].concat();
        let run = |is_traced: bool| {
            let mut kit = Kit::up_to(fork);
            let contract = kit.deploy(&code);
            let tx = kit.legacy(1, Some(contract), 0, &[], gas);
            if is_traced { kit.block.trace(&recover(tx), Blind).0 } else { kit.execute(tx) }
        };
        let [fast, traced] = [run(false), run(true)].map(|executed| executed.unwrap());
        let facts = |done: &Executed| (done.receipt.status, done.receipt.gas_used, done.computation_cost);
        prop_assert_eq!(facts(&fast), facts(&traced));
    }
}
