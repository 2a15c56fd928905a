//! The engines without a chain: `consensus [steps] [decisions] [period]`, all three if none is named.
//!
//! | Part | What |
//! |---|---|
//! | `steps` | one step of an engine, messages already checked |
//! | `decisions` | from a proposal to the value applied: hosts in one process, one value after the other |
//! | `period` | hosts in one process that decide a value of 0.8 MB a second |
//!
//! Goals: chapter 50, section 6.3.
#![allow(missing_docs)]

mod hosts;
mod steps;

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let is_wanted = |part: &str| wanted.is_empty() || wanted.iter().any(|wanted| wanted == part);
    if is_wanted("steps") {
        steps::measure();
    }
    if is_wanted("decisions") {
        hosts::measure_decisions();
    }
    if is_wanted("period") {
        hosts::measure_period();
    }
}

/// The element that a share of all are not above. They are sorted.
fn quantile<T: Copy>(sorted: &[T], share: f64) -> T {
    sorted[((sorted.len() - 1) as f64 * share) as usize]
}
