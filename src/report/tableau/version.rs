//! The two document versions that workbooks are written in, and where they differ.

use super::xml::Element;

/// The version of Tableau that a workbook is written for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TableauVersion {
    /// Document version 18.1 as of Tableau 2018.1, which every later version opens.
    #[default]
    V2018_1,
    /// The schema that Tableau published for 2026.1.
    V2026_1,
}

impl TableauVersion {
    /// The version of that name: `18.1` or `2018.1`, `2026.1`.
    #[must_use]
    pub fn find(name: &str) -> Option<Self> {
        match name {
            "18.1" | "2018.1" => Some(Self::V2018_1),
            "2026.1" => Some(Self::V2026_1),
            _ => None,
        }
    }

    /// The root element, without content.
    pub(super) fn workbook(self) -> Element {
        let (build, manifest): (_, &[&'static str]) = match self {
            Self::V2018_1 => ("2018.1.0 (20181.18.0416.1910)", &[]),
            // What the document uses of the changes since 18.1.
            Self::V2026_1 => {
                ("2026.1.0 (20261.26.0000.0000)", &["SheetIdentifierTracking", "WindowsPersistSimpleIdentifiers"])
            }
        };
        let manifest = (!manifest.is_empty()).then(|| {
            Element::new("document-format-change-manifest").holding(manifest.iter().map(|change| Element::new(change)))
        });
        Element::new("workbook")
            .with("original-version", "18.1")
            .with("source-build", build)
            .with("source-platform", "win")
            .with("version", "18.1")
            .with("xmlns:user", "http://www.tableausoftware.com/xml/user")
            .holding(manifest)
    }

    /// What has to stand at the end of the document: the newer schema wants to be told of a feature that isn't used.
    pub(super) fn end(self) -> Option<Element> {
        (self == Self::V2026_1).then(|| {
            Element::new("explain-data")
                .with("enabled-for-viewer", false)
                .with("extreme-values-enabled-for-all", false)
                .holding([Element::new("explanation-types")])
        })
    }

    /// How the pane of fields beside a sheet is laid out.
    pub(super) fn layout(self) -> Element {
        let (dimensions, measures) = match self {
            Self::V2018_1 => ("dim-percentage", "measure-percentage"),
            Self::V2026_1 => ("dim-percentage-v2", "measure-percentage-v2"),
        };
        Element::new("layout")
            .with("dim-ordering", "alphabetic")
            .with(dimensions, 0.5)
            .with("measure-ordering", "alphabetic")
            .with(measures, 0.4)
            .with("show-structure", true)
    }

    /// The attribute that says what a zone of a dashboard is.
    pub(super) fn zone_type(self) -> &'static str {
        match self {
            Self::V2018_1 => "type",
            Self::V2026_1 => "type-v2",
        }
    }

    /// The identifier of a sheet, dashboard or window, which the older version doesn't know. The same for the same
    /// words: a workbook made twice of the same data is the same.
    pub(super) fn identifier(self, kind: &str, name: &str) -> Option<Element> {
        if self == Self::V2018_1 {
            return None;
        }
        let [high, low] = [1, 2].map(|part: u8| {
            let words = [kind.as_bytes(), b"\0", name.as_bytes(), &[part]].concat();
            words.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
                // FNV-1a: it only has to tell a dozen names apart.
                (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
            })
        });
        let digits = format!("{high:016X}{low:016X}");
        let parts = [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]].join("-");
        Some(Element::new("simple-id").with("uuid", format!("{{{parts}}}")))
    }
}
