//! Public state tests, case by case as the list beside them says.
//!
//! A sample comes with the crate. The whole packs are unpacked and run by
//!
//! ```text
//! cargo test --release -p klay-vm --features statetest --test state_tests
//! ```
//!
//! where the shared vectors are found, and from `KLAY_STATE_TESTS`, a directory of directories with an `EXPECTED.tsv`.
#![cfg(feature = "statetest")]
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod common;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use klay_vm::statetest::{Case, Verdict, run_file};

/// What is expected of each case of a file: fork, index, expectation.
type Expectations = BTreeMap<(String, String, usize), String>;

fn expectations(list: &Path) -> BTreeMap<String, Expectations> {
    let list = fs::read_to_string(list).unwrap();
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

/// The cases of one file that do not end as the list says, and how many there are.
fn run(file: &str, json: &str, expected: &Expectations) -> (usize, Vec<String>) {
    let cases = run_file(file, json, None).unwrap_or_else(|error| panic!("{file}: {error}"));
    let count = cases.len();
    let is_wrong = |case: &Case| {
        let key = (case.test.clone(), case.fork.clone(), case.index);
        let passes = case.verdict == Verdict::Pass;
        expected.get(&key).is_none_or(|expectation| (expectation == "pass") != passes)
    };
    let wrong = cases.iter().filter(|case| is_wrong(case));
    (count, wrong.map(|case| format!("{file} {} {}: {:?}", case.fork, case.index, case.verdict)).collect())
}

/// Runs a directory with its list on all cores.
fn run_pack(root: &Path) -> (usize, Vec<String>) {
    let files: Vec<_> = expectations(&root.join("EXPECTED.tsv")).into_iter().collect();
    let next = AtomicUsize::new(0);
    let total = Mutex::new((0, Vec::new()));
    let work = || {
        while let Some((file, expected)) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
            let json = fs::read_to_string(root.join(file)).unwrap();
            let (count, wrong) = run(file, &json, expected);
            let mut total = total.lock().unwrap();
            total.0 += count;
            total.1.extend(wrong);
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
    total.into_inner().unwrap()
}

/// Unpacks the shared packs, where they are found.
fn unpacked() -> Vec<PathBuf> {
    let mut roots = Vec::new();
    for name in ["state-tests", "state-tests-ethereum"] {
        let archive = common::shared_dir().join(format!("{name}.tar.gz"));
        if !archive.exists() {
            println!("{} is not there", archive.display());
            continue;
        }
        let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&root).unwrap();
        let status = Command::new("tar").arg("xzf").arg(&archive).arg("-C").arg(&root).status().unwrap();
        assert!(status.success());
        roots.push(root);
    }
    roots
}

#[test]
fn every_case_of_the_sample_ends_as_its_list_says() {
    let expected = expectations(&common::vectors().join("state_tests.tsv"));
    let files = common::vector("state_tests.json");
    let mut wrong = Vec::new();
    for (file, tests) in files.as_object().unwrap() {
        wrong.extend(run(file, &tests.to_string(), &expected[file]).1);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_case_of_the_packs_ends_as_its_list_says() {
    if cfg!(debug_assertions) {
        println!("without optimisation only the sample is run");
        return;
    }
    let mut packs = unpacked();
    if let Some(root) = std::env::var_os("KLAY_STATE_TESTS") {
        packs.extend(fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()));
    }
    let mut all = Vec::new();
    for pack in packs {
        if !pack.join("EXPECTED.tsv").exists() {
            println!("{} has no list", pack.display());
            continue;
        }
        let (count, wrong) = run_pack(&pack);
        println!("{}: {count} cases, {} not as listed", pack.display(), wrong.len());
        all.extend(wrong);
    }
    assert!(all.is_empty(), "{} cases:\n{}", all.len(), all.join("\n"));
}
