//! Runs as small files: one setting a line, only those that differ from a run in which nothing goes wrong.

use core::{fmt::Write as _, time::Duration};

use super::{CrashPoint, Faults, Run};
use crate::wal::Kept;

/// Why a file is not a run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct BadReplay {
    /// Which line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub reason: &'static str,
}

impl Run {
    /// The run as text, `name value` a line.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        let mut line = |name: &str, value: &str| {
            // Writing to a string does not fail.
            let _ok = writeln!(text, "{name} {value}").is_ok();
        };
        line("seed", &self.seed.to_string());
        line("heights", &self.heights.to_string());
        line("patience", &self.patience.as_nanos().to_string());
        line("gated", &u8::from(self.gated).to_string());
        if let Some(CrashPoint { node, after, kept, downtime }) = self.crash_at {
            let kept = match kept {
                Kept::Nothing => 0,
                Kept::Part(thousandths) => thousandths.min(1000),
                Kept::All => 1000,
            };
            line("crash_at", &format!("{node} {after} {kept} {}", downtime.as_nanos()));
        }
        let (mut faults, mut none) = (self.faults.clone(), Faults::none());
        for ((name, setting), (_, usual)) in faults.settings().into_iter().zip(none.settings()) {
            if setting.text() != usual.text() {
                line(name, &setting.text());
            }
        }
        text
    }

    /// Reads what [`Self::to_text`] writes. Lines that begin with `#` and names that are not settings of a run are for
    /// `other`, which says whether it knows them.
    ///
    /// # Errors
    /// At the first line that is neither.
    pub fn from_text(text: &str, mut other: impl FnMut(&str, &str) -> bool) -> Result<Self, BadReplay> {
        let mut run = Self::new(0, Faults::none());
        for (number, content) in text.lines().enumerate() {
            let bad = |reason| BadReplay { line: number + 1, reason };
            let content = content.trim();
            if content.is_empty() || content.starts_with('#') {
                continue;
            }
            let (name, value) = content.split_once(' ').unwrap_or((content, ""));
            if !run.set(name, value).ok_or(bad("not a value of that setting"))? && !other(name, value) {
                return Err(bad("unknown setting"));
            }
        }
        Ok(run)
    }

    /// Whether the name is one of a run's; none if its value does not fit.
    fn set(&mut self, name: &str, value: &str) -> Option<bool> {
        match name {
            "seed" => self.seed = value.parse().ok()?,
            "heights" => self.heights = value.parse().ok()?,
            "patience" => self.patience = Duration::from_nanos(value.parse().ok()?),
            "gated" => self.gated = value == "1",
            "crash_at" => self.crash_at = Some(crash_point(value)?),
            _ => {
                let mut settings = self.faults.settings();
                let Some((_, setting)) = settings.iter_mut().find(|(known, _)| *known == name) else {
                    return Some(false);
                };
                return setting.set(value).then_some(true);
            }
        }
        Some(true)
    }
}

/// Reads `node after kept downtime`, what is kept in thousandths.
fn crash_point(text: &str) -> Option<CrashPoint> {
    let mut words = text.split(' ');
    let (node, after) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    let kept = match words.next()?.parse().ok()? {
        0 => Kept::Nothing,
        1000 => Kept::All,
        part => Kept::Part(part),
    };
    Some(CrashPoint { node, after, kept, downtime: Duration::from_nanos(words.next()?.parse().ok()?) })
}

#[cfg(test)]
mod tests {
    use super::{CrashPoint, Duration, Faults, Kept, Run};

    #[test]
    fn a_run_survives_being_written() {
        for seed in 0..50 {
            let run = Run::new(seed, Faults::all(10, seed));
            let text = run.to_text();
            assert!(text.len() < 1024, "{text}");
            assert_eq!(Run::from_text(&text, |_, _| false), Ok(run));
        }
        let point = CrashPoint { node: 2, after: 117, kept: Kept::Part(500), downtime: Duration::from_secs(1) };
        let run = Run { crash_at: Some(point), ..Run::new(1, Faults::none()) };
        assert_eq!(Run::from_text(&run.to_text(), |_, _| false), Ok(run));
    }

    #[test]
    fn what_is_no_setting_is_refused_with_its_line() {
        let refused = Run::from_text("seed 1\nfrost 3\n", |_, _| false).unwrap_err();
        assert_eq!(refused.line, 2);
        assert!(Run::from_text("seed x", |_, _| true).is_err());
        assert!(Run::from_text("# note\nengine simplex\nseed 4", |name, _| name == "engine").is_ok());
    }
}
