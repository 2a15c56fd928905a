//! Every break is caught, and the unbroken copy passes the same trial.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::sync::Arc;

use core::time::Duration;

use alloy_primitives::{B256, U256};
use klay_consensus_mutants::{
    istanbul::{
        Body, CommittedSeals, Compat, HeaderValue as _, Istanbul, Klaytn, Message, Preprepare, Subject, import,
        justified::{Justified, JustifiedMessage, Kind, SignedVote, Vote},
        seal,
    },
    sim::{
        Byzantine, Faults, Lab, Orders, Run,
        istanbul::IstanbulLab,
        justified::JustifiedLab,
        orders, run,
        simplex::SimplexLab,
        value::{LabValue, mock_sign},
    },
    simplex::{Certificate, Kind as Said, SignedVote as SaidBy, SimplexMessage, Vote as Saying},
    switch,
    types::{
        Effect, Effects, Engine, Floor, Height, Input, Lsn, Model, RecordKind, Round, Slot, Time, Value as _, Verdict,
        View, WallTime,
    },
    valset::{AddressSet, GoRand},
    wal::{Disk as _, Identity, Log, MemoryDisk},
};

fn seeds(limit: u64) -> u64 {
    std::env::var("KLAY_SEEDS").ok().and_then(|n| n.parse().ok()).unwrap_or(60).min(limit)
}

/// The break is noticed in the lab as one of `invariants`; without it nothing is.
fn caught<L: Lab>(number: u32, lab: L, limit: u64, invariants: &[&str], make: impl Fn(u64) -> Run) {
    let lab = Arc::new(lab);
    let broken = |seed| {
        let report = run(&lab, make(seed));
        report.violations.iter().chain(&report.known).any(|v| invariants.contains(&v.invariant))
    };
    for seed in 0..seeds(limit).min(5) {
        assert!(!broken(seed), "break {number} is off and seed {seed} breaks a promise");
    }
    let found = switch::with(number, || (0..seeds(limit)).find(|seed| broken(*seed)));
    match found {
        Some(seed) => println!("break {number:>2}: caught by seed {seed} as one of {invariants:?}"),
        None => panic!("break {number} is not caught within {} seeds", seeds(limit)),
    }
}

/// The break is noticed by a trial that says whether all is well.
fn noticed(number: u32, trial: impl Fn() -> bool) {
    assert!(trial(), "break {number} is off and the trial fails");
    assert!(!switch::with(number, trial), "break {number} is not noticed");
    println!("break {number:>2}: caught by its trial");
}

fn istanbul(n: usize) -> IstanbulLab {
    IstanbulLab::new(n, Compat::default())
}

fn with(byzantine: &[Byzantine]) -> Faults {
    Faults { byzantine: byzantine.to_vec(), ..Faults::none() }
}

#[test]
fn b01_a_quorum_that_is_one_short() {
    caught(1, JustifiedLab::new(4), 1000, &["I1", "I6"], |seed| Run::new(seed, Faults::all(4, seed)));
}

#[test]
fn b02_the_import_threshold_as_quorum() {
    caught(2, JustifiedLab::new(5), 5000, &["I1", "I6"], |seed| Run::new(seed, Faults::all(5, seed)));
}

#[test]
fn b03_a_lock_dropped_on_round_change() {
    let faults = |_| Faults {
        drop: 300,
        starve_votes: 900,
        delay_wild: Duration::from_secs(2),
        isolate_deciders: 900,
        settles_at: Duration::from_secs(60),
        ..with(&[Byzantine::Twin])
    };
    caught(3, istanbul(4), 5000, &["I1"], |seed| Run::new(seed, faults(seed)));
}

#[test]
fn b04_a_lock_forgotten_by_a_restart() {
    let faults = Faults { drop: 200, starve_votes: 900, ..Faults::crashes(8) };
    caught(4, istanbul(4), 1000, &["I1", "I4", "I7"], |seed| Run::new(seed, faults.clone()));
}

#[test]
fn b05_a_vote_sent_before_it_is_durable() {
    caught(5, JustifiedLab::new(4), 10, &["I5", "I12", "I4"], |seed| Run::new(seed, Faults::crashes(6)));
}

#[test]
fn b06_a_gate_that_lets_everything_pass() {
    let faults = Faults { drop: 200, starve_votes: 500, ..Faults::crashes(8) };
    caught(6, IstanbulLab::new(4, Compat::reference()), 1000, &["I4"], |seed| Run::new(seed, faults.clone()));
}

#[test]
fn b07_a_commit_counted_twice() {
    caught(7, istanbul(4), 1000, &["I1", "I6"], |seed| Run::new(seed, Faults::all(5, seed)));
}

#[test]
fn b07_shows_in_the_orders_of_one_round() {
    caught_by_orders(7, &istanbul(4), Orders { depth: 9, ..Orders::one_round() }, "I6");
}

#[test]
fn b01_shows_in_what_two_rounds_can_decide() {
    // Some of the histories will do. That the unbroken engine agrees in all of them is tried elsewhere.
    let some = Orders { room: 1500, ..Orders::two_rounds(24).composed() };
    let seen = switch::with(1, || orders(&SimplexLab::new(4), some));
    assert!(seen.violations.iter().any(|violation| violation.invariant == "I1"), "{seen:?}");
}

/// The break shows in all orders, and in those that differ.
fn caught_by_orders<L: Lab + Clone>(number: u32, lab: &L, wanted: Orders, invariant: &str)
where
    L::Engine: Clone + core::fmt::Debug,
{
    for wanted in [wanted, wanted.reduced()] {
        let broken = || orders(lab, wanted).violations.iter().any(|violation| violation.invariant == invariant);
        assert!(!broken(), "break {number} is off and {wanted:?} shows it");
        assert!(switch::with(number, broken), "break {number} does not show in {wanted:?}");
    }
}

#[test]
fn b08_a_sender_who_is_not_the_signer() {
    caught(8, JustifiedLab::new(4), 100, &["I1", "I6", "I11", "I10"], |seed| {
        Run::new(seed, with(&[Byzantine::Impersonate])).also(seed)
    });
}

trait Also {
    fn also(self, seed: u64) -> Self;
}

impl Also for Run {
    /// With wild delays, so that forged votes come before honest ones.
    fn also(mut self, seed: u64) -> Self {
        self.faults.settles_at = Duration::from_secs(20 + seed % 7);
        self.faults.delay_wild = Duration::from_secs(1);
        self
    }
}

#[test]
fn b10_votes_of_another_round() {
    let faults = |_| Faults {
        drop: 100,
        starve_votes: 600,
        delay_wild: Duration::from_secs(4),
        settles_at: Duration::from_secs(40),
        ..Faults::none()
    };
    caught(10, JustifiedLab::new(4), 1000, &["I1", "I6"], |seed| Run::new(seed, faults(seed)));
}

#[test]
fn b12_a_seal_nobody_looks_at() {
    caught(12, istanbul(4), 100, &["I6"], |seed| Run::new(seed, with(&[Byzantine::BadSeal])));
}

#[test]
fn b14_finalize_after_nullify() {
    let faults =
        Faults { drop: 200, delay_wild: Duration::from_secs(3), settles_at: Duration::from_secs(30), ..Faults::none() };
    caught(14, SimplexLab::new(4), 1000, &["I8"], |seed| Run { gated: false, ..Run::new(seed, faults.clone()) });
}

#[test]
fn b17_a_timer_that_every_message_restarts() {
    caught(17, JustifiedLab::new(7), 1000, &["I10"], |seed| Run {
        heights: 8,
        ..Run::new(seed, with(&[Byzantine::Silent, Byzantine::Flood]))
    });
}

#[test]
fn b18_timeouts_that_never_grow() {
    let way = Duration::from_millis(200);
    let faults = Faults { delay_min: way, delay_max: way, delay_wild: way, ..Faults::none() };
    caught(18, JustifiedLab::new(4), 100, &["I10"], |seed| Run::new(seed, faults.clone()));
}

#[test]
fn b21_the_validators_of_yesterday() {
    let faults = Faults { set_change: 2, ..Faults::none() };
    caught(21, JustifiedLab::new(5), 1000, &["I1", "I6"], |seed| Run::new(seed, faults.clone()));
}

#[test]
fn b23_a_folder_that_is_not_synced() {
    caught(23, JustifiedLab::new(4), 1000, &["I4", "I5", "I12"], |seed| Run::new(seed, Faults::crashes(6)));
}

#[test]
fn b24_evidence_from_an_honest_repetition() {
    let faults = Faults { duplicate: 400, settles_at: Duration::from_secs(10), ..Faults::none() };
    caught(24, JustifiedLab::new(4), 100, &["I11"], |seed| Run::new(seed, faults.clone()));
}

#[test]
fn b29_an_order_that_differs_from_run_to_run() {
    let digest = || run(&Arc::new(JustifiedLab::new(7)), Run::new(3, Faults::network())).digest;
    noticed(29, || (0..4).all(|_| digest() == digest()));
}

#[test]
fn b30_the_answer_to_an_older_question() {
    let faults = Faults { slow_checks: 500, settles_at: Duration::from_secs(40), ..with(&[Byzantine::InvalidValues]) };
    caught(30, SimplexLab::new(4), 1000, &["I2", "I1"], |seed| Run::new(seed, faults.clone()));
}

/// Feeds inputs to a fresh engine of node `me` and returns what it does.
fn step<L: Lab>(
    lab: &L,
    me: usize,
    inputs: Vec<Input<L::Model, klay_consensus_mutants::sim::MsgOf<L>>>,
) -> (Vec<&'static str>, String) {
    let floor = Floor { height: Height::ZERO, id: lab.genesis(), next_at: Time::ZERO };
    let mut engine = L::Engine::open(lab.config(me), floor, Vec::new()).unwrap();
    let mut fx = Effects::new(Lsn::new(1));
    let mut did = Vec::new();
    let mut queue = std::collections::VecDeque::from(inputs);
    queue.push_front(Input::Start);
    while let Some(input) = queue.pop_front() {
        engine.step(Time::ZERO, input, &mut fx);
        for effect in fx.drain().collect::<Vec<_>>() {
            match effect {
                Effect::Sign { ticket, digest, .. } => {
                    queue.push_front(Input::Signed { ticket, result: Ok(lab.sign(me, digest)) })
                }
                Effect::Check { slot, value } => {
                    did.push("check");
                    queue.push_front(Input::Verdict { slot, id: value.id(), verdict: Verdict::Valid });
                }
                Effect::Rejected { why, .. } => did.push(why.rule),
                _ => {}
            }
        }
    }
    (did, engine.status().state.to_owned())
}

type Block = <Klaytn<LabValue> as Model>::Value;

fn value(height: u64, parent: B256, salt: u64) -> Block {
    LabValue::new(Height::new(height), parent, salt, true)
}

#[test]
fn b09_a_proposal_out_of_turn() {
    let lab = JustifiedLab::new(4);
    noticed(9, || {
        let proposed = value(1, B256::ZERO, 1);
        let vote = Vote {
            kind: Kind::Proposal,
            view: View::new(Slot::new(1), Round::ZERO),
            digest: proposed.id(),
            prepared: None,
        };
        let mut signed =
            SignedVote { vote, from: lab.peer(1), signature: Default::default(), seal: Default::default() };
        signed.signature = mock_sign(signed.from, signed.signing_digest(B256::ZERO).0).to_vec().into();
        let msg = JustifiedMessage { value: Some(proposed), ..JustifiedMessage::plain(signed) };
        let (did, _) = step(&lab, 2, vec![Input::Message { from: lab.peer(1), msg, checked: false }]);
        did == ["JE-2"]
    });
}

#[test]
fn b11_a_prepare_and_a_commit_of_one_sender() {
    let lab = istanbul(4);
    noticed(11, || {
        let proposed = value(1, B256::ZERO, 1);
        let view = View::new(Slot::new(1), Round::ZERO);
        let subject = Subject { view, digest: proposed.id(), prev_hash: B256::ZERO };
        let message = |node: usize, body, sealed: Vec<u8>| {
            let mut message = Message::unsigned(body, lab.peer(node), sealed.into());
            message.envelope.signature = mock_sign(lab.peer(node), message.envelope.digest().0).to_vec().into();
            Input::Message { from: lab.peer(node), msg: message, checked: false }
        };
        let sealed = mock_sign(lab.peer(1), seal::committed_digest(proposed.id()).0).to_vec();
        let (_, state) = step(
            &lab,
            2,
            vec![
                message(0, Body::Preprepare(Preprepare { view, value: proposed.clone() }), vec![]),
                message(1, Body::Prepare(subject), vec![]),
                message(1, Body::Commit(subject), sealed),
            ],
        );
        state == "Preprepared"
    });
}

#[test]
fn b13_a_value_that_does_not_follow_its_parent() {
    let lab = SimplexLab::new(4);
    let proposal = |node: usize, view: u64, value: Block, parent| {
        let value = {
            let mut extra = value.header().extra.to_vec();
            extra[23..31].copy_from_slice(&view.to_be_bytes());
            value.with_extra(extra.into())
        };
        let vote = Saying { kind: Said::Proposal, view: Slot::new(view), id: value.id() };
        let signed = SaidBy {
            vote,
            from: lab.peer(node),
            signature: mock_sign(lab.peer(node), vote.digest(B256::ZERO).0),
            ancestors: vec![],
        };
        let msg = SimplexMessage::Proposal { signed, value, parent, nullified: vec![] };
        Input::Message { from: lab.peer(node), msg, checked: false }
    };
    noticed(13, || {
        let first = value(1, B256::ZERO, 1);
        let vote = Saying { kind: Said::Notarize, view: Slot::new(1), id: first.id() };
        let seals = [0, 1, 3].map(|node| mock_sign(lab.peer(node), vote.digest(B256::ZERO).0)).to_vec();
        let stranger = value(2, B256::repeat_byte(9), 2);
        let parent = Some(Certificate { vote, seals });
        let (did, _) = step(&lab, 2, vec![proposal(0, 1, first, None), proposal(1, 2, stranger, parent)]);
        did == ["check", "SX-1"]
    });
}

#[test]
fn b19_nobody_follows_to_a_higher_round() {
    noticed(19, || round_after(&[0, 1]) == Round::new(5));
}

#[test]
fn b15_the_highest_claim_ignored() {
    let lab = JustifiedLab::new(4);
    let signed = |node: usize, vote: Vote| {
        let mut signed =
            SignedVote { vote, from: lab.peer(node), signature: Default::default(), seal: Default::default() };
        signed.signature = mock_sign(signed.from, signed.signing_digest(B256::ZERO).0).to_vec().into();
        signed
    };
    noticed(15, || {
        let (prepared, other) = (value(1, B256::ZERO, 1), value(1, B256::ZERO, 2));
        let [first, second] = [0, 1].map(|round| View::new(Slot::new(1), Round::new(round)));
        let claim = Some((Round::ZERO, prepared.id()));
        let ask = Vote { kind: Kind::RoundChange, view: second, digest: B256::ZERO, prepared: claim };
        let prepare = Vote { kind: Kind::Prepare, view: first, digest: prepared.id(), prepared: None };
        let proposal = Vote { kind: Kind::Proposal, view: second, digest: other.id(), prepared: None };
        let msg = JustifiedMessage {
            signed: signed(1, proposal),
            value: Some(other),
            round_changes: [0, 1, 3].map(|node| signed(node, ask)).to_vec(),
            prepares: [0, 1, 3].map(|node| signed(node, prepare)).to_vec(),
        };
        let (did, _) = step(&lab, 2, vec![Input::Message { from: lab.peer(1), msg, checked: false }]);
        did == ["JU-5"]
    });
}

/// The round of node 2 after validators have asked for round 5.
fn round_after(askers: &[usize]) -> Round {
    let lab = JustifiedLab::new(4);
    let floor = Floor { height: Height::ZERO, id: B256::ZERO, next_at: Time::ZERO };
    let mut engine = Justified::<LabValue>::open(lab.config(2), floor, vec![]).unwrap();
    let mut fx = Effects::new(Lsn::new(1));
    engine.step(Time::ZERO, Input::Start, &mut fx);
    for &node in askers {
        let statement = klay_consensus_mutants::types::Statement::skip(View::new(Slot::new(1), Round::new(4)));
        let msg = lab.forge(node, node, &statement).unwrap();
        engine.step(Time::ZERO, Input::Message { from: lab.peer(node), msg, checked: false }, &mut fx);
    }
    engine.status().round
}

#[test]
fn b16_one_node_pulls_everybody() {
    noticed(16, || round_after(&[0]) == Round::ZERO);
}

#[test]
fn b20_a_backlog_without_bound() {
    let lab = istanbul(4);
    noticed(20, || {
        let floor = Floor { height: Height::ZERO, id: B256::ZERO, next_at: Time::ZERO };
        let mut engine = Istanbul::<LabValue>::open(lab.config(2), floor, vec![]).unwrap();
        let mut fx = Effects::new(Lsn::new(1));
        engine.step(Time::ZERO, Input::Start, &mut fx);
        for round in 0..2000 {
            let view = View::new(Slot::new(2), Round::new(round));
            let statement = klay_consensus_mutants::types::Statement::about(
                view,
                klay_consensus_mutants::types::Step::Vote1,
                [1; 32],
            );
            let msg = lab.forge(1, 1, &statement).unwrap();
            engine.step(Time::ZERO, Input::Message { from: lab.peer(1), msg, checked: false }, &mut fx);
        }
        engine.status().backlog <= 64
    });
}

#[test]
fn b22_damage_in_the_middle_of_a_log() {
    noticed(22, || {
        let identity = Identity { chain_id: 1, key: vec![1], engine: "test".to_owned() };
        let mut disk = MemoryDisk::new();
        let (mut log, _) = Log::open(disk.clone(), identity.clone()).unwrap();
        for lsn in 1..=3 {
            log.append(Lsn::new(lsn), Slot::new(lsn), RecordKind::Entered, vec![7; 16]).unwrap();
        }
        log.sync().unwrap();
        let file = disk.list().unwrap().pop().unwrap();
        let mut bytes = disk.read(&file).unwrap();
        let at = bytes.len() - 60;
        bytes[at] ^= 1;
        disk.truncate(&file, 0).unwrap();
        disk.append(&file, &bytes).unwrap();
        Log::open(disk, identity).is_err()
    });
}

#[test]
fn b25_addresses_in_the_order_of_their_bytes() {
    // The order is not switched: it is compared with the other one, which is what the break would be.
    let listed = [
        "0x52d41ca72af615a1ac3301b0a93efa222ecc120d",
        "0x52d41ca72af615a1ac3301b0a93efa222ecc120c",
        "0x52d41ca72af615a1ac3301b0a93efa222ecc120b",
        "0x52d41ca72af615a1ac3301b0a93efa222ecc120a",
    ];
    let addresses = listed.map(|text| text.parse::<alloy_primitives::Address>().unwrap());
    let ours = AddressSet::new(addresses).into_vec();
    let mut by_bytes = addresses.to_vec();
    by_bytes.sort();
    let text: Vec<_> = ours.iter().map(|address| address.to_checksum(None)).collect();
    assert!(text.is_sorted());
    let mixed = (0..64_u64).map(|i| alloy_primitives::Address::from_word(alloy_primitives::keccak256(i.to_be_bytes())));
    let (ours, mut bytes) = (AddressSet::new(mixed.clone()).into_vec(), mixed.collect::<Vec<_>>());
    bytes.sort();
    assert_ne!(ours, bytes, "a sort by bytes would be noticed");
}

#[test]
fn b26_another_bounded_number() {
    // First permutation of ten under seed 0, from the vectors.
    noticed(26, || {
        let mut list: Vec<_> = (0..10).collect();
        GoRand::new(0).shuffle(&mut list);
        list == [3, 7, 4, 6, 1, 8, 0, 5, 2, 9]
    });
}

#[test]
fn b27_a_proposer_seal_hashed_once() {
    noticed(27, || {
        let header = value(1, B256::ZERO, 1).header().clone();
        seal::proposer_digest(&header) == alloy_primitives::keccak256(header.seal_hash())
    });
}

#[test]
fn b28_an_import_that_asks_for_the_live_quorum() {
    use klay_core::{
        Fork, Rules,
        block::Header,
        config::{BlobConfig, Kip71Config},
        crypto,
    };
    // Five validators: four decide, three are enough to import.
    let keys = [1u8, 2, 3, 4, 5].map(|n| [n; 32]);
    let address = |key: &[u8; 32]| klay_core::PublicKey::from_secret(key).unwrap().address();
    let council = AddressSet::new(keys.iter().map(address));
    let header =
        Header { number: 1, block_score: U256::from(1), extra: seal::new_extra(b"", vec![]), ..Header::default() };
    let block = value(1, B256::ZERO, 1).with_extra(header.extra.clone());
    let digest = seal::committed_digest(block.header().hash());
    let seals = keys[..3].iter().map(|key| seal::compact(&crypto::sign_digest(key, digest).unwrap())).collect();
    let sealed = CommittedSeals { round: Round::ZERO, seals }.write(block).unwrap();
    let kip71 = Kip71Config::default();
    noticed(28, || {
        let context = import::HeaderContext {
            rules: Rules::up_to(Fork::Istanbul),
            parent: None,
            kip71: &kip71,
            blobs: &BlobConfig::OSAKA,
            council: &council,
            qualified: &council,
            committee_size: 22,
            parent_mix_hash: B256::ZERO,
            reveals: None,
            now: WallTime::from_secs(1),
        };
        import::verify_seals(sealed.header(), &context).is_ok()
    });
}

#[test]
fn the_copy_is_the_crate() {
    let _: fn() -> Option<Istanbul<LabValue>> = || None;
    assert!(!switch::on(1));
}
