//! The traps of the machine's specification that no public suite covers, one test each.
//!
//! Source: spec 40, section 10 (the number is in each test), with 1.9, 1.13, 2.2, 2.3, 3.1 and 4.2.

use crate::kit::*;
use klay_core::{
    Address, B256, Bytes, Fork, Rules, U256,
    config::ChainConfig,
    genesis::{Genesis, GenesisAccount},
    storage::{Batch, KeyValue, Memory},
    tx::{DynamicPrice, EthereumFields, EthereumKind},
};
use klay_vm::{BlockExecutor, State, genesis::genesis_block};

/// Calls the pairing contract with zeros: 2,000,000 cost and 1,000,000 more for each pair.
fn pairing(pairs: u64) -> Asm {
    let asm = asm().push(U256::ZERO).push(U256::ZERO).push(U256::from(192 * pairs)).push(U256::ZERO);
    asm.push(U256::ZERO).address(number(8)).push(U256::from(45_000 + 34_000 * pairs)).op(&[0xf1])
}

/// The whole limit since Cancun. The next instruction is the first to notice.
fn spends_the_limit() -> Asm {
    pairing(148)
}

/// The status of a call of `code` with this much gas.
fn status(code: Vec<u8>, gas: u64) -> u8 {
    let mut kit = Kit::up_to(Fork::Osaka);
    let contract = kit.deploy(&code);
    kit.call_with(contract, &[], gas).receipt.status.0
}

/// Trap 8: which of several failures of one instruction counts.
#[test]
fn the_cost_is_looked_at_after_stack_and_constant_gas_and_before_memory_and_dynamic_gas() {
    let after = |rest: &[u8]| status(spends_the_limit().op(rest).0, 20_000_000);
    assert_eq!(after(&[0x50]), 0x0a, "an instruction without another fault");
    assert_eq!(after(&[]), 0x0a, "the STOP behind the end of the code costs nothing and is compared");
    assert_eq!(after(&[0x0c]), 0x02, "an instruction that does not exist");
    assert_eq!(after(&[0x01]), 0x02, "an instruction with too little on the stack");
    // The stack holds a length and the result of the call: LOG0 would fail by its range, or by its price.
    let log = |len: U256| {
        let code = [asm().push(len).0, spends_the_limit().0, vec![0xa0]].concat();
        status(code, 20_000_000)
    };
    assert_eq!((log(U256::MAX), log(U256::from(1u64 << 40))), (0x0a, 0x0a));
}

/// Trap 8: an instruction whose constant gas is not there fails for that, and its cost is not counted.
#[test]
fn constant_gas_is_looked_at_before_the_cost() {
    // A little less than the limit by precompiled contracts, then memory for some 30,000 gas.
    let recover = |asm: Asm| asm.call(number(1), 0, 0).op(&[0x50]);
    let head = (0..8).fold(pairing(147).op(&[0x50]), |asm, _| recover(asm)).push(U256::from(112_000)).op(&[0x51, 0x50]);
    let mut kit = Kit::up_to(Fork::Osaka);
    let contract = kit.deploy(&head.clone().stop());
    let base = kit.call_with(contract, &[], 20_000_000).computation_cost;
    // CREATE brings the sum over the limit: 2,094 cost and 32,000 constant gas.
    let fill = usize::try_from((150_000_000 - base - 3 * 120) / 10).unwrap();
    let create = head.op(&vec![0x5b; fill]).push(U256::ZERO).push(U256::ZERO).push(U256::ZERO).op(&[0xf0]).0;
    let statuses: Vec<u8> = (0..12).map(|n| status(create.clone(), 5_100_000 + 10_000 * n)).collect();
    let first = statuses.iter().position(|status| *status == 0x0a).unwrap();
    assert!(first > 0 && statuses[..first].iter().all(|s| *s == 0x07), "{statuses:02x?}");
    assert!(statuses[first..].iter().all(|s| *s == 0x0a), "{statuses:02x?}");
}

/// Trap 10: the sum is kept by reverted frames, begins anew with each transaction, and wraps around.
#[test]
fn the_cost_is_never_given_back() {
    let mut kit = Kit::up_to(Fork::Prague);
    let work = |end: u8| {
        let work = (0..50).fold(asm(), |asm, n| asm.push(U256::from(n)).push(U256::ONE).op(&[0x01, 0x50]));
        work.push(U256::ZERO).push(U256::ZERO).op(&[end]).0
    };
    let calls = |kit: &mut Kit, inner: Address| {
        let outer = kit.deploy(&asm().call(inner, 0, 0).op(&[0x50]).stop());
        kit.call(outer, &[]).computation_cost
    };
    let (returns, reverts) = (kit.deploy(&work(0xf3)), kit.deploy(&work(0xfd)));
    let cost = calls(&mut kit, returns);
    assert_eq!(cost, calls(&mut kit, reverts), "RETURN and REVERT cost nothing");
    assert_eq!(cost, calls(&mut kit, returns), "each transaction begins at zero");
    assert!(cost > 50 * (120 + 120 + 150 + 140));
}

/// Trap 10: an exponentiation of impossible length costs 2^64-1, by which the sum goes down by one.
#[test]
fn an_impossible_exponentiation_takes_one_from_the_sum() {
    for (fork, change) in [(Fork::Magma, -1), (Fork::Prague, -1)] {
        let mut kit = Kit::up_to(fork);
        let lengths = [0xff; 96];
        let mut cost = |contract: u64| {
            let code = asm().memory(&lengths).call(number(contract), 0, lengths.len()).op(&[0x50]).stop();
            let caller = kit.deploy(&code);
            i128::from(kit.call(caller, &[]).computation_cost)
        };
        // The identity costs nothing.
        let (modexp, identity) = (cost(5), cost(4));
        assert_eq!(modexp - identity, change, "{fork:?}");
    }
}

/// Trap 5: what the node installs has machine version 0 in every block.
#[test]
fn contracts_of_the_node_have_the_oldest_precompiled_contracts() {
    let mut kit = Kit::up_to(Fork::Osaka);
    let registry = number(0x401);
    let code = asm().call(number(0x0a), 0, 0).store(0).op(&[0x3d]).store(1).stop();
    kit.block.set_code(registry, code.clone().into()).unwrap();
    kit.call(registry, &[]);
    assert_eq!((kit.storage(registry, 0), kit.storage(registry, 1)), (U256::ONE, U256::from(20)), "feePayer");
    let ordinary = kit.deploy(&code);
    kit.call(ordinary, &[]);
    assert_eq!(kit.storage(ordinary, 1), U256::ZERO, "a point evaluation without input fails");
}

/// Trap 9: a call without value deletes an empty account that it finds, a static call leaves it.
#[test]
fn a_static_call_does_not_touch() {
    let (empty, by_call, by_static) = (user(50), Address::repeat_byte(0x51), Address::repeat_byte(0x52));
    let mut genesis = Genesis::new(ChainConfig::new(CHAIN_ID), vec![]);
    let contract = |code: Vec<u8>| GenesisAccount { code: code.into(), ..GenesisAccount::default() };
    genesis.alloc.insert(user(1), GenesisAccount { balance: U256::from(1000 * KLAY), ..GenesisAccount::default() });
    genesis.alloc.insert(empty, GenesisAccount::default());
    genesis.alloc.insert(by_call, contract(asm().call(empty, 0, 0).stop()));
    genesis.alloc.insert(by_static, contract(asm().call_by(0xfa, empty, 0).stop()));
    let mut batch = Batch::default();
    let header = genesis_block(&genesis, &mut batch).unwrap();
    let store = Memory::new();
    store.write(batch).unwrap();
    let state = State::open(std::sync::Arc::new(store), header.state_root);
    assert!(state.account(empty).unwrap().is_some(), "genesis keeps what is empty");
    let rules = Rules::up_to(Fork::Osaka);
    let mut kit = Kit { block: BlockExecutor::new(state, context(rules)), rules };
    kit.call(by_static, &[]);
    assert!(kit.block.account(empty).unwrap().is_some());
    kit.call(by_call, &[]);
    assert!(kit.block.account(empty).unwrap().is_none());
}

/// Trap 11: the fee of a blob is taken whole, whatever becomes of the gas.
#[test]
fn a_blob_fee_is_not_returned() {
    let mut kit = Kit::up_to(Fork::Osaka);
    let before = kit.balance(user(1));
    let mut blob = B256::repeat_byte(0xbb);
    blob.0[0] = 1;
    let kind = EthereumKind::Blob {
        price: DynamicPrice { tip: U256::ZERO, cap: U256::from(PRICE) },
        max_fee_per_blob_gas: U256::from(10 * PRICE),
        versioned_hashes: vec![blob],
    };
    let done = kit.execute(typed(EthereumFields { input: Bytes::new(), ..fields(0, user(2), kind) }, 1)).unwrap();
    let gas = u128::from(done.receipt.gas_used) * u128::from(PRICE);
    assert_eq!(done.receipt.gas_used, 21_000);
    assert_eq!(before - kit.balance(user(1)), gas + 131_072 * 8 * u128::from(PRICE));
}

/// Trap 15: Ethereum's cap of 2^24 gas for a transaction does not exist.
#[test]
fn a_transaction_may_have_more_gas_than_ethereum_allows() {
    let mut kit = Kit::up_to(Fork::Osaka);
    let contract = kit.deploy(&asm().op(&[0x5a]).store(0).stop());
    kit.call_with(contract, &[], 400_000_000);
    assert!(kit.storage(contract, 0) > U256::from(399_000_000));
}
