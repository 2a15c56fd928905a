//! Three ways to send: as fast as accepted, with a window, at a rate.

use std::{
    collections::BTreeMap,
    error::Error,
    ops::Range,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use klay_core::crypto::keccak256;
use serde_json::Value;

use super::{client::Client, sign::Signed, watch::Watch};

/// Arrivals within this time go out in one batch.
const GATHER: Duration = Duration::from_millis(20);
/// How often a full window is looked at again.
const RECHECK: Duration = Duration::from_millis(5);
/// Most arrivals of a run at a rate.
const MAX_ARRIVALS: f64 = 2_000_000.0;

/// When transactions are sent.
#[derive(Debug)]
pub(super) enum Pace {
    /// As fast as they are accepted.
    Saturate { count: u64 },
    /// As fast as they are accepted, but for so many on the way.
    Window { count: u64, window: usize },
    /// At these times after the start.
    Arrivals(Vec<Duration>),
}

/// What was sent, and what became of it.
#[derive(Debug)]
pub(super) struct Sent {
    /// When each was sent, or planned to be, in nanoseconds after the start; 0 for never.
    pub(super) at: Vec<u64>,
    /// How many were accepted.
    pub(super) accepted: usize,
    /// Refusals by their message.
    pub(super) refused: BTreeMap<String, u64>,
    /// From the start until the last answer.
    pub(super) took: Duration,
}

struct Sender<'a> {
    pace: &'a Pace,
    batch: usize,
    started: Instant,
    next: Mutex<usize>,
    at: Vec<AtomicU64>,
    refused: Mutex<BTreeMap<String, u64>>,
    signed: &'a [Signed],
    watch: &'a Watch,
}

impl Pace {
    /// Poisson arrivals at `rate` a second for so many seconds, the same for the same seed.
    pub(super) fn poisson(rate: f64, seconds: f64, seed: u64) -> Result<Self, Box<dyn Error>> {
        let positive = |value: f64| value.is_finite() && value > 0.0;
        if !positive(rate) || !positive(seconds) || rate * seconds > MAX_ARRIVALS {
            return Err(format!("--rate and --seconds give no number of arrivals between 1 and {MAX_ARRIVALS}").into());
        }
        let mut times = Vec::new();
        let mut at = 0.0;
        for index in 0_u64.. {
            let hash = keccak256(format!("klay-load/arrival/{seed}/{index}"));
            let mut first = [0; 8];
            first.copy_from_slice(&hash[..8]);
            let uniform = (u64::from_be_bytes(first) as f64 + 1.0) / (u64::MAX as f64 + 2.0);
            at -= uniform.ln() / rate;
            if at > seconds {
                break;
            }
            times.push(Duration::from_secs_f64(at));
        }
        Ok(Self::Arrivals(times))
    }

    pub(super) const fn count(&self) -> u64 {
        match self {
            Self::Saturate { count } | Self::Window { count, .. } => *count,
            Self::Arrivals(times) => times.len() as u64,
        }
    }
}

/// Sends everything; returns when the last answer is there.
pub(super) fn run(
    urls: &[String],
    pace: &Pace,
    batch: usize,
    connections: usize,
    signed: &[Signed],
    watch: &Watch,
) -> Sent {
    let started = watch.start_clock();
    let sender = Sender {
        pace,
        batch,
        started,
        next: Mutex::new(0),
        at: signed.iter().map(|_| AtomicU64::new(0)).collect(),
        refused: Mutex::default(),
        signed,
        watch,
    };
    thread::scope(|scope| {
        for url in urls.iter().flat_map(|url| std::iter::repeat_n(url, connections)) {
            scope.spawn(|| sender.work(&Client::new(url)));
        }
    });
    let refused = sender.refused.into_inner().unwrap_or_else(PoisonError::into_inner);
    let lost: u64 = refused.values().sum();
    Sent {
        at: sender.at.into_iter().map(AtomicU64::into_inner).collect(),
        accepted: signed.len().saturating_sub(lost as usize),
        refused,
        took: started.elapsed(),
    }
}

impl Sender<'_> {
    fn work(&self, client: &Client) {
        while let Some(part) = self.claim() {
            let now = self.started.elapsed().as_nanos() as u64;
            for index in part.clone() {
                let at = match self.pace {
                    Pace::Arrivals(times) => times[index].as_nanos() as u64,
                    _ => now,
                };
                self.at[index].store(at.max(1), Ordering::Relaxed);
            }
            let asked = part.len() as u64;
            match client.post(&batch_of(&self.signed[part])) {
                Ok(Value::Array(answers)) => {
                    for answer in &answers {
                        if let Some(error) = answer.get("error") {
                            self.refuse(error["message"].as_str().unwrap_or("no message"), 1);
                        }
                    }
                }
                Ok(other) => self.refuse(&format!("not a list of answers: {other}"), asked),
                Err(error) => self.refuse(&error.to_string(), asked),
            }
        }
    }

    /// The next transactions to send together, when it is time.
    fn claim(&self) -> Option<Range<usize>> {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let first = *next;
        if first >= self.signed.len() {
            return None;
        }
        let mut room = self.batch;
        match self.pace {
            Pace::Saturate { .. } => {}
            Pace::Window { window, .. } => loop {
                let way = first.saturating_sub(self.watch.seen() + self.refusals());
                if way < *window {
                    room = room.min(window - way);
                    break;
                }
                if self.watch.gave_up() {
                    return None;
                }
                thread::sleep(RECHECK);
            },
            Pace::Arrivals(times) => {
                thread::sleep((times[first] + GATHER).saturating_sub(self.started.elapsed()));
                let now = self.started.elapsed();
                room = room.min(times[first..].iter().take_while(|time| **time <= now).count().max(1));
            }
        }
        *next = self.signed.len().min(first + room);
        Some(first..*next)
    }

    fn refuse(&self, message: &str, count: u64) {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        *refused.entry(message.chars().take(200).collect()).or_default() += count;
    }

    fn refusals(&self) -> usize {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).values().sum::<u64>() as usize
    }
}

fn batch_of(signed: &[Signed]) -> String {
    let calls: Vec<String> = signed
        .iter()
        .enumerate()
        .map(|(id, tx)| format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{}","params":["{}"]}}"#, tx.method, tx.raw))
        .collect();
    format!("[{}]", calls.join(","))
}
