//! A proposal after round 0 is accepted only with proof that it may be made.

use std::sync::Arc;

use crate::common::{Chain, Key, Signer, TestBlock, identity, signer};
use alloy_primitives::{Address, B256, Bytes};
use klay_consensus::{
    gate::{Gate, GateOptions, records},
    istanbul::{
        CommittedSeals, HeaderValue,
        justified::{
            Claim, Justified, JustifiedConfig, JustifiedMessage, JustifiedRecord, Kind, SignedVote, Vote, seal_digest,
        },
        seal,
    },
    types::{
        Committee, Committees, Domain, Effect, Effects, Engine, Floor, Height, Input, Limits, NotYet, Refuse, Round,
        SignRefused, Slot, Statement, Time, TimerId, Value, Verdict, View,
    },
    wal::MemoryDisk,
};
use proptest::prelude::*;

mod hostile;

/// The timer after which a round is left.
const ROUND_TIMER: TimerId = TimerId::new(1);

#[derive(Debug)]
struct Four;

impl Committees<Chain> for Four {
    fn at(&self, _height: Height, round: Round) -> Result<Arc<Committee<Address>>, NotYet> {
        let members: Vec<_> = (1..=4).map(|i| Key::new(i).address()).collect();
        let proposer = members[round.get() as usize % 4];
        Ok(Arc::new(Committee::new(members, proposer)))
    }
}

const fn domain() -> B256 {
    B256::repeat_byte(0xd0)
}

fn sign(key: u64, digest: B256) -> Bytes {
    let sig = klay_consensus::types::Signer::<Chain>::sign(&signer(key), Domain::Message, digest.0).unwrap();
    Bytes::copy_from_slice(&sig)
}

fn vote(key: u64, kind: Kind, round: u64, digest: B256, prepared: Option<Claim>) -> SignedVote {
    vote_at(key, kind, View::new(Slot::new(1), Round::new(round)), digest, prepared)
}

fn vote_at(key: u64, kind: Kind, view: View, digest: B256, prepared: Option<Claim>) -> SignedVote {
    let seal = if kind == Kind::Commit { sign(key, seal_digest(digest, view.round)) } else { Bytes::new() };
    let vote = Vote { kind, view, digest, prepared };
    let mut signed = SignedVote { vote, from: Key::new(key).address(), signature: Bytes::new(), seal };
    signed.signature = sign(key, signed.signing_digest(domain()));
    signed
}

fn block(content: u8) -> TestBlock {
    let block = TestBlock::new(1, B256::ZERO, content, seal::new_extra(b"", vec![]));
    let digest = seal::proposer_digest(&block.header);
    let sealed = seal::with_seal(&block.header.extra, &sign(1, digest)[..].try_into().unwrap()).unwrap();
    block.with_extra(sealed)
}

/// Proposal of key 2 in round 1.
fn proposal(
    value: &TestBlock,
    round_changes: Vec<SignedVote>,
    prepares: Vec<SignedVote>,
) -> JustifiedMessage<TestBlock> {
    let signed = vote(2, Kind::Proposal, 1, value.id(), None);
    JustifiedMessage { signed, value: Some(value.clone()), round_changes, prepares }
}

fn asks(prepared: [Option<Claim>; 3]) -> Vec<SignedVote> {
    (2..=4).zip(prepared).map(|(key, claim)| vote(key, Kind::RoundChange, 1, B256::ZERO, claim)).collect()
}

fn prepares(value: &TestBlock, keys: &[u64]) -> Vec<SignedVote> {
    keys.iter().map(|key| vote(*key, Kind::Prepare, 0, value.id(), None)).collect()
}

struct Bench {
    me: u64,
    engine: Justified<TestBlock>,
    /// Blocks that were asked for.
    built: u32,
    /// What the application says of values.
    verdict: Verdict,
    sent: Vec<JustifiedMessage<TestBlock>>,
    log: Vec<JustifiedRecord>,
    /// What the key has said; without it everything is signed.
    gate: Option<Gate<Signer, MemoryDisk>>,
    fx: Effects<Chain, JustifiedMessage<TestBlock>, JustifiedRecord>,
    timers: std::collections::BTreeMap<TimerId, Time>,
    now: Time,
    /// Checks are not answered.
    mute: bool,
    sign_fails: bool,
}

impl Bench {
    /// Key 3, a validator that does not propose in the first rounds.
    fn new() -> Self {
        Self::of(3)
    }

    fn of(me: u64) -> Self {
        Self::with(me, Arc::new(Four))
    }

    fn with(me: u64, committees: Arc<dyn Committees<Chain>>) -> Self {
        Self::open(me, committees, vec![], None)
    }

    fn open(
        me: u64,
        committees: Arc<dyn Committees<Chain>>,
        log: Vec<JustifiedRecord>,
        gate: Option<Gate<Signer, MemoryDisk>>,
    ) -> Self {
        let config = JustifiedConfig::new(Key::new(me).address(), committees, domain());
        let floor = Floor { height: Height::ZERO, id: B256::ZERO, next_at: Time::ZERO };
        let engine = Justified::open(config, floor, log.clone()).unwrap();
        let fx = Effects::new(gate.as_ref().map(Gate::next_lsn).unwrap_or_default());
        let mut bench = Self {
            me,
            engine,
            built: 0,
            verdict: Verdict::Valid,
            sent: vec![],
            log,
            gate,
            fx,
            timers: Default::default(),
            now: Time::ZERO,
            mute: false,
            sign_fails: false,
        };
        bench.step(Input::Start);
        bench
    }

    /// Comes back with nothing but its log.
    fn restart(self) -> Self {
        Self::open(self.me, Arc::new(Four), self.log, None)
    }

    /// Comes back with a key that remembers as well.
    fn guarded(me: u64, disk: &MemoryDisk) -> Self {
        let options = GateOptions::default();
        let (gate, entries) = Gate::open(signer(me), disk.clone(), None, identity("justified", me), options).unwrap();
        Self::open(me, Arc::new(Four), records(entries).unwrap(), Some(gate))
    }

    fn sign(&mut self, statement: &Statement, digest: [u8; 32]) -> Result<seal::Seal, SignRefused> {
        if self.sign_fails {
            return Err(SignRefused::Signer(klay_consensus::types::SignError::Failed));
        }
        let Some(gate) = &mut self.gate else { return Ok(sign(self.me, digest.into())[..].try_into().unwrap()) };
        let admitted = gate.authorize(statement)?;
        Ok(gate.sign::<Chain>(admitted, Domain::Message, digest)?)
    }

    /// The rule that refused the message, if one did.
    fn step(&mut self, input: Input<Chain, JustifiedMessage<TestBlock>>) -> Option<&'static str> {
        let mut inputs = vec![input];
        let mut refused = None;
        let mut steps = 0;
        while let Some(input) = inputs.pop() {
            steps += 1;
            assert!(steps < 1_000, "it goes round and round");
            self.engine.step(self.now, input, &mut self.fx);
            for effect in self.fx.drain().collect::<Vec<_>>() {
                match effect {
                    Effect::Sign { ticket, statement, digest, .. } => {
                        let result = self.sign(&statement, digest);
                        inputs.push(Input::Signed { ticket, result });
                    }
                    Effect::Persist { record, .. } => {
                        if let Some(gate) = &mut self.gate {
                            let lsn = gate.next_lsn();
                            gate.persist(lsn, &record).unwrap();
                        }
                        self.log.push(record);
                    }
                    Effect::Broadcast { msg, .. } => self.sent.push(msg),
                    Effect::SetTimer { id, at } => _ = self.timers.insert(id, at),
                    Effect::Cancel(id) => _ = self.timers.remove(&id),
                    Effect::Check { .. } if self.mute => {}
                    Effect::Check { slot, value } => {
                        inputs.push(Input::Verdict { slot, id: value.id(), verdict: self.verdict });
                    }
                    Effect::Build { .. } => self.built += 1,
                    Effect::Rejected { why, .. } => refused = Some(why.rule),
                    _ => {}
                }
            }
        }
        refused
    }

    fn receive(&mut self, msg: JustifiedMessage<TestBlock>) -> Option<&'static str> {
        self.step(Input::Message { from: msg.signed.from, msg, checked: false })
    }

    /// Receives what somebody else has signed.
    fn receive_through(&mut self, key: u64, msg: JustifiedMessage<TestBlock>) -> Option<&'static str> {
        self.step(Input::Message { from: Key::new(key).address(), msg, checked: false })
    }

    /// The request that it has sent.
    fn request(&self) -> Option<&JustifiedMessage<TestBlock>> {
        self.sent.iter().find(|message| message.signed.vote.kind == Kind::RoundChange)
    }
}

#[test]
fn a_quorum_without_claims_leaves_the_proposer_free() {
    let mut bench = Bench::new();
    assert_eq!(bench.receive(proposal(&block(7), asks([None; 3]), vec![])), None);
    assert_eq!(bench.engine.status().state, "proposed");
    assert_eq!(bench.engine.status().round, Round::new(1));
}

#[test]
fn the_highest_claim_binds_the_proposer() {
    let (old, other) = (block(1), block(2));
    let claim = Some((Round::ZERO, old.id()));
    let proof = prepares(&old, &[1, 2, 4]);
    let refused = Some("JU-5");
    assert_eq!(Bench::new().receive(proposal(&other, asks([claim, None, None]), proof.clone())), refused);
    assert_eq!(Bench::new().receive(proposal(&old, asks([claim, None, None]), vec![])), refused, "claim without proof");
    assert_eq!(
        Bench::new().receive(proposal(&old, asks([claim, None, None]), prepares(&old, &[1, 2, 2]))),
        refused,
        "one voter twice"
    );
    assert_eq!(
        Bench::new().receive(proposal(&old, asks([claim, None, None]), prepares(&other, &[1, 2, 4]))),
        refused,
        "prepares for something else"
    );
    assert_eq!(Bench::new().receive(proposal(&old, asks([claim, None, None]), proof)), None);
}

#[test]
fn requests_must_be_a_quorum_of_distinct_members_for_that_round() {
    let value = block(1);
    let refused = Some("JU-5");
    let good = asks([None; 3]);
    assert_eq!(Bench::new().receive(proposal(&value, good[..2].to_vec(), vec![])), refused, "too few");
    let twice = vec![good[0].clone(), good[1].clone(), good[1].clone()];
    assert_eq!(Bench::new().receive(proposal(&value, twice, vec![])), refused, "one twice");
    let mut stranger = good.clone();
    stranger[2] = vote(9, Kind::RoundChange, 1, B256::ZERO, None);
    assert_eq!(Bench::new().receive(proposal(&value, stranger, vec![])), refused, "a stranger");
    let mut other_round = good.clone();
    other_round[2] = vote(4, Kind::RoundChange, 2, B256::ZERO, None);
    assert_eq!(Bench::new().receive(proposal(&value, other_round, vec![])), refused, "another round");
    let mut forged = good;
    forged[2].from = Key::new(1).address();
    assert_eq!(Bench::new().receive(proposal(&value, forged, vec![])), refused, "forged");
    assert_eq!(Bench::new().receive(proposal(&value, vec![], vec![])), refused, "none");
}

#[test]
fn claims_in_requests_are_checked_before_they_count() {
    let old = block(1);
    let signed = vote(4, Kind::RoundChange, 1, B256::ZERO, Some((Round::ZERO, old.id())));
    let mut request = JustifiedMessage { signed, value: Some(old.clone()), round_changes: vec![], prepares: vec![] };
    assert_eq!(Bench::new().receive(request.clone()), Some("JU-2"));
    request.prepares = prepares(&old, &[1, 2, 4]);
    assert_eq!(Bench::new().receive(request), None);
}

/// A claim without its value would bind every proposer to what none of them has.
#[test]
fn a_claim_comes_with_its_value() {
    let (old, other) = (block(1), block(2));
    let signed = vote(4, Kind::RoundChange, 1, B256::ZERO, Some((Round::ZERO, old.id())));
    let with = |value: Option<TestBlock>| JustifiedMessage {
        signed: signed.clone(),
        value,
        round_changes: vec![],
        prepares: prepares(&old, &[1, 2, 4]),
    };
    let committed = CommittedSeals { round: Round::ZERO, seals: vec![[7; 65]] }.write(old.clone()).unwrap();
    assert_eq!(committed.id(), old.id());
    for odd in [None, Some(other.clone()), Some(committed)] {
        assert_eq!(Bench::new().receive(with(odd)), Some("JU-2"));
    }
    assert_eq!(Bench::new().receive(with(Some(old.clone()))), None);
    let free = JustifiedMessage::plain(vote(4, Kind::RoundChange, 1, B256::ZERO, None));
    assert_eq!(Bench::new().receive(free.clone()), None);
    assert_eq!(Bench::new().receive(JustifiedMessage { value: Some(other), ..free }), Some("JU-2"));
}

#[test]
fn a_hostile_request_without_the_value_it_claims_does_not_stop_the_proposer() {
    let old = block(1);
    let claim = Some((Round::ZERO, old.id()));
    let mut bench = Bench::of(2);
    let hostile = JustifiedMessage {
        prepares: prepares(&old, &[1, 2, 4]),
        ..JustifiedMessage::plain(vote(4, Kind::RoundChange, 1, B256::ZERO, claim))
    };
    assert_eq!(bench.receive(hostile), Some("JU-2"));
    for key in [1, 3] {
        bench.receive(JustifiedMessage::plain(vote(key, Kind::RoundChange, 1, B256::ZERO, None)));
    }
    // It has entered the round with them, and a quorum is in it.
    assert_eq!(bench.built, 1, "the proposer of round 1 wants a block");
}

/// Four of five keys sit in each round, others in the next.
#[derive(Debug)]
struct Changing;

impl Committees<Chain> for Changing {
    fn at(&self, _height: Height, round: Round) -> Result<Arc<Committee<Address>>, NotYet> {
        let senders: Vec<_> = (1..=5).map(|i| Key::new(i).address()).collect();
        let absent = senders[(round.get() as usize + 4) % 5];
        let members = senders.iter().copied().filter(|who| *who != absent).collect();
        Ok(Arc::new(Committee::new(members, senders[round.get() as usize % 5]).with_senders(senders)))
    }
}

#[test]
fn the_voters_of_a_height_are_those_of_its_first_round() {
    let mut bench = Bench::with(3, Arc::new(Changing));
    let old = block(1);
    // Keys 1 to 4 vote, although key 1 would not sit in round 1 and key 5 would.
    let claim = Some((Round::ZERO, old.id()));
    let stranger = vote(5, Kind::RoundChange, 1, B256::ZERO, None);
    let with_stranger = [&asks([claim, None, None])[..2], &[stranger]].concat();
    assert_eq!(bench.receive(proposal(&old, with_stranger, prepares(&old, &[1, 2, 4]))), Some("JU-5"));
    assert_eq!(bench.receive(proposal(&old, asks([claim, None, None]), prepares(&old, &[1, 2, 4]))), None);
    assert_eq!(
        bench.receive(JustifiedMessage::plain(vote(5, Kind::Commit, 1, old.id(), None))),
        Some("JE-5"),
        "a seat in this round alone"
    );
    for key in [1, 2, 4] {
        assert_eq!(bench.receive(JustifiedMessage::plain(vote(key, Kind::Commit, 1, old.id(), None))), None);
    }
    assert_eq!(bench.engine.status().state, "decided");
}

#[test]
fn a_signature_of_another_chain_does_not_count() {
    let mut message = JustifiedMessage::plain(vote(4, Kind::Prepare, 0, B256::ZERO, None));
    message.signed.signature = sign(4, message.signed.signing_digest(B256::ZERO));
    assert_eq!(Bench::new().receive(message), Some("JE-2"));
}

#[test]
fn a_quorum_of_commits_decides_even_in_a_round_that_was_left() {
    let value = block(1);
    let mut bench = Bench::new();
    let first = vote(1, Kind::Proposal, 0, value.id(), None);
    bench.receive(JustifiedMessage { value: Some(value.clone()), ..JustifiedMessage::plain(first) });
    // The proposer of round 1 moves everybody on.
    bench.receive(proposal(&block(9), asks([None; 3]), vec![]));
    assert_eq!(bench.engine.status().round, Round::new(1));
    for key in [1, 2, 4] {
        bench.receive(JustifiedMessage::plain(vote(key, Kind::Commit, 0, value.id(), None)));
    }
    assert_eq!(bench.engine.status().state, "decided");
    assert_eq!(bench.engine.status().proposal, Some(value.id()));
}

#[test]
fn votes_that_came_before_the_proposal_of_their_round_count() {
    let value = block(9);
    let mut bench = Bench::new();
    for key in [1, 2, 4] {
        for kind in [Kind::Prepare, Kind::Commit] {
            bench.receive(JustifiedMessage::plain(vote(key, kind, 1, value.id(), None)));
        }
    }
    assert_eq!(bench.engine.status().backlog, 6);
    bench.receive(proposal(&value, asks([None; 3]), vec![]));
    assert_eq!(bench.engine.status().state, "decided");
    assert_eq!(bench.engine.status().proposal, Some(value.id()));
}

/// Nothing reads what a vote carries, so it would only be kept.
#[test]
fn a_vote_carries_nothing() {
    let value = block(9);
    let mut bench = Bench::new();
    for kind in [Kind::Prepare, Kind::Commit] {
        // Of this round, of a later one and of the next height.
        for (slot, round) in [(1, 0), (1, 1), (2, 0)] {
            let view = View::new(Slot::new(slot), Round::new(round));
            let plain = JustifiedMessage::plain(vote_at(4, kind, view, value.id(), None));
            let with_value = JustifiedMessage { value: Some(value.clone()), ..plain.clone() };
            let with_requests = JustifiedMessage { round_changes: asks([None; 3]), ..plain.clone() };
            let with_prepares = JustifiedMessage { prepares: prepares(&value, &[1, 2, 4]), ..plain.clone() };
            let mut with_seal = plain;
            with_seal.signed.seal = vec![7; 66].into();
            with_seal.signed.signature = sign(4, with_seal.signed.signing_digest(domain()));
            for padded in [with_value, with_requests, with_prepares, with_seal] {
                assert_eq!(bench.receive(padded), Some("JE-2"));
            }
        }
    }
    let status = bench.engine.status();
    assert_eq!((status.backlog, status.vote1, status.vote2), (0, 0, 0));
}

#[test]
fn few_messages_that_carry_values_are_kept_for_later() {
    let mut bench = Bench::new();
    let request = |slot, round| {
        let value = block(1);
        let view = View::new(Slot::new(slot), Round::new(round));
        let claim = Some((Round::ZERO, value.id()));
        let signed = vote_at(4, Kind::RoundChange, view, B256::ZERO, claim);
        JustifiedMessage {
            value: Some(value.clone()),
            prepares: prepares(&value, &[1, 2, 4]),
            ..JustifiedMessage::plain(signed)
        }
    };
    for round in 1..=20 {
        bench.receive(request(3, round));
        assert!(bench.engine.status().backlog <= 2);
    }
    // What is nearer takes the place of what is not, the other way round nothing does.
    for round in 1..=20 {
        bench.receive(request(2, round));
        bench.receive(request(3, 21 + round));
        assert_eq!(bench.engine.status().backlog, 2);
    }
    // Votes have places of their own, and so has everybody else.
    let next = View::first(Slot::new(2));
    bench.receive(JustifiedMessage::plain(vote_at(4, Kind::Prepare, next, block(1).id(), None)));
    bench.receive(JustifiedMessage {
        value: Some(block(1)),
        ..JustifiedMessage::plain(vote_at(1, Kind::Proposal, next, block(1).id(), None))
    });
    assert_eq!(bench.engine.status().backlog, 4);
    let floor = Floor { height: Height::new(1), id: block(1).id(), next_at: Time::ZERO };
    bench.step(Input::Head { floor });
    assert_eq!(bench.engine.status().backlog, 0, "only what is of the next height was left");
}

/// What a proposal rests on is not signed: whoever is faster than its proposer could put something else beside it.
#[test]
fn a_proposal_that_somebody_else_hands_over_is_no_word_of_its_proposer() {
    let mut bench = Bench::new();
    let genuine = proposal(&block(7), asks([None; 3]), vec![]);
    // With other transactions beside the header, as the application would find.
    bench.verdict = Verdict::Invalid("other transactions");
    assert_eq!(bench.receive_through(4, genuine.clone()), Some("JE-2"));
    let bare = JustifiedMessage { round_changes: vec![], ..genuine.clone() };
    assert_eq!(bench.receive_through(4, bare), Some("JE-2"));
    // Nor is one for later.
    let next = vote_at(1, Kind::Proposal, View::first(Slot::new(2)), block(7).id(), None);
    let next = JustifiedMessage { value: Some(block(7)), ..JustifiedMessage::plain(next) };
    assert_eq!(bench.receive_through(4, next), Some("JE-2"));
    assert_eq!((bench.engine.status().round, bench.engine.status().backlog), (Round::ZERO, 0));
    bench.verdict = Verdict::Valid;
    assert_eq!(bench.receive(genuine), None);
    assert_eq!((bench.engine.status().round, bench.engine.status().state), (Round::new(1), "proposed"));
}

#[test]
fn requests_come_from_their_signers_and_votes_from_anybody() {
    let old = block(1);
    let mut bench = Bench::new();
    let signed = vote(4, Kind::RoundChange, 1, B256::ZERO, Some((Round::ZERO, old.id())));
    let proof = prepares(&old, &[1, 2, 4]);
    let request = JustifiedMessage { value: Some(old.clone()), prepares: proof, ..JustifiedMessage::plain(signed) };
    assert_eq!(bench.receive_through(1, request.clone()), Some("JE-2"));
    assert_eq!(bench.engine.status().skips, 0);
    assert_eq!(bench.receive(request), None);
    assert_eq!(bench.engine.status().skips, 1);
    let prepare = JustifiedMessage::plain(vote(4, Kind::Prepare, 0, old.id(), None));
    assert_eq!(bench.receive_through(1, prepare), None);
    assert_eq!(bench.engine.status().vote1, 1);
}

/// The request of a key for a round, and what it claims to be prepared on.
fn asks_for(key: u64, round: u64, claim: Option<Claim>) -> SignedVote {
    vote(key, Kind::RoundChange, round, B256::ZERO, claim)
}

#[test]
fn a_proposer_who_has_seen_many_values_puts_a_claimed_one_forward() {
    let mut bench = Bench::new();
    // In each round another value, all but the rounds in which key 3 proposes.
    for round in (0..22).filter(|round| round % 4 != 2) {
        let value = block(round as u8);
        let signed = vote(round % 4 + 1, Kind::Proposal, round, value.id(), None);
        let round_changes = [1, 2, 4].map(|key| asks_for(key, round, None)).to_vec();
        let message = JustifiedMessage { value: Some(value), round_changes, ..JustifiedMessage::plain(signed) };
        assert_eq!(bench.receive(message), None, "round {round}");
        assert_eq!(bench.engine.status().state, "proposed");
    }
    let unseen = block(99);
    let claim = (Round::new(21), unseen.id());
    let proof = [1, 2, 4].map(|key| vote(key, Kind::Prepare, 21, unseen.id(), None)).to_vec();
    for key in [1, 2, 4] {
        let signed = asks_for(key, 22, Some(claim));
        let request = JustifiedMessage::plain(signed);
        bench.receive(JustifiedMessage { value: Some(unseen.clone()), prepares: proof.clone(), ..request });
    }
    let proposed = bench.sent.iter().rev().find(|message| message.signed.vote.kind == Kind::Proposal);
    assert_eq!(proposed.map(|message| message.signed.vote.digest), Some(unseen.id()));
}

#[test]
fn the_value_that_is_prepared_makes_no_room() {
    let mut bench = Bench::new();
    let mut offer = |round: u64, value: &TestBlock| {
        let signed = vote(round % 4 + 1, Kind::Proposal, round, value.id(), None);
        let round_changes = [1, 2, 4].map(|key| asks_for(key, round, None)).to_vec();
        bench.receive(JustifiedMessage {
            value: Some(value.clone()),
            round_changes,
            ..JustifiedMessage::plain(signed)
        });
        if round == 0 {
            for key in [1, 2, 4] {
                bench.receive(JustifiedMessage::plain(vote(key, Kind::Prepare, 0, value.id(), None)));
            }
        }
    };
    for round in (0..40).filter(|round| round % 4 != 2) {
        offer(round, &block(round as u8));
    }
    assert_eq!(bench.engine.status().lock, Some((Round::ZERO, block(0).id())));
    for key in [1, 2, 4] {
        bench.receive(JustifiedMessage::plain(vote(key, Kind::Commit, 0, block(0).id(), None)));
    }
    assert_eq!(bench.engine.status().state, "decided");
    assert_eq!(bench.engine.status().proposal, Some(block(0).id()));
}

/// Otherwise a node that falls again and again would ask for rounds that are too far ahead for everybody else.
#[test]
fn a_node_that_restarts_again_and_again_stays_in_its_round() {
    for is_prepared in [false, true] {
        let mut bench = Bench::new();
        let value = block(1);
        if is_prepared {
            let first = vote(1, Kind::Proposal, 0, value.id(), None);
            bench.receive(JustifiedMessage { value: Some(value.clone()), ..JustifiedMessage::plain(first) });
            for key in [1, 2, 4] {
                bench.receive(JustifiedMessage::plain(vote(key, Kind::Prepare, 0, value.id(), None)));
            }
            assert_eq!(bench.engine.status().state, "prepared");
        }
        bench.step(Input::Timer(ROUND_TIMER));
        let request = bench.request().unwrap().clone();
        assert_eq!(request.signed.vote.prepared.is_some(), is_prepared);
        for _ in 0..200 {
            bench = bench.restart();
            assert_eq!(bench.engine.status().round, Round::new(1));
            assert_eq!(bench.request(), Some(&request), "in the same words");
        }
    }
}

#[test]
fn whoever_has_committed_in_a_round_asks_for_the_next_one_after_a_restart() {
    let mut bench = Bench::new();
    let value = block(7);
    bench.receive(proposal(&value, asks([None; 3]), vec![]));
    for key in [1, 2, 4] {
        bench.receive(JustifiedMessage::plain(vote(key, Kind::Prepare, 1, value.id(), None)));
    }
    assert_eq!(bench.engine.status().state, "prepared");
    for _ in 0..200 {
        bench = bench.restart();
        assert_eq!(bench.engine.status().round, Round::new(2));
        let claim = bench.request().unwrap().signed.vote.prepared;
        assert_eq!(claim, Some((Round::new(1), value.id())));
    }
}

/// Prepares are not in the engine's log. The gate remembers them.
#[test]
fn whoever_has_voted_in_a_round_asks_for_the_next_one_after_a_restart() {
    let disk = MemoryDisk::new();
    let mut bench = Bench::guarded(3, &disk);
    bench.step(Input::Timer(ROUND_TIMER));
    drop(bench);
    let mut bench = Bench::guarded(3, &disk);
    assert_eq!((bench.engine.status().round, bench.sent.len()), (Round::new(1), 1), "it had only asked");
    assert_eq!(bench.receive(proposal(&block(7), asks([None; 3]), vec![])), None);
    assert_eq!(bench.sent.last().unwrap().signed.vote.kind, Kind::Prepare);
    drop(bench);
    for _ in 0..200 {
        let bench = Bench::guarded(3, &disk);
        assert_eq!(bench.engine.status().round, Round::new(2));
        assert_eq!(bench.request().unwrap().signed.vote.view.round, Round::new(2));
    }
}

fn any_vote() -> impl Strategy<Value = SignedVote> {
    let kind = prop_oneof![Just(Kind::Proposal), Just(Kind::Prepare), Just(Kind::Commit), Just(Kind::RoundChange)];
    let bytes = proptest::collection::vec(any::<u8>(), 0..70);
    let claim = proptest::option::of((any::<u64>(), any::<[u8; 32]>()));
    (kind, any::<[u64; 2]>(), any::<[u8; 32]>(), claim, any::<[u8; 20]>(), bytes).prop_map(
        |(kind, [slot, round], digest, claim, from, bytes)| SignedVote {
            vote: Vote {
                kind,
                view: View::new(Slot::new(slot), Round::new(round)),
                digest: digest.into(),
                prepared: claim.map(|(round, digest)| (Round::new(round), digest.into())),
            },
            from: from.into(),
            signature: bytes.clone().into(),
            seal: bytes.into(),
        },
    )
}

fn any_message() -> impl Strategy<Value = JustifiedMessage<TestBlock>> {
    let votes = || proptest::collection::vec(any_vote(), 0..4);
    (any_vote(), any::<bool>(), votes(), votes()).prop_map(|(signed, value, round_changes, prepares)| {
        JustifiedMessage { signed, value: value.then(|| block(1)), round_changes, prepares }
    })
}

proptest! {
    #[test]
    fn what_is_encoded_decodes_to_itself(message in any_message(), at in any::<prop::sample::Index>()) {
        let mut bytes = Vec::new();
        message.encode(&mut bytes);
        let decoded = JustifiedMessage::<TestBlock>::decode(&bytes, Limits::default()).unwrap();
        prop_assert_eq!(&decoded, &message);
        let cut = at.index(bytes.len());
        prop_assert!(JustifiedMessage::<TestBlock>::decode(&bytes[..cut], Limits::default()).is_err());
        bytes.push(0);
        prop_assert!(JustifiedMessage::<TestBlock>::decode(&bytes, Limits::default()).is_err());
        let none = Limits { entries: 0, ..Limits::default() };
        bytes.pop();
        let refused = JustifiedMessage::<TestBlock>::decode(&bytes, none).is_err();
        prop_assert_eq!(refused, !message.round_changes.is_empty() || !message.prepares.is_empty());
    }
}
