//! A driver that runs: when the engine is started, and what it is told.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use klay_consensus::{
    host::{Counters, StartError},
    istanbul::Klaytn,
    types::{Slot, Status, quorum},
    wal::Disk,
};
use klay_core::Address;
use tokio::{
    sync::{broadcast, mpsc, oneshot},
    task::JoinHandle,
    time::sleep,
};

use super::{
    Disks, DriverError, EngineFault, Faults, Hosted, Keeper, NodeApp, Pace, Parts, Proposal, Stage, no_disk, open_gate,
};
use crate::{
    TxPool,
    chain::HeadEvent,
    network::{Contact, Network},
};

/// How long a start waits for all validators once there are enough.
const MEETING: Duration = Duration::from_millis(1_500);
/// How long a peer that claims to be ahead is believed without a block coming.
const BELIEF: Duration = Duration::from_secs(5);

/// A driver that runs.
#[derive(Debug)]
pub(crate) struct Driver {
    asks: mpsc::Sender<Ask>,
    faults: Faults,
    task: JoinHandle<()>,
}

#[derive(Debug)]
enum Ask {
    Status(oneshot::Sender<Option<EngineStatus>>),
    Stop,
}

/// Where the engine stands, and what its host has counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineStatus {
    /// The height being decided.
    pub height: u64,
    /// The round.
    pub round: u64,
    /// The engine's own word for its state.
    pub state: &'static str,
    /// Whether it waits for others to join a higher round.
    pub waiting: bool,
    /// Who may propose now, if known.
    pub proposer: Option<Address>,
    /// Steps of the engine.
    pub steps: u64,
    /// Messages dropped because a queue was full.
    pub dropped: u64,
    /// Messages that did not decode.
    pub malformed: u64,
    /// Messages that the engine did not use.
    pub rejected: u64,
    /// Signatures that the gate refused.
    pub refused: u64,
}

impl EngineStatus {
    fn new(status: &Status<Klaytn<Proposal>>, counters: &Counters) -> Self {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Self {
            height: status.height.get(),
            round: status.round.get(),
            state: status.state,
            waiting: status.waiting,
            proposer: status.proposer,
            steps: count(&counters.steps),
            dropped: count(&counters.dropped),
            malformed: count(&counters.malformed),
            rejected: count(&counters.rejected),
            refused: count(&counters.refused),
        }
    }
}

impl Driver {
    /// Opens the gate and lets the engine run. With peers it begins when the chain has caught up and enough validators
    /// can be reached.
    pub(crate) async fn start(parts: Parts) -> Result<Self, DriverError> {
        match parts.log.disks(parts.keeper.chain.config().chain_id)? {
            Some(Disks { log, anchor, anchored }) => Self::launch(parts, log, Some(anchor), anchored).await,
            None => Self::launch(parts, no_disk(), None, None).await,
        }
    }

    async fn launch<D: Disk + 'static>(
        parts: Parts,
        disk: D,
        anchor: Option<D>,
        anchored: Option<Slot>,
    ) -> Result<Self, DriverError> {
        let (gate, entries) = open_gate(&parts, disk, anchor, anchored)?;
        let logged = gate.highest_slot().map_or(0, |slot| parts.pace.engine().block_of(slot));
        let Parts { keeper, metrics, evidence, author, votes, pace, network, .. } = parts;
        let me = author.address;
        let app = NodeApp {
            keeper: Arc::clone(&keeper),
            author: Arc::new(author),
            votes,
            build_time: pace.build_time(),
            rest: Arc::default(),
            network: network.clone(),
        };
        let faults = Faults::default();
        let stage = Stage { app, gate, entries, network: network.clone(), metrics, evidence, faults: faults.clone() };
        let (asks, orders) = mpsc::channel(16);
        let heads = keeper.chain.subscribe_heads();
        let task = match network {
            None => {
                let hosted = stage.host(pace).await?;
                tokio::spawn(attend(hosted, keeper, heads, None, orders))
            }
            Some(network) => {
                let faults = faults.clone();
                tokio::spawn(async move {
                    let contacts = network.contacts();
                    let mut orders = orders;
                    tokio::select! {
                        () = ready(&keeper, &network, me, logged) => {}
                        () = stopped(&mut orders) => return,
                    }
                    match begin(stage, pace).await {
                        Ok(hosted) => attend(hosted, keeper, heads, Some(contacts), orders).await,
                        Err(error) => faults.note(EngineFault::Start(error)),
                    }
                })
            }
        };
        Ok(Self { asks, faults, task })
    }

    /// Where the engine stands; `None` while it is not running.
    pub(crate) fn status(&self) -> impl Future<Output = Option<EngineStatus>> + Send + use<> {
        let (answer, status) = oneshot::channel();
        let asks = self.asks.clone();
        async move {
            asks.send(Ask::Status(answer)).await.ok()?;
            status.await.ok().flatten()
        }
    }

    /// Why the engine does nothing any more, though nobody has stopped it.
    pub(crate) fn fault(&self) -> Option<EngineFault> {
        self.faults.first().or_else(|| self.task.is_finished().then_some(EngineFault::Ended))
    }

    /// Stops the engine and waits for it. A block that is being stored is finished.
    pub(crate) async fn stop(self) {
        // A task that has ended needs no telling.
        let _ended = self.asks.send(Ask::Stop).await;
        let _panicked = self.task.await;
    }
}

async fn begin<D: Disk + 'static>(stage: Stage<D>, pace: Pace) -> Result<Box<dyn Hosted>, StartError> {
    tracing::info!(engine = pace.engine().name(), head = stage.app.keeper.chain.head().number(), "consensus begins");
    stage.host(pace).await
}

/// Answers questions until told to stop.
async fn stopped(orders: &mut mpsc::Receiver<Ask>) {
    while let Some(ask) = orders.recv().await {
        match ask {
            Ask::Stop => return,
            Ask::Status(answer) => {
                // Whoever asked may have gone.
                let _gone = answer.send(None).is_err();
            }
        }
    }
}

/// Ends when the chain is as far as the log and as the peers, and enough validators are there.
async fn ready(keeper: &Keeper, network: &Network, me: Address, logged: u64) {
    let mut moved = (keeper.chain.head().number(), Instant::now());
    let mut met = None;
    loop {
        let head = keeper.chain.head().number();
        if head > moved.0 {
            moved = (head, Instant::now());
        }
        let is_behind = network.best_known() > head + 1 && moved.1.elapsed() < BELIEF;
        if head + 1 >= logged && !is_behind && is_company(keeper, network, me, &mut met) {
            return;
        }
        sleep(Duration::from_millis(50)).await;
    }
}

/// Whether a decision could be made with those who can be reached, and nobody is likely to come in the next moment.
fn is_company(keeper: &Keeper, network: &Network, me: Address, met: &mut Option<Instant>) -> bool {
    let Ok(council) = keeper.chain.council_at(keeper.chain.head().number() + 1) else { return false };
    if !council.qualified().contains(me) {
        return true;
    }
    let reachable = network.reachable().iter().filter(|address| council.qualified().contains(**address)).count() + 1;
    if reachable < quorum::live(council.voting_size()) as usize {
        *met = None;
        return false;
    }
    reachable >= council.qualified().len() || met.get_or_insert_with(Instant::now).elapsed() >= MEETING
}

/// Tells the engine what it has to know, until told to stop.
async fn attend(
    hosted: Box<dyn Hosted>,
    keeper: Arc<Keeper>,
    mut heads: broadcast::Receiver<HeadEvent>,
    mut contacts: Option<broadcast::Receiver<Contact>>,
    mut orders: mpsc::Receiver<Ask>,
) {
    let pool: TxPool = keeper.pool.clone();
    // The chain may have moved since the engine was opened.
    hosted.head(keeper.tip());
    loop {
        tokio::select! {
            () = pool.readied() => hosted.demand(),
            event = heads.recv() => match event {
                Ok(event) => hosted.head(keeper.tip_of(&event.block)),
                Err(broadcast::error::RecvError::Lagged(_)) => hosted.head(keeper.tip()),
                Err(broadcast::error::RecvError::Closed) => break,
            },
            contact = next_contact(&mut contacts) => hosted.peer(contact.address, contact.is_up),
            ask = orders.recv() => match ask {
                Some(Ask::Status(answer)) => {
                    let status = hosted.status().await;
                    let status = status.map(|status| EngineStatus::new(&status, hosted.counters()));
                    // Whoever asked may have gone.
                    let _gone = answer.send(status).is_err();
                }
                Some(Ask::Stop) | None => break,
            },
        }
    }
    hosted.stop().await;
}

/// The next validator that comes or goes; never, if there is no network.
async fn next_contact(contacts: &mut Option<broadcast::Receiver<Contact>>) -> Contact {
    loop {
        match contacts {
            Some(contacts) => match contacts.recv().await {
                Ok(contact) => return contact,
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
            },
            None => std::future::pending().await,
        }
    }
}
