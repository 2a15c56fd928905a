//! Evidence has one form, whoever writes it down, and says the same wherever it is read.

use crate::common::{Key, TestBlock};
use alloy_primitives::{Address, B256, Bytes};
use klay_consensus::{
    istanbul::{
        self, Body, Message, Preprepare, RawBlock, Subject,
        justified::{self, JustifiedMessage},
        seal,
    },
    simplex::{self, SimplexMessage},
    types::{Evidence, EvidencePool, Height, Limits, Malformed, Misbehaviour, Round, Slot, Unproven, View},
};
use klay_core::Sign as _;
use proptest::prelude::*;

const fn evidence(kind: Misbehaviour, proof: Vec<Vec<u8>>) -> Evidence<Address> {
    let view = View::new(Slot::new(9), Round::new(2));
    Evidence { kind, offender: Address::repeat_byte(7), height: Height::new(9), view, proof }
}

fn encoded(evidence: &Evidence<Address>) -> Vec<u8> {
    let mut bytes = Vec::new();
    evidence.encode(&mut bytes);
    bytes
}

fn decoded(bytes: &[u8]) -> Result<Evidence<Address>, Malformed> {
    Evidence::decode(bytes, Limits::default())
}

#[test]
fn the_bytes_of_an_offence() {
    let double = evidence(Misbehaviour::DoubleVote, vec![vec![2, 2], vec![1]]);
    let expected = [&[0xde, 0x01, 0x94][..], &[7; 20], &[0x09, 0x09, 0x02, 0xc4, 0x01, 0x82, 2, 2]].concat();
    assert_eq!(encoded(&double), expected);
    let other_order = evidence(Misbehaviour::DoubleVote, vec![vec![1], vec![2, 2]]);
    assert_eq!(encoded(&other_order), expected, "the order of reporting is no matter");
    assert_eq!(decoded(&expected).unwrap(), double.ordered());
}

#[test]
fn other_forms_are_refused() {
    let of = |kind, proof: &[&[u8]]| encoded(&evidence(kind, proof.iter().map(|m| m.to_vec()).collect()));
    use Misbehaviour::{BadSeal, DoubleVote};
    assert!(decoded(&of(BadSeal, &[b"a"])).is_ok());
    for bytes in [of(BadSeal, &[]), of(DoubleVote, &[b"a"])] {
        assert!(matches!(decoded(&bytes), Err(Malformed::Length { what: "proofs", .. })));
    }
    for bytes in [of(BadSeal, &[b"a", b"b"]), of(DoubleVote, &[b"a", b"b", b"c"])] {
        assert!(matches!(decoded(&bytes), Err(Malformed::TooMany { what: "proofs", .. })));
    }
    assert!(matches!(decoded(&of(DoubleVote, &[b"same", b"same"])), Err(Malformed::Rlp(_))), "one message twice");
    let mut swapped = of(DoubleVote, &[b"a", b"b"]);
    let last = swapped.len() - 1;
    swapped.swap(last - 1, last);
    assert!(matches!(decoded(&swapped), Err(Malformed::Rlp(_))), "the other order");
    let mut unknown = of(BadSeal, &[b"a"]);
    unknown[1] = 6;
    assert_eq!(decoded(&unknown), Err(Malformed::Unknown { what: "kind of evidence", code: 6 }));
    let whole = of(DoubleVote, &[b"a", b"b"]);
    for cut in 0..whole.len() {
        assert!(decoded(&whole[..cut]).is_err());
    }
    assert!(decoded(&[whole.clone(), vec![0]].concat()).is_err());
    let limits = Limits { message: whole.len() - 1, ..Limits::default() };
    assert!(matches!(Evidence::<Address>::decode(&whole, limits), Err(Malformed::TooLarge { .. })));
}

proptest! {
    #[test]
    fn what_is_written_reads_back(
        kind in 0u8..6, offender in any::<[u8; 20]>(), places in any::<[u64; 3]>(),
        first in proptest::collection::vec(any::<u8>(), 0..80), second in proptest::collection::vec(any::<u8>(), 0..80),
    ) {
        let kind = Misbehaviour::from_byte(kind).unwrap();
        prop_assume!(first != second);
        let [height, slot, round] = places;
        let mut proof = vec![first, second];
        proof.truncate(kind.proofs());
        let view = View::new(Slot::new(slot), Round::new(round));
        let evidence = Evidence { kind, offender: Address::from(offender), height: Height::new(height), view, proof };
        prop_assert_eq!(decoded(&encoded(&evidence)).unwrap(), evidence.ordered());
    }

    #[test]
    fn what_is_read_writes_back_the_same(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
        if let Ok(evidence) = decoded(&bytes) {
            prop_assert_eq!(encoded(&evidence), bytes);
        }
    }
}

/// Whose word stands against whom: nine keys, of which 1 to 4 are validators.
fn validators() -> Vec<Address> {
    (1..=4).map(|key| Key::new(key).address()).collect()
}

fn signed_by(key: u64, digest: B256) -> [u8; 65] {
    seal::compact(&Key::new(key).sign_digest(digest).unwrap())
}

fn bytes(encode: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(&mut bytes);
    bytes
}

const VIEW: View = View::new(Slot::new(9), Round::new(2));

fn against(kind: Misbehaviour, proof: Vec<Vec<u8>>) -> Evidence<Address> {
    Evidence { kind, offender: Key::new(2).address(), height: Height::new(9), view: VIEW, proof }.ordered()
}

/// The evidence proves something, and nothing about others, other views, other kinds, or half of it.
fn proves_just_that(evidence: &Evidence<Address>, check: impl Fn(&Evidence<Address>) -> Result<(), Unproven>) {
    check(evidence).unwrap();
    let mut other = evidence.clone();
    other.offender = Key::new(3).address();
    assert_eq!(check(&other), Err(Unproven::NotSigned));
    other.offender = Key::new(9).address();
    assert_eq!(check(&other), Err(Unproven::NotAValidator));
    let view = View::first(Slot::new(8));
    let elsewhere = Evidence { view, ..evidence.clone() };
    assert_eq!(check(&elsewhere), Err(Unproven::Elsewhere { expected: view, got: evidence.view }));
    for kind in (0..6).filter_map(Misbehaviour::from_byte).filter(|kind| *kind != evidence.kind) {
        assert_eq!(check(&Evidence { kind, ..evidence.clone() }), Err(Unproven::NoContradiction), "{kind:?}");
    }
    let first = evidence.proof[0].clone();
    let half = Evidence { proof: vec![first.clone(); evidence.kind.proofs()], ..evidence.clone() };
    assert_eq!(check(&half).is_ok(), evidence.kind.proofs() == 1);
    let mut damaged = evidence.clone();
    damaged.proof[0].pop();
    assert!(matches!(check(&damaged), Err(Unproven::Message(_))));
}

#[test]
fn anybody_can_check_evidence_of_istanbul() {
    let check =
        |evidence: &Evidence<Address>| istanbul::check_evidence::<RawBlock>(evidence, &validators(), &seal::Recover);
    let message = |body: Body<RawBlock>, sealed: &[u8]| {
        let mut message = Message::unsigned(body, Key::new(2).address(), Bytes::copy_from_slice(sealed));
        message.envelope.signature = Bytes::copy_from_slice(&signed_by(2, message.envelope.digest()));
        bytes(|out| message.encode(out))
    };
    let parent = B256::repeat_byte(1);
    let subject = |digest: u8, prev_hash| Subject { view: VIEW, digest: B256::repeat_byte(digest), prev_hash };
    let block = |content, parent_hash| {
        let header = TestBlock::new(9, parent_hash, content, seal::new_extra(b"", validators())).header;
        // What is in a block does not matter here.
        RawBlock::new(header, Bytes::from_static(&[0xc1, 0x07, 0x80]))
    };
    let propose =
        |content, parent| message(Body::Preprepare(Preprepare { view: VIEW, value: block(content, parent) }), b"");
    use Misbehaviour::{BadSeal, DoubleProposal, DoubleVote};

    let prepares = |parents: [B256; 2]| {
        let [a, b] = [(3, parents[0]), (4, parents[1])].map(|(d, p)| message(Body::Prepare(subject(d, p)), b""));
        against(DoubleVote, vec![a, b])
    };
    proves_just_that(&prepares([parent; 2]), check);
    let other_chain = prepares([parent, B256::repeat_byte(2)]);
    assert_eq!(check(&other_chain), Err(Unproven::NoContradiction), "a key may serve two chains");

    let commits = [3, 4].map(|digest| message(Body::Commit(subject(digest, parent)), b""));
    let answer = against(DoubleVote, commits.into());
    assert_eq!(check(&answer), Err(Unproven::NoContradiction), "an honest answer to an old proposal");

    proves_just_that(&against(DoubleProposal, vec![propose(3, parent), propose(4, parent)]), check);
    let other_chain = against(DoubleProposal, vec![propose(3, parent), propose(4, B256::ZERO)]);
    assert_eq!(check(&other_chain), Err(Unproven::NoContradiction));
    assert_eq!(propose(3, parent), propose(3, parent), "what is signed twice is one message");

    let commit = |sealed: &[u8]| against(BadSeal, vec![message(Body::Commit(subject(3, parent)), sealed)]);
    proves_just_that(&commit(&[7; 65]), check);
    let good = signed_by(2, seal::committed_digest(B256::repeat_byte(3)));
    assert_eq!(check(&commit(&good)), Err(Unproven::NoContradiction));
    check(&commit(&good[..64])).unwrap();
    let another = signed_by(2, seal::committed_digest(B256::repeat_byte(4)));
    for of_the_reference in [&another[..], b""] {
        assert_eq!(
            check(&commit(of_the_reference)),
            Err(Unproven::NoContradiction),
            "an honest answer to an old proposal"
        );
    }

    let asked = |round| {
        let view = View::new(VIEW.slot, Round::new(round));
        message(Body::RoundChange(Subject { view, digest: B256::ZERO, prev_hash: parent }), &[round as u8])
    };
    let repeated = against(DoubleVote, vec![asked(2), message(Body::Prepare(subject(3, parent)), b"")]);
    assert_eq!(check(&repeated), Err(Unproven::NoContradiction), "another kind of vote");
}

#[test]
fn anybody_can_check_evidence_of_justified_rounds() {
    let domain = B256::repeat_byte(5);
    let check = |evidence: &Evidence<Address>| {
        justified::check_evidence::<RawBlock>(evidence, &validators(), domain, &seal::Recover)
    };
    let vote = |kind, digest: u8, sealed: &[u8], domain| {
        let vote = justified::Vote { kind, view: VIEW, digest: B256::repeat_byte(digest), prepared: None };
        let (from, seal) = (Key::new(2).address(), Bytes::copy_from_slice(sealed));
        let mut signed = justified::SignedVote { vote, from, signature: Bytes::new(), seal };
        signed.signature = Bytes::copy_from_slice(&signed_by(2, signed.signing_digest(domain)));
        bytes(|out| JustifiedMessage::<RawBlock>::plain(signed).encode(out))
    };
    use justified::Kind::{Commit, Prepare, Proposal};
    let two = |kind, said, domain| against(kind, vec![vote(said, 3, b"", domain), vote(said, 4, b"", domain)]);
    proves_just_that(&two(Misbehaviour::DoubleVote, Prepare, domain), check);
    proves_just_that(&two(Misbehaviour::DoubleProposal, Proposal, domain), check);
    proves_just_that(&against(Misbehaviour::BadSeal, vec![vote(Commit, 3, &[7; 65], domain)]), check);
    let other_chain = two(Misbehaviour::DoubleVote, Prepare, B256::ZERO);
    assert_eq!(check(&other_chain), Err(Unproven::NotSigned));
    let good = signed_by(2, justified::seal_digest(B256::repeat_byte(3), VIEW.round));
    let sealed = against(Misbehaviour::BadSeal, vec![vote(Commit, 3, &good, domain)]);
    assert_eq!(check(&sealed), Err(Unproven::NoContradiction));
}

#[test]
fn anybody_can_check_evidence_of_simplex() {
    use simplex::Kind::{Finalize, Notarize, Nullify, Proposal};
    let domain = B256::repeat_byte(5);
    let check = |evidence: &Evidence<Address>| {
        simplex::check_evidence::<RawBlock>(evidence, &validators(), domain, &seal::Recover)
    };
    let vote = |kind, id: u8, domain| {
        let id = if kind == Nullify { B256::ZERO } else { B256::repeat_byte(id) };
        let vote = simplex::Vote { kind, view: VIEW.slot, id };
        let (from, signature) = (Key::new(2).address(), signed_by(2, vote.digest(domain)));
        let signed = simplex::SignedVote { vote, from, signature, ancestors: Vec::new() };
        bytes(|out| SimplexMessage::<RawBlock>::Vote(signed).encode(out))
    };
    let of = |kind, proof| Evidence { view: View::first(VIEW.slot), ..against(kind, proof) };
    for (kind, a, b) in [
        (Misbehaviour::DoubleVote, Notarize, Notarize),
        (Misbehaviour::DoubleProposal, Proposal, Proposal),
        (Misbehaviour::FinalizeAndSkip, Finalize, Nullify),
    ] {
        proves_just_that(&of(kind, vec![vote(a, 3, domain), vote(b, 4, domain)]), check);
    }
    let other_chain = of(Misbehaviour::DoubleVote, vec![vote(Notarize, 3, B256::ZERO), vote(Notarize, 4, B256::ZERO)]);
    assert_eq!(check(&other_chain), Err(Unproven::NotSigned));
    // The second may be the ancestor of the first: its seal in a decided header is such a vote.
    for (a, b) in [((Notarize, 3), (Finalize, 3)), ((Finalize, 3), (Finalize, 4))] {
        let honest = of(Misbehaviour::DoubleVote, vec![vote(a.0, a.1, domain), vote(b.0, b.1, domain)]);
        assert_eq!(check(&honest), Err(Unproven::NoContradiction));
    }
}

#[test]
fn an_offence_is_kept_once_for_so_many_slots_and_bytes() {
    let of = |slot: u64, round: u64, size: usize| {
        let view = View::new(Slot::new(slot), Round::new(round));
        Evidence { view, height: Height::new(slot), ..evidence(Misbehaviour::BadSeal, vec![vec![1; size]]) }
    };
    let slots = |pool: &EvidencePool<Address>| pool.iter().map(|e| e.view.slot.get()).collect::<Vec<_>>();
    let mut pool = EvidencePool::new(4_000);
    assert!(pool.insert(of(5, 0, 10)) && !pool.insert(of(5, 0, 11)), "one offence, another proof");
    assert!(pool.insert(of(5, 1, 10)) && pool.insert(of(4, 0, 10)));
    assert!(pool.insert(Evidence { kind: Misbehaviour::DoubleVote, ..of(5, 1, 10) }));
    assert_eq!(slots(&pool), [4, 5, 5, 5]);
    pool.prune(Slot::new(10_004), Height::new(10_004));
    assert_eq!(slots(&pool), [4, 5, 5, 5]);
    pool.prune(Slot::new(10_005), Height::new(10_004));
    assert_eq!(slots(&pool), [4, 5, 5, 5], "an engine that leaves out slots");
    pool.prune(Slot::new(10_005), Height::new(10_005));
    assert_eq!(slots(&pool), [5, 5, 5]);
    assert!(pool.insert(of(7, 0, 3_500)));
    assert_eq!(slots(&pool), [5, 5, 7], "the oldest makes room");
    assert!(!pool.insert(of(3, 0, 1_000)) && !pool.insert(of(9, 0, 5_000)), "older, or too large");
    assert_eq!(slots(&pool), [5, 5, 7]);
}
