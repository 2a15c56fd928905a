//! When transactions are sent.

use std::{error::Error, time::Duration};

use klay_core::crypto::keccak256;

/// Most arrivals of a run at a rate.
const MAX_ARRIVALS: f64 = 2_000_000.0;

/// When transactions are sent.
#[derive(Debug)]
pub(super) enum Pace {
    /// As fast as they are accepted.
    Saturate { count: u64 },
    /// As fast as they are accepted, but for so many on the way.
    Window { count: u64, window: usize },
    /// At these times after the start.
    Arrivals { times: Vec<Duration>, phases: Vec<Phase> },
}

/// A time of one rate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Phase {
    pub(super) name: &'static str,
    /// Arrivals a second.
    pub(super) rate: f64,
    pub(super) seconds: f64,
}

impl Phase {
    const fn new(name: &'static str, rate: f64, seconds: f64) -> Self {
        Self { name, rate, seconds }
    }
}

impl Pace {
    /// Poisson arrivals at `rate` a second for so many seconds, the same for the same seed.
    pub(super) fn poisson(rate: f64, seconds: f64, seed: u64) -> Result<Self, Box<dyn Error>> {
        Self::phases(vec![Phase::new("steady", rate, seconds)], seed)
    }

    /// Half the rate, the rate, `factor` times the rate for `long` seconds, and half of it again.
    pub(super) fn overload(
        rate: f64,
        seconds: f64,
        (factor, long): (f64, f64),
        seed: u64,
    ) -> Result<Self, Box<dyn Error>> {
        let phases = vec![
            Phase::new("calm", rate / 2.0, seconds),
            Phase::new("full", rate, seconds),
            Phase::new("overload", rate * factor, long),
            Phase::new("after", rate / 2.0, seconds),
        ];
        Self::phases(phases, seed)
    }

    fn phases(phases: Vec<Phase>, seed: u64) -> Result<Self, Box<dyn Error>> {
        let positive = |value: f64| value.is_finite() && value > 0.0;
        let is_sound = phases.iter().all(|phase| positive(phase.rate) && positive(phase.seconds));
        let expected: f64 = phases.iter().map(|phase| phase.rate * phase.seconds).sum();
        if !is_sound || expected > MAX_ARRIVALS {
            return Err(format!("--rate and --seconds give no number of arrivals between 1 and {MAX_ARRIVALS}").into());
        }
        let mut times = Vec::new();
        let (mut at, mut end) = (0.0, 0.0);
        let mut draws = 0_u64..;
        for phase in &phases {
            end += phase.seconds;
            for draw in draws.by_ref() {
                at -= uniform(seed, draw).ln() / phase.rate;
                if at > end {
                    // Arrivals have no memory: the next phase begins afresh.
                    at = end;
                    break;
                }
                times.push(Duration::from_secs_f64(at));
            }
        }
        Ok(Self::Arrivals { times, phases })
    }

    pub(super) const fn count(&self) -> u64 {
        match self {
            Self::Saturate { count } | Self::Window { count, .. } => *count,
            Self::Arrivals { times, .. } => times.len() as u64,
        }
    }
}

/// A number between 0 and 1, neither included.
fn uniform(seed: u64, draw: u64) -> f64 {
    let hash = keccak256(format!("klay-load/arrival/{seed}/{draw}"));
    let mut first = [0; 8];
    first.copy_from_slice(&hash[..8]);
    (u64::from_be_bytes(first) as f64 + 1.0) / (u64::MAX as f64 + 2.0)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use std::time::Duration;

    use super::Pace;

    #[test]
    fn phases_have_their_rates() {
        let Pace::Arrivals { times, phases } = Pace::overload(1_000.0, 10.0, (1.5, 20.0), 1).unwrap() else {
            panic!("no arrivals")
        };
        assert_eq!(phases.len(), 4);
        assert!(times.is_sorted());
        let within = |from: u64, to: u64| {
            let range = Duration::from_secs(from)..Duration::from_secs(to);
            times.iter().filter(|time| range.contains(time)).count() as f64
        };
        for (from, to, expected) in [(0, 10, 5_000.0), (10, 20, 10_000.0), (20, 40, 30_000.0), (40, 50, 5_000.0)] {
            let found = within(from, to);
            assert!((found - expected).abs() < 5.0 * f64::sqrt(expected), "{found} where {expected} are expected");
        }
        assert!(Pace::poisson(0.0, 1.0, 1).is_err() && Pace::poisson(1e6, 1e6, 1).is_err());
    }
}
