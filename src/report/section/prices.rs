//! Prices: how they are spread over all events, and inside each category.

use super::Surroundings;
use super::leaders::link;
use crate::report::ReportError;
use crate::report::chart::{Band, Heat, Spread, boxes, columns, heat};
use crate::report::values::{amount, column, short};
use crate::table::Table;

/// Categories shown.
const CATEGORIES: usize = 10;

/// All categories' bands together.
pub(super) fn bands(table: &Table, title: &str, around: &Surroundings<'_>) -> Result<String, ReportError> {
    let name = around.measure.name();
    let (from, values) = (column(table, "band_from")?, column(table, name)?);
    let mut bands: Vec<(f64, f64)> = Vec::new();
    for row in 0..table.rows.num_rows() {
        match bands.iter_mut().find(|(known, _)| *known == from.number(row)) {
            Some((_, sum)) => *sum += values.number(row),
            None => bands.push((from.number(row), values.number(row))),
        }
    }
    bands.sort_by(|left, right| left.0.total_cmp(&right.0));
    let band = |place: usize| {
        let (from, sum) = bands[place];
        let next = bands.get(place + 1).map(|(next, _)| *next);
        // The highest price of a band is a ten-thousandth below the next one's first.
        let last = next.map(|next| format!("{:.4}", next - 0.0001));
        let mut only = vec![("min_price", from.to_string())];
        only.extend(last.map(|last| ("max_price", last)));
        let range = next.map_or_else(
            || format!("{} and more", amount(from)),
            |next| format!("{} to {}", amount(from), amount(next)),
        );
        Band {
            label: short(from),
            about: format!("{range}: {} {name}", amount(sum)),
            link: around.links.only(&only),
            value: sum,
        }
    };
    Ok(columns(title, around.width, &(0..bands.len()).map(band).collect::<Vec<_>>()))
}

/// A category's users, in all and by the lower bound of the price band.
struct CategoryUsers {
    name: String,
    all: f64,
    bands: Vec<(f64, f64)>,
}

/// The categories with the most users, by price band.
pub(super) fn by_category(table: &Table, title: &str, around: &Surroundings<'_>) -> Result<String, ReportError> {
    let [category, band, users] =
        [column(table, "category_code")?, column(table, "band_from")?, column(table, "users")?];
    let mut bands: Vec<f64> = Vec::new();
    let mut categories: Vec<CategoryUsers> = Vec::new();
    for row in 0..table.rows.num_rows() {
        let (name, from, count) = (category.text(row), band.number(row), users.number(row));
        if !bands.contains(&from) {
            bands.push(from);
        }
        match categories.last_mut() {
            Some(last) if last.name == name => {
                last.all += count;
                last.bands.push((from, count));
            }
            _ => categories.push(CategoryUsers { name, all: count, bands: vec![(from, count)] }),
        }
    }
    bands.sort_by(f64::total_cmp);
    categories.sort_by(|left, right| right.all.total_cmp(&left.all).then_with(|| left.name.cmp(&right.name)));
    categories.truncate(CATEGORIES);
    let cells = |category: &CategoryUsers| {
        let cell = |band: &f64| category.bands.iter().find(|(from, _)| from == band).map(|(_, count)| *count);
        bands.iter().map(cell).collect()
    };
    let cells: Vec<Vec<Option<f64>>> = categories.iter().map(cells).collect();
    let rows: Vec<String> = categories.into_iter().map(|category| category.name).collect();
    let columns: Vec<String> = bands.iter().map(|band| format!("{}+", short(*band))).collect();
    let shown = Heat { rows: &rows, columns: &columns, cells: &cells, unit: "users", shown: &short };
    Ok(heat(title, around.width, &shown))
}

/// The categories with the most events, by how their prices spread.
pub(super) fn spread(table: &Table, title: &str, around: &Surroundings<'_>) -> Result<String, ReportError> {
    let (category, events) = (column(table, "category_code")?, column(table, "interaction_count")?);
    let [least, low, middle, high, dearest] = [
        column(table, "min_price")?,
        column(table, "p25_price")?,
        column(table, "median_price")?,
        column(table, "p75_price")?,
        column(table, "max_price")?,
    ];
    let mut rows: Vec<usize> = (0..table.rows.num_rows()).collect();
    rows.sort_by(|left, right| events.number(*right).total_cmp(&events.number(*left)));
    rows.truncate(CATEGORIES);
    let row = |row: usize| Spread {
        label: category.text(row),
        link: link(around, "category_code", &category, row),
        prices: [&least, &low, &middle, &high, &dearest].map(|price| price.number(row)),
    };
    Ok(boxes(title, around.width, &rows.into_iter().map(row).collect::<Vec<_>>()))
}
