//! Pictures as SVG, drawn for the width that they get.
//!
//! A picture has the numbers it shows as attributes of its marks and as tooltips of the viewer's own, needs no script, and
//! scales and prints. Its units are the pixels of the place it is drawn for, so that its text has one size on a phone
//! and on a wide screen. Colours are classes: the style around it decides them.

mod bars;
mod boxes;
mod canvas;
mod columns;
mod heat;
mod history;
mod scale;

pub(super) use self::bars::{Bar, bars};
pub(super) use self::boxes::{Spread, boxes};
pub use self::canvas::escape;
pub(super) use self::columns::{Band, columns};
pub(super) use self::heat::{Heat, heat};
pub(super) use self::history::history;

/// The page of only those events that a mark stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Its address.
    pub address: String,
    /// Whether these events are already the chosen ones, so that the address is that of all.
    pub is_chosen: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTILE: &str = "</title><script>alert(1)</script>\"'&";

    fn link() -> Option<Link> {
        Some(Link { address: HOSTILE.to_owned(), is_chosen: false })
    }

    fn all(width: f64, count: usize) -> Vec<String> {
        let label = || HOSTILE.to_owned();
        let bar = |place: usize| Bar { label: label(), link: link(), value: place as f64, shown: label() };
        let band = |place: usize| Band { label: label(), about: label(), link: link(), value: place as f64 };
        let spread = |place: usize| Spread { label: label(), link: link(), prices: [place as f64; 5] };
        let cells = vec![vec![Some(1.0); count]; count];
        let names = vec![label(); count];
        vec![
            bars(HOSTILE, width, &(0..count).map(bar).collect::<Vec<_>>()),
            columns(HOSTILE, width, &(0..count).map(band).collect::<Vec<_>>()),
            boxes(HOSTILE, width, &(0..count).map(spread).collect::<Vec<_>>()),
            history(HOSTILE, width, &(0..count).map(|day| (day as i32, day as f64)).collect::<Vec<_>>(), HOSTILE),
            heat(
                HOSTILE,
                width,
                &Heat { rows: &names, columns: &names, cells: &cells, unit: HOSTILE, shown: &|_| label() },
            ),
        ]
    }

    #[test]
    fn hostile_labels_stay_labels() {
        for chart in all(400.0, 3) {
            assert!(!chart.contains("<script") && chart.contains("&lt;script&gt;"), "{chart}");
        }
    }

    #[test]
    fn nothing_and_anything_is_drawn_at_any_width() {
        for count in [0, 1, 2, 40] {
            for chart in [40.0, 320.0, 1400.0].into_iter().flat_map(|width| all(width, count)) {
                assert!(chart.starts_with("<svg") && chart.ends_with("</svg>"), "{chart}");
                assert!(!chart.contains("NaN") && !chart.contains("inf") && !chart.contains("=\"-"), "{chart}");
            }
        }
    }
}
