//! Boxes: where the prices of each category lie, on a scale of powers of ten, because prices spread that far.

use super::Link;
use super::canvas::{Area, Canvas, cut, every, nothing, width_of};
use crate::report::values::{amount, short};

const ROW: f64 = 40.0;
const TOP: f64 = 20.0;
/// The lowest decade; what is below stands at its edge.
const LOWEST: f64 = 1.0;

/// A category's lowest, first quartile, middle, third quartile and highest price.
pub(in crate::report) struct Spread {
    pub(in crate::report) label: String,
    pub(in crate::report) link: Option<Link>,
    pub(in crate::report) prices: [f64; 5],
}

/// A box a row, with its whiskers from the lowest to the highest.
pub(in crate::report) fn boxes(title: &str, width: f64, rows: &[Spread]) -> String {
    if rows.is_empty() {
        return nothing(title, width);
    }
    let mut canvas = Canvas::new(width);
    let width = canvas.width;
    let most = rows.iter().map(|row| row.prices[4]).fold(10.0 * LOWEST, f64::max);
    let decades = most.log10().max(1.0);
    let place = |price: f64| 4.0 + (width - 8.0) * (price.max(LOWEST).log10() / decades);
    let height = TOP + ROW * rows.len() as f64;
    let steps: Vec<f64> = (0..=decades as i32).map(|decade| 10_f64.powi(decade)).collect();
    let labels: Vec<String> = steps.iter().map(|price| short(*price)).collect();
    let every = every(labels.iter().map(String::as_str), (width - 8.0) / decades);
    for (number, (price, label)) in steps.iter().zip(&labels).enumerate() {
        let x = place(*price);
        canvas.path(&format!("M{x:.1} {TOP}V{height:.1}"), "g");
        if number.is_multiple_of(every) {
            canvas.label(x, 12.0, label);
        }
    }
    for (number, row) in rows.iter().enumerate() {
        let y = TOP + ROW * number as f64;
        let [least, low, middle, high, dearest] = row.prices;
        let told = row.prices.map(amount);
        let about = format!(
            "{}: {} to {}, half of them from {} to {}, the middle one {}",
            row.label, told[0], told[4], told[1], told[3], told[2]
        );
        let link = row.link.as_ref();
        canvas.open(link, &row.label, middle, &about);
        canvas.rect(Area { x: 0.0, y, width, height: ROW - 2.0 }, "hit");
        canvas.text(2.0, y + 14.0, "n", &cut(&row.label, width - width_of(&told[2]) - 20.0));
        canvas.text(width - 2.0, y + 14.0, "v r", &told[2]);
        canvas.path(&format!("M{:.1} {:.1}H{:.1}", place(least), y + 25.0, place(dearest)), "w");
        let left = place(low);
        let area = Area { x: left, y: y + 19.0, width: (place(high) - left).max(2.0), height: 12.0 };
        canvas.mark(area, "s0 soft", " rx=\"2\"", "");
        canvas.rect(Area { x: place(middle) - 1.5, y: y + 17.0, width: 3.0, height: 16.0 }, "s0");
        canvas.close(link);
    }
    canvas.finish(title, height)
}
