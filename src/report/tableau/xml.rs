//! Elements of an XML document, made before they are written, so that a test can follow their references.

use std::io::{self, Write};

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesEnd, BytesStart, BytesText, Event};

/// An element with its attributes in order, and its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Element {
    pub(super) name: &'static str,
    pub(super) attributes: Vec<(&'static str, String)>,
    pub(super) children: Vec<Element>,
    /// Its text, if it holds that and no elements.
    pub(super) text: Option<String>,
}

impl Element {
    /// An empty element.
    pub(super) fn new(name: &'static str) -> Self {
        Self { name, attributes: Vec::new(), children: Vec::new(), text: None }
    }

    /// The element with an attribute more.
    #[expect(clippy::needless_pass_by_value, reason = "numbers and literals read better without a borrow")]
    pub(super) fn with(mut self, name: &'static str, value: impl ToString) -> Self {
        self.attributes.push((name, value.to_string()));
        self
    }

    /// The element with these children more.
    pub(super) fn holding(mut self, children: impl IntoIterator<Item = Element>) -> Self {
        self.children.extend(children);
        self
    }

    /// The element around a text.
    pub(super) fn around(mut self, text: impl Into<String>) -> Self {
        self.text = Some(text.into());
        self
    }

    /// An attribute's value.
    #[cfg(test)]
    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
    }

    /// This element and all below it.
    #[cfg(test)]
    pub(super) fn all(&self) -> Vec<&Element> {
        let mut all = vec![self];
        all.extend(self.children.iter().flat_map(Element::all));
        all
    }

    /// Writes a whole document, indented as Tableau does it.
    pub(super) fn write_document(&self, out: impl Write) -> io::Result<()> {
        let mut writer = Writer::new_with_indent(out, b' ', 2);
        writer.write_event(Event::Decl(BytesDecl::new("1.0", Some("utf-8"), None)))?;
        self.write(&mut writer)
    }

    fn write(&self, writer: &mut Writer<impl Write>) -> io::Result<()> {
        let attributes = self.attributes.iter().map(|(name, value)| (*name, value.as_str()));
        let start = BytesStart::new(self.name).with_attributes(attributes);
        if self.children.is_empty() && self.text.is_none() {
            return writer.write_event(Event::Empty(start));
        }
        writer.write_event(Event::Start(start))?;
        if let Some(text) = &self.text {
            writer.write_event(Event::Text(BytesText::new(text)))?;
        }
        self.children.iter().try_for_each(|child| child.write(writer))?;
        writer.write_event(Event::End(BytesEnd::new(self.name)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_a_name_holds_it_stays_a_name() {
        let hostile = "<script>\"'&]]>";
        let document = Element::new("a").with("b", hostile).holding([Element::new("c").around(hostile)]);
        let mut bytes = Vec::new();
        document.write_document(&mut bytes).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        assert!(text.starts_with("<?xml version=\"1.0\" encoding=\"utf-8\"?>"), "{text}");
        assert!(!text.contains("<script>") && text.matches("&lt;script&gt;").count() == 2, "{text}");
    }
}
