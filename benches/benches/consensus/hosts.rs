//! Hosts in one process: real signatures, real logs, the application only remembers.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex},
    time::{Duration, Instant, SystemTime},
};

use alloy_primitives::{Address, B256, Bytes, keccak256};
use async_trait::async_trait;
use klay_accounts::wallet::SecretKey;
use klay_consensus::{
    gate::{Gate, GateOptions},
    host::{App, BuildRequest, MemoryNetwork, Network, Setup, Tip, start},
    istanbul::{
        CommittedSeals, HeaderValue as _, Istanbul, IstanbulCodec, IstanbulConfig, Klaytn, RawBlock,
        justified::{Justified, JustifiedCodec, JustifiedConfig},
        seal,
    },
    simplex::{Simplex, SimplexCodec, SimplexConfig},
    types::{
        ApplyError, Codec, Committee, Committees, Engine, Height, NotYet, Round, Slot, Value as _, Verdict, WallTime,
    },
    wal::{Disk, FsDisk, Identity, MemoryDisk},
};
use klay_core::block::Header;

use crate::quantile;

/// Bytes of a block of 4,000 value transfers.
const BIG: usize = 800_000;

pub(crate) fn measure_decisions() {
    println!("4 hosts, proposal to applied at every node; values a second, median, 99 of 100, longest");
    let plan = Plan { nodes: 4, heights: 300, size: 500, period: Duration::ZERO };
    let folder = tempfile::tempdir().expect("a folder");
    let in_memory = every_engine(plan, |_| MemoryDisk::new());
    let synced = every_engine(plan, |log| FsDisk::new(folder.path().join(log)).expect("a log"));
    for (kind, engines) in [("log in memory", in_memory), ("log synced", synced)] {
        for (name, seen) in engines {
            let latencies = seen.latencies();
            let [median, p99, longest] = [0.5, 0.99, 1.0].map(|share| quantile(&latencies, share));
            let rate = 1.0 / mean(&seen.periods()).as_secs_f64();
            println!("{name:10} {kind:14} {rate:6.0} {median:9.1?} {p99:9.1?} {longest:9.1?}");
        }
    }
}

pub(crate) fn measure_period() {
    println!(
        "a value of {BIG} bytes a second, log synced; mean period, 99 of 100 off it by at most; proposal to applied"
    );
    for nodes in [4, 22] {
        let plan = Plan { nodes, heights: 40, size: BIG, period: Duration::from_secs(1) };
        let folder = tempfile::tempdir().expect("a folder");
        for (name, seen) in every_engine(plan, |log| FsDisk::new(folder.path().join(log)).expect("a log")) {
            let (periods, latencies) = (seen.periods(), seen.latencies());
            let mut off: Vec<Duration> = periods.iter().map(|span| span.abs_diff(plan.period)).collect();
            off.sort_unstable();
            let [median, p99] = [0.5, 0.99].map(|share| quantile(&latencies, share));
            let (mean, off) = (mean(&periods), quantile(&off, 0.99));
            println!("{name:10} n={nodes:<3} {mean:9.3?} {off:9.1?}; median {median:9.1?}, 99 of 100 {p99:9.1?}");
        }
    }
}

fn mean(spans: &[Duration]) -> Duration {
    spans.iter().sum::<Duration>() / spans.len() as u32
}

#[derive(Debug, Clone, Copy)]
struct Plan {
    nodes: usize,
    heights: u64,
    /// Bytes of a value.
    size: usize,
    /// From one value to the next.
    period: Duration,
}

/// Runs the plan with each engine; `disk` makes the disk of a log with this name.
fn every_engine<D: Disk + 'static>(plan: Plan, disk: impl Fn(String) -> D) -> Vec<(&'static str, Arc<Seen>)> {
    let domain = B256::repeat_byte(7);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let istanbul = run::<Istanbul<RawBlock>, D>(plan, IstanbulCodec, IstanbulConfig::new, &disk).await;
        let config = |me, all| JustifiedConfig::new(me, all, domain);
        let justified = run::<Justified<RawBlock>, D>(plan, JustifiedCodec, config, &disk).await;
        let config = |me, all| SimplexConfig { period: plan.period, ..SimplexConfig::new(me, all, domain) };
        let simplex = run::<Simplex<RawBlock>, D>(plan, SimplexCodec, config, &disk).await;
        vec![("istanbul", istanbul), ("justified", justified), ("simplex", simplex)]
    })
}

type Everybody = Arc<dyn Committees<Klaytn<RawBlock>>>;

async fn run<E, D>(
    plan: Plan,
    codec: impl Codec<Klaytn<RawBlock>, Msg = E::Msg> + Clone + Send + Sync + 'static,
    config: impl Fn(Address, Everybody) -> E::Config,
    disk: &impl Fn(String) -> D,
) -> Arc<Seen>
where
    E: Engine<Klaytn<RawBlock>> + Send + 'static,
    D: Disk + 'static,
{
    let keys: Vec<_> = (1..=plan.nodes).map(|n| SecretKey::from_slice(&[n as u8; 32]).expect("a key")).collect();
    let validators: Everybody = Arc::new(Validators(keys.iter().map(SecretKey::address).collect()));
    let (network, seen) = (MemoryNetwork::<Klaytn<RawBlock>>::new(4096), Arc::new(Seen::new(plan)));
    let mut setups = Vec::new();
    for (n, key) in keys.into_iter().enumerate() {
        let me = key.address();
        let identity = Identity { chain_id: 7, key: me.to_vec(), engine: E::NAME.to_owned() };
        let log = disk(format!("{}-{}-{n}", E::NAME, plan.nodes));
        let (gate, entries) =
            Gate::open(seal::KeySigner::new(key), log, None, identity, GateOptions::default()).expect("a new log");
        let app = Arc::new(Node { seen: Arc::clone(&seen), chain: Mutex::default() });
        let peers = Network { transport: Arc::new(network.join(me)), codec: Arc::new(codec.clone()) };
        setups.push(Setup::alone(config(me, Arc::clone(&validators)), gate, entries, app).with_network(peers));
    }
    // What is said to a host that has not begun waits for it.
    let mut hosts = Vec::new();
    for setup in setups {
        hosts.push(start::<_, E, _, _>(setup).await.expect("a host"));
    }
    let limit = Instant::now() + Duration::from_secs(120);
    while !seen.is_whole() {
        assert!(Instant::now() < limit, "{} stands", E::NAME);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    for host in hosts {
        host.stop().await;
    }
    seen
}

#[derive(Debug)]
struct Validators(Vec<Address>);

impl Committees<Klaytn<RawBlock>> for Validators {
    fn at(&self, height: Height, round: Round) -> Result<Arc<Committee<Address>>, NotYet> {
        let turn = height.get().wrapping_add(round.get()) as usize % self.0.len();
        Ok(Arc::new(Committee::new(self.0.clone(), self.0[turn])))
    }
}

/// What all nodes together have seen, and when.
struct Seen {
    plan: Plan,
    start: (SystemTime, Instant),
    inner: Mutex<Times>,
}

#[derive(Default)]
struct Times {
    heights: HashMap<B256, u64>,
    built: BTreeMap<u64, Instant>,
    applied: BTreeMap<u64, Vec<Instant>>,
}

impl Seen {
    fn new(plan: Plan) -> Self {
        Self { plan, start: (SystemTime::now(), Instant::now()), inner: Mutex::default() }
    }

    fn with<R>(&self, ask: impl FnOnce(&mut Times) -> R) -> R {
        ask(&mut self.inner.lock().expect("nobody panics"))
    }

    /// Everybody has applied the last height.
    fn is_whole(&self) -> bool {
        self.with(|times| times.applied.get(&self.plan.heights).is_some_and(|seen| seen.len() == self.plan.nodes))
    }

    /// From each proposal until each node had applied it, sorted.
    fn latencies(&self) -> Vec<Duration> {
        self.with(|times| {
            let of = |(height, built): (&u64, &Instant)| {
                // What is built early waits for its time.
                let proposed = (self.start.1 + self.plan.period * (*height as u32 - 1)).max(*built);
                let applied = times.applied.get(height).into_iter().flatten();
                applied.map(|at| at.duration_since(proposed)).collect::<Vec<_>>()
            };
            let mut all: Vec<_> = times.built.iter().flat_map(of).collect();
            all.sort_unstable();
            all
        })
    }

    /// From each height to the next, as the first node has them.
    fn periods(&self) -> Vec<Duration> {
        self.with(|times| {
            let first: Vec<_> = times.applied.values().take(self.plan.heights as usize).map(|seen| seen[0]).collect();
            first.windows(2).map(|pair| pair[1].duration_since(pair[0])).collect()
        })
    }

    fn next_at(&self, height: u64) -> WallTime {
        let span =
            self.start.0.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default() + self.plan.period * height as u32;
        WallTime::from_millis(span.as_millis() as u64)
    }
}

/// The application of one node.
struct Node {
    seen: Arc<Seen>,
    chain: Mutex<Option<(u64, B256)>>,
}

#[async_trait]
impl App<Klaytn<RawBlock>> for Node {
    async fn build(&self, ask: BuildRequest<Klaytn<RawBlock>>) -> Option<RawBlock> {
        let plan = self.seen.plan;
        let height = self.seen.with(|times| times.heights.get(&ask.parent).copied().unwrap_or(0)) + 1;
        let body: Bytes = vec![height as u8; plan.size].into();
        let (transactions_root, extra) = (keccak256(&body), seal::new_extra(b"", Vec::new()));
        let header = Header { number: height, parent_hash: ask.parent, transactions_root, extra, ..Header::default() };
        self.seen.with(|times| *times.built.entry(height).or_insert_with(Instant::now));
        Some(RawBlock::new(header, body))
    }

    async fn check(&self, _slot: Slot, block: RawBlock) -> Verdict {
        // The name of a sealed header is known from its proposal on.
        self.seen.with(|times| times.heights.insert(block.id(), block.header().number));
        if keccak256(block.transactions()) == block.header().transactions_root {
            Verdict::Valid
        } else {
            Verdict::Invalid("body")
        }
    }

    async fn apply(&self, block: RawBlock, _proof: CommittedSeals) -> Result<Tip<Klaytn<RawBlock>>, ApplyError> {
        let (height, id) = (block.header().number, block.id());
        *self.chain.lock().expect("nobody panics") = Some((height, id));
        self.seen.with(|times| {
            times.heights.insert(id, height);
            times.applied.entry(height).or_default().push(Instant::now());
        });
        Ok(self.head().await)
    }

    async fn head(&self) -> Tip<Klaytn<RawBlock>> {
        let (height, id) = self.chain.lock().expect("nobody panics").unwrap_or_default();
        Tip { height: Height::new(height), id, next_at: self.seen.next_at(height) }
    }
}
