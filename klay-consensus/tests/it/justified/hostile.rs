//! What one hostile validator, a long absence or a failing signer must not do to justified rounds.

use super::*;

fn ask(key: u64, round: u64) -> JustifiedMessage<TestBlock> {
    JustifiedMessage::plain(asks_for(key, round, None))
}

fn at(bench: &Bench) -> u64 {
    bench.engine.status().round.get()
}

/// Delivers everything that anybody has said since last time, until nobody says anything.
fn exchange(benches: &mut [Bench], read: &mut [usize]) {
    loop {
        let mut new = vec![];
        for (bench, read) in benches.iter().zip(read.iter_mut()) {
            new.extend(bench.sent[*read..].iter().cloned());
            *read = bench.sent.len();
        }
        if new.is_empty() {
            return;
        }
        for bench in benches.iter_mut() {
            for msg in &new {
                if msg.signed.from != Key::new(bench.me).address() {
                    bench.receive(msg.clone());
                }
            }
            if bench.built > 0 {
                bench.built = 0;
                let value = TestBlock::new(1, B256::ZERO, bench.me as u8, seal::new_extra(b"", vec![]));
                bench.step(Input::Built { slot: Slot::new(1), value: Some(value) });
            }
        }
    }
}

/// Whether everybody decides on a network that is perfect, however long it takes.
fn all_decide(benches: &mut [Bench], read: &mut [usize]) -> bool {
    for _ in 0..400 {
        for index in 0..benches.len() {
            let bench = &mut benches[index];
            if let Some((id, when)) = bench.timers.iter().map(|(id, at)| (*id, *at)).min_by_key(|(_, at)| *at) {
                bench.now = bench.now.max(when);
                bench.timers.remove(&id);
                bench.step(Input::Timer(id));
            }
            exchange(benches, read);
        }
        if benches.iter().all(|bench| bench.engine.status().state == "decided") {
            return true;
        }
    }
    false
}

/// Keys 2 and 4 have gone through rounds with the hostile key 1 while key 3 was away. Then key 1 is silent and the
/// network is perfect.
fn meet_again(rounds: u64) -> bool {
    let mut benches = [Bench::of(2), Bench::of(4), Bench::of(3)];
    for round in 1..=rounds {
        let (a, rest) = benches.split_at_mut(1);
        let (a, b) = (&mut a[0], &mut rest[0]);
        for bench in [&mut *a, &mut *b] {
            if at(bench) < round {
                bench.step(Input::Timer(ROUND_TIMER));
            }
        }
        for bench in [&mut *a, &mut *b] {
            for msg in [ask(1, round), ask(if bench.me == 2 { 4 } else { 2 }, round)] {
                bench.receive(msg);
            }
            assert_eq!(at(bench), round);
        }
    }
    let mut read: Vec<_> = benches.iter().map(|bench| bench.sent.len()).collect();
    for bench in &mut benches {
        bench.built = 0;
    }
    all_decide(&mut benches, &mut read)
}

#[test]
fn who_was_away_for_120_rounds_is_met() {
    assert!(meet_again(120));
}

#[test]
fn who_was_away_for_140_rounds_is_met() {
    assert!(meet_again(140));
}

/// A proposal with so many bytes in its header.
fn big(len: usize) -> (TestBlock, JustifiedMessage<TestBlock>) {
    let mut header = block(1).header;
    header.vote = vec![7; len].into();
    let digest = seal::proposer_digest(&header);
    let sealed = seal::with_seal(&header.extra, &sign(1, digest)[..].try_into().unwrap()).unwrap();
    let value = TestBlock { header }.with_extra(sealed);
    let first = vote(1, Kind::Proposal, 0, value.id(), None);
    (value.clone(), JustifiedMessage { value: Some(value), ..JustifiedMessage::plain(first) })
}

fn prepared(message: &JustifiedMessage<TestBlock>) -> JustifiedRecord {
    let mut proof = vec![];
    message.encode(&mut proof);
    JustifiedRecord::Prepared { view: View::new(Slot::new(1), Round::ZERO), proof: proof.into() }
}

#[test]
fn what_was_prepared_is_not_forgotten_however_large_it_is() {
    let (value, message) = big(12 << 20);
    let bench = Bench::open(3, Arc::new(Four), vec![prepared(&message)], None);
    assert_eq!(bench.engine.status().lock, Some((Round::ZERO, value.id())));
}

#[test]
fn a_log_that_cannot_be_read_is_refused() {
    let (_, message) = big(10);
    let JustifiedRecord::Prepared { view, proof } = prepared(&message) else { unreachable!() };
    let cut = JustifiedRecord::Prepared { view, proof: proof.slice(1..) };
    let floor = Floor { height: Height::ZERO, id: B256::ZERO, next_at: Time::ZERO };
    let config = JustifiedConfig::new(Key::new(3).address(), Arc::new(Four), domain());
    let opened = Justified::<TestBlock>::open(config, floor, vec![cut]);
    assert!(matches!(opened, Err(Refuse::Log(_))));
}

#[test]
fn whoever_can_read_a_proposal_can_read_the_claim() {
    let limits = Limits { message: 16 << 10, ..Limits::default() };
    let is_read = |message: &JustifiedMessage<TestBlock>| {
        let mut bytes = vec![];
        message.encode(&mut bytes);
        JustifiedMessage::<TestBlock>::decode(&bytes, limits).is_ok()
    };
    assert!(!is_read(&big(14 << 10).1), "more than seven eighths");
    let (value, message) = big((14 << 10) - 1_200);
    assert!(is_read(&message));
    let mut bench = Bench::new();
    bench.receive(message);
    for key in [1, 2, 4] {
        bench.receive(JustifiedMessage::plain(vote(key, Kind::Prepare, 0, value.id(), None)));
    }
    bench.step(Input::Timer(ROUND_TIMER));
    assert!(is_read(bench.request().unwrap()));
}

#[test]
fn a_value_accepted_after_its_commits_is_decided() {
    let value = block(1);
    let mut bench = Bench::new();
    bench.mute = true;
    let first = vote(1, Kind::Proposal, 0, value.id(), None);
    bench.receive(JustifiedMessage { value: Some(value.clone()), ..JustifiedMessage::plain(first) });
    bench.step(Input::Timer(ROUND_TIMER));
    for key in [1, 2, 4] {
        bench.receive(JustifiedMessage::plain(vote(key, Kind::Commit, 0, value.id(), None)));
    }
    bench.step(Input::Verdict { slot: Slot::new(1), id: value.id(), verdict: Verdict::Valid });
    assert_eq!(bench.engine.status().state, "decided");
}

fn commit_of(bench: &Bench, value: &TestBlock) -> seal::Seal {
    let found = bench.sent.iter().map(|m| &m.signed);
    let mut found = found.filter(|s| s.vote.kind == Kind::Commit && s.vote.digest == value.id());
    found.next().expect("it has committed").seal[..].try_into().unwrap()
}

/// Key 1 is hostile, keys 2, 3 and 4 are honest, with gates.
#[test]
fn one_height_has_one_final_value() {
    let disks = [MemoryDisk::new(), MemoryDisk::new(), MemoryDisk::new()];
    let mut h1 = Bench::guarded(2, &disks[0]);
    let mut h2 = Bench::guarded(3, &disks[1]);
    let mut h3 = Bench::guarded(4, &disks[2]);
    let (v, w) = (block(1), block(2));
    let offer = |value: &TestBlock, round: u64, round_changes: Vec<SignedVote>| {
        let signed = vote(1, Kind::Proposal, round, value.id(), None);
        JustifiedMessage { value: Some(value.clone()), round_changes, ..JustifiedMessage::plain(signed) }
    };
    let last =
        |bench: &Bench, kind: Kind| bench.sent.iter().rev().find(|m| m.signed.vote.kind == kind).expect("said").clone();
    let hostile = |kind, round, value: &TestBlock| JustifiedMessage::plain(vote(1, kind, round, value.id(), None));

    // Round 0: v reaches h1 and h2, all prepares reach h1 alone.
    h1.receive(offer(&v, 0, vec![]));
    h2.receive(offer(&v, 0, vec![]));
    h1.receive(hostile(Kind::Prepare, 0, &v));
    h1.receive(last(&h2, Kind::Prepare));
    assert_eq!(h1.engine.status().lock, Some((Round::ZERO, v.id())));

    // Rounds up to 256: h2 and h3 hear each other and key 1. Nothing of h1 arrives.
    for round in 1..=256 {
        for bench in [&mut h2, &mut h3] {
            bench.step(Input::Timer(ROUND_TIMER));
            assert_eq!(at(bench), round);
        }
        let requests =
            [asks_for(1, round, None), last(&h2, Kind::RoundChange).signed, last(&h3, Kind::RoundChange).signed];
        assert!(requests.iter().all(|r| r.vote.prepared.is_none() && r.vote.view.round.get() == round));
        if round == 4 {
            // w reaches h1 and h3, all prepares reach h1 alone.
            h1.receive(offer(&w, 4, requests.to_vec()));
            h3.receive(offer(&w, 4, requests.to_vec()));
            h1.receive(hostile(Kind::Prepare, 4, &w));
            h1.receive(last(&h3, Kind::Prepare));
            assert_eq!(h1.engine.status().lock, Some((Round::new(4), w.id())));
        }
        if round == 256 {
            // v once more, to h2 and h3; all prepares reach h2 alone.
            assert_eq!(h2.receive(offer(&v, 256, requests.to_vec())), None);
            assert_eq!(h3.receive(offer(&v, 256, requests.to_vec())), None);
            h2.receive(hostile(Kind::Prepare, 256, &v));
            h2.receive(last(&h3, Kind::Prepare));
            assert_eq!(h2.engine.status().lock, Some((Round::new(256), v.id())));
        }
    }
    let seals =
        vec![sign(1, seal_digest(v.id(), Round::ZERO))[..].try_into().unwrap(), commit_of(&h1, &v), commit_of(&h2, &v)];
    let cert = CommittedSeals { round: Round::ZERO, seals };
    let committee = Four.at(Height::new(1), Round::ZERO).unwrap();
    let v_is_final = klay_consensus::istanbul::justified::decision_holds(&v, &cert, &committee, &seal::Recover);

    // Round 257 is h1's. It hears that a quorum asks: itself with its claim for w, key 1 and h3.
    h3.step(Input::Timer(ROUND_TIMER));
    h1.receive(ask(1, 257));
    // It may have to be led: it is far behind.
    while at(&h1) < 257 {
        h1.step(Input::Timer(ROUND_TIMER));
    }
    h1.receive(ask(1, 257));
    h1.receive(last(&h3, Kind::RoundChange));
    let proposal = last(&h1, Kind::Proposal);
    assert_eq!((proposal.signed.vote.view.round.get(), proposal.signed.vote.digest), (257, w.id()));
    for bench in [&mut h2, &mut h3] {
        assert_eq!(bench.receive(proposal.clone()), None);
    }
    for kind in [Kind::Prepare, Kind::Commit] {
        let said = [last(&h1, kind), last(&h2, kind), last(&h3, kind)];
        for bench in [&mut h1, &mut h2, &mut h3] {
            for msg in &said {
                bench.receive(msg.clone());
            }
        }
    }
    for bench in [&h1, &h2, &h3] {
        assert_eq!((bench.engine.status().state, bench.engine.status().proposal), ("decided", Some(w.id())));
    }
    assert!(!v_is_final, "w is decided by all honest nodes, and v has a proof of finality too");
}

fn signer_once(fails: bool) -> bool {
    let mut benches = [Bench::of(2), Bench::of(4), Bench::of(3)];
    let mut read = [0; 3];
    benches[2].sign_fails = fails;
    for bench in &mut benches {
        bench.timers.remove(&ROUND_TIMER);
        bench.step(Input::Timer(ROUND_TIMER));
    }
    benches[2].sign_fails = false;
    exchange(&mut benches, &mut read);
    all_decide(&mut benches, &mut read)
}

#[test]
fn who_signs_is_heard() {
    assert!(signer_once(false));
}

#[test]
fn a_signer_that_fails_once_is_asked_again() {
    assert!(signer_once(true));
}

fn other_form(value: &TestBlock) -> TestBlock {
    let mut extra = value.header.extra.to_vec();
    extra[31] = 9;
    let other = value.clone().with_extra(extra.into());
    assert_eq!(other.id(), value.id());
    other
}

#[test]
fn an_application_that_changes_its_word_is_not_asked_for_ever() {
    let value = block(1);
    let mut bench = Bench::new();
    let first = vote(1, Kind::Proposal, 0, value.id(), None);
    bench.receive(JustifiedMessage { value: Some(value.clone()), ..JustifiedMessage::plain(first) });
    assert_eq!(bench.engine.status().state, "proposed");
    bench.step(Input::Timer(ROUND_TIMER));
    bench.verdict = Verdict::Invalid("no more");
    bench.receive(proposal(&other_form(&value), asks([None; 3]), vec![]));
}
