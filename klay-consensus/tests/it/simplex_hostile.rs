//! What a hostile validator can do to Simplex with messages that nobody asked for, or with those of others.

use core::time::Duration;

use alloy_primitives::{Address, B256};
use klay_consensus::{
    istanbul::{CommittedSeals, HeaderValue as _, Klaytn},
    sim::{
        Lab as _,
        simplex::SimplexLab,
        value::{LabValue, MockAuthors, mock_sign},
    },
    simplex::{
        Certificate, Kind, SignedVote, Simplex, SimplexMessage, SimplexRecord, Vote, decision_holds, final_digest,
    },
    types::{Committee, Effect, Effects, Engine as _, Floor, Height, Input, Round, Slot, Time, Value as _, Verdict},
};

type Message = SimplexMessage<LabValue>;

/// An engine whose application judges values by themselves, and what came of each message.
struct Bench {
    lab: SimplexLab,
    me: usize,
    engine: Simplex<LabValue>,
    fx: Effects<Klaytn<LabValue>, Message, SimplexRecord>,
    said: Vec<Kind>,
    sent: Vec<(Address, Message)>,
    certified: Vec<Vote>,
    refused: usize,
    accused: usize,
}

impl Bench {
    /// A node that does not lead the first view.
    fn new() -> Self {
        let lab = SimplexLab::new(4);
        let open = |me| {
            let floor = Floor { height: Height::ZERO, id: B256::ZERO, next_at: Time::ZERO };
            Simplex::open(lab.config(me), floor, Vec::new()).unwrap()
        };
        let (fx, certified) = (Effects::new(Default::default()), Vec::new());
        let mut bench = Self {
            me: 0,
            engine: open(0),
            fx,
            said: Vec::new(),
            sent: Vec::new(),
            certified,
            refused: 0,
            accused: 0,
            lab: lab.clone(),
        };
        bench.step(Input::Start);
        if bench.leader() == 0 {
            (bench.me, bench.engine) = (1, open(1));
            bench.step(Input::Start);
        }
        bench
    }

    fn leader(&self) -> usize {
        let leader = self.engine.status().proposer.unwrap();
        (0..4).find(|node| self.lab.peer(*node) == leader).unwrap()
    }

    /// Somebody else who does not lead.
    fn other(&self) -> usize {
        (0..4).find(|node| *node != self.me && *node != self.leader()).unwrap()
    }

    fn step(&mut self, input: Input<Klaytn<LabValue>, Message>) {
        let mut inputs = vec![input];
        while let Some(input) = inputs.pop() {
            self.engine.step(Time::ZERO, input, &mut self.fx);
            for effect in self.fx.drain().collect::<Vec<_>>() {
                match effect {
                    Effect::Sign { ticket, digest, .. } => {
                        inputs.push(Input::Signed { ticket, result: Ok(self.lab.sign(self.me, digest)) });
                    }
                    Effect::Check { slot, value } => {
                        let verdict = if value.is_valid() { Verdict::Valid } else { Verdict::Invalid("other body") };
                        inputs.push(Input::Verdict { slot, id: value.id(), verdict });
                    }
                    Effect::Broadcast { msg: SimplexMessage::Vote(signed), .. } => self.said.push(signed.vote.kind),
                    Effect::Send { to, msg, .. } => self.sent.push((to, msg)),
                    Effect::Persist { record: SimplexRecord::Certified(c), .. } => self.certified.push(c.vote),
                    Effect::Rejected { .. } => self.refused += 1,
                    Effect::Evidence(_) => self.accused += 1,
                    _ => {}
                }
            }
        }
    }

    fn hear(&mut self, from: usize, msg: Message) {
        self.step(Input::Message { from: self.lab.peer(from), msg, checked: false });
    }

    fn signed(&self, node: usize, kind: Kind, view: u64, id: B256) -> SignedVote {
        let vote = Vote { kind, view: Slot::new(view), id };
        let signature = mock_sign(self.lab.peer(node), vote.digest(B256::ZERO).0);
        SignedVote { vote, from: self.lab.peer(node), signature, ancestors: Vec::new() }
    }

    fn nullified(&self, view: u64) -> Certificate {
        let vote = Vote { kind: Kind::Nullify, view: Slot::new(view), id: B256::ZERO };
        let digest = vote.digest(B256::ZERO).0;
        Certificate { vote, seals: (0..3).map(|node| mock_sign(self.lab.peer(node), digest)).collect() }
    }

    fn proposal(&self, value: LabValue) -> Message {
        let signed = self.signed(self.leader(), Kind::Proposal, 1, value.id());
        SimplexMessage::Proposal { signed, value, parent: None, nullified: Vec::new() }
    }
}

/// A value made for the first view.
fn value(height: u64, parent: B256, salt: u64) -> LabValue {
    let value = LabValue::new(Height::new(height), parent, salt, true);
    let mut extra = value.header().extra.to_vec();
    extra[30] = 1;
    value.with_extra(extra.into())
}

#[test]
fn a_proposal_that_stands_nowhere_opens_no_door_for_values() {
    let mut bench = Bench::new();
    // From the last one to the first: each is the parent of the next.
    let mut chain = vec![value(1 << 40, B256::repeat_byte(1), 0)];
    for salt in 1..600 {
        let parent = chain.last().unwrap().id();
        chain.push(value(1 << 40, parent, salt));
    }
    let top = value(1, chain.last().unwrap().id(), 1_000);
    let leader = bench.leader();
    bench.hear(leader, bench.proposal(top));
    assert_eq!(bench.said, [Kind::Nullify]);
    for value in chain.into_iter().rev() {
        bench.hear(leader, SimplexMessage::Value(value));
    }
    assert!(bench.engine.status().backlog < 10, "{}", bench.engine.status().backlog);
    assert_eq!(bench.refused, 1 + 600);
}

#[test]
fn a_proposal_that_somebody_else_passes_on_says_nothing() {
    let mut bench = Bench::new();
    let (leader, other) = (bench.leader(), bench.other());
    let genuine = value(1, B256::ZERO, 7);
    bench.hear(other, bench.proposal(genuine.clone().spoilt()));
    assert_eq!((bench.refused, bench.said.len()), (1, 0));
    bench.hear(leader, bench.proposal(genuine));
    assert_eq!(bench.said, [Kind::Notarize]);
}

#[test]
fn an_ancestors_seal_keeps_out_no_vote_and_accuses_nobody() {
    let mut bench = Bench::new();
    let (ancestor, id) = (B256::repeat_byte(0xa), B256::repeat_byte(0xb));
    let others: Vec<_> = (0..4).filter(|node| *node != bench.me).collect();
    let whole = |bench: &Bench, node| {
        let seal = mock_sign(bench.lab.peer(node), final_digest(ancestor, Slot::new(2)).0);
        SignedVote { ancestors: vec![(ancestor, seal)], ..bench.signed(node, Kind::Finalize, 2, id) }
    };
    // Anybody has these from an honest vote: the seal of the ancestor, and the vote without it.
    let alone = bench.signed(others[0], Kind::Finalize, 2, ancestor);
    let cut = SignedVote { ancestors: Vec::new(), ..whole(&bench, others[1]) };
    bench.hear(others[2], SimplexMessage::Vote(alone));
    bench.hear(others[2], SimplexMessage::Vote(cut));
    for node in others {
        bench.hear(node, SimplexMessage::Vote(whole(&bench, node)));
    }
    let is_final = |id| bench.certified.iter().any(|vote| vote.kind == Kind::Finalize && vote.id == id);
    assert!(is_final(id) && is_final(ancestor), "{:?}", bench.certified);
    assert_eq!(bench.accused, 0);
}

#[test]
fn votes_that_are_passed_on_use_up_nobodys_answers() {
    let mut bench = Bench::new();
    let (other, third) = (bench.other(), bench.leader());
    let seals = (0..3).map(|node| bench.signed(node, Kind::Nullify, 1, B256::ZERO).signature).collect();
    let vote = Vote { kind: Kind::Nullify, view: Slot::new(1), id: B256::ZERO };
    bench.hear(third, SimplexMessage::Certificates(vec![Certificate { vote, seals }]));
    assert_eq!(bench.engine.status().round.get(), 2);
    let old = bench.signed(other, Kind::Nullify, 1, B256::ZERO);
    for _ in 0..50 {
        bench.hear(third, SimplexMessage::Vote(old.clone()));
    }
    bench.sent.clear();
    bench.hear(other, SimplexMessage::Ask { from: Slot::new(1), values: Vec::new() });
    assert!(bench.sent.iter().any(|(to, _)| *to == bench.lab.peer(other)));
}

#[test]
fn a_header_may_be_final_more_than_255_views_later() {
    let lab = SimplexLab::new(4);
    let validators: Vec<_> = (0..4).map(|node| lab.peer(node)).collect();
    let committee = Committee::new(validators, lab.peer(0));
    let value = value(1, B256::ZERO, 3);
    let digest = final_digest(value.id(), Slot::new(1 + 300));
    let seals: Vec<_> = (0..3).map(|node| mock_sign(lab.peer(node), digest.0)).collect();
    let holds = |round: u64| {
        // As a header has it.
        let cert = CommittedSeals { round: Round::new(round & 0xff), seals: seals.clone() };
        decision_holds(&value, &cert, &committee, &MockAuthors)
    };
    assert!(holds(300));
    assert!(!holds(299) && !holds(301));
}

#[test]
fn a_chain_without_values_keeps_its_views_for_years() {
    let mut bench = Bench::new();
    let mut deadline = |view: u64| {
        let certificate = bench.nullified(view);
        let from = bench.other();
        bench.hear(from, SimplexMessage::Certificates(vec![certificate]));
        bench.engine.deadline().unwrap().since(Time::ZERO)
    };
    let waits: Vec<_> = (1..=4096).map(&mut deadline).collect();
    assert_eq!(waits[254], waits[20]);
    assert_eq!(waits[255], 2 * waits[254]);
    let year = Duration::from_secs(365 * 24 * 60 * 60);
    assert!(waits.iter().sum::<Duration>() > year);
    let mut passed = Duration::ZERO;
    for wait in waits {
        assert!(passed < Duration::from_secs(3600) || wait < passed / 50, "{wait:?} after {passed:?}");
        passed += wait;
    }
}
