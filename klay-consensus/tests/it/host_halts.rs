//! A host whose log or engine fails: it says so, once, and keeps nothing that can never be sent.

use crate::{
    common::{self, Chain, identity, signer},
    host::{TestApp, runtime},
};
use std::{
    sync::{Arc, atomic::Ordering, mpsc},
    time::Duration,
};

use klay_consensus::{
    gate::{Gate, GateError, GateOptions},
    host::{App, Halt, Setup, start},
    simplex::SimplexRecord,
    types::{Class, Delays, Effect, Effects, Engine, Floor, Input, Refuse, Slot, Status, Time, Validate},
    wal::{LogError, MemoryDisk},
};

/// An engine that says something at each demand, once it is on record; that panics if a peer comes.
struct Talker(Token);

/// Each message holds on to it.
#[derive(Debug, Clone, Default)]
struct Token(Arc<()>);

impl Validate for Token {
    fn validate(&self) -> Result<(), Refuse> {
        Ok(())
    }
}

impl Engine<Chain> for Talker {
    type Msg = Token;
    type Record = SimplexRecord;
    type Config = Token;

    const NAME: &'static str = "talker";
    const DELAYS: Delays = Delays { block: 1, finality: 1 };

    fn open(config: Token, _floor: Floor<Chain>, _log: Vec<SimplexRecord>) -> Result<Self, Refuse> {
        Ok(Self(config))
    }

    fn step(&mut self, _now: Time, input: Input<Chain, Token>, fx: &mut Effects<Chain, Token, SimplexRecord>) {
        match input {
            Input::Demand => {
                let after = Some(fx.persist(SimplexRecord::Entered { view: Slot::new(1) }));
                let msg = self.0.clone();
                fx.push(Effect::Broadcast { to: Vec::new(), msg, class: Class::Vote, after });
            }
            Input::Peer { .. } => panic!("this engine is wrong"),
            _ => {}
        }
    }

    fn deadline(&self) -> Option<Time> {
        None
    }

    fn status(&self) -> Status<Chain> {
        common::idle("talking")
    }
}

fn talker(
    token: &Token,
    disk: &MemoryDisk,
) -> (Setup<Chain, Talker, common::Signer, MemoryDisk>, mpsc::Receiver<Halt>) {
    let identity = identity("talker", 1);
    let (gate, entries) = Gate::open(signer(1), disk.clone(), None, identity, GateOptions::default()).unwrap();
    let mut setup = Setup::alone(token.clone(), gate, entries, Arc::new(TestApp::default()) as Arc<dyn App<Chain>>);
    let (told, halts) = mpsc::channel();
    setup.on_halt = Some(Box::new(move |halt| told.send(halt).unwrap()));
    (setup, halts)
}

#[test]
fn what_waits_for_a_log_that_has_failed_is_dropped_and_told_of_once() {
    runtime().block_on(async {
        let (token, disk) = (Token::default(), MemoryDisk::new());
        let (setup, halts) = talker(&token, &disk);
        let host = start(setup).await.unwrap();
        host.demand();
        let stepped = async |steps| {
            while host.counters().steps.load(Ordering::Relaxed) < steps || Arc::strong_count(&token.0) > 2 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        // Start and demand.
        stepped(2).await;
        assert!(halts.try_recv().is_err());

        disk.fail_syncs(true);
        for _ in 0..1_000 {
            host.demand();
        }
        // The engine goes on, and nobody but it and us holds the token.
        tokio::time::timeout(Duration::from_secs(60), stepped(1_002)).await.expect("messages are held for ever");
        assert_eq!(host.status().await.unwrap().state, "talking");
        let halt = halts.try_recv().unwrap();
        assert!(matches!(halt, Halt::Gate(GateError::Log(LogError::Io(_)))), "{halt}");
        assert!(halts.try_recv().is_err());
        host.stop().await;
    });
}

#[test]
fn an_engine_that_panics_is_told_of() {
    runtime().block_on(async {
        let (setup, halts) = talker(&Token::default(), &MemoryDisk::new());
        let host = start(setup).await.unwrap();
        host.peer(signer(2).address(), true);
        assert_eq!(halts.recv_timeout(Duration::from_secs(60)), Ok(Halt::Panicked));
        assert!(host.status().await.is_none());
        host.stop().await;
    });
}
