//! The dev engine decides alone, under the rules of the gate, and its blocks are valid Istanbul blocks.

use std::time::Duration;

use crate::common::{Chain, Signer, TestBlock, identity, signer};
use alloy_primitives::B256;
use klay_consensus::{
    dev::{Dev, DevConfig, DevRecord},
    gate::{Gate, GateOptions, records},
    istanbul::{CommittedSeals, HeaderValue, seal},
    types::{
        ApplyError, Effect, Effects, Engine, Floor, Height, Input, Never, Refuse, SignRefused, Status, Time, TimerId,
        Value,
    },
    wal::{Kept, MemoryDisk},
};
use klay_core::block::IstanbulExtra;

type Fx = Effects<Chain, Never, DevRecord>;

/// Hosts the engine by hand.
struct Bench {
    engine: Dev<TestBlock>,
    gate: Gate<Signer, MemoryDisk>,
    fx: Fx,
    disk: MemoryDisk,
    now: Time,
    rules: Vec<&'static str>,
}

#[derive(Debug)]
enum Seen {
    Build { slot: u64, empty: bool },
    Timer(Time),
    Decide(TestBlock, CommittedSeals),
}

fn floor(height: u64, id: B256) -> Floor<Chain> {
    Floor { height: Height::new(height), id, next_at: Time::ZERO }
}

impl Bench {
    fn open(config: DevConfig, disk: MemoryDisk, floor: Floor<Chain>) -> Result<Self, Refuse> {
        let (gate, entries) =
            Gate::open(signer(1), disk.clone(), None, identity("dev", 1), GateOptions::default()).unwrap();
        let engine = Dev::open(config, floor, records(entries).unwrap())?;
        let fx = Effects::new(gate.next_lsn());
        Ok(Self { engine, gate, fx, disk, now: Time::ZERO, rules: Vec::new() })
    }

    /// One input and whatever the gate answers to it.
    fn step(&mut self, input: Input<Chain, Never>) -> Vec<Seen> {
        let mut inputs = vec![input];
        let mut seen = Vec::new();
        while let Some(input) = inputs.pop() {
            self.engine.step(self.now, input, &mut self.fx);
            let effects: Vec<_> = self.fx.drain().collect();
            for effect in effects {
                match effect {
                    Effect::Persist { record, lsn } => self.gate.persist(lsn, &record).unwrap(),
                    Effect::Sign { ticket, statement, domain, digest, lsn } => {
                        let result = self.gate.admit(lsn, &statement).and_then(|admitted| {
                            self.gate.commit()?;
                            self.gate.sign::<Chain>(admitted, domain, digest)
                        });
                        inputs.push(Input::Signed { ticket, result: result.map_err(SignRefused::from) });
                    }
                    Effect::Build { slot, empty, .. } => seen.push(Seen::Build { slot: slot.get(), empty }),
                    Effect::SetTimer { id, at } => {
                        assert_eq!(id, TimerId::new(0));
                        seen.push(Seen::Timer(at));
                    }
                    Effect::Decide { value, cert, .. } => seen.push(Seen::Decide(value, cert)),
                    Effect::Trace(rule, _) => self.rules.push(rule),
                    Effect::Prune { .. } => {}
                    other => panic!("unexpected {other:?}"),
                }
            }
        }
        seen
    }

    fn status(&self) -> Status<Chain> {
        self.engine.status()
    }

    /// Takes a built block through to its decision.
    fn build(&mut self, block: TestBlock) -> (TestBlock, CommittedSeals) {
        let slot = block.height().slot();
        match self.step(Input::Built { slot, value: Some(block) }).pop() {
            Some(Seen::Decide(value, cert)) => (value, cert),
            other => panic!("{other:?}, {:?}", self.status()),
        }
    }

    fn finish(&mut self, value: &TestBlock) -> Vec<Seen> {
        let mut seen = self.step(Input::Applied { id: value.id(), result: Ok(()) });
        seen.extend(self.step(Input::Head { floor: floor(value.header.number, value.id()) }));
        seen
    }
}

fn me() -> alloy_primitives::Address {
    signer(1).address()
}

fn block(height: u64, parent: B256, content: u8) -> TestBlock {
    TestBlock::new(height, parent, content, seal::new_extra(b"klay", vec![me()]))
}

#[test]
fn its_blocks_carry_a_valid_istanbul_extra() {
    let mut bench = Bench::open(DevConfig::instant(me()), MemoryDisk::new(), floor(0, B256::ZERO)).unwrap();
    assert!(matches!(bench.step(Input::Start)[..], [Seen::Build { slot: 1, empty: false }]));
    let (value, cert) = bench.build(block(1, B256::ZERO, 1));
    let name = value.id();
    let written = cert.write(value).unwrap();
    assert_eq!(written.id(), name, "seals and round are not part of the name");
    assert_eq!(written.header().proposer(), Some(me()));
    let extra = IstanbulExtra::decode(&written.header().extra).unwrap();
    assert_eq!(extra.validators, [me()]);
    assert_eq!(extra.committed_seals.len(), 1);
    let digest = seal::committed_digest(name);
    assert_eq!(seal::seal_author(digest, &extra.committed_seals[0]), Some(me()));
}

#[test]
fn instant_asks_again_until_nothing_waits() {
    let mut bench = Bench::open(DevConfig::instant(me()), MemoryDisk::new(), floor(0, B256::ZERO)).unwrap();
    bench.step(Input::Start);
    assert!(bench.step(Input::Demand).is_empty(), "one is on its way");
    let (value, _) = bench.build(block(1, B256::ZERO, 1));
    assert!(matches!(bench.finish(&value)[..], [Seen::Build { slot: 2, .. }]));
    let slot = Height::new(2).slot();
    assert!(bench.step(Input::Built { slot, value: None }).is_empty());
    assert_eq!(bench.status().state, "idle");
    assert!(matches!(bench.step(Input::Demand)[..], [Seen::Build { slot: 2, .. }]));
    // A demand during a fruitless build is not forgotten.
    bench.step(Input::Demand);
    assert!(matches!(bench.step(Input::Built { slot, value: None })[..], [Seen::Build { slot: 2, .. }]));
}

#[test]
fn an_interval_keeps_its_beat() {
    let second = Duration::from_secs(1);
    let config = DevConfig::interval(me(), second);
    let mut bench = Bench::open(config, MemoryDisk::new(), floor(0, B256::ZERO)).unwrap();
    let at = |s| Time::ZERO.after(second * s);
    let seen = bench.step(Input::Start);
    assert!(matches!(seen[..], [Seen::Timer(t), Seen::Build { slot: 1, empty: true }] if t == at(1)), "{seen:?}");
    let (value, _) = bench.build(block(1, B256::ZERO, 1));
    bench.now = Time::from_nanos(300);
    assert!(matches!(bench.finish(&value)[..], [Seen::Timer(t)] if t == at(1)), "not before the period is over");
    assert_eq!(bench.engine.deadline(), Some(at(1)));
    bench.now = at(1);
    let seen = bench.step(Input::Timer(TimerId::new(0)));
    assert!(matches!(seen[..], [Seen::Timer(t), Seen::Build { slot: 2, empty: true }] if t == at(2)), "{seen:?}");
    let (value, _) = bench.build(block(2, value.id(), 1));
    // The application takes two and a half periods: the next block comes at once, missed beats are not made up for.
    bench.now = at(3).after(second / 2);
    bench.step(Input::Timer(TimerId::new(0)));
    let seen = bench.finish(&value);
    assert!(matches!(seen[..], [Seen::Timer(_), Seen::Build { slot: 3, empty: true }]), "{seen:?}");
    assert_eq!(bench.engine.deadline(), Some(bench.now.after(second)));
}

#[test]
fn without_empty_blocks_an_interval_waits_for_demand() {
    let config = DevConfig::interval(me(), Duration::from_secs(1)).without_empty_blocks();
    let mut bench = Bench::open(config, MemoryDisk::new(), floor(0, B256::ZERO)).unwrap();
    assert!(matches!(bench.step(Input::Start)[..], [Seen::Timer(_), Seen::Build { empty: false, .. }]));
    bench.step(Input::Built { slot: Height::new(1).slot(), value: None });
    assert!(bench.step(Input::Demand).is_empty(), "not before the period is over");
    bench.now = Time::ZERO.after(Duration::from_secs(1));
    assert!(matches!(bench.step(Input::Timer(TimerId::new(0)))[..], [Seen::Timer(_), Seen::Build { .. }]));
    bench.step(Input::Built { slot: Height::new(1).slot(), value: None });
    bench.now = Time::ZERO.after(Duration::from_secs(5));
    assert!(bench.step(Input::Timer(TimerId::new(0))).is_empty(), "nobody asks");
    assert!(matches!(bench.step(Input::Demand)[..], [Seen::Timer(_), Seen::Build { .. }]));
}

#[test]
fn stale_and_foreign_values_are_not_used() {
    let mut bench = Bench::open(DevConfig::instant(me()), MemoryDisk::new(), floor(0, B256::ZERO)).unwrap();
    let unasked = Input::Built { slot: Height::new(1).slot(), value: Some(block(1, B256::ZERO, 1)) };
    assert!(bench.step(unasked.clone()).is_empty());
    bench.step(Input::Start);
    for wrong in [
        block(1, B256::repeat_byte(1), 1),
        block(2, B256::ZERO, 1),
        TestBlock::new(1, B256::ZERO, 1, vec![1; 40].into()),
    ] {
        assert!(bench.step(Input::Built { slot: Height::new(1).slot(), value: Some(wrong) }).is_empty());
        assert_eq!(bench.status().state, "idle");
        bench.step(Input::Demand);
    }
    let stale = Input::Built { slot: Height::new(7).slot(), value: None };
    assert!(bench.step(stale).is_empty());
    assert_eq!(bench.status().state, "building");
}

#[test]
fn after_a_crash_the_next_round_decides_and_the_gate_agrees() {
    let disk = MemoryDisk::new();
    let config = DevConfig::instant(me());
    let mut bench = Bench::open(config.clone(), disk, floor(0, B256::ZERO)).unwrap();
    bench.step(Input::Start);
    let (lost, _) = bench.build(block(1, B256::ZERO, 1));
    // The block was signed but never applied.
    let disk = bench.disk.crash(Kept::Nothing);
    let mut bench = Bench::open(config.clone(), disk, floor(0, B256::ZERO)).unwrap();
    assert_eq!(bench.status().round.get(), 1);
    bench.step(Input::Start);
    let (value, cert) = bench.build(block(1, B256::ZERO, 2));
    assert_ne!(value.id(), lost.id());
    assert_eq!(cert.round.get(), 1);
    let written = cert.write(value).unwrap();
    assert_eq!(IstanbulExtra::decode(&written.header().extra).unwrap().round(), 1);
    bench.finish(&written);
    // The chain has it now: the next slot starts at round 0.
    let disk = bench.disk.crash(Kept::All);
    let bench = Bench::open(config.clone(), disk.clone(), floor(1, written.id())).unwrap();
    assert_eq!((bench.status().height.get(), bench.status().round.get()), (2, 0));
}

#[test]
fn a_log_ahead_of_the_chain_is_refused() {
    let config = DevConfig::instant(me());
    let mut bench = Bench::open(config.clone(), MemoryDisk::new(), floor(4, B256::ZERO)).unwrap();
    bench.step(Input::Start);
    bench.build(block(5, B256::ZERO, 1));
    let refused = Bench::open(config, bench.disk.crash(Kept::All), floor(0, B256::ZERO));
    assert!(matches!(refused, Err(Refuse::ChainBehindLog { .. })));
}

#[test]
fn a_value_that_cannot_be_applied_uses_up_its_round() {
    let mut bench = Bench::open(DevConfig::instant(me()), MemoryDisk::new(), floor(0, B256::ZERO)).unwrap();
    bench.step(Input::Start);
    let (bad, _) = bench.build(block(1, B256::ZERO, 1));
    assert!(bench.step(Input::Applied { id: bad.id(), result: Err(ApplyError::Invalid) }).is_empty());
    assert!(matches!(bench.step(Input::Demand)[..], [Seen::Build { slot: 1, .. }]));
    let (_, cert) = bench.build(block(1, B256::ZERO, 2));
    assert_eq!(cert.round.get(), 1);
    assert!(bench.rules.contains(&"DV-6"));
}

#[test]
fn a_refused_signature_stops_it() {
    let mut bench = Bench::open(DevConfig::instant(me()), MemoryDisk::new(), floor(0, B256::ZERO)).unwrap();
    bench.step(Input::Start);
    bench.disk.fail_syncs(true);
    let seen = bench.step(Input::Built { slot: Height::new(1).slot(), value: Some(block(1, B256::ZERO, 1)) });
    assert!(seen.is_empty());
    assert_eq!(bench.status().state, "stopped");
    assert!(bench.rules.contains(&"DV-7"));
    assert!(bench.step(Input::Demand).is_empty());
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let zero = DevConfig::interval(me(), Duration::ZERO);
    let slow = DevConfig { build_time: Duration::from_secs(1), ..DevConfig::interval(me(), Duration::from_secs(1)) };
    for config in [zero, slow] {
        let refused = Bench::open(config, MemoryDisk::new(), floor(0, B256::ZERO));
        assert!(matches!(refused, Err(Refuse::Config { .. })));
    }
}
