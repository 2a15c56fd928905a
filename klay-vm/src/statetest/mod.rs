//! Runs public state tests: those of the reference client, and Ethereum's as far as the rules agree.
//!
//! | Posts of | Rules | Root over |
//! |---|---|---|
//! | Byzantium | Klaytn's before any fork | Klaytn accounts |
//! | Shanghai | Klaytn's up to Shanghai | Klaytn accounts |
//! | Constantinople | left over from upstream | not run |
//! | Cancun, Prague, Osaka | Klaytn's with Ethereum's fees, data gas and block fields | Ethereum accounts |
//! | VMTests | Klaytn's before any fork, one frame | not looked at |
//!
//! Source: spec 40, section 8; `tests/state_test_util.go` in the reference client.

mod fixture;
mod general;
mod steps;
mod vm;

use serde_json::Value;

pub use fixture::FixtureError;
pub use steps::StepSink;

use crate::trace::Watch;

/// One expectation of a test file and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// Name of the test.
    pub test: String,
    /// Fork of the post state; `VM` for a test of the machine alone.
    pub fork: String,
    /// Place among the posts of that fork.
    pub index: usize,
    /// What became of it.
    pub verdict: Verdict,
}

/// What became of a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Everything is as expected.
    Pass,
    /// Something is not.
    Fail(Mismatch),
    /// The case is not run.
    Skip(&'static str),
}

/// The first thing that is not as expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// What was compared.
    pub what: &'static str,
    /// What the test wants.
    pub expected: String,
    /// What came out.
    pub found: String,
}

impl Mismatch {
    fn compare<T: PartialEq + ToString>(what: &'static str, expected: T, found: T) -> Result<(), Self> {
        if expected == found {
            return Ok(());
        }
        Err(Self { what, expected: expected.to_string(), found: found.to_string() })
    }
}

/// Runs every case of a test file; `path` decides what is skipped, `fork` limits the posts.
///
/// # Errors
/// If the file is not one of tests.
pub fn run_file(path: &str, json: &str, fork: Option<&str>) -> Result<Vec<Case>, FixtureError> {
    run(path, json, fork, None)
}

/// As [`run_file`], with every step written to `steps` as a line of JSON (EIP-3155), and a line ahead of each case that
/// names it.
///
/// # Errors
/// As [`run_file`].
pub fn run_file_traced(
    path: &str,
    json: &str,
    fork: Option<&str>,
    steps: &StepSink,
) -> Result<Vec<Case>, FixtureError> {
    run(path, json, fork, Some(steps))
}

fn run(path: &str, json: &str, fork: Option<&str>, steps: Option<&StepSink>) -> Result<Vec<Case>, FixtureError> {
    let file: Value = serde_json::from_str(json).map_err(FixtureError::Json)?;
    let tests = file.as_object().ok_or(FixtureError::Shape("file"))?;
    let mut cases = Vec::new();
    for (name, test) in tests {
        if test.get("exec").is_some() {
            if fork.is_none_or(|fork| fork == "VM") {
                let verdict = vm::run(test, watch(steps, path, name, "VM", 0))?;
                cases.push(Case { test: name.clone(), fork: "VM".to_owned(), index: 0, verdict });
            }
            continue;
        }
        general::run(path, name, test, fork, steps, &mut cases)?;
    }
    Ok(cases)
}

/// A watch that writes the steps of a case, if somebody wants them.
fn watch(steps: Option<&StepSink>, path: &str, test: &str, fork: &str, index: usize) -> Watch {
    steps.map_or_else(Watch::default, |sink| Watch::new(sink.case(path, test, fork, index)))
}
