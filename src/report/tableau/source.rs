//! A table as a data source of a workbook: a CSV file beside it, and what its columns are.

use arrow_schema::DataType;

use super::version::TableauVersion;
use super::xml::Element;
use crate::table::Table;

/// The folder of the CSV files inside the package.
pub(super) const FOLDER: &str = "Data/cartlog";

/// What a missing text is shown as.
const MISSING: &str = "(missing)";

/// The days of the week, as the analyses number them from 1.
const WEEKDAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

/// Integers that say which, and not how many.
const ORDINALS: [&str; 3] = ["weekday", "hour", "band_from"];

/// A table in the package.
#[derive(Debug)]
pub(super) struct DataSource<'a> {
    pub(super) table: &'a Table,
    pub(super) columns: Vec<Column>,
}

/// A column as Tableau sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) kind: Kind,
    /// Whether values may be missing: then sheets show a calculated column in its place.
    is_optional: bool,
}

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Text, and ids: 64 bits don't fit the numbers of a program that counts in doubles.
    Text,
    /// Numbers that say which.
    Ordinal,
    /// Whole numbers to be summed.
    Count,
    /// Other numbers to be summed.
    Amount,
    /// Days.
    Date,
}

impl<'a> DataSource<'a> {
    /// The data source of a table.
    pub(super) fn of(table: &'a Table) -> Self {
        let columns = table.rows.schema_ref().fields().iter().map(|field| {
            let name = field.name().clone();
            let kind = match field.data_type() {
                DataType::Int64 if name.ends_with("_id") => Kind::Text,
                DataType::Int64 if ORDINALS.contains(&name.as_str()) => Kind::Ordinal,
                DataType::Int64 => Kind::Count,
                DataType::Utf8 => Kind::Text,
                DataType::Date32 => Kind::Date,
                _ if ORDINALS.contains(&name.as_str()) => Kind::Ordinal,
                _ => Kind::Amount,
            };
            Column { is_optional: field.is_nullable() && *field.data_type() == DataType::Utf8, name, kind }
        });
        Self { columns: columns.collect(), table }
    }

    /// The name by which sheets refer to it.
    pub(super) fn name(&self) -> String {
        format!("federated.cartlog{}", self.table.name.replace('_', ""))
    }

    /// The CSV file's name.
    pub(super) fn file(&self) -> String {
        format!("{}.csv", self.table.name)
    }

    /// The column of this name.
    pub(super) fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// What a sheet calls the source.
    pub(super) fn caption(&self) -> String {
        caption(&self.table.name)
    }

    /// The link to it from a sheet or dashboard.
    pub(super) fn link(&self) -> Element {
        Element::new("datasource").with("caption", self.caption()).with("name", self.name())
    }

    /// Its definition.
    pub(super) fn definition(&self, version: TableauVersion) -> Element {
        let connection = self.name().replace("federated", "textscan");
        let file = Element::new("connection")
            .with("class", "textscan")
            .with("directory", FOLDER)
            .with("filename", self.file())
            .with("password", "")
            .with("server", "");
        let named = Element::new("named-connection")
            .with("caption", &self.table.name)
            .with("name", &connection)
            .holding([file]);
        let columns = self.columns.iter().enumerate().map(|(ordinal, column)| {
            Element::new("column")
                .with("datatype", column.kind.datatype())
                .with("name", &column.name)
                .with("ordinal", ordinal)
        });
        let columns = Element::new("columns")
            .with("character-set", "UTF-8")
            .with("header", "yes")
            .with("locale", "en_US")
            .with("separator", ",")
            .holding(columns);
        let relation = Element::new("relation")
            .with("connection", connection)
            .with("name", self.file())
            .with("table", format!("[{}#csv]", self.table.name))
            .with("type", "table")
            .holding([columns]);
        let federated = Element::new("connection")
            .with("class", "federated")
            .holding([Element::new("named-connections").holding([named]), relation]);
        let definitions = self.columns.iter().flat_map(Column::definitions);
        Element::new("datasource")
            .with("caption", self.caption())
            .with("inline", true)
            .with("name", self.name())
            .with("version", "18.1")
            .holding([federated, Element::new("aliases").with("enabled", "yes")])
            .holding(definitions)
            .holding([version.layout()])
    }
}

impl Column {
    /// The name that sheets refer to: the calculated column's if values may be missing.
    pub(super) fn shown(&self) -> String {
        if self.is_optional { format!("Calculation_{}", self.name) } else { self.name.clone() }
    }

    /// Its definition, and that of the calculated column if it has one.
    pub(super) fn definitions(&self) -> Vec<Element> {
        let definition = |name: &str, caption: String| {
            Element::new("column")
                .with("caption", caption)
                .with("datatype", self.kind.datatype())
                .with("name", format!("[{name}]"))
                .with("role", self.kind.role())
                .with("type", self.kind.order())
        };
        if !self.is_optional {
            let aliases =
                WEEKDAYS.iter().zip(1..).map(|(day, key)| Element::new("alias").with("key", key).with("value", day));
            let aliases = (self.name == "weekday").then(|| Element::new("aliases").holding(aliases));
            return vec![definition(&self.name, caption(&self.name)).holding(aliases)];
        }
        let formula = format!("IFNULL([{}], \"{MISSING}\")", self.name);
        vec![
            definition(&self.shown(), caption(&self.name))
                .holding([Element::new("calculation").with("class", "tableau").with("formula", formula)]),
            definition(&self.name, format!("{} (as it is)", caption(&self.name))),
        ]
    }
}

impl Kind {
    fn datatype(self) -> &'static str {
        match self {
            Self::Text => "string",
            Self::Ordinal | Self::Count => "integer",
            Self::Amount => "real",
            Self::Date => "date",
        }
    }

    fn role(self) -> &'static str {
        match self {
            Self::Text | Self::Ordinal | Self::Date => "dimension",
            Self::Count | Self::Amount => "measure",
        }
    }

    /// Tableau's word for how its values relate.
    pub(super) fn order(self) -> &'static str {
        match self {
            Self::Text => "nominal",
            Self::Ordinal | Self::Date => "ordinal",
            Self::Count | Self::Amount => "quantitative",
        }
    }
}

/// A name of ours as a person reads it.
fn caption(name: &str) -> String {
    let words = name.replace('_', " ");
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
