//! A run at several rates: what each phase came to, and how soon an overload was over.

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    pace::Phase,
    report::{latencies, round},
};

/// How exactly it is known when a block was seen, in seconds.
const POLL: f64 = 0.05;

/// One transaction of a run at a rate, in seconds after the start.
#[derive(Debug, Clone, Copy)]
pub(super) struct Trip {
    /// When it was to arrive.
    pub(super) arrived: f64,
    /// When it was seen in a block.
    pub(super) seen: Option<f64>,
}

/// What the phases of a run came to.
#[derive(Debug)]
pub(super) struct Phases<'a> {
    phases: &'a [Phase],
    /// All planned arrivals, accepted or not.
    planned: &'a [Duration],
    /// Those that were accepted.
    trips: &'a [Trip],
}

impl<'a> Phases<'a> {
    pub(super) const fn new(phases: &'a [Phase], planned: &'a [Duration], trips: &'a [Trip]) -> Self {
        Self { phases, planned, trips }
    }

    /// One object a phase; with an overload also how much of the rate before it was left, and how long it was felt.
    pub(super) fn to_json(&self) -> Value {
        let mut shown = Vec::with_capacity(self.phases.len());
        for (index, phase) in self.phases.iter().enumerate() {
            let (from, to) = self.span(index);
            let within = |at: f64| (from..to).contains(&at);
            let planned = self.planned.iter().filter(|at| within(at.as_secs_f64())).count();
            let accepted = self.trips.iter().filter(|trip| within(trip.arrived)).count();
            shown.push(json!({
                "name": phase.name,
                "rate": phase.rate,
                "seconds": phase.seconds,
                "arrivals": planned,
                "turnedAway": planned.saturating_sub(accepted),
                "tps": round(self.rate(index), 0),
                "latencySeconds": latencies(self.waits(from, to)),
            }));
        }
        let mut report = json!({ "phases": shown });
        if let [calm, full, overload, _] = &*shown {
            let (best, kept) = (self.rate(1), self.rate(2));
            report["overload"] = json!({
                "calmP99": calm["latencySeconds"]["p99"],
                "fullTps": full["tps"],
                "overloadTps": overload["tps"],
                "ratio": round(kept / best.max(0.001), 3),
                "recoverySeconds": self.recovery(),
                "secondsAfter": self.medians(),
            });
        }
        report
    }

    fn span(&self, index: usize) -> (f64, f64) {
        let from: f64 = self.phases[..index].iter().map(|phase| phase.seconds).sum();
        (from, from + self.phases[index].seconds)
    }

    /// Transactions a second that were seen in blocks during a phase.
    fn rate(&self, index: usize) -> f64 {
        let (from, to) = self.span(index);
        let seen = self.trips.iter().filter(|trip| trip.seen.is_some_and(|at| (from..to).contains(&at))).count();
        seen as f64 / (to - from)
    }

    fn waits(&self, from: f64, to: f64) -> Vec<f64> {
        let within = |trip: &&Trip| (from..to).contains(&trip.arrived);
        let mut waits: Vec<f64> =
            self.trips.iter().filter(within).filter_map(|trip| Some(trip.seen? - trip.arrived)).collect();
        waits.sort_by(f64::total_cmp);
        waits
    }

    /// The median latency of what arrived in each second after the overload.
    fn medians(&self) -> Vec<Option<f64>> {
        let (from, to) = self.span(3);
        (0..(to - from) as u64)
            .map(|second| {
                let waits = self.waits(from + second as f64, from + second as f64 + 1.0);
                waits.get(waits.len() / 2).map(|wait| round(*wait, 2))
            })
            .collect()
    }

    /// Seconds after the overload until half of what arrives in a second is in a block no later than nearly all of it
    /// was before.
    fn recovery(&self) -> Option<usize> {
        let (from, to) = self.span(0);
        let calm = self.waits(from, to);
        let normal = *calm.get(calm.len() * 99 / 100)?;
        let slow = |median: &Option<f64>| median.is_none_or(|median| median > normal + POLL);
        Some(self.medians().iter().rposition(slow).map_or(0, |last| last + 1))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Phases, Trip};
    use crate::load::pace::Phase;

    #[test]
    fn an_overload_is_over_when_latency_is_as_before() {
        let phase = |name, seconds| Phase { name, rate: 10.0, seconds };
        let phases = [phase("calm", 2.0), phase("full", 2.0), phase("overload", 2.0), phase("after", 4.0)];
        let planned: Vec<Duration> = (0..100).map(|n| Duration::from_millis(n * 100)).collect();
        let trips: Vec<Trip> = planned
            .iter()
            .map(|at| {
                let arrived = at.as_secs_f64();
                let wait = if (4.0..7.5).contains(&arrived) { 3.0 } else { 1.0 };
                Trip { arrived, seen: Some(arrived + wait) }
            })
            .collect();
        let report = Phases::new(&phases, &planned, &trips[..90]).to_json();
        assert_eq!(report["overload"]["recoverySeconds"], 4, "the last second was not accepted");
        assert_eq!(report["phases"][3]["turnedAway"], 10);
        let report = Phases::new(&phases, &planned, &trips).to_json();
        assert_eq!(report["overload"]["recoverySeconds"], 2);
        assert_eq!(report["phases"][0]["latencySeconds"]["p50"], 1.0);
        assert_eq!(report["phases"][1]["tps"], 10.0);
    }
}
