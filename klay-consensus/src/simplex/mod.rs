//! Simplex: two message delays to the next block, three to a final one.
//!
//! Time is cut into views, each with a leader. A view ends with a certificate: a quorum has notarized the leader's
//! value, or a quorum has given up on it. Either one leads everybody who hears it into the next view, so there is no
//! message for changing views and nothing to lock. What was notarized may be built upon at once; whoever has not given
//! up on a view then says that its value is final.
//!
//! | Id | Rule |
//! |---|---|
//! | SX-1 | the leader of a view extends the notarized value of the highest view from which every view since is nullified |
//! | SX-2 | the first valid proposal of a view is answered by one notarize vote |
//! | SX-3 | a quorum of notarize votes leads into the next view; who has not nullified the view says finalize |
//! | SX-4 | no proposal within 2Δ, no certificate within 3Δ, or an invalid proposal: nullify, never after finalize |
//! | SX-5 | a quorum of nullify votes leads into the next view |
//! | SX-6 | a quorum of finalize votes makes a value and its ancestors final |
//! | SX-7 | certificates stand alone: who hears one of a later view follows |
//! | SX-8 | what is missing below is asked for, from whoever knows of it, then from one after the other |
//! | SX-9 | while a view lasts, its votes and the certificate that led into it are sent again |
//! | SX-10 | after a restart nothing is proposed, notarized or finalized in the last view entered |
//! | SX-11 | heights are cut into epochs with one set of validators each; nothing is built on the last value of an epoch, or on one with many others above the applied ones, before it is final; it is proposed again until then |
//!
//! # Why no two values of one height become final
//! An honest node notarizes one value a view, so two quorums, which share an honest node, never notarize two values of
//! one view. A value final in view v has a quorum that has not nullified v, so v is never nullified; every later proposal
//! needs v notarized below it or nullified, hence extends that value.
//!
//! # Proofs that a header can carry
//! A finalize vote signs, in words that fit a Klaytn header, the value and each ancestor that is not proven final. So
//! every decided header gets a quorum of committed seals of its own, see [`decision_holds`].
//!
//! For own chains. An application must be able to build on values that it has checked and not applied yet; one that
//! cannot sets [`SimplexConfig::pipelined`] to false and pays one more delay per block.
//!
//! Source: chapter 50, section 5.6 (b); Chan and Pass, Simplex Consensus (eprint 2023/463).

mod config;
mod evidence;
mod message;
mod proof;
mod record;
mod speech;
mod sync;
mod tree;
mod values;
mod views;
mod votes;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use alloy_primitives::{Address, B256};

pub use config::{Delta, SimplexConfig};
pub use evidence::check_evidence;
pub use message::{Certificate, Kind, SignedVote, SimplexCodec, SimplexMessage, Vote, final_digest};
pub use proof::{certificate_holds, decision_holds, proposed_in, sealed_views};
pub use record::SimplexRecord;
pub use views::{before_epoch, place_of};

use self::{
    speech::Finalizing,
    sync::Lacking,
    tree::{Missing, Place, Tree},
    views::{EPOCH_BITS, Session},
};
use crate::{
    istanbul::{
        Klaytn, WireValue,
        seal::{self, Seal},
    },
    types::{
        ApplyError, Class, Committee, Delays, Detail, Domain, Effect, Effects, Engine, Evidence, Floor, Height, Input,
        Lsn, Misbehaviour, Refuse, Rejected, Round, SignRefused, Slot, Status, Ticket, Time, TimerId, Validate,
        Verdict, View,
    },
};

const LEADER_TIMER: TimerId = TimerId::new(1);
const PROGRESS_TIMER: TimerId = TimerId::new(2);
pub(crate) const REPEAT_TIMER: TimerId = TimerId::new(3);
const PROPOSE_TIMER: TimerId = TimerId::new(4);
const RETRY_TIMER: TimerId = TimerId::new(5);
pub(crate) const ASK_TIMER: TimerId = TimerId::new(6);
const REPROPOSE_TIMER: TimerId = TimerId::new(7);

/// Views ahead of ours whose votes are kept.
const AHEAD: u64 = 16;
/// Views that a proposal may pass over, and views back from ours whose votes are kept at most.
const PASSED_OVER: u64 = 4096;
/// Values that one validator may seal in a view: one and its ancestors, twice over.
const SEALED: usize = 2 * (speech::ANCESTORS + 1);
/// Certificates in one message.
const CERTIFICATES: usize = 64;
/// Values asked for at a time.
const VALUES_ASKED: usize = 4;

type Fx<V> = Effects<Klaytn<V>, SimplexMessage<V>, SimplexRecord>;

/// The time of a step and where its effects go.
struct Cx<'a, V: WireValue> {
    now: Time,
    fx: &'a mut Fx<V>,
}

impl<V: WireValue> Cx<'_, V> {
    fn trace(&mut self, rule: &'static str, view: Slot) {
        self.fx.push(Effect::Trace(rule, Detail { view: Some(View::first(view)), count: None }));
    }

    fn push(&mut self, effect: Effect<Klaytn<V>, SimplexMessage<V>, SimplexRecord>) {
        self.fx.push(effect);
    }
}

/// The votes of one view, the first one of each sender and kind.
#[derive(Debug, Clone, Default)]
struct Tally {
    proposal: Option<SignedVote>,
    notarize: BTreeMap<Address, SignedVote>,
    nullify: BTreeMap<Address, SignedVote>,
    finalize: BTreeMap<Address, SignedVote>,
    /// Finalize seals by value, ancestors included.
    seals: BTreeMap<B256, BTreeMap<Address, Seal>>,
}

impl Tally {
    /// Adds the seals of a finalize vote; whether one was new. Each counts for its own value, whatever the sender is known
    /// to have sealed before: anybody can pass on an ancestor's seal as a vote of its own, or a vote without ancestors.
    fn add_seals(&mut self, from: Address, seals: impl IntoIterator<Item = (B256, Seal)>) -> bool {
        let mut known = self.seals.values().filter(|seals| seals.contains_key(&from)).count();
        let mut news = false;
        for (id, seal) in seals {
            let is_known = self.seals.get(&id).is_some_and(|seals| seals.contains_key(&from));
            if !is_known && known < SEALED {
                self.seals.entry(id).or_default().insert(from, seal);
                (known, news) = (known + 1, true);
            }
        }
        news
    }
}

/// What waits for a signature.
#[derive(Debug, Clone)]
enum Unsigned<V> {
    /// The proposer's seal inside a value.
    Value { view: Slot, value: V, place: Place },
    /// A proposal.
    Proposal { vote: Vote, value: V, place: Place },
    /// A notarize or nullify vote.
    Vote(Vote),
}

/// A proposal that is looked at.
#[derive(Debug, Clone)]
struct Candidate<V> {
    signed: SignedVote,
    value: V,
    parent: Option<Certificate>,
}

/// The engine. See [its rules](crate::simplex).
#[derive(Debug, Clone)]
pub struct Simplex<V: WireValue> {
    config: SimplexConfig<V>,
    floor: Floor<Klaytn<V>>,
    tree: Tree<V>,
    /// Highest height handed out as decided.
    decided: Height,
    view: Slot,
    session: Session,
    committee: Option<Arc<Committee<Address>>>,
    tallies: BTreeMap<Slot, Tally>,
    /// The proposal of this view that waits for something it rests on.
    pending: Option<Candidate<V>>,
    /// The proposal of this view that the application looks at.
    checking: Option<Candidate<V>>,
    /// Values that the application has accepted. A name covers a header and no transactions: what came under it from
    /// elsewhere is another value, and is not kept.
    checked: BTreeSet<B256>,
    /// Who gave us a value that nobody has looked at.
    given: BTreeMap<B256, Address>,
    /// Whose values were refused since the last one was applied.
    distrusted: BTreeSet<Address>,
    /// A value of others that is looked at before we propose it again.
    vetting: Option<B256>,
    /// Where a value that is being built belongs.
    building: Option<Place>,
    unsigned: BTreeMap<Ticket, Unsigned<V>>,
    finalizing: Vec<Finalizing>,
    /// Our votes of this view and the finalize vote of the one before, to be sent again.
    spoken: Vec<SimplexMessage<V>>,
    /// Who was answered how often since when.
    answered: BTreeMap<Address, (Time, u32)>,
    lacking: Lacking,
    /// The last certificate's place in the log.
    written: Option<Lsn>,
    /// Whom to ask next.
    turn: usize,
    timers: BTreeMap<TimerId, Time>,
    restored: Option<Slot>,
    started: bool,
    stopped: bool,
}

impl<V: WireValue> Engine<Klaytn<V>> for Simplex<V> {
    type Msg = SimplexMessage<V>;
    type Record = SimplexRecord;
    type Config = SimplexConfig<V>;

    const NAME: &'static str = "simplex";
    const DELAYS: Delays = Delays { block: 2, finality: 3 };

    fn open(config: SimplexConfig<V>, floor: Floor<Klaytn<V>>, log: Vec<SimplexRecord>) -> Result<Self, Refuse> {
        config.validate()?;
        let mut engine = Self::new(config, floor);
        engine.restore(log);
        Ok(engine)
    }

    fn step(&mut self, now: Time, input: Input<Klaytn<V>, SimplexMessage<V>>, fx: &mut Fx<V>) {
        if self.stopped {
            return;
        }
        let cx = &mut Cx { now, fx };
        match input {
            Input::Start => self.start(cx),
            Input::Message { from, msg, checked } => self.receive(cx, from, msg, checked),
            Input::Timer(id) => self.timer(cx, id),
            Input::Built { slot, value } => self.built(cx, slot, value),
            Input::Verdict { slot, id, verdict } => self.verdict(cx, slot, id, verdict),
            Input::Signed { ticket, result } => self.signed(cx, ticket, result),
            Input::Head { floor } => self.head(cx, floor),
            Input::Sets { .. } => {
                if self.started && self.committee.is_none() {
                    self.enter(cx, self.view);
                }
            }
            Input::Peer { peer, up: true } => self.greet(cx, peer),
            Input::Stop => self.stopped = true,
            Input::Applied { id, result: Err(error) } => {
                if error == ApplyError::Invalid {
                    self.refuse(cx, id);
                }
                self.hand_out_again(cx);
            }
            Input::Applied { .. } | Input::Durable(_) | Input::Demand | Input::Peer { up: false, .. } => {}
        }
    }

    fn deadline(&self) -> Option<Time> {
        self.timers.values().min().copied()
    }

    fn status(&self) -> Status<Klaytn<V>> {
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let tally = self.tallies.get(&self.view);
        let votes = |of: fn(&Tally) -> &BTreeMap<Address, SignedVote>| count(tally.map_or(0, |t| of(t).len()));
        Status {
            height: self.decided.saturating_add(1),
            round: Round::new(self.view.get() & ((1 << EPOCH_BITS) - 1)),
            state: if self.session.nullified {
                "nullified"
            } else if self.session.notarized {
                "notarized"
            } else {
                "new"
            },
            waiting: self.session.nullified,
            proposer: self.committee.as_ref().map(|c| c.proposer),
            proposal: tally.and_then(|t| t.proposal.as_ref()).map(|signed| signed.vote.id),
            lock: None,
            vote1: votes(|t| &t.notarize),
            vote2: votes(|t| &t.finalize),
            skips: votes(|t| &t.nullify),
            backlog: count(self.tree.kept() + self.tallies.len()),
        }
    }
}

impl<V: WireValue> Simplex<V> {
    fn new(config: SimplexConfig<V>, floor: Floor<Klaytn<V>>) -> Self {
        let mut engine = Self {
            tree: Tree::new(floor.height, floor.id),
            decided: floor.height,
            view: Slot::ZERO,
            session: Session::default(),
            committee: None,
            tallies: BTreeMap::new(),
            pending: None,
            checking: None,
            checked: BTreeSet::new(),
            given: BTreeMap::new(),
            distrusted: BTreeSet::new(),
            vetting: None,
            building: None,
            unsigned: BTreeMap::new(),
            finalizing: Vec::new(),
            spoken: Vec::new(),
            answered: BTreeMap::new(),
            lacking: Lacking::default(),
            written: None,
            turn: 0,
            timers: BTreeMap::new(),
            restored: None,
            started: false,
            stopped: false,
            config,
            floor,
        };
        engine.view = engine.first_view(engine.epoch_of(engine.floor.next_height()));
        engine
    }

    /// Records of views that the chain has left behind do no harm, as certificates stand for themselves.
    fn restore(&mut self, log: Vec<SimplexRecord>) {
        for record in log {
            match record {
                SimplexRecord::Entered { view } => self.restored = self.restored.max(Some(view)),
                SimplexRecord::Certified(certificate) => {
                    if self.is_certificate(&certificate) {
                        self.tree.add(certificate);
                    }
                }
                SimplexRecord::Value { value, .. } => {
                    let mut reader = klay_core::codec::Reader::new(&value);
                    // A value that does not decode any more is asked for again when it is needed.
                    if let Ok(value) = V::decode(&mut reader) {
                        self.keep_checked(value, Time::ZERO);
                    }
                }
            }
        }
    }

    /// Puts what no rule reads any more out of the way, so that states which will do the same are equal: votes of views
    /// that are over, how often others were answered (they cannot ask too often here), who gave which value (none is refused
    /// here), places in the log; and what is
    /// said again, if no timer fires any more. Certificates are put in one form by `plain`.
    #[cfg(feature = "simulate")]
    pub(crate) fn forget(&mut self, quiet: bool, plain: impl Fn(&mut Certificate)) {
        let view = self.view;
        self.tallies.retain(|of, tally| {
            if *of < view {
                tally.proposal = None;
                tally.notarize.clear();
                tally.nullify.clear();
            }
            *of >= view || !tally.finalize.is_empty()
        });
        self.answered.clear();
        self.given.clear();
        self.written = None;
        if quiet {
            self.spoken.clear();
        }
        self.pending.iter_mut().chain(&mut self.checking).filter_map(|c| c.parent.as_mut()).for_each(&plain);
        self.tree.certificates().for_each(plain);
    }

    /// Puts out of the way what was asked, of whom, and what will be asked next. That decides only who is asked, and
    /// when.
    #[cfg(feature = "simulate")]
    pub(crate) fn forget_questions(&mut self) {
        self.lacking = Lacking::default();
        self.turn = 0;
        self.timers.remove(&ASK_TIMER);
    }

    /// Puts the votes of others out of the way that are kept until there is a quorum.
    #[cfg(feature = "simulate")]
    pub(crate) fn forget_votes(&mut self) {
        let me = self.config.me;
        self.tallies.retain(|_, tally| {
            for votes in [&mut tally.notarize, &mut tally.nullify, &mut tally.finalize] {
                votes.retain(|from, _| *from == me);
            }
            tally.seals.values_mut().for_each(|seals| seals.retain(|from, _| *from == me));
            tally.seals.retain(|_, seals| !seals.is_empty());
            let votes = [&tally.notarize, &tally.nullify, &tally.finalize];
            tally.proposal.is_some() || votes.iter().any(|votes| !votes.is_empty())
        });
    }

    /// Every answer that this node can give now, to whatever question and to votes of whatever old view.
    #[cfg(feature = "simulate")]
    pub(crate) fn answers(&self) -> Vec<SimplexMessage<V>> {
        let values = self.tree.values().cloned().map(SimplexMessage::Value);
        let lists = self.tree.lists(CERTIFICATES).into_iter().chain(self.tree.proofs(VALUES_ASKED));
        values.chain(lists.map(SimplexMessage::Certificates)).collect()
    }

    fn is_leader(&self) -> bool {
        self.committee.as_ref().is_some_and(|c| c.proposer == self.config.me)
    }

    fn is_member(&self) -> bool {
        self.committee.as_ref().is_some_and(|c| c.is_member(self.config.me))
    }

    fn set_timer(&mut self, cx: &mut Cx<'_, V>, id: TimerId, at: Time) {
        self.timers.insert(id, at);
        cx.push(Effect::SetTimer { id, at });
    }

    fn cancel(&mut self, cx: &mut Cx<'_, V>, id: TimerId) {
        if self.timers.remove(&id).is_some() {
            cx.push(Effect::Cancel(id));
        }
    }

    fn report(&self, cx: &mut Cx<'_, V>, kind: Misbehaviour, proof: [&SignedVote; 2]) {
        let view = proof[0].vote.view;
        let encode = |signed: &SignedVote| {
            // Ancestors have no part in the contradiction.
            let bare = SignedVote { ancestors: Vec::new(), ..signed.clone() };
            let mut bytes = Vec::new();
            SimplexMessage::<V>::Vote(bare).encode(&mut bytes);
            bytes
        };
        cx.push(Effect::Evidence(Evidence {
            kind,
            offender: proof[0].from,
            height: self.height_of_epoch(self.epoch_of_view(view)),
            view: View::first(view),
            proof: proof.map(encode).into(),
        }));
    }
}
