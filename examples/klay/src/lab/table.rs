//! Figures as a table and as lines of a CSV file.

use std::time::Duration;

use klay_consensus::sim::{Metrics, Report, Run, Sweep};

use super::engine::EngineName;

/// One line of the table.
pub(super) struct Row {
    pub(super) engine: EngineName,
    pub(super) validators: u32,
    /// One message delay.
    pub(super) delay: Duration,
    pub(super) sweep: Sweep,
}

pub(super) const CSV_HEAD: &str = "engine,validators,faults,seed,digest,finished,heights,rounds,max_round,messages,bytes,\
decide_delays,block_delays,restarts,evidence,longest_gap_ms,violations,known_faults";

const HEADS: [&str; 13] = [
    "engine",
    "N",
    "seeds",
    "heights",
    "rounds mean",
    "max",
    "msgs/height",
    "bytes/height",
    "decide (delays)",
    "block (delays)",
    "evidence",
    "violations",
    "known faults",
];

/// The mean time from a proposal to its decision, in message delays; none if nothing was decided.
pub(super) fn delays(run: &Run, report: &Report) -> Option<f64> {
    mean(report.metrics.deciding, report.metrics.decisions, run.faults.mean_delay())
}

fn mean(sum: Duration, count: u64, delay: Duration) -> Option<f64> {
    (count > 0).then(|| sum.as_secs_f64() / count as f64 / delay.as_secs_f64())
}

fn ratio(sum: u64, count: u64) -> f64 {
    if count == 0 { 0.0 } else { sum as f64 / count as f64 }
}

fn shown(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.2}"))
}

fn counts(counts: &std::collections::BTreeMap<&'static str, u64>) -> String {
    if counts.is_empty() {
        return "0".to_owned();
    }
    counts.iter().map(|(invariant, count)| format!("{invariant}: {count}")).collect::<Vec<_>>().join(", ")
}

impl Row {
    fn cells(&self) -> [String; 13] {
        let Metrics { heights, rounds, max_round, bytes, evidence, .. } = self.sweep.metrics;
        let metrics = &self.sweep.metrics;
        [
            self.engine.name().to_owned(),
            self.validators.to_string(),
            self.sweep.seeds.to_string(),
            heights.to_string(),
            format!("{:.3}", ratio(rounds, heights)),
            max_round.to_string(),
            format!("{:.0}", ratio(metrics.sent(), heights)),
            format!("{:.0}", ratio(bytes, heights)),
            shown(mean(metrics.deciding, metrics.decisions, self.delay)),
            shown(mean(metrics.following, metrics.followed, self.delay)),
            evidence.to_string(),
            counts(&self.sweep.violations),
            counts(&self.sweep.known),
        ]
    }
}

/// The table, columns as wide as they have to be.
pub(super) fn render(rows: &[Row]) -> String {
    let mut lines = vec![HEADS.map(str::to_owned)];
    lines.extend(rows.iter().map(Row::cells));
    let width = |column: usize| lines.iter().map(|line| line[column].len()).max().unwrap_or_default();
    let widths: Vec<_> = (0..HEADS.len()).map(width).collect();
    let mut text = String::new();
    for line in &lines {
        let cells: Vec<_> = line
            .iter()
            .zip(&widths)
            .enumerate()
            .map(
                |(column, (cell, width))| {
                    if column == 0 { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
                },
            )
            .collect();
        text += cells.join("  ").trim_end();
        text.push('\n');
    }
    text
}

/// One run.
pub(super) fn csv_line(engine: EngineName, validators: u32, faults: &str, run: &Run, report: &Report) -> String {
    let metrics = &report.metrics;
    let first = |list: &[klay_consensus::sim::Violation]| list.first().map_or("", |violation| violation.invariant);
    [
        engine.name().to_owned(),
        validators.to_string(),
        faults.to_owned(),
        run.seed.to_string(),
        format!("{:016x}", report.digest),
        report.finished.to_string(),
        metrics.heights.to_string(),
        metrics.rounds.to_string(),
        metrics.max_round.to_string(),
        metrics.sent().to_string(),
        metrics.bytes.to_string(),
        delays(run, report).map_or_else(String::new, |delays| format!("{delays:.3}")),
        mean(metrics.following, metrics.followed, run.faults.mean_delay())
            .map_or_else(String::new, |delays| format!("{delays:.3}")),
        metrics.restarts.to_string(),
        metrics.evidence.to_string(),
        metrics.longest_gap.as_millis().to_string(),
        first(&report.violations).to_owned(),
        first(&report.known).to_owned(),
    ]
    .join(",")
}
