//! One name, several forms: a value's name covers neither the round nor the committed seals in its header. What is no
//! proposal is not voted for, whatever the application says of it.

use std::sync::Arc;

use alloy_primitives::{B256, Bytes};
use klay_consensus::{
    istanbul::{
        Body, CommittedSeals, Compat, HeaderValue as _, Istanbul, Klaytn, Message, Preprepare,
        justified::{Justified, JustifiedMessage, Kind, SignedVote, Vote},
    },
    sim::{
        Byzantine, Faults, Lab, Run,
        istanbul::IstanbulLab,
        justified::JustifiedLab,
        run,
        simplex::SimplexLab,
        value::{LabValue, mock_sign},
    },
    simplex::{self, Simplex, SimplexMessage},
    types::{Effect, Effects, Engine, Floor, Height, Input, Round, Slot, Time, Value as _, Verdict, View},
};

/// A value of height 1 for the first view of any engine.
fn value() -> LabValue {
    let value = LabValue::new(Height::new(1), B256::ZERO, 1, true);
    let mut extra = value.header().extra.to_vec();
    extra[30] = 1; // the view, where Simplex looks for it
    value.with_extra(extra.into())
}

/// What the second validator says to a message of the first one: the rule that refuses it, and how much it has to say.
/// The application accepts every value.
fn answer<E: Engine<Klaytn<LabValue>>, L: Lab>(
    lab: &L,
    config: E::Config,
    msg: E::Msg,
) -> (Option<&'static str>, Vec<&'static str>)
where
    L: Lab<Model = Klaytn<LabValue>, Engine = E>,
{
    let floor = Floor { height: Height::ZERO, id: B256::ZERO, next_at: Time::ZERO };
    let mut engine = E::open(config, floor, vec![]).unwrap();
    let mut fx = Effects::new(Default::default());
    let (mut refused, mut said) = (None, Vec::new());
    let mut inputs = vec![Input::Message { from: lab.peer(0), msg, checked: false }, Input::Start];
    while let Some(input) = inputs.pop() {
        engine.step(Time::ZERO, input, &mut fx);
        for effect in fx.drain().collect::<Vec<_>>() {
            match effect {
                Effect::Sign { ticket, digest, .. } => {
                    inputs.push(Input::Signed { ticket, result: Ok(lab.sign(1, digest)) });
                }
                Effect::Check { slot, value } => {
                    inputs.push(Input::Verdict { slot, id: value.id(), verdict: Verdict::Valid });
                }
                Effect::Broadcast { msg, .. } => said.push(lab.describe(&msg).0),
                Effect::Rejected { why, .. } => refused = Some(why.rule),
                _ => {}
            }
        }
    }
    (refused, said)
}

#[test]
fn istanbul_leaves_the_round_of_a_proposal_that_could_not_be_written() {
    let lab = IstanbulLab::new(4, Compat::default());
    let told = |value: LabValue| {
        let view = View::new(Slot::new(1), Round::ZERO);
        let mut msg = Message::unsigned(Body::Preprepare(Preprepare { view, value }), lab.peer(0), Bytes::new());
        msg.envelope.signature = Bytes::copy_from_slice(&mock_sign(lab.peer(0), msg.envelope.digest().0));
        answer::<Istanbul<LabValue>, _>(&lab, lab.config(1), msg)
    };
    assert_eq!(told(value()), (None, vec!["prepare"]));
    assert_eq!(told(value().misshapen()), (Some("PP-6"), vec!["round change"]));
}

#[test]
fn justified_rounds_refuse_a_proposal_that_is_committed_to() {
    let lab = JustifiedLab::new(4);
    let told = |value: LabValue| {
        let view = View::new(Slot::new(1), Round::ZERO);
        let vote = Vote { kind: Kind::Proposal, view, digest: value.id(), prepared: None };
        let mut signed = SignedVote { vote, from: lab.peer(0), signature: Bytes::new(), seal: Bytes::new() };
        signed.signature = Bytes::copy_from_slice(&mock_sign(signed.from, signed.signing_digest(B256::ZERO).0));
        let msg = JustifiedMessage { value: Some(value), ..JustifiedMessage::plain(signed) };
        answer::<Justified<LabValue>, _>(&lab, lab.config(1), msg)
    };
    assert_eq!(told(value()), (None, vec!["prepare"]));
    assert_eq!(told(value().misshapen()), (Some("JE-2"), vec![]));
    assert_eq!(told(committed(value())), (Some("JE-2"), vec![]));
}

#[test]
fn simplex_refuses_a_proposal_that_is_committed_to() {
    let lab = SimplexLab::new(4);
    let told = |value: LabValue| {
        let vote = simplex::Vote { kind: simplex::Kind::Proposal, view: Slot::new(1), id: value.id() };
        let signature = mock_sign(lab.peer(0), vote.digest(B256::ZERO).0);
        let signed = simplex::SignedVote { vote, from: lab.peer(0), signature, ancestors: vec![] };
        let msg = SimplexMessage::Proposal { signed, value, parent: None, nullified: vec![] };
        answer::<Simplex<LabValue>, _>(&lab, lab.config(1), msg)
    };
    assert_eq!(told(value()), (None, vec!["notarize"]));
    assert_eq!(told(value().misshapen()), (Some("SX-2"), vec![]));
    assert_eq!(told(committed(value())), (Some("SX-2"), vec![]));
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
    }
}
