//! State tests run as a user runs them: a directory, a file, an archive.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::Value;
use tempfile::TempDir;

/// Directories of the sample whose cases are quick without optimisation, too.
const QUICK: [&str; 6] = ["stArgs", "stShift", "stCreateTest", "vmArithmetic", "stEIP3607", "stMemoryStress"];

/// A pack of a part of the sample that comes with `klay-vm`.
fn sample() -> TempDir {
    let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../klay-vm/tests/vectors");
    let is_quick = |name: &str| QUICK.iter().any(|part| name.contains(part));
    let dir = tempfile::tempdir().unwrap();
    let list = fs::read_to_string(vectors.join("state_tests.tsv")).unwrap();
    let kept: Vec<&str> =
        list.lines().enumerate().filter(|(n, line)| *n == 0 || is_quick(line)).map(|(_, line)| line).collect();
    fs::write(dir.path().join("EXPECTED.tsv"), kept.join("\n")).unwrap();
    let files: Value = serde_json::from_str(&fs::read_to_string(vectors.join("state_tests.json")).unwrap()).unwrap();
    for (name, tests) in files.as_object().unwrap().iter().filter(|(name, _)| is_quick(name)) {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, tests.to_string()).unwrap();
    }
    dir
}

fn statetest(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_klay")).arg("statetest").args(args).output().unwrap()
}

/// The cases, and the closing line.
fn lines(output: &Output) -> (Vec<Value>, String) {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    let mut lines: Vec<&str> = text.lines().collect();
    let closing = lines.pop().unwrap().to_owned();
    (lines.into_iter().map(|line| serde_json::from_str(line).unwrap()).collect(), closing)
}

fn listed(dir: &Path) -> usize {
    fs::read_to_string(dir.join("EXPECTED.tsv")).unwrap().lines().count() - 1
}

#[test]
fn every_case_of_a_pack_ends_as_listed() {
    let pack = sample();
    let output = statetest(&[pack.path().to_str().unwrap(), "--jobs", "2"]);
    let (cases, closing) = lines(&output);
    let count = listed(pack.path());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!((cases.len(), closing), (count, format!("{count} passed, 0 failed")));
    let names = ["file", "test", "fork", "index", "pass"];
    assert!(cases.iter().all(|case| names.iter().all(|name| case.get(name).is_some())));
    assert!(cases.iter().any(|case| case["fork"] == "VM"));
}

#[test]
fn an_archive_is_read_as_it_is() {
    let pack = sample();
    let archive = pack.path().join("pack.tar.gz");
    let file = fs::File::create(&archive).unwrap();
    let mut builder = tar::Builder::new(flate2::write::GzEncoder::new(file, flate2::Compression::fast()));
    for name in ["EXPECTED.tsv", "GeneralStateTests"] {
        builder.append_path_with_name_or_dir(pack.path(), name);
    }
    builder.into_inner().unwrap().finish().unwrap();
    let (cases, closing) = lines(&statetest(&[archive.to_str().unwrap(), "--fork", "Byzantium"]));
    assert!(!cases.is_empty());
    assert_eq!(closing, format!("{} passed, 0 failed", cases.len()));
    assert!(cases.iter().all(|case| case["fork"] == "Byzantium"));
}

/// Adds a file or a whole directory under its own name.
trait Append {
    fn append_path_with_name_or_dir(&mut self, root: &Path, name: &str);
}

impl<W: std::io::Write> Append for tar::Builder<W> {
    fn append_path_with_name_or_dir(&mut self, root: &Path, name: &str) {
        let path = root.join(name);
        if path.is_dir() {
            self.append_dir_all(name, path).unwrap();
        } else {
            self.append_path_with_name(path, name).unwrap();
        }
    }
}

/// Some file of the sample with posts before any fork.
fn a_file(pack: &Path) -> PathBuf {
    let list = fs::read_to_string(pack.join("EXPECTED.tsv")).unwrap();
    let line = list.lines().find(|line| line.contains("\tByzantium\t") && line.ends_with("\tpass")).unwrap();
    pack.join(line.split('\t').next().unwrap())
}

#[test]
fn what_is_wrong_is_said_and_the_exit_code_tells() {
    let pack = sample();
    let file = a_file(pack.path());
    let mut tests: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    let test = tests.as_object_mut().unwrap().values_mut().next().unwrap();
    test["post"]["Byzantium"][0]["hash"] = Value::String(format!("0x{}", "11".repeat(32)));
    fs::write(&file, tests.to_string()).unwrap();
    let output = statetest(&[file.to_str().unwrap()]);
    let (cases, closing) = lines(&output);
    assert!(!output.status.success());
    assert!(closing.ends_with(", 1 failed"), "{closing}");
    let wrong = cases.iter().find(|case| case["pass"] == false).unwrap();
    assert_eq!((&wrong["what"], &wrong["expected"]), (&"state root".into(), &format!("0x{}", "11".repeat(32)).into()));
    assert!(wrong["found"].as_str().unwrap().starts_with("0x"));

    fs::write(&file, "{\"not\": \"a test\"}").unwrap();
    let output = statetest(&[file.to_str().unwrap()]);
    assert!(!output.status.success());
    assert_eq!(lines(&output).1, "0 passed, 1 failed");
    assert!(!statetest(&["/nowhere/at/all"]).status.success());
}

#[test]
fn steps_are_written_to_a_file() {
    let pack = sample();
    let trace = pack.path().join("trace.jsonl");
    let file = a_file(pack.path());
    let output = statetest(&[file.to_str().unwrap(), "--trace", trace.to_str().unwrap()]);
    assert!(output.status.success());
    let text = fs::read_to_string(trace).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[0]["fork"], "Byzantium");
    let step = lines.iter().find(|line| line.get("pc").is_some()).unwrap();
    assert_eq!((&step["pc"], &step["depth"]), (&0.into(), &1.into()));
    assert!(["op", "opName", "gas", "gasCost", "stack", "computationCost"].iter().all(|name| step.get(name).is_some()));
    assert!(lines.iter().any(|line| line.get("gasUsed").is_some()));
}
