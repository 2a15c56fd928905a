//! One node of a run: engine, gate, disks, clock, chain.

use std::{collections::BTreeMap, sync::Arc};

use core::time::Duration;

use super::{
    Byzantine, Faults, Lab, Stream,
    lab::{CertOf, MsgOf, ValueOf},
};
use crate::{
    gate::{Gate, GateOptions, GateRules, records},
    types::{Domain, Effects, Engine, Floor, Lsn, Model, SignError, Signer, Time, TimerId},
    wal::{Identity, Kept, MemoryDisk},
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

pub(super) struct Node<L: Lab> {
    pub(super) index: usize,
    pub(super) byzantine: Option<Byzantine>,
    pub(super) engine: Option<Running<L>>,
    pub(super) gate: Option<Gate<LabSigner<L>, MemoryDisk>>,
    pub(super) disk: MemoryDisk,
    anchor: MemoryDisk,
    /// Counts starts; what was asked in an earlier life gets no answer.
    pub(super) life: u32,
    /// Dies after so many effects, keeps that of its disk, stays down that long.
    pub(super) doom: Option<(u32, Kept, Duration)>,
    /// What is applied; never lost.
    pub(super) chain: Vec<(ValueOf<L>, CertOf<L>)>,
    pub(super) applied_at: Time,
    timers: BTreeMap<TimerId, u64>,
    timers_set: u64,
    offset: u64,
    drift: i64,
}

impl<L: Lab> Node<L> {
    pub(super) fn new(index: usize, byzantine: Option<Byzantine>, faults: &Faults, clocks: &mut Stream) -> Self {
        let offset = clocks.below(faults.clock_offset.as_nanos() as u64 + 1);
        let drift = clocks.below(2 * faults.clock_drift + 1) as i64 - faults.clock_drift as i64;
        Self {
            index,
            byzantine,
            engine: None,
            gate: None,
            disk: MemoryDisk::new(),
            anchor: MemoryDisk::new(),
            life: 0,
            doom: None,
            chain: Vec::new(),
            applied_at: Time::ZERO,
            timers: BTreeMap::new(),
            timers_set: 0,
            offset,
            drift,
        }
    }

    /// Opens gate and engine; byzantine and ungated nodes have neither log nor memory.
    pub(super) fn open<E>(
        &mut self,
        signer: LabSigner<L>,
        config: E::Config,
        floor: Floor<L::Model>,
        gate: Option<GateRules>,
    ) -> Result<(), String>
    where
        E: Engine<L::Model>,
        L: Lab<Engine = E>,
    {
        self.life += 1;
        self.timers.clear();
        let mut log = Vec::new();
        let mut next = Lsn::new(1);
        if let Some(rules) = gate {
            let identity = Identity { chain_id: 1, key: vec![self.index as u8], engine: E::NAME.to_owned() };
            let options = GateOptions { rules, ..GateOptions::default() };
            let (gate, entries) = Gate::open(signer, self.disk.clone(), Some(self.anchor.clone()), identity, options)
                .map_err(|e| e.to_string())?;
            log = records(entries).map_err(|e| e.to_string())?;
            next = gate.next_lsn();
            self.gate = Some(gate);
        }
        let engine = E::open(config, floor, log).map_err(|e| e.to_string())?;
        self.engine = Some((engine, Effects::new(next)));
        Ok(())
    }

    /// Whether the node's time has come; counts one effect.
    pub(super) const fn dies(&mut self) -> bool {
        match &mut self.doom {
            Some((0, _, _)) => true,
            Some((left, _, _)) => {
                *left -= 1;
                false
            }
            None => false,
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
        downtime
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
        let nanos = i128::from(time.as_nanos());
        let shown = nanos + i128::from(self.offset) + nanos * i128::from(self.drift) / 1_000_000;
        Time::from_nanos(u64::try_from(shown).unwrap_or(u64::MAX))
    }

    /// When the node's clock first shows `local`.
    pub(super) fn global(&self, local: Time) -> Time {
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
