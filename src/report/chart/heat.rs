//! Cells in rows and columns, the darker the more.

use super::canvas::{Area, Canvas, cut, every, largest, nothing, width_of};

const TOP: f64 = 20.0;
const ROW: f64 = 26.0;
/// How much of its colour the least cell has.
const FAINTEST: f64 = 0.05;
/// How much of it the most has where values stand in the cells: on any more, text of the page's colour can't be read, whether light on
/// dark or dark on light.
const READABLE: f64 = 0.5;

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
    let left = (longest + 10.0).min(canvas.width * 0.4);
    let step = (canvas.width - left) / heat.columns.len().max(1) as f64;
    let every = every(heat.columns.iter().map(String::as_str), step);
    for (number, label) in heat.columns.iter().enumerate().step_by(every) {
        canvas.label(left + step * (number as f64 + 0.5), TOP - 7.0, label);
    }
    let has_room = heat.cells.iter().flatten().flatten().all(|value| width_of(&(heat.shown)(*value)) + 2.0 <= step);
    let deepest = if has_room { READABLE } else { 1.0 };
    for (row, (label, values)) in heat.rows.iter().zip(heat.cells).enumerate() {
        let y = TOP + ROW * row as f64;
        canvas.text(left - 8.0, y + 17.0, "n r", &cut(label, left - 8.0));
        for (column, value) in values.iter().enumerate() {
            let (Some(value), Some(name)) = (value, heat.columns.get(column)) else { continue };
            let x = left + step * column as f64;
            let (share, shown) = (value.max(0.0) / most, (heat.shown)(*value));
            canvas.open(None, &format!("{label} {name}"), *value, &format!("{label}, {name}: {shown} {}", heat.unit));
            let opacity = format!(" rx=\"2\" fill-opacity=\"{:.2}\"", FAINTEST + (deepest - FAINTEST) * share);
            canvas.mark(Area { x: x + 1.0, y, width: step - 2.0, height: ROW - 2.0 }, "s0", &opacity, "");
            if has_room {
                canvas.text(x + step / 2.0, y + 16.0, "m", &shown);
            }
            canvas.close(None);
        }
    }
    canvas.finish(title, TOP + ROW * heat.rows.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::STYLE;

    /// The red, green and blue of a colour of the page, light or dark, each up to 1.
    fn colour(name: &str, place: usize) -> [f64; 3] {
        let value = STYLE.split(&format!("{name}: #")).nth(place + 1).unwrap().split(';').next().unwrap();
        let digits =
            if value.len() == 3 { value.chars().flat_map(|digit| [digit; 2]).collect() } else { value.to_owned() };
        [0, 2, 4].map(|at| f64::from(u8::from_str_radix(&digits[at..at + 2], 16).unwrap()) / 255.0)
    }

    /// How light a colour is (WCAG 2.2, relative luminance).
    fn luminance(colour: [f64; 3]) -> f64 {
        let linear = |part: f64| if part <= 0.040_45 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) };
        let [red, green, blue] = colour.map(linear);
        0.2126 * red + 0.7152 * green + 0.0722 * blue
    }

    #[test]
    fn values_can_be_read_on_every_cell_in_light_and_dark() {
        for (scheme, place) in [("light", 0), ("dark", 1)] {
            let [ink, card, cell] = ["--ink", "--card", "--a"].map(|name| colour(name, place));
            for share in [0.0, 0.25, 0.5, 0.75, 1.0] {
                let opacity = FAINTEST + (READABLE - FAINTEST) * share;
                let behind = [0, 1, 2].map(|part| opacity * cell[part] + (1.0 - opacity) * card[part]);
                let (text, behind) = (luminance(ink), luminance(behind));
                let contrast = (text.max(behind) + 0.05) / (text.min(behind) + 0.05);
                assert!(contrast >= 4.5, "{scheme}, {share} of the most: {contrast}");
            }
        }
    }

    #[test]
    fn cells_without_room_for_values_have_the_whole_colour() {
        let names = ["a".to_owned()];
        let cells = [vec![Some(2.0)]];
        let most = |shown: &str| {
            let heat =
                Heat { rows: &names, columns: &names, cells: &cells, unit: "views", shown: &|_| shown.to_owned() };
            super::heat("Heat", 200.0, &heat)
        };
        assert!(most("2").contains("fill-opacity=\"0.50\"") && most("2").contains(">2</text>"));
        assert!(most(&"2".repeat(99)).contains("fill-opacity=\"1.00\""));
    }
}
