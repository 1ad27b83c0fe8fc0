//! What the workbook shows: its sheets and dashboards, as data.
//!
//! A sheet names one table, the mark that is drawn, and which column is on which shelf. `document.rs` makes XML of it; a
//! test follows every name to its table.

/// A column on a shelf.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pill {
    /// Each value of its own.
    Each(&'static str),
    /// The sum of the values of a mark; where a mark is one row, the value.
    Sum(&'static str),
    /// A day on a continuous axis.
    Day(&'static str),
}

/// Tableau's names for marks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    Bar,
    Circle,
    Line,
    Pie,
    Square,
}

/// Where on the marks card a pill goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    Color,
    Size,
    Text,
    Detail,
    Angle,
    Tooltip,
}

/// What a sheet leaves out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SheetFilter {
    /// Nothing yet: the reader chooses among the values, on all sheets of the same number at once.
    Choice(Pill, u32),
    /// Nothing yet: the reader sets the ends, on all sheets of the same number at once.
    Range(Pill, u32),
    /// All but the values with the largest sums.
    Top {
        /// Of these.
        each: &'static str,
        /// How many are kept.
        count: u32,
        /// By the sum of this.
        by: &'static str,
    },
}

/// One sheet.
#[derive(Debug)]
pub(super) struct Sheet {
    pub(super) name: &'static str,
    /// The table, by the stem of its file.
    pub(super) table: &'static str,
    pub(super) mark: Mark,
    pub(super) columns: &'static [Pill],
    pub(super) rows: &'static [Pill],
    pub(super) marks: &'static [(Encoding, Pill)],
    /// What is sorted downwards, and by what.
    pub(super) sort: Option<(Pill, Pill)>,
    pub(super) filters: &'static [SheetFilter],
}

/// One dashboard.
#[derive(Debug)]
pub(super) struct Dashboard {
    pub(super) name: &'static str,
    /// Rows of sheets, each of equal height, its sheets of equal width.
    pub(super) grid: &'static [&'static [&'static str]],
    /// The sheet whose quick filters are shown at the right.
    pub(super) filters_of: Option<&'static str>,
    /// Sheets of which a selection filters the others.
    pub(super) selectors: &'static [&'static str],
}

const DAY: Pill = Pill::Day("day");
const TYPE: Pill = Pill::Each("event_type");
const CATEGORY: Pill = Pill::Each("category_code");
const BRAND: Pill = Pill::Each("brand");

/// The quick filters of the dashboard for exploring.
const EXPLORE: &[SheetFilter] = &[
    SheetFilter::Range(DAY, 2),
    SheetFilter::Choice(TYPE, 3),
    SheetFilter::Choice(CATEGORY, 4),
    SheetFilter::Choice(BRAND, 5),
];

/// All sheets, in the order of their tabs.
pub(super) const SHEETS: &[Sheet] = &[
    Sheet {
        name: "Category prices",
        table: "top_10_categories_prices",
        mark: Mark::Circle,
        columns: &[Pill::Sum("average_price")],
        rows: &[Pill::Sum("max_price")],
        marks: &[(Encoding::Color, CATEGORY), (Encoding::Text, CATEGORY), (Encoding::Size, Pill::Sum("min_price"))],
        sort: None,
        filters: &[],
    },
    Sheet {
        name: "Interaction categories",
        table: "top_10_categories",
        mark: Mark::Pie,
        columns: &[],
        rows: &[],
        marks: &[
            (Encoding::Color, CATEGORY),
            (Encoding::Angle, Pill::Sum("interaction_count")),
            // Several categories may have one code, or none: each id is a slice of its own.
            (Encoding::Detail, Pill::Each("category_id")),
            (Encoding::Text, CATEGORY),
        ],
        sort: Some((CATEGORY, Pill::Sum("interaction_count"))),
        filters: &[],
    },
    Sheet {
        name: "Top interactions",
        table: "top_10_interactions",
        mark: Mark::Bar,
        columns: &[Pill::Sum("count")],
        rows: &[Pill::Each("user_id")],
        marks: &[(Encoding::Color, CATEGORY), (Encoding::Text, Pill::Sum("count"))],
        sort: Some((Pill::Each("user_id"), Pill::Sum("count"))),
        filters: &[],
    },
    Sheet {
        name: "Sales history",
        table: "sales_history",
        mark: Mark::Line,
        columns: &[DAY],
        rows: &[Pill::Sum("revenue")],
        marks: &[
            (Encoding::Tooltip, Pill::Sum("purchases")),
            (Encoding::Tooltip, Pill::Sum("buyers")),
            (Encoding::Tooltip, Pill::Sum("visitors")),
        ],
        sort: None,
        filters: &[],
    },
    Sheet {
        name: "Conversion funnel",
        table: "conversion_funnel",
        mark: Mark::Bar,
        columns: &[Pill::Sum("viewed"), Pill::Sum("carted"), Pill::Sum("purchased")],
        rows: &[CATEGORY],
        marks: &[(Encoding::Tooltip, Pill::Sum("sessions")), (Encoding::Tooltip, Pill::Sum("abandoned"))],
        sort: Some((CATEGORY, Pill::Sum("viewed"))),
        filters: &[],
    },
    Sheet {
        name: "Price bands",
        table: "price_bands",
        mark: Mark::Square,
        columns: &[Pill::Each("band_from")],
        rows: &[CATEGORY],
        marks: &[
            (Encoding::Color, Pill::Sum("users")),
            (Encoding::Tooltip, Pill::Sum("views")),
            (Encoding::Tooltip, Pill::Sum("purchases")),
            (Encoding::Tooltip, Pill::Sum("revenue")),
        ],
        sort: Some((CATEGORY, Pill::Sum("users"))),
        filters: &[],
    },
    Sheet {
        name: "Customer segments",
        table: "customer_segments",
        mark: Mark::Square,
        columns: &[],
        rows: &[],
        marks: &[
            (Encoding::Size, Pill::Sum("users")),
            (Encoding::Color, Pill::Sum("revenue")),
            (Encoding::Text, Pill::Each("segment")),
            (Encoding::Tooltip, Pill::Sum("orders")),
        ],
        sort: None,
        filters: &[],
    },
    Sheet {
        name: "Product performance",
        table: "product_performance",
        mark: Mark::Bar,
        columns: &[Pill::Sum("revenue")],
        rows: &[Pill::Each("product_id")],
        marks: &[
            (Encoding::Color, Pill::Sum("purchases")),
            (Encoding::Tooltip, Pill::Sum("views")),
            (Encoding::Tooltip, Pill::Sum("carts")),
        ],
        sort: Some((Pill::Each("product_id"), Pill::Sum("revenue"))),
        filters: &[SheetFilter::Top { each: "product_id", count: 25, by: "revenue" }],
    },
    Sheet {
        name: "Hourly activity",
        table: "hourly_activity",
        mark: Mark::Square,
        columns: &[Pill::Each("hour")],
        rows: &[Pill::Each("weekday")],
        marks: &[
            (Encoding::Color, Pill::Sum("views")),
            (Encoding::Tooltip, Pill::Sum("carts")),
            (Encoding::Tooltip, Pill::Sum("purchases")),
        ],
        sort: None,
        filters: &[],
    },
    Sheet {
        name: "Events per day",
        table: "daily_activity",
        mark: Mark::Line,
        columns: &[DAY],
        rows: &[Pill::Sum("events")],
        marks: &[(Encoding::Color, TYPE)],
        sort: None,
        filters: EXPLORE,
    },
    Sheet {
        name: "Revenue per day",
        table: "daily_activity",
        mark: Mark::Line,
        columns: &[DAY],
        rows: &[Pill::Sum("revenue")],
        marks: &[],
        sort: None,
        filters: EXPLORE,
    },
    Sheet {
        name: "Categories",
        table: "daily_activity",
        mark: Mark::Bar,
        columns: &[Pill::Sum("events")],
        rows: &[CATEGORY],
        marks: &[(Encoding::Tooltip, Pill::Sum("revenue"))],
        sort: Some((CATEGORY, Pill::Sum("events"))),
        filters: EXPLORE,
    },
    Sheet {
        name: "Brands",
        table: "daily_activity",
        mark: Mark::Bar,
        columns: &[Pill::Sum("events")],
        rows: &[BRAND],
        marks: &[(Encoding::Tooltip, Pill::Sum("revenue"))],
        sort: Some((BRAND, Pill::Sum("events"))),
        filters: EXPLORE,
    },
];

/// All dashboards, in the order of their tabs.
pub(super) const DASHBOARDS: &[Dashboard] = &[
    Dashboard {
        name: "Sales and Customer Insights",
        grid: &[&["Category prices", "Interaction categories"], &["Top interactions"]],
        filters_of: None,
        selectors: &[],
    },
    Dashboard {
        name: "Explore",
        grid: &[&["Events per day", "Revenue per day"], &["Categories", "Brands"]],
        filters_of: Some("Events per day"),
        selectors: &["Categories", "Brands", "Events per day"],
    },
];

impl Pill {
    /// The column's name in its table.
    pub(super) fn column(self) -> &'static str {
        match self {
            Self::Each(column) | Self::Sum(column) | Self::Day(column) => column,
        }
    }
}

impl Mark {
    /// Tableau's name.
    pub(super) fn class(self) -> &'static str {
        match self {
            Self::Bar => "Bar",
            Self::Circle => "Circle",
            Self::Line => "Line",
            Self::Pie => "Pie",
            Self::Square => "Square",
        }
    }
}

impl Encoding {
    /// Tableau's name.
    pub(super) fn element(self) -> &'static str {
        match self {
            Self::Color => "color",
            Self::Size => "size",
            Self::Text => "text",
            Self::Detail => "lod",
            Self::Angle => "wedge-size",
            Self::Tooltip => "tooltip",
        }
    }
}

impl SheetFilter {
    /// The pill that is filtered.
    pub(super) fn pill(self) -> Pill {
        match self {
            Self::Choice(pill, _) | Self::Range(pill, _) => pill,
            Self::Top { each, .. } => Pill::Each(each),
        }
    }
}

impl Sheet {
    /// Every pill, each once.
    pub(super) fn pills(&self) -> Vec<Pill> {
        let shelves = self.columns.iter().chain(self.rows).copied();
        let marks = self.marks.iter().map(|(_, pill)| *pill);
        let sort = self.sort.into_iter().flat_map(|(each, by)| [each, by]);
        let filters = self.filters.iter().map(|filter| filter.pill());
        let mut pills: Vec<Pill> = Vec::new();
        for pill in shelves.chain(marks).chain(sort).chain(filters) {
            if !pills.contains(&pill) {
                pills.push(pill);
            }
        }
        pills
    }
}
