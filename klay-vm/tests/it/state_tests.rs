//! Public state tests, case by case as the list beside them says.
//!
//! A sample comes with the crate. The whole packs are unpacked and run by
//!
//! ```text
//! cargo test --release -p klay-vm --features statetest --test it state_tests
//! ```
//!
//! where the shared vectors are found, and from `KLAY_STATE_TESTS`, a directory of directories with an `EXPECTED.tsv`.

use crate::common;
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

use klay_accounts::{CodeInfo, EMPTY_ROOT, Program, StateAccount};
use klay_core::{Address, B256, U256, hex, keccak256, trie::Trie};
use klay_vm::statetest::{Case, Mismatch, Verdict, run_file};
use serde_json::json;

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

/// A trie over hashed keys.
fn trie<V: AsRef<[u8]> + Sync>(leaves: impl IntoIterator<Item = (B256, V)>) -> B256 {
    let mut leaves: Vec<_> = leaves.into_iter().map(|(key, value)| (key, Some(value))).collect();
    leaves.sort_by_key(|(key, _)| *key);
    Trie::new().update(&(), &leaves).unwrap().root()
}

/// Ethereum's leaf of an account.
fn ethereum(account: &StateAccount) -> Vec<u8> {
    let mut leaf = rlp::RlpStream::new_list(4);
    leaf.append(&account.nonce).append(&account.balance.to_be_bytes_trimmed_vec());
    leaf.append(&account.program.storage_root.as_slice()).append(&account.program.code_hash.as_slice());
    leaf.out().to_vec()
}

/// Trap 14: "Byzantium" means Klaytn's genesis, whose instructions are those of Constantinople, and "Constantinople"
/// holds roots over Ethereum's accounts, which are not looked at.
#[test]
fn the_fork_byzantium_has_the_instructions_of_constantinople() {
    // SSTORE(0, SHL(4, 1)); SSTORE(1, EXTCODEHASH(this)); SSTORE(2, CREATE2(0, 0, 0, 0))
    let code = hex!("600160041b600055" "303f600155" "6000600060006000f5600255" "00");
    let (sender, contract, coinbase) = (
        hex!("a94f5374fce5edbc8e2a8697c15331677e6ebf0b").into(),
        Address::repeat_byte(0xcc),
        Address::repeat_byte(0xc0),
    );
    let code_hash = keccak256(code);
    let child = contract.create2(B256::ZERO, keccak256([]));
    let slot = |n: u8| keccak256(B256::with_last_byte(n));
    let storage = |words: &[U256]| {
        let leaf = |(n, word): (usize, &U256)| (slot(n as u8), rlp::encode(&word.to_be_bytes_trimmed_vec()));
        trie(words.iter().enumerate().map(leaf))
    };
    // 68 gas for a byte of data, of which there is none; 3 for a push, SHL 3, EXTCODEHASH 400, ADDRESS 2, CREATE2 32,000.
    let gas = 21_000 + (3 * 3 + 3 + 20_000) + (2 + 400 + 3 + 20_000) + (5 * 3 + 32_000 + 20_000);
    let program = |root| Program { storage_root: root, code_hash, code_info: CodeInfo::GENESIS };
    let words = [U256::from(16), code_hash.into(), child.into_word().into()];
    let after = [
        (sender, StateAccount::eoa(1, U256::from(1_000_000 - gas))),
        (coinbase, StateAccount::eoa(0, U256::from(gas))),
        (contract, StateAccount::contract(1, U256::ZERO, program(storage(&words)))),
        (child, StateAccount::contract(1, U256::ZERO, Program::default())),
    ];
    assert_eq!(Program::default().storage_root, EMPTY_ROOT);
    let klaytn = trie(after.iter().map(|(address, account)| (keccak256(address), account.encode())));
    let ethereum = trie(after.iter().map(|(address, account)| (keccak256(address), ethereum(account))));

    let post = |hash: B256| json!([{ "hash": hash, "indexes": { "data": 0, "gas": 0, "value": 0 } }]);
    let test = |post: serde_json::Value| {
        let account = |balance: &str, nonce: &str, code: &[u8]| json!({ "balance": balance, "nonce": nonce, "code": hex::encode(code), "storage": {} });
        json!({ "trap": {
            "env": { "currentCoinbase": coinbase, "currentDifficulty": "0x1", "currentGasLimit": "0xffffff",
                "currentNumber": "0x1", "currentTimestamp": "0x1" },
            "pre": { sender.to_string(): account("0xf4240", "0x0", &[]),
                contract.to_string(): account("0x0", "0x0", &code) },
            "transaction": { "nonce": "0x0", "gasPrice": "0x1", "to": contract, "data": [""], "value": ["0x0"],
                "gasLimit": ["0x30d40"],
                "secretKey": "45a915e4d060149eb4365960e6a7a45f334393093061116b197e3240065ff2d8" },
            "post": post,
        } })
    };
    let run = |post| -> Vec<_> {
        let cases = run_file("stTrap/trap.json", &test(post).to_string(), None).unwrap();
        cases.into_iter().map(|case| (case.fork, case.verdict)).collect()
    };
    let skip = Verdict::Skip("root uses Ethereum account encoding");
    assert_eq!(
        run(json!({ "Byzantium": post(klaytn), "Constantinople": post(ethereum) })),
        [("Byzantium".to_owned(), Verdict::Pass), ("Constantinople".to_owned(), skip)]
    );
    let mismatch = Mismatch { what: "state root", expected: ethereum.to_string(), found: klaytn.to_string() };
    assert_eq!(run(json!({ "Byzantium": post(ethereum) })), [("Byzantium".to_owned(), Verdict::Fail(mismatch))]);
}
