//! The pool against a state made by hand, and against a model that does everything the slow way.

mod bytes;

use std::collections::BTreeMap;

use klay_accounts::{AccountKey, StateAccount};
use klay_core::{
    Address, Bytes, Fork, PublicKey, Rules, U256,
    crypto::sign_digest,
    tx::{Body, LegacyTx, Payload, Tx, payload},
};
use parking_lot::RwLock;
use proptest::prelude::*;

use super::*;
use crate::{Fee, KlaytnTx, RecoveredKlaytnTx};

const CHAIN_ID: u64 = 1337;
const BASE: u64 = 25;

#[derive(Debug, Default)]
struct Accounts(RwLock<BTreeMap<Address, StateAccount>>);

impl HeadState for Accounts {
    fn account(&self, address: Address) -> Result<StateAccount, PoolError> {
        Ok(self.0.read().get(&address).cloned().unwrap_or_default())
    }
}

struct World {
    pool: TxPool,
    accounts: Arc<Accounts>,
    price: u64,
    rules: Rules,
}

fn secret(n: u8) -> [u8; 32] {
    [n + 1; 32]
}

fn who(n: u8) -> Address {
    PublicKey::from_secret(&secret(n)).unwrap().address()
}

impl World {
    fn new(config: PoolConfig) -> Self {
        Self::with_rules(config, Rules::up_to(Fork::Osaka))
    }

    fn with_rules(config: PoolConfig, rules: Rules) -> Self {
        let accounts = Arc::new(Accounts::default());
        for n in 0..8 {
            accounts.0.write().insert(who(n), StateAccount::eoa(0, U256::from(1_000_000_000_000u64)));
        }
        let head = head(&accounts, BASE, rules);
        Self { pool: TxPool::new(config, head, Arc::default()), accounts, price: BASE, rules }
    }

    fn change(&self, address: Address, change: impl FnOnce(&mut StateAccount)) {
        let mut accounts = self.accounts.0.write();
        let account = accounts.entry(address).or_default();
        change(account);
        let account = account.clone();
        drop(accounts);
        self.pool.follow(head(&self.accounts, self.price, self.rules), [(address, &account)].into_iter());
    }

    fn set_price(&mut self, price: u64) {
        self.price = price;
        self.pool.follow(head(&self.accounts, price, self.rules), std::iter::empty());
    }

    fn add(&self, tx: SharedTx) -> Result<B256, PoolError> {
        self.pool.add(tx, Origin::Local)
    }

    fn order(&self) -> Vec<(Address, u64)> {
        self.pool.best().map(|tx| (tx.sender(), tx.view().nonce)).collect()
    }
}

fn head(accounts: &Arc<Accounts>, price: u64, rules: Rules) -> PoolHead {
    PoolHead {
        number: 1,
        chain_id: CHAIN_ID,
        rules,
        next_rules: rules,
        price: U256::from(price),
        state: Arc::clone(accounts) as Arc<dyn HeadState>,
    }
}

fn legacy(n: u8, nonce: u64, price: u64) -> SharedTx {
    legacy_with(n, nonce, price, |_| {})
}

fn legacy_with(n: u8, nonce: u64, price: u64, change: impl FnOnce(&mut LegacyTx)) -> SharedTx {
    let mut tx = LegacyTx {
        nonce,
        gas_price: U256::from(price),
        gas_limit: 21_000,
        to: Some(Address::repeat_byte(0xaa)),
        value: U256::from(1),
        input: Bytes::new(),
        signature: Default::default(),
    };
    change(&mut tx);
    let unsigned = KlaytnTx::Legacy(tx.clone());
    tx.signature = sign_digest(&secret(n), unsigned.signing_hash(Some(CHAIN_ID))).unwrap().with_chain_id(CHAIN_ID);
    Arc::new(RecoveredKlaytnTx::recover(KlaytnTx::Legacy(tx), CHAIN_ID).unwrap())
}

fn klaytn(n: u8, nonce: u64, price: u64, payload: Payload) -> SharedTx {
    let body = Body { nonce, gas_price: U256::from(price), gas_limit: 100_000, from: who(n), payload };
    let mut tx: Tx<Fee> = body.paid_by(Fee::Sender(klay_core::SenderPays));
    let digest = KlaytnTx::Klaytn(tx.clone()).signing_hash(Some(CHAIN_ID));
    tx.signatures.push(sign_digest(&secret(n), digest).unwrap().with_chain_id(CHAIN_ID));
    Arc::new(RecoveredKlaytnTx::recover(KlaytnTx::Klaytn(tx), CHAIN_ID).unwrap())
}

#[test]
fn nonces_may_arrive_in_any_order() {
    let world = World::new(PoolConfig::default());
    for nonce in [3, 1, 4, 2, 0] {
        world.add(legacy(0, nonce, 100)).unwrap();
        assert_eq!(world.pool.pending_nonce(who(0)), if nonce == 0 { 5 } else { 0 });
    }
    assert_eq!(world.pool.status(), PoolStatus { pending: 5, queued: 0 });
    assert_eq!(world.order(), (0..5).map(|nonce| (who(0), nonce)).collect::<Vec<_>>());
}

#[test]
fn errors_have_the_reference_clients_texts() {
    let world = World::new(PoolConfig::default());
    let text = |tx| world.add(tx).unwrap_err().to_string();
    let known = legacy(0, 0, 100);
    let hash = world.add(Arc::clone(&known)).unwrap();
    assert_eq!(text(known), format!("known transaction: {}", klay_core::hex::encode(hash)));
    assert_eq!(
        text(legacy(0, 1, BASE - 1)),
        "invalid gas price. It must be set to value greater than or equal to baseFee"
    );
    assert_eq!(text(legacy(0, 0, 99)), "there is another tx which has the same nonce in the tx pool");
    assert_eq!(text(legacy_with(0, 1, 100, |tx| tx.gas_limit = 20_999)), "intrinsic gas too low");
    assert_eq!(
        text(legacy_with(0, 1, 100, |tx| tx.gas_limit = 500_000_001)),
        "tx gas limit exceeds the upper limit: gas 500000001, limit 500000000"
    );
    assert_eq!(
        text(legacy_with(0, 1, 100, |tx| (tx.input, tx.gas_limit) = (vec![1; 200_000].into(), 50_000_000))),
        "oversized data"
    );
    assert_eq!(
        text(legacy_with(0, 1, 100, |tx| tx.value = U256::from(10).pow(U256::from(18)))),
        "insufficient funds of the sender for value "
    );
    assert_eq!(
        text(legacy_with(0, 1, 100, |tx| tx.to = Some(Address::left_padding_from(&[3, 0xff])))),
        "the address is reserved for pre-compiled contracts"
    );
    assert!(world.add(legacy_with(0, 1, 100, |tx| tx.to = Some(Address::ZERO))).is_ok());
    assert_eq!(text(legacy_with(0, u64::MAX, 100, |_| {})), "nonce has max value");
    world.change(who(1), |account| account.nonce = 3);
    assert_eq!(text(legacy(1, 2, 100)), "nonce too low");
    world.change(who(2), |account| account.key = AccountKey::from(PublicKey::from_secret(&secret(9)).unwrap()));
    assert_eq!(text(legacy(2, 0, 100)), "invalid sender: a legacy transaction must be with a legacy account key");
    assert_eq!(text(klaytn(2, 0, 100, Payload::Cancel(payload::Cancel))), "invalid sender: invalid account key");
    assert_eq!(
        text(klaytn(0, 1, 100, Payload::ChainDataAnchoring(payload::ChainDataAnchoring { input: Bytes::new() }))),
        "locally anchoring chaindata tx is not allowed in this node"
    );
}

#[tokio::test]
async fn only_what_no_state_makes_valid_is_refused_for_ever() {
    let world = World::new(PoolConfig::default());
    let payload = || Payload::Cancel(payload::Cancel);
    let (old, plain) = (klaytn(0, 0, 100, payload()), legacy(1, 0, 100));
    for n in [0, 1] {
        let other = PublicKey::from_secret(&secret(7)).unwrap();
        world.change(who(n), |account| account.key = AccountKey::from(other));
    }
    for tx in [old, plain] {
        let error = world.add(tx).unwrap_err();
        assert!(matches!(error, PoolError::Sender(SignerError::Key | SignerError::NotLegacyKey)), "{error}");
        assert!(!error.is_for_ever(), "another node has another state: {error}");
    }

    let mut unsigned = legacy(2, 0, 100).tx().clone();
    if let KlaytnTx::Legacy(tx) = &mut unsigned {
        tx.signature = Default::default();
    }
    for raw in [unsigned.encode().into(), Bytes::from_static(b"none")] {
        let error = world.pool.add_raw(raw, Origin::Remote).await.unwrap_err();
        assert!(error.is_for_ever(), "{error}");
    }
}

#[test]
fn a_replacement_pays_strictly_more_and_a_cancel_always_replaces() {
    let world = World::new(PoolConfig::default());
    world.add(legacy(0, 0, 100)).unwrap();
    assert_eq!(world.add(legacy_with(0, 0, 100, |tx| tx.value = U256::from(2))), Err(PoolError::NonceTaken));
    let dearer = world.add(legacy(0, 0, 101)).unwrap();
    assert_eq!(world.pool.status(), PoolStatus { pending: 1, queued: 0 });
    let cancel = world.add(klaytn(0, 0, 50, Payload::Cancel(payload::Cancel))).unwrap();
    assert!(!world.pool.contains(dearer));
    assert!(world.pool.contains(cancel));
    world.add(legacy(0, 0, 51)).unwrap();
    assert_eq!(world.pool.status(), PoolStatus { pending: 1, queued: 0 });
}

#[test]
fn before_magma_nothing_but_a_cancel_replaces() {
    let world = World::with_rules(PoolConfig::default(), Rules::up_to(Fork::EthTxType));
    world.add(legacy(0, 0, BASE)).unwrap();
    assert_eq!(world.add(legacy(0, 1, BASE + 1)), Err(PoolError::UnitPrice));
    assert_eq!(world.add(legacy_with(0, 0, BASE, |tx| tx.value = U256::from(2))), Err(PoolError::NonceTaken));
    world.add(klaytn(0, 0, BASE, Payload::Cancel(payload::Cancel))).unwrap();
}

#[test]
fn a_higher_base_fee_sends_a_transaction_and_its_successors_back() {
    let mut world = World::new(PoolConfig::default());
    for (nonce, price) in [(0, 100), (1, 40), (2, 100)] {
        world.add(legacy(0, nonce, price)).unwrap();
    }
    world.set_price(50);
    assert_eq!(world.pool.status(), PoolStatus { pending: 1, queued: 2 });
    assert_eq!(world.order(), [(who(0), 0)]);
    world.set_price(40);
    assert_eq!(world.pool.status(), PoolStatus { pending: 3, queued: 0 });
    world.set_price(200);
    assert_eq!(world.pool.status(), PoolStatus { pending: 0, queued: 3 });
    world.set_price(25);
    assert_eq!(world.order().len(), 3);
}

#[test]
fn the_best_tip_goes_first_then_the_first_to_arrive() {
    let world = World::new(PoolConfig::default());
    world.add(legacy(0, 0, 60)).unwrap();
    world.add(legacy(0, 1, 90)).unwrap();
    world.add(legacy(1, 0, 70)).unwrap();
    world.add(legacy(2, 0, 60)).unwrap();
    assert_eq!(world.order(), [(who(1), 0), (who(0), 0), (who(0), 1), (who(2), 0)]);
}

#[test]
fn a_block_takes_its_transactions_out_and_what_it_broke() {
    let world = World::new(PoolConfig::default());
    for nonce in 0..4 {
        world.add(legacy(0, nonce, 100)).unwrap();
    }
    world.change(who(0), |account| account.nonce = 2);
    assert_eq!(world.order(), [(who(0), 2), (who(0), 3)]);
    assert_eq!(world.pool.pending_nonce(who(0)), 4);
    world.change(who(0), |account| account.balance = U256::from(5));
    assert_eq!(world.pool.status(), PoolStatus::default());

    world.add(legacy(1, 0, 100)).unwrap();
    world.change(who(1), |account| account.key = AccountKey::Fail);
    assert_eq!(world.pool.status(), PoolStatus::default());
}

#[test]
fn a_full_pool_takes_only_what_fills_a_gap() {
    let world = World::new(PoolConfig { max_pending: 2, max_queued: 2, ..PoolConfig::default() });
    world.add(legacy(0, 0, 100)).unwrap();
    world.add(legacy(1, 0, 100)).unwrap();
    world.add(legacy(2, 3, 100)).unwrap();
    world.add(legacy(2, 5, 100)).unwrap();
    assert_eq!(world.add(legacy(3, 0, 100)), Err(PoolError::Full));
    assert_eq!(world.add(legacy(2, 6, 100)), Err(PoolError::FullWithoutGap { count: 4 }));
    world.add(legacy(2, 0, 100)).unwrap();
    assert_eq!(world.order().len(), 3);
    assert_eq!(world.pool.status(), PoolStatus { pending: 3, queued: 1 });
}

#[test]
fn queued_transactions_of_a_peer_are_limited_per_account() {
    let world = World::new(PoolConfig { account_queued: 2, ..PoolConfig::default() });
    for nonce in [3, 4] {
        world.pool.add(legacy(0, nonce, 100), Origin::Remote).unwrap();
    }
    assert_eq!(world.pool.add(legacy(0, 5, 100), Origin::Remote), Err(PoolError::Full));
    world.pool.add(legacy(0, 2, 100), Origin::Remote).unwrap();
    assert_eq!(world.pool.content().queued[&who(0)].keys().copied().collect::<Vec<_>>(), [2, 3]);
}

#[test]
fn queued_transactions_are_dropped_when_nothing_new_comes() {
    let world = World::new(PoolConfig { lifetime: Duration::from_nanos(1), ..PoolConfig::default() });
    world.add(legacy(0, 0, 100)).unwrap();
    world.add(legacy(0, 2, 100)).unwrap();
    std::thread::sleep(Duration::from_millis(1));
    world.change(who(7), |_| {});
    assert_eq!(world.pool.status(), PoolStatus { pending: 1, queued: 0 });
}

#[test]
fn an_account_with_code_has_one_transaction_in_flight() {
    let world = World::new(PoolConfig::default());
    world.change(who(0), |account| account.program.code_hash = B256::repeat_byte(7));
    assert_eq!(world.add(legacy(0, 1, 100)), Err(PoolError::DelegatedGap));
    world.add(legacy(0, 0, 100)).unwrap();
    assert_eq!(world.add(legacy(0, 1, 100)), Err(PoolError::InFlight));
    world.add(legacy(0, 0, 101)).unwrap();
}

#[test]
fn recipients_are_judged_by_type() {
    let world = World::new(PoolConfig::default());
    let contract = Address::repeat_byte(0xcc);
    world.change(contract, |account| {
        *account = StateAccount::contract(1, U256::ZERO, Default::default());
        account.program.code_hash = B256::repeat_byte(7);
    });
    let transfer = |to| Payload::ValueTransfer(payload::ValueTransfer { to, value: U256::from(1) });
    let call =
        |to| Payload::ContractExecution(payload::ContractExecution { to, value: U256::ZERO, input: Bytes::new() });
    assert_eq!(world.add(klaytn(0, 0, 100, transfer(contract))), Err(PoolError::RecipientNotEoa));
    assert_eq!(world.add(klaytn(0, 0, 100, call(who(1)))), Err(PoolError::RecipientNotContract));
    world.add(klaytn(0, 0, 100, call(contract))).unwrap();
    world.add(klaytn(0, 1, 100, transfer(who(1)))).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_signature_is_recovered_once() {
    let world = World::new(PoolConfig::default());
    let raw: Vec<Bytes> = (0..64).map(|nonce| legacy(0, nonce, 100).encoded().to_vec().into()).collect();
    let (a, b, c) = tokio::join!(
        world.pool.add_raw_batch(raw.clone(), Origin::Local),
        world.pool.add_raw_batch(raw.clone(), Origin::Local),
        world.pool.add_raw_batch(raw.clone(), Origin::Remote),
    );
    let admitted = [a, b, c].iter().flatten().filter(|answer| answer.is_ok()).count();
    assert_eq!(admitted, 64);
    assert_eq!(world.pool.0.metrics.recoveries.value(), 64);
    assert_eq!(world.pool.status().pending, 64);
}

#[tokio::test]
async fn more_than_fits_the_way_in_is_refused_at_once() {
    let world = World::new(PoolConfig { max_in_flight: 4, ..PoolConfig::default() });
    let _others = world.pool.0.intake.occupy(3);
    let raw: Vec<Bytes> = (0..2).map(|nonce| legacy(0, nonce, 100).encoded().to_vec().into()).collect();
    assert_eq!(world.pool.add_raw_batch(raw, Origin::Local).await, [Err(PoolError::Full), Err(PoolError::Full)]);
}

#[tokio::test]
async fn while_too_much_waits_nothing_is_recovered() {
    let world = World::new(PoolConfig { max_backlog: 4, ..PoolConfig::default() });
    for n in 0..4 {
        world.add(legacy(n, 0, 100)).unwrap();
    }
    let offer = async |n, origin| {
        let raw = Bytes::copy_from_slice(legacy(n, 0, 100).encoded());
        world.pool.add_raw_batch(vec![raw], origin).await.pop().unwrap().map(|_| ())
    };
    let recovered = world.pool.0.metrics.recoveries.value();
    assert_eq!(offer(5, Origin::Local).await, Err(PoolError::Full));
    assert_eq!(world.pool.0.metrics.recoveries.value(), recovered);
    // A peer has accepted it: a quarter more is taken.
    offer(5, Origin::Remote).await.unwrap();
    assert_eq!(offer(6, Origin::Remote).await, Err(PoolError::Full));
    // A block makes room.
    world.change(who(0), |account| account.nonce = 1);
    world.change(who(1), |account| account.nonce = 1);
    offer(6, Origin::Local).await.unwrap();
}

#[derive(Debug, Clone)]
enum Step {
    Add(u8, u64, u64),
    Mine(u8, u64),
    Price(u64),
    Remove(u8, u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0u8..4, 0u64..6, 20u64..60).prop_map(|(n, nonce, price)| Step::Add(n, nonce, price)),
        2 => (0u8..4, 1u64..3).prop_map(|(n, by)| Step::Mine(n, by)),
        2 => (20u64..60).prop_map(Step::Price),
        1 => (0u8..4, 0u64..6).prop_map(|(n, nonce)| Step::Remove(n, nonce)),
    ]
}

/// The pool as a list: what waits, in order of arrival.
#[derive(Default)]
struct Model {
    txs: Vec<(u8, u64, u64)>,
    nonces: [u64; 4],
}

impl Model {
    fn add(&mut self, n: u8, nonce: u64, price: u64, base: u64) {
        let taken = self.txs.iter().position(|tx| (tx.0, tx.1) == (n, nonce));
        if price < base || nonce < self.nonces[n as usize] || taken.is_some_and(|at| self.txs[at].2 >= price) {
            return;
        }
        if let Some(at) = taken {
            self.txs.remove(at);
        }
        self.txs.push((n, nonce, price));
    }

    fn run(&self, n: u8, base: u64) -> Vec<(usize, u64)> {
        let mut run = Vec::new();
        for nonce in self.nonces[n as usize].. {
            match self.txs.iter().enumerate().find(|(_, tx)| (tx.0, tx.1) == (n, nonce)) {
                Some((at, tx)) if tx.2 >= base => run.push((at, tx.2)),
                _ => return run,
            }
        }
        run
    }

    fn order(&self, base: u64) -> Vec<(Address, u64)> {
        let mut runs: Vec<_> = (0..4u8).map(|n| self.run(n, base)).collect();
        let mut order = Vec::new();
        loop {
            let best = (0..4).filter(|n| !runs[*n].is_empty()).max_by_key(|n| {
                let (at, price) = runs[*n][0];
                (price, std::cmp::Reverse(at))
            });
            let Some(n) = best else { return order };
            let (at, _) = runs[n].remove(0);
            order.push((who(n as u8), self.txs[at].1));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn the_pool_does_what_the_model_does(steps in proptest::collection::vec(step(), 1..60)) {
        let mut world = World::new(PoolConfig::default());
        let mut model = Model::default();
        for step in steps {
            match step {
                Step::Add(n, nonce, price) => {
                    // Admission is not at issue here.
                    let _answer = world.add(legacy(n, nonce, price));
                    model.add(n, nonce, price, world.price);
                }
                Step::Mine(n, by) => {
                    world.change(who(n), |account| account.nonce += by);
                    model.nonces[n as usize] += by;
                    model.txs.retain(|tx| tx.0 != n || tx.1 >= model.nonces[n as usize]);
                }
                Step::Price(price) => world.set_price(price),
                Step::Remove(n, nonce) => {
                    let tx = model.txs.iter().find(|tx| (tx.0, tx.1) == (n, nonce)).copied();
                    if let Some((_, _, price)) = tx {
                        world.pool.remove(&legacy(n, nonce, price));
                        model.txs.retain(|tx| (tx.0, tx.1) != (n, nonce));
                    }
                }
            }
            let pending: usize = (0..4).map(|n| model.run(n, world.price).len()).sum();
            let status = PoolStatus { pending, queued: model.txs.len() - pending };
            prop_assert_eq!(world.pool.status(), status);
            prop_assert_eq!(world.order(), model.order(world.price));
            let content = world.pool.content();
            prop_assert_eq!(content.pending.values().map(BTreeMap::len).sum::<usize>(), pending);
            prop_assert_eq!(content.queued.values().map(BTreeMap::len).sum::<usize>(), status.queued);
        }
    }
}
