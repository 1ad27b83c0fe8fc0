//! What all pictures are made of: marks, text that fits, links.

use std::fmt::Write as _;

use super::Link;

/// The width of a character of the pictures' text, on average, in units.
const CHARACTER: f64 = 6.9;

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
    let most = (width / CHARACTER).max(1.0) as usize;
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let start: String = text.chars().take(most - 1).collect();
    start + "…"
}

/// The width that a text takes.
pub(super) fn width_of(text: &str) -> f64 {
    text.chars().count() as f64 * CHARACTER
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
