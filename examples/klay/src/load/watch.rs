//! Blocks as one node shows them, polled every 50 ms, and when each transaction was first seen in one.

use std::{
    collections::HashMap,
    error::Error,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use klay_core::{Address, B256};
use serde_json::{Value, json};

use super::{client::Client, send::Sent, sign::Signed};

const POLL: Duration = Duration::from_millis(50);
const PROBE_PAUSE: Duration = Duration::from_millis(10);
/// Polls in a row that may fail: a node may be restarting.
const MAX_FAILURES: u32 = 600;

/// A block that holds transactions of the load.
#[derive(Debug, Clone, Copy)]
pub(super) struct SeenBlock {
    /// After the start.
    pub(super) at: Duration,
    /// Transactions of the load.
    pub(super) ours: usize,
    /// Istanbul's round; 0 where the node shows none.
    pub(super) round: u8,
}

/// What was seen in blocks.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// When each transaction was seen, in nanoseconds after the start; 0 for never.
    pub(super) at: Vec<u64>,
    /// How many were.
    pub(super) count: usize,
    /// The blocks with any, in order.
    pub(super) blocks: Vec<SeenBlock>,
    /// The last block looked at.
    pub(super) last_block: u64,
}

/// A running watch.
pub(super) struct Watch {
    shared: Arc<Shared>,
    thread: JoinHandle<Seen>,
}

/// A running probe.
pub(super) struct Probe(JoinHandle<Vec<Duration>>);

struct Shared {
    started: OnceLock<Instant>,
    count: AtomicUsize,
    wanted: AtomicUsize,
    stop: AtomicBool,
    gave_up: AtomicBool,
    last: Mutex<Instant>,
}

impl Watch {
    pub(super) fn start(url: &str, signed: Arc<Vec<Signed>>, patience: Duration) -> Result<Self, Box<dyn Error>> {
        let client = Client::new(url);
        let head = client.number("eth_blockNumber", &json!([]))?;
        let shared = Arc::new(Shared {
            started: OnceLock::new(),
            count: AtomicUsize::new(0),
            wanted: AtomicUsize::new(usize::MAX),
            stop: AtomicBool::new(false),
            gave_up: AtomicBool::new(false),
            last: Mutex::new(Instant::now()),
        });
        let thread = thread::spawn({
            let shared = Arc::clone(&shared);
            move || shared.watch(&client, head, &signed, patience)
        });
        Ok(Self { shared, thread })
    }

    /// The moment from which everything is counted.
    pub(super) fn start_clock(&self) -> Instant {
        *self.shared.last.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        *self.shared.started.get_or_init(Instant::now)
    }

    /// Transactions of the load seen in blocks so far.
    pub(super) fn seen(&self) -> usize {
        self.shared.count.load(Ordering::Relaxed)
    }

    /// Whether no block with any came for longer than the patience.
    pub(super) fn gave_up(&self) -> bool {
        self.shared.gave_up.load(Ordering::Relaxed)
    }

    /// Waits for what was accepted.
    pub(super) fn finish(self, sent: &Sent) -> Seen {
        self.shared.wanted.store(sent.accepted, Ordering::Relaxed);
        let seen = self.thread.join().unwrap_or_default();
        self.shared.stop.store(true, Ordering::Relaxed);
        seen
    }

    /// Calls an empty account until the watch ends.
    pub(super) fn probe(&self, url: &str) -> Probe {
        let (shared, client) = (Arc::clone(&self.shared), Client::new(url));
        Probe(thread::spawn(move || {
            let params = json!([{"to": Address::repeat_byte(0xaa), "data": "0x"}, "latest"]);
            let mut times = Vec::new();
            while !shared.stop.load(Ordering::Relaxed) {
                let started = Instant::now();
                if client.call("eth_call", &params).is_ok() {
                    times.push(started.elapsed());
                }
                thread::sleep(PROBE_PAUSE);
            }
            times.sort();
            times
        }))
    }
}

impl Probe {
    /// How long the calls took, ascending.
    pub(super) fn finish(self) -> Vec<Duration> {
        self.0.join().unwrap_or_default()
    }
}

impl Shared {
    fn watch(&self, client: &Client, mut head: u64, signed: &[Signed], patience: Duration) -> Seen {
        let places: HashMap<B256, usize> = signed.iter().enumerate().map(|(place, tx)| (tx.hash, place)).collect();
        let mut seen = Seen { at: vec![0; signed.len()], last_block: head, ..Seen::default() };
        let mut failures = 0;
        loop {
            let wanted = self.wanted.load(Ordering::Relaxed);
            let waited = self.last.lock().unwrap_or_else(PoisonError::into_inner).elapsed();
            // While transactions are still being sent (`wanted` unknown) their senders ask whether to go on.
            self.gave_up.store(waited > patience, Ordering::Relaxed);
            if seen.count >= wanted || (wanted != usize::MAX && waited > patience) || failures > MAX_FAILURES {
                return seen;
            }
            match self.look(client, &mut head, &places, &mut seen) {
                Ok(()) => failures = 0,
                Err(error) => {
                    failures += 1;
                    if failures == 1 {
                        eprintln!("{error}");
                    }
                }
            }
            thread::sleep(POLL);
        }
    }

    fn look(
        &self,
        client: &Client,
        head: &mut u64,
        places: &HashMap<B256, usize>,
        seen: &mut Seen,
    ) -> Result<(), Box<dyn Error>> {
        let newest = client.number("eth_blockNumber", &json!([]))?;
        while *head < newest {
            let block = block(client, *head + 1)?;
            let at = self.started.get().map_or(Duration::ZERO, Instant::elapsed);
            *head += 1;
            let mut ours = 0;
            for hash in block["transactions"].as_array().into_iter().flatten() {
                let place = hash.as_str().and_then(|hash| hash.parse().ok()).and_then(|hash: B256| places.get(&hash));
                if let Some(place) = place
                    && seen.at[*place] == 0
                {
                    seen.at[*place] = at.as_nanos() as u64;
                    ours += 1;
                }
            }
            seen.last_block = *head;
            if ours > 0 {
                let round = block["extraData"].as_str().and_then(|extra| extra.get(64..66));
                let round = round.and_then(|round| u8::from_str_radix(round, 16).ok()).unwrap_or(0);
                seen.blocks.push(SeenBlock { at, ours, round });
                seen.count += ours;
                self.count.store(seen.count, Ordering::Relaxed);
                *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
            }
        }
        Ok(())
    }
}

/// A block in Klaytn's form, or in Ethereum's of a node that knows no other.
pub(super) fn block(client: &Client, number: u64) -> Result<Value, Box<dyn Error>> {
    let params = json!([format!("0x{number:x}"), false]);
    match client.call("kaia_getBlockByNumber", &params).or_else(|_| client.call("eth_getBlockByNumber", &params))? {
        Value::Null => Err(format!("block {number} is not there").into()),
        block => Ok(block),
    }
}
