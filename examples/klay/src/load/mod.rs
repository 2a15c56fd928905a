//! `klay load`: the published workload against one or more running nodes, and what it cost them.

mod client;
mod fund;
mod pace;
mod phases;
mod process;
mod report;
mod send;
mod sign;
mod turns;
mod watch;

use std::{collections::BTreeMap, error::Error, io::Write, process::ExitCode, sync::Arc, time::Duration};

use clap::Parser;
use klay_core::{crypto::keccak256, genesis::GenesisAccount};
use klay_node::workload::{Mix, SENDERS, Workload};
use serde_json::json;

use self::{client::Client, pace::Pace, process::Processes, report::Report, watch::Watch};
use crate::cli::Outcome;

/// Send the published workload to running nodes and measure what is committed.
///
/// The transactions of a seed are always the same ones. They are signed before the clock starts. A transaction counts
/// once, when a block that holds it is seen at the observing node. Without funds in the genesis (`--print-alloc`) the
/// senders are funded by the first development account, and the contracts are deployed.
///
/// What a full pool turns away is sent again by its sender at his next turn; at a rate that is his next arrival, so that
/// a node that has enough is not asked more often.
#[derive(Debug, Parser)]
#[command(after_help = "Examples:\n  \
    klay load                                     20,000 transfers as fast as a klay dev takes them\n  \
    klay load --mix B --rate 500 --seconds 60     Poisson arrivals, latency from the planned arrival\n  \
    klay load --rate 3000 --seconds 20 --overload 1.5   half the rate, the rate, 60 s of 4,500, half again\n  \
    klay load --url http://127.0.0.1:8551 --observe http://127.0.0.1:8557 --pid 4242 --window 1000\n  \
    klay load --print-alloc > alloc.json          what to add to a genesis: klay network --alloc alloc.json")]
pub(crate) struct Load {
    /// Node to send to; several share the load
    #[arg(long = "url", value_name = "URL", default_value = "http://127.0.0.1:8551")]
    urls: Vec<String>,
    /// Node at which blocks are seen; the last of --url if not given
    #[arg(long, value_name = "URL")]
    observe: Option<String>,
    /// A (transfers), B (an application), C (paid by others) or E (Ethereum's legacy transfers)
    #[arg(long, default_value = "A")]
    mix: Mix,
    /// Transactions
    #[arg(long, default_value_t = 20_000, conflicts_with = "rate")]
    count: u64,
    /// Arrivals a second (Poisson), instead of as fast as they are accepted
    #[arg(long, value_name = "PER_SECOND", requires = "seconds")]
    rate: Option<f64>,
    /// How long, with --rate
    #[arg(long, requires = "rate")]
    seconds: Option<f64>,
    /// After --seconds at half the rate and --seconds at the rate, this many times the rate for --overload-seconds, then
    /// --seconds at half the rate
    #[arg(long, value_name = "FACTOR", requires = "rate")]
    overload: Option<f64>,
    /// How long, with --overload
    #[arg(long, value_name = "SECONDS", default_value_t = 60.0, requires = "overload")]
    overload_seconds: f64,
    /// Never more than this many sent and not yet seen in a block
    #[arg(long, conflicts_with = "rate")]
    window: Option<usize>,
    /// Most transactions in a JSON-RPC batch
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=1_000))]
    batch: u64,
    /// Connections for each --url
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=64))]
    connections: u64,
    /// Seed of keys and draws
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Fewer senders than the published 10,000
    #[arg(long, default_value_t = SENDERS, value_parser = parse_senders)]
    senders: usize,
    /// Send in any order, not each sender's nonces one after another
    #[arg(long)]
    shuffle: bool,
    /// Process whose CPU time and memory are reported; several add up as nodes
    #[arg(long = "pid", value_name = "PID")]
    pids: Vec<u32>,
    /// Wait for the rest no longer than this without a new block that holds any
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    patience: u64,
    /// Call an empty account all the while (eth_call), and report how long that takes
    #[arg(long)]
    probe: bool,
    /// Print the accounts that a genesis needs for the load, and stop
    #[arg(long)]
    print_alloc: bool,
    /// Print the check hash of each mix (seed 1, chain 2019) beside the published one, and stop
    #[arg(long)]
    check: bool,
}

impl Load {
    pub(crate) fn run(&self) -> Outcome {
        if self.print_alloc {
            return print_alloc(&Workload::new(self.seed, 0).alloc());
        }
        if self.check {
            return check();
        }
        let observer = self.observe.as_ref().or(self.urls.last()).ok_or("no --url")?;
        let observed = Client::new(observer);
        let chain_id = observed.number("eth_chainId", &json!([]))?;
        let mut load = Workload::new(self.seed, chain_id).with_senders(self.senders);
        fund::ensure(&mut load, self.mix, &Client::new(&self.urls[0]), &observed)?;

        let pace = self.pace()?;
        let mut nonces = fund::nonces(&load, &observed)?;
        let mut signed = sign::all(&load, self.mix, pace.count(), &mut nonces)?;
        if self.shuffle {
            sign::shuffle(&mut signed, self.seed);
        }
        let signed = Arc::new(signed);
        eprintln!("{} transactions signed for chain {chain_id}", signed.len());

        let watch = Watch::start(observer, Arc::clone(&signed), Duration::from_secs(self.patience))?;
        let probe = self.probe.then(|| watch.probe(observer));
        let processes = Processes::new(&self.pids)?;
        let sent = send::run(&self.urls, &pace, self.batch as usize, self.connections as usize, &signed, &watch);
        let seen = watch.finish(&sent);
        let report = Report {
            mix: self.mix,
            chain_id,
            pace: &pace,
            sent: &sent,
            seen: &seen,
            usage: processes.since()?,
            calls: probe.map(|probe| probe.finish()),
            heads: report::heads(&self.urls, observer, seen.last_block)?,
            receipts: report::sample_receipts(&observed, &signed, &seen)?,
        };
        writeln!(std::io::stdout(), "{}", report.to_json())?;
        Ok(if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    fn pace(&self) -> Result<Pace, Box<dyn Error>> {
        match (self.rate, self.seconds, self.window) {
            (Some(rate), Some(seconds), _) => match self.overload {
                Some(factor) => Pace::overload(rate, seconds, (factor, self.overload_seconds), self.seed),
                None => Pace::poisson(rate, seconds, self.seed),
            },
            (_, _, Some(window)) => Ok(Pace::Window { count: self.count, window: window.max(1) }),
            _ => Ok(Pace::Saturate { count: self.count }),
        }
    }
}

fn parse_senders(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|count| (1..=SENDERS).contains(count)).ok_or(format!("a number from 1 to {SENDERS}"))
}

fn print_alloc(alloc: &BTreeMap<klay_core::Address, GenesisAccount>) -> Outcome {
    let accounts: serde_json::Map<String, serde_json::Value> = alloc
        .iter()
        .map(|(address, account)| {
            let mut entry = json!({"balance": format!("{:#x}", account.balance)});
            if !account.code.is_empty() {
                entry["code"] = json!(account.code);
                entry["storage"] = json!(account.storage);
            }
            (hex::encode(address), entry)
        })
        .collect();
    writeln!(std::io::stdout(), "{}", json!({ "alloc": accounts }))?;
    Ok(ExitCode::SUCCESS)
}

fn check() -> Outcome {
    let load = Workload::new(1, 2019);
    let mut equal = true;
    for (letter, mix) in [("A", Mix::Transfer), ("B", Mix::App), ("C", Mix::Sponsored), ("E", Mix::Ethereum)] {
        let signed = sign::all(&load, mix, 1_000, &mut load.nonces())?;
        let hashes: Vec<u8> = signed.iter().flat_map(|tx| tx.hash.0).collect();
        let found = keccak256(hashes).to_string();
        equal &= found == mix.check();
        writeln!(std::io::stdout(), "{}", json!({"mix": letter, "found": found, "published": mix.check()}))?;
    }
    Ok(if equal { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
