//! Evidence proves what it says to whoever has nothing but its bytes, and takes offenders out of the set where a chain
//! wants that.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

use alloy_primitives::{Address, B256};
use klay_consensus::{
    istanbul::{CommittedSeals, Compat, Klaytn, Relay, justified::seal_digest, seal},
    sim::{
        Byzantine, CertOf, Faults, Lab, MsgOf, Report, Run, Stream,
        istanbul::IstanbulLab,
        justified::JustifiedLab,
        run,
        value::{LabValue, MockAuthors, Turns},
    },
    types::{
        Codec, Committee, Committees, Engine, Evidence, EvidencePool, Height, Limits, Misbehaviour, NotYet, Round,
        Statement, Value, View, quorum,
    },
    valset::{Penalties, Penalty},
};

type ConfigOf<L> = <<L as Lab>::Engine as Engine<<L as Lab>::Model>>::Config;

/// What a court has to know about an engine.
trait Judged: Lab<Model = Klaytn<LabValue>> {
    fn seated(config: ConfigOf<Self>, committees: Arc<Seats>) -> ConfigOf<Self>;
    fn sealed(value: &LabValue, cert: &CommittedSeals) -> B256;
}

impl Judged for JustifiedLab {
    fn seated(config: ConfigOf<Self>, committees: Arc<Seats>) -> ConfigOf<Self> {
        ConfigOf::<Self> { committees, ..config }
    }
    fn sealed(value: &LabValue, cert: &CommittedSeals) -> B256 {
        seal_digest(value.id(), cert.round)
    }
}

impl Judged for IstanbulLab {
    /// Messages are passed on, so that whoever tells everybody something else is found out.
    fn seated(config: ConfigOf<Self>, committees: Arc<Seats>) -> ConfigOf<Self> {
        ConfigOf::<Self> { committees, relay: Relay::Flood, ..config }
    }
    fn sealed(value: &LabValue, _cert: &CommittedSeals) -> B256 {
        seal::committed_digest(value.id())
    }
}

/// What one node knows: who has been put out by the values that it has applied, and what it has seen itself.
#[derive(Debug)]
struct Seats {
    turns: Turns,
    penalties: Mutex<Penalties<Address>>,
    seen: Mutex<EvidencePool<Address>>,
    /// The heights whose values carried evidence, and against whom.
    convicted: Mutex<BTreeMap<u64, Address>>,
}

impl Committees<Klaytn<LabValue>> for Seats {
    fn at(&self, height: Height, round: Round) -> Result<Arc<Committee<Address>>, NotYet> {
        let out = self.penalties.lock().unwrap().out(height)?;
        Ok(Arc::new(self.turns.at(height, round)?.without(&out)))
    }
}

impl Seats {
    fn members(&self, height: u64) -> Result<Vec<Address>, NotYet> {
        self.at(Height::new(height), Round::ZERO).map(|committee| committee.members.clone())
    }
}

/// A lab whose values carry evidence, and whose set rule listens to it.
struct Court<L> {
    lab: L,
    nodes: Vec<Arc<Seats>>,
}

impl<L: Judged> Court<L> {
    fn new(lab: L, penalty: Penalty<Address>) -> Self {
        let seats = |_| Seats {
            turns: Turns::new(lab.nodes()),
            penalties: Mutex::new(Penalties::new(penalty)),
            seen: Mutex::new(EvidencePool::new(1 << 20)),
            convicted: Mutex::default(),
        };
        Self { nodes: (0..lab.nodes()).map(seats).map(Arc::new).collect(), lab }
    }

    fn charge(value: &LabValue) -> Option<Evidence<Address>> {
        Evidence::decode(value.content(), Limits::default()).ok()
    }
}

#[rustfmt::skip]
impl<L: Judged> Lab for Court<L> {
    type Model = Klaytn<LabValue>;
    type Engine = L::Engine;

    fn nodes(&self) -> usize { self.lab.nodes() }
    fn peer(&self, node: usize) -> Address { self.lab.peer(node) }
    fn genesis(&self) -> B256 { self.lab.genesis() }
    fn sign(&self, node: usize, digest: [u8; 32]) -> seal::Seal { self.lab.sign(node, digest) }
    fn claim(&self, msg: &MsgOf<Self>) -> Option<(Address, Statement)> { self.lab.claim(msg) }
    fn proposes(&self, msg: &MsgOf<Self>) -> Option<B256> { self.lab.proposes(msg) }
    fn describe(&self, msg: &MsgOf<Self>) -> (&'static str, usize) { self.lab.describe(msg) }
    fn codec(&self) -> &dyn Codec<Self::Model, Msg = MsgOf<Self>> { self.lab.codec() }
    fn proves(&self, evidence: &Evidence<Address>) -> bool { self.lab.proves(evidence) }
    fn locks(&self) -> bool { self.lab.locks() }
    fn corrupt(&self, node: usize, how: Byzantine, to: usize, msg: &MsgOf<Self>, random: &mut Stream) -> Vec<MsgOf<Self>> {
        self.lab.corrupt(node, how, to, msg, random)
    }
    fn round(&self, value: &LabValue, parent: Option<&LabValue>, cert: &CertOf<Self>) -> u64 {
        self.lab.round(value, parent, cert)
    }

    fn config(&self, node: usize) -> ConfigOf<Self> {
        L::seated(self.lab.config(node), Arc::clone(&self.nodes[node]))
    }

    /// With the first evidence that the node holds against somebody who is not convicted yet.
    fn value(&self, node: usize, height: Height, parent: B256, salt: u64, valid: bool) -> LabValue {
        let value = self.lab.value(node, height, parent, salt, valid);
        let convicted: BTreeSet<_> = self.nodes[node].convicted.lock().unwrap().values().copied().collect();
        let seen = self.nodes[node].seen.lock().unwrap();
        match seen.iter().find(|evidence| !convicted.contains(&evidence.offender)) {
            Some(evidence) => {
                let mut bytes = Vec::new();
                evidence.encode(&mut bytes);
                value.carrying(bytes.into())
            }
            None => value,
        }
    }

    /// Nobody is put out by a lie.
    fn is_valid(&self, value: &LabValue) -> bool {
        let is_true = || Self::charge(value).is_some_and(|evidence| self.proves(&evidence));
        self.lab.is_valid(value) && (value.content().is_empty() || is_true())
    }

    /// Enough seals of those who sit at that height, and no others.
    fn accepts(&self, value: &LabValue, cert: &CertOf<Self>) -> bool {
        let known = |seats: &Arc<Seats>| seats.members(value.height().get()).ok();
        let Some(members) = self.nodes.iter().find_map(known) else { return false };
        let author = |sealed| seal::Authors::author(&MockAuthors, L::sealed(value, cert), sealed);
        let signers: BTreeSet<_> = cert.seals.iter().filter_map(author).collect();
        signers.len() == cert.seals.len()
            && signers.len() >= quorum::import(members.len() as u32) as usize
            && signers.iter().all(|signer| members.contains(signer))
    }

    fn reported(&self, node: usize, evidence: &Evidence<Address>) {
        self.nodes[node].seen.lock().unwrap().insert(evidence.clone().ordered());
    }

    fn applied(&self, node: usize, value: &LabValue) {
        let charge = Self::charge(value);
        self.nodes[node].convicted.lock().unwrap().extend(charge.iter().map(|e| (value.height().get(), e.offender)));
        let charges = charge.into_iter().collect::<Vec<_>>();
        self.nodes[node].penalties.lock().unwrap().decided(value.height(), &charges).unwrap();
    }
}

/// The last node lies; the others put it out, all at the same height, or never.
fn liar<L: Judged>(lab: L, seed: u64, how: Byzantine, penalty: Penalty<Address>) -> (Report, Option<u64>) {
    let court = Arc::new(Court::new(lab, penalty));
    let honest = court.nodes() - 1;
    let report = run(&court, Run { heights: 12, ..Run::new(seed, Faults { byzantine: vec![how], ..Faults::none() }) });
    assert!(report.finished && report.violations.is_empty(), "{:?}", report.violations);
    assert!(report.metrics.evidence > 0);
    let seats = &court.nodes[..honest];
    let convicted = seats[0].convicted.lock().unwrap().clone();
    let (first, offender) = convicted.first_key_value().expect("no value carries evidence");
    assert_eq!(*offender, court.peer(honest));
    let mut out = None;
    for node in seats {
        for height in 1..=12 {
            let members = node.members(height).unwrap();
            assert_eq!(members, seats[0].members(height).unwrap(), "height {height}");
            let is_out = !members.contains(offender);
            assert_eq!(members.len(), court.nodes() - usize::from(is_out));
            out = out.or(is_out.then_some(height));
            assert_eq!(is_out, out.is_some_and(|from| from <= height));
        }
        assert!(node.convicted.lock().unwrap().first_key_value() == Some((first, offender)));
        assert!(node.members(1_000).is_err(), "what is not decided is not known");
    }
    (report, out.inspect(|from| assert_eq!(*from, first + 2)))
}

const ALL: Penalty<Address> = |_| true;

#[test]
fn whoever_contradicts_itself_leaves_two_heights_after_the_value_that_says_so() {
    for seed in 0..20 {
        for validators in [4, 7] {
            assert!(liar(JustifiedLab::new(validators), seed, Byzantine::DoubleVote, ALL).1.is_some());
            for how in [Byzantine::DoubleVote, Byzantine::Equivocate] {
                assert!(liar(IstanbulLab::new(validators, Compat::default()), seed, how, ALL).1.is_some());
            }
        }
    }
}

#[test]
fn a_rule_chooses_among_offences_and_none_is_punished_by_itself() {
    for seed in 0..5 {
        assert_eq!(liar(JustifiedLab::new(4), seed, Byzantine::DoubleVote, |_| false).1, None);
        let only_seals: Penalty<Address> = |evidence| evidence.kind == Misbehaviour::BadSeal;
        assert_eq!(liar(JustifiedLab::new(4), seed, Byzantine::DoubleVote, only_seals).1, None);
        assert!(liar(JustifiedLab::new(4), seed, Byzantine::BadSeal, only_seals).1.is_some());
    }
}

#[test]
fn heights_are_told_in_order_and_once() {
    let [a, b] = [1, 2].map(Address::with_last_byte);
    let charge = |offender, kind| {
        let (height, view, proof) = (Height::new(1), View::default(), Vec::new());
        Evidence { kind, offender, height, view, proof }
    };
    let mut penalties = Penalties::<Address>::new(|evidence| evidence.kind != Misbehaviour::BadSeal);
    let mut told = |height: u64, charges: &[Evidence<Address>]| penalties.decided(Height::new(height), charges);
    told(1, &[charge(b, Misbehaviour::BadSeal)]).unwrap();
    assert_eq!(told(3, &[charge(b, Misbehaviour::DoubleVote)]), Err(NotYet(Height::new(2))));
    told(2, &[charge(a, Misbehaviour::DoubleVote)]).unwrap();
    told(2, &[charge(b, Misbehaviour::DoubleVote)]).unwrap();
    told(3, &[charge(a, Misbehaviour::DoubleProposal)]).unwrap();
    let out = |height| penalties.out(Height::new(height));
    assert_eq!([out(3), out(4), out(5)].map(Result::unwrap), [[].into(), [a].into(), [a].into()]);
    assert_eq!(out(6), Err(NotYet(Height::new(6))));
}

#[test]
fn the_turn_of_one_who_is_out_falls_to_the_next() {
    let [a, b, c, d, e] = [1, 2, 3, 4, 5].map(Address::with_last_byte);
    let committee = Committee::new(vec![a, b, c, d], c).with_senders(vec![a, b, c, d, e]);
    let without = |out: &[Address]| committee.without(&out.iter().copied().collect());
    assert_eq!(without(&[]), committee);
    assert_eq!(without(&[Address::ZERO]), committee);
    assert_eq!(without(&[c]), Committee::new(vec![a, b, d], d).with_senders(vec![a, b, d, e]));
    assert_eq!(without(&[c, d]), Committee::new(vec![a, b], a).with_senders(vec![a, b, e]));
    assert_eq!(without(&[e, a]), Committee::new(vec![b, c, d], c).with_senders(vec![b, c, d]));
    assert_eq!(without(&[a, b, c, d]), committee, "a chain does not end with its validators");
}
