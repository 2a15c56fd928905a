//! `klay import`: blocks of the reference client's export format, verified one by one.

use std::{
    fs::File,
    io::{self, IsTerminal, Read},
    ops::ControlFlow,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use klay_core::genesis::Genesis;
use klay_node::{
    Chain,
    chain::ChainOptions,
    import::{ImportError, Spent, Step, import},
    metrics::Metrics,
    node::Data,
};
use serde_json::{Value, json};

use crate::{
    cli::Outcome,
    dev::{user_data, wait_for_the_end},
};

/// Import and verify blocks: headers, seals, transactions, execution, rewards, roots.
///
/// The first block that breaks a rule ends the import; the blocks before it stay. An import that was stopped or killed
/// goes on where it was. Ends with one JSON line on standard output.
#[derive(Debug, Parser)]
#[command(after_help = "Examples:\n  \
    klay import --genesis genesis.json --data ./chain blocks.rlp.gz\n  \
    curl -s https://example.org/blocks.rlp | klay import --genesis genesis.json --data ./chain -\n  \
    klay serve --data ./chain")]
pub(crate) struct Import {
    /// The chain's genesis file; not needed if the data hold the chain already
    #[arg(long, value_name = "FILE")]
    genesis: Option<PathBuf>,
    /// Folder for the chain's data
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Write the state of every block; otherwise not of blocks that change more than 1,000 accounts
    #[arg(long)]
    archive: bool,
    /// Blocks as RLP, one after the other, plain or gzip; `-` reads standard input
    #[arg(value_name = "CHAIN.rlp")]
    file: PathBuf,
}

/// Where chains are kept unless told otherwise.
pub(crate) fn data_folder(given: Option<&Path>) -> Result<PathBuf, String> {
    let own = || user_data().map(|folder| folder.join("klay").join("chain"));
    given.map(Path::to_path_buf).or_else(own).ok_or_else(|| "the user has no data directory: use --data".to_owned())
}

impl Import {
    pub(crate) fn run(self) -> Outcome {
        let started = Instant::now();
        let (source, length) = self.source()?;
        let chain = self.chain()?;
        let read = Arc::new(AtomicU64::new(0));
        let stop = stop_on_signal();
        let mut progress = Progress::new(length, Arc::clone(&read));
        let mut imported = 0;
        let outcome = import(&chain, Counted(source, read), &mut |step| {
            imported += u64::from(!step.is_skipped);
            progress.step(step);
            if stop.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        progress.finish();
        let head = chain.head();
        let mut line = json!({
            "imported": imported,
            "head": { "number": head.number(), "hash": head.hash },
            "seconds": (started.elapsed().as_secs_f64() * 1000.0).round() / 1000.0,
        });
        let code = match outcome {
            Ok(done) if done.is_interrupted => {
                eprintln!("klay: interrupted; the same command goes on where it stopped");
                ExitCode::FAILURE
            }
            Ok(done) => {
                let Spent { waiting, checks, execution, roots, storage, states } = done.spent;
                eprintln!(
                    "in order: {checks:.1?} checks, {execution:.1?} execution, {roots:.1?} state roots, {storage:.1?} \
                     storage ({states:.1?} for states), {waiting:.1?} waiting for signatures"
                );
                ExitCode::SUCCESS
            }
            Err(error) => {
                eprintln!("klay: {error}");
                line["error"] = described(&error);
                ExitCode::FAILURE
            }
        };
        println!("{line}");
        Ok(code)
    }

    fn chain(&self) -> Result<Chain, Box<dyn std::error::Error>> {
        let data = Data::Folder(data_folder(self.data.as_deref())?);
        let options = if self.archive { ChainOptions::archive() } else { ChainOptions::import() };
        let metrics = Metrics::default();
        let Some(file) = &self.genesis else {
            if !data.exists() {
                return Err("there is no chain yet: --genesis says what it starts from".into());
            }
            return Ok(Chain::open_stored(data.open()?, options, &metrics)?);
        };
        let text = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
        let genesis: Genesis = serde_json::from_str(&text).map_err(|error| format!("{}: {error}", file.display()))?;
        Ok(Chain::open(data.open()?, &genesis.prepared()?, options, &metrics)?)
    }

    /// The blocks, and how many bytes they take if that is known.
    fn source(&self) -> Result<(Box<dyn Read + Send>, Option<u64>), String> {
        if self.file == Path::new("-") {
            return Ok((Box::new(io::stdin()), None));
        }
        let failed = |error: io::Error| format!("{}: {error}", self.file.display());
        let file = File::open(&self.file).map_err(failed)?;
        let about = file.metadata().map_err(failed)?;
        Ok((Box::new(file), about.is_file().then_some(about.len())))
    }
}

fn described(error: &ImportError) -> Value {
    let ImportError::Refused { number, refusal } = error else { return json!({ "message": error.to_string() }) };
    let mut value = json!({ "block": number, "rule": refusal.rule(), "message": refusal.to_string() });
    if let Some((expected, found)) = refusal.sides() {
        value["expected"] = expected.into();
        value["found"] = found.into();
    }
    value
}

/// Becomes true with Ctrl-C or SIGTERM.
fn stop_on_signal() -> Arc<AtomicBool> {
    let stop = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&stop);
    // Without the thread a signal ends the process, which loses nothing that was synced.
    let _thread = thread::Builder::new().name("klay-signals".to_owned()).spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        if runtime.is_ok_and(|runtime| runtime.block_on(wait_for_the_end()).is_ok()) {
            told.store(true, Ordering::Relaxed);
        }
    });
    stop
}

/// Counts what is read.
struct Counted<R>(R, Arc<AtomicU64>);

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let got = self.0.read(buffer)?;
        self.1.fetch_add(got as u64, Ordering::Relaxed);
        Ok(got)
    }
}

/// Pause between two lines where there is no terminal for a bar.
const LINE_EVERY: Duration = Duration::from_secs(2);

/// Blocks, transactions, gas a second and the time left, on standard error.
struct Progress {
    bar: ProgressBar,
    is_terminal: bool,
    length: Option<u64>,
    read: Arc<AtomicU64>,
    started: Instant,
    shown: Option<Instant>,
    blocks: u64,
    skipped: u64,
    transactions: u64,
    gas: f64,
}

impl Progress {
    fn new(length: Option<u64>, read: Arc<AtomicU64>) -> Self {
        let bar = length.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
        let style = match length {
            Some(_) => ProgressStyle::with_template("{elapsed} [{bar:30}] {percent:>3}% {msg} ETA {eta}"),
            None => ProgressStyle::with_template("{elapsed} {spinner} {msg}"),
        };
        if let Ok(style) = style {
            bar.set_style(style);
        }
        Self {
            bar,
            is_terminal: io::stderr().is_terminal(),
            length,
            read,
            started: Instant::now(),
            shown: None,
            blocks: 0,
            skipped: 0,
            transactions: 0,
            gas: 0.0,
        }
    }

    fn step(&mut self, step: Step) {
        if step.is_skipped {
            self.skipped += 1;
        } else {
            self.blocks += 1;
            self.transactions += step.transactions as u64;
            self.gas += step.gas_used as f64;
        }
        let pause = if self.is_terminal { Duration::from_millis(100) } else { LINE_EVERY };
        if self.shown.is_some_and(|shown| shown.elapsed() < pause) {
            return;
        }
        self.shown = Some(Instant::now());
        if self.is_terminal {
            self.bar.set_position(self.read.load(Ordering::Relaxed));
            self.bar.set_message(self.figures());
        } else {
            eprintln!("block {}: {}{}", step.number, self.figures(), self.time_left());
        }
    }

    fn figures(&self) -> String {
        let seconds = self.started.elapsed().as_secs_f64().max(0.001);
        let skipped = if self.skipped > 0 { format!(" ({} were there)", self.skipped) } else { String::new() };
        format!(
            "{} blocks{skipped}, {} transactions, {:.0} tx/s, {:.1} Mgas/s",
            self.blocks,
            self.transactions,
            self.transactions as f64 / seconds,
            self.gas / 1e6 / seconds
        )
    }

    fn time_left(&self) -> String {
        let read = self.read.load(Ordering::Relaxed) as f64;
        match self.length {
            Some(length) if read > 0.0 => {
                let left = self.started.elapsed().as_secs_f64() * (length as f64 - read).max(0.0) / read;
                format!(", ETA {left:.0} s")
            }
            _ => String::new(),
        }
    }

    fn finish(&self) {
        self.bar.finish_and_clear();
        eprintln!("{} in {:.1} s", self.figures(), self.started.elapsed().as_secs_f64());
    }
}
