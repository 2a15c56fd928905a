//! Three ways to send: as fast as accepted, with a window, at a rate.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use super::{client::Client, pace::Pace, sign::Signed, turns::Turns, watch::Watch};

/// Arrivals within this time go out in one batch.
const GATHER: Duration = Duration::from_millis(20);
/// How often a full window is looked at again.
const RECHECK: Duration = Duration::from_millis(5);
/// Pause after a full pool, where nothing drives the rate but the pool.
const PAUSE: Duration = Duration::from_millis(50);
/// Attempts to send what later ones wait for.
const GAPS: usize = 600;
/// What a node says that has no room now.
const FULL: &str = "txpool is full";

/// What was sent, and what became of it.
#[derive(Debug)]
pub(super) struct Sent {
    /// When each was sent, or planned to be, in nanoseconds after the start; 0 for those that were not accepted.
    pub(super) at: Vec<u64>,
    /// How many were accepted.
    pub(super) accepted: usize,
    /// How often a full pool turned one away.
    pub(super) turned_away: u64,
    /// Refusals by their message.
    pub(super) refused: BTreeMap<String, u64>,
    /// From the start until the last answer.
    pub(super) took: Duration,
}

struct Sender<'a> {
    pace: &'a Pace,
    batch: usize,
    started: Instant,
    turns: Mutex<Turns>,
    /// Sent and not refused.
    on_the_way: AtomicUsize,
    at: Vec<AtomicU64>,
    turned_away: AtomicU64,
    refused: Mutex<BTreeMap<String, u64>>,
    signed: &'a [Signed],
    watch: &'a Watch,
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
        turns: Mutex::new(Turns::new(signed.iter().map(|tx| tx.sender).collect())),
        on_the_way: AtomicUsize::new(0),
        at: signed.iter().map(|_| AtomicU64::new(0)).collect(),
        turned_away: AtomicU64::new(0),
        refused: Mutex::default(),
        signed,
        watch,
    };
    thread::scope(|scope| {
        for url in urls.iter().flat_map(|url| std::iter::repeat_n(url, connections)) {
            scope.spawn(|| sender.work(&Client::new(url)));
        }
    });
    if let Some(url) = urls.first() {
        sender.fill_gaps(&Client::new(url));
    }
    let at: Vec<u64> = sender.at.into_iter().map(AtomicU64::into_inner).collect();
    Sent {
        accepted: at.iter().filter(|at| **at != 0).count(),
        at,
        turned_away: sender.turned_away.into_inner(),
        refused: sender.refused.into_inner().unwrap_or_else(PoisonError::into_inner),
        took: started.elapsed(),
    }
}

impl Sender<'_> {
    fn work(&self, client: &Client) {
        while let Some(part) = self.claim() {
            self.offer(client, &part);
        }
    }

    fn offer(&self, client: &Client, part: &[usize]) {
        match client.post(&batch_of(self.signed, part)) {
            Ok(Value::Array(answers)) => self.take_answers(part, &answers),
            Ok(other) => self.refuse(&format!("not a list of answers: {other}"), part),
            Err(error) => self.refuse(&error.to_string(), part),
        }
    }

    fn take_answers(&self, part: &[usize], answers: &[Value]) {
        let mut turned_away = Vec::new();
        for answer in answers {
            let Some(message) = answer.get("error").map(|error| error["message"].as_str().unwrap_or("no message"))
            else {
                continue;
            };
            let Some(index) = answer["id"].as_u64().and_then(|id| part.get(id as usize)) else { continue };
            if message.contains(FULL) {
                turned_away.push(*index);
            } else {
                self.refuse(message, &[*index]);
            }
        }
        if turned_away.is_empty() {
            return;
        }
        turned_away.sort_unstable();
        self.forget(&turned_away);
        self.turned_away.fetch_add(turned_away.len() as u64, Ordering::Relaxed);
        // At a rate the moment has passed; otherwise it is not accepted yet.
        let anew = !matches!(self.pace, Pace::Arrivals { .. });
        self.turns().give_back(&turned_away, anew);
        if anew {
            thread::sleep(PAUSE);
        }
    }

    /// At the end of a run at a rate: sends what was turned away and kept something later from being executed.
    fn fill_gaps(&self, client: &Client) {
        let is_accepted = |index: usize| self.at[index].load(Ordering::Relaxed) != 0;
        for _ in 0..GAPS {
            let gaps = self.turns().gaps(is_accepted);
            if gaps.is_empty() {
                return;
            }
            self.turns().take_out(&gaps);
            for part in gaps.chunks(self.batch) {
                let now = (self.started.elapsed().as_nanos() as u64).max(1);
                part.iter().for_each(|index| self.at[*index].store(now, Ordering::Relaxed));
                self.on_the_way.fetch_add(part.len(), Ordering::Relaxed);
                self.offer(client, part);
            }
            thread::sleep(PAUSE);
        }
    }

    /// The next transactions to send together, when it is time.
    fn claim(&self) -> Option<Vec<usize>> {
        let mut turns = self.turns();
        let mut room = self.batch;
        match self.pace {
            Pace::Saturate { .. } => {
                if turns.is_again() && self.watch.gave_up() {
                    return None;
                }
            }
            Pace::Window { window, .. } => loop {
                if turns.is_over() {
                    return None;
                }
                let way = self.on_the_way.load(Ordering::Relaxed).saturating_sub(self.watch.seen());
                if way < *window {
                    room = room.min(window - way);
                    break;
                }
                if self.watch.gave_up() {
                    return None;
                }
                drop(turns);
                thread::sleep(RECHECK);
                turns = self.turns();
            },
            Pace::Arrivals { times, .. } => {
                let first = turns.arrival();
                thread::sleep((*times.get(first)? + GATHER).saturating_sub(self.started.elapsed()));
                let now = self.started.elapsed();
                room = room.min(times[first..].iter().take_while(|time| **time <= now).count().max(1));
            }
        }
        let mut part = Vec::with_capacity(room);
        for _ in 0..room {
            let arrival = turns.arrival();
            let Some(index) = turns.take() else { break };
            let at = match self.pace {
                Pace::Arrivals { times, .. } => times[arrival],
                _ => self.started.elapsed(),
            };
            self.at[index].store((at.as_nanos() as u64).max(1), Ordering::Relaxed);
            part.push(index);
        }
        self.on_the_way.fetch_add(part.len(), Ordering::Relaxed);
        (!part.is_empty()).then_some(part)
    }

    fn refuse(&self, message: &str, part: &[usize]) {
        self.forget(part);
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        *refused.entry(message.chars().take(200).collect()).or_default() += part.len() as u64;
    }

    /// These are not on the way.
    fn forget(&self, part: &[usize]) {
        for index in part {
            self.at[*index].store(0, Ordering::Relaxed);
        }
        self.on_the_way.fetch_sub(part.len(), Ordering::Relaxed);
    }

    fn turns(&self) -> MutexGuard<'_, Turns> {
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn batch_of(signed: &[Signed], part: &[usize]) -> String {
    let call = |(id, index): (usize, &usize)| {
        let Signed { method, raw, .. } = &signed[*index];
        format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":["{raw}"]}}"#)
    };
    let calls: Vec<String> = part.iter().enumerate().map(call).collect();
    format!("[{}]", calls.join(","))
}
