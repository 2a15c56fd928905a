//! `klay lab`: engines in a world where everything goes wrong.

mod engine;
mod plot;
mod table;

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{Mutex, PoisonError},
};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use klay_consensus::sim::{PROFILES, Profile, Run};

use self::{engine::EngineName, plot::Point};
use crate::cli::Outcome;

/// Compare consensus engines on the same seeds in a simulated network with faults.
///
/// Prints one line for each engine and number of validators. Exit code 1 if an invariant was violated; the failing run
/// with the lowest seed is made small and saved, and --replay plays it again.
#[derive(Debug, Args)]
#[command(after_help = profiles())]
pub(crate) struct Lab {
    /// Engines, separated by commas.
    #[arg(long = "engine", value_name = "ENGINE", value_delimiter = ',', default_value = "justified")]
    engines: Vec<EngineName>,
    /// How many validators; several numbers separated by commas.
    #[arg(long, value_name = "N", value_delimiter = ',', default_value = "4", value_parser = clap::value_parser!(u32).range(1..=100))]
    validators: Vec<u32>,
    /// How many seeds.
    #[arg(long, value_name = "K", default_value_t = 100)]
    seeds: u64,
    /// The first seed.
    #[arg(long, value_name = "S", default_value_t = 0)]
    first_seed: u64,
    /// What goes wrong, see below.
    #[arg(long, value_name = "PROFILE", default_value = "all", value_parser = profile)]
    faults: Profile,
    /// Heights of each run.
    #[arg(long, value_name = "H", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    heights: u64,
    /// Threads; as many as there are cores if left out.
    #[arg(long)]
    threads: Option<usize>,
    /// Write a line for each run.
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// Draw how long decisions take.
    #[arg(long, value_name = "FILE.svg")]
    plot: Option<PathBuf>,
    /// Where to save a failing run; by default klay-lab-ENGINE-N-SEED.run. With more than one, ENGINE-N- stands before the
    /// name.
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    /// Play a saved run and print what happens.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["csv", "plot", "save"])]
    replay: Option<PathBuf>,
}

fn profile(name: &str) -> Result<Profile, String> {
    Profile::named(name).ok_or_else(|| {
        let names: Vec<_> = PROFILES.iter().map(|profile| profile.name).collect();
        format!("one of {}", names.join(", "))
    })
}

fn profiles() -> String {
    let mut text = "Fault profiles:\n".to_owned();
    for Profile { name, about, .. } in PROFILES {
        text += &format!("  {name:<10} {about}\n");
    }
    text += "\nEngines:\n";
    for name in EngineName::ALL {
        text += &format!("  {:<18} {}\n", name.name(), name.about());
    }
    text
}

impl Lab {
    pub(crate) fn run(&self) -> Outcome {
        match &self.replay {
            Some(file) => replay(file),
            None => self.compare(),
        }
    }

    fn compare(&self) -> Outcome {
        let threads = self.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, Into::into));
        let end = self.first_seed.checked_add(self.seeds).ok_or("the last seed is beyond the range of seeds")?;
        let total = self.seeds * self.engines.len() as u64 * self.validators.len() as u64;
        let bar = ProgressBar::new(total)
            .with_style(ProgressStyle::with_template("{msg:<22} {bar:30} {pos}/{len} runs, {per_sec}, {eta} left")?);
        let csv = self.csv.as_ref().map(fs::File::create).transpose()?.map(std::io::BufWriter::new);
        let csv = Mutex::new(csv);
        if let Some(file) = csv.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            writeln!(file, "{}", table::CSV_HEAD)?;
        }
        let points = Mutex::new(Vec::new());
        let broken = Mutex::new(None);
        let mut rows = Vec::new();
        let mut failing = Vec::new();
        for &validators in &self.validators {
            for &engine in &self.engines {
                bar.set_message(format!("{} of {validators}", engine.name()));
                let make = |seed| Run { heights: self.heights, ..Run::new(seed, self.faults.faults(validators, seed)) };
                let done = |run: &Run, report: &_| {
                    bar.inc(1);
                    let delays = table::delays(run, report);
                    points.lock().unwrap_or_else(PoisonError::into_inner).push(Point { engine, validators, delays });
                    if let Some(file) = csv.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
                        let line = table::csv_line(engine, validators, self.faults.name, run, report);
                        if let Err(error) = writeln!(file, "{line}") {
                            broken.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                        }
                    }
                };
                let sweep = engine.sweep(validators, self.first_seed..end, threads, &make, &done);
                if let Some(run) = sweep.failing.clone() {
                    failing.push((engine, validators, run));
                }
                let delay = make(self.first_seed).faults.mean_delay();
                rows.push(table::Row { engine, validators, delay, sweep });
            }
        }
        bar.finish_and_clear();
        if let Some(error) = broken.into_inner().unwrap_or_else(PoisonError::into_inner) {
            return Err(error.into());
        }
        if let Some(mut file) = csv.into_inner().unwrap_or_else(PoisonError::into_inner) {
            file.flush()?;
        }
        print!("{}", table::render(&rows));
        if let Some(file) = &self.plot {
            let points = points.into_inner().unwrap_or_else(PoisonError::into_inner);
            plot::draw(file, self.faults.name, &points)?;
        }
        self.save_failing(failing)
    }

    /// Makes failing runs small and saves them.
    fn save_failing(&self, failing: Vec<(EngineName, u32, Run)>) -> Outcome {
        let mut code = ExitCode::SUCCESS;
        let several = failing.len() > 1;
        for (engine, validators, run) in failing {
            code = ExitCode::FAILURE;
            eprintln!("{} of {validators}: seed {} fails; making it small", engine.name(), run.seed);
            let (small, violations) = match engine.shrink(validators, run.clone()) {
                Some((small, report)) => (small, report.violations),
                None => {
                    eprintln!("it does not fail a second time, and is saved as it is");
                    (run, Vec::new())
                }
            };
            let name = format!("klay-lab-{}-{validators}-{}.run", engine.name(), small.seed);
            let file = match &self.save {
                Some(file) if several => file.with_file_name(format!(
                    "{}-{validators}-{}",
                    engine.name(),
                    file.file_name().unwrap_or_default().to_string_lossy()
                )),
                Some(file) => file.clone(),
                None => name.into(),
            };
            let mut text = format!("engine {}\nvalidators {validators}\n{}", engine.name(), small.to_text());
            for violation in &violations {
                let line = format!(
                    "# {} at {:?}, node {}: {}\n",
                    violation.invariant, violation.at, violation.node, violation.what
                );
                // The file stays under 4 KiB.
                if text.len() + line.len() < 4096 {
                    text += &line;
                }
            }
            fs::write(&file, &text)?;
            eprint!("{text}");
            eprintln!("saved: klay lab --replay {}", file.display());
        }
        Ok(code)
    }
}

fn replay(file: &Path) -> Outcome {
    let (mut engine, mut validators) = (None, None);
    let run = Run::from_text(&fs::read_to_string(file)?, |name, value| match name {
        "engine" => {
            engine = EngineName::named(value);
            engine.is_some()
        }
        "validators" => {
            validators = value.parse::<u32>().ok().filter(|n| (1..=100).contains(n));
            validators.is_some()
        }
        _ => false,
    })?;
    let (Some(engine), Some(validators)) = (engine, validators) else {
        return Err("the file names no engine or no validators".into());
    };
    let report = engine.play(validators, run);
    println!("engine {}, {validators} validators, seed {}, digest {:016x}", engine.name(), report.seed, report.digest);
    println!("finished: {}, heights: {}", report.finished, report.metrics.heights);
    for (what, violations) in [("violated", &report.violations), ("known fault", &report.known)] {
        for violation in violations {
            println!(
                "{what}: {} at {:?}, node {}: {}",
                violation.invariant, violation.at, violation.node, violation.what
            );
        }
    }
    Ok(if report.violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
