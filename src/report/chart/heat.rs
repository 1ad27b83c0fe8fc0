//! Cells in rows and columns, the darker the more.

use super::canvas::{Area, Canvas, cut, largest, nothing, width_of};

const TOP: f64 = 20.0;
const ROW: f64 = 26.0;

/// What a heat map shows.
pub(in crate::report) struct Heat<'a> {
    pub(in crate::report) rows: &'a [String],
    pub(in crate::report) columns: &'a [String],
    /// One a row and column; nothing where there is no value.
    pub(in crate::report) cells: &'a [Vec<Option<f64>>],
    /// What is counted.
    pub(in crate::report) unit: &'a str,
    /// How a value is written.
    pub(in crate::report) shown: &'a dyn Fn(f64) -> String,
}

/// A heat map, with the values in the cells if all have room.
pub(in crate::report) fn heat(title: &str, width: f64, heat: &Heat<'_>) -> String {
    if heat.cells.iter().flatten().flatten().next().is_none() {
        return nothing(title, width);
    }
    let mut canvas = Canvas::new(width);
    let most = largest(heat.cells.iter().flatten().flatten().copied());
    let longest = heat.rows.iter().map(|label| width_of(label)).fold(0.0, f64::max);
    let left = (longest + 16.0).min(canvas.width * 0.4);
    let step = (canvas.width - left) / heat.columns.len().max(1) as f64;
    let widest = heat.columns.iter().map(|label| width_of(label)).fold(1.0, f64::max);
    let every = ((widest + 4.0) / step).ceil().max(1.0) as usize;
    for (number, label) in heat.columns.iter().enumerate().step_by(every) {
        let x = left + step * (number as f64 + 0.5);
        let half = width_of(label) / 2.0;
        canvas.text(x.min(canvas.width - half), TOP - 7.0, "l m", label);
    }
    let has_room = heat.cells.iter().flatten().flatten().all(|value| width_of(&(heat.shown)(*value)) + 4.0 < step);
    for (row, (label, values)) in heat.rows.iter().zip(heat.cells).enumerate() {
        let y = TOP + ROW * row as f64;
        canvas.text(left - 8.0, y + 17.0, "n r", &cut(label, left - 8.0));
        for (column, value) in values.iter().enumerate() {
            let (Some(value), Some(name)) = (value, heat.columns.get(column)) else { continue };
            let x = left + step * column as f64;
            let (share, shown) = (value.max(0.0) / most, (heat.shown)(*value));
            canvas.open(None, &format!("{label} {name}"), *value, &format!("{label}, {name}: {shown} {}", heat.unit));
            let opacity = format!(" rx=\"2\" fill-opacity=\"{:.2}\"", 0.05 + 0.95 * share);
            canvas.mark(Area { x: x + 1.0, y, width: step - 2.0, height: ROW - 2.0 }, "s0", &opacity, "");
            if has_room {
                let class = if share > 0.7 { "on m" } else { "v m" };
                canvas.text(x + step / 2.0, y + 16.0, class, &shown);
            }
            canvas.close(None);
        }
    }
    canvas.finish(title, TOP + ROW * heat.rows.len() as f64)
}
