//! Who is connected, and what is known of them.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Instant,
};

use klay_core::Address;
use libp2p::PeerId;
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::{
    Role, gossip,
    inbound::Inbound,
    outbox::Outbox,
    recent::Recent,
    score::{Allowance, Misdeed, Score},
    transport,
    wire::{MAX_SPOKEN, Status},
};

/// Hashes of transactions that a peer is known to have.
const KNOWN: usize = 32_768;
/// Blocks of one peer that are put together at the same time; more are dropped.
const ASSEMBLING: usize = 3;
/// KiB of consensus messages of one peer that the host has not taken yet, each with [`LETTER`] added: the longest, or some
/// 250 votes.
const UNHEARD: usize = 16 << 10;
/// What a consensus message takes beside its length, in KiB.
pub(super) const LETTER: usize = 64;
/// Consensus messages that wait for one peer, and the bytes of long ones.
const SPOKEN: (usize, usize) = (256, 2 * MAX_SPOKEN);
/// How often the engine hears that one validator is there, a second, and at once: each time it says again all that it
/// has said.
const MEETINGS: (f64, f64) = (1.0, 1.0);
/// Frames of gossip that wait for one peer, and their bytes.
const GOSSIP: (usize, usize) = (1_024, 8 << 20);

/// A connection to one peer.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) id: PeerId,
    /// The address of its key: a validator's, if it is one.
    pub(super) address: Address,
    /// What it said of itself, once it has.
    pub(super) status: Mutex<Option<Status>>,
    /// Height of its newest block, as far as it has said.
    pub(super) head: AtomicU64,
    pub(super) gossip: Outbox,
    pub(super) spoken: Outbox,
    /// Whether consensus messages can be sent.
    pub(super) speaks: AtomicBool,
    /// Whether the engine has heard that it is there.
    pub(super) is_met: AtomicBool,
    /// Transactions that it has.
    pub(super) known: Mutex<Recent>,
    /// Blocks of it that are put together at the same time.
    pub(super) assembling: Arc<Semaphore>,
    /// Room for consensus messages that the host has not taken yet, of this peer alone.
    pub(super) unheard: Arc<Semaphore>,
    /// What is read of each kind; bytes of news are not counted.
    pub(super) news: Inbound,
    pub(super) speech: Inbound,
    start: Instant,
    pub(super) closed: CancellationToken,
}

impl Session {
    fn new(id: PeerId, address: Address) -> Self {
        Self {
            id,
            address,
            status: Mutex::default(),
            head: AtomicU64::new(0),
            gossip: Outbox::new(GOSSIP.0, GOSSIP.1),
            spoken: Outbox::new(SPOKEN.0, SPOKEN.1),
            speaks: AtomicBool::new(false),
            is_met: AtomicBool::new(false),
            known: Mutex::new(Recent::new(KNOWN)),
            assembling: Arc::new(Semaphore::new(ASSEMBLING)),
            unheard: Arc::new(Semaphore::new(UNHEARD)),
            news: Inbound::new(gossip::RATE, (0.0, 0.0)),
            speech: Inbound::new(transport::RATE, transport::BYTES),
            start: Instant::now(),
            closed: CancellationToken::new(),
        }
    }

    /// Its role, once it has greeted.
    pub(super) fn role(&self) -> Option<Role> {
        self.status.lock().as_ref().map(|status| status.role)
    }

    /// Seconds since it began.
    pub(super) fn now(&self) -> f64 {
        self.start.elapsed().as_secs_f64()
    }

    /// Notes how far it is.
    pub(super) fn saw_head(&self, number: u64) {
        self.head.fetch_max(number, Ordering::Relaxed);
    }

    pub(super) fn head(&self) -> u64 {
        self.head.load(Ordering::Relaxed)
    }
}

/// What the word of a peer is worth: a height costs nothing to say.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Word {
    /// How often it was broken since it was kept.
    broken: u32,
    /// In seconds of the node.
    doubted_until: f64,
}

impl Word {
    /// Seconds of doubt the first time; twice as many each further time.
    const DOUBT: f64 = 10.0;
    /// The longest doubt is 2^8 times the first one, some 43 minutes.
    const LONGEST: u32 = 8;
    /// Once may be an accident. What was broken so often without being kept in between says nothing any more.
    const DISPROVED: u32 = 3;

    fn broken(&mut self, now: f64) {
        if now < self.doubted_until {
            // Asked before that was known.
            return;
        }
        self.doubted_until = now + Self::DOUBT * f64::from(1_u32 << self.broken.min(Self::LONGEST));
        self.broken = self.broken.saturating_add(1);
    }
}

/// Words that were broken, of how many peers: those of longest doubt.
const WORDS: usize = 1_024;

/// Whose word is not good, also of those who have left: whoever could clear himself by coming back would do so.
#[derive(Debug, Default)]
struct Words(HashMap<PeerId, Word>);

impl Words {
    fn of(&self, id: &PeerId) -> Word {
        self.0.get(id).copied().unwrap_or_default()
    }

    fn kept(&mut self, id: &PeerId) {
        self.0.remove(id);
    }

    fn broken(&mut self, id: PeerId, now: f64) {
        if self.0.len() >= WORDS && !self.0.contains_key(&id) {
            let until = |word: &Word| word.doubted_until;
            let least = self.0.iter().min_by(|a, b| until(a.1).total_cmp(&until(b.1))).map(|(id, _)| *id);
            least.and_then(|least| self.0.remove(&least));
        }
        self.0.entry(id).or_default().broken(now);
    }
}

/// All sessions, and who is cut off.
#[derive(Debug)]
pub(super) struct Peers {
    sessions: Mutex<HashMap<PeerId, Arc<Session>>>,
    records: Mutex<HashMap<PeerId, Record>>,
    words: Mutex<Words>,
    /// How often the engine may hear of a validator, however often it connects.
    meetings: Mutex<HashMap<Address, Allowance>>,
    start: Instant,
    /// Misdeeds counted by kind, for metrics.
    pub(super) misdeeds: Mutex<BTreeMap<Misdeed, u64>>,
}

/// What is remembered of a peer beyond its connections.
#[derive(Debug, Clone, Copy, Default)]
struct Record {
    score: Score,
    banned_until: u64,
}

/// Peers that are remembered.
const RECORDS: usize = 4_096;

impl Peers {
    pub(super) fn new() -> Self {
        Self {
            sessions: Mutex::default(),
            records: Mutex::default(),
            words: Mutex::default(),
            meetings: Mutex::default(),
            start: Instant::now(),
            misdeeds: Mutex::default(),
        }
    }

    fn now(&self) -> u64 {
        self.start.elapsed().as_secs()
    }

    /// The session with a peer; `true` if it is new.
    pub(super) fn open(&self, id: PeerId, address: Address) -> (Arc<Session>, bool) {
        let mut sessions = self.sessions.lock();
        if let Some(session) = sessions.get(&id) {
            return (Arc::clone(session), false);
        }
        let session = Arc::new(Session::new(id, address));
        sessions.insert(id, Arc::clone(&session));
        (session, true)
    }

    /// Ends a session.
    pub(super) fn close(&self, id: &PeerId) -> Option<Arc<Session>> {
        let session = self.sessions.lock().remove(id)?;
        session.closed.cancel();
        Some(session)
    }

    pub(super) fn len(&self) -> usize {
        self.sessions.lock().len()
    }

    pub(super) fn is_connected(&self, id: &PeerId) -> bool {
        self.sessions.lock().contains_key(id)
    }

    /// Everybody with a session.
    pub(super) fn ids(&self) -> Vec<PeerId> {
        self.sessions.lock().keys().copied().collect()
    }

    /// Everybody who has greeted.
    pub(super) fn greeted(&self) -> Vec<Arc<Session>> {
        let mut greeted: Vec<_> = self.sessions.lock().values().filter(|s| s.role().is_some()).cloned().collect();
        greeted.sort_by_key(|session| session.id);
        greeted
    }

    /// The session of a validator.
    pub(super) fn validator(&self, address: Address) -> Option<Arc<Session>> {
        self.sessions.lock().values().find(|s| s.address == address && s.role() == Some(Role::Consensus)).cloned()
    }

    /// Whether the engine may hear of a validator again. Of others this is not asked: who has ever been in a council is
    /// remembered.
    pub(super) fn may_meet(&self, validator: Address) -> bool {
        let mut meetings = self.meetings.lock();
        let allowance = meetings.entry(validator).or_insert_with(|| Allowance::new(MEETINGS.0, MEETINGS.1));
        allowance.take(self.start.elapsed().as_secs_f64())
    }

    /// A peer has sent blocks that it spoke of.
    pub(super) fn kept_its_word(&self, id: &PeerId) {
        self.words.lock().kept(id);
    }

    /// A peer spoke of blocks and did not send them.
    pub(super) fn broke_its_word(&self, id: PeerId) {
        let now = self.start.elapsed().as_secs_f64();
        self.words.lock().broken(id, now);
    }

    /// Breaks the word of a peer until nobody listens to it.
    #[cfg(test)]
    pub(super) fn disprove(&self, id: PeerId) {
        let mut words = self.words.lock();
        for _ in 0..Word::DISPROVED {
            let now = words.of(&id).doubted_until;
            words.broken(id, now);
        }
    }

    /// How often a peer has broken its word lately: zero if its doubt is over.
    pub(super) fn doubt(&self, id: &PeerId) -> u32 {
        let word = self.words.lock().of(id);
        if word.doubted_until > self.start.elapsed().as_secs_f64() { word.broken } else { 0 }
    }

    /// The highest block that somebody speaks of whose word is good.
    pub(super) fn best(&self) -> Option<u64> {
        self.greeted().iter().filter(|session| self.doubt(&session.id) == 0).map(|session| session.head()).max()
    }

    /// The highest block that one of these speaks of whose word may be good: it was not broken again and again. If there
    /// is nobody like that and `or_anybody`, of all: better a doubtful word than none.
    pub(super) fn claimed(&self, of: &[Arc<Session>], or_anybody: bool) -> Option<u64> {
        let words = self.words.lock();
        let may_be_good = |session: &&Arc<Session>| words.of(&session.id).broken < Word::DISPROVED;
        let best = of.iter().filter(may_be_good).map(|session| session.head()).max();
        let anybody = || of.iter().map(|session| session.head()).max();
        best.or_else(|| if or_anybody { anybody() } else { None })
    }

    /// Counts a misdeed; whether the peer is to be cut off now.
    pub(super) fn blame(&self, id: &PeerId, misdeed: Misdeed) -> bool {
        *self.misdeeds.lock().entry(misdeed).or_default() += 1;
        let now = self.now();
        let mut records = self.records.lock();
        if records.len() >= RECORDS && !records.contains_key(id) {
            records.retain(|_, record| record.banned_until > now);
            if records.len() >= RECORDS {
                // Too many are cut off: the one that may come back first is let in.
                let first = records.iter().min_by_key(|(_, record)| record.banned_until).map(|(id, _)| *id);
                first.and_then(|first| records.remove(&first));
            }
        }
        let record = records.entry(*id).or_default();
        let is_over = record.score.add(misdeed, now);
        if is_over {
            *record = Record { score: Score::default(), banned_until: now + Misdeed::BAN.as_secs() };
        }
        is_over
    }

    /// Whether a peer is cut off.
    pub(super) fn is_banned(&self, id: &PeerId) -> bool {
        self.records.lock().get(id).is_some_and(|record| record.banned_until > self.now())
    }

    /// How many are cut off.
    pub(super) fn banned(&self) -> usize {
        let now = self.now();
        self.records.lock().values().filter(|record| record.banned_until > now).count()
    }
}

#[cfg(test)]
mod tests {
    use libp2p::PeerId;

    use super::{Misdeed, Peers, RECORDS, WORDS, Word, Words};

    #[test]
    fn doubt_grows_with_every_broken_word() {
        let mut word = Word::default();
        let mut doubts = Vec::new();
        for _ in 0..12 {
            let now = word.doubted_until;
            word.broken(now);
            // Once for all that it was asked for at the same time.
            word.broken(now + 1.0);
            doubts.push(word.doubted_until - now);
        }
        assert_eq!(doubts[..4], [10.0, 20.0, 40.0, 80.0]);
        assert_eq!(doubts[8..], [2_560.0; 4]);
    }

    #[test]
    fn the_longest_doubts_are_kept() {
        let (mut words, worst) = (Words::default(), PeerId::random());
        words.broken(worst, 0.0);
        words.broken(worst, Word::DOUBT);
        for n in 0..2 * WORDS {
            words.broken(PeerId::random(), n as f64 / (2 * WORDS) as f64);
        }
        assert_eq!(words.0.len(), WORDS);
        assert_eq!(words.of(&worst).broken, 2);
        words.kept(&worst);
        assert_eq!(words.of(&worst), Word::default());
    }

    #[test]
    fn no_more_than_so_many_are_cut_off() {
        let peers = Peers::new();
        for _ in 0..RECORDS + 9 {
            assert!(peers.blame(&PeerId::random(), Misdeed::Garbage));
        }
        assert_eq!(peers.banned(), RECORDS);
    }
}
