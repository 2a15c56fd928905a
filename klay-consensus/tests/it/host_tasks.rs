//! Tasks of the host that die, and values that follow one that could not be applied.

use crate::{
    common::{self, Chain, TestBlock, identity, signer},
    host::runtime,
};
use alloy_primitives::{Address, B256, Bytes};
use async_trait::async_trait;
use klay_consensus::{
    gate::{Gate, GateOptions},
    host::{App, BuildRequest, Halt, MemoryNetwork, Network, Setup, Tip, Transport, start},
    istanbul::{CommittedSeals, IstanbulRecord},
    types::{
        ApplyError, Class, Codec, Delays, Effect, Effects, Engine, Floor, Height, Input, Limits, Malformed, Refuse,
        Round, Slot, Status, Time, Validate, Value, Verdict, WallTime,
    },
    wal::MemoryDisk,
};
use std::{
    sync::{Arc, Mutex, mpsc},
    time::Duration,
};

/// Hands out two values at each demand; tells of what it hears.
struct Pair(Config);

#[derive(Clone)]
struct Config(Arc<Mutex<Vec<String>>>);

impl Validate for Config {
    fn validate(&self) -> Result<(), Refuse> {
        Ok(())
    }
}

fn block(height: u64) -> TestBlock {
    TestBlock::new(height, B256::ZERO, height as u8, Bytes::new())
}

impl Engine<Chain> for Pair {
    type Msg = Vec<u8>;
    type Record = IstanbulRecord;
    type Config = Config;
    const NAME: &'static str = "pair";
    const DELAYS: Delays = Delays { block: 1, finality: 1 };

    fn open(config: Config, _: Floor<Chain>, _: Vec<IstanbulRecord>) -> Result<Self, Refuse> {
        Ok(Self(config))
    }

    fn step(&mut self, _: Time, input: Input<Chain, Vec<u8>>, fx: &mut Effects<Chain, Vec<u8>, IstanbulRecord>) {
        match input {
            Input::Demand => {
                for height in 1..=2 {
                    let cert = CommittedSeals { round: Round::ZERO, seals: Vec::new() };
                    fx.push(Effect::Decide { slot: Slot::new(height), value: block(height), cert, after: None });
                }
            }
            Input::Applied { id, result } => self.0.0.lock().unwrap().push(format!("{id} {result:?}")),
            Input::Message { msg, .. } => self.0.0.lock().unwrap().push(format!("{msg:?}")),
            _ => {}
        }
    }

    fn deadline(&self) -> Option<Time> {
        None
    }

    fn status(&self) -> Status<Chain> {
        common::idle("pair")
    }
}

struct Store {
    panics: bool,
    asked: Mutex<Vec<u64>>,
}

#[async_trait]
impl App<Chain> for Store {
    async fn build(&self, _: BuildRequest<Chain>) -> Option<TestBlock> {
        None
    }

    async fn check(&self, _: Slot, _: TestBlock) -> Verdict {
        Verdict::Valid
    }

    async fn apply(&self, value: TestBlock, _: CommittedSeals) -> Result<Tip<Chain>, ApplyError> {
        let height = value.height();
        self.asked.lock().unwrap().push(height.get());
        assert!(!self.panics, "this application is wrong");
        if height.get() == 1 {
            return Err(ApplyError::Storage);
        }
        Ok(Tip { height, id: value.id(), next_at: WallTime::default() })
    }

    async fn head(&self) -> Tip<Chain> {
        Tip { height: Height::ZERO, id: B256::ZERO, next_at: WallTime::default() }
    }
}

type Made = (Setup<Chain, Pair, common::Signer, MemoryDisk>, mpsc::Receiver<Halt>, Config, Arc<Store>);

fn made(panics: bool) -> Made {
    let (gate, entries) =
        Gate::open(signer(1), MemoryDisk::new(), None, identity("pair", 1), GateOptions::default()).unwrap();
    let (config, app) = (Config(Arc::default()), Arc::new(Store { panics, asked: Mutex::default() }));
    let mut setup: Setup<Chain, Pair, _, _> =
        Setup::alone(config.clone(), gate, entries, Arc::clone(&app) as Arc<dyn App<Chain>>);
    let (told, halts) = mpsc::channel();
    setup.on_halt = Some(Box::new(move |halt| told.send(halt).unwrap()));
    (setup, halts, config, app)
}

async fn until(mut holds: impl FnMut() -> bool) {
    let wait = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), wait).await.expect("comes in time");
}

#[test]
fn what_follows_a_value_that_was_not_stored_is_not_applied() {
    runtime().block_on(async {
        let (setup, _halts, heard, app) = made(false);
        let host = start(setup).await.unwrap();
        host.demand();
        until(|| !heard.0.lock().unwrap().is_empty()).await;
        // A second one would be on its way by now.
        tokio::time::sleep(Duration::from_millis(100)).await;
        host.stop().await;
        assert_eq!(*app.asked.lock().unwrap(), [1], "the store has no 1, and got 2");
    });
}

#[test]
fn an_apply_that_panics_is_told_of() {
    runtime().block_on(async {
        let (setup, _halts, heard, _app) = made(true);
        let host = start(setup).await.unwrap();
        host.demand();
        until(|| heard.0.lock().unwrap().iter().any(|heard| heard.contains("Storage"))).await;
        assert!(host.status().await.is_some());
        host.stop().await;
    });
}

struct Picky;

impl Codec<Chain> for Picky {
    type Msg = Vec<u8>;

    fn encode(&self, msg: &Vec<u8>, out: &mut Vec<u8>) {
        out.extend_from_slice(msg);
    }

    fn decode(&self, bytes: &[u8], _: Limits) -> Result<Vec<u8>, Malformed> {
        assert_ne!(bytes, b"bad", "this decoder is wrong");
        Ok(bytes.to_vec())
    }
}

#[test]
fn a_host_that_has_gone_deaf_says_so() {
    runtime().block_on(async {
        let (setup, halts, heard, _app) = made(false);
        let network = MemoryNetwork::new(64);
        let peer = network.join(signer(2).address());
        let me: Address = signer(1).address();
        let transport = Arc::new(network.join(me));
        let host = start(setup.with_network(Network { transport, codec: Arc::new(Picky) })).await.unwrap();
        for message in [b"one".to_vec(), b"bad".to_vec(), b"two".to_vec()] {
            peer.send(me, Class::Vote, message).await;
        }
        until(|| halts.try_recv() == Ok(Halt::Panicked)).await;
        // The first one, if its step came before the news.
        assert!(heard.0.lock().unwrap().len() <= 1);
        host.stop().await;
    });
}

/// Hands out 1 and 2; blocks its thread at a message until told, then hands out 3 at the message behind it.
mod race {
    use super::*;

    struct Chainer(Config);

    impl Engine<Chain> for Chainer {
        type Msg = Vec<u8>;
        type Record = IstanbulRecord;
        type Config = Config;
        const NAME: &'static str = "chainer";
        const DELAYS: Delays = Delays { block: 1, finality: 1 };

        fn open(config: Config, _: Floor<Chain>, _: Vec<IstanbulRecord>) -> Result<Self, Refuse> {
            Ok(Self(config))
        }

        fn step(&mut self, _: Time, input: Input<Chain, Vec<u8>>, fx: &mut Effects<Chain, Vec<u8>, IstanbulRecord>) {
            let mut decide = |height: u64| {
                let cert = CommittedSeals { round: Round::ZERO, seals: Vec::new() };
                fx.push(Effect::Decide { slot: Slot::new(height), value: block(height), cert, after: None });
            };
            match input {
                Input::Demand => {
                    decide(1);
                    decide(2);
                }
                // As an engine that is busy for a moment: what comes meanwhile shares the next batch.
                Input::Sets { .. } => std::thread::sleep(Duration::from_millis(500)),
                Input::Peer { .. } => decide(3),
                Input::Applied { id, result } => self.0.0.lock().unwrap().push(format!("{id} {result:?}")),
                _ => {}
            }
        }

        fn deadline(&self) -> Option<Time> {
            None
        }

        fn status(&self) -> Status<Chain> {
            unreachable!()
        }
    }

    struct Slow(Store);

    #[async_trait]
    impl App<Chain> for Slow {
        async fn build(&self, _: BuildRequest<Chain>) -> Option<TestBlock> {
            None
        }
        async fn check(&self, _: Slot, _: TestBlock) -> Verdict {
            Verdict::Valid
        }
        async fn apply(&self, value: TestBlock, cert: CommittedSeals) -> Result<Tip<Chain>, ApplyError> {
            tokio::time::sleep(Duration::from_millis(200)).await;
            self.0.apply(value, cert).await
        }
        async fn head(&self) -> Tip<Chain> {
            self.0.head().await
        }
    }

    #[test]
    fn what_was_handed_out_before_the_engine_heard_of_a_failure_is_not_applied() {
        runtime().block_on(async {
            let (gate, entries) =
                Gate::open(signer(1), MemoryDisk::new(), None, identity("chainer", 1), GateOptions::default()).unwrap();
            let config = Config(Arc::default());
            let app = Arc::new(Slow(Store { panics: false, asked: Mutex::default() }));
            let setup: Setup<Chain, Chainer, _, _> =
                Setup::alone(config.clone(), gate, entries, Arc::clone(&app) as Arc<dyn App<Chain>>);
            let host = start(setup).await.unwrap();
            host.demand();
            tokio::time::sleep(Duration::from_millis(50)).await;
            host.sets(Height::new(1)); // the engine is busy for 500 ms; the apply of 1 fails after 200
            tokio::time::sleep(Duration::from_millis(50)).await;
            host.peer(signer(2).address(), true); // waits in front of the failure, hands out 3
            until(|| !config.0.lock().unwrap().is_empty()).await;
            tokio::time::sleep(Duration::from_millis(500)).await;
            host.stop().await;
            assert_eq!(*app.0.asked.lock().unwrap(), [1], "the store has no 1, and got 3");
        });
    }
}
