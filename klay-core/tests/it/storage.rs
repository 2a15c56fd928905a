//! What every store guarantees, run on each of them.

use klay_core::storage::{Batch, KeyValue, Memory, Table};
use proptest::{collection::vec, prelude::*};
use std::{collections::BTreeMap, ops::ControlFlow, path::Path, sync::Arc};

type Open = fn(&Path) -> Arc<dyn KeyValue>;

/// Stores that keep what they are given when they are closed.
const DURABLE: &[(&str, Open)] = &[
    #[cfg(feature = "sled")]
    ("sled", |path| Arc::new(klay_core::storage::Sled::open(path.join("sled")).unwrap())),
    #[cfg(feature = "redb")]
    ("redb", |path| Arc::new(klay_core::storage::Redb::open(path.join("redb")).unwrap())),
];

fn on_every_store(test: impl Fn(&str, &dyn KeyValue)) {
    test("memory", &Memory::new());
    for (name, open) in DURABLE {
        let directory = tempfile::tempdir().unwrap();
        test(name, &*open(directory.path()));
    }
}

fn all(store: &dyn KeyValue, table: Table, start: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut found = Vec::new();
    store
        .scan(table, start, &mut |key, value| {
            found.push((key.to_vec(), value.to_vec()));
            ControlFlow::Continue(())
        })
        .unwrap();
    found
}

fn put(store: &dyn KeyValue, table: Table, key: &[u8], value: &[u8]) {
    let mut batch = Batch::default();
    batch.put(table, key, value);
    store.write(batch).unwrap();
}

#[test]
fn an_empty_store_has_nothing() {
    on_every_store(|name, store| {
        assert_eq!(store.get(Table::Meta, b"x").unwrap(), None, "{name}");
        assert!(all(store, Table::Meta, &[]).is_empty(), "{name}");
        store.write(Batch::default()).unwrap();
        store.sync().unwrap();
    });
}

#[test]
fn tables_do_not_mix() {
    on_every_store(|name, store| {
        for table in Table::ALL {
            put(store, table, b"key", &[table as u8]);
            put(store, table, b"", &[0xee, table as u8]);
        }
        for table in Table::ALL {
            assert_eq!(store.get(table, b"key").unwrap(), Some(vec![table as u8]), "{name}");
            let entries = [(vec![], vec![0xee, table as u8]), (b"key".to_vec(), vec![table as u8])];
            assert_eq!(all(store, table, &[]), entries, "{name}");
        }
    });
}

#[test]
fn the_last_write_to_a_key_in_a_batch_counts() {
    on_every_store(|name, store| {
        put(store, Table::Code, b"gone", b"old");
        let mut batch = Batch::default();
        batch.put(Table::Code, b"key", b"first");
        batch.delete(Table::Code, b"key");
        batch.put(Table::Code, b"key", b"second");
        batch.put(Table::Code, b"gone", b"new");
        batch.delete(Table::Code, b"gone");
        batch.delete(Table::Code, b"never there");
        store.write(batch).unwrap();
        assert_eq!(store.get(Table::Code, b"key").unwrap().as_deref(), Some(&b"second"[..]), "{name}");
        assert_eq!(store.get(Table::Code, b"gone").unwrap(), None, "{name}");
    });
}

#[test]
fn a_scan_starts_anywhere_follows_bytes_and_stops_when_told() {
    on_every_store(|name, store| {
        for key in [&[2, 0][..], &[1], &[1, 0xff], &[0xff, 0xff], &[0]] {
            put(store, Table::Nodes, key, key);
        }
        put(store, Table::Code, &[0], &[0]);
        let keys = |start: &[u8]| all(store, Table::Nodes, start).into_iter().map(|(key, _)| key).collect::<Vec<_>>();
        assert_eq!(keys(&[]), [vec![0], vec![1], vec![1, 0xff], vec![2, 0], vec![0xff, 0xff]], "{name}");
        assert_eq!(keys(&[1, 1]), [vec![1, 0xff], vec![2, 0], vec![0xff, 0xff]], "{name}");
        assert!(keys(&[0xff, 0xff, 0]).is_empty(), "{name}");
        let mut visits = 0;
        store
            .scan(Table::Nodes, &[1], &mut |_, _| {
                visits += 1;
                if visits == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })
            .unwrap();
        assert_eq!(visits, 2, "{name}");
    });
}

#[test]
fn big_and_empty_values_come_back() {
    on_every_store(|name, store| {
        let big: Vec<u8> = (0..3_000_000u32).map(|n| (n % 251) as u8).collect();
        put(store, Table::Bodies, b"big", &big);
        put(store, Table::Bodies, b"empty", &[]);
        store.sync().unwrap();
        assert_eq!(store.get(Table::Bodies, b"big").unwrap().as_ref(), Some(&big), "{name}");
        assert_eq!(store.get(Table::Bodies, b"empty").unwrap(), Some(vec![]), "{name}");
    });
}

/// Bytes that differ from place to place.
fn bytes(length: usize, seed: u8) -> Vec<u8> {
    (0..length).map(|n| (n % 251) as u8 ^ seed).collect()
}

#[test]
fn values_of_all_sizes_take_each_others_place() {
    const SIZES: [usize; 8] = [0, 1, 6_143, 6_144, 6_145, 12_288, 12_289, 700_000];
    on_every_store(|name, store| {
        for (n, before) in SIZES.into_iter().enumerate() {
            for after in SIZES {
                let neighbour = bytes(before, 3);
                put(store, Table::Bodies, b"key", &bytes(before, 1));
                put(store, Table::Bodies, b"key2", &neighbour);
                put(store, Table::Bodies, b"key", &bytes(after, 2));
                assert_eq!(
                    store.get(Table::Bodies, b"key").unwrap(),
                    Some(bytes(after, 2)),
                    "{name}: {before}, {after}"
                );
                let entries = [(b"key".to_vec(), bytes(after, 2)), (b"key2".to_vec(), neighbour)];
                assert_eq!(all(store, Table::Bodies, &[]), entries, "{name}: {before}, {after}");
                let mut batch = Batch::default();
                batch.put(Table::Bodies, b"key", bytes(before, 4));
                batch.put(Table::Bodies, b"key", bytes(after, 5));
                if n % 2 == 1 {
                    batch.delete(Table::Bodies, b"key");
                }
                store.write(batch).unwrap();
                let kept = (n % 2 == 0).then(|| bytes(after, 5));
                assert_eq!(store.get(Table::Bodies, b"key").unwrap(), kept, "{name}: {before}, {after}");
                put(store, Table::Bodies, b"key", &[]);
                assert_eq!(store.get(Table::Bodies, b"key").unwrap(), Some(vec![]), "{name}: {before}, {after}");
            }
        }
    });
}

#[test]
fn a_large_value_that_is_written_again_is_read_as_one_or_the_other() {
    on_every_store(|name, store| {
        put(store, Table::Bodies, b"key", &[0; 60_000]);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for round in 1..=200u8 {
                    put(store, Table::Bodies, b"key", &vec![round; 20_000 + usize::from(round) * 200]);
                }
            });
            loop {
                let value = store.get(Table::Bodies, b"key").unwrap().unwrap();
                assert!(value.iter().all(|byte| *byte == value[0]), "{name}: mixed");
                if value[0] == 200 {
                    break;
                }
                assert_eq!(value.len(), if value[0] == 0 { 60_000 } else { 20_000 + usize::from(value[0]) * 200 });
            }
        });
    });
}

#[test]
fn a_value_that_is_large_and_small_by_turns_is_read_whole() {
    on_every_store(|name, store| {
        // Each value says of which round it is; small ones are of odd rounds.
        let value = |round: u16| {
            [&round.to_be_bytes()[..], &vec![7; if round.is_multiple_of(2) { 15_000 } else { 3 }]].concat()
        };
        let is_whole = |found: &[u8]| {
            let round = u16::from_be_bytes(*found.first_chunk().unwrap_or_else(|| panic!("{name}: an empty value")));
            assert!(found == value(round), "{name}: round {round} is not whole");
            round
        };
        put(store, Table::Bodies, b"key", &value(0));
        std::thread::scope(|scope| {
            scope.spawn(|| (1..=1_000).for_each(|round| put(store, Table::Bodies, b"key", &value(round))));
            loop {
                let got = is_whole(&store.get(Table::Bodies, b"key").unwrap().unwrap());
                let [(_, scanned)] = &all(store, Table::Bodies, &[])[..] else {
                    panic!("{name}: a scan found nothing")
                };
                assert!(is_whole(scanned) >= got, "{name}: back in time");
                if got == 1_000 {
                    break;
                }
            }
        });
    });
}

#[cfg(feature = "sled")]
#[test]
fn of_two_writers_of_one_key_nothing_is_left_but_one_value() {
    let directory = tempfile::tempdir().unwrap();
    {
        let store = klay_core::storage::Sled::open(directory.path()).unwrap();
        std::thread::scope(|scope| {
            for lengths in [[20_000, 30_000], [0, 25_000]] {
                let store = &store;
                scope.spawn(move || {
                    for round in 0..300u16 {
                        put(store, Table::Bodies, b"key", &vec![round as u8; lengths[usize::from(round % 2)]]);
                    }
                });
            }
        });
        put(&store, Table::Bodies, b"key", &[1]);
    }
    let left = sled::open(directory.path()).unwrap().iter().map(|entry| entry.unwrap().0.to_vec()).collect::<Vec<_>>();
    assert_eq!(left, [[&[Table::Bodies as u8][..], b"key"].concat()]);
}

#[cfg(feature = "sled")]
#[test]
fn nothing_is_left_of_large_values_in_sled() {
    let directory = tempfile::tempdir().unwrap();
    {
        let store = klay_core::storage::Sled::open(directory.path()).unwrap();
        for length in [700_000, 30_000, 10, 500_000] {
            put(&store, Table::Bodies, b"key", &bytes(length, 0));
        }
        let mut batch = Batch::default();
        batch.delete(Table::Bodies, b"key");
        batch.put(Table::Code, b"twice", bytes(70_000, 1));
        batch.put(Table::Code, b"twice", bytes(5, 1));
        store.write(batch).unwrap();
        store.sync().unwrap();
    }
    let left = sled::open(directory.path()).unwrap().iter().map(|entry| entry.unwrap().0.to_vec()).collect::<Vec<_>>();
    assert_eq!(left, [[&[Table::Code as u8][..], b"twice"].concat()]);
}

#[cfg(feature = "sled")]
#[test]
fn a_piece_that_is_gone_is_damage() {
    let directory = tempfile::tempdir().unwrap();
    put(&klay_core::storage::Sled::open(directory.path()).unwrap(), Table::Bodies, b"key", &[7; 30_000]);
    {
        let db = sled::open(directory.path()).unwrap();
        let piece = db.range([0xfe_u8]..[0xff_u8]).nth(2).unwrap().unwrap().0;
        db.remove(piece).unwrap();
    }
    let store = klay_core::storage::Sled::open(directory.path()).unwrap();
    let error = store.get(Table::Bodies, b"key").unwrap_err();
    assert!(matches!(error, klay_core::storage::StorageError::Damaged(_)), "{error}");
    assert_eq!(error.to_string(), "store is damaged: a piece of a large value is missing in table Bodies");
}

#[test]
fn a_batch_is_seen_as_a_whole_or_not_at_all() {
    on_every_store(|name, store| {
        let keys: Vec<[u8; 2]> = (0..50u16).map(u16::to_be_bytes).collect();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for round in 1..=60u8 {
                    let mut batch = Batch::default();
                    for key in &keys {
                        batch.put(Table::Meta, *key, [round]);
                    }
                    store.write(batch).unwrap();
                }
            });
            // Keys are read from the last to the first: whoever has seen a round there must not see an older one after.
            loop {
                let read = |key: &[u8; 2]| store.get(Table::Meta, key).unwrap().map_or(0, |value| value[0]);
                let late = read(&keys[49]);
                let early = read(&keys[0]);
                assert!(early >= late, "{name}: {early} after {late}");
                if late == 60 {
                    break;
                }
            }
        });
    });
}

#[test]
fn what_was_synced_is_there_after_closing() {
    for (name, open) in DURABLE {
        let directory = tempfile::tempdir().unwrap();
        for round in 0..4u8 {
            let store = open(directory.path());
            let expected: Vec<_> = (0..round).map(|n| (vec![n], vec![n; 1000])).collect();
            assert_eq!(all(&*store, Table::Headers, &[]), expected, "{name}");
            put(&*store, Table::Headers, &[round], &vec![round; 1000]);
            store.sync().unwrap();
        }
    }
}

#[test]
fn a_store_that_is_open_elsewhere_is_refused_as_transient() {
    let directory = tempfile::tempdir().unwrap();
    #[cfg(feature = "redb")]
    {
        let _held = klay_core::storage::Redb::open(directory.path().join("redb")).unwrap();
        let error = klay_core::storage::Redb::open(directory.path().join("redb")).unwrap_err();
        assert!(error.is_transient(), "{error}");
    }
    #[cfg(feature = "sled")]
    {
        let _held = klay_core::storage::Sled::open(directory.path().join("sled")).unwrap();
        let error = klay_core::storage::Sled::open(directory.path().join("sled")).unwrap_err();
        assert!(error.is_transient(), "{error}");
    }
    drop(directory);
}

/// Batch `n` of the child process: a number that all keys of the batch share.
const CRASH_KEYS: u16 = 40;

/// Not a test of its own: run by the next one in a process that is killed. Writes batches for ever and reports each
/// synced one on standard output.
#[test]
fn crash_child() {
    let Ok(path) = std::env::var("KLAY_CRASH_STORE") else { return };
    let (name, path) = path.split_once(':').unwrap();
    let (_, open) = DURABLE.iter().find(|(known, _)| *known == name).unwrap();
    let store = open(Path::new(path));
    let start = store.get(Table::Meta, b"last").unwrap().map_or(0, |n| u64::from_be_bytes(n.try_into().unwrap()));
    for n in start + 1.. {
        let mut batch = Batch::default();
        for key in 0..CRASH_KEYS {
            let mut value = n.to_be_bytes().to_vec();
            value.resize(8 + usize::from(key) * 50, n as u8);
            batch.put(Table::Nodes, key.to_be_bytes(), value);
        }
        batch.put(Table::Bodies, n.to_be_bytes(), vec![n as u8; if n % 7 == 0 { 300_000 } else { 3_000 }]);
        batch.put(Table::Meta, *b"last", n.to_be_bytes());
        store.write(batch).unwrap();
        if n % 2 == 0 {
            store.sync().unwrap();
            use std::io::Write;
            let mut out = std::io::stdout().lock();
            writeln!(out, "synced {n}").unwrap();
            out.flush().unwrap();
        }
    }
}

/// A process that is killed at any moment leaves every batch that it had synced, and no batch by half.
#[test]
fn a_kill_leaves_every_synced_batch_and_no_half_one() {
    use std::io::{BufRead, BufReader};
    for (name, open) in DURABLE {
        let directory = tempfile::tempdir().unwrap();
        let mut floor = 0;
        for round in 0..8u64 {
            let mut child = std::process::Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "storage::crash_child", "--nocapture"])
                .env("KLAY_CRASH_STORE", format!("{name}:{}", directory.path().display()))
                .stdout(std::process::Stdio::piped())
                .stderr(std::process::Stdio::null())
                .spawn()
                .unwrap();
            let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
            let mut reports = 0;
            for line in lines.by_ref().map_while(Result::ok) {
                if let Some(n) = line.rsplit_once("synced ").and_then(|(_, n)| n.trim().parse::<u64>().ok()) {
                    floor = n;
                    reports += 1;
                    if reports > 3 + round {
                        break;
                    }
                }
            }
            std::thread::sleep(std::time::Duration::from_micros(700 * round));
            child.kill().unwrap();
            for line in lines.map_while(Result::ok) {
                floor = line.rsplit_once("synced ").and_then(|(_, n)| n.trim().parse().ok()).unwrap_or(floor);
            }
            child.wait().unwrap();
            assert!(reports > 0, "{name}: the child reported nothing");

            let store = open(directory.path());
            let last = u64::from_be_bytes(store.get(Table::Meta, b"last").unwrap().unwrap().try_into().unwrap());
            assert!(last >= floor, "{name}: synced {floor}, found {last}");
            for key in 0..CRASH_KEYS {
                let value = store.get(Table::Nodes, &key.to_be_bytes()).unwrap().unwrap();
                assert_eq!(value[..8], last.to_be_bytes(), "{name}: key {key} is of another batch");
                assert_eq!(value.len(), 8 + usize::from(key) * 50, "{name}");
            }
            let bodies = all(&*store, Table::Bodies, &[]);
            assert_eq!(bodies.len() as u64, last, "{name}");
            for (n, (_, body)) in (1u64..).zip(&bodies) {
                assert!(body.iter().all(|byte| *byte == n as u8), "{name}: body {n}");
            }
        }
    }
}

#[derive(Debug, Clone)]
enum Step {
    Write(Vec<(u8, Vec<u8>, Option<Vec<u8>>)>),
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let write = (0u8..3, vec(0u8..4, 0..3), proptest::option::of(vec(any::<u8>(), 0..40)));
    prop_oneof![9 => vec(write, 0..12).prop_map(Step::Write), 1 => Just(Step::Reopen)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn every_store_agrees_with_a_map(steps in vec(step(), 1..20)) {
        const TABLES: [Table; 3] = [Table::Meta, Table::Nodes, Table::Consensus];
        let stores = DURABLE.iter().map(|(_, open)| Some(*open)).chain([None]);
        for open in stores {
            let directory = tempfile::tempdir().unwrap();
            let mut store = open.map_or_else(|| Arc::new(Memory::new()) as Arc<dyn KeyValue>, |open| open(directory.path()));
            let mut model: [BTreeMap<Vec<u8>, Vec<u8>>; 3] = Default::default();
            for step in &steps {
                match step {
                    Step::Write(writes) => {
                        let mut batch = Batch::default();
                        for (table, key, value) in writes {
                            let model = &mut model[usize::from(*table)];
                            match value {
                                Some(value) => {
                                    batch.put(TABLES[usize::from(*table)], key.clone(), value.clone());
                                    model.insert(key.clone(), value.clone());
                                }
                                None => {
                                    batch.delete(TABLES[usize::from(*table)], key.clone());
                                    model.remove(key);
                                }
                            }
                        }
                        store.write(batch).unwrap();
                    }
                    Step::Reopen => if let Some(open) = open {
                        store.sync().unwrap();
                        drop(store);
                        store = open(directory.path());
                    }
                }
                for (table, model) in TABLES.iter().zip(&model) {
                    let entries: Vec<_> = model.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
                    prop_assert_eq!(all(&*store, *table, &[]), entries);
                }
            }
        }
    }
}
