//! A value day by day, as a line over an area.
//!
//! Days without a value had none of it: the line goes down to zero there. Each day that has one can be pointed at over its
//! whole height, and says its date and value.

use super::canvas::{Area, Canvas, largest, nothing, width_of};
use super::scale::{Dates, date, steps, weekday};
use crate::report::values::{amount, short};

const HEIGHT: f64 = 260.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 26.0;
/// The most days whose weekends are shaded and whose values have dots.
const DETAILED: i64 = 100;
const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

/// The values of days, ascending by day; `unit` is what they are.
pub(in crate::report) fn history(title: &str, width: f64, points: &[(i32, f64)], unit: &str) -> String {
    let (Some((first, _)), Some((last, _))) = (points.first().copied(), points.last().copied()) else {
        return nothing(&format!("{title}: {unit}"), width);
    };
    let mut canvas = Canvas::new(width);
    let steps = steps(largest(points.iter().map(|(_, value)| *value)), 4);
    let top = steps.last().copied().unwrap_or(1.0);
    let left = steps.iter().map(|step| width_of(&short(*step))).fold(0.0, f64::max) + 8.0;
    let days = i64::from(last) - i64::from(first) + 1;
    let step = (canvas.width - left) / days as f64;
    let (width, floor) = (canvas.width, HEIGHT - BOTTOM);
    let x = |day: i32| left + step * ((i64::from(day) - i64::from(first)) as f64 + 0.5);
    let y = |value: f64| TOP + (floor - TOP) * (1.0 - value.max(0.0) / top);
    let column = |day: i32| Area { x: x(day) - step / 2.0, y: TOP, width: step, height: floor - TOP };
    if days <= DETAILED {
        (first..=last).filter(|day| weekday(*day) >= 5).for_each(|day| canvas.rect(column(day), "weekend"));
    }
    for step in &steps {
        let y = y(*step);
        canvas.path(&format!("M{left:.1} {y:.1}H{:.1}", canvas.width), "g");
        canvas.text(left - 6.0, y + 4.0, "l r", &short(*step));
    }
    let mut line = String::new();
    let mut before = None;
    for (day, value) in points {
        for zero in gap(before, *day) {
            line += &format!("{}{:.1} {floor:.1}", if line.is_empty() { "M" } else { "L" }, x(zero));
        }
        line += &format!("{}{:.1} {:.1}", if line.is_empty() { "M" } else { "L" }, x(*day), y(*value));
        before = Some(*day);
    }
    canvas.path(&format!("{line}L{:.1} {floor:.1}L{:.1} {floor:.1}Z", x(last), x(first)), "area");
    canvas.path(&line, "p");
    // Every so many days a date, so that none touches the next.
    let dates = Dates::of(first, last);
    let every = (dates.room() / step).ceil().clamp(1.0, days as f64) as usize;
    for day in (first..=last).step_by(every).filter(|day| x(*day) + dates.room() / 2.0 <= width + 8.0 || *day == first)
    {
        canvas.label(x(day), HEIGHT - 8.0, &dates.label(day));
    }
    for (day, value) in points {
        let (date, weekday) = (date(*day), DAYS[weekday(*day)]);
        canvas.open(None, &date, *value, &format!("{weekday} {date}: {} {unit}", amount(*value)));
        canvas.rect(column(*day), "hit");
        if days <= DETAILED {
            canvas.dot(x(*day), y(*value), 2.5, "s0");
        }
        canvas.close(None);
    }
    canvas.finish(&format!("{title}: {unit}"), HEIGHT)
}

/// The days without a value between two that have one: the first and the last of them are enough.
fn gap(before: Option<i32>, day: i32) -> impl Iterator<Item = i32> {
    let before = before.unwrap_or(day - 1);
    let ends = if day - before > 1 { [Some(before + 1), Some(day - 1)] } else { [None, None] };
    ends.into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_without_a_value_are_zero() {
        assert_eq!(gap(Some(3), 4).count(), 0);
        assert_eq!(gap(None, 4).count(), 0);
        assert_eq!(gap(Some(3), 9).collect::<Vec<_>>(), [4, 8]);
        let chart = history("Sales", 400.0, &[(0, 2.0), (10, 1.0)], "revenue");
        assert_eq!(chart.matches("data-value").count(), 2, "only days that have a value have a mark");
    }
}
