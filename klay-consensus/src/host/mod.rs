//! A host on tokio: drives any engine, through a gate, against an application and, if there are peers, a transport.
//!
//! | Part | Where it runs |
//! |---|---|
//! | engine, gate and log | one thread; a step never waits for anything but the log |
//! | building, checking, applying | tasks; a result that comes too late is dropped by the engine |
//! | receiving | one task that decodes; messages wait in a queue bounded in number and bytes, for each sender too; what does not fit is dropped |
//! | sending | one task behind a bounded queue; a message of somebody else is passed on once (RL-4) |
//!
//! Every effect of a step that speaks in our name waits until the log is durable; one sync serves a whole step. A log
//! that has failed is never durable again: what waits for it is dropped, and whoever wants to hear of it is told
//! ([`Setup::on_halt`]).
//!
//! Source: chapter 50, section 5.7.

mod app;
mod driver;
mod known;
mod memory;
mod room;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread::JoinHandle,
};

pub use app::{App, BuildRequest, Tip, Transport};
use driver::{Driver, Event};
pub use memory::{MemoryNetwork, MemoryTransport};
use tokio::{runtime::Handle, sync::oneshot};

use crate::{
    gate::{Gate, GateError},
    types::{Codec, Engine, Evidence, Height, Limits, Malformed, Model, Refuse, Signer, Status},
    wal::{Disk, Entry},
};

/// Why a host cannot start.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The engine refuses.
    #[error(transparent)]
    Engine(#[from] Refuse),
    /// A record of the log is not this engine's.
    #[error("the log holds a record of another kind: {0}")]
    Record(#[from] Malformed),
    /// The operating system gives no thread.
    #[error("no thread for the engine: {0}")]
    Thread(std::io::ErrorKind),
}

/// Bounds of a host's queues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostLimits {
    /// Received messages that wait for the engine; beyond that, 16 of each sender. What does not fit is dropped.
    pub inbound: u64,
    /// Of them, from one sender.
    pub inbound_each: u64,
    /// Bytes of those above 16 KiB, as they came, so no less than one message may have; a quarter from one sender.
    pub inbound_bytes: u64,
    /// Messages that wait to be sent.
    pub outbound: usize,
    /// Values that are checked at the same time.
    pub checks: usize,
    /// Bounds of one message.
    pub message: Limits,
}

impl Default for HostLimits {
    fn default() -> Self {
        Self {
            inbound: 4096,
            inbound_each: 256,
            inbound_bytes: 48 << 20,
            outbound: 1024,
            checks: 8,
            message: Limits::default(),
        }
    }
}

/// The way to other validators.
pub struct Network<M: Model, Msg> {
    /// Carries bytes.
    pub transport: Arc<dyn Transport<M>>,
    /// Turns them into messages.
    pub codec: Arc<dyn Codec<M, Msg = Msg> + Send + Sync>,
}

impl<M: Model, Msg> fmt::Debug for Network<M, Msg> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Network")
    }
}

/// What a host has counted.
#[derive(Debug, Default)]
pub struct Counters {
    /// Steps of the engine.
    pub steps: AtomicU64,
    /// Values decided and applied.
    pub decided: AtomicU64,
    /// Messages dropped because a queue was full.
    pub dropped: AtomicU64,
    /// Messages that did not decode.
    pub malformed: AtomicU64,
    /// Messages that the engine did not use.
    pub rejected: AtomicU64,
    /// Signatures that the gate refused.
    pub refused: AtomicU64,
}

impl Counters {
    pub(crate) fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// A host that is running. Stops when [`HostHandle::stop`] is called; dropping it stops it too, without waiting.
pub struct HostHandle<M: Model, Msg> {
    events: mpsc::Sender<Event<M, Msg>>,
    counters: Arc<Counters>,
    thread: Option<JoinHandle<()>>,
}

impl<M: Model, Msg> fmt::Debug for HostHandle<M, Msg> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostHandle").field("counters", &self.counters).finish_non_exhaustive()
    }
}

/// Reports evidence as it is found: an offence may come again with other proofs, which an
/// [`EvidencePool`](crate::types::EvidencePool) tells. Called on the engine's thread: must not block.
pub type OnEvidence<M> = Box<dyn FnMut(Evidence<<M as Model>::Peer>) + Send>;

/// Why a host says nothing any more though nobody has stopped it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Halt {
    /// What is signed cannot be remembered. The engine follows the chain, and nothing leaves the gate.
    #[error("nothing is signed any more: {0}")]
    Gate(GateError),
    /// The engine has panicked, or a task that sends or receives for it.
    #[error("the engine, its sender or its receiver has panicked")]
    Panicked,
}

/// Hears at most once that a host has halted. Called on the engine's thread: must not block.
pub type OnHalt = Box<dyn FnOnce(Halt) + Send>;

/// What a host is made of.
pub struct Setup<M: Model, E: Engine<M>, S, D> {
    /// Settings of the engine.
    pub config: E::Config,
    /// The gate with the key.
    pub gate: Gate<S, D>,
    /// The engine's records, as the gate found them.
    pub entries: Vec<Entry>,
    /// The application.
    pub app: Arc<dyn App<M>>,
    /// The peers, if any.
    pub network: Option<Network<M, E::Msg>>,
    /// Bounds.
    pub limits: HostLimits,
    /// Receives evidence, if anybody wants it.
    pub on_evidence: Option<OnEvidence<M>>,
    /// Hears of a log that fails, or an engine that panics.
    pub on_halt: Option<OnHalt>,
}

impl<M: Model, E: Engine<M>, S, D: Disk> fmt::Debug for Setup<M, E, S, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Setup").field("engine", &E::NAME).finish_non_exhaustive()
    }
}

impl<M: Model, E: Engine<M>, S, D> Setup<M, E, S, D> {
    /// A node without peers.
    pub fn alone(config: E::Config, gate: Gate<S, D>, entries: Vec<Entry>, app: Arc<dyn App<M>>) -> Self {
        let limits = HostLimits::default();
        Self { config, gate, entries, app, network: None, limits, on_evidence: None, on_halt: None }
    }

    /// The same with peers.
    #[must_use]
    pub fn with_network(mut self, network: Network<M, E::Msg>) -> Self {
        self.network = Some(network);
        self
    }
}

/// Opens the engine at the application's head and runs it on a thread of its own.
///
/// # Errors
/// If the engine refuses its settings or its log.
pub async fn start<M, E, S, D>(setup: Setup<M, E, S, D>) -> Result<HostHandle<M, E::Msg>, StartError>
where
    M: Model,
    E: Engine<M> + Send + 'static,
    S: Signer<M> + Send + 'static,
    D: Disk + 'static,
{
    let tip = setup.app.head().await;
    let (events, inbox) = mpsc::channel();
    let counters = Arc::new(Counters::default());
    let driver =
        Driver::<M, E, S, D>::open(setup, tip, Handle::current(), events.clone(), inbox, Arc::clone(&counters))?;
    let thread = std::thread::Builder::new()
        .name(format!("consensus-{}", E::NAME))
        .spawn(move || driver.run())
        .map_err(|e| StartError::Thread(e.kind()))?;
    Ok(HostHandle { events, counters, thread: Some(thread) })
}

impl<M: Model, Msg> HostHandle<M, Msg> {
    /// The application has something to put into a value. Cheap; may be called for every transaction.
    pub fn demand(&self) {
        self.tell(Event::Demand);
    }

    /// The chain moved without this engine: blocks came by synchronisation.
    pub fn head(&self, tip: Tip<M>) {
        self.tell(Event::Head(tip));
    }

    /// The committee of a height became known.
    pub fn sets(&self, height: Height) {
        self.tell(Event::Sets(height));
    }

    /// A peer came or went.
    pub fn peer(&self, peer: M::Peer, up: bool) {
        self.tell(Event::Peer(peer, up));
    }

    /// Where the engine stands; `None` once it has stopped.
    pub async fn status(&self) -> Option<Status<M>> {
        let (answer, status) = oneshot::channel();
        self.tell(Event::Status(answer));
        status.await.ok()
    }

    /// What the host has counted.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Stops the engine and waits until its thread has ended. An apply that is under way is finished by the
    /// application.
    pub async fn stop(mut self) {
        self.tell(Event::Stop);
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has reported that already.
            let _ended = tokio::task::spawn_blocking(move || thread.join().is_ok()).await;
        }
    }

    fn tell(&self, event: Event<M, Msg>) {
        // An engine that has stopped needs no telling.
        let _stopped = self.events.send(event).is_err();
    }
}

impl<M: Model, Msg> Drop for HostHandle<M, Msg> {
    fn drop(&mut self) {
        self.tell(Event::Stop);
    }
}
