//! One name, several forms: a value's name covers neither the round nor the committed seals in its header. What is no
//! proposal is not voted for, whatever the application says of it.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use alloy_primitives::{B256, Bytes};
use klay_consensus::{
    istanbul::{
        Body, CommittedSeals, Compat, HeaderValue as _, Istanbul, IstanbulRecord, Klaytn, Message, Preprepare, Subject,
        justified::{Claim, JustifiedMessage, Kind, SignedVote, Vote, seal_digest},
        seal::committed_digest,
    },
    sim::{
        Byzantine, Faults, Lab, MsgOf, Run,
        istanbul::IstanbulLab,
        justified::JustifiedLab,
        run,
        simplex::SimplexLab,
        value::{LabValue, mock_sign},
    },
    simplex::{self, Certificate, SimplexMessage},
    types::{
        ApplyError, Effect, Effects, Engine, Floor, Height, Input, Record as _, Round, Slot, Time, TimerId, Value as _,
        Verdict, View,
    },
};

/// A value of height 1 for the first view of any engine.
fn value() -> LabValue {
    let value = LabValue::new(Height::new(1), B256::ZERO, 1, true);
    let mut extra = value.header().extra.to_vec();
    extra[30] = 1; // the view, where Simplex looks for it
    value.with_extra(extra.into())
}

/// One engine and an application that judges values by themselves, not by their names.
struct Bench<L: Lab> {
    lab: L,
    me: usize,
    engine: L::Engine,
    fx: Effects<L::Model, MsgOf<L>, RecordOf<L>>,
    timers: BTreeMap<TimerId, Time>,
    /// Rules that refused something.
    refused: Vec<&'static str>,
    said: Vec<&'static str>,
    /// Values that were applied, and how many could not be.
    applied: Vec<LabValue>,
    failed: u32,
    builds: u32,
    records: Vec<RecordOf<L>>,
    /// Answers of the application wait here.
    slow: bool,
    answers: VecDeque<Input<L::Model, MsgOf<L>>>,
}

type RecordOf<L> = <<L as Lab>::Engine as Engine<<L as Lab>::Model>>::Record;

impl<L: Lab<Model = Klaytn<LabValue>>> Bench<L> {
    fn new(lab: L, me: usize) -> Self {
        let floor = Floor { height: Height::ZERO, id: B256::ZERO, next_at: Time::ZERO };
        let engine = L::Engine::open(lab.config(me), floor, vec![]).unwrap();
        let (fx, timers) = (Effects::new(Default::default()), BTreeMap::new());
        let (refused, said, applied) = (Vec::new(), Vec::new(), Vec::new());
        let mut bench = Self {
            lab,
            me,
            engine,
            fx,
            timers,
            refused,
            said,
            applied,
            failed: 0,
            builds: 0,
            records: vec![],
            slow: false,
            answers: VecDeque::new(),
        };
        bench.step(Time::ZERO, Input::Start);
        bench
    }

    fn step(&mut self, now: Time, input: Input<Klaytn<LabValue>, MsgOf<L>>) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            self.engine.step(now, input, &mut self.fx);
            for effect in self.fx.drain().collect::<Vec<_>>() {
                match effect {
                    Effect::Sign { ticket, digest, .. } => {
                        inputs.push_back(Input::Signed { ticket, result: Ok(self.lab.sign(self.me, digest)) });
                    }
                    Effect::Check { slot, value } => {
                        let verdict = if value.is_valid() { Verdict::Valid } else { Verdict::Invalid("other body") };
                        let answer = Input::Verdict { slot, id: value.id(), verdict };
                        if self.slow { self.answers.push_back(answer) } else { inputs.push_back(answer) }
                    }
                    Effect::Decide { value, .. } if value.is_valid() => self.applied.push(value),
                    Effect::Decide { value, .. } => {
                        self.failed += 1;
                        inputs.push_back(Input::Applied { id: value.id(), result: Err(ApplyError::Invalid) });
                    }
                    Effect::Broadcast { msg, .. } | Effect::Send { msg, .. } => {
                        self.said.push(self.lab.describe(&msg).0);
                    }
                    Effect::Persist { record, .. } => self.records.push(record),
                    Effect::Build { .. } => self.builds += 1,
                    Effect::Rejected { why, .. } => self.refused.push(why.rule),
                    Effect::SetTimer { id, at } => _ = self.timers.insert(id, at),
                    Effect::Cancel(id) => _ = self.timers.remove(&id),
                    _ => {}
                }
            }
        }
    }

    fn hear(&mut self, from: usize, msg: MsgOf<L>) {
        self.step(Time::ZERO, Input::Message { from: self.lab.peer(from), msg, checked: false });
    }

    /// Lets the first timer fire.
    fn wait(&mut self) {
        let (id, at) = self.timers.iter().min_by_key(|(_, at)| **at).map(|(id, at)| (*id, *at)).unwrap();
        self.timers.remove(&id);
        self.step(at, Input::Timer(id));
    }

    /// What is refused and what is said, in all.
    fn answers(self) -> (Vec<&'static str>, Vec<&'static str>) {
        (self.refused, self.said)
    }
}

impl Bench<IstanbulLab> {
    fn say(&mut self, from: usize, body: Body<LabValue>) {
        let peer = self.lab.peer(from);
        let seal = match &body {
            Body::Commit(s) => Bytes::copy_from_slice(&mock_sign(peer, committed_digest(s.digest).0)),
            _ => Bytes::new(),
        };
        let mut msg = Message::unsigned(body, peer, seal);
        msg.envelope.signature = Bytes::copy_from_slice(&mock_sign(peer, msg.envelope.digest().0));
        self.hear(from, msg);
    }
}

#[test]
fn a_lock_that_was_released_does_not_come_back_with_the_log() {
    let lab = IstanbulLab::new(4, Compat::default());
    let mut bench = Bench::new(lab.clone(), 1);
    let (value, view) = (value(), View::new(Slot::new(1), Round::ZERO));
    let subject = Subject { view, digest: value.id(), prev_hash: B256::ZERO };
    bench.say(0, Body::Preprepare(Preprepare { view, value: value.clone() }));
    for body in [Body::Prepare(subject), Body::Commit(subject)] {
        [0, 2, 3].into_iter().for_each(|from| bench.say(from, body.clone()));
    }
    assert_eq!(bench.applied.first(), Some(&value));
    let locked = |records: &[IstanbulRecord]| {
        let log = records.iter().map(|record| {
            let mut bytes = Vec::new();
            record.encode(&mut bytes);
            IstanbulRecord::decode(record.kind(), &bytes).unwrap()
        });
        let floor = Floor { height: Height::ZERO, id: B256::ZERO, next_at: Time::ZERO };
        Istanbul::open(lab.config(1), floor, log.collect()).unwrap().status().lock
    };
    assert_eq!(locked(&bench.records), Some((Round::ZERO, value.id())));
    bench.step(Time::ZERO, Input::Applied { id: value.id(), result: Err(ApplyError::Invalid) });
    assert_eq!(bench.engine.status().lock, None);
    assert_eq!(locked(&bench.records), None);
}

#[test]
fn istanbul_leaves_the_round_of_a_proposal_that_could_not_be_written() {
    let told = |value: LabValue| {
        let mut bench = Bench::new(IstanbulLab::new(4, Compat::default()), 1);
        let view = View::new(Slot::new(1), Round::ZERO);
        bench.say(0, Body::Preprepare(Preprepare { view, value }));
        bench.answers()
    };
    assert_eq!(told(value()), (vec![], vec!["prepare"]));
    assert_eq!(told(value().misshapen()), (vec!["PP-6"], vec!["round change"]));
}

#[test]
fn justified_rounds_refuse_a_proposal_that_is_committed_to() {
    let told = |value: LabValue| {
        let mut bench = Bench::new(JustifiedLab::new(4), 1);
        let signed = vote(&bench.lab, 0, Kind::Proposal, 0, value.id(), None);
        bench.hear(0, JustifiedMessage { value: Some(value), ..JustifiedMessage::plain(signed) });
        bench.answers()
    };
    assert_eq!(told(value()), (vec![], vec!["prepare"]));
    assert_eq!(told(value().misshapen()), (vec!["JE-2"], vec![]));
    assert_eq!(told(committed(value())), (vec!["JE-2"], vec![]));
}

#[test]
fn simplex_refuses_a_proposal_that_is_committed_to() {
    let told = |value: LabValue| {
        let mut bench = Bench::new(SimplexLab::new(4), 1);
        let vote = simplex::Vote { kind: simplex::Kind::Proposal, view: Slot::new(1), id: value.id() };
        let signature = mock_sign(bench.lab.peer(0), vote.digest(B256::ZERO).0);
        let signed = simplex::SignedVote { vote, from: bench.lab.peer(0), signature, ancestors: vec![] };
        bench.hear(0, SimplexMessage::Proposal { signed, value, parent: None, nullified: vec![] });
        bench.answers()
    };
    assert_eq!(told(value()), (vec![], vec!["notarize"]));
    assert_eq!(told(value().misshapen()), (vec!["SX-2"], vec![]));
    assert_eq!(told(committed(value())), (vec!["SX-2"], vec![]));
}

fn vote(lab: &JustifiedLab, node: usize, kind: Kind, round: u64, digest: B256, prepared: Option<Claim>) -> SignedVote {
    let view = View::new(Slot::new(1), Round::new(round));
    let seal = match kind {
        Kind::Commit => Bytes::copy_from_slice(&mock_sign(lab.peer(node), seal_digest(digest, view.round).0)),
        _ => Bytes::new(),
    };
    let vote = Vote { kind, view, digest, prepared };
    let mut signed = SignedVote { vote, from: lab.peer(node), signature: Bytes::new(), seal };
    signed.signature = Bytes::copy_from_slice(&mock_sign(signed.from, signed.signing_digest(B256::ZERO).0));
    signed
}

/// A request for round 1 that claims a value prepared in round 0.
fn claims(lab: &JustifiedLab, node: usize, value: LabValue) -> JustifiedMessage<LabValue> {
    let id = value.id();
    let prepares = [0, 2, 3].map(|node| vote(lab, node, Kind::Prepare, 0, id, None)).into();
    let signed = vote(lab, node, Kind::RoundChange, 1, B256::ZERO, Some((Round::ZERO, id)));
    JustifiedMessage { signed, value: Some(value), round_changes: vec![], prepares }
}

fn asks(lab: &JustifiedLab, node: usize) -> JustifiedMessage<LabValue> {
    JustifiedMessage::plain(vote(lab, node, Kind::RoundChange, 1, B256::ZERO, None))
}

#[test]
fn a_claimed_value_is_looked_at_before_it_is_put_forward() {
    let ask = |value: LabValue| {
        let mut bench = Bench::new(JustifiedLab::new(4), 1);
        let claim = claims(&bench.lab, 3, value);
        bench.hear(3, claim);
        for node in [0, 2] {
            let msg = asks(&bench.lab, node);
            bench.hear(node, msg);
        }
        bench
    };
    let good = ask(value());
    assert_eq!((good.said.contains(&"proposal"), good.builds), (true, 0));
    // The others are a quorum without the hostile one.
    let spoilt = ask(value().spoilt());
    assert_eq!((spoilt.refused.contains(&"JU-2"), spoilt.said.contains(&"proposal"), spoilt.builds), (true, false, 1));
}

#[test]
fn a_prepared_value_is_not_replaced_by_another_of_its_name() {
    let mut bench = Bench::new(JustifiedLab::new(4), 2);
    let (lab, value) = (JustifiedLab::new(4), value());
    let signed = vote(&lab, 0, Kind::Proposal, 0, value.id(), None);
    bench.hear(0, JustifiedMessage { value: Some(value.clone()), ..JustifiedMessage::plain(signed) });
    for node in [0, 1, 3] {
        bench.hear(node, JustifiedMessage::plain(vote(&lab, node, Kind::Prepare, 0, value.id(), None)));
    }
    assert_eq!(bench.engine.status().state, "prepared");
    let again = claims(&lab, 1, value.clone().spoilt());
    let round_changes = [again.signed.clone(), asks(&lab, 0).signed, asks(&lab, 3).signed].into();
    let signed = vote(&lab, 1, Kind::Proposal, 1, value.id(), None);
    bench.hear(1, JustifiedMessage { signed, round_changes, ..again });
    assert_eq!(bench.engine.status().state, "proposed");
    for node in [0, 1, 3] {
        bench.hear(node, JustifiedMessage::plain(vote(&lab, node, Kind::Commit, 1, value.id(), None)));
    }
    assert_eq!((&bench.applied[..], bench.failed), (&[value][..], 0));
}

#[test]
fn a_fetched_value_that_is_refused_is_asked_for_again_elsewhere() {
    let mut bench = Bench::new(SimplexLab::new(4), 1);
    let (lab, value) = (SimplexLab::new(4), value());
    let certificate = |kind| {
        let vote = simplex::Vote { kind, view: Slot::new(1), id: value.id() };
        let seals = (0..4).filter(|node| *node != 1).map(|node| mock_sign(lab.peer(node), vote.digest(B256::ZERO).0));
        Certificate { vote, seals: seals.collect() }
    };
    let proofs = [simplex::Kind::Notarize, simplex::Kind::Finalize].map(certificate);
    bench.hear(0, SimplexMessage::Certificates(proofs.into()));
    bench.hear(3, SimplexMessage::Value(value.clone().spoilt()));
    assert_eq!((bench.failed, bench.applied.len()), (1, 0));
    let asked = |bench: &Bench<SimplexLab>| bench.said.iter().filter(|kind| **kind == "ask").count();
    let before = asked(&bench);
    while asked(&bench) == before {
        bench.wait();
    }
    // The same one comes too late with the same, and is not listened to.
    bench.hear(3, SimplexMessage::Value(value.clone().spoilt()));
    assert_eq!((bench.failed, bench.applied.len()), (1, 0));
    bench.hear(2, SimplexMessage::Value(value.clone()));
    assert_eq!((bench.failed, &bench.applied[..]), (1, &[value][..]));
}

#[test]
fn an_accepted_value_takes_the_place_of_one_that_nobody_has_looked_at() {
    let mut bench = Bench::new(SimplexLab::new(4), 1);
    let (lab, value) = (SimplexLab::new(4), value());
    let propose = |value: &LabValue| {
        let vote = simplex::Vote { kind: simplex::Kind::Proposal, view: Slot::new(1), id: value.id() };
        let signature = mock_sign(lab.peer(0), vote.digest(B256::ZERO).0);
        let signed = simplex::SignedVote { vote, from: lab.peer(0), signature, ancestors: vec![] };
        SimplexMessage::Proposal { signed, value: value.clone(), parent: None, nullified: vec![] }
    };
    bench.hear(0, propose(&value.clone().spoilt()));
    assert_eq!(bench.refused, ["SX-2"]);
    bench.hear(0, SimplexMessage::Ask { from: Slot::new(1), values: vec![value.id()] });
    assert!(!bench.said.contains(&"value"), "what was refused is not kept");
    let mut bench = Bench::new(SimplexLab::new(4), 1);
    bench.hear(0, propose(&value));
    bench.hear(3, SimplexMessage::Value(value.clone().spoilt()));
    bench.hear(0, SimplexMessage::Ask { from: Slot::new(1), values: vec![value.id()] });
    assert!(bench.said.contains(&"value"));
}

fn committed(value: LabValue) -> LabValue {
    CommittedSeals { round: Round::ZERO, seals: vec![[7; 65]] }.write(value).unwrap()
}

#[test]
fn seals_replace_whatever_stands_in_their_place() {
    let cert = CommittedSeals { round: Round::new(3), seals: vec![[8; 65], [9; 65]] };
    let written = cert.write(value()).unwrap();
    for odd in [value().misshapen(), committed(value())] {
        let extra = cert.write(odd).unwrap().header().extra.clone();
        assert_eq!(extra[32..], written.header().extra[32..]);
        assert_eq!(extra[31], 3);
    }
}

#[test]
fn odd_forms_of_a_hostile_node_break_no_promise() {
    let faults = Faults { byzantine: vec![Byzantine::OddForms], ..Faults::network() };
    for seed in 0..40 {
        let istanbul = run(&Arc::new(IstanbulLab::new(4, Compat::default())), Run::new(seed, faults.clone()));
        assert!(istanbul.is_good(), "istanbul, {seed}: {:?}", istanbul.violations);
        let justified = run(&Arc::new(JustifiedLab::new(4)), Run::new(seed, faults.clone()));
        assert!(justified.is_good(), "justified, {seed}: {:?}", justified.violations);
        let simplex = run(&Arc::new(SimplexLab::new(4)), Run::new(seed, faults.clone()));
        assert!(simplex.is_good(), "simplex, {seed}: {:?}", simplex.violations);
    }
}

mod slow_checks {
    use super::*;

    fn answer(bench: &mut Bench<JustifiedLab>) {
        while let Some(answer) = bench.answers.pop_front() {
            bench.step(Time::ZERO, answer);
        }
    }

    /// The check of the honest proposal of round 0 takes longer than the rest of its round; the next proposer is hostile.
    #[test]
    fn istanbul_takes_no_verdict_about_one_form_for_another() {
        let mut bench = Bench::new(IstanbulLab::new(4, Compat::default()), 2);
        bench.slow = true;
        let value = value();
        let view = View::new(Slot::new(1), Round::ZERO);
        bench.say(0, Body::Preprepare(Preprepare { view, value: value.clone() }));
        assert_eq!(bench.answers.len(), 1);
        let view = View::new(Slot::new(1), Round::new(1));
        let ask = Subject { view, digest: B256::ZERO, prev_hash: B256::ZERO };
        for from in [0, 1, 3] {
            bench.say(from, Body::RoundChange(ask));
        }
        assert_eq!(bench.engine.status().round, Round::new(1));
        bench.say(1, Body::Preprepare(Preprepare { view, value: value.clone().spoilt() }));
        // The answer to the first question.
        let first = bench.answers.pop_front().unwrap();
        bench.step(Time::ZERO, first);
        let subject = Subject { view, digest: value.id(), prev_hash: B256::ZERO };
        for body in [Body::Prepare(subject), Body::Commit(subject)] {
            [0, 1, 3].into_iter().for_each(|from| bench.say(from, body.clone()));
        }
        assert_eq!(
            (bench.failed, bench.said.contains(&"prepare")),
            (0, false),
            "the application has refused that form"
        );
    }

    fn honest_request_beside_a_hostile_one(hostile: usize, honest: usize) {
        let mut bench = Bench::new(JustifiedLab::new(4), 1);
        bench.slow = true;
        let claim = claims(&bench.lab, hostile, value().spoilt());
        bench.hear(hostile, claim);
        let msg = asks(&bench.lab, 0);
        bench.hear(0, msg);
        assert_eq!(bench.answers.len(), 1);
        let claim = claims(&bench.lab, honest, value());
        bench.hear(honest, claim);
        answer(&mut bench);
        assert!(bench.said.contains(&"proposal"), "{:?} {:?}", bench.said, bench.refused);
    }

    #[test]
    fn justified_spoils_nobody_for_another_2_3() {
        honest_request_beside_a_hostile_one(2, 3);
    }

    #[test]
    fn justified_spoils_nobody_for_another_3_2() {
        honest_request_beside_a_hostile_one(3, 2);
    }

    /// The proposer of round 0 is hostile and late; the one of round 1 puts forward the same value as it was prepared.
    #[test]
    fn justified_refuses_no_proposal_for_another_form() {
        let mut bench = Bench::new(JustifiedLab::new(4), 2);
        bench.slow = true;
        let (lab, value) = (JustifiedLab::new(4), value());
        let signed = vote(&lab, 0, Kind::Proposal, 0, value.id(), None);
        bench.hear(0, JustifiedMessage { value: Some(value.clone().spoilt()), ..JustifiedMessage::plain(signed) });
        assert_eq!(bench.answers.len(), 1);
        let again = claims(&lab, 1, value.clone());
        let round_changes = [again.signed.clone(), asks(&lab, 0).signed, asks(&lab, 3).signed].into();
        let signed = vote(&lab, 1, Kind::Proposal, 1, value.id(), None);
        bench.hear(1, JustifiedMessage { signed, round_changes, ..again });
        answer(&mut bench);
        assert!(bench.said.contains(&"prepare"), "{:?}", bench.refused);
    }

    /// Checks that take two rounds each.
    #[test]
    fn justified_takes_no_verdict_about_one_form_for_another() {
        let mut bench = Bench::new(JustifiedLab::new(4), 3);
        bench.slow = true;
        let (lab, value) = (JustifiedLab::new(4), value());
        let propose = |bench: &mut Bench<JustifiedLab>, node: usize, round: u64, value: LabValue| {
            let id = value.id();
            let signed = vote(&lab, node, Kind::Proposal, round, id, None);
            let claim = Some((Round::ZERO, id));
            let ask = |from: usize| vote(&lab, from, Kind::RoundChange, round, B256::ZERO, claim);
            let (round_changes, prepares) = if round == 0 {
                (vec![], vec![])
            } else {
                ([0, 1, 2].map(ask).into(), [0, 1, 2].map(|node| vote(&lab, node, Kind::Prepare, 0, id, None)).into())
            };
            bench.hear(node, JustifiedMessage { signed, value: Some(value), round_changes, prepares });
        };
        let hear_one = |bench: &mut Bench<JustifiedLab>| {
            if let Some(answer) = bench.answers.pop_front() {
                bench.step(Time::ZERO, answer);
            }
        };
        propose(&mut bench, 0, 0, value.clone().spoilt());
        propose(&mut bench, 1, 1, value.clone());
        hear_one(&mut bench);
        propose(&mut bench, 2, 2, value.clone());
        hear_one(&mut bench);
        propose(&mut bench, 0, 4, value.clone().spoilt());
        answer(&mut bench);
        for node in [0, 1, 2] {
            let msg = JustifiedMessage::plain(vote(&lab, node, Kind::Commit, 4, value.id(), None));
            bench.hear(node, msg);
        }
        assert_eq!(bench.failed, 0);
    }
}
