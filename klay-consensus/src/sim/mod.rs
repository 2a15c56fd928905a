//! The lab: any engine in a world where everything goes wrong, from a seed.
//!
//! A [`Run`] has a seed, heights to reach and [`Faults`]; [`run`] plays it and returns a [`Report`] with broken
//! promises, counts and a digest. The same run gives the same report everywhere. [`shrink`] takes a failing run apart
//! until nothing can be left out.
//!
//! | World | |
//! |---|---|
//! | nodes | engine, gate and log as in production, on disks that forget what was not synced |
//! | time | nanoseconds on one queue; each node has its own clock with offset and drift |
//! | network | loss, duplicates, delays, partitions, until it settles; bounded delays afterwards |
//! | crashes | at any effect; the disk keeps all, nothing or part of what was not synced |
//! | hostile nodes | the engine without a gate, its messages changed on the way out |
//! | chain | values with invalid ones among them; decided blocks spread and are fetched by who is behind |
//!
//! | Invariant | Statement |
//! |---|---|
//! | I1 | nobody honest, importers included, accepts two values at one height |
//! | I2 | decided values are valid |
//! | I3 | heights are decided in order, each on its parent |
//! | I4 | no honest key says two things in one view and step, over all its lives |
//! | I5 | nothing is said before it is durable |
//! | I6 | every decision carries a proof that stands alone |
//! | I7 | the round of a lock does not fall |
//! | I9 | what is kept for later is bounded |
//! | I10 | after the network has settled, heights are decided within bounds |
//! | I11 | no evidence names an honest key |
//! | I12 | a node restarted with its log comes back |
//! | I13 | the same run twice gives the same digest |
//!
//! Source: chapter 50, sections 6.1 and 6.2.

mod faults;
mod invariants;
pub mod istanbul;
pub mod justified;
mod lab;
mod network;
mod node;
mod random;
mod report;
mod shrink;
mod world;

use std::sync::Arc;

pub use faults::{Byzantine, Faults};
pub use lab::{CertOf, Lab, MsgOf, PeerOf, ValueOf};
pub use random::{Concern, Stream};
pub use report::{Metrics, Report, Violation};
pub use shrink::shrink;
pub use world::Run;

/// Plays a run.
pub fn run<L: Lab>(lab: &Arc<L>, run: Run) -> Report {
    world::World::new(Arc::clone(lab), run).play()
}
