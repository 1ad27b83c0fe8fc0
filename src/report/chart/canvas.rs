//! What all pictures are made of: marks, text that fits, links.

use std::fmt::Write as _;

use super::Link;

/// The width of most characters of the pictures' text, in units. It is that of digits in the widest of the usual fonts (DejaVu Sans,
/// Verdana), as the others are, so that no text runs into another one whatever it is shown in.
const CHARACTER: f64 = 7.7;
/// The width of those that stand out by being narrow.
const NARROW: f64 = 4.8;
/// The width of those that stand out by being wide.
const WIDE: f64 = 12.5;
/// The room between two labels of an axis.
const BETWEEN_LABELS: f64 = 6.0;

/// Writes text where markup stands.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            // No document of XML may have these, whichever way they are written (XML 1.0, 2.2).
            '\0'..='\x08' | '\x0B' | '\x0C' | '\x0E'..='\x1F' | '\u{FFFE}' | '\u{FFFF}' => {
                escaped.push(char::REPLACEMENT_CHARACTER);
            }
            other => escaped.push(other),
        }
    }
    escaped
}

/// The text as far as it fits.
pub(super) fn cut(text: &str, width: f64) -> String {
    if width_of(text) <= width {
        return text.to_owned();
    }
    let mut left = width - width_of_character('…');
    let fits = |character: &char| {
        left -= width_of_character(*character);
        left >= 0.0
    };
    text.chars().take_while(fits).chain(['…']).collect()
}

/// The width that a text takes.
pub(super) fn width_of(text: &str) -> f64 {
    text.chars().map(width_of_character).sum()
}

/// The width that a character takes.
fn width_of_character(character: char) -> f64 {
    match character {
        ' ' | '.' | ',' | ':' | ';' | '\'' | '|' | '!' | '-' | '(' | ')' | '·' | 'i' | 'j' | 'l' | 'I' => NARROW,
        // Besides some of Latin: Chinese, Japanese, Korean, and pictograms.
        'm' | 'w' | 'M' | 'W' | '%' | '@' | '…' | '\u{1100}'..='\u{115F}' | '\u{2E80}'..='\u{D7A3}' => WIDE,
        '\u{F900}'..='\u{FAFF}' | '\u{FE30}'..='\u{FE6F}' | '\u{FF00}'..='\u{FF60}' | '\u{1F000}'.. => WIDE,
        _ => CHARACTER,
    }
}

/// Of so many labels that stand `step` apart, each of these many is shown, so that none touches the next.
pub(super) fn every<'a>(labels: impl Iterator<Item = &'a str>, step: f64) -> usize {
    let widest = labels.map(width_of).fold(1.0, f64::max);
    ((widest + BETWEEN_LABELS) / step).ceil().max(1.0) as usize
}

/// A part of the picture's plane.
#[derive(Debug, Clone, Copy)]
pub(super) struct Area {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) width: f64,
    pub(super) height: f64,
}

/// A picture that is being drawn.
pub(super) struct Canvas {
    pub(super) width: f64,
    content: String,
    has_links: bool,
    /// Where what was opened last begins, and its tooltip, escaped.
    opened: (usize, String),
}

impl Canvas {
    /// An empty picture; what is narrower than a stamp is drawn as wide as one.
    pub(super) fn new(width: f64) -> Self {
        Self { width: width.max(160.0), content: String::new(), has_links: false, opened: Default::default() }
    }

    /// A rectangle.
    pub(super) fn rect(&mut self, area: Area, class: &str) {
        self.mark(area, class, "", "");
    }

    /// A rectangle with further attributes, as markup, and a tooltip, as text.
    pub(super) fn mark(&mut self, area: Area, class: &str, attributes: &str, tooltip: &str) {
        let Area { x, y, width, height } = area;
        let _ = write!(
            self.content,
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{:.1}\" class=\"{class}\"{attributes}",
            width.max(0.0),
            height.max(0.0)
        );
        match tooltip {
            "" => self.content += "/>",
            tooltip => {
                let _ = write!(self.content, "><title>{}</title></rect>", escape(tooltip));
            }
        }
    }

    /// A line or the outline of an area, as the data of a path.
    pub(super) fn path(&mut self, data: &str, class: &str) {
        let _ = write!(self.content, "<path d=\"{data}\" class=\"{class}\"/>");
    }

    /// A dot.
    pub(super) fn dot(&mut self, x: f64, y: f64, radius: f64, class: &str) {
        let _ = write!(self.content, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius}\" class=\"{class}\"/>");
    }

    /// Text.
    pub(super) fn text(&mut self, x: f64, y: f64, class: &str, text: &str) {
        let _ = write!(self.content, "<text x=\"{x:.1}\" y=\"{y:.1}\" class=\"{class}\">{}</text>", escape(text));
    }

    /// A label of an axis, in the middle of `x` or as near to it as the picture has room.
    pub(super) fn label(&mut self, x: f64, y: f64, text: &str) {
        let half = width_of(text) / 2.0;
        self.text(x.min(self.width - half).max(half), y, "l m", text);
    }

    /// What is drawn until [`Canvas::close`] belongs together: it has a label, a value, and leads somewhere if there is a link.
    pub(super) fn open(&mut self, link: Option<&Link>, label: &str, value: f64, tooltip: &str) {
        let data = format!(" data-label=\"{}\" data-value=\"{value}\"", escape(label));
        self.has_links |= link.is_some();
        self.opened = (self.content.len(), escape(tooltip));
        let _ = match link {
            None => write!(self.content, "<g{data}>"),
            Some(Link { address, is_chosen }) => write!(
                self.content,
                "<a href=\"{}\"{}{data}>",
                escape(address),
                if *is_chosen { " class=\"chosen\" aria-current=\"true\"" } else { "" },
            ),
        };
        let _ = write!(self.content, "<title>{}</title>", escape(tooltip));
    }

    /// Ends what [`Canvas::open`] began for the same link.
    ///
    /// A link is called what is written in it, and by its tooltip where nothing is (WCAG 2.5.3).
    pub(super) fn close(&mut self, link: Option<&Link>) {
        let (start, tooltip) = std::mem::take(&mut self.opened);
        if link.is_some() && !self.content[start..].contains("<text") {
            self.content.insert_str(start + "<a".len(), &format!(" aria-label=\"{tooltip}\""));
        }
        self.content += if link.is_some() { "</a>" } else { "</g>" };
    }

    /// The picture.
    pub(super) fn finish(self, title: &str, height: f64) -> String {
        // What an image holds can't be reached: one with links in it is a group.
        let role = if self.has_links { "group" } else { "img" };
        format!(
            "<svg viewBox=\"0 0 {:.0} {height:.0}\" width=\"{:.0}\" height=\"{height:.0}\" role=\"{role}\" aria-label=\"{}\">{}</svg>",
            self.width,
            self.width,
            escape(title),
            self.content
        )
    }
}

/// What stands where there is nothing to draw.
pub(super) fn nothing(title: &str, width: f64) -> String {
    let mut canvas = Canvas::new(width);
    canvas.text(0.0, 16.0, "l", "Nothing in this choice.");
    canvas.finish(title, 26.0)
}

/// The largest of some values, and at least something above nothing.
pub(super) fn largest(values: impl Iterator<Item = f64>) -> f64 {
    values.fold(0.0, f64::max).max(f64::MIN_POSITIVE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_to_what_they_may_take() {
        for text in ["", "1", "2019-09-30 (80)", "electronics.audio.headphone", "WWWWWWWW", "手机和配件", "iiiiiiii"]
        {
            for width in [0.0, 12.5, 40.0, 80.0] {
                let shown = cut(text, width);
                assert!(width_of(&shown) <= width.max(WIDE), "{shown} in {width}");
                assert_eq!(shown == text, width_of(text) <= width, "{text} in {width}: {shown}");
            }
        }
        assert_eq!(cut("electronics.audio", 80.0), "electroni…");
    }
}
