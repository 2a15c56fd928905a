//! The state machine does what the reference's does, step by step, including what it does wrong.
//!
//! Each trace was recorded from the compiled Go core with a stub host, one event at a time. The engine runs with
//! `Compat::faithful()`, in which its own messages and replays wait until the trace handles them.

use crate::common;
use std::{collections::BTreeMap, sync::Arc, time::Duration};

use crate::common::{Chain, Json, Key, Signer, TestBlock, signer, vectors};
use alloy_primitives::{Address, B256, Bytes};
use klay_consensus::{
    istanbul::{
        Body, Code, Compat, HeaderValue, Istanbul, IstanbulConfig, IstanbulRecord, Message, Preprepare, QUEUE_TIMERS,
        QueuedEvent, ROUND_TIMER, Relay, Rules, Subject, backlog_priority,
        seal::{self, Seal},
    },
    types::{
        Committee, Committees, Domain, Effect, Effects, Engine, Fault, Floor, Height, Input, Misbehaviour, NotYet,
        Round, Slot, Time, TimerId, Value as _, Verdict, View, quorum, timeouts::Legacy,
    },
    valset::AddressSet,
};
use serde_json::{Value, json};

/// Validators in the order of the chain, with a proposer that goes round and a committee from the proposer on.
#[derive(Debug)]
struct Stub {
    validators: Vec<Address>,
    size: usize,
}

impl Committees<Chain> for Stub {
    fn at(&self, height: Height, round: Round) -> Result<Arc<Committee<Address>>, NotYet> {
        let n = self.validators.len();
        let first = ((height.get() - 1 + round.get()) % n as u64) as usize;
        let proposer = self.validators[first];
        let members: Vec<_> = if n > self.size {
            (0..self.size).map(|i| self.validators[(first + i) % n]).collect()
        } else {
            self.validators.clone()
        };
        let voting = n.min(self.size) as u32;
        Ok(Arc::new(Committee {
            members,
            senders: self.validators.clone(),
            proposer,
            quorum: quorum::live(voting),
            weak: quorum::weak(voting),
        }))
    }
}

struct Bench {
    engine: Istanbul<TestBlock>,
    fx: Effects<Chain, Message<TestBlock>, IstanbulRecord>,
    me: u64,
    signers: Vec<Signer>,
    values: BTreeMap<String, TestBlock>,
    head: B256,
    seen: Seen,
    timer_ms: u64,
    verdicts: BTreeMap<String, String>,
}

/// What one step has brought about.
#[derive(Default)]
struct Seen {
    error: Option<&'static str>,
    decided: Vec<Value>,
    sent: Vec<TimerId>,
    /// Own messages that left the node.
    out: Vec<Message<TestBlock>>,
    /// Whom evidence names, and what for.
    accused: Vec<(Address, Misbehaviour)>,
    fault: Option<Fault>,
}

/// The keys in the order of the chain.
fn validators(n: u64) -> Vec<Signer> {
    let order = AddressSet::new((1..=n).map(|i| Key::new(i).address()));
    order.iter().map(|a| signer((1..=n).find(|i| Key::new(*i).address() == a).unwrap())).collect()
}

fn values(signers: &[Signer]) -> BTreeMap<String, TestBlock> {
    let addresses: Vec<_> = signers.iter().map(Signer::address).collect();
    let mut values = BTreeMap::<String, TestBlock>::new();
    let names = [("A", 1, ""), ("B", 1, ""), ("C", 1, ""), ("A2", 2, "A"), ("B2", 2, "A"), ("A3", 3, "A2")];
    for (i, (name, height, parent)) in names.into_iter().enumerate() {
        let parent = values.get(parent).map_or(B256::ZERO, klay_consensus::types::Value::id);
        let block = TestBlock::new(height, parent, i as u8 + 1, seal::new_extra(b"", addresses.clone()));
        let seal = sign(&signers[0], seal::proposer_digest(&block.header));
        let sealed = seal::with_seal(&block.header.extra, &seal).unwrap();
        values.insert(name.to_owned(), block.with_extra(sealed));
    }
    values
}

fn sign(signer: &Signer, digest: B256) -> Seal {
    klay_consensus::types::Signer::<Chain>::sign(signer, Domain::Message, digest.0).unwrap()
}

impl Bench {
    fn new(n: u64, size: u64, me: u64, compat: Compat) -> Self {
        let signers = validators(n);
        let stub = Stub { validators: signers.iter().map(Signer::address).collect(), size: size as usize };
        let config = IstanbulConfig {
            timeouts: Arc::new(Legacy::default()),
            rules: Rules::V2,
            compat,
            relay: Relay::Flood,
            ..IstanbulConfig::new(signers[me as usize].address(), Arc::new(stub))
        };
        let floor = Floor { height: Height::ZERO, id: B256::ZERO, next_at: Time::ZERO };
        Self {
            engine: Istanbul::open(config, floor, vec![]).unwrap(),
            fx: Effects::new(Default::default()),
            me,
            values: values(&signers),
            signers,
            head: B256::ZERO,
            seen: Seen::default(),
            timer_ms: 0,
            verdicts: BTreeMap::new(),
        }
    }

    fn name(&self, id: B256) -> Value {
        let name = self.values.iter().find(|(_, v)| v.id() == id).map(|(name, _)| name.clone());
        name.map_or(Value::Null, Value::from)
    }

    fn index(&self, address: Address) -> usize {
        self.signers.iter().position(|s| s.address() == address).unwrap()
    }

    fn step(&mut self, input: Input<Chain, Message<TestBlock>>) {
        let mut inputs = vec![input];
        while let Some(input) = inputs.pop() {
            self.engine.step(Time::ZERO, input, &mut self.fx);
            let effects: Vec<_> = self.fx.drain().collect();
            let mut answers = Vec::new();
            for effect in effects {
                match effect {
                    Effect::Sign { ticket, digest, .. } => {
                        let sig = sign(&self.signers[self.me as usize], digest.into());
                        answers.push(Input::Signed { ticket, result: Ok(sig) });
                    }
                    Effect::Check { slot, value } => {
                        let name = self.name(value.id());
                        let verdict = self.verdicts.get(name.as_str().unwrap()).map_or("ok", String::as_str);
                        let verdict = match verdict {
                            "ok" => Verdict::Valid,
                            v if v.starts_with("future block") => Verdict::NotYet { wait: Duration::from_secs(3600) },
                            _ => Verdict::Invalid("invalid"),
                        };
                        answers.push(Input::Verdict { slot, id: value.id(), verdict });
                    }
                    Effect::SetTimer { id: ROUND_TIMER, at } => {
                        self.timer_ms = at.since(Time::ZERO).as_millis() as u64;
                    }
                    Effect::SetTimer { id, .. } if id >= QUEUE_TIMERS => self.seen.sent.push(id),
                    Effect::Decide { value, cert, .. } => {
                        let call = json!({"ok": true, "seals": cert.seals.len(), "value": self.name(value.id())});
                        self.seen.decided.push(call);
                    }
                    Effect::Broadcast { msg, .. } => self.seen.out.push(msg),
                    Effect::Rejected { why, .. } => {
                        (self.seen.error, self.seen.fault) = (Some(why.reason), Some(why.fault));
                    }
                    Effect::Evidence(evidence) => self.seen.accused.push((evidence.offender, evidence.kind)),
                    _ => {}
                }
            }
            answers.reverse();
            inputs.extend(answers);
        }
    }

    fn message(&self, event: &Value) -> Message<TestBlock> {
        let view = View::new(Slot::new(event.num("seq")), Round::new(event.num("round")));
        let value = event["value"].as_str().map(|name| self.values[name].clone());
        let subject = |value: &TestBlock| Subject { view, digest: value.id(), prev_hash: value.parent() };
        let signer = &self.signers[event.num("from") as usize];
        let mut seal = Bytes::new();
        let body = match event.text("kind") {
            "preprepare" => Body::Preprepare(Preprepare { view, value: value.unwrap() }),
            "prepare" => Body::Prepare(subject(&value.unwrap())),
            "commit" => {
                let value = value.unwrap();
                seal = Bytes::copy_from_slice(&sign(signer, seal::committed_digest(value.id())));
                Body::Commit(subject(&value))
            }
            _ => Body::RoundChange(Subject { view, digest: B256::ZERO, prev_hash: self.head }),
        };
        if let Some(other) = event["seal"].as_str() {
            seal = match other {
                "65 zero bytes" => vec![0; 65].into(),
                hex => common::unhex(hex).into(),
            };
        }
        let mut message = Message::unsigned(body, signer.address(), seal);
        message.envelope.signature = Bytes::copy_from_slice(&sign(signer, message.envelope.digest()));
        message
    }

    /// The first waiting event that fits, and the timer that runs it.
    fn find(&self, fits: impl Fn(&QueuedEvent<TestBlock>) -> bool) -> TimerId {
        let queued = self.engine.queued();
        queued.iter().find(|(_, event)| fits(event)).unwrap_or_else(|| panic!("not queued: {queued:?}")).0
    }

    fn run(&mut self, event: &Value) -> bool {
        if let Some(verdicts) = event["host"]["verify"].as_object() {
            for (name, verdict) in verdicts {
                self.verdicts.insert(name.clone(), verdict.as_str().unwrap().to_owned());
            }
        }
        match event.text("op") {
            "start" => self.step(Input::Start),
            "recv" => {
                let message = self.message(event);
                self.step(Input::Message { from: message.from(), msg: message, checked: false });
                return true;
            }
            "self" => {
                let (code, view) =
                    (code(event.text("kind")), View::new(Slot::new(event.num("seq")), Round::new(event.num("round"))));
                let id = self.find(|e| matches!(e, QueuedEvent::Own(m) if m.code() == code && m.view() == view));
                self.step(Input::Timer(id));
                return true;
            }
            "replay" => {
                let (from, code) = (self.signers[event.num("from") as usize].address(), code(event.text("kind")));
                let id = self.find(|e| *e == QueuedEvent::Replay(from, code));
                self.step(Input::Timer(id));
                return true;
            }
            "replay_proposal" => {
                let id = self.find(|e| *e == QueuedEvent::Request);
                self.step(Input::Timer(id));
            }
            "timer" => self.step(Input::Timer(ROUND_TIMER)),
            "proposal" => {
                let value = self.values[event.text("value")].clone();
                self.step(Input::Built { slot: value.height().slot(), value: Some(value) });
            }
            "head" => {
                let value = &self.values[event.text("value")];
                self.head = value.id();
                let floor = Floor { height: value.height(), id: value.id(), next_at: Time::ZERO };
                self.step(Input::Head { floor });
                if event["notified"] == true {
                    let id = self.find(|e| *e == QueuedEvent::Head);
                    self.step(Input::Timer(id));
                }
            }
            other => panic!("unknown event {other}"),
        }
        false
    }

    fn describe_sent(&self, id: TimerId) -> Option<Value> {
        let queued = self.engine.queued();
        let QueuedEvent::Own(message) = queued.into_iter().find(|(i, _)| *i == id)?.1 else { return None };
        let view = message.view();
        let mut sent =
            json!({"from": self.me, "kind": kind(message.code()), "round": view.round.get(), "seq": view.slot.get()});
        match &message.body {
            Body::Preprepare(p) => {
                sent["value"] = self.name(p.value.id());
                sent["header_round_byte"] = p.value.header.extra[31].into();
            }
            Body::Prepare(s) => sent["value"] = self.name(s.digest),
            Body::Commit(s) => {
                sent["value"] = self.name(s.digest);
                let seal = Seal::try_from(&message.envelope.committed_seal[..]);
                let over = seal.ok().and_then(|seal| {
                    self.values
                        .iter()
                        .find(|(_, v)| seal::seal_author(seal::committed_digest(v.id()), &seal) == Some(message.from()))
                });
                sent["committed_seal_over"] = over.map_or(Value::Null, |(name, _)| name.clone().into());
            }
            Body::RoundChange(_) => sent["value"] = Value::Null,
        }
        Some(sent)
    }

    /// The state after a step, in the words of the traces.
    fn describe(&mut self, message: bool) -> Value {
        let status = self.engine.status();
        let seen = core::mem::take(&mut self.seen);
        let (prepares, commits) = self.engine.voters();
        let places = |list: &[Address]| {
            let mut places: Vec<_> = list.iter().map(|a| self.index(*a)).collect();
            places.sort_unstable();
            places
        };
        let requests: BTreeMap<String, Vec<usize>> = self
            .engine
            .round_changes()
            .iter()
            .filter(|(_, senders)| !senders.is_empty())
            .map(|(round, senders)| (round.to_string(), places(&senders.iter().copied().collect::<Vec<_>>())))
            .collect();
        let sent: Vec<_> = seen.sent.iter().filter_map(|id| self.describe_sent(*id)).collect();
        let mut state = json!({
            "error": seen.error,
            "state": status.state,
            "seq": status.height.get(),
            "round": status.round.get(),
            "waiting": status.waiting,
            "locked": status.lock.map_or(Value::Null, |(_, id)| self.name(id)),
            "lock_effective": self.engine.is_locked(),
            "preprepare": status.proposal.map_or(Value::Null, |id| self.name(id)),
            "prepares": places(&prepares),
            "commits": places(&commits),
            "round_changes": requests,
            "proposer": self.index(status.proposer.unwrap()),
            "timer_ms": self.timer_ms,
            "backlog": status.backlog,
            "relay": message && seen.error.is_none(),
        });
        if !sent.is_empty() {
            state["sent"] = sent.into();
        }
        if !seen.decided.is_empty() {
            state["commit_calls"] = seen.decided.into();
        }
        state
    }
}

fn code(kind: &str) -> Code {
    match kind {
        "preprepare" => Code::Preprepare,
        "prepare" => Code::Prepare,
        "commit" => Code::Commit,
        _ => Code::RoundChange,
    }
}

const fn kind(code: Code) -> &'static str {
    match code {
        Code::Preprepare => "preprepare",
        Code::Prepare => "prepare",
        Code::Commit => "commit",
        Code::RoundChange => "roundchange",
    }
}

#[test]
fn every_trace_of_the_reference_step_by_step() {
    for file in vectors("traces.json", "consensus.json") {
        for trace in file.list("traces") {
            let name = trace.text("name");
            let mut bench =
                Bench::new(trace.num("validators"), trace.num("committee_size"), trace.num("me"), Compat::faithful());
            for (i, step) in trace.list("steps").iter().enumerate() {
                let is_message = bench.run(&step["in"]);
                let got = bench.describe(is_message);
                let mut expected = step.clone();
                expected.as_object_mut().unwrap().remove("in");
                assert_eq!(got, expected, "{name}, step {i}: {}", step["in"]);
            }
        }
    }
}

fn propose(bench: &mut Bench, value: &str) -> Value {
    bench.run(&json!({"op": "proposal", "value": value}));
    bench.describe(false)
}

/// RQ-3 asks for the state alone, and a catch-up changes neither the state nor the committee: the proposer of the round
/// that was left puts its block forward in the round it asks for. Its own copy is too early, so no peer gets it.
#[test]
fn a_proposer_of_the_reference_does_not_wait_for_the_round_it_asks_for() {
    let mut bench = Bench::new(4, 22, 0, Compat::faithful());
    bench.run(&json!({"op": "start"}));
    bench.run(&json!({"op": "timer"}));
    bench.describe(false);
    for value in ["A", "B"] {
        let state = propose(&mut bench, value);
        let sent =
            json!([{"from": 0, "header_round_byte": 1, "kind": "preprepare", "round": 1, "seq": 1, "value": value}]);
        assert_eq!(
            (&state["sent"], &state["waiting"], &state["state"]),
            (&sent, &json!(true), &json!("Accept request"))
        );
        bench.run(&json!({"op": "self", "kind": "preprepare", "seq": 1, "round": 1}));
        let state = bench.describe(true);
        assert_eq!((&state["error"], &state["backlog"]), (&json!("future message"), &json!(0)));
    }
    assert!(bench.seen.out.is_empty());

    let mut bench = Bench::new(4, 22, 0, Compat { propose_in_begun_round: true, ..Compat::faithful() });
    bench.run(&json!({"op": "start"}));
    bench.run(&json!({"op": "timer"}));
    bench.describe(false);
    assert_eq!(propose(&mut bench, "A")["sent"], Value::Null);
}

/// RQ-2: every local block that came too early is handled again, also several of one height.
#[test]
fn local_blocks_for_later_are_all_handled_again() {
    let mut bench = Bench::new(4, 22, 1, Compat::faithful());
    bench.run(&json!({"op": "start"}));
    for value in ["A3", "B2", "A2"] {
        assert_eq!(propose(&mut bench, value)["sent"], Value::Null);
    }
    bench.run(&json!({"op": "head", "value": "A", "notified": true}));
    for value in ["B2", "A2"] {
        bench.describe(false);
        bench.run(&json!({"op": "replay_proposal", "value": value}));
        assert_eq!(bench.describe(false)["sent"][0]["value"], value);
    }
    assert_eq!(bench.engine.queued().len(), 2, "the two proposals; the block of the third height waits");
}

/// A proposal carries a whole value, so of those that come too early few are kept: the nearest.
#[test]
fn two_proposals_of_a_sender_are_kept_for_later() {
    let run = |compat| {
        let mut bench = Bench::new(4, 22, 1, compat);
        bench.step(Input::Start);
        for round in [15, 11, 7, 19] {
            bench.run(&json!({"op": "recv", "kind": "preprepare", "from": 3, "seq": 1, "round": round, "value": "A"}));
        }
        bench
    };
    let mut bounded = run(Compat::default());
    assert_eq!(bounded.engine.status().backlog, 2);
    bounded.run(&json!({"op": "recv", "kind": "prepare", "from": 3, "seq": 1, "round": 7, "value": "A"}));
    assert_eq!(bounded.engine.status().backlog, 3, "votes are small");
    for from in [0, 2, 3] {
        bounded.run(&json!({"op": "recv", "kind": "roundchange", "from": from, "seq": 1, "round": 7}));
    }
    let status = bounded.engine.status();
    assert_eq!((status.round, status.vote1), (Round::new(7), 2), "the nearest was kept, and our own vote is there");
    assert_eq!(status.backlog, 1);

    assert_eq!(run(Compat::faithful()).engine.status().backlog, 4, "the reference has no limit");
}

#[test]
fn priorities_of_the_backlog() {
    for file in vectors("wire.json", "consensus.json") {
        for case in file.list("messages") {
            let code = Code::from_u64(case.num("code")).unwrap();
            let view = View::new(Slot::new(case.num("sequence")), Round::new(case.num("round")));
            assert_eq!(backlog_priority(code, view), case["backlog_priority"].to_string().parse::<i64>().unwrap());
        }
    }
}

fn scenario<'a>(file: &'a Value, name: &str) -> &'a Value {
    file.list("network_scenarios").iter().find(|s| s.text("name") == name).unwrap()
}

fn recv(step: &Value) -> Value {
    let mut event = step.clone();
    event["op"] = "recv".into();
    event["kind"] = step["recv"].clone();
    for (key, default) in [("seq", json!(1)), ("round", json!(0))] {
        if event.get(key).is_none() {
            event[key] = default;
        }
    }
    event["seal"] = step.get("seal").or_else(|| step.get("committed_seal")).cloned().unwrap_or(Value::Null);
    event
}

#[test]
fn poisoned_seals_are_counted_by_the_reference_and_dropped_by_default() {
    for file in vectors("traces.json", "consensus.json") {
        let case = scenario(&file, "poisoned-seal-n4");
        let run = |compat| {
            let mut bench = Bench::new(4, 22, 1, compat);
            bench.step(Input::Start);
            for step in case.list("steps") {
                bench.run(&recv(step));
            }
            bench
        };
        let faithful = run(Compat::faithful());
        let expected = &case["expect_legacy"];
        assert_eq!(faithful.engine.status().state, expected.text("state"));
        assert_eq!(faithful.seen.decided[0]["seals"], expected["seals_handed_over"]);
        let fixed = run(Compat { verify_seals: true, ..Compat::faithful() });
        assert!(fixed.seen.decided.is_empty());
        assert_eq!(fixed.engine.voters().1.len(), 1, "only the commit with a good seal counts");
    }
}

/// Trace `old-preprepare-answered-with-commit`: a node of the reference that has the block of an old view seals what it
/// discusses now, or nothing. It is honest, so such a commit does not count and is not held against it.
#[test]
fn a_commit_sealed_as_the_reference_answers_old_proposals_is_no_evidence() {
    let mut bench = Bench::new(4, 22, 1, Compat::default());
    bench.step(Input::Start);
    bench.run(&json!({"op": "recv", "kind": "preprepare", "from": 0, "seq": 1, "round": 0, "value": "A"}));
    let elsewhere = sign(&bench.signers[3], seal::committed_digest(bench.values["A2"].id()));
    let elsewhere = alloy_primitives::hex::encode_prefixed(elsewhere);
    let commits = [(2, "0x", Fault::Nobody), (3, &*elsewhere, Fault::Nobody), (0, "65 zero bytes", Fault::Sender)];
    for (from, seal, fault) in commits {
        bench.run(
            &json!({"op": "recv", "kind": "commit", "from": from, "seq": 1, "round": 0, "value": "A", "seal": seal}),
        );
        assert_eq!(bench.seen.error, Some("committed seal is not the sender's"));
        assert_eq!(bench.seen.fault, Some(fault), "{seal}");
    }
    assert!(bench.engine.voters().1.is_empty());
    assert_eq!(bench.seen.accused, [(bench.signers[0].address(), Misbehaviour::BadSeal)]);
}

#[test]
fn a_counter_byte_in_a_round_change_changes_nothing_for_the_reference() {
    for file in vectors("traces.json", "consensus.json") {
        let case = scenario(&file, "round-change-counter-byte");
        let mut bench = Bench::new(4, 22, 1, Compat::faithful());
        bench.step(Input::Start);
        for step in case.list("steps") {
            bench.seen = Seen::default();
            bench.run(&recv(step));
            if let Some(error) = step.get("error") {
                assert_eq!(json!(bench.seen.error), *error);
            }
            if let Some(kept) = step.get("kept") {
                let kept_now: usize = bench.engine.round_changes().values().map(|s| s.len()).sum();
                assert_eq!(json!(kept_now), *kept);
            }
            if let Some(round) = step.get("round_after") {
                assert_eq!(json!(bench.engine.status().round.get()), *round);
            }
        }
    }
}

/// Which messages get through: `[kind, from, to]` with `*` for any.
fn passes(rules: &Value, kind: &str, from: usize, to: usize) -> bool {
    let fits = |rule: &Value, n: usize| *rule == json!("*") || *rule == json!(n);
    match rules.as_array() {
        None => true,
        Some(rules) => rules.iter().any(|r| r[0] == *kind && fits(&r[1], from) && fits(&r[2], to)),
    }
}

fn deliver(benches: &mut [Bench], rules: &Value) {
    loop {
        let out: Vec<_> = benches.iter_mut().enumerate().map(|(i, b)| (i, core::mem::take(&mut b.seen.out))).collect();
        if out.iter().all(|(_, messages)| messages.is_empty()) {
            return;
        }
        for (from, messages) in out {
            for message in messages {
                for (to, bench) in benches.iter_mut().enumerate() {
                    if to != from && passes(rules, kind(message.code()), from, to) {
                        bench.step(Input::Message { from: message.from(), msg: message.clone(), checked: false });
                    }
                }
            }
        }
    }
}

/// Chapter 50, section 3.3 a: two honest validators locked on different values, the third on none, the fourth silent.
/// Every round change succeeds and no height is ever decided.
#[test]
fn locks_of_the_reference_can_stop_a_chain_for_ever() {
    for file in vectors("traces.json", "consensus.json") {
        let case = scenario(&file, "lock-deadlock-n4");
        let compat = Compat { own_at_once: true, ..Compat::faithful() };
        let mut benches: Vec<_> = (0..3).map(|me| Bench::new(4, 22, me, compat)).collect();
        for (me, bench) in benches.iter_mut().enumerate() {
            bench.step(Input::Start);
            let value = bench.values[case["local_blocks"].text(&me.to_string())].clone();
            bench.step(Input::Built { slot: value.height().slot(), value: Some(value) });
        }
        for phase in case.list("phases") {
            for _ in 0..phase["repeat"].as_u64().unwrap_or(1) {
                if phase.get("timers").is_some() {
                    benches.iter_mut().for_each(|b| b.step(Input::Timer(ROUND_TIMER)));
                }
                deliver(&mut benches, &phase["deliver"]);
                for inject in phase.list("inject") {
                    for to in inject.nums("to") {
                        let message = benches[to as usize].message(inject);
                        benches[to as usize].step(Input::Message {
                            from: message.from(),
                            msg: message,
                            checked: false,
                        });
                    }
                }
                deliver(&mut benches, &json!([]));
            }
            for (me, bench) in benches.iter().enumerate() {
                let lock = bench.engine.status().lock.map_or(Value::Null, |(_, id)| bench.name(id));
                assert_eq!(lock, phase["locks"][me.to_string()], "{phase}");
                assert!(bench.seen.decided.is_empty());
            }
        }
        let rounds: Vec<_> = benches.iter().map(|b| b.engine.status().round.get()).collect();
        assert!(rounds.iter().all(|round| *round >= 26), "every round change succeeds: {rounds:?}");
    }
}
