//! What is done, in a file with one line for each piece.

use std::{
    collections::BTreeSet,
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    ops::Range,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use crate::suites::{Piece, Row};

/// A line of the file.
#[derive(Debug, Clone)]
pub(crate) struct Done {
    name: String,
    from: u64,
    to: u64,
    piece: Piece,
    seconds: f64,
}

/// The file and what it says.
#[derive(Debug)]
pub(crate) struct Progress {
    folder: PathBuf,
    file: File,
    done: Vec<Done>,
    /// Pieces under way, by name and beginning.
    claimed: Vec<(String, u64)>,
}

const HEAD: &str = "engine nodes suite,from,to,cases,heights,steps,core seconds,gap ms,broken,known";

impl Progress {
    pub(crate) fn open(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let path = folder.join("progress.csv");
        let text = fs::read_to_string(&path).unwrap_or_default();
        let mut file = OpenOptions::new().create(true).append(true).open(&path)?;
        if text.is_empty() {
            writeln!(file, "{HEAD}")?;
        }
        let done = text.lines().filter_map(Done::read).collect();
        Ok(Self { folder: folder.to_owned(), file, done, claimed: Vec::new() })
    }

    /// The next piece of the row that is furthest behind.
    pub(crate) fn claim<'a>(&mut self, rows: &'a [Row]) -> Option<(&'a Row, Range<u64>)> {
        let next = |row: &'a Row| {
            let taken: BTreeSet<_> = self.of(row).map(|done| done.from).chain(self.claimed_of(row)).collect();
            let from = (0..row.units).step_by(row.at_a_time as usize).find(|from| !taken.contains(from))?;
            Some((row, from, taken.len() as f64 * row.at_a_time as f64 / row.units as f64))
        };
        let (row, from, _) = rows.iter().filter_map(next).min_by(|(.., a), (.., b)| a.total_cmp(b))?;
        self.claimed.push((name(row), from));
        Some((row, from..row.units.min(from + row.at_a_time)))
    }

    fn of<'a>(&'a self, row: &Row) -> impl Iterator<Item = &'a Done> + use<'a> {
        let name = name(row);
        self.done.iter().filter(move |done| done.name == name)
    }

    fn claimed_of(&self, row: &Row) -> impl Iterator<Item = u64> {
        let name = name(row);
        self.claimed.iter().filter(move |(claimed, _)| *claimed == name).map(|(_, from)| *from)
    }

    /// Notes a piece that is done.
    pub(crate) fn note(&mut self, done: Done) -> io::Result<()> {
        writeln!(self.file, "{}", done.line())?;
        if let Some(story) = &done.piece.story {
            let file = format!("failing-{}-{}.txt", done.name.replace(' ', "-"), done.from);
            fs::write(self.folder.join(file), story)?;
            println!("{}, {} to {}: {story}", done.name, done.from, done.to);
        }
        self.claimed.retain(|(name, from)| (name, *from) != (&done.name, done.from));
        self.done.push(done);
        Ok(())
    }

    pub(crate) fn is_good(&self) -> bool {
        self.done.iter().all(|done| done.piece.broken == 0)
    }

    /// The sums of all rows as a table.
    pub(crate) fn print(&self, rows: &[Row]) {
        println!(
            "| Engine | N | Suite | Part | Cases | Heights or states | Steps | Core time | Gap | Broken promises |"
        );
        println!("|---|---|---|---|---|---|---|---|---|---|");
        let mut seconds = 0.0;
        for row in rows {
            let mut sum = Piece::default();
            let (mut took, mut reached) = (0.0, 0);
            for done in self.of(row) {
                sum.cases += done.piece.cases;
                sum.heights += done.piece.heights;
                sum.steps += done.piece.steps;
                sum.gap = sum.gap.max(done.piece.gap);
                sum.broken += done.piece.broken;
                sum.known += done.piece.known;
                took += done.seconds;
                reached += done.to - done.from;
            }
            seconds += took;
            let known = if sum.known > 0 { format!("; known: {}", sum.known) } else { String::new() };
            println!(
                "| {} | {} | {} | {:.0} % | {} | {} | {:.1} M | {:.0} s | {:.1} s | {}{known} |",
                row.engine,
                row.nodes,
                row.suite,
                100.0 * reached as f64 / row.units as f64,
                if sum.cases < 1e9 { format!("{:.0}", sum.cases) } else { format!("{:.3e}", sum.cases) },
                sum.heights,
                sum.steps as f64 / 1e6,
                took,
                sum.gap.as_secs_f64(),
                sum.broken,
            );
        }
        println!("\n{seconds:.0} core seconds");
    }
}

/// Plays some pieces of a row.
pub(crate) fn play(row: &Row, pieces: Range<u64>) -> Done {
    let start = Clock::start();
    let piece = (row.play)(pieces.clone());
    Done { name: name(row), from: pieces.start, to: pieces.end, piece, seconds: start.seconds() }
}

fn name(row: &Row) -> String {
    format!("{} {} {}", row.engine, row.nodes, row.suite)
}

impl Done {
    fn line(&self) -> String {
        let Self { name, from, to, piece, seconds } = self;
        let Piece { cases, heights, steps, gap, broken, known, .. } = piece;
        format!("{name},{from},{to},{cases},{heights},{steps},{seconds:.2},{},{broken},{known}", gap.as_millis())
    }

    fn read(line: &str) -> Option<Self> {
        let mut fields = line.split(',');
        let name = fields.next()?.to_owned();
        let mut number = || fields.next()?.parse::<f64>().ok();
        let (from, to) = (number()? as u64, number()? as u64);
        let cases = number()?;
        let (heights, steps, seconds) = (number()? as u64, number()? as u64, number()?);
        let gap = Duration::from_millis(number()? as u64);
        let (broken, known) = (number()? as u64, number()? as u64);
        let piece = Piece { cases, heights, steps, gap, broken, known, story: None };
        Some(Self { name, from, to, piece, seconds })
    }
}

/// The time that the thread has been given by its core; the time of day where the system does not tell.
struct Clock {
    begun: Instant,
    used: Option<f64>,
}

impl Clock {
    fn start() -> Self {
        Self { begun: Instant::now(), used: used() }
    }

    fn seconds(&self) -> f64 {
        match (self.used, used()) {
            (Some(before), Some(now)) => now - before,
            _ => self.begun.elapsed().as_secs_f64(),
        }
    }
}

/// Core seconds of this thread so far.
fn used() -> Option<f64> {
    let text = fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanos: f64 = text.split_whitespace().next()?.parse().ok()?;
    Some(nanos / 1e9)
}
