//! Account keys: replaced by transactions, asked for every later one.
//!
//! Source: spec 20, sections 2.3 to 2.7.

use crate::kit::*;
use klay_accounts::{AccountKey, KeyError, MultiSig, RoleBased, WeightedKey};
use klay_core::{
    Fork, Rules, U256,
    block::Status,
    tx::payload::{AccountUpdate, EncodedKey},
};
use klay_vm::TxError;

fn multisig(threshold: u64, members: &[u8]) -> AccountKey {
    let member = |n: &u8| WeightedKey { weight: 1, key: key(*n).public_key() };
    MultiSig::new(threshold, members.iter().map(member).collect()).unwrap().into()
}

#[test]
fn after_an_update_only_the_new_key_signs() {
    let mut kit = Kit::up_to(Fork::Osaka);
    let done = kit.send(1, update(&public(11))).unwrap();
    assert_eq!((done.receipt.status, done.receipt.gas_used), (Status::SUCCESS, 41_000));
    let refused = kit.send(1, transfer(user(2), 1)).unwrap_err();
    assert_eq!(refused.to_string(), "invalid sender: invalid account key");
    let body = kit.request(1, transfer(user(2), 1), 100_000);
    kit.execute(signed(body, &[11])).unwrap();
    // Legacy transactions need a legacy key, whoever signs.
    let tx = kit.legacy(1, Some(user(2)), 1, &[], 21_000);
    let refused = kit.execute(tx).unwrap_err();
    assert_eq!(refused.to_string(), "invalid sender: a legacy transaction must be with a legacy account key");
}

#[test]
fn a_multisig_needs_its_threshold_and_pays_for_each_signature() {
    let mut kit = Kit::up_to(Fork::Osaka);
    let done = kit.send(1, update(&multisig(2, &[11, 12, 13]))).unwrap();
    assert_eq!(done.receipt.gas_used, 21_000 + 3 * 20_000);
    let body = kit.request(1, transfer(user(2), 1), 100_000);
    let refused = kit.execute(signed(body.clone(), &[11])).unwrap_err();
    assert!(matches!(refused, TxError::Sender(_)), "{refused}");
    let done = kit.execute(signed(body, &[11, 13])).unwrap();
    assert_eq!(done.receipt.gas_used, 21_000 + 15_000);
}

#[test]
fn strangers_count_before_istanbul_and_spoil_it_afterwards() {
    for (rules, accepted) in [(Rules::none(), true), (Rules::up_to(Fork::Istanbul), false)] {
        let mut kit = Kit::with_rules(rules);
        kit.send(1, update(&multisig(1, &[11, 12]))).unwrap();
        let body = kit.request(1, transfer(user(2), 1), 100_000);
        let done = kit.execute(signed(body, &[11, 20]));
        assert_eq!(done.is_ok(), accepted);
        if let Ok(done) = done {
            // Priced by the members of the key, not by the signatures.
            assert_eq!(done.receipt.gas_used, 21_000 + 15_000);
        }
    }
}

#[test]
fn each_role_answers_for_itself() {
    let mut kit = Kit::up_to(Fork::Osaka);
    let roles = RoleBased::new(vec![public(11), public(12), public(13)]).unwrap();
    kit.send(1, update(&roles.into())).unwrap();
    let body = kit.request(1, transfer(user(2), 1), 100_000);
    assert!(kit.execute(signed(body.clone(), &[12])).is_err());
    kit.execute(signed(body, &[11])).unwrap();
    // As fee payer.
    let body = kit.request(2, transfer(user(3), 1), 100_000);
    assert!(kit.execute(sponsored(body.clone(), &[2], user(1), &[11], None)).is_err());
    kit.execute(sponsored(body, &[2], user(1), &[13], None)).unwrap();
    // Updating, and a Nil keeps a role.
    let next = RoleBased::update(vec![public(21), AccountKey::Nil, AccountKey::Nil]);
    let body = kit.request(1, update(&next.into()), 200_000);
    assert!(kit.execute(signed(body.clone(), &[11])).is_err());
    let done = kit.execute(signed(body, &[12])).unwrap();
    assert_eq!(done.receipt.gas_used, 21_000 + 20_000);
    let body = kit.request(1, transfer(user(2), 1), 100_000);
    kit.execute(signed(body, &[21])).unwrap();
    let body = kit.request(2, transfer(user(3), 1), 100_000);
    kit.execute(sponsored(body, &[2], user(1), &[13], None)).unwrap();
}

#[test]
fn a_key_that_cannot_be_installed_voids_the_transaction() {
    let mut kit = Kit::up_to(Fork::Osaka);
    let before = kit.balance(user(1));
    let refused = kit.send(1, update(&AccountKey::Nil)).unwrap_err();
    assert!(matches!(refused, TxError::Key(KeyError::AccountKeyNilUninitializable)), "{refused}");
    let garbage = AccountUpdate { key: EncodedKey(vec![0x06, 0xc0].into()) };
    let refused = kit.send(1, garbage).unwrap_err();
    assert_eq!(refused.to_string(), "key is not serializable");
    assert_eq!((kit.balance(user(1)), kit.block.nonce(user(1)).unwrap()), (before, 0));
    assert!(kit.block.receipts().is_empty(), "no receipt for a key error");
}

#[test]
fn an_account_can_go_back_to_its_own_key_pair_but_not_out_of_fail() {
    let mut kit = Kit::up_to(Fork::Osaka);
    kit.send(1, update(&public(11))).unwrap();
    let body = kit.request(1, update(&AccountKey::Legacy), 100_000);
    kit.execute(signed(body, &[11])).unwrap();
    kit.send(1, transfer(user(2), 1)).unwrap();
    kit.send(1, update(&AccountKey::Fail)).unwrap();
    assert!(kit.send(1, transfer(user(2), 1)).is_err());
    assert!(kit.send(1, update(&AccountKey::Legacy)).is_err());
}

#[test]
fn a_key_survives_the_block_in_the_leaf() {
    let mut kit = Kit::up_to(Fork::Osaka);
    kit.send(1, update(&public(11))).unwrap();
    let mut kit = kit.next_block(Fork::Osaka);
    let account = kit.block.account(user(1)).unwrap().unwrap();
    assert_eq!(account.key, public(11));
    let body = kit.request(1, transfer(user(30), 1), 100_000);
    kit.execute(signed(body, &[11])).unwrap();
    assert_eq!(kit.block.balance(user(30)).unwrap(), U256::ONE);
}
