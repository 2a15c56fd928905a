//! Whatever messages, timers and answers reach an engine, it neither panics nor speaks without bound.

#![no_main]

use klay_consensus::{
    sim::{Lab, justified::JustifiedLab, simplex::SimplexLab},
    types::{Effects, Engine, Floor, Height, Input, Limits, Lsn, Model, Slot, Time, TimerId, Verdict},
};
use libfuzzer_sys::fuzz_target;

fn drive<L: Lab>(lab: &L, bytes: &[u8]) {
    let floor = Floor { height: Height::ZERO, id: lab.genesis(), next_at: Time::ZERO };
    let mut engine = L::Engine::open(lab.config(0), floor, Vec::new()).expect("a sound configuration");
    let mut fx = Effects::new(Lsn::new(1));
    let mut now = Time::ZERO;
    engine.step(now, Input::Start, &mut fx);
    let mut rest = bytes;
    while let [what, length, tail @ ..] = rest {
        let (content, tail) = tail.split_at((*length as usize * 4).min(tail.len()));
        rest = tail;
        now = now.after(core::time::Duration::from_millis(u64::from(*length)));
        let value = lab.value(1, Height::new(1), lab.genesis(), u64::from(*what), true);
        let id: <L::Model as Model>::Id = klay_consensus::types::Value::id(&value);
        let input = match what % 5 {
            0 | 1 => match lab.codec().decode(content, Limits::default()) {
                Ok(msg) => Input::Message { from: lab.peer(1), msg, checked: what % 2 == 1 },
                Err(_) => continue,
            },
            2 => Input::Timer(TimerId::new(u64::from(*length) % 8)),
            3 => Input::Built { slot: Slot::new(1), value: Some(value) },
            _ => Input::Verdict { slot: Slot::new(1), id, verdict: Verdict::Valid },
        };
        engine.step(now, input, &mut fx);
        assert!(fx.drain().count() < 4096);
        assert!(engine.status().backlog < 8192);
    }
}

fuzz_target!(|bytes: &[u8]| {
    drive(&JustifiedLab::new(4), bytes);
    drive(&SimplexLab::new(4), bytes);
});
