//! One picture as a file for a document: SVG, or PNG drawn from it.
//!
//! An SVG brings its own style and leaves fonts to whoever shows it. A PNG is drawn with a sans-serif font of this machine,
//! at twice its nominal size, so that it is sharp in print and on dense screens.

use std::fmt::Write as _;
use std::sync::Arc;

use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{Options, Tree, fontdb};

use super::chart::escape;
use super::{ReportError, Section, Surroundings};
use crate::table::Table;

/// The style of all pictures, whose colours are the page's.
const STYLE: &str = include_str!("chart/chart.css");
/// The page's colours in light surroundings.
const COLOURS: [(&str, &str); 6] = [
    ("var(--ink)", "#18212f"),
    ("var(--soft)", "#566073"),
    ("var(--line)", "#e0e4eb"),
    ("var(--card)", "#ffffff"),
    ("var(--a)", "#2457c5"),
    ("var(--shade)", "#eef1f6"),
];
/// The room around the picture.
const MARGIN: f64 = 16.0;
/// The room for the title and what it means.
const HEAD: f64 = 46.0;
/// Pixels of a PNG for each of its picture.
const DENSITY: f32 = 2.0;
/// Fonts that show what shops call their brands, the best first.
const FONTS: [&str; 6] = ["Inter", "Noto Sans", "DejaVu Sans", "Liberation Sans", "Arial", "Helvetica"];

/// A section's picture as a file of its own.
///
/// # Errors
/// [`ReportError::MissingColumn`] if the table isn't the section's.
pub fn svg(section: &Section, table: &Table, around: &Surroundings<'_>) -> Result<String, ReportError> {
    let inner = Surroundings { width: around.width - 2.0 * MARGIN, ..*around };
    let picture = section.picture(table, &inner)?;
    let height = height_of(&picture) + HEAD + 2.0 * MARGIN;
    let style = COLOURS.iter().fold(STYLE.to_owned(), |style, (name, colour)| style.replace(name, colour));
    let mut file = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0:.0}\" height=\"{height:.0}\" viewBox=\"0 0 {0:.0} {height:.0}\" \
         font-family=\"system-ui, sans-serif\" font-size=\"12\">\n<style>\n{style}</style>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n",
        around.width
    );
    let _ = write!(
        file,
        "<text x=\"{MARGIN}\" y=\"30\" font-size=\"16\" font-weight=\"bold\">{}</text>\n\
         <text x=\"{MARGIN}\" y=\"48\" class=\"l\">{}</text>\n<g transform=\"translate({MARGIN} {})\">{picture}</g>\n</svg>\n",
        escape(&section.heading(around.measure)),
        escape(section.about),
        HEAD + MARGIN,
    );
    Ok(file)
}

/// The height that a picture gives itself.
fn height_of(picture: &str) -> f64 {
    let given = picture.split("height=\"").nth(1).and_then(|rest| rest.split('"').next());
    given.and_then(|height| height.parse().ok()).unwrap_or_default()
}

/// An SVG as PNG.
///
/// # Errors
/// [`ReportError::Picture`] if this machine has no font, or the picture can't be drawn.
pub fn png(svg: &str) -> Result<Vec<u8>, ReportError> {
    let failed = |reason: String| ReportError::Picture { reason };
    let mut fonts = fontdb::Database::new();
    fonts.load_system_fonts();
    let has = |name: &str| fonts.faces().any(|face| face.families.iter().any(|(family, _)| family == name));
    let any = fonts.faces().next().and_then(|face| face.families.first()).map(|(family, _)| family.clone());
    let family = FONTS.into_iter().find(|name| has(name)).map(str::to_owned).or(any).ok_or_else(|| {
        failed(
            "this machine has no font for its text: install one (fonts-dejavu-core), or write --format svg".to_owned(),
        )
    })?;
    fonts.set_sans_serif_family(family);
    let options = Options { fontdb: Arc::new(fonts), ..Options::default() };
    let tree = Tree::from_str(svg, &options).map_err(|error| failed(error.to_string()))?;
    let size = tree.size().to_int_size().scale_by(DENSITY).ok_or_else(|| failed("it has no size".to_owned()))?;
    let mut pixels = Pixmap::new(size.width(), size.height()).ok_or_else(|| failed("it has no size".to_owned()))?;
    resvg::render(&tree, Transform::from_scale(DENSITY, DENSITY), &mut pixels.as_mut());
    pixels.encode_png().map_err(|error| failed(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_says_its_height() {
        assert!((height_of("<svg viewBox=\"0 0 1 2\" width=\"1\" height=\"260\" role>") - 260.0).abs() < 1e-9);
        assert!(height_of("").abs() < 1e-9);
    }

    #[test]
    fn every_colour_is_named() {
        let style = COLOURS.iter().fold(STYLE.to_owned(), |style, (name, colour)| style.replace(name, colour));
        assert!(!style.contains("var("), "{style}");
    }
}
