//! The loop: inputs in, effects out.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, Sender},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use tokio::{
    runtime::Handle,
    sync::{Semaphore, mpsc, oneshot},
    task::JoinHandle,
};

use super::{
    App, BuildRequest, Counters, Halt, HostLimits, Network, OnEvidence, OnHalt, Setup, StartError, Tip, known::Known,
    room::Room,
};
use crate::{
    gate::{Admitted, Gate, GateError, records},
    types::{
        ApplyError, Class, Domain, Effect, Effects, Engine, Floor, Height, Input, Lsn, Model, SignRefused, Signer,
        Slot, Status, Ticket, Time, TimerId, Verdict, WallTime,
    },
    wal::Disk,
};

/// Something that reaches the loop from outside.
pub(super) enum Event<M: Model, Msg> {
    Demand,
    Head(Tip<M>),
    Sets(Height),
    Peer(M::Peer, bool),
    Status(oneshot::Sender<Status<M>>),
    /// With its length.
    Message(M::Peer, Msg, u64),
    Built(Slot, Option<M::Value>),
    Verdict(Slot, M::Id, Verdict),
    Applied(M::Id, Result<Tip<M>, ApplyError>),
    /// A task that sends or receives has panicked.
    Broken,
    Stop,
}

/// Tells of the panic of the task that holds it.
struct Watch<M: Model, Msg>(Sender<Event<M, Msg>>);

impl<M: Model, Msg> Drop for Watch<M, Msg> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let _stopped = self.0.send(Event::Broken).is_err();
        }
    }
}

/// When a value is looked at again for which there was no room.
const BUSY: Duration = Duration::from_millis(100);

/// A message that waits for the log.
struct Held<M: Model, Msg> {
    after: Lsn,
    to: Vec<M::Peer>,
    class: Class,
    msg: Msg,
}

struct Outgoing<M: Model> {
    to: Vec<M::Peer>,
    class: Class,
    bytes: Vec<u8>,
}

/// A signature that waits for the log.
type ToSign = (Ticket, Domain, [u8; 32], Result<Admitted, GateError>);
type Waiting<M> = VecDeque<(<M as Model>::Value, <M as Model>::Cert, Option<Lsn>)>;

pub(super) struct Driver<M: Model, E: Engine<M>, S, D> {
    engine: E,
    gate: Gate<S, D>,
    fx: Effects<M, E::Msg, E::Record>,
    inputs: VecDeque<Input<M, E::Msg>>,
    timers: BTreeMap<TimerId, Time>,
    held: Vec<Held<M, E::Msg>>,
    decided: Waiting<M>,
    applying: bool,
    building: Option<JoinHandle<()>>,
    app: Arc<dyn App<M>>,
    network: Option<Network<M, E::Msg>>,
    outgoing: Option<mpsc::Sender<Outgoing<M>>>,
    relayed: Known,
    checks: Arc<Semaphore>,
    limits: HostLimits,
    on_evidence: Option<OnEvidence<M>>,
    alarm: Alarm,
    clock: Clock,
    runtime: Handle,
    events: Sender<Event<M, E::Msg>>,
    inbox: Receiver<Event<M, E::Msg>>,
    counters: Arc<Counters>,
    room: Arc<Room<M::Peer>>,
    /// Senders and lengths of the messages among the inputs: they count as waiting until the engine has had them.
    heard: Vec<(M::Peer, u64)>,
    tasks: Vec<JoinHandle<()>>,
}

/// Tells once that the host has halted; of a panic when it is dropped by one.
struct Alarm(Option<OnHalt>);

impl Alarm {
    fn ring(&mut self, halt: Halt) {
        if let Some(report) = self.0.take() {
            report(halt);
        }
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.ring(Halt::Panicked);
        }
    }
}

/// Monotonic and calendar time, read only here.
#[derive(Debug, Clone, Copy)]
struct Clock {
    start: Instant,
}

impl Clock {
    fn now(self) -> Time {
        Time::ZERO.after(self.start.elapsed())
    }

    fn floor<M: Model>(self, tip: &Tip<M>) -> Floor<M> {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let wall = WallTime::from_millis(u64::try_from(wall.as_millis()).unwrap_or(u64::MAX));
        Floor { height: tip.height, id: tip.id, next_at: self.now().after(wall.until(tip.next_at)) }
    }
}

impl<M, E, S, D> Driver<M, E, S, D>
where
    M: Model,
    E: Engine<M>,
    S: Signer<M>,
    D: Disk,
{
    pub(super) fn open(
        setup: Setup<M, E, S, D>,
        tip: Tip<M>,
        runtime: Handle,
        events: Sender<Event<M, E::Msg>>,
        inbox: Receiver<Event<M, E::Msg>>,
        counters: Arc<Counters>,
    ) -> Result<Self, StartError> {
        let Setup { config, gate, entries, app, network, limits, on_evidence, on_halt } = setup;
        let clock = Clock { start: Instant::now() };
        let engine = E::open(config, clock.floor(&tip), records(entries)?)?;
        Ok(Self {
            engine,
            fx: Effects::new(gate.next_lsn()),
            gate,
            inputs: VecDeque::from([Input::Start]),
            timers: BTreeMap::new(),
            held: Vec::new(),
            decided: VecDeque::new(),
            applying: false,
            building: None,
            app,
            network,
            outgoing: None,
            relayed: Known::default(),
            checks: Arc::new(Semaphore::new(limits.checks)),
            limits,
            on_evidence,
            alarm: Alarm(on_halt),
            clock,
            runtime,
            events,
            inbox,
            counters,
            room: Arc::new(Room::new()),
            heard: Vec::new(),
            tasks: Vec::new(),
        })
    }

    pub(super) fn run(mut self) {
        self.connect();
        loop {
            self.work();
            self.make_room();
            let event = match self.timers.values().min() {
                Some(at) => self.inbox.recv_timeout(at.since(self.clock.now())),
                None => self.inbox.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match event {
                Ok(Event::Stop) | Err(RecvTimeoutError::Disconnected) => break,
                Ok(Event::Broken) => {
                    self.alarm.ring(Halt::Panicked);
                    break;
                }
                Ok(event) => self.accept(event),
                Err(RecvTimeoutError::Timeout) => {}
            }
            // Whatever has arrived meanwhile shares the step's sync.
            let mut stop = false;
            while let Ok(event) = self.inbox.try_recv() {
                match event {
                    Event::Stop => stop = true,
                    Event::Broken => {
                        self.alarm.ring(Halt::Panicked);
                        stop = true;
                    }
                    event => self.accept(event),
                }
            }
            if stop {
                break;
            }
            self.fire_timers();
        }
        self.engine.step(self.clock.now(), Input::Stop, &mut self.fx);
        if let Some(building) = self.building.take() {
            building.abort();
        }
        for task in self.tasks.drain(..) {
            task.abort();
        }
    }

    fn accept(&mut self, event: Event<M, E::Msg>) {
        let input = match event {
            Event::Demand => Input::Demand,
            Event::Head(tip) => Input::Head { floor: self.clock.floor(&tip) },
            Event::Sets(height) => Input::Sets { height },
            Event::Peer(peer, up) => Input::Peer { peer, up },
            Event::Status(answer) => {
                // Whoever asked may have gone.
                let _gone = answer.send(self.engine.status()).is_err();
                return;
            }
            Event::Message(from, msg, len) => {
                self.heard.push((from, len));
                Input::Message { from, msg, checked: false }
            }
            Event::Built(slot, value) => Input::Built { slot, value },
            Event::Verdict(slot, id, verdict) => Input::Verdict { slot, id, verdict },
            Event::Applied(id, Ok(tip)) => {
                self.applying = false;
                Counters::count(&self.counters.decided);
                self.inputs.push_back(Input::Applied { id, result: Ok(()) });
                Input::Head { floor: self.clock.floor(&tip) }
            }
            Event::Applied(id, Err(error)) => {
                self.applying = false;
                Input::Applied { id, result: Err(error) }
            }
            Event::Broken | Event::Stop => return,
        };
        self.inputs.push_back(input);
    }

    fn make_room(&mut self) {
        self.room.leave(self.heard.drain(..));
    }

    fn fire_timers(&mut self) {
        let now = self.clock.now();
        while let Some((id, _)) = self.timers.iter().find(|(_, at)| **at <= now).map(|(id, at)| (*id, *at)) {
            self.timers.remove(&id);
            self.inputs.push_back(Input::Timer(id));
        }
    }

    /// Steps until no input is left. Signatures and durability come back as inputs of the same round of work.
    fn work(&mut self) {
        use crate::types::Value as _;
        while let Some(input) = self.inputs.pop_front() {
            if matches!(input, Input::Applied { result: Err(_), .. }) {
                // What was handed out before the engine hears of it rests on it.
                for (value, ..) in self.decided.drain(..) {
                    self.inputs.push_back(Input::Applied { id: value.id(), result: Err(ApplyError::Storage) });
                }
            }
            Counters::count(&self.counters.steps);
            self.engine.step(self.clock.now(), input, &mut self.fx);
            self.perform();
            self.give_up();
        }
        self.apply_next();
    }

    /// Forgets what waits for a log that has failed, and tells of it.
    fn give_up(&mut self) {
        let Some(error) = self.gate.failure() else { return };
        let durable = self.gate.durable();
        self.held.retain(|held| held.after <= durable);
        self.decided.retain(|(_, _, after)| after.is_none_or(|lsn| lsn <= durable));
        self.alarm.ring(Halt::Gate(error));
    }

    fn perform(&mut self) {
        let effects: Vec<_> = self.fx.drain().collect();
        let mut persisted = None;
        let mut to_sign: Vec<ToSign> = Vec::new();
        let mut decided = None;
        for effect in effects {
            match effect {
                Effect::Persist { record, lsn } => {
                    // A log that fails is never durable again, so whatever waits for it stays unsaid.
                    if self.gate.persist(lsn, &record).is_ok() {
                        persisted = Some(lsn);
                    }
                }
                Effect::Sign { ticket, statement, domain, digest, lsn } => {
                    to_sign.push((ticket, domain, digest, self.gate.admit(lsn, &statement)));
                }
                Effect::Send { to, msg, class, after } => self.say(vec![to], msg, class, after),
                Effect::Broadcast { to, msg, class, after } => self.say(to, msg, class, after),
                Effect::Relay { to, msg, class } => self.relay(to, class, &msg),
                Effect::SetTimer { id, at } => {
                    self.timers.insert(id, at);
                }
                Effect::Cancel(id) => {
                    self.timers.remove(&id);
                }
                Effect::Build { slot, parent, deadline, empty } => self.build(slot, parent, deadline, empty),
                Effect::Check { slot, value } => self.check(slot, value),
                Effect::Decide { value, cert, after, .. } => self.decided.push_back((value, cert, after)),
                Effect::Evidence(evidence) => {
                    if let Some(report) = &mut self.on_evidence {
                        report(evidence);
                    }
                }
                Effect::Rejected { .. } => Counters::count(&self.counters.rejected),
                Effect::Prune { below } => decided = decided.max(below.prev()),
                // Missing parts are fetched by the node's synchronisation; rules are for tests and tracing.
                Effect::Need(_) | Effect::Trace(..) => {}
            }
        }
        if let Some(decided) = decided {
            // After the step's own records: their places come before this one.
            let lsn = self.fx.reserve();
            // A failure shows at the next signature, which it prevents.
            let _failed = self.gate.raise_floor(lsn, decided).is_err();
        }
        if persisted.is_none() && to_sign.is_empty() {
            return;
        }
        let durable = self.gate.commit();
        if let (Ok(_), Some(lsn)) = (&durable, persisted) {
            self.inputs.push_back(Input::Durable(lsn));
        }
        for (ticket, domain, digest, admitted) in to_sign {
            let signed = admitted.and_then(|admitted| self.gate.sign::<M>(admitted, domain, digest));
            if signed.is_err() {
                Counters::count(&self.counters.refused);
            }
            self.inputs.push_back(Input::Signed { ticket, result: signed.map_err(SignRefused::from) });
        }
        self.release();
    }

    fn say(&mut self, to: Vec<M::Peer>, msg: E::Msg, class: Class, after: Option<Lsn>) {
        match after.filter(|lsn| *lsn > self.gate.durable()) {
            Some(after) => self.held.push(Held { after, to, class, msg }),
            None => self.transmit(to, class, &msg),
        }
    }

    fn release(&mut self) {
        let durable = self.gate.durable();
        let (ready, held) = core::mem::take(&mut self.held).into_iter().partition(|h| h.after <= durable);
        self.held = held;
        for Held { to, class, msg, .. } in ready {
            self.transmit(to, class, &msg);
        }
    }

    fn transmit(&self, to: Vec<M::Peer>, class: Class, msg: &E::Msg) {
        if let Some(bytes) = self.encode(msg) {
            self.post(Outgoing { to, class, bytes });
        }
    }

    /// RL-4: once. Whoever has the message already passes it on no more, so it does not go round in circles.
    fn relay(&mut self, to: Vec<M::Peer>, class: Class, msg: &E::Msg) {
        if let Some(bytes) = self.encode(msg).filter(|bytes| self.relayed.note(bytes)) {
            self.post(Outgoing { to, class, bytes });
        }
    }

    fn encode(&self, msg: &E::Msg) -> Option<Vec<u8>> {
        let network = self.network.as_ref()?;
        let mut bytes = Vec::new();
        network.codec.encode(msg, &mut bytes);
        Some(bytes)
    }

    fn post(&self, message: Outgoing<M>) {
        if self.outgoing.as_ref().is_some_and(|outgoing| outgoing.try_send(message).is_err()) {
            Counters::count(&self.counters.dropped);
        }
    }

    fn build(&mut self, slot: Slot, parent: M::Id, deadline: Time, empty: bool) {
        if let Some(earlier) = self.building.take() {
            earlier.abort();
        }
        let within = deadline.since(self.clock.now());
        let (app, events) = (Arc::clone(&self.app), self.events.clone());
        self.building = Some(self.runtime.spawn(async move {
            let value = app.build(BuildRequest { slot, parent, within, empty }).await;
            let _stopped = events.send(Event::Built(slot, value)).is_err();
        }));
    }

    fn check(&self, slot: Slot, value: M::Value) {
        use crate::types::Value as _;
        let (app, events, id) = (Arc::clone(&self.app), self.events.clone(), value.id());
        let Ok(permit) = Arc::clone(&self.checks).try_acquire_owned() else {
            Counters::count(&self.counters.dropped);
            // The engine waits for an answer.
            let later = Verdict::NotYet { wait: BUSY };
            let _stopped = events.send(Event::Verdict(slot, id, later)).is_err();
            return;
        };
        let judged = self.runtime.spawn(async move { app.check(slot, value).await });
        self.runtime.spawn(async move {
            let verdict = match judged.await {
                Ok(verdict) => verdict,
                Err(error) if error.is_panic() => Verdict::NotYet { wait: BUSY },
                Err(_) => return,
            };
            drop(permit);
            let _stopped = events.send(Event::Verdict(slot, id, verdict)).is_err();
        });
    }

    /// Applies decided values one at a time, each once the log allows it.
    fn apply_next(&mut self) {
        use crate::types::Value as _;
        let durable = self.gate.durable();
        let ready = self.decided.front().is_some_and(|(_, _, after)| after.is_none_or(|lsn| lsn <= durable));
        if self.applying || !ready {
            return;
        }
        let Some((value, cert, _)) = self.decided.pop_front() else {
            return;
        };
        self.applying = true;
        let (app, events, id) = (Arc::clone(&self.app), self.events.clone(), value.id());
        let applied = self.runtime.spawn(async move { app.apply(value, cert).await });
        self.runtime.spawn(async move {
            let result = match applied.await {
                Ok(result) => result,
                Err(error) if error.is_panic() => Err(ApplyError::Storage),
                Err(_) => return,
            };
            let _stopped = events.send(Event::Applied(id, result)).is_err();
        });
    }

    fn connect(&mut self) {
        let Some(network) = &self.network else { return };
        let (sender, mut queue) = mpsc::channel::<Outgoing<M>>(self.limits.outbound.max(1));
        let transport = Arc::clone(&network.transport);
        let watch = Watch(self.events.clone());
        self.tasks.push(self.runtime.spawn(async move {
            let _watch = watch;
            while let Some(Outgoing { to, class, bytes }) = queue.recv().await {
                transport.broadcast(&to, class, bytes).await;
            }
        }));
        self.outgoing = Some(sender);

        let (transport, codec) = (Arc::clone(&network.transport), Arc::clone(&network.codec));
        let (events, counters, limits) = (self.events.clone(), Arc::clone(&self.counters), self.limits);
        let (room, watch) = (Arc::clone(&self.room), Watch(self.events.clone()));
        self.tasks.push(self.runtime.spawn(async move {
            let _watch = watch;
            while let Some((from, bytes)) = transport.next().await {
                let Ok(msg) = codec.decode(&bytes, limits.message) else {
                    Counters::count(&counters.malformed);
                    continue;
                };
                let len = bytes.len() as u64;
                if !room.enter(from, len, &limits) {
                    Counters::count(&counters.dropped);
                    continue;
                }
                if events.send(Event::Message(from, msg, len)).is_err() {
                    break;
                }
            }
        }));
    }
}
