//! How long decisions take, as a drawing.

use std::{collections::BTreeMap, error::Error, path::Path};

use plotters::prelude::*;

use super::engine::EngineName;

/// The mean time to decide of one run.
pub(super) struct Point {
    pub(super) engine: EngineName,
    pub(super) validators: u32,
    /// In message delays; none if nothing was decided.
    pub(super) delays: Option<f64>,
}

/// Draws for each engine the share of runs that decide within so many message delays.
pub(super) fn draw(file: &Path, faults: &str, points: &[Point]) -> Result<(), Box<dyn Error>> {
    let mut curves = BTreeMap::<(EngineName, u32), Vec<f64>>::new();
    for Point { engine, validators, delays } in points {
        curves.entry((*engine, *validators)).or_default().extend(delays);
    }
    let longest = curves.values().flatten().copied().fold(4.0, f64::max);
    let root = SVGBackend::new(file, (900, 520)).into_drawing_area();
    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&root)
        .margin(16)
        .caption(format!("Time to decide, faults: {faults}"), ("sans-serif", 20))
        .x_label_area_size(44)
        .y_label_area_size(52)
        .build_cartesian_2d(0.0..longest * 1.02, 0.0..1.0)?;
    chart.configure_mesh().x_desc("message delays from proposal to decision").y_desc("share of runs").draw()?;
    for (index, ((engine, validators), mut delays)) in curves.into_iter().enumerate() {
        delays.sort_by(f64::total_cmp);
        let count = delays.len().max(1) as f64;
        let colour = Palette99::pick(index).to_rgba();
        let steps = delays
            .iter()
            .enumerate()
            .flat_map(|(rank, delay)| [(*delay, rank as f64 / count), (*delay, (rank + 1) as f64 / count)]);
        chart
            .draw_series(LineSeries::new(steps, colour.stroke_width(2)))?
            .label(format!("{} of {validators}", engine.name()))
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2)));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerRight)
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK.mix(0.3))
        .draw()?;
    root.present()?;
    Ok(())
}
