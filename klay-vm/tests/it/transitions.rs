//! What transactions of each type do, what they cost whom, and what is refused without a trace.
//!
//! Source: spec 40, section 4; spec 10, sections 3, 4 and 8.

use crate::kit::*;
use klay_accounts::account::Kind;
use klay_core::{
    Address, Bytes, Fork, U256,
    block::Status,
    tx::payload::{Cancel, ChainDataAnchoring, ValueTransferMemo},
};
use klay_vm::{BlockExecutor, Disposition, TxError};

const FEE: u128 = 21_000 * PRICE as u128;

#[test]
fn a_transfer_moves_value_and_costs_its_fee() {
    let mut kit = Kit::up_to(Fork::Osaka);
    let done = kit.send(1, transfer(user(50), 7)).unwrap();
    assert_eq!((done.receipt.status, done.receipt.gas_used), (Status::SUCCESS, 21_000));
    assert_eq!(done.receipt.contract_address, None);
    assert_eq!(kit.balance(user(1)), 1000 * KLAY - 7 - FEE);
    let made = kit.block.account(user(50)).unwrap().unwrap();
    assert_eq!((made.kind, made.nonce, made.balance), (Kind::Eoa, 0, U256::from(7)));
}

#[test]
fn types_without_recipient_cost_gas_and_report_a_contract_address() {
    let mut kit = Kit::up_to(Fork::Osaka);
    let done = kit.send(1, Cancel).unwrap();
    assert_eq!((done.receipt.status, done.receipt.gas_used), (Status::SUCCESS, 21_000));
    assert_eq!(done.receipt.contract_address, Some(created(1, 0)));
    let record = ChainDataAnchoring { input: Bytes::from_static(&[1, 0]) };
    let done = kit.send(1, record).unwrap();
    // The floor: five tokens of data at 10 gas.
    assert_eq!(done.receipt.gas_used, 21_000 + 50);
    // The zero address counts as no recipient for Klaytn types, and receives all the same.
    let done = kit.send(1, transfer(Address::ZERO, 5)).unwrap();
    assert_eq!(done.receipt.contract_address, Some(created(1, 2)));
    assert_eq!(kit.balance(Address::ZERO), 5);
}

#[test]
fn a_deployment_makes_a_contract_with_nonce_one_and_key_fail() {
    let mut kit = Kit::up_to(Fork::Osaka);
    let done = kit.send(1, deployment(&init_code(&[0x00]))).unwrap();
    let address = done.receipt.contract_address.unwrap();
    assert_eq!(address, created(1, 0));
    let made = kit.block.account(address).unwrap().unwrap();
    assert_eq!((made.kind, made.nonce, made.program.code_info.byte()), (Kind::Contract, 1, 0x10));
    assert_eq!(made.key, klay_accounts::AccountKey::Fail);
    // Transfers cannot go there, executions can.
    assert!(matches!(kit.send(1, transfer(address, 1)), Err(TxError::ToMustBeEoaWithoutCode)));
    kit.send(1, execution(address, &[])).unwrap();
    assert!(matches!(kit.send(1, execution(user(2), &[])), Err(TxError::ToMustBeProgram)));
}

#[test]
fn a_payer_pays_all_or_its_share_with_each_step_rounded_by_itself() {
    let mut kit = Kit::up_to(Fork::Osaka);
    let body = kit.request(1, transfer(user(50), 1), 100_000);
    kit.execute(sponsored(body, &[1], user(2), &[2], None)).unwrap();
    assert_eq!(kit.balance(user(1)), 1000 * KLAY - 1);
    assert_eq!(kit.balance(user(2)), 1000 * KLAY - 31_000 * u128::from(PRICE));

    let mut kit = Kit::up_to(Fork::Osaka);
    let body = kit.request(1, transfer(user(50), 1), 100_001);
    kit.execute(sponsored(body, &[1], user(2), &[2], Some(33))).unwrap();
    let price = u128::from(PRICE);
    let (ahead, back) = (100_001 * price, (100_001 - 36_000) * price);
    let payer = ahead * 33 / 100 - back * 33 / 100;
    let sender = (ahead - ahead * 33 / 100) - (back - back * 33 / 100);
    assert_eq!(kit.balance(user(2)), 1000 * KLAY - payer);
    assert_eq!(kit.balance(user(1)), 1000 * KLAY - 1 - sender);
}

#[test]
fn a_payer_that_is_the_sender_pays_undivided() {
    let mut kit = Kit::up_to(Fork::Osaka);
    let body = kit.request(1, transfer(user(50), 1), 100_000);
    kit.execute(sponsored(body, &[1], user(1), &[1], Some(30))).unwrap();
    assert_eq!(kit.balance(user(1)), 1000 * KLAY - 1 - 36_000 * u128::from(PRICE));
}

#[test]
fn a_ratio_outside_its_range_is_no_reason_for_a_block_to_be_invalid() {
    let mut kit = Kit::up_to(Fork::Osaka);
    let body = kit.request(1, transfer(user(50), 1), 100_000);
    kit.execute(sponsored(body, &[1], user(2), &[2], Some(100))).unwrap();
    assert_eq!(kit.balance(user(1)), 1000 * KLAY - 1);
    // Above 100 the payer pays more than the fee, and the sender gains the rest: what the reference client does with a
    // block that holds it.
    for (ratio, fork) in [(200, Fork::Istanbul), (200, Fork::Osaka), (255, Fork::Osaka)] {
        let mut kit = Kit::up_to(fork);
        let body = kit.request(1, transfer(user(50), 1), 100_000);
        let done = kit.execute(sponsored(body, &[1], user(2), &[2], Some(ratio))).unwrap();
        let fee = u128::from(done.receipt.gas_used) * u128::from(PRICE);
        let payer = fee * u128::from(ratio) / 100;
        assert_eq!(kit.balance(user(2)), 1000 * KLAY - payer, "{fork:?}");
        assert_eq!(kit.balance(user(1)), 1000 * KLAY - 1 + payer - fee, "{fork:?}");
    }
}

#[test]
fn a_memo_is_paid_by_the_byte_and_by_the_floor_since_prague() {
    let memo = ValueTransferMemo { to: user(2), value: U256::ONE, input: Bytes::from(vec![1; 1000]) };
    let mut kit = Kit::up_to(Fork::Kaia);
    assert_eq!(kit.send(1, memo.clone()).unwrap().receipt.gas_used, 21_000 + 100_000);
    let mut kit = Kit::up_to(Fork::Prague);
    assert_eq!(kit.send(1, memo).unwrap().receipt.gas_used, 21_000 + 40_000);
}

#[test]
fn fees_go_to_the_proposer_then_to_the_reward_address_where_they_are_not_deferred() {
    let cases = [(Fork::Istanbul, Address::repeat_byte(0xc0)), (Fork::Magma, Address::repeat_byte(0xbb))];
    for (fork, receiver) in cases {
        let context = context(klay_core::Rules::up_to(fork)).with_deferred_tx_fee(false);
        let mut kit = Kit { block: BlockExecutor::new(funded(), context), rules: klay_core::Rules::up_to(fork) };
        kit.send(1, transfer(user(50), 1)).unwrap();
        assert_eq!(kit.balance(receiver), FEE, "{fork:?}");
    }
}

#[test]
fn what_is_refused_leaves_no_trace_and_says_what_to_do() {
    let mut kit = Kit::up_to(Fork::Osaka);
    let root = {
        let kit = Kit::up_to(Fork::Osaka);
        kit.block.finish().unwrap().state.root()
    };
    let mut ahead = kit.request(1, transfer(user(2), 1), 100_000);
    ahead.nonce = 5;
    let refused = kit.execute(signed(ahead, &[1])).unwrap_err();
    assert_eq!((refused.to_string().as_str(), refused.disposition()), ("nonce too high", Disposition::Later));
    let refused = kit.send(1, transfer(user(2), 5000 * KLAY)).unwrap_err();
    assert_eq!(refused.to_string(), "insufficient balance for transfer");
    assert_eq!(refused.disposition(), Disposition::Drop);
    let refused = kit.send(1, transfer(number(0x3ff), 1)).unwrap_err();
    assert_eq!(refused.to_string(), "the address is reserved for pre-compiled contracts");
    let body = kit.request(1, transfer(user(2), 1), 20_999);
    assert!(matches!(kit.execute(signed(body, &[1])), Err(TxError::IntrinsicGas { needed: 21_000, limit: 20_999 })));
    let mut cheap = kit.request(1, transfer(user(2), 1), 100_000);
    cheap.gas_price = U256::from(PRICE - 1);
    assert!(matches!(kit.execute(signed(cheap, &[1])), Err(TxError::FeeCapTooLow { .. })));
    let body = kit.request(40, transfer(user(2), 1), 100_000);
    let refused = kit.execute(signed(body, &[40])).unwrap_err();
    assert_eq!(refused.to_string(), "insufficient balance of the fee payer to pay for gas");
    let mut poor = kit.request(1, transfer(user(2), 1), 100_000);
    poor.from = user(41);
    let refused = kit.execute(sponsored(poor, &[41], user(2), &[2], Some(50))).unwrap_err();
    assert_eq!(refused.to_string(), "insufficient balance of the sender to pay for gas");
    let result = kit.block.finish().unwrap();
    assert_eq!(result.state.root(), root);
    assert!(result.receipts.is_empty());
}

#[test]
fn a_nonce_that_was_used_is_too_low() {
    let mut kit = Kit::up_to(Fork::Osaka);
    let body = kit.request(1, transfer(user(2), 1), 100_000);
    kit.execute(signed(body.clone(), &[1])).unwrap();
    let refused = kit.execute(signed(body, &[1])).unwrap_err();
    assert_eq!((refused.to_string().as_str(), refused.disposition()), ("nonce too low", Disposition::Passed));
}

#[test]
fn a_group_can_be_dropped_as_a_whole() {
    let mut kit = Kit::up_to(Fork::Osaka);
    let contract = kit.deploy(&asm().push(U256::from(7)).store(0).stop());
    kit.send(1, transfer(user(2), 1)).unwrap();
    let place = kit.block.checkpoint();
    let before = (kit.balance(user(1)), kit.block.gas_used(), kit.block.receipts().len());
    kit.send(1, execution(contract, &[])).unwrap();
    kit.send(1, update(&public(11))).unwrap();
    assert_eq!(kit.storage(contract, 0), U256::from(7));
    kit.block.revert(place);
    assert_eq!((kit.balance(user(1)), kit.block.gas_used(), kit.block.receipts().len()), before);
    assert_eq!(kit.storage(contract, 0), U256::ZERO);
    kit.send(1, transfer(user(2), 1)).unwrap();
}

#[test]
fn blocks_cut_anywhere_end_in_the_same_state() {
    let run = |cut: bool| {
        let mut kit = Kit::up_to(Fork::Osaka);
        let counter = asm().push(U256::ZERO).op(&[0x54]).push(U256::ONE).op(&[0x01]).store(0).stop();
        let contract = kit.deploy(&counter);
        for round in 0..6 {
            kit.send(1, execution(contract, &[])).unwrap();
            kit.send(2, transfer(user(60 + round), 3)).unwrap();
            if cut {
                kit = kit.next_block(Fork::Osaka);
            }
        }
        kit.block.finish().unwrap().state.root()
    };
    assert_eq!(run(false), run(true));
}
