//! Messages of Simplex survive the wire, and nothing else is one; and what is kept of them has a bound.

use alloy_primitives::{Address, B256};
use klay_consensus::{
    istanbul::seal::Seal,
    sim::{
        Lab as _,
        simplex::SimplexLab,
        value::{LabValue, mock_sign},
    },
    simplex::{Certificate, Kind, SignedVote, Simplex, SimplexMessage, SimplexRecord, Vote, final_digest},
    types::{Effects, Engine as _, Floor, Height, Input, Limits, Slot, Time, quorum},
};
use proptest::{collection::vec, prelude::*};

type Message = SimplexMessage<LabValue>;

fn any_seal() -> impl Strategy<Value = Seal> {
    vec(any::<u8>(), 65).prop_map(|bytes| bytes.try_into().unwrap())
}

fn any_id() -> impl Strategy<Value = B256> {
    any::<[u8; 32]>().prop_map(B256::from)
}

fn any_vote(kinds: &'static [Kind]) -> impl Strategy<Value = Vote> {
    (proptest::sample::select(kinds), any::<u64>(), any_id()).prop_map(|(kind, view, id)| {
        let id = if kind == Kind::Nullify { B256::ZERO } else { id };
        Vote { kind, view: Slot::new(view), id }
    })
}

fn any_signed() -> impl Strategy<Value = SignedVote> {
    let kinds = &[Kind::Proposal, Kind::Notarize, Kind::Nullify, Kind::Finalize];
    (any_vote(kinds), any::<[u8; 20]>(), any_seal(), vec((any_id(), any_seal()), 0..4)).prop_map(
        |(vote, from, signature, ancestors)| {
            let ancestors = if vote.kind == Kind::Finalize { ancestors } else { Vec::new() };
            SignedVote { vote, from: Address::from(from), signature, ancestors }
        },
    )
}

fn any_certificate() -> impl Strategy<Value = Certificate> {
    let kinds = &[Kind::Notarize, Kind::Nullify, Kind::Finalize];
    (any_vote(kinds), vec(any_seal(), 0..5)).prop_map(|(vote, seals)| Certificate { vote, seals })
}

fn any_value() -> impl Strategy<Value = LabValue> {
    (any::<u64>(), any_id(), any::<u64>(), any::<bool>())
        .prop_map(|(height, parent, salt, valid)| LabValue::new(Height::new(height), parent, salt, valid))
}

fn any_message() -> impl Strategy<Value = Message> {
    let proposal = (any_signed(), any_value(), proptest::option::of(any_certificate()), vec(any_certificate(), 0..3))
        .prop_map(|(signed, value, parent, nullified)| SimplexMessage::Proposal { signed, value, parent, nullified });
    prop_oneof![
        proposal,
        any_signed().prop_map(SimplexMessage::Vote),
        vec(any_certificate(), 0..5).prop_map(SimplexMessage::Certificates),
        (any::<u64>(), vec(any_id(), 0..5))
            .prop_map(|(from, values)| SimplexMessage::Ask { from: Slot::new(from), values }),
        any_value().prop_map(SimplexMessage::Value),
    ]
}

/// After a restart a node may not know the view of its last block; votes for old views must not pile up meanwhile.
#[test]
fn votes_for_old_views_are_bounded_before_the_applied_view_is_known() {
    let lab = SimplexLab::new(4);
    let signed = |node, kind, view, id| {
        let vote = Vote { kind, view: Slot::new(view), id };
        let signature = mock_sign(lab.peer(node), vote.digest(B256::ZERO).0);
        SignedVote { vote, from: lab.peer(node), signature, ancestors: Vec::new() }
    };
    let last = 20_000;
    let over = (0..3).map(|node| signed(node, Kind::Nullify, last, B256::ZERO));
    let (votes, seals): (Vec<_>, Vec<_>) = over.map(|signed| (signed.vote, signed.signature)).unzip();
    let log = vec![SimplexRecord::Certified(Certificate { vote: votes[0], seals })];
    let floor = Floor { height: Height::new(7), id: B256::repeat_byte(7), next_at: Time::ZERO };
    let mut engine = Simplex::<LabValue>::open(lab.config(0), floor, log).unwrap();
    let mut fx = Effects::new(Default::default());
    engine.step(Time::ZERO, Input::Start, &mut fx);
    assert_eq!(engine.status().round.get(), last + 1);
    for view in 1..=last {
        let msg = SimplexMessage::Vote(signed(3, Kind::Finalize, view, B256::repeat_byte(1)));
        engine.step(Time::ZERO, Input::Message { from: lab.peer(3), msg, checked: false }, &mut fx);
        fx.drain().for_each(drop);
    }
    assert!(engine.status().backlog < 5_000, "{}", engine.status().backlog);
}

fn encoded(message: &Message) -> Vec<u8> {
    let mut bytes = Vec::new();
    message.encode(&mut bytes);
    bytes
}

proptest! {
    #[test]
    fn a_message_survives_the_wire(message in any_message()) {
        let bytes = encoded(&message);
        prop_assert_eq!(Message::decode(&bytes, Limits::default()), Ok(message));
    }

    #[test]
    fn bytes_have_one_meaning_and_a_meaning_one_form(
        message in any_message(), at in any::<prop::sample::Index>(), flip in 1..=255u8,
    ) {
        let mut bytes = encoded(&message);
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        if let Ok(other) = Message::decode(&bytes, Limits::default()) {
            prop_assert_eq!(encoded(&other), bytes);
            prop_assert_ne!(other, message);
        }
    }

    #[test]
    fn what_is_cut_or_too_long_is_no_message(message in any_message(), at in any::<prop::sample::Index>()) {
        let bytes = encoded(&message);
        prop_assert!(Message::decode(&bytes[..at.index(bytes.len())], Limits::default()).is_err());
        let longer = [&bytes[..], &[0]].concat();
        prop_assert!(Message::decode(&longer, Limits::default()).is_err());
        let tight = Limits { message: bytes.len() - 1, ..Limits::default() };
        prop_assert!(Message::decode(&bytes, tight).is_err());
    }

    #[test]
    fn arbitrary_bytes_do_not_panic(bytes in vec(any::<u8>(), 0..300)) {
        let _unread = Message::decode(&bytes, Limits::default()).is_err();
    }

    #[test]
    fn no_two_votes_are_signed_alike(a in any_signed(), b in any_signed(), domain in any_id()) {
        let (a, b) = (a.vote, b.vote);
        prop_assert_eq!(a.digest(domain) == b.digest(domain), a == b);
        if a.kind == Kind::Finalize {
            prop_assert_eq!(a.digest(domain), final_digest(a.id, a.view));
        } else {
            prop_assert_ne!(a.digest(domain), a.digest(domain ^ B256::with_last_byte(1)));
        }
    }

    #[test]
    fn two_quorums_share_somebody_honest(n in 1..10_000u32) {
        prop_assert!(2 * quorum::live(n) > n + quorum::tolerated(n));
    }
}
