//! One node of a run: engine, gate, disks, clock, chain.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use core::time::Duration;

use super::{
    Byzantine, CrashPoint, Faults, Lab, Stream,
    lab::{CertOf, MsgOf, ValueOf},
};
use crate::{
    gate::{Gate, GateOptions, records},
    types::{Domain, Effects, Engine, Floor, Height, Lsn, Model, SignError, Signer, Slot, Statement, Time, TimerId},
    wal::{Identity, Kept, Log, MemoryDisk},
};

/// Signs for a node of a lab.
#[derive(Debug)]
pub(super) struct LabSigner<L> {
    pub(super) lab: Arc<L>,
    pub(super) node: usize,
}

impl<L: Lab> Signer<L::Model> for LabSigner<L> {
    fn id(&self) -> <L::Model as Model>::Peer {
        self.lab.peer(self.node)
    }

    fn sign(&self, _domain: Domain, digest: [u8; 32]) -> Result<<L::Model as Model>::Sig, SignError> {
        Ok(self.lab.sign(self.node, digest))
    }
}

type Running<L> = (
    <L as Lab>::Engine,
    Effects<<L as Lab>::Model, MsgOf<L>, <<L as Lab>::Engine as Engine<<L as Lab>::Model>>::Record>,
);

/// A decided value and its proof.
pub(super) type BlockOf<L> = (ValueOf<L>, CertOf<L>);

pub(super) struct Node<L: Lab> {
    /// Which validator it is; twins share one.
    pub(super) key: usize,
    pub(super) byzantine: Option<Byzantine>,
    pub(super) engine: Option<Running<L>>,
    pub(super) gate: Option<Gate<LabSigner<L>, MemoryDisk>>,
    pub(super) disk: MemoryDisk,
    anchor: MemoryDisk,
    /// The disk as it was at an earlier start.
    older: Option<MemoryDisk>,
    /// Counts starts; what was asked in an earlier life gets no answer.
    pub(super) life: u32,
    /// Dies after so many effects, keeps that of its disk, stays down that long.
    pub(super) doom: Option<(u32, Kept, Duration)>,
    /// Dies there.
    pub(super) crash_at: Option<CrashPoint>,
    /// How much it has done in all its lives: effects, syncs, signatures.
    done: u64,
    /// The same when each height was applied.
    pub(super) marks: Vec<u64>,
    /// What is applied; never lost.
    pub(super) chain: Vec<Arc<BlockOf<L>>>,
    /// Highest height decided, applied or not.
    pub(super) decided: Height,
    pub(super) applied_at: Time,
    /// When decided values may be asked for again.
    pub(super) fetches_again: Time,
    /// The gate says nothing at and below this any more.
    pub(super) said_below: Slot,
    timers: BTreeMap<TimerId, u64>,
    timers_set: u64,
    offset: u64,
    drift: i64,
    /// How far the calendar clock is ahead, in nanoseconds.
    pub(super) wall: i64,
}

impl<L: Lab> Node<L> {
    pub(super) fn new(key: usize, byzantine: Option<Byzantine>, faults: &Faults, clocks: &mut Stream) -> Self {
        let largest = faults.clock_offset.as_nanos() as u64;
        let drift = u64::from(faults.clock_drift);
        let offset = clocks.below(largest + 1);
        let drift = clocks.below(2 * drift + 1) as i64 - drift as i64;
        let wall = clocks.below(2 * largest + 1) as i64 - largest as i64;
        Self {
            key,
            byzantine,
            engine: None,
            gate: None,
            disk: MemoryDisk::new(),
            anchor: MemoryDisk::new(),
            older: None,
            life: 0,
            doom: None,
            crash_at: None,
            done: 0,
            marks: Vec::new(),
            chain: Vec::new(),
            decided: Height::ZERO,
            applied_at: Time::ZERO,
            fetches_again: Time::ZERO,
            said_below: Slot::ZERO,
            timers: BTreeMap::new(),
            timers_set: 0,
            offset,
            drift,
            wall,
        }
    }

    fn identity<E: Engine<L::Model>>(&self) -> Identity {
        Identity { chain_id: 1, key: vec![self.key as u8], engine: E::NAME.to_owned() }
    }

    /// Opens gate and engine; byzantine and ungated nodes have neither log nor memory.
    pub(super) fn open<E>(&mut self, lab: &Arc<L>, floor: Floor<L::Model>, gated: bool) -> Result<(), String>
    where
        E: Engine<L::Model>,
        L: Lab<Engine = E>,
    {
        self.life += 1;
        self.timers.clear();
        let mut log = Vec::new();
        let mut next = Lsn::new(1);
        if gated {
            let signer = LabSigner { lab: Arc::clone(lab), node: self.key };
            let options = GateOptions { rules: lab.gate(), ..GateOptions::default() };
            let (gate, entries) =
                Gate::open(signer, self.disk.clone(), Some(self.anchor.clone()), self.identity::<E>(), options)
                    .map_err(|e| e.to_string())?;
            log = records(entries).map_err(|e| e.to_string())?;
            next = gate.next_lsn();
            self.gate = Some(gate);
        }
        let engine = E::open(lab.config(self.key), floor, log).map_err(|e| e.to_string())?;
        self.engine = Some((engine, Effects::new(next)));
        Ok(())
    }

    /// Tries a lost and an older log with this key, which has spoken in slot `said`. Returns what was opened and should
    /// not have been.
    pub(super) fn try_old_copies(&mut self, lab: &Arc<L>, said: Slot) -> Option<&'static str> {
        let highest = |disk: &MemoryDisk| {
            let signer = LabSigner { lab: Arc::clone(lab), node: self.key };
            let options = GateOptions { rules: lab.gate(), ..GateOptions::default() };
            let anchor = Some(self.anchor.snapshot());
            let identity = self.identity::<L::Engine>();
            Gate::open(signer, disk.snapshot(), anchor, identity, options).map(|(gate, _)| gate.highest_slot())
        };
        if highest(&MemoryDisk::new()).is_ok() {
            return Some("a key without its log was opened");
        }
        let wrong = self.older.as_ref().is_some_and(|older| highest(older).is_ok_and(|slot| slot < Some(said)));
        self.older = Some(self.disk.snapshot());
        wrong.then_some("an older copy of a log was opened")
    }

    /// The statements that the disk holds now.
    pub(super) fn recorded(&self) -> Result<BTreeSet<Statement>, String> {
        let (_, entries) =
            Log::open(self.disk.snapshot(), self.identity::<L::Engine>()).map_err(|error| error.to_string())?;
        Ok(entries.iter().filter_map(crate::gate::statement).collect())
    }

    /// Whether the node's time has come; counts one effect.
    pub(super) fn dies(&mut self) -> bool {
        self.done += 1;
        if let Some(point) = self.crash_at.take_if(|point| point.after <= self.done) {
            self.doom = Some((0, point.kept, point.downtime));
        }
        match &mut self.doom {
            Some((0, _, _)) => true,
            Some((left, _, _)) => {
                *left -= 1;
                false
            }
            None => false,
        }
    }

    /// A height is applied.
    pub(super) fn applies(&mut self, block: Arc<BlockOf<L>>) {
        self.chain.push(block);
        self.marks.push(self.done);
    }

    /// Dies while the log is being written: the bytes are on their way to the disk and not safe.
    pub(super) fn dies_writing(&mut self) {
        self.disk.cut_after(1);
        if let Some(gate) = &mut self.gate {
            let _cut = gate.commit().is_err();
        }
    }

    /// Loses everything that is not durable and returns how long it stays down.
    pub(super) fn crash(&mut self) -> Duration {
        let (_, kept, downtime) = self.doom.take().unwrap_or((0, Kept::Nothing, Duration::ZERO));
        self.engine = None;
        self.gate = None;
        self.disk = self.disk.crash(kept);
        self.anchor = self.anchor.crash(kept);
        self.life += 1;
        self.decided = self.height();
        downtime
    }

    /// The height of the last applied value.
    pub(super) const fn height(&self) -> Height {
        Height::new(self.chain.len() as u64)
    }

    /// A jump of the timer clock; it never goes back.
    pub(super) const fn jump(&mut self, nanos: u64) {
        self.offset = self.offset.saturating_add(nanos);
    }

    pub(super) fn set_timer(&mut self, id: TimerId) -> u64 {
        self.timers_set += 1;
        self.timers.insert(id, self.timers_set);
        self.timers_set
    }

    pub(super) fn fires(&mut self, life: u32, id: TimerId, set: u64) -> bool {
        let current = self.life == life && self.timers.get(&id) == Some(&set);
        if current {
            self.timers.remove(&id);
        }
        current
    }

    /// What the node's clock shows.
    pub(super) fn local(&self, time: Time) -> Time {
        if self.drift == 0 {
            return Time::from_nanos(time.as_nanos().saturating_add(self.offset));
        }
        let nanos = i128::from(time.as_nanos());
        let shown = nanos + i128::from(self.offset) + nanos * i128::from(self.drift) / 1_000_000;
        Time::from_nanos(u64::try_from(shown).unwrap_or(u64::MAX))
    }

    /// When the node's clock first shows `local`.
    pub(super) fn global(&self, local: Time) -> Time {
        if self.drift == 0 {
            return Time::from_nanos(local.as_nanos().saturating_sub(self.offset));
        }
        let nanos = (i128::from(local.as_nanos()) - i128::from(self.offset)) * 1_000_000;
        let nanos = nanos / (1_000_000 + i128::from(self.drift));
        let mut time = Time::from_nanos(u64::try_from(nanos.max(0)).unwrap_or(u64::MAX));
        // Division rounds down, by a few nanoseconds at most.
        while self.local(time) < local && time < Time::NEVER {
            time = Time::from_nanos(time.as_nanos().saturating_add(1));
        }
        time
    }
}
