//! `cartlog analyze --repeat N`: how long the analyses take on this machine, over these events.
//!
//! An analysis is answered once without the clock, so that the columns it reads are in memory, and then N times with it.
//! What is measured is the way from mapped columns to a finished table; opening the store and printing are left out.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::json;

use crate::analysis::{Analysis, Input, Parameters, Together};
use crate::cli::settings::Settings;
use crate::cli::summary::Summary;
use crate::cli::text;

/// What an analysis took.
#[derive(Debug)]
struct Measured {
    name: &'static str,
    /// Rows of its table.
    rows: u64,
    /// Ascending, one an answer.
    times: Vec<Duration>,
}

impl Measured {
    fn median(&self) -> Duration {
        let (low, high) = (self.times[(self.times.len() - 1) / 2], self.times[self.times.len() / 2]);
        (low + high) / 2
    }
}

/// Answers each of the analyses `repeat` times, at least once, and prints what that took.
pub(super) fn execute(
    input: &Input<'_>,
    analyses: &[&'static dyn Analysis],
    parameters: &[Parameters],
    repeat: u32,
    settings: &Settings,
) -> Result<()> {
    let events = input.events().rows();
    let measured = analyses
        .iter()
        .zip(parameters)
        .map(|(analysis, parameters)| measure(input, *analysis, parameters, repeat.max(1)))
        .collect::<Result<Vec<Measured>>>()?;
    let together =
        (analyses.len() > 1).then(|| measure_together(input, analyses, parameters, repeat.max(1))).transpose()?;
    if !settings.json {
        return show(measured.iter().chain(&together), events);
    }
    let figures_of = |measured: &Measured| {
        json!({
            "name": measured.name,
            "rows": measured.rows,
            "seconds": measured.median().as_secs_f64(),
            "all_seconds": measured.times.iter().map(Duration::as_secs_f64).collect::<Vec<f64>>(),
        })
    };
    let mut summary = Summary::new(String::new());
    summary.number("rows", "rows", events);
    summary.field("analyses", measured.iter().map(figures_of).collect::<Vec<_>>());
    if let Some(together) = &together {
        summary.field("together", figures_of(together));
    }
    summary.stage("analyses", measured.iter().flat_map(|measured| &measured.times).sum());
    settings.print(&summary)
}

fn measure(
    input: &Input<'_>,
    analysis: &'static dyn Analysis,
    parameters: &Parameters,
    repeat: u32,
) -> Result<Measured> {
    let rows = analysis.answer(input, parameters)?.rows.num_rows() as u64;
    let times = times(repeat, || Ok(analysis.answer(input, parameters)?))?;
    Ok(Measured { name: analysis.name(), rows, times })
}

/// Answers all of them one after the other, `repeat` times, what several find out found out once.
fn measure_together(
    input: &Input<'_>,
    analyses: &[&'static dyn Analysis],
    parameters: &[Parameters],
    repeat: u32,
) -> Result<Measured> {
    let mut rows = 0;
    let times = times(repeat, || {
        let together = Together::of(analyses);
        let input = input.clone().for_all(&together);
        rows = 0;
        for (analysis, parameters) in analyses.iter().zip(parameters) {
            rows += analysis.answer(&input, parameters)?.rows.num_rows() as u64;
        }
        Ok(())
    })?;
    Ok(Measured { name: "together", rows, times })
}

/// How long an answer takes each of `repeat` times, ascending; what it is goes away outside of that time.
fn times<T>(repeat: u32, mut answer: impl FnMut() -> Result<T>) -> Result<Vec<Duration>> {
    let mut times = Vec::new();
    for _ in 0..repeat {
        let start = Instant::now();
        let answered = answer()?;
        times.push(start.elapsed());
        drop(answered);
    }
    times.sort_unstable();
    Ok(times)
}

fn show<'a>(measured: impl Iterator<Item = &'a Measured> + Clone, events: u64) -> Result<()> {
    let mut out = io::stdout().lock();
    let wide = measured.clone().map(|measured| measured.name.len()).max().unwrap_or(0);
    writeln!(out, "{:<wide$} {:>12} {:>9} {:>9} {:>9} {:>9}", "", "rows", "median", "fastest", "slowest", "events/s")?;
    for measured in measured {
        let median = measured.median();
        let fastest = measured.times.first().copied().unwrap_or_default();
        let slowest = measured.times.last().copied().unwrap_or_default();
        #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
        let speed = events as f64 / median.as_secs_f64().max(1e-9);
        writeln!(
            out,
            "{:<wide$} {:>12} {:>9} {:>9} {:>9} {:>9}",
            measured.name,
            text::count(measured.rows),
            text::duration(median),
            text::duration(fastest),
            text::duration(slowest),
            text::per_second(speed),
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_lies_between_the_middle_ones() {
        let of = |times: &[u64]| {
            let times = times.iter().map(|milliseconds| Duration::from_millis(*milliseconds)).collect();
            Measured { name: "", rows: 0, times }.median()
        };
        assert_eq!(of(&[7]), Duration::from_millis(7));
        assert_eq!(of(&[1, 2, 4, 9]), Duration::from_millis(3));
        assert_eq!(of(&[1, 2, 9]), Duration::from_millis(2));
    }
}
