//! Calls without transactions, estimates, access lists, and the call at the beginning of a block.
//!
//! Source: spec 40, sections 5.1, 6.1 and 6.2.

use std::collections::BTreeMap;

use crate::kit::*;
use klay_core::{Address, B256, Bytes, Fork, Rules, U256, address, block::Status};
use klay_vm::{
    CallError, CallRequest, Deadline, State, TxError,
    call::{AccountOverride, Estimate, call, create_access_list, estimate_gas},
};

/// A state with these contracts.
fn deployed(codes: &[Vec<u8>]) -> (State, Vec<Address>) {
    let mut kit = Kit::up_to(Fork::Osaka);
    let addresses = codes.iter().map(|code| kit.deploy(code)).collect();
    (stored(&kit.block.finish().unwrap().state), addresses)
}

fn osaka() -> klay_vm::BlockContext {
    context(Rules::up_to(Fork::Osaka))
}

fn request(to: Address) -> CallRequest {
    CallRequest { to: Some(to), gas: 1_000_000, ..CallRequest::default() }
}

/// Returns the word on top of the stack.
const RETURN_WORD: [u8; 8] = [0x60, 0, 0x52, 0x60, 32, 0x60, 0, 0xf3];

#[test]
fn a_call_answers_and_changes_nothing() {
    let code = asm().push(U256::from(7)).store(0).push(U256::ZERO).op(&[0x54]).op(&RETURN_WORD).0;
    let (state, to) = deployed(&[code]);
    let outcome = call(&state, &osaka(), &request(to[0])).unwrap();
    assert_eq!((outcome.status, outcome.output), (Status::SUCCESS, Bytes::from(U256::from(7).to_be_bytes_vec())));
    assert_eq!(state.storage(to[0], B256::ZERO).unwrap(), U256::ZERO);
    assert!(outcome.computation_cost > 2510);
}

#[test]
fn the_fee_is_a_gift_but_the_value_is_not() {
    let (state, to) = deployed(&[asm().op(&[0x3a]).op(&RETURN_WORD).0]);
    let from = user(77);
    let rich = CallRequest { from, gas_price: U256::from(u64::MAX), ..request(to[0]) };
    assert_eq!(call(&state, &osaka(), &rich).unwrap().output[24..], u64::MAX.to_be_bytes());
    let poor = CallRequest { value: U256::ONE, ..rich };
    assert!(matches!(call(&state, &osaka(), &poor), Err(CallError::NotApplicable(TxError::InsufficientBalance))));
    let little = CallRequest { gas: 20_000, ..request(to[0]) };
    assert!(matches!(call(&state, &osaka(), &little), Err(CallError::NotApplicable(TxError::IntrinsicGas { .. }))));
}

/// Source: `StateTransition.preCheck` and `TransitionDb`; ahead of them a call asks for intrinsic gas.
#[test]
fn rules_are_asked_in_order() {
    let (state, to) = deployed(&[asm().op(&[0]).0]);
    let context = osaka();
    let base_fee = context.base_fee.unwrap();
    let refused = |request: &CallRequest| match call(&state, &context, request) {
        Err(CallError::NotApplicable(reason)) => reason,
        other => panic!("{other:?}"),
    };
    // Everything is wrong at once; what is named is put right, and the next is named.
    let from = user(77);
    let mut request = CallRequest {
        from,
        gas: 1,
        gas_price: base_fee,
        fee_cap: base_fee - U256::ONE,
        value: U256::ONE,
        input: Bytes::from(vec![1; 100]),
        authorization_list: Some(Vec::new()),
        ..request(to[0])
    };
    assert!(matches!(refused(&request), TxError::IntrinsicGas { needed: 22_600, limit: 1 }));
    request.gas = 22_600;
    assert!(matches!(refused(&request), TxError::FeeCapTooLow { .. }));
    request.fee_cap = U256::MAX;
    assert!(matches!(refused(&request), TxError::EmptyAuthorizationList));
    request.authorization_list = None;
    assert!(matches!(refused(&request), TxError::FundsOverflow));
    request.fee_cap = base_fee;
    assert!(matches!(refused(&request), TxError::InsufficientBalance));
    request.value = U256::ZERO;
    assert!(matches!(refused(&request), TxError::FloorDataGas { needed: 25_000, limit: 22_600 }));
    request.gas = 25_000;
    assert!(call(&state, &context, &request).unwrap().status.is_success());
    // A trace and a list give gas at the base fee alone, and ask for the fee ahead of the gas.
    request.gas = 1;
    (request.gas_price, request.fee_cap) = (base_fee + base_fee, base_fee + base_fee);
    let listed = create_access_list(&state, &context, &request);
    assert!(matches!(listed, Err(CallError::NotApplicable(TxError::PayerBalance))));
    (request.gas_price, request.fee_cap) = (base_fee, base_fee);
    let listed = create_access_list(&state, &context, &request);
    assert!(matches!(listed, Err(CallError::NotApplicable(TxError::IntrinsicGas { .. }))));
}

#[test]
fn reverts_and_failures_are_outcomes() {
    let revert =
        asm().push(U256::from(5)).push(U256::ZERO).op(&[0x52]).push(U256::from(32)).push(U256::ZERO).op(&[0xfd]);
    let (state, to) = deployed(&[revert.0, vec![0xfe]]);
    let outcome = call(&state, &osaka(), &request(to[0])).unwrap();
    assert!(outcome.is_revert() && outcome.output.len() == 32);
    let outcome = call(&state, &osaka(), &request(to[1])).unwrap();
    assert_eq!((outcome.status.0, outcome.error), (0x02, Some("invalid opcode")));
}

#[test]
fn there_is_no_cost_limit_but_a_deadline() {
    let endless = asm().op(&[0x5b, 0x60, 0, 0x56]).0;
    let (state, to) = deployed(&[endless]);
    let outcome = call(&state, &osaka(), &CallRequest { gas: 10_000_000, ..request(to[0]) }).unwrap();
    assert_eq!(outcome.status.0, 0x07, "out of gas, not over the cost limit");
    assert!(outcome.computation_cost > 150_000_000);
    let hurried = CallRequest { gas: 10_000_000, deadline: Some(Deadline::new(|| true)), ..request(to[0]) };
    assert!(matches!(call(&state, &osaka(), &hurried), Err(CallError::Timeout)));
}

#[test]
fn overrides_replace_parts_of_the_state() {
    let load = asm().push(U256::ONE).op(&[0x54]).op(&RETURN_WORD).0;
    let (state, to) = deployed(std::slice::from_ref(&load));
    let word = |n: u64| B256::from(U256::from(n));
    let ask = |target, with: AccountOverride| {
        let overrides = BTreeMap::from([(target, with)]);
        let outcome = call(&state, &osaka(), &CallRequest { overrides, ..request(target) }).unwrap();
        U256::from_be_slice(&outcome.output)
    };
    let diff = Some(BTreeMap::from([(word(1), word(9))]));
    assert_eq!(ask(to[0], AccountOverride { state_diff: diff.clone(), ..Default::default() }), U256::from(9));
    let code = Some(Bytes::from(load));
    assert_eq!(ask(user(88), AccountOverride { code, state: diff, ..Default::default() }), U256::from(9));
    let code = Some(Bytes::from(asm().op(&[0x47]).op(&RETURN_WORD).0));
    let balance = Some(U256::from(123));
    assert_eq!(ask(user(88), AccountOverride { code, balance, ..Default::default() }), U256::from(123));
}

#[test]
fn an_overridden_code_has_the_oldest_machine_unless_a_contract_was_there() {
    // Asks 0x3fe and answers the size of what comes back: 20 bytes where feePayer is, nothing where it is not.
    let asks = asm().call(number(0x3fe), 0, 0).op(&[0x50, 0x3d]).op(&RETURN_WORD).0;
    let (state, to) = deployed(&[vec![0x00]]);
    for (target, size) in [(user(88), 0), (user(1), 0), (to[0], 20)] {
        let code = Some(Bytes::from(asks.clone()));
        let overrides = BTreeMap::from([(target, AccountOverride { code, ..Default::default() })]);
        let outcome = call(&state, &osaka(), &CallRequest { overrides, ..request(target) }).unwrap();
        assert_eq!(U256::from_be_slice(&outcome.output), U256::from(size), "{target}");
    }
}

#[test]
fn an_estimate_is_the_least_gas_that_suffices() {
    let (state, to) =
        deployed(&[asm().push(U256::from(7)).store(0).stop(), vec![0xfe], asm().op(&[0x5b, 0x60, 0, 0x56]).0]);
    let Estimate::Gas(gas) = estimate_gas(&state, &osaka(), &request(to[0]), 500_000_000).unwrap() else {
        panic!("succeeds")
    };
    let with = |gas| call(&state, &osaka(), &CallRequest { gas, ..request(to[0]) }).unwrap().status;
    assert_eq!((with(gas), with(gas - 1).0), (Status::SUCCESS, 0x07));
    assert_eq!(estimate_gas(&state, &osaka(), &request(user(5)), 500_000_000).unwrap(), Estimate::Gas(21_000));
    assert!(matches!(estimate_gas(&state, &osaka(), &request(to[1]), 1_000_000), Ok(Estimate::Fails(_))));
    let capped = estimate_gas(&state, &osaka(), &request(to[2]), 100_000).unwrap();
    assert_eq!(capped, Estimate::ExceedsAllowance(100_000));
}

#[test]
fn an_access_list_names_what_a_call_touches() {
    let other = user(5);
    let code = asm().push(U256::from(3)).op(&[0x54, 0x50]).address(other).op(&[0x31, 0x50]).stop();
    let (state, to) = deployed(&[code]);
    let (list, outcome) = create_access_list(&state, &osaka(), &request(to[0])).unwrap();
    assert_eq!(outcome.status, Status::SUCCESS);
    let items: BTreeMap<_, _> = list.0.into_iter().map(|item| (item.address, item.storage_keys)).collect();
    assert_eq!(items, BTreeMap::from([(to[0], vec![B256::from(U256::from(3))]), (other, vec![])]));
}

/// The history contract of EIP-2935.
const HISTORY: Address = address!("0000F90827F1C53a10cb7A02335B175320002935");

#[test]
fn the_parents_hash_is_handed_to_the_history_contract_from_prague_on() {
    // Stores the word it is given, and who gives it.
    let code = asm().push(U256::ZERO).op(&[0x35]).store(0).op(&[0x33]).store(1).stop();
    for (fork, is_called) in [(Fork::Kaia, false), (Fork::Prague, true)] {
        let mut kit = Kit::up_to(fork);
        let parent = B256::repeat_byte(0x55);
        kit.block.begin(parent).unwrap();
        assert!(kit.block.account(HISTORY).unwrap().is_none(), "nothing happens without code");
        kit.block.set_code(HISTORY, code.clone().into()).unwrap();
        kit.block.begin(parent).unwrap();
        let expected = if is_called { U256::from_be_bytes(parent.0) } else { U256::ZERO };
        assert_eq!(kit.storage(HISTORY, 0), expected, "{fork:?}");
        let caller = address!("fffffffffffffffffffffffffffffffffffffffe");
        if is_called {
            assert_eq!(kit.storage(HISTORY, 1), U256::from_be_slice(caller.as_slice()));
        }
        assert!(kit.block.account(caller).unwrap().is_none());
        assert!(kit.block.receipts().is_empty());
        let made = kit.block.account(HISTORY).unwrap().unwrap();
        assert_eq!((made.nonce, made.program.code_info.byte()), (0, 0), "made by the node: version 0");
    }
}
