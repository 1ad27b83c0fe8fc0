//! Columns over bands that follow each other: how something is spread.

use super::Link;
use super::canvas::{Area, Canvas, every, largest, nothing, width_of};
use super::scale::steps;
use crate::report::values::short;

const HEIGHT: f64 = 230.0;
const TOP: f64 = 18.0;
const BOTTOM: f64 = 24.0;

/// A band.
pub(in crate::report) struct Band {
    /// Where it begins.
    pub(in crate::report) label: String,
    /// What it covers and has, for the tooltip.
    pub(in crate::report) about: String,
    pub(in crate::report) link: Option<Link>,
    pub(in crate::report) value: f64,
}

/// One column a band.
pub(in crate::report) fn columns(title: &str, width: f64, bands: &[Band]) -> String {
    if bands.is_empty() {
        return nothing(title, width);
    }
    let mut canvas = Canvas::new(width);
    let most = largest(bands.iter().map(|band| band.value));
    let steps = steps(most, 4);
    let top = steps.last().copied().unwrap_or(1.0);
    let left = steps.iter().map(|step| width_of(&short(*step))).fold(0.0, f64::max) + 8.0;
    let place = |value: f64| TOP + (HEIGHT - TOP - BOTTOM) * (1.0 - value.max(0.0) / top);
    for step in &steps {
        let y = place(*step);
        canvas.path(&format!("M{left:.1} {y:.1}H{:.1}", canvas.width), "g");
        canvas.text(left - 6.0, y + 4.0, "l r", &short(*step));
    }
    let step = (canvas.width - left) / bands.len().max(1) as f64;
    let every = every(bands.iter().map(|band| band.label.as_str()), step);
    for (number, band) in bands.iter().enumerate() {
        let (x, y) = (left + step * number as f64, place(band.value));
        let link = band.link.as_ref();
        canvas.open(link, &band.label, band.value, &band.about);
        canvas.rect(Area { x, y: TOP, width: step, height: HEIGHT - TOP }, "hit");
        let bar = Area { x: x + step * 0.1, y, width: step * 0.8, height: HEIGHT - BOTTOM - y };
        canvas.mark(bar, "s0", " rx=\"2\"", "");
        if width_of(&short(band.value)) < step && band.value > 0.0 {
            canvas.text(x + step / 2.0, y - 5.0, "v m", &short(band.value));
        }
        if number.is_multiple_of(every) {
            canvas.label(x + step / 2.0, HEIGHT - 6.0, &band.label);
        }
        canvas.close(link);
    }
    canvas.finish(title, HEIGHT)
}
