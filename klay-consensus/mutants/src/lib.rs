#![doc = include_str!("../README.md")]
#![allow(missing_docs, unreachable_pub, dead_code, clippy::all, rustdoc::all)]

include!(concat!(env!("OUT_DIR"), "/copy/root.rs"));

/// Which break is switched on in this thread.
pub mod switch {
    use std::cell::Cell;

    thread_local!(static ACTIVE: Cell<u32> = const { Cell::new(0) });

    /// Whether break `number` is switched on.
    pub fn on(number: u32) -> bool {
        ACTIVE.with(|active| active.get() == number)
    }

    /// Switches on break `number`, 0 for none, for what `run` does in this thread.
    pub fn with<T>(number: u32, run: impl FnOnce() -> T) -> T {
        ACTIVE.with(|active| active.set(number));
        let out = run();
        ACTIVE.with(|active| active.set(0));
        out
    }
}
