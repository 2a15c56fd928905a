//! What validators commit is importable, and what is importable was committed: quorums, seals and headers of any
//! committee, with votes and seals that are damaged, doubled, a stranger's, of another block or another round.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, OnceLock},
};

use alloy_primitives::{Address, B256, Bytes, U256};
use klay_consensus::{
    istanbul::{
        Body, CommittedSeals, HeaderValue as _, Istanbul, IstanbulConfig, Message, Preprepare, Subject,
        import::{HeaderContext, HeaderError, HeaderSigners, Verified, Warning, verify_header, verify_recovered},
        justified::{
            Justified, JustifiedConfig, JustifiedMessage, Kind, SignedVote, Vote, decision_holds, seal_digest,
        },
        seal::{self, Authors, Recover, Seal},
    },
    types::{
        Committee, Committees, Domain, Effect, Effects, Engine, Floor, Height, Input, NotYet, Round, Slot, Time,
        Value as _, Verdict, View, WallTime, quorum,
    },
    valset::AddressSet,
};
use klay_core::{
    Rules,
    block::{ExtraView, Header},
    config::{BlobConfig, Kip71Config},
    crypto::SECP256K1_N,
};
use proptest::{
    collection::vec,
    prelude::*,
    sample::{Index, select},
};

use crate::common::{Chain, Key, Signer, TestBlock, signer};

/// Largest council.
const MOST: usize = 24;
/// Keys of the council and of strangers. The first one proposes every block.
const KEYS: usize = MOST + 4;
/// Rounds in which justified rounds commit.
const ROUNDS: usize = 3;

/// What costs time to make: keys, two blocks of one height, all seals over them.
struct Made {
    addresses: Vec<Address>,
    parent: Header,
    blocks: [TestBlock; 2],
    /// By block, then by key.
    seals: [Vec<Seal>; 2],
    /// The same for each round.
    round_seals: Vec<[Vec<Seal>; 2]>,
}

fn made() -> &'static Made {
    static MADE: OnceLock<Made> = OnceLock::new();
    MADE.get_or_init(|| {
        let signers: Vec<_> = (1..=KEYS as u64).map(signer).collect();
        let sign = |signer: &Signer, digest: B256| -> Seal {
            klay_consensus::types::Signer::<Chain>::sign(signer, Domain::CommittedSeal, digest.0).unwrap()
        };
        let parent = TestBlock::new(9, B256::ZERO, 1, seal::new_extra(b"", vec![])).header;
        let blocks = [2, 3].map(|content| {
            let block = TestBlock::new(10, parent.hash(), content, seal::new_extra(b"", vec![]));
            let sealed = sign(&signers[0], seal::proposer_digest(&block.header));
            let extra = seal::with_seal(&block.header.extra, &sealed).unwrap();
            block.with_extra(extra)
        });
        let over = |digest: &dyn Fn(B256) -> B256| {
            [0, 1].map(|i| signers.iter().map(|signer| sign(signer, digest(blocks[i].id()))).collect::<Vec<_>>())
        };
        let seals = over(&seal::committed_digest);
        let round_seals = (0..ROUNDS as u64).map(|round| over(&|id| seal_digest(id, Round::new(round)))).collect();
        let addresses = signers.iter().map(Signer::address).collect();
        Made { addresses, parent, blocks, seals, round_seals }
    })
}

/// As [`Recover`], but everything is found out once. Keyed by all that the answer depends on.
#[derive(Debug)]
struct Memory;

impl Authors for Memory {
    fn author(&self, digest: B256, seal: &Seal) -> Option<Address> {
        thread_local!(static KNOWN: RefCell<HashMap<(B256, Seal), Option<Address>>> = RefCell::default());
        KNOWN.with_borrow_mut(|known| *known.entry((digest, *seal)).or_insert_with(|| Recover.author(digest, seal)))
    }
}

/// How a seal is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    /// As it should be.
    Well,
    /// The other of the two signatures that are the same signer's over the same bytes.
    Mirrored,
    /// Over another block of the same height.
    OtherBlock,
    /// One bit is changed.
    Flipped(u16),
}

impl How {
    const fn is_good(self) -> bool {
        matches!(self, Self::Well | Self::Mirrored)
    }

    fn make(self, seals: &[Vec<Seal>; 2], key: usize) -> Seal {
        let mut seal = seals[usize::from(self == Self::OtherBlock)][key];
        match self {
            Self::Well | Self::OtherBlock => {}
            Self::Mirrored => {
                let s = SECP256K1_N - U256::from_be_slice(&seal[32..64]);
                seal[32..64].copy_from_slice(&s.to_be_bytes::<32>());
                seal[64] ^= 1;
            }
            Self::Flipped(bit) => seal[usize::from(bit) / 8] ^= 1 << (bit % 8),
        }
        seal
    }
}

/// Somebody's vote to commit the first block.
#[derive(Debug, Clone, Copy)]
struct Said {
    key: usize,
    how: How,
    round: usize,
}

/// A council, who of it votes, and what is said.
#[derive(Debug, Clone)]
struct Case {
    council: usize,
    /// Those of the council with too little at stake, never the first one.
    demoted: BTreeSet<usize>,
    committee: Vec<usize>,
    committee_size: u64,
    round: usize,
    said: Vec<Said>,
}

fn any_how() -> impl Strategy<Value = How> {
    prop_oneof![
        30 => Just(How::Well),
        3 => Just(How::Mirrored),
        1 => Just(How::OtherBlock),
        1 => (0..520u16).prop_map(How::Flipped),
    ]
}

/// Some of the council first, about as many as decide, then a few that may be anything.
fn any_case() -> impl Strategy<Value = Case> {
    let council = (1..=MOST).prop_flat_map(|council| {
        let order = || Just((0..council).collect::<Vec<_>>()).prop_shuffle();
        let demoted = prop_oneof![3 => Just(0), 1 => 0..council];
        let size = prop_oneof![3 => Just(MOST), 1 => 1..=council];
        (Just(council), order(), order(), demoted, size)
    });
    let noise = vec((0..KEYS, any_how(), 0..ROUNDS, any::<Index>()), 0..4);
    let near = -2..4isize;
    (council, near, 0..ROUNDS, noise, vec(any_how(), MOST), prop_oneof![4 => Just(true), 1 => Just(false)]).prop_map(
        |((council, order, speakers, demoted, size), near, round, noise, hows, clean)| {
            let demoted: BTreeSet<_> = order.iter().copied().filter(|key| *key != 0).take(demoted).collect();
            let mut committee: Vec<_> = (0..council).filter(|key| !demoted.contains(key)).collect();
            committee.truncate(size);
            let few = quorum::import(committee.len() as u32) as usize;
            let count = few.saturating_add_signed(near).min(council);
            let how = |key: usize| if clean { How::Well } else { hows[key] };
            let mut said: Vec<_> =
                speakers.into_iter().take(count).map(|key| Said { key, how: how(key), round }).collect();
            for (key, how, round, at) in noise.into_iter().filter(|_| !clean) {
                said.insert(at.index(said.len() + 1), Said { key, how, round });
            }
            Case { council, demoted, committee, committee_size: size as u64, round, said }
        },
    )
}

#[derive(Debug)]
struct Sitting(Arc<Committee<Address>>);

impl Committees<Chain> for Sitting {
    fn at(&self, _height: Height, _round: Round) -> Result<Arc<Committee<Address>>, NotYet> {
        Ok(Arc::clone(&self.0))
    }
}

impl Case {
    fn addresses(&self, keys: impl IntoIterator<Item = usize>) -> Vec<Address> {
        keys.into_iter().map(|key| made().addresses[key]).collect()
    }

    fn committee(&self) -> Committee<Address> {
        let members = self.addresses(self.committee.iter().copied());
        let qualified = (0..self.council).filter(|key| !self.demoted.contains(key));
        Committee::new(members, made().addresses[0]).with_senders(self.addresses(qualified))
    }

    fn live(&self) -> usize {
        quorum::live(self.committee.len() as u32) as usize
    }

    /// Whether everybody votes, so that import and commit count the same people.
    fn is_whole(&self) -> bool {
        self.committee.len() == self.council
    }

    fn floor() -> Floor<Chain> {
        Floor { height: Height::new(9), id: made().parent.hash(), next_at: Time::ZERO }
    }

    /// What Istanbul decides when it hears this in a round, at a node that does not vote.
    fn istanbul(&self, said: &[Said]) -> Option<CommittedSeals> {
        let Made { addresses, blocks, seals, .. } = made();
        let config = IstanbulConfig {
            authors: Arc::new(Memory),
            ..IstanbulConfig::new(Key::new(99).address(), Arc::new(Sitting(Arc::new(self.committee()))))
        };
        let mut engine = Istanbul::open(config, Self::floor(), vec![]).unwrap();
        let mut fx = Effects::new(Default::default());
        let mut decided = None;
        let mut step = |input| {
            engine.step(Time::ZERO, input, &mut fx);
            for effect in fx.drain() {
                if let Effect::Decide { cert, .. } = effect {
                    assert!(decided.replace(cert).is_none(), "decided twice");
                }
            }
        };
        let hear = |key: usize, body, seal: Bytes| {
            let from = addresses[key];
            Input::Message { from, msg: Message::unsigned(body, from, seal), checked: true }
        };
        let view = View::new(Slot::new(10), Round::new(self.round as u64));
        step(Input::Start);
        if self.round > 0 {
            let asked = Subject { view, digest: B256::ZERO, prev_hash: made().parent.hash() };
            for key in self.committee.iter().copied() {
                step(hear(key, Body::RoundChange(asked), Bytes::new()));
            }
        }
        let value = blocks[0].clone();
        step(hear(0, Body::Preprepare(Preprepare { view, value }), Bytes::new()));
        step(Input::Verdict { slot: view.slot, id: blocks[0].id(), verdict: Verdict::Valid });
        for Said { key, how, round } in said.iter().copied() {
            let block = &blocks[usize::from(how == How::OtherBlock)];
            let view = View::new(view.slot, Round::new(round as u64));
            let subject = Subject { view, digest: block.id(), prev_hash: block.parent() };
            let seal = Bytes::copy_from_slice(&how.make(seals, key));
            step(hear(key, Body::Commit(subject), seal));
        }
        decided
    }

    /// What justified rounds decide, at a node that has heard the block in the first round and is in the last one now.
    /// Commits of every round count, each sender's first one in a round.
    fn justified(&self, said: &[Said]) -> Option<CommittedSeals> {
        let Made { addresses, blocks, round_seals, .. } = made();
        let me = Key::new(99).address();
        let config = JustifiedConfig {
            authors: Arc::new(Memory),
            ..JustifiedConfig::new(me, Arc::new(Sitting(Arc::new(self.committee()))), B256::ZERO)
        };
        let mut engine = Justified::open(config, Self::floor(), vec![]).unwrap();
        let mut fx = Effects::new(Default::default());
        let mut decided = None;
        let mut step = |input| {
            engine.step(Time::ZERO, input, &mut fx);
            for effect in fx.drain() {
                if let Effect::Decide { cert, .. } = effect {
                    assert!(decided.replace(cert).is_none(), "decided twice");
                }
            }
        };
        let hear = |key: usize, kind, block: &TestBlock, round: usize, seal: Bytes| {
            let view = View::new(Slot::new(10), Round::new(round as u64));
            let vote = Vote { kind, view, digest: block.id(), prepared: None };
            let from = addresses[key];
            let value = (kind == Kind::Proposal).then(|| block.clone());
            let signed = SignedVote { vote, from, signature: Bytes::new(), seal };
            Input::Message { from, msg: JustifiedMessage { value, ..JustifiedMessage::plain(signed) }, checked: true }
        };
        step(Input::Start);
        step(hear(0, Kind::Proposal, &blocks[0], 0, Bytes::new()));
        step(Input::Verdict { slot: Slot::new(10), id: blocks[0].id(), verdict: Verdict::Valid });
        let last = View::new(Slot::new(10), Round::new(ROUNDS as u64 - 1));
        for from in self.addresses(self.committee.iter().copied()) {
            let vote = Vote { kind: Kind::RoundChange, view: last, digest: B256::ZERO, prepared: None };
            let signed = SignedVote { vote, from, signature: Bytes::new(), seal: Bytes::new() };
            step(Input::Message { from, msg: JustifiedMessage::plain(signed), checked: true });
        }
        for Said { key, how, round } in said.iter().copied() {
            let block = &blocks[usize::from(how == How::OtherBlock)];
            let seal = Bytes::copy_from_slice(&how.make(&round_seals[round], key));
            step(hear(key, Kind::Commit, block, round, seal));
        }
        decided
    }

    /// The first block with seals in its header, as an importing node judges it that knows signers ahead; `whole` compares
    /// with one that does not.
    fn import(&self, seals: Vec<Seal>, whole: bool) -> Result<Verified, HeaderError> {
        let Made { parent, blocks, .. } = made();
        let council: AddressSet = self.addresses(0..self.council).into_iter().collect();
        let demoted: AddressSet = self.addresses(self.demoted.iter().copied()).into_iter().collect();
        let context = HeaderContext {
            rules: Rules::none(),
            parent: Some(parent),
            kip71: &Kip71Config::default(),
            blobs: &BlobConfig::OSAKA,
            council: &council,
            qualified: &council.without(&demoted),
            committee_size: self.committee_size,
            parent_mix_hash: B256::ZERO,
            reveals: None,
            now: WallTime::from_secs(100),
        };
        let round = Round::new(self.round as u64);
        let Ok(block) = (CommittedSeals { round, seals }).write(blocks[0].clone()) else {
            return verify_header(&blocks[0].header, &context);
        };
        let (hash, digest) = (block.id(), seal::committed_digest(block.id()));
        let extra = ExtraView::decode(&block.header.extra).unwrap();
        let committers = extra.committed_seals().map(|seal| Memory.author(digest, seal.try_into().ok()?)).collect();
        let signers = HeaderSigners { hash, author: Some(made().addresses[0]), committers };
        let verified = verify_recovered(&block.header, &signers, &context);
        if whole {
            assert_eq!(HeaderSigners::recover(&block.header), signers);
            assert_eq!(verify_header(&block.header, &context), verified);
        }
        verified
    }

    /// Whether a list of seals is one, by the rule in words: each of another member of the council, enough of them.
    fn is_importable(&self, said: &[Said]) -> bool {
        let good = said.iter().all(|said| said.key < self.council && said.how.is_good());
        let signers: BTreeSet<_> = said.iter().map(|said| said.key).collect();
        let needed = quorum::import(self.committee.len() as u32) as usize;
        good && signers.len() == said.len() && signers.len() >= needed
    }

    /// Whether a list of seals proves a decision of justified rounds, by the rule in words.
    fn is_proof(&self, said: &[Said]) -> bool {
        let good = said
            .iter()
            .all(|said| self.committee.contains(&said.key) && said.how.is_good() && said.round == self.round);
        let signers: BTreeSet<_> = said.iter().map(|said| said.key).collect();
        good && signers.len() == said.len() && signers.len() >= self.live()
    }

    fn proves(&self, cert: &CommittedSeals) -> bool {
        decision_holds(&made().blocks[0], cert, &self.committee(), &Memory)
    }
}

fn seals_of(said: &[Said], of_round: bool) -> Vec<Seal> {
    let Made { seals, round_seals, .. } = made();
    said.iter().map(|said| said.how.make(if of_round { &round_seals[said.round] } else { seals }, said.key)).collect()
}

proptest! {
    #[test]
    fn what_istanbul_commits_is_imported_and_the_other_way_round(
        case in any_case(), at in any::<Index>(), bit in 0..520u16, stranger in MOST..KEYS,
    ) {
        let live = case.live();
        let good = |said: &&Said| {
            case.committee.contains(&said.key) && said.how.is_good() && said.round == case.round
        };
        let voters: BTreeSet<_> = case.said.iter().filter(good).map(|said| said.key).collect();
        let decided = case.istanbul(&case.said);
        prop_assert_eq!(decided.is_some(), voters.len() >= live);

        if let Some(cert) = decided {
            let verified = case.import(cert.seals.clone(), false).unwrap();
            prop_assert_eq!(verified.round as usize, case.round);
            prop_assert_eq!(cert.round, Round::new(case.round as u64));
            prop_assert!(verified.warnings.is_empty());
            let signers: BTreeSet<_> = verified.signers.iter().copied().collect();
            let voters: BTreeSet<_> = case.addresses(voters).into_iter().collect();
            prop_assert!(signers.len() == live && signers.is_subset(&voters));

            let spoilt = |change: &dyn Fn(&mut Vec<Seal>)| {
                let mut seals = cert.seals.clone();
                change(&mut seals);
                case.import(seals, false)
            };
            let at = at.index(live);
            prop_assert!(spoilt(&|seals| seals[at][usize::from(bit) / 8] ^= 1 << (bit % 8)).is_err());
            prop_assert!(spoilt(&|seals| seals.push(seals[at])).is_err());
            prop_assert!(spoilt(&|seals| seals.insert(at, made().seals[0][stranger])).is_err());
            prop_assert!(spoilt(&|seals| seals[at] = made().seals[1][0]).is_err());
            // The reference's fault: where 2F + 1 is less than a quorum, what was not committed can be imported.
            let needed = quorum::import(case.committee.len() as u32) as usize;
            prop_assert_eq!(spoilt(&|seals| _ = seals.remove(at)).is_ok(), live > needed);
        }

        let imported = case.import(seals_of(&case.said, false), true);
        prop_assert_eq!(imported.is_ok(), case.is_importable(&case.said), "{:?}", imported);
        if let Ok(verified) = imported {
            let said: Vec<_> = case.said.iter().map(|said| Said { round: case.round, ..*said }).collect();
            let votes = said.iter().filter(|said| case.committee.contains(&said.key)).count();
            prop_assert_eq!(case.istanbul(&said).is_some(), votes >= live);
            let few = verified.warnings.iter().any(|warning| matches!(warning, Warning::BelowLiveQuorum { .. }));
            prop_assert_eq!(few, said.len() < live);
            let demoted = verified.warnings.iter().filter(|warning| matches!(warning, Warning::DemotedSigner(_)));
            prop_assert_eq!(demoted.count(), said.iter().filter(|said| case.demoted.contains(&said.key)).count());
            if case.is_whole() && case.council % 3 == 1 {
                prop_assert!(votes >= live);
            }
        }
    }

    #[test]
    fn what_justified_rounds_commit_proves_itself_and_nothing_else_does(
        case in any_case(), at in any::<Index>(), bit in 0..520u16, stranger in MOST..KEYS,
    ) {
        let live = case.live();
        let mut tallies = BTreeMap::<(usize, bool), BTreeSet<usize>>::new();
        let mut spoken = BTreeSet::new();
        for said in case.said.iter().filter(|said| case.committee.contains(&said.key)) {
            let other = said.how == How::OtherBlock;
            if !matches!(said.how, How::Flipped(_)) && spoken.insert((said.key, said.round)) {
                tallies.entry((said.round, other)).or_default().insert(said.key);
            }
        }
        // With a quorum for the other block more than F members contradict themselves.
        prop_assume!(tallies.iter().all(|((_, other), voters)| !other || voters.len() < live));
        let decided = case.justified(&case.said);
        prop_assert_eq!(decided.is_some(), tallies.values().any(|voters| voters.len() >= live));

        if let Some(cert) = decided {
            prop_assert!(case.proves(&cert));
            prop_assert_eq!(cert.seals.len(), live);
            let spoilt = |change: &dyn Fn(&mut CommittedSeals)| {
                let mut cert = cert.clone();
                change(&mut cert);
                case.proves(&cert)
            };
            let at = at.index(live);
            prop_assert!(!spoilt(&|cert| cert.seals[at][usize::from(bit) / 8] ^= 1 << (bit % 8)));
            prop_assert!(!spoilt(&|cert| _ = cert.seals.remove(at)));
            prop_assert!(!spoilt(&|cert| cert.seals.push(cert.seals[at])));
            let foreign = made().round_seals[cert.round.get() as usize][0][stranger];
            prop_assert!(!spoilt(&|cert| cert.seals.insert(at, foreign)));
            prop_assert!(!spoilt(&|cert| cert.round = cert.round.saturating_add(1)));
        }

        let cert = CommittedSeals { round: Round::new(case.round as u64), seals: seals_of(&case.said, true) };
        let holds = case.proves(&cert);
        prop_assert_eq!(holds, case.is_proof(&case.said));
        if holds {
            prop_assert!(case.justified(&case.said).is_some());
        }
    }

    #[test]
    fn two_quorums_share_more_than_those_who_may_fail(
        (first, second) in (1..=100usize).prop_flat_map(|n| {
            let members = || Just((0..n).collect::<Vec<_>>()).prop_shuffle();
            (members(), members())
        }),
        more in select(vec![0usize, 1, 5]),
    ) {
        let n = first.len() as u32;
        let committee = Committee::new(first.clone(), 0);
        prop_assert_eq!(committee.quorum, quorum::live(n));
        let tolerated = quorum::tolerated(n) as usize;
        let take = |order: &[usize], count: u32| order.iter().copied().take(count as usize + more).collect::<BTreeSet<_>>();
        let shared = |a: &BTreeSet<usize>, b: &BTreeSet<usize>| a.intersection(b).count();
        // Istanbul, justified rounds and Simplex all count to the same number.
        let decided = take(&first, committee.quorum);
        prop_assert!(shared(&decided, &take(&second, committee.quorum)) > tolerated);
        // Whatever the others do, those who may fail cannot stop it, from four members on.
        prop_assert!(n < 4 || committee.quorum as usize + tolerated <= n as usize);
        // Who asks for a later round in justified rounds, and who decided: one honest node tells.
        prop_assert!(committee.weak as usize > tolerated);

        // What the reference imports and what its validators decide: the same, except where n is a multiple of three.
        let imported = quorum::import(n);
        let is_known_fault = n.is_multiple_of(3) && n > 3;
        prop_assert!(is_known_fault || shared(&decided, &take(&second, imported)) > tolerated);
        let apart: BTreeSet<_> = first.iter().rev().copied().take(imported as usize).collect();
        let decided: BTreeSet<_> = first.iter().copied().take(committee.quorum as usize).collect();
        prop_assert_eq!(shared(&decided, &apart) <= tolerated, is_known_fault, "the fault shows for {}", n);
    }
}
