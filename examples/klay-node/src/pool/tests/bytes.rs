//! Limits in bytes, and the sums that they look at.

use super::*;

/// A call with this much input.
fn long(n: u8, nonce: u64, price: u64, input: usize) -> SharedTx {
    legacy_with(n, nonce, price, |tx| (tx.input, tx.gas_limit) = (vec![1; input].into(), 1_000_000))
}

/// What the pool has summed up, taken anew.
fn counted(pool: &TxPool) -> PoolSize {
    let sum = |part: &BTreeMap<Address, BTreeMap<u64, SharedTx>>| {
        part.values().flat_map(BTreeMap::values).map(|tx| tx.encoded().len()).sum()
    };
    let content = pool.content();
    PoolSize { pending: sum(&content.pending), queued: sum(&content.queued) }
}

fn limited(max_pending_bytes: usize, max_queued_bytes: usize) -> PoolConfig {
    PoolConfig { max_pending_bytes, max_queued_bytes, ..PoolConfig::default() }
}

#[test]
fn nonce_gaps_do_not_fill_memory() {
    let size = long(0, 1, 100, 1_000).encoded().len();
    let world = World::new(limited(100 * size, 3 * size));
    for nonce in 1..=3 {
        world.add(long(0, nonce, 100, 1_000)).unwrap();
    }
    assert_eq!(world.pool.size(), PoolSize { pending: 0, queued: 3 * size });
    assert_eq!(world.add(long(0, 4, 100, 1_000)), Err(PoolError::Full));
    assert_eq!(world.add(long(1, 4, 100, 1_000)), Err(PoolError::Full));
    assert_eq!(world.pool.size(), PoolSize { pending: 0, queued: 3 * size });
    // What can be executed has room of its own.
    world.add(long(1, 0, 100, 1_000)).unwrap();
    world.add(long(0, 0, 100, 1_000)).unwrap();
    assert_eq!(world.pool.size(), PoolSize { pending: 5 * size, queued: 0 });
}

#[test]
fn a_pool_full_of_bytes_takes_only_what_fills_a_gap_or_replaces() {
    let size = long(0, 1, 100, 1_000).encoded().len();
    let world = World::new(limited(2 * size, 2 * size));
    world.add(long(0, 0, 100, 1_000)).unwrap();
    world.add(long(1, 0, 100, 1_000)).unwrap();
    world.add(long(2, 3, 100, 1_000)).unwrap();
    world.add(long(2, 5, 100, 1_000)).unwrap();
    assert_eq!(world.add(legacy(3, 0, 100)), Err(PoolError::Full));
    assert_eq!(world.add(legacy(2, 6, 100)), Err(PoolError::FullWithoutGap { count: 4 }));
    // More than its last one leaves room for.
    assert_eq!(world.add(long(2, 0, 100, 1_100)), Err(PoolError::Full));
    world.add(long(2, 0, 100, 1_000)).unwrap();
    assert_eq!(world.pool.status(), PoolStatus { pending: 3, queued: 1 });
    assert_eq!(world.add(long(0, 0, 101, 1_100)), Err(PoolError::Full));
    world.add(long(0, 0, 101, 1_000)).unwrap();
    assert_eq!(world.pool.size(), PoolSize { pending: 3 * size, queued: size });
}

#[tokio::test]
async fn while_too_many_bytes_wait_nothing_is_recovered() {
    let size = long(0, 0, 100, 1_000).encoded().len();
    let world = World::new(limited(4 * size, size));
    for n in 0..4 {
        world.add(long(n, 0, 100, 1_000)).unwrap();
    }
    let offer = async |n, origin| {
        let raw = Bytes::copy_from_slice(long(n, 0, 100, 1_000).encoded());
        world.pool.add_raw_batch(vec![raw], origin).await.pop().unwrap().map(|_| ())
    };
    let recovered = world.pool.0.metrics.recoveries.value();
    assert_eq!(offer(5, Origin::Local).await, Err(PoolError::Full));
    assert_eq!(world.pool.0.metrics.recoveries.value(), recovered);
    offer(5, Origin::Remote).await.unwrap();
    assert_eq!(offer(6, Origin::Remote).await, Err(PoolError::Full));
    world.change(who(0), |account| account.nonce = 1);
    world.change(who(1), |account| account.nonce = 1);
    offer(6, Origin::Local).await.unwrap();
}

#[test]
fn plain_transfers_meet_the_limit_in_number_first() {
    let size = legacy(0, u64::from(u32::MAX), 750_000_000_000).encoded().len();
    for config in [PoolConfig::default(), PoolConfig::network(), PoolConfig::reference()] {
        assert!(3 * size * config.max_pending < config.max_pending_bytes);
        assert!(3 * size * config.max_queued < config.max_queued_bytes);
    }
}

#[derive(Debug, Clone)]
enum Step {
    Add {
        n: u8,
        nonce: u64,
        price: u64,
        input: usize,
        origin: Origin,
    },
    Cancel(u8, u64),
    Remove(u8, usize),
    /// Changes the nonce of the account: backwards too, as when the chain is set back.
    Nonce(u8, u64),
    Balance(u8, u64),
    Price(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let origin = prop_oneof![Just(Origin::Local), Just(Origin::Remote)];
    let add = (0u8..4, 0u64..8, 20u64..60, 0usize..2_000, origin);
    prop_oneof![
        12 => add.prop_map(|(n, nonce, price, input, origin)| Step::Add { n, nonce, price, input, origin }),
        2 => (0u8..4, 0u64..8).prop_map(|(n, nonce)| Step::Cancel(n, nonce)),
        2 => (0u8..4, 0usize..8).prop_map(|(n, index)| Step::Remove(n, index)),
        2 => (0u8..4, 0u64..6).prop_map(|(n, nonce)| Step::Nonce(n, nonce)),
        1 => (0u8..4, 20_000_000u64..80_000_000).prop_map(|(n, balance)| Step::Balance(n, balance)),
        2 => (20u64..60).prop_map(Step::Price),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn the_sums_of_bytes_are_right_and_within_the_limits(steps in proptest::collection::vec(step(), 1..80)) {
        let config = PoolConfig { account_queued: 3, ..limited(8_000, 4_000) };
        let most = config.max_pending_bytes + config.max_queued_bytes;
        let mut world = World::new(config.clone());
        for step in steps {
            let before = world.pool.size().queued;
            let is_arrival = matches!(step, Step::Add { .. } | Step::Cancel(..));
            match step {
                // Who is refused is not at issue here.
                Step::Add { n, nonce, price, input, origin } => {
                    let _answer = world.pool.add(long(n, nonce, price, input), origin);
                }
                Step::Cancel(n, nonce) => {
                    let _answer = world.add(klaytn(n, nonce, 60, Payload::Cancel(payload::Cancel)));
                }
                Step::Remove(n, index) => {
                    let content = world.pool.content();
                    let both = [&content.pending, &content.queued].into_iter().filter_map(|part| part.get(&who(n)));
                    if let Some(tx) = both.flat_map(BTreeMap::values).nth(index) {
                        world.pool.remove(tx);
                    }
                }
                Step::Nonce(n, nonce) => world.change(who(n), |account| account.nonce = nonce),
                Step::Balance(n, balance) => world.change(who(n), |account| account.balance = U256::from(balance)),
                Step::Price(price) => world.set_price(price),
            }
            let size = world.pool.size();
            prop_assert_eq!(size, counted(&world.pool));
            prop_assert!(size.total() <= most, "{size:?}");
            prop_assert!(!is_arrival || size.queued <= before.max(config.max_queued_bytes), "{size:?}, before {before}");
        }
    }
}
