//! The host on tokio drives an engine against an application.

use crate::common;
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use crate::common::{Chain, TestBlock, identity, signer};
use alloy_primitives::{Address, B256};
use async_trait::async_trait;
use klay_consensus::{
    dev::{Dev, DevConfig},
    gate::{Gate, GateOptions},
    host::{
        App, BuildRequest, HostHandle, HostLimits, MemoryNetwork, MemoryTransport, Network, Setup, Tip, Transport,
        start,
    },
    istanbul::{CommittedSeals, HeaderValue, IstanbulRecord, seal},
    types::{
        ApplyError, Class, Codec, Delays, Effect, Effects, Engine, Floor, Height, Input, Limits, Malformed, Refuse,
        Slot, Status, Time, Validate, Value, Verdict, WallTime,
    },
    wal::MemoryDisk,
};

/// A chain in memory whose transactions are counted, not kept.
#[derive(Default)]
pub(crate) struct TestApp {
    blocks: Mutex<Vec<TestBlock>>,
    waiting: Mutex<u32>,
}

impl TestApp {
    fn tip(&self) -> Tip<Chain> {
        let blocks = self.blocks.lock().unwrap();
        let id = blocks.last().map_or(B256::ZERO, Value::id);
        Tip { height: Height::new(blocks.len() as u64), id, next_at: WallTime::default() }
    }
}

#[async_trait]
impl App<Chain> for TestApp {
    async fn build(&self, request: BuildRequest<Chain>) -> Option<TestBlock> {
        let waiting = core::mem::take(&mut *self.waiting.lock().unwrap());
        if waiting == 0 && !request.empty {
            return None;
        }
        let extra = seal::new_extra(b"", vec![signer(1).address()]);
        Some(TestBlock::new(request.slot.get(), request.parent, waiting as u8, extra))
    }

    async fn check(&self, _slot: Slot, _value: TestBlock) -> Verdict {
        Verdict::Valid
    }

    async fn apply(&self, value: TestBlock, cert: CommittedSeals) -> Result<Tip<Chain>, ApplyError> {
        let value = cert.write(value).map_err(|_| ApplyError::Invalid)?;
        self.blocks.lock().unwrap().push(value);
        Ok(self.tip())
    }

    async fn head(&self) -> Tip<Chain> {
        self.tip()
    }
}

fn setup(app: &Arc<TestApp>, config: DevConfig) -> Setup<Chain, Dev<TestBlock>, common::Signer, MemoryDisk> {
    let disk = MemoryDisk::new();
    let (gate, entries) = Gate::open(signer(1), disk, None, identity("dev", 1), GateOptions::default()).unwrap();
    Setup::alone(config, gate, entries, Arc::clone(app) as Arc<dyn App<Chain>>)
}

async fn until(app: &TestApp, height: usize) {
    for _ in 0..2000 {
        if app.blocks.lock().unwrap().len() >= height {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("height {height} not reached");
}

pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

#[test]
fn a_demand_makes_a_block_and_silence_makes_none() {
    runtime().block_on(async {
        let app = Arc::new(TestApp::default());
        let host = start(setup(&app, DevConfig::instant(signer(1).address()))).await.unwrap();
        for height in 1..=20 {
            *app.waiting.lock().unwrap() += 1;
            host.demand();
            until(&app, height).await;
        }
        tokio::time::sleep(Duration::from_millis(30)).await;
        assert_eq!(app.blocks.lock().unwrap().len(), 20);
        assert_eq!(host.status().await.unwrap().state, "idle");
        host.stop().await;
        let blocks = app.blocks.lock().unwrap();
        for pair in blocks.windows(2) {
            assert_eq!(pair[1].parent(), pair[0].id());
            assert_eq!(pair[1].header().proposer(), Some(signer(1).address()));
        }
    });
}

#[test]
fn an_interval_makes_blocks_by_itself_and_stops_when_told() {
    runtime().block_on(async {
        let app = Arc::new(TestApp::default());
        let config = DevConfig::interval(signer(1).address(), Duration::from_millis(20));
        let host = start(setup(&app, config)).await.unwrap();
        until(&app, 5).await;
        host.stop().await;
        let height = app.blocks.lock().unwrap().len();
        tokio::time::sleep(Duration::from_millis(80)).await;
        assert!(app.blocks.lock().unwrap().len() <= height + 1, "an apply under way may finish");
    });
}

/// An engine that passes everything on, while nobody holds it up.
struct Echo(EchoConfig);

struct EchoConfig {
    to: Vec<Address>,
    hold: Arc<AtomicBool>,
}

impl Validate for EchoConfig {
    fn validate(&self) -> Result<(), Refuse> {
        Ok(())
    }
}

impl Engine<Chain> for Echo {
    type Msg = Vec<u8>;
    type Record = IstanbulRecord;
    type Config = EchoConfig;
    const NAME: &'static str = "echo";
    const DELAYS: Delays = Delays { block: 1, finality: 1 };

    fn open(config: EchoConfig, _: Floor<Chain>, _: Vec<IstanbulRecord>) -> Result<Self, Refuse> {
        Ok(Self(config))
    }

    fn step(&mut self, _: Time, input: Input<Chain, Vec<u8>>, fx: &mut Effects<Chain, Vec<u8>, IstanbulRecord>) {
        if let Input::Message { msg, .. } = input {
            while self.0.hold.load(Ordering::SeqCst) {
                std::thread::sleep(Duration::from_millis(1));
            }
            fx.push(Effect::Relay { to: self.0.to.clone(), msg, class: Class::Vote });
        }
    }

    fn deadline(&self) -> Option<Time> {
        None
    }

    fn status(&self) -> Status<Chain> {
        common::idle("echo")
    }
}

struct Plain;

impl Codec<Chain> for Plain {
    type Msg = Vec<u8>;

    fn encode(&self, msg: &Vec<u8>, out: &mut Vec<u8>) {
        out.extend_from_slice(msg);
    }

    fn decode(&self, bytes: &[u8], _: Limits) -> Result<Vec<u8>, Malformed> {
        Ok(bytes.to_vec())
    }
}

/// An echo at port 1 that passes on to port 3.
async fn echo(
    network: &MemoryNetwork<Chain>,
    limits: HostLimits,
    hold: &Arc<AtomicBool>,
) -> HostHandle<Chain, Vec<u8>> {
    let (gate, entries) =
        Gate::open(signer(1), MemoryDisk::new(), None, identity("echo", 1), GateOptions::default()).unwrap();
    let config = EchoConfig { to: vec![signer(3).address()], hold: Arc::clone(hold) };
    let app = Arc::new(TestApp::default()) as Arc<dyn App<Chain>>;
    let transport = Arc::new(network.join(signer(1).address()));
    let setup: Setup<Chain, Echo, _, _> = Setup { limits, ..Setup::alone(config, gate, entries, app) };
    start(setup.with_network(Network { transport, codec: Arc::new(Plain) })).await.unwrap()
}

async fn frame(port: &MemoryTransport<Chain>) -> Vec<u8> {
    tokio::time::timeout(Duration::from_secs(10), port.next()).await.expect("a frame").unwrap().1
}

#[test]
fn what_waits_for_the_engine_is_bounded_in_bytes() {
    runtime().block_on(async {
        let network = MemoryNetwork::new(64);
        let (peer, sink) = (network.join(signer(2).address()), network.join(signer(3).address()));
        let hold = Arc::new(AtomicBool::new(true));
        let host = echo(&network, HostLimits { inbound_bytes: 320 << 10, ..HostLimits::default() }, &hold).await;
        for n in 0..10 {
            peer.send(signer(1).address(), Class::Proposal, vec![n; 20 << 10]).await;
        }
        let dropped = || host.counters().dropped.load(Ordering::Relaxed);
        for _ in 0..2000 {
            if dropped() == 6 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(dropped(), 6, "four have room, with the one that the engine looks at");
        hold.store(false, Ordering::SeqCst);
        for n in 0..4 {
            assert_eq!(frame(&sink).await, vec![n; 20 << 10]);
        }
        // The room is free again as soon as the engine rests.
        for n in 10..14 {
            loop {
                peer.send(signer(1).address(), Class::Proposal, vec![n; 320 << 10]).await;
                if let Ok(frame) = tokio::time::timeout(Duration::from_millis(200), sink.next()).await {
                    assert_eq!(frame.unwrap().1, vec![n; 320 << 10]);
                    break;
                }
            }
        }
        host.stop().await;
    });
}

/// Two nodes that pass on what they accept would send one message to each other for ever.
#[test]
fn a_message_is_passed_on_once() {
    runtime().block_on(async {
        let network = MemoryNetwork::new(64);
        let (peer, sink) = (network.join(signer(2).address()), network.join(signer(3).address()));
        let host = echo(&network, HostLimits::default(), &Arc::default()).await;
        for message in [b"one", b"one", b"two", b"one", b"two", b"end"] {
            peer.send(signer(1).address(), Class::Vote, message.to_vec()).await;
        }
        for message in [b"one", b"two", b"end"] {
            assert_eq!(frame(&sink).await, message);
        }
        host.stop().await;
    });
}
