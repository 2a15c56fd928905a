//! The lab: any engine in a world where everything goes wrong, from a seed.
//!
//! A [`Run`] has a seed, heights to reach and [`Faults`]; [`run`] plays it and returns a [`Report`] with broken
//! promises, counts and a digest. The same run gives the same report everywhere. [`shrink`] takes a failing run apart
//! until nothing can be left out.
//!
//! | World | |
//! |---|---|
//! | nodes | engine, gate and log as in production, on disks that forget what was not synced |
//! | time | nanoseconds on one queue; each node has its own clocks with offset, drift and jumps |
//! | network | loss, duplicates, damage, delays of three shapes, bandwidth, parts, one-way links, slow nodes, until it settles; bounded delays afterwards |
//! | crashes | at any effect and while the log is written; the disk keeps all, nothing or part of what was not synced; lost and older logs are tried and must be refused |
//! | hostile nodes | the engine without a gate, its messages changed on the way out, forged, repeated, withheld; two copies with one key |
//! | chain | values with invalid and early ones among them, slow builds and checks, failing applies, changing validators; decided blocks spread and are fetched by who is behind |
//!
//! | Invariant | Statement |
//! |---|---|
//! | I1 | nobody honest, importers included, accepts two values at one height |
//! | I2 | decided values are valid and were accepted by the application of an honest node |
//! | I3 | heights are decided in order, each on its parent |
//! | I4 | no honest key says two things in one view and step, over all its lives |
//! | I5 | whatever was said is on the disk after a crash |
//! | I6 | every decision carries a proof that stands alone |
//! | I7 | the round of a lock does not fall, not across restarts either |
//! | I8 | no honest key finalizes and gives up one view |
//! | I9 | what is kept for later is bounded |
//! | I10 | after everything has settled, heights are decided within the engine's bound |
//! | I11 | evidence proves what it says and never names an honest key |
//! | I12 | a node restarted with its log comes back, without it it is refused |
//! | I13 | the same run twice gives the same digest |
//! | I14 | what honest nodes send decodes to itself |
//!
//! What a protocol is known not to promise ([`Lab::is_known_fault`]) is reported apart.
//!
//! Source: chapter 50, sections 6.1 and 6.2.

mod counts;
mod crashes;
mod faults;
mod invariants;
pub mod istanbul;
pub mod justified;
mod lab;
mod network;
mod node;
mod profiles;
mod queue;
mod random;
mod replay;
mod report;
mod shrink;
pub mod simplex;
mod sweep;
mod table;
pub mod value;
mod world;

use std::{ops::Range, sync::Arc};

use core::fmt;

pub use crashes::{CrashSweep, crash_sweep};
pub use faults::{Byzantine, Delays, Faults};
pub use lab::{CertOf, Lab, MsgOf, PeerOf, ValueOf};
pub use profiles::{PROFILES, Profile};
pub use random::{Concern, Stream};
pub use replay::BadReplay;
pub use report::{Metrics, Report, Violation};
pub use shrink::shrink;
pub use sweep::{Sweep, sweep};
pub use table::{Enumeration, Orders, Seen, Twins};
pub use world::{CrashPoint, Run};

/// Plays a run.
pub fn run<L: Lab>(lab: &Arc<L>, run: Run) -> Report {
    lab.run(run)
}

/// Tries every order of one height among all nodes of a lab.
pub fn orders<L: Lab + Clone>(lab: &L, wanted: Orders) -> Seen
where
    L::Engine: Clone + fmt::Debug,
{
    lab.orders(wanted)
}

/// Tries every partition in every round under one list of leaders.
pub fn enumerate_twins<L: Lab + Clone>(lab: &L, twins: Twins, leaders: &[usize]) -> Enumeration
where
    L::Engine: Clone + fmt::Debug,
{
    lab.enumerate_twins(twins, leaders)
}

/// Tries leaders and partitions drawn from each seed.
pub fn sample_twins<L: Lab + Clone>(lab: &L, twins: Twins, seeds: Range<u64>) -> Enumeration {
    lab.sample_twins(twins, seeds)
}
