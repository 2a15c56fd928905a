//! Accounts that delegate to code: EIP-7702 as Klaytn has it.
//!
//! Source: spec 40, sections 1.12 and 4.6; spec 20, section 1.7.

use crate::kit::*;
use klay_accounts::account::Kind;
use klay_core::{Address, Fork, U256, block::Status};
use klay_vm::TxError;

fn delegated(kit: &mut Kit, n: u8, to: Address) {
    let nonce = kit.block.nonce(user(1)).unwrap();
    let authority_nonce = kit.block.nonce(user(n)).unwrap();
    let list = vec![authorize(n, to, authority_nonce, CHAIN_ID)];
    let done = kit.execute(with_authorizations(nonce, user(50), list, 1)).unwrap();
    assert_eq!(done.receipt.status, Status::SUCCESS);
}

#[test]
fn a_user_with_code_stays_a_user() {
    let mut kit = Kit::up_to(Fork::Prague);
    let contract = kit.deploy(&asm().op(&[0x30]).store(0).stop());
    delegated(&mut kit, 2, contract);
    let account = kit.block.account(user(2)).unwrap().unwrap();
    assert_eq!((account.kind, account.nonce, account.program.code_info.byte()), (Kind::Eoa, 1, 0x10));
    assert_eq!(kit.block.code(user(2)).unwrap()[..], [&[0xef, 1, 0][..], contract.as_slice()].concat());
    // It runs the code as itself, and no value transfer type can go there.
    kit.send(1, execution(user(2), &[])).unwrap();
    assert_eq!(kit.storage(user(2), 0), U256::from_be_slice(user(2).as_slice()));
    assert!(matches!(kit.send(1, transfer(user(2), 1)), Err(TxError::ToMustBeEoaWithoutCode)));
    assert!(matches!(kit.send(2, update(&public(11))), Err(TxError::FromMustBeEoaWithoutCode)));
    // The zero address takes the code away again, and the storage stays.
    delegated(&mut kit, 2, Address::ZERO);
    let account = kit.block.account(user(2)).unwrap().unwrap();
    assert_eq!((account.kind, account.has_code(), account.program.code_info.byte()), (Kind::Eoa, false, 0));
    let mut kit = kit.next_block(Fork::Prague);
    assert_eq!(kit.storage(user(2), 0), U256::from_be_slice(user(2).as_slice()));
}

#[test]
fn an_account_with_another_key_cannot_delegate() {
    let mut kit = Kit::up_to(Fork::Prague);
    kit.send(2, update(&public(11))).unwrap();
    delegated(&mut kit, 2, user(60));
    assert!(kit.block.code(user(2)).unwrap().is_empty());
    assert_eq!(kit.block.nonce(user(2)).unwrap(), 1, "the tuple is skipped");
}

#[test]
fn tuples_that_do_not_fit_are_skipped_and_paid() {
    let mut kit = Kit::up_to(Fork::Prague);
    let target = kit.deploy(&[0x00]);
    let list = vec![authorize(2, target, 9, CHAIN_ID), authorize(3, target, 0, 5), authorize(4, target, 0, 0)];
    let done = kit.execute(with_authorizations(0, user(50), list, 1)).unwrap();
    // One of three is applied, to an account that exists.
    let before: u64 = 21_000 + 3 * 25_000;
    assert_eq!(done.receipt.gas_used, before - 12_500);
    let has_code = |kit: &mut Kit, n| !kit.block.code(user(n)).unwrap().is_empty();
    assert_eq!((has_code(&mut kit, 2), has_code(&mut kit, 3), has_code(&mut kit, 4)), (false, false, true));
    let refused = kit.execute(with_authorizations(1, user(50), vec![], 1)).unwrap_err();
    assert_eq!(refused.to_string(), "EIP-7702 transaction with empty auth list");
}

#[test]
fn an_absent_account_is_made_and_earns_no_refund() {
    let mut kit = Kit::up_to(Fork::Prague);
    let target = kit.deploy(&[0x00]);
    let done = kit.execute(with_authorizations(0, user(50), vec![authorize(70, target, 0, 0)], 1)).unwrap();
    assert_eq!(done.receipt.gas_used, 21_000 + 25_000);
    let account = kit.block.account(user(70)).unwrap().unwrap();
    assert_eq!((account.kind, account.nonce, account.key.is_legacy()), (Kind::Eoa, 1, true));
}

#[test]
fn the_senders_nonce_rises_before_its_own_authorization_is_read() {
    let mut kit = Kit::up_to(Fork::Prague);
    let target = kit.deploy(&[0x00]);
    kit.execute(with_authorizations(0, user(50), vec![authorize(1, target, 1, 0)], 1)).unwrap();
    assert_eq!(kit.block.nonce(user(1)).unwrap(), 2);
    assert!(!kit.block.code(user(1)).unwrap().is_empty());
}

#[test]
fn delegations_survive_a_revert_of_the_call() {
    let mut kit = Kit::up_to(Fork::Prague);
    let reverts = kit.deploy(&asm().push(U256::ZERO).push(U256::ZERO).op(&[0xfd]).0);
    let done = kit.execute(with_authorizations(0, reverts, vec![authorize(2, reverts, 0, 0)], 1)).unwrap();
    assert_eq!(done.receipt.status.0, 0x09);
    assert!(!kit.block.code(user(2)).unwrap().is_empty());
}

#[test]
fn one_level_is_followed() {
    let mut kit = Kit::up_to(Fork::Prague);
    let contract = kit.deploy(&asm().push(U256::ONE).store(0).stop());
    delegated(&mut kit, 2, contract);
    delegated(&mut kit, 3, user(2));
    // What runs at the second level is the designator, which is no code.
    let done = kit.send(1, execution(user(3), &[])).unwrap();
    assert_eq!(done.receipt.status.0, 0x02);
    // A precompiled contract has no code to run.
    delegated(&mut kit, 4, number(0x3fe));
    assert_eq!(kit.send(1, execution(user(4), &[])).unwrap().receipt.status, Status::SUCCESS);
}

/// Found with blocks that the reference client made: a contract of before Kore whose code reads like a designator.
#[test]
fn what_only_looked_like_a_delegation_is_one_from_prague() {
    let mut kit = Kit::up_to(Fork::Magma);
    let target = kit.deploy(&asm().op(&[0x30]).store(0).stop());
    let code = [&[0xef, 1, 0][..], target.as_slice()].concat();
    let contract = kit.deploy(&code);
    assert_eq!(kit.block.code(contract).unwrap()[..], code);
    assert_eq!(kit.call(contract, &[]).receipt.status.0, 0x02, "0xef is no instruction");
    let mut kit = kit.next_block(Fork::Cancun);
    assert_eq!(kit.call(contract, &[]).receipt.status.0, 0x02);
    let mut kit = kit.next_block(Fork::Prague);
    assert_eq!(kit.call(contract, &[]).receipt.status, Status::SUCCESS);
    assert_eq!(kit.storage(contract, 0), U256::from_be_slice(contract.as_slice()));
}
