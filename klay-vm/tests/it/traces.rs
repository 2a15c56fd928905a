//! What a tracer is told: frames, prices, computation cost, and the texts of failures.
//!
//! Source: spec 40, sections 1.13 and 6.3.

use core::ops::ControlFlow;

use crate::kit::*;
use klay_core::{Address, Fork, U256};
use klay_vm::{
    CallError, CallRequest, TxError, call,
    trace::{AccountReader, End, Failure, Frame, FrameEnd, FrameKind, Step, StepEnd, Top, Tracer},
};

/// Writes everything down.
#[derive(Debug, Default)]
struct Notes {
    top: Option<(Address, Address, u64)>,
    /// Instruction, depth, gas cost, computation left ahead of it, its cost, failure.
    steps: Vec<(u8, usize, u64, u64, u64, Option<String>)>,
    frames: Vec<Frame>,
    ends: Vec<FrameEnd>,
    end: Option<End>,
    balance_at_end: U256,
    stop_after: Option<usize>,
}

impl Tracer for Notes {
    fn begin(&mut self, top: &Top<'_>) {
        self.top = Some((top.from, top.to, top.gas_limit));
    }

    fn step(&mut self, step: &Step<'_>, _accounts: &mut dyn AccountReader) -> ControlFlow<()> {
        self.steps.push((step.op, step.depth, 0, step.computation_left, 0, None));
        match self.stop_after {
            Some(most) if self.steps.len() > most => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        }
    }

    fn step_end(&mut self, end: &StepEnd) {
        let last = self.steps.last_mut().unwrap();
        (last.2, last.4, last.5) = (end.gas_cost, end.computation_cost, end.failure.clone());
    }

    fn enter(&mut self, frame: &Frame) {
        self.frames.push(frame.clone());
    }

    fn exit(&mut self, end: &FrameEnd) {
        self.ends.push(end.clone());
    }

    fn end(&mut self, end: &End, accounts: &mut dyn AccountReader) {
        self.end = Some(end.clone());
        self.balance_at_end = accounts.balance(self.top.unwrap().0);
    }
}

/// Traces a call of `code` with this much gas.
fn traced(code: &[u8], gas: u64) -> Notes {
    let mut kit = Kit::up_to(Fork::Osaka);
    let contract = kit.deploy(code);
    let tx = kit.legacy(1, Some(contract), 0, &[], gas);
    let (executed, notes) = kit.block.trace(&recover(tx), Notes::default());
    executed.unwrap();
    notes
}

/// Gas cost, computation cost and failure of the last instruction, and the failure of the transaction.
fn last(code: &[u8], gas: u64) -> (u64, u64, Option<String>, String) {
    let notes = traced(code, gas);
    let (_, _, price, _, cost, why) = notes.steps.last().cloned().unwrap();
    let failure = notes.end.unwrap().failure.map(|failure| failure.to_string());
    (price, cost, why, failure.unwrap_or_default())
}

#[test]
fn an_instruction_that_cannot_begin_shows_how_far_it_came() {
    const PUSH: (u64, u64) = (3, 120);
    // Nothing of it is counted: price and cost are those of the instruction before.
    let (price, cost, why, failure) = last(&asm().push(U256::ONE).op(&[0x0c]).0, 100_000);
    assert_eq!((price, cost), PUSH);
    assert_eq!((why.as_deref(), failure.as_str()), (Some("invalid opcode 0xc"), "invalid opcode 0xc"));
    let (price, cost, _, failure) = last(&asm().push(U256::ONE).op(&[0x01]).0, 100_000);
    assert_eq!((price, cost, failure.as_str()), (3, 120, "stack underflow (1 <=> 2)"));
    let many = (0..1024).fold(asm(), |asm, _| asm.op(&[0x30])).op(&[0x30]).0;
    assert_eq!(last(&many, 100_000).3, "stack limit reached 1024 (1023)");
    // The constant gas alone: CREATE with less than 32,000.
    let create = asm().push(U256::ZERO).push(U256::ZERO).push(U256::ZERO).op(&[0xf0]).0;
    let (price, cost, _, failure) = last(&create, 21_000 + 9 + 100);
    assert_eq!((price, cost, failure.as_str()), (32_000, 120, "out of gas"));
    // Constant gas and cost: a range that does not fit 64 bits.
    let (price, cost, _, failure) = last(&asm().push(U256::MAX).op(&[0x51]).0, 100_000);
    assert_eq!((price, cost, failure.as_str()), (3, 376, "gas uint64 overflow"));
    // Everything: 1,000 words of memory cost 4,953, and the load 3.
    let (price, cost, _, failure) = last(&asm().push(U256::from(31_968)).op(&[0x51]).0, 21_000 + 3 + 100);
    assert_eq!((price, cost, failure.as_str()), (3 + 3_000 + 1_953, 376, "out of gas"));
}

#[test]
fn an_instruction_that_fails_on_the_way_is_not_marked_itself() {
    for (code, text) in [
        (asm().push(U256::from(3)).op(&[0x56]).0, "evm: invalid jump destination"),
        (asm().push(U256::ONE).push(U256::ZERO).push(U256::ZERO).op(&[0x3e]).0, "evm: return data out of bounds"),
        (asm().push(U256::ZERO).push(U256::ZERO).op(&[0xfd]).0, "execution reverted"),
    ] {
        let (_, _, why, failure) = last(&code, 100_000);
        assert_eq!((why, failure.as_str()), (None, text));
    }
}

#[test]
fn a_call_shows_what_it_hands_on_and_a_creation_does_not() {
    let code = asm().push(U256::ZERO).push(U256::ZERO).push(U256::ZERO).push(U256::ZERO).push(U256::ZERO);
    let notes = traced(&code.address(number(4)).push(U256::from(5_000)).op(&[0xf1, 0x50]).0, 100_000);
    let call = notes.steps.iter().find(|step| step.0 == 0xf1).unwrap();
    assert_eq!(call.2, 100 + 5_000);
    let notes = traced(&asm().push(U256::ZERO).push(U256::ZERO).push(U256::ZERO).op(&[0xf0, 0x50]).0, 100_000);
    let create = notes.steps.iter().find(|step| step.0 == 0xf0).unwrap();
    assert_eq!(create.2, 32_000);
    // Nothing runs where there is no init code.
    assert!(notes.steps.iter().all(|step| step.1 == 1));
    assert_eq!((notes.frames[0].kind, notes.ends[0].gas_used), (FrameKind::Create, 0));
}

#[test]
fn computation_is_counted_from_the_blocks_limit_down() {
    let notes = traced(&asm().push(U256::ONE).push(U256::ONE).op(&[0x01]).0, 100_000);
    let left: Vec<_> = notes.steps.iter().map(|step| step.3).collect();
    assert_eq!(left, [150_000_000, 150_000_000 - 120, 150_000_000 - 240, 150_000_000 - 390]);
    let (price, cost, why, failure) = last(&asm().op(&[0x5b, 0x60, 0, 0x56]).0, 6_000_000);
    let text = "reached the opcode computation cost limit";
    assert_eq!((why.as_deref(), failure.as_str()), (Some(text), text));
    // JUMP's cost goes over the limit and is not shown; the one shown is that of the push before.
    assert_eq!((price, cost), (8, 120));
}

#[test]
fn frames_are_told_with_their_senders_values_and_ends() {
    let mut kit = Kit::up_to(Fork::Osaka);
    let inner = kit.deploy(&asm().push(U256::ONE).store(0).stop());
    let outer = asm()
        .call(number(0x200), 0, 0)
        .call(inner, 3, 0)
        .call_by(0xf4, inner, 0)
        .call_by(0xfa, inner, 0)
        .address(user(60))
        .op(&[0xff])
        .0;
    let outer = kit.deploy(&outer);
    let tx = kit.legacy(1, Some(outer), 7, &[], 8_000_000);
    let (executed, notes) = kit.block.trace(&recover(tx), Notes::default());
    assert!(executed.unwrap().receipt.status.is_success());
    let kinds: Vec<_> = notes.frames.iter().map(|frame| (frame.kind, frame.from, frame.to, frame.value)).collect();
    let value = |n| Some(U256::from(n));
    assert_eq!(
        kinds,
        [
            (FrameKind::Call, outer, number(0x200), value(0)),
            (FrameKind::Call, outer, inner, value(3)),
            (FrameKind::DelegateCall, outer, inner, value(7)),
            (FrameKind::StaticCall, outer, inner, None),
            (FrameKind::SelfDestruct, outer, user(60), value(4)),
        ]
    );
    let failures: Vec<_> = notes.ends.iter().map(|end| end.failure.as_ref().map(Failure::to_string)).collect();
    let reserved = "the address is reserved for pre-compiled contracts".to_owned();
    assert_eq!(failures, [Some(reserved), None, None, Some("evm: write protection".to_owned()), None]);
    assert_eq!(notes.ends[0].gas_used, 0, "the gas comes back");
    assert_eq!(notes.ends[3].gas_used, notes.frames[3].gas, "all of it is gone");
}

#[test]
fn types_that_run_no_code_are_shown_from_the_sender_to_itself() {
    let mut kit = Kit::up_to(Fork::Osaka);
    let body = kit.request(1, update(&public(11)), 200_000);
    let (executed, notes) = kit.block.trace(&recover(signed(body, &[1])), Notes::default());
    let gas = executed.unwrap().receipt.gas_used;
    assert_eq!(notes.top, Some((user(1), user(1), 200_000)));
    let end = notes.end.unwrap();
    assert_eq!((end.gas_used, end.failure), (gas, None));
    assert!(notes.steps.is_empty() && notes.frames.is_empty());
}

#[test]
fn a_sponsored_transaction_is_traced_over_the_accounts_of_its_sender() {
    let mut kit = Kit::up_to(Fork::Osaka);
    let contract = kit.deploy(&asm().call(number(0x3fe), 0, 0).op(&[0x50]).stop());
    let body = kit.request(1, execution(contract, &[]), 200_000);
    let tx = sponsored(body, &[1], user(2), &[2], None);
    let (executed, notes) = kit.block.trace(&recover(tx), Notes::default());
    assert!(executed.unwrap().receipt.status.is_success());
    assert_eq!(notes.ends[0].output[..], *user(2).as_slice(), "the payer, as feePayer answers it");
    assert_eq!(notes.balance_at_end, U256::from(1000 * KLAY), "the sender pays nothing");
}

#[test]
fn a_tracer_can_end_the_execution_and_nothing_of_it_stays() {
    let mut kit = Kit::up_to(Fork::Osaka);
    let contract = kit.deploy(&asm().op(&[0x5b, 0x60, 0, 0x56]).0);
    let before = (kit.balance(user(1)), kit.block.gas_used());
    let tx = kit.legacy(1, Some(contract), 0, &[], 1_000_000);
    let notes = Notes { stop_after: Some(10), ..Notes::default() };
    let (refused, notes) = kit.block.trace(&recover(tx.clone()), notes);
    assert!(matches!(refused, Err(TxError::TimeLimit)));
    assert_eq!(notes.steps.len(), 11);
    assert_eq!((kit.balance(user(1)), kit.block.gas_used()), before);
    // The same transaction then runs as if nobody had looked.
    assert_eq!(kit.execute(tx).unwrap().receipt.status.0, 0x07);
}

#[test]
fn watching_changes_nothing() {
    let run = |watched: bool| {
        let mut kit = Kit::up_to(Fork::Osaka);
        let code = asm().call(number(0x200), 0, 0).store(0).push(U256::from(9)).store(1).address(user(61)).op(&[0xff]);
        let contract = kit.deploy(&code.0);
        let tx = recover(kit.legacy(1, Some(contract), 5, &[], 1_000_000));
        let receipt = match watched {
            true => kit.block.trace(&tx, Notes::default()).0.unwrap().receipt,
            false => kit.block.execute(&tx).unwrap().receipt,
        };
        (receipt, kit.block.finish().unwrap().state.root())
    };
    assert_eq!(run(true), run(false));
}

#[test]
fn a_traced_call_is_under_the_limit_of_the_block() {
    let mut kit = Kit::up_to(Fork::Osaka);
    let contract = kit.deploy(&asm().op(&[0x5b, 0x60, 0, 0x56]).0);
    let state = stored(&kit.block.finish().unwrap().state);
    let context = context(kit.rules);
    let request = CallRequest { to: Some(contract), gas: 6_000_000, ..CallRequest::default() };
    let (outcome, notes) = call::trace(&state, &context, &request, Notes::default());
    assert_eq!((outcome.unwrap().status.0, notes.end.unwrap().gas_used), (0x0a, 6_000_000));
    assert_eq!(call::call(&state, &context, &request).unwrap().status.0, 0x07, "a call is not");
    let little = CallRequest { gas: 20_000, ..request };
    let (refused, notes) = call::trace(&state, &context, &little, Notes::default());
    assert!(matches!(refused, Err(CallError::NotApplicable(_))) && notes.top.is_none());
}
