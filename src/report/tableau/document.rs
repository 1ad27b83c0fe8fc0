//! Sheets, dashboards and data sources as the elements of a workbook.

use arrow_array::Date32Array;
use arrow_array::cast::AsArray as _;

use super::sheets::{DASHBOARDS, Dashboard, Pill, SHEETS, Sheet, SheetFilter};
use super::source::{Column, DataSource};
use super::version::TableauVersion;
use super::xml::Element;
use crate::event::time;
use crate::report::ReportError;

/// Width and height of a dashboard in pixels.
const SIZE: (u32, u32) = (1400, 900);
/// Zones are measured in hundred-thousandths of the dashboard.
const WHOLE: u32 = 100_000;
/// The part of a dashboard's width that quick filters take.
const FILTERS_WIDTH: u32 = 16_000;

/// A workbook on its way.
pub(super) struct Document<'a> {
    pub(super) version: TableauVersion,
    pub(super) sources: &'a [DataSource<'a>],
}

/// A column as it is used on a shelf.
struct Instance {
    /// `[none:category_code:nk]`.
    name: String,
    element: Element,
}

impl Document<'_> {
    /// The whole workbook.
    pub(super) fn workbook(&self) -> Result<Element, ReportError> {
        let version = self.version;
        let worksheets = SHEETS.iter().map(|sheet| self.worksheet(sheet)).collect::<Result<Vec<_>, _>>()?;
        let dashboards = DASHBOARDS.iter().map(|dashboard| self.dashboard(dashboard)).collect::<Result<Vec<_>, _>>()?;
        let content = [
            Element::new("preferences"),
            Element::new("datasources").holding(self.sources.iter().map(|source| source.definition(version))),
            Element::new("actions").holding(actions()),
            Element::new("worksheets").holding(worksheets),
            Element::new("dashboards").holding(dashboards),
            Element::new("windows").with("source-height", 30).holding(self.windows()),
        ];
        Ok(version.workbook().holding(content).holding(version.end()))
    }

    fn source(&self, table: &str) -> Result<&DataSource<'_>, ReportError> {
        let found = self.sources.iter().find(|source| source.table.name == table);
        found.ok_or_else(|| ReportError::MissingTable { table: table.to_owned() })
    }

    fn worksheet(&self, sheet: &Sheet) -> Result<Element, ReportError> {
        let source = self.source(sheet.table)?;
        let instances = Instances { source, sheet };
        let view = Element::new("view")
            .holding([Element::new("datasources").holding([source.link()]), instances.dependencies(&sheet.pills())?])
            .holding(instances.filters()?)
            .holding(instances.sort()?)
            .holding(instances.slices()?)
            .holding([Element::new("aggregation").with("value", true)]);
        let encodings = sheet
            .marks
            .iter()
            .map(|(encoding, pill)| Ok(Element::new(encoding.element()).with("column", instances.full_name(*pill)?)))
            .collect::<Result<Vec<_>, ReportError>>()?;
        let encodings = (!encodings.is_empty()).then(|| Element::new("encodings").holding(encodings));
        let labels = Element::new("style-rule").with("element", "mark").holding(
            ["mark-labels-show", "mark-labels-cull"]
                .map(|attribute| Element::new("format").with("attr", attribute).with("value", true)),
        );
        let pane = Element::new("pane")
            .holding([
                Element::new("view").holding([Element::new("breakdown").with("value", "auto")]),
                Element::new("mark").with("class", sheet.mark.class()),
            ])
            .holding(encodings)
            .holding([Element::new("style").holding([labels])]);
        let table = Element::new("table").holding([
            view,
            Element::new("style"),
            Element::new("panes").holding([pane]),
            Element::new("rows").around(instances.shelf(sheet.rows)?),
            Element::new("cols").around(instances.shelf(sheet.columns)?),
        ]);
        let identifier = self.version.identifier("worksheet", sheet.name);
        Ok(Element::new("worksheet").with("name", sheet.name).holding([table]).holding(identifier))
    }

    fn dashboard(&self, dashboard: &Dashboard) -> Result<Element, ReportError> {
        let size = Element::new("size")
            .with("maxheight", SIZE.1)
            .with("maxwidth", SIZE.0)
            .with("minheight", SIZE.1)
            .with("minwidth", SIZE.0);
        let filters = match dashboard.filters_of {
            None => None,
            Some(name) => SHEETS.iter().find(|sheet| sheet.name == name),
        };
        let mut zones = Zones { kind: self.version.zone_type(), next: 2, zones: Vec::new() };
        let width = if filters.is_some() { WHOLE - FILTERS_WIDTH } else { WHOLE };
        let height = WHOLE / parts(dashboard.grid.len());
        for (row, y) in dashboard.grid.iter().zip((0..).step_by(height as usize)) {
            let width = width / parts(row.len());
            for (name, x) in row.iter().zip((0..).step_by(width as usize)) {
                zones.add((x, y, width, height), |zone| zone.with("name", name));
            }
        }
        let mut shared = Vec::new();
        if let Some(sheet) = filters {
            let source = self.source(sheet.table)?;
            let instances = Instances { source, sheet };
            let pills: Vec<Pill> = sheet.filters.iter().map(|filter| filter.pill()).collect();
            shared.push(Element::new("datasources").holding([source.link()]));
            shared.push(instances.dependencies(&pills)?);
            let height = WHOLE / parts(pills.len());
            for (pill, y) in pills.iter().zip((0..).step_by(height as usize)) {
                let column = instances.full_name(*pill)?;
                let kind = zones.kind;
                zones.add((width, y, FILTERS_WIDTH, height), |zone| {
                    zone.with("name", sheet.name).with("param", column).with(kind, "filter")
                });
            }
        }
        let whole = zone(1, (0, 0, WHOLE, WHOLE)).with(zones.kind, "layout-basic").holding(zones.zones);
        Ok(Element::new("dashboard")
            .with("name", dashboard.name)
            .holding([Element::new("style"), size])
            .holding(shared)
            .holding([Element::new("zones").holding([whole])])
            .holding(self.version.identifier("dashboard", dashboard.name)))
    }

    fn windows(&self) -> Vec<Element> {
        let card = |kind: &'static str| Element::new("card").with("type", kind);
        let strip = |size: u32, cards: &[&'static str]| {
            Element::new("strip").with("size", size).holding(cards.iter().copied().map(card))
        };
        let edge = |name, strips: Vec<Element>| Element::new("edge").with("name", name).holding(strips);
        let most = i32::MAX.cast_unsigned();
        let sheets = SHEETS.iter().map(|sheet| {
            let cards = [
                edge("left", vec![strip(160, &["pages", "filters", "marks"])]),
                edge("top", vec![strip(most, &["columns"]), strip(most, &["rows"]), strip(31, &["title"])]),
            ];
            Element::new("window")
                .with("class", "worksheet")
                .with("name", sheet.name)
                .holding([Element::new("cards").holding(cards)])
                .holding(self.version.identifier("window", sheet.name))
        });
        let dashboards = DASHBOARDS.iter().enumerate().map(|(number, dashboard)| {
            let sheets = dashboard.grid.iter().copied().flatten();
            let viewpoints = sheets.map(|name| Element::new("viewpoint").with("name", name));
            let window = Element::new("window").with("class", "dashboard");
            let window = if number == 0 { window.with("maximized", true) } else { window };
            window
                .with("name", dashboard.name)
                .holding([Element::new("viewpoints").holding(viewpoints), Element::new("active").with("id", -1)])
                .holding(self.version.identifier("window", dashboard.name))
        });
        sheets.chain(dashboards).collect()
    }
}

/// The columns of a source as a sheet uses them.
struct Instances<'a> {
    source: &'a DataSource<'a>,
    sheet: &'a Sheet,
}

impl Instances<'_> {
    fn instance(&self, pill: Pill) -> Result<Instance, ReportError> {
        let column = self.source.column(pill.column()).ok_or_else(|| ReportError::MissingColumn {
            table: self.source.table.name.clone(),
            column: pill.column().to_owned(),
        })?;
        let shown = column.shown();
        let (derivation, prefix, order) = match pill {
            Pill::Each(_) if column.kind.order() == "quantitative" => ("None", "none", "ordinal"),
            Pill::Each(_) => ("None", "none", column.kind.order()),
            Pill::Sum(_) => ("Sum", "sum", "quantitative"),
            Pill::Day(_) => ("None", "none", "quantitative"),
        };
        let suffix = match order {
            "nominal" => "nk",
            "ordinal" => "ok",
            _ => "qk",
        };
        let name = format!("[{prefix}:{shown}:{suffix}]");
        let element = Element::new("column-instance")
            .with("column", format!("[{shown}]"))
            .with("derivation", derivation)
            .with("name", &name)
            .with("pivot", "key")
            .with("type", order);
        Ok(Instance { name, element })
    }

    /// A pill's name with its source: `[federated.x].[sum:count:qk]`.
    fn full_name(&self, pill: Pill) -> Result<String, ReportError> {
        Ok(format!("[{}].{}", self.source.name(), self.instance(pill)?.name))
    }

    /// The columns and instances that a sheet or dashboard refers to.
    fn dependencies(&self, pills: &[Pill]) -> Result<Element, ReportError> {
        let used = |name: &str| pills.iter().any(|pill| pill.column() == name);
        let columns = self.source.columns.iter().filter(|column| used(&column.name));
        let instances = pills.iter().map(|pill| self.instance(*pill)).collect::<Result<Vec<_>, _>>()?;
        Ok(Element::new("datasource-dependencies")
            .with("datasource", self.source.name())
            .holding(columns.flat_map(Column::definitions))
            .holding(instances.into_iter().map(|instance| instance.element)))
    }

    fn shelf(&self, pills: &[Pill]) -> Result<String, ReportError> {
        let names = pills.iter().map(|pill| self.full_name(*pill)).collect::<Result<Vec<_>, _>>()?;
        Ok(match &names[..] {
            [] => String::new(),
            [one] => one.clone(),
            // Axes beside each other.
            more => format!("({})", more.join(" + ")),
        })
    }

    fn filters(&self) -> Result<Vec<Element>, ReportError> {
        let filter = |class: &str, pill, group: Option<u32>| {
            let filter = Element::new("filter").with("class", class).with("column", self.full_name(pill)?);
            Ok::<_, ReportError>(match group {
                Some(group) => filter.with("filter-group", group),
                None => filter,
            })
        };
        let members = |pill| {
            let level = self.instance(pill)?.name;
            Ok::<_, ReportError>(
                Element::new("groupfilter")
                    .with("function", "level-members")
                    .with("level", level)
                    .with("user:ui-enumeration", "all")
                    .with("user:ui-marker", "enumerate"),
            )
        };
        self.sheet
            .filters
            .iter()
            .map(|wanted| match *wanted {
                SheetFilter::Choice(pill, group) => {
                    Ok(filter("categorical", pill, Some(group))?.holding([members(pill)?]))
                }
                SheetFilter::Range(pill, group) => {
                    let (first, last) = self.days(pill);
                    Ok(filter("quantitative", pill, Some(group))?.with("included-values", "in-range").holding([
                        Element::new("min").around(format!("#{first}#")),
                        Element::new("max").around(format!("#{last}#")),
                    ]))
                }
                SheetFilter::Top { each, count, by } => {
                    let order = Element::new("groupfilter")
                        .with("direction", "DESC")
                        .with("expression", format!("SUM([{by}])"))
                        .with("function", "order")
                        .with("user:ui-marker", "order")
                        .holding([members(Pill::Each(each))?]);
                    let end = Element::new("groupfilter")
                        .with("count", count)
                        .with("end", "top")
                        .with("function", "end")
                        .with("units", "records")
                        .with("user:ui-marker", "end")
                        .with("user:ui-top-by-field", true)
                        .holding([order]);
                    Ok(filter("categorical", Pill::Each(each), None)?.holding([end]))
                }
            })
            .collect()
    }

    /// The first and last day of the table, which is in their order; one day of no events if it is empty.
    fn days(&self, pill: Pill) -> (String, String) {
        let column = self.source.table.rows.column_by_name(pill.column());
        let days: Option<&Date32Array> = column.and_then(|column| column.as_primitive_opt());
        let day = |day: Option<i32>| {
            let text = time::format(i64::from(day.unwrap_or_default()) * 86_400_000);
            text.get(..10).unwrap_or_default().to_owned()
        };
        let ends = days.map(|days| (days.values().iter().min().copied(), days.values().iter().max().copied()));
        let (first, last) = ends.unwrap_or_default();
        (day(first), day(last))
    }

    fn sort(&self) -> Result<Option<Element>, ReportError> {
        let Some((each, by)) = self.sheet.sort else { return Ok(None) };
        let sort = Element::new("computed-sort")
            .with("column", self.full_name(each)?)
            .with("direction", "DESC")
            .with("using", self.full_name(by)?);
        Ok(Some(sort))
    }

    /// The filtered columns, which Tableau wants named once more.
    fn slices(&self) -> Result<Option<Element>, ReportError> {
        if self.sheet.filters.is_empty() {
            return Ok(None);
        }
        let columns = self
            .sheet
            .filters
            .iter()
            .map(|filter| Ok::<_, ReportError>(Element::new("column").around(self.full_name(filter.pill())?)));
        Ok(Some(Element::new("slices").holding(columns.collect::<Result<Vec<_>, _>>()?)))
    }
}

struct Zones {
    /// The attribute that says what a zone is.
    kind: &'static str,
    next: u32,
    zones: Vec<Element>,
}

impl Zones {
    fn add(&mut self, place: (u32, u32, u32, u32), make: impl FnOnce(Element) -> Element) {
        self.zones.push(make(zone(self.next, place)));
        self.next += 1;
    }
}

fn zone(id: u32, (x, y, width, height): (u32, u32, u32, u32)) -> Element {
    Element::new("zone").with("h", height).with("id", id).with("w", width).with("x", x).with("y", y)
}

/// Into how many parts a side is divided, never none.
fn parts(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX).max(1)
}

/// A selection in one sheet of a dashboard filters the others.
fn actions() -> Vec<Element> {
    let selectors =
        DASHBOARDS.iter().flat_map(|dashboard| dashboard.selectors.iter().map(move |sheet| (dashboard, sheet)));
    selectors
        .zip(1..)
        .map(|((dashboard, sheet), number)| {
            let param = |name, value: &str| Element::new("param").with("name", name).with("value", value);
            let command = Element::new("command").with("command", "tsc:tsl-filter").holding([
                param("exclude", sheet),
                param("special-fields", "all"),
                param("target", dashboard.name),
            ]);
            let source =
                Element::new("source").with("dashboard", dashboard.name).with("type", "sheet").with("worksheet", sheet);
            Element::new("action")
                .with("caption", format!("Filter by what is selected in {sheet}"))
                .with("name", format!("[Action{number}]"))
                .holding([
                    Element::new("activation").with("auto-clear", true).with("type", "on-select"),
                    source,
                    command,
                ])
        })
        .collect()
}
