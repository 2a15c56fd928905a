//! The long suites of the lab, for every engine, each in pieces that are noted when they are done: a run that is
//! stopped goes on where it was.
//!
//! ```sh
//! cargo run --release -p klay-consensus --features simulate --example nightly -- FOLDER --sizes 4,7
//! ```
//!
//! | Option | Meaning | Otherwise |
//! |---|---|---|
//! | `--sizes 4,7` | numbers of validators | the eleven of chapter 50, section 6.3 |
//! | `--engines simplex` | engines | istanbul, justified, simplex |
//! | `--suites all,crash` | suites, see `suites.rs` | all of them |
//! | `--seeds 9500` | seeds of each engine and number of validators; crashes and partitions get three tenths | 9,500: 100,000 an engine for eleven numbers |
//! | `--threads 1` | threads | as many as there are cores |
//! | `--table` | prints what is done so far, and runs nothing | |
//!
//! The seeds of one change (1,000, 300 and 300 an engine): `--seeds 91 --suites all,crash,partition`.
//!
//! Pieces go to `FOLDER/progress.csv`, failing runs beside it. Exit code 1 if a promise was broken.
#![allow(clippy::unwrap_used, missing_docs)]

mod progress;
mod suites;

use std::{path::PathBuf, process::ExitCode, sync::Mutex, thread};

use klay_consensus::{
    istanbul::Compat,
    sim::{istanbul::IstanbulLab, justified::JustifiedLab, simplex::SimplexLab},
};

use self::{
    progress::{Progress, play},
    suites::{Row, rows},
};

/// What is asked for.
#[derive(Debug)]
struct Wanted {
    folder: PathBuf,
    sizes: Vec<usize>,
    engines: Vec<String>,
    suites: Vec<String>,
    seeds: u64,
    threads: usize,
    table: bool,
}

impl Wanted {
    fn read(mut args: impl Iterator<Item = String>) -> Option<Self> {
        let list = |text: String| text.split(',').map(str::to_owned).collect::<Vec<_>>();
        let mut wanted = Self {
            folder: args.next().filter(|folder| !folder.starts_with('-'))?.into(),
            sizes: vec![1, 2, 3, 4, 5, 6, 7, 10, 13, 22, 31],
            engines: list("istanbul,justified,simplex".to_owned()),
            suites: list(suites::NAMES.join(",")),
            seeds: 9_500,
            threads: std::thread::available_parallelism().map_or(1, Into::into),
            table: false,
        };
        while let Some(option) = args.next() {
            match option.as_str() {
                "--sizes" => wanted.sizes = list(args.next()?).iter().map(|n| n.parse().ok()).collect::<Option<_>>()?,
                "--engines" => wanted.engines = list(args.next()?),
                "--suites" => wanted.suites = list(args.next()?),
                "--seeds" => wanted.seeds = args.next()?.parse().ok()?,
                "--threads" => wanted.threads = args.next()?.parse().ok()?,
                "--table" => wanted.table = true,
                _ => return None,
            }
        }
        Some(wanted)
    }

    fn rows(&self) -> Vec<Row> {
        let mut all = Vec::new();
        for engine in &self.engines {
            for &n in &self.sizes {
                all.extend(match engine.as_str() {
                    "istanbul" => rows("istanbul", &IstanbulLab::new(n, Compat::default()), self),
                    "reference" => rows("reference", &IstanbulLab::new(n, Compat::reference()), self),
                    "justified" => rows("justified", &JustifiedLab::new(n), self),
                    "simplex" => rows("simplex", &SimplexLab::new(n), self),
                    "sequential" => rows("sequential", &SimplexLab::new(n).in_sequence(), self),
                    _ => Vec::new(),
                });
            }
        }
        all
    }
}

fn main() -> ExitCode {
    let Some(wanted) = Wanted::read(std::env::args().skip(1)) else {
        eprintln!("nightly FOLDER [--sizes LIST] [--engines LIST] [--suites LIST] [--seeds N] [--threads N] [--table]");
        return ExitCode::FAILURE;
    };
    let rows = wanted.rows();
    let progress = Mutex::new(Progress::open(&wanted.folder).unwrap());
    let work = || {
        // The row that is furthest behind comes next, so that a run that is stopped has some of each.
        while let Some((row, pieces)) = { progress.lock().unwrap().claim(&rows) } {
            let done = play(row, pieces);
            progress.lock().unwrap().note(done).unwrap();
        }
    };
    if !wanted.table {
        thread::scope(|scope| {
            for _ in 0..wanted.threads.max(1) {
                scope.spawn(work);
            }
        });
    }
    let progress = progress.into_inner().unwrap();
    progress.print(&rows);
    if progress.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
