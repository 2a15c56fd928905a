//! Nodes of Simplex that hear everything from each other, and a hostile one that says a few words.

use std::collections::{BTreeMap, VecDeque};

use core::time::Duration;

use alloy_primitives::{Address, B256};
use klay_consensus::{
    istanbul::{HeaderValue as _, Klaytn},
    sim::{
        Lab as _,
        simplex::SimplexLab,
        value::{LabValue, mock_sign},
    },
    simplex::{
        Certificate, Kind, SignedVote, Simplex, SimplexConfig, SimplexMessage, SimplexRecord, Vote, before_epoch,
    },
    types::{
        Effect, Effects, Engine as _, Floor, Height, Input, Round, SignError, SignRefused, Slot, Time, TimerId,
        Value as _, Verdict,
    },
};

type Message = SimplexMessage<LabValue>;
type Fx = Effects<Klaytn<LabValue>, Message, SimplexRecord>;

struct Node {
    at: usize,
    engine: Simplex<LabValue>,
    fx: Fx,
    out: Vec<(Option<Address>, Message)>,
    heights: BTreeMap<B256, Height>,
    decided: u64,
    records: Vec<SimplexRecord>,
    verdict: Verdict,
    sign_fails: bool,
    accused: usize,
    timers: BTreeMap<TimerId, Time>,
}

fn signed(lab: &SimplexLab, node: usize, kind: Kind, view: u64, id: B256) -> SignedVote {
    let vote = Vote { kind, view: Slot::new(view), id };
    let signature = mock_sign(lab.peer(node), vote.digest(B256::ZERO).0);
    SignedVote { vote, from: lab.peer(node), signature, ancestors: Vec::new() }
}

fn cert(lab: &SimplexLab, nodes: &[usize], kind: Kind, view: u64, id: B256) -> Certificate {
    let seals = nodes.iter().map(|n| signed(lab, *n, kind, view, id).signature).collect();
    Certificate { vote: Vote { kind, view: Slot::new(view), id }, seals }
}

fn value(height: u64, parent: B256, salt: u64, view: u8) -> LabValue {
    let value = LabValue::new(Height::new(height), parent, salt, true);
    let mut extra = value.header().extra.to_vec();
    extra[30] = view;
    value.with_extra(extra.into())
}

fn leader(lab: &SimplexLab, view: u64) -> usize {
    let c = lab.config(0).committees.at(Height::new(1), Round::new(view - 1)).unwrap();
    (0..4).find(|n| lab.peer(*n) == c.proposer).unwrap()
}

impl Node {
    fn open(lab: &SimplexLab, at: usize, floor: (u64, B256), log: Vec<SimplexRecord>) -> Self {
        Self::with_epochs(lab, at, floor, log, u64::MAX)
    }

    fn with_epochs(lab: &SimplexLab, at: usize, floor: (u64, B256), log: Vec<SimplexRecord>, epoch: u64) -> Self {
        let floor = Floor { height: Height::new(floor.0), id: floor.1, next_at: Time::ZERO };
        Self {
            at,
            engine: Simplex::open(SimplexConfig { epoch, ..lab.config(at) }, floor.clone(), log.clone()).unwrap(),
            fx: Effects::new(Default::default()),
            out: Vec::new(),
            heights: BTreeMap::from([(floor.id, floor.height)]),
            decided: floor.height.get(),
            records: log,
            verdict: Verdict::Valid,
            sign_fails: false,
            accused: 0,
            timers: BTreeMap::new(),
        }
    }

    fn step(&mut self, lab: &SimplexLab, now: Time, input: Input<Klaytn<LabValue>, Message>) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            self.engine.step(now, input, &mut self.fx);
            for effect in self.fx.drain().collect::<Vec<_>>() {
                match effect {
                    Effect::Sign { ticket, digest, .. } => {
                        let result = if self.sign_fails {
                            Err(SignRefused::Signer(SignError::Failed))
                        } else {
                            Ok(lab.sign(self.at, digest))
                        };
                        inputs.push_back(Input::Signed { ticket, result });
                    }
                    Effect::Check { slot, value } => {
                        inputs.push_back(Input::Verdict { slot, id: value.id(), verdict: self.verdict });
                        self.heights.insert(value.id(), value.height());
                    }
                    Effect::Build { slot, parent, .. } => {
                        let height = self.heights.get(&parent).copied().unwrap_or(Height::ZERO);
                        let height = height.next().unwrap();
                        let built = LabValue::new(height, parent, slot.get(), true);
                        inputs.push_back(Input::Built { slot, value: Some(built) });
                    }
                    Effect::Broadcast { msg, .. } => {
                        if let SimplexMessage::Proposal { value, .. } = &msg {
                            self.heights.insert(value.id(), value.height());
                        }
                        self.out.push((None, msg));
                    }
                    Effect::Send { to, msg, .. } => self.out.push((Some(to), msg)),
                    Effect::Persist { record, .. } => self.records.push(record),
                    Effect::Decide { value, .. } => {
                        self.decided = value.height().get();
                        self.heights.insert(value.id(), value.height());
                        let floor = Floor { height: value.height(), id: value.id(), next_at: Time::ZERO };
                        inputs.push_back(Input::Applied { id: value.id(), result: Ok(()) });
                        inputs.push_back(Input::Head { floor });
                    }
                    Effect::SetTimer { id, at } => _ = self.timers.insert(id, at),
                    Effect::Cancel(id) => _ = self.timers.remove(&id),
                    Effect::Evidence(_) => self.accused += 1,
                    _ => {}
                }
            }
        }
    }

    fn hear(&mut self, lab: &SimplexLab, now: Time, from: usize, msg: Message) {
        self.step(lab, now, Input::Message { from: lab.peer(from), msg, checked: false });
    }

    fn fire(&mut self, lab: &SimplexLab, now: Time) {
        while let Some(id) = self.timers.iter().find(|(_, at)| **at <= now).map(|(id, _)| *id) {
            self.timers.remove(&id);
            self.step(lab, now, Input::Timer(id));
        }
    }

    fn view(&self) -> u64 {
        self.engine.status().round.get()
    }

    fn votes(&self, of: Kind) -> usize {
        self.out.iter().filter(|(_, m)| matches!(m, SimplexMessage::Vote(s) if s.vote.kind == of)).count()
    }
}

fn deliver(lab: &SimplexLab, nodes: &mut [Node], now: Time) {
    for _ in 0..50 {
        let mut mail = Vec::new();
        for node in nodes.iter_mut() {
            let from = node.at;
            mail.extend(node.out.drain(..).map(|(to, msg)| (from, to, msg)));
        }
        if mail.is_empty() {
            break;
        }
        for (from, to, msg) in mail {
            for node in nodes.iter_mut().filter(|n| n.at != from) {
                if to.is_none_or(|to| to == lab.peer(node.at)) {
                    node.hear(lab, now, from, msg.clone());
                }
            }
        }
    }
}

/// So many times: honest nodes hear everything, then the next timers fire. The hostile one is silent.
fn run(lab: &SimplexLab, nodes: &mut [Node], now: &mut Time, spans: usize) {
    for _ in 0..spans {
        deliver(lab, nodes, *now);
        let Some(next) = nodes.iter().filter_map(|node| node.timers.values().min()).min() else { return };
        *now = (*now).max(*next);
        nodes.iter_mut().for_each(|node| node.fire(lab, *now));
    }
}

/// One message with a good and a bad certificate stops a node, and with it the chain.
#[test]
fn a_bad_certificate_behind_a_good_one_stops_nobody() {
    for attack in [false, true] {
        let lab = SimplexLab::new(4);
        let d = leader(&lab, 1);
        let honest: Vec<_> = (0..4).filter(|n| *n != d).collect();
        let (b, c) = (honest[1], honest[2]);
        let mut now = Time::ZERO;
        let mut nodes: Vec<_> = honest.iter().map(|n| Node::open(&lab, *n, (0, B256::ZERO), Vec::new())).collect();
        for node in &mut nodes {
            node.step(&lab, now, Input::Start);
        }
        // D leads view 1: its block goes to B and C, not to A; its vote too.
        let x = value(1, B256::ZERO, 7, 1);
        let msg = SimplexMessage::Proposal {
            signed: signed(&lab, d, Kind::Proposal, 1, x.id()),
            value: x.clone(),
            parent: None,
            nullified: Vec::new(),
        };
        for node in nodes.iter_mut().skip(1) {
            node.hear(&lab, now, d, msg.clone());
        }
        // From the votes of B and C and its own D makes the certificate, for A, with nonsense behind it.
        let good = cert(&lab, &[b, c, d], Kind::Notarize, 1, x.id());
        let bad = Certificate { seals: vec![[0; 65]; 3], ..cert(&lab, &[], Kind::Nullify, 9, B256::ZERO) };
        let list = if attack { vec![good, bad] } else { vec![good] };
        nodes[0].hear(&lab, now, d, SimplexMessage::Certificates(list));
        for node in nodes.iter_mut().skip(1) {
            node.hear(&lab, now, d, SimplexMessage::Vote(signed(&lab, d, Kind::Notarize, 1, x.id())));
        }
        // D is silent from now on.
        run(&lab, &mut nodes, &mut now, 400);
        let seen: Vec<_> = nodes.iter().map(|n| (n.at, n.view(), n.decided)).collect();
        assert!(nodes.iter().all(|n| n.decided > 5), "attack {attack}: {seen:?} at {now:?}");
    }
}

/// A later view's proposal takes the place of this view's waiting one.
#[test]
fn a_later_proposal_does_not_push_out_the_one_that_waits() {
    let lab = SimplexLab::new(4);
    let me = (0..4).find(|n| *n != leader(&lab, 1) && *n != leader(&lab, 3)).unwrap();
    let mut node = Node::open(&lab, me, (0, B256::ZERO), Vec::new());
    node.step(&lab, Time::ZERO, Input::Start);
    let proposal = |view: u64, x: &LabValue| SimplexMessage::Proposal {
        signed: signed(&lab, leader(&lab, view), Kind::Proposal, view, x.id()),
        value: x.clone(),
        parent: None,
        nullified: Vec::new(),
    };
    node.verdict = Verdict::NotYet { wait: Duration::from_millis(100) };
    let x = value(1, B256::ZERO, 7, 1);
    node.hear(&lab, Time::ZERO, leader(&lab, 1), proposal(1, &x));
    let y = value(1, B256::repeat_byte(9), 8, 3);
    node.hear(&lab, Time::ZERO, leader(&lab, 3), proposal(3, &y));
    node.verdict = Verdict::Valid;
    node.step(&lab, Time::ZERO, Input::Timer(TimerId::new(5)));
    node.hear(&lab, Time::ZERO, leader(&lab, 1), proposal(1, &x));
    assert_eq!(node.votes(Kind::Notarize), 1);
}

/// A signer that fails once: nullify is never said again in that view.
#[test]
fn a_signer_that_fails_once_is_asked_again() {
    let lab = SimplexLab::new(4);
    let me = (0..4).find(|n| *n != leader(&lab, 1)).unwrap();
    let mut node = Node::open(&lab, me, (0, B256::ZERO), Vec::new());
    node.step(&lab, Time::ZERO, Input::Start);
    node.sign_fails = true;
    node.step(&lab, Time::ZERO, Input::Timer(TimerId::new(1)));
    node.sign_fails = false;
    let mut now = Time::ZERO;
    let mut nodes = [node];
    run(&lab, &mut nodes, &mut now, 1);
    for _ in 0..200 {
        now = now.after(Duration::from_secs(1));
        nodes[0].fire(&lab, now);
    }
    assert!(nodes[0].votes(Kind::Nullify) > 0, "mute in view {} at {now:?}", nodes[0].view());
}

/// Old certificates change what is kept, are written to the log, and make it ask for what nobody has.
#[test]
fn old_proofs_are_not_taken_in_again() {
    let lab = SimplexLab::new(4);
    let applied = B256::repeat_byte(5);
    let mut node = Node::open(&lab, 0, (100, applied), Vec::new());
    node.step(&lab, Time::ZERO, Input::Start);
    node.hear(
        &lab,
        Time::ZERO,
        1,
        SimplexMessage::Certificates(vec![cert(&lab, &[1, 2, 3], Kind::Notarize, 200, applied)]),
    );
    node.hear(
        &lab,
        Time::ZERO,
        1,
        SimplexMessage::Certificates(vec![cert(&lab, &[1, 2, 3], Kind::Finalize, 200, applied)]),
    );
    node.out.clear();
    node.records.clear();
    for old in 1..=150u64 {
        let id = B256::from(alloy_primitives::U256::from(old));
        let c = cert(&lab, &[1, 2, 3], Kind::Finalize, old, id);
        node.hear(&lab, Time::ZERO, 1, SimplexMessage::Certificates(vec![c]));
    }
    let written = node.records.len();
    let asks = node.out.iter().filter(|(_, m)| matches!(m, SimplexMessage::Ask { .. })).count();
    assert_eq!((written, asks), (0, 0));
}

/// The engine by itself: nullify, restart, finalize, in the first view after a start.
#[test]
fn the_first_view_is_on_record() {
    let lab = SimplexLab::new(4);
    let me = (0..4).find(|n| *n != leader(&lab, 1)).unwrap();
    let mut node = Node::open(&lab, me, (0, B256::ZERO), Vec::new());
    node.step(&lab, Time::ZERO, Input::Start);
    node.step(&lab, Time::ZERO, Input::Timer(TimerId::new(1)));
    assert_eq!(node.votes(Kind::Nullify), 1);
    let mut again = Node::open(&lab, me, (0, B256::ZERO), node.records.clone());
    again.step(&lab, Time::ZERO, Input::Start);
    let others: Vec<_> = (0..4).filter(|n| *n != me).collect();
    let c = cert(&lab, &others, Kind::Notarize, 1, B256::repeat_byte(1));
    again.hear(&lab, Time::ZERO, others[0], SimplexMessage::Certificates(vec![c]));
    assert_eq!(again.votes(Kind::Finalize), 0);
}

/// A contradiction that is seen after the view has ended.
#[test]
fn contradictions_are_seen_after_the_view() {
    let lab = SimplexLab::new(4);
    let me = (0..4).find(|n| *n != leader(&lab, 1)).unwrap();
    let bad = (0..4).find(|n| *n != me && *n != leader(&lab, 1)).unwrap();
    let mut node = Node::open(&lab, me, (0, B256::ZERO), Vec::new());
    node.step(&lab, Time::ZERO, Input::Start);
    let others: Vec<_> = (0..4).filter(|n| *n != me).collect();
    let id = B256::repeat_byte(1);
    node.hear(&lab, Time::ZERO, bad, SimplexMessage::Vote(signed(&lab, bad, Kind::Notarize, 1, id)));
    let c = cert(&lab, &others, Kind::Notarize, 1, id);
    node.hear(&lab, Time::ZERO, others[0], SimplexMessage::Certificates(vec![c]));
    node.hear(&lab, Time::ZERO, bad, SimplexMessage::Vote(signed(&lab, bad, Kind::Finalize, 1, id)));
    node.hear(&lab, Time::ZERO, bad, SimplexMessage::Vote(signed(&lab, bad, Kind::Nullify, 1, B256::ZERO)));
    node.hear(&lab, Time::ZERO, bad, SimplexMessage::Vote(signed(&lab, bad, Kind::Notarize, 1, B256::repeat_byte(2))));
    assert_eq!(node.accused, 2);
}

/// An old proof takes the place of the newest one: who has decided alone never tells the others.
#[test]
fn an_old_proof_does_not_hide_the_newest() {
    for attack in [false, true] {
        let lab = SimplexLab::new(4);
        let first = before_epoch(100).get() + 1;
        let c = lab.config(0).committees.at(Height::new(101), Round::ZERO).unwrap();
        let d = (0..4).find(|n| lab.peer(*n) == c.proposer).unwrap();
        let honest: Vec<_> = (0..4).filter(|n| *n != d).collect();
        let applied = B256::repeat_byte(5);
        let mut now = Time::ZERO;
        let mut nodes: Vec<_> =
            honest.iter().map(|n| Node::with_epochs(&lab, *n, (100, applied), Vec::new(), 1)).collect();
        for node in &mut nodes {
            node.step(&lab, now, Input::Start);
        }
        // D leads. C has given up when the block comes. A alone hears D's finalize vote.
        let x = value(101, applied, 7, 0);
        let mut extra = x.header().extra.to_vec();
        extra[23..31].copy_from_slice(&first.to_be_bytes());
        let x = x.with_extra(extra.into());
        nodes[2].step(&lab, now, Input::Timer(TimerId::new(1)));
        for node in &mut nodes {
            let msg = SimplexMessage::Proposal {
                signed: signed(&lab, d, Kind::Proposal, first, x.id()),
                value: x.clone(),
                parent: None,
                nullified: Vec::new(),
            };
            node.hear(&lab, now, d, msg);
            // C as well, so that it is the first to say nothing more in this view.
            node.hear(&lab, now, d, SimplexMessage::Vote(signed(&lab, d, Kind::Notarize, first, x.id())));
        }
        nodes[0].hear(&lab, now, d, SimplexMessage::Vote(signed(&lab, d, Kind::Finalize, first, x.id())));
        deliver(&lab, &mut nodes, now);
        assert_eq!(nodes.iter().map(|n| n.decided).collect::<Vec<_>>(), [101, 100, 100]);
        if attack {
            // A proof that a quorum has made long ago, of block 90.
            let old = cert(&lab, &honest, Kind::Finalize, before_epoch(89).get() + 1, B256::repeat_byte(9));
            nodes[0].hear(&lab, now, d, SimplexMessage::Certificates(vec![old]));
        }
        run(&lab, &mut nodes, &mut now, 400);
        let seen: Vec<_> = nodes.iter().map(|n| (n.at, n.view(), n.decided)).collect();
        assert!(nodes.iter().all(|n| n.decided > 110), "attack {attack}: {seen:?} at {now:?}");
    }
}

#[test]
fn refused_proposals_do_not_run_through_the_views() {
    let lab = SimplexLab::new(4);
    let mut nodes: Vec<_> = (0..4).map(|n| Node::open(&lab, n, (0, B256::ZERO), Vec::new())).collect();
    let mut now = Time::ZERO;
    for node in &mut nodes {
        node.verdict = Verdict::Invalid("all are refused");
        node.step(&lab, now, Input::Start);
    }
    while nodes[0].view() < 300 {
        let before = nodes[0].view();
        deliver(&lab, &mut nodes, now);
        if nodes[0].view() == before {
            run(&lab, &mut nodes, &mut now, 1);
        }
    }
    assert!(now.since(Time::ZERO) > Duration::from_secs(100), "{now:?} for the last 44 views");
    for node in &mut nodes {
        node.verdict = Verdict::Valid;
    }
    run(&lab, &mut nodes, &mut now, 100);
    assert!(nodes.iter().all(|node| node.decided > 0));
}
