//! Public state tests, case by case as the list beside them says.
//!
//! A small sample comes with the crate. The whole packs are run where they are found unpacked:
//!
//! ```text
//! KLAY_STATE_TESTS=DIR cargo test --release -p klay-vm --features statetest --test state_tests
//! ```
//!
//! `DIR` holds any number of directories with an `EXPECTED.tsv`.
#![cfg(feature = "statetest")]
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use klay_vm::statetest::{Verdict, run_file};

/// What is expected of each case of a file: fork, index, expectation.
type Expectations = BTreeMap<(String, String, usize), String>;

fn expectations(root: &Path) -> BTreeMap<String, Expectations> {
    let list = fs::read_to_string(root.join("EXPECTED.tsv")).unwrap();
    let mut files: BTreeMap<String, Expectations> = BTreeMap::new();
    for line in list.lines().skip(1) {
        let fields: Vec<_> = line.split('\t').collect();
        let [file, test, fork, index, expectation] = fields[..] else { panic!("{line}") };
        let index = index.parse().unwrap_or(0);
        // Tests of the machine alone have neither fork nor index.
        let fork = if fork == "-" { "VM" } else { fork };
        let key = (test.to_owned(), fork.to_owned(), index);
        files.entry(file.to_owned()).or_default().insert(key, expectation.to_owned());
    }
    files
}

/// Runs a directory with its list on all cores; gives the number of cases and what is not as the list says.
fn run_pack(root: &Path) -> (usize, Vec<String>) {
    let files: Vec<_> = expectations(root).into_iter().collect();
    let next = AtomicUsize::new(0);
    let count = AtomicUsize::new(0);
    let wrong = Mutex::new(Vec::new());
    let work = || {
        while let Some((file, expected)) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
            let json = fs::read_to_string(root.join(file)).unwrap();
            let cases = run_file(file, &json, None).unwrap_or_else(|error| panic!("{file}: {error}"));
            count.fetch_add(cases.len(), Ordering::Relaxed);
            for case in cases {
                let key = (case.test.clone(), case.fork.clone(), case.index);
                let expectation = expected.get(&key).map_or("not listed", String::as_str);
                let is_right = match expectation {
                    "pass" => case.verdict == Verdict::Pass,
                    "not listed" => false,
                    _ => case.verdict != Verdict::Pass,
                };
                if !is_right {
                    let line = format!("{file} {} {}: {expectation}, but {:?}", case.fork, case.index, case.verdict);
                    wrong.lock().unwrap().push(line);
                }
            }
        }
    };
    thread::scope(|scope| {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        for _ in 0..cores {
            thread::Builder::new().stack_size(64 << 20).spawn_scoped(scope, work).unwrap();
        }
    });
    (count.into_inner(), wrong.into_inner().unwrap())
}

#[test]
fn every_case_of_the_packs_ends_as_its_list_says() {
    let Some(root) = std::env::var_os("KLAY_STATE_TESTS").map(PathBuf::from) else {
        eprintln!("KLAY_STATE_TESTS is not set: only the sample is run");
        return;
    };
    let mut packs: Vec<_> = fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().path()).collect();
    packs.retain(|path| path.join("EXPECTED.tsv").exists());
    assert!(!packs.is_empty(), "no EXPECTED.tsv below {}", root.display());
    let mut all = Vec::new();
    for pack in packs {
        let (count, wrong) = run_pack(&pack);
        eprintln!("{}: {count} cases, {} not as listed", pack.display(), wrong.len());
        all.extend(wrong);
    }
    assert!(all.is_empty(), "{} cases:\n{}", all.len(), all[..all.len().min(60)].join("\n"));
}
