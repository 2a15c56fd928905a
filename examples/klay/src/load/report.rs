//! What a run came to, as one JSON object.

use std::{error::Error, time::Duration};

use klay_node::workload::Mix;
use serde_json::{Value, json};

use super::{
    client::Client,
    pace::Pace,
    phases::{Phases, Trip},
    process::Usage,
    send::Sent,
    sign::Signed,
    watch::{self, Seen},
};

/// Receipts that are looked at.
const SAMPLE: usize = 300;

pub(super) struct Report<'a> {
    pub(super) mix: Mix,
    pub(super) chain_id: u64,
    pub(super) pace: &'a Pace,
    pub(super) sent: &'a Sent,
    pub(super) seen: &'a Seen,
    pub(super) usage: Vec<Usage>,
    pub(super) calls: Option<Vec<Duration>>,
    pub(super) heads: Vec<Head>,
    pub(super) receipts: Receipts,
}

/// The last block of the run at one node.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Head {
    url: String,
    hash: Value,
    state_root: Value,
}

/// A sample of receipts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Receipts {
    checked: usize,
    failed: usize,
}

impl Report<'_> {
    /// Everything accepted stands in a block, every receipt of the sample is good, and all nodes have the same block.
    pub(super) fn is_clean(&self) -> bool {
        self.seen.count == self.sent.accepted
            && self.receipts.failed == 0
            && self
                .heads
                .windows(2)
                .all(|pair| pair[0].hash == pair[1].hash && pair[0].state_root == pair[1].state_root)
    }

    pub(super) fn to_json(&self) -> Value {
        let end = self.seen.blocks.last().map_or(Duration::ZERO, |block| block.at).as_secs_f64();
        let committed = self.seen.count;
        let nodes: Vec<Value> = self
            .usage
            .iter()
            .map(|usage| {
                let each = usage.cpu * 1_000.0 / committed.max(1) as f64;
                json!({"pid": usage.pid, "cpuSeconds": round(usage.cpu, 2), "cpuMsPerTx": round(each, 4),
                       "peakMiB": usage.peak_mib})
            })
            .collect();
        let mut report = json!({
            "mix": format!("{:?}", self.mix),
            "chainId": self.chain_id,
            "count": self.sent.at.len(),
            "accepted": self.sent.accepted,
            "refused": self.sent.refused,
            "turnedAway": self.sent.turned_away,
            "acceptedSeconds": round(self.sent.took.as_secs_f64(), 2),
            "committed": committed,
            "seconds": round(end, 2),
            "tps": round(committed as f64 / end.max(0.001), 0),
            "steadyTps": self.steady().map(|tps| round(tps, 0)),
            "worstTenSecondsTps": self.worst(10).map(|tps| round(tps, 0)),
            "latencySeconds": latencies(self.waits()),
            "blocks": self.seen.blocks.iter().map(|block| block.ours).collect::<Vec<_>>(),
            "blocksAboveRound0": self.seen.blocks.iter().filter(|block| block.round > 0).count(),
            "longestWaitForBlock": round(self.longest_wait(), 2),
            "lastBlock": self.seen.last_block,
            "heads": self.heads.iter().map(|head| json!({"url": head.url, "hash": head.hash, "stateRoot": head.state_root})).collect::<Vec<_>>(),
            "receipts": {"checked": self.receipts.checked, "failed": self.receipts.failed},
            "nodes": nodes,
        });
        if let Pace::Arrivals { times, phases } = self.pace
            && phases.len() > 1
            && let Value::Object(more) = Phases::new(phases, times, &self.trips()).to_json()
        {
            for (name, value) in more {
                report[name] = value;
            }
        }
        if let Some(calls) = &self.calls {
            report["ethCallSeconds"] = latencies(calls.iter().map(Duration::as_secs_f64).collect());
        }
        report
    }

    /// Transactions of the blocks between the first and the last, over the time from seeing the first to seeing the
    /// last but one.
    fn steady(&self) -> Option<f64> {
        let [first, between @ .., _] = &*self.seen.blocks else { return None };
        let took = between.last()?.at.saturating_sub(first.at).as_secs_f64();
        let count: usize = between.iter().map(|block| block.ours).sum();
        (took > 0.0).then(|| count as f64 / took)
    }

    /// The lowest rate over so many seconds between the first and the last block.
    fn worst(&self, seconds: u64) -> Option<f64> {
        let (first, last) = (self.seen.blocks.first()?.at.as_secs(), self.seen.blocks.last()?.at.as_secs());
        let rate = |from: u64| {
            let within = |block: &&watch::SeenBlock| (from..from + seconds).contains(&block.at.as_secs());
            self.seen.blocks.iter().filter(within).map(|block| block.ours).sum::<usize>() as f64 / seconds as f64
        };
        (first..last.saturating_sub(seconds)).map(rate).min_by(f64::total_cmp)
    }

    /// What was accepted, and when it was seen.
    fn trips(&self) -> Vec<Trip> {
        let seconds = |nanoseconds: u64| nanoseconds as f64 / 1e9;
        let pairs = self.sent.at.iter().zip(&self.seen.at).filter(|(sent, _)| **sent != 0);
        pairs.map(|(sent, seen)| Trip { arrived: seconds(*sent), seen: (*seen != 0).then(|| seconds(*seen)) }).collect()
    }

    fn waits(&self) -> Vec<f64> {
        let mut waits: Vec<f64> =
            self.trips().into_iter().filter_map(|trip| Some((trip.seen? - trip.arrived).max(0.0))).collect();
        waits.sort_by(f64::total_cmp);
        waits
    }

    /// Longest time from the start, or from a block with transactions, to the next such block.
    fn longest_wait(&self) -> f64 {
        let mut before = Duration::ZERO;
        let mut longest = Duration::ZERO;
        for block in &self.seen.blocks {
            longest = longest.max(block.at.saturating_sub(before));
            before = block.at;
        }
        longest.as_secs_f64()
    }
}

/// Each node's form of one block.
pub(super) fn heads(urls: &[String], observer: &String, number: u64) -> Result<Vec<Head>, Box<dyn Error>> {
    let observer = (!urls.contains(observer)).then_some(observer);
    urls.iter().chain(observer).map(|url| head(url, number)).collect()
}

fn head(url: &str, number: u64) -> Result<Head, Box<dyn Error>> {
    let client = Client::new(url);
    // A node may be a block behind the observing one.
    let mut block = watch::block(&client, number);
    for _ in 0..50 {
        if block.is_ok() {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
        block = watch::block(&client, number);
    }
    let mut block = block?;
    Ok(Head { url: url.to_owned(), hash: block["hash"].take(), state_root: block["stateRoot"].take() })
}

/// Looks at the receipts of some that were seen, spread over the run.
pub(super) fn sample_receipts(client: &Client, signed: &[Signed], seen: &Seen) -> Result<Receipts, Box<dyn Error>> {
    let committed: Vec<&Signed> = signed.iter().zip(&seen.at).filter(|(_, at)| **at != 0).map(|(tx, _)| tx).collect();
    let step = committed.len().div_ceil(SAMPLE).max(1);
    let params: Vec<Value> = committed.iter().step_by(step).map(|tx| json!([tx.hash])).collect();
    let receipts = client.each("eth_getTransactionReceipt", &params)?;
    let failed = receipts.iter().filter(|receipt| receipt["status"] != json!("0x1")).count();
    Ok(Receipts { checked: receipts.len(), failed })
}

pub(super) fn latencies(ascending: Vec<f64>) -> Value {
    let at = |share: usize| ascending.get((ascending.len() * share / 100).min(ascending.len().saturating_sub(1)));
    let shown = |share| at(share).map(|seconds| round(*seconds, 4));
    json!({"p50": shown(50), "p95": shown(95), "p99": shown(99), "max": ascending.last().map(|s| round(*s, 4))})
}

pub(super) fn round(value: f64, digits: i32) -> f64 {
    let scale = 10_f64.powi(digits);
    (value * scale).round() / scale
}
