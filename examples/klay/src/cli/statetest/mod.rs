//! `klay statetest`: public state tests against this machine.

mod expected;
mod pack;

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::PathBuf,
    process::ExitCode,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use indicatif::{ProgressBar, ProgressStyle};
use klay_vm::statetest::{Case, StepSink, Verdict, run_file, run_file_traced};
use serde_json::{Map, Value, json};

use super::Outcome;
use pack::{Pack, TestFile};

/// Deep calls are shown and compared by recursion here and there.
const STACK: usize = 16 * 1024 * 1024;

/// Run public state tests: one line of JSON for each case, and a line that counts them.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  $ klay statetest state-tests.tar.gz --fork Byzantium\n  {\"file\":\"GeneralStateTests/stShift/shl01.json\",\"test\":\"shl01\",\"fork\":\"Byzantium\",\"index\":0,\"pass\":true}\n  ...\n  2434 passed, 0 failed\n\nWhere an EXPECTED.tsv lies in a pack or above a file, a case counts as passed if it ends as listed there."
)]
pub(crate) struct StateTest {
    /// Directories, single JSON files, and packs (.tar, .tar.gz, .tgz).
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,
    /// Only the cases of this fork (VM for tests of the machine alone).
    #[arg(long, value_name = "NAME")]
    fork: Option<String>,
    /// Files worked on at once; all cores by default, 1 with --trace.
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
    /// Write every step of every case to this file, in the form of EIP-3155.
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
}

/// Cases that ended as they should, that did not, and that were not run.
#[derive(Debug, Default)]
struct Tally {
    passed: usize,
    failed: usize,
    skipped: usize,
}

impl StateTest {
    pub(crate) fn run(self) -> Outcome {
        let packs = self.paths.iter().map(|path| Pack::open(path)).collect::<Result<Vec<_>, _>>()?;
        let files: Vec<_> = packs.iter().flat_map(|pack| pack.files().iter().map(move |file| (pack, file))).collect();
        let steps = self.trace.as_ref().map(|path| match File::create(path) {
            Ok(file) => Ok(StepSink::new(BufWriter::new(file))),
            Err(error) => Err(format!("{}: {error}", path.display())),
        });
        let steps = steps.transpose()?;
        let cores = || thread::available_parallelism().map_or(1, usize::from);
        let jobs = if steps.is_some() { 1 } else { self.jobs.unwrap_or_else(cores).clamp(1, 256) };

        let bar = ProgressBar::new(files.len() as u64);
        bar.set_style(ProgressStyle::with_template("{pos}/{len} files {wide_bar} {elapsed}")?);
        let tally = Mutex::new(Tally::default());
        let out = Mutex::new(BufWriter::new(io::stdout()));
        let broken: Mutex<Option<io::Error>> = Mutex::new(None);
        let next = AtomicUsize::new(0);
        let work = || {
            while let Some((pack, file)) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
                let (text, counts) = run_one(pack, file, self.fork.as_deref(), steps.as_ref());
                tally.lock().unwrap_or_else(PoisonError::into_inner).add(&counts);
                bar.inc(1);
                if let Err(error) = out.lock().unwrap_or_else(PoisonError::into_inner).write_all(text.as_bytes()) {
                    *broken.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                    return;
                }
            }
        };
        thread::scope(|scope| -> io::Result<()> {
            for _ in 0..jobs {
                thread::Builder::new().stack_size(STACK).spawn_scoped(scope, work)?;
            }
            Ok(())
        })?;
        bar.finish_and_clear();
        if let Some(error) = broken.into_inner().unwrap_or_else(PoisonError::into_inner) {
            return Err(error.into());
        }
        if let Some(steps) = steps {
            steps.flush()?;
        }
        let tally = tally.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut out = out.into_inner().unwrap_or_else(PoisonError::into_inner);
        writeln!(out, "{} passed, {} failed", tally.passed, tally.failed)?;
        out.flush()?;
        if tally.skipped > 0 {
            eprintln!("{} cases were not run", tally.skipped);
        }
        Ok(if tally.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

impl Tally {
    const fn add(&mut self, other: &Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

/// The lines of one file. A file that is none of tests is one failure.
fn run_one(pack: &Pack, file: &TestFile, fork: Option<&str>, steps: Option<&StepSink>) -> (String, Tally) {
    let mut tally = Tally::default();
    let run = file.read().map_err(|error| error.to_string()).and_then(|json| {
        let run = match steps {
            Some(steps) => run_file_traced(&file.name, &json, fork, steps),
            None => run_file(&file.name, &json, fork),
        };
        run.map_err(|error| error.to_string())
    });
    let cases = match run {
        Ok(cases) => cases,
        Err(error) => {
            tally.failed += 1;
            return (format!("{}\n", json!({ "file": file.name, "pass": false, "error": error })), tally);
        }
    };
    let mut text = String::new();
    for case in cases {
        let line = line(&file.name, &case, pack.expected(&file.name, &case), &mut tally);
        text.push_str(&format!("{line}\n"));
    }
    (text, tally)
}

/// One case. It passes if it ends as listed; without a list, if it is as the test wants it.
fn line(file: &str, case: &Case, listed: Option<&str>, tally: &mut Tally) -> Value {
    let mut line = Map::new();
    line.insert("file".to_owned(), file.into());
    line.insert("test".to_owned(), case.test.as_str().into());
    line.insert("fork".to_owned(), case.fork.as_str().into());
    line.insert("index".to_owned(), case.index.into());
    let as_wanted = case.verdict == Verdict::Pass;
    let pass = match (listed, &case.verdict) {
        (Some(listed), _) => Some((listed == "pass") == as_wanted),
        (None, Verdict::Skip(_)) => None,
        (None, _) => Some(as_wanted),
    };
    line.insert("pass".to_owned(), pass.into());
    match pass {
        Some(true) => tally.passed += 1,
        Some(false) => tally.failed += 1,
        None => tally.skipped += 1,
    }
    if let Some(listed) = listed.filter(|listed| *listed != "pass") {
        line.insert("listed".to_owned(), listed.into());
    }
    match &case.verdict {
        Verdict::Pass => {}
        Verdict::Skip(reason) => {
            line.insert("skipped".to_owned(), (*reason).into());
        }
        Verdict::Fail(mismatch) => {
            line.insert("what".to_owned(), mismatch.what.into());
            line.insert("expected".to_owned(), mismatch.expected.as_str().into());
            line.insert("found".to_owned(), mismatch.found.as_str().into());
        }
    }
    Value::Object(line)
}
