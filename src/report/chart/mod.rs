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
    /// Each text's class, left end, right end and line.
    fn texts(chart: &str) -> Vec<(f64, f64, f64, String)> {
        let texts = chart.split("<text x=\"").skip(1).map(|text| {
            let mut parts = text.split('"');
            let x: f64 = parts.next().unwrap().parse().unwrap();
            let y: f64 = parts.nth(1).unwrap().parse().unwrap();
            let class = parts.nth(1).unwrap();
            let content = parts.next().unwrap().trim_start_matches('>').split('<').next().unwrap();
            let width = canvas::width_of(content);
            let left = match class.split(' ').find_map(|class| ["r", "m"].into_iter().find(|anchor| *anchor == class)) {
                Some("r") => x - width,
                Some(_) => x - width / 2.0,
                None => x,
            };
            (y, left, left + width, content.to_owned())
        });
        texts.collect()
    }

    fn check_room(chart: &str, width: f64) {
        let mut texts = texts(chart);
        texts.sort_by(|left, right| (left.0, left.1).partial_cmp(&(right.0, right.1)).unwrap());
        for text in &texts {
            assert!(text.1 >= -0.1 && text.2 <= width + 0.1, "{width}: {text:?} is cut off");
        }
        for pair in texts.windows(2).filter(|pair| pair[0].0 == pair[1].0) {
            assert!(pair[0].2 <= pair[1].1 + 0.1, "{width}: {:?} runs into {:?}", pair[0], pair[1]);
        }
    }

    #[test]
    fn no_text_runs_into_another_one_on_phones() {
        let name =
            |place: usize| ["electronics.audio.microphone", "computers.notebook", "(missing)"][place % 3].to_owned();
        for width in [260.0, 304.0, 330.0, 640.0, 1240.0] {
            let bands = [0, 10, 25, 50, 100, 250, 500, 1000, 12_345].map(|from| Band {
                label: crate::report::values::short(f64::from(from)),
                about: String::new(),
                link: None,
                value: 1_234_567.0 + f64::from(from),
            });
            check_room(&columns("", width, &bands), width);
            let spread = |place: usize| Spread {
                label: name(place),
                link: None,
                prices: [0.5, 10.0, 99_999_999_999.99, 1e13, 99_999_999_999_999.0],
            };
            check_room(&boxes("", width, &(0..5).map(spread).collect::<Vec<_>>()), width);
            for days in [1, 7, 31, 92, 365, 700, 1000, 40_000] {
                let points: Vec<_> = (0..days).map(|day| (18_000 + day, 1234.5)).collect();
                check_room(&history("", width, &points, "revenue"), width);
            }
            for count in [4, 12, 24] {
                let (rows, hours) = ((0..7).map(name).collect::<Vec<_>>(), (0..count).map(|hour| format!("+{hour}")));
                let cells = vec![vec![Some(1234.5); count]; 7];
                let hours: Vec<_> = hours.collect();
                let heat = Heat {
                    rows: &rows,
                    columns: &hours,
                    cells: &cells,
                    unit: "",
                    shown: &crate::report::values::short,
                };
                check_room(&super::heat("", width, &heat), width);
            }
        }
    }
}
