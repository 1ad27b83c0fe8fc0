//! People: when they come, what they are worth, who is busiest, who comes back.

use super::Surroundings;
use super::leaders::link;
use crate::report::ReportError;
use crate::report::chart::{Bar, Heat, bars, heat};
use crate::report::values::{amount, column, percent, short};
use crate::table::Table;

/// Users shown.
const USERS: usize = 10;
/// The latest cohorts and the weeks behind their first one that are shown.
const COHORTS: usize = 12;

const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

pub(super) fn week(table: &Table, title: &str, around: &Surroundings<'_>) -> Result<String, ReportError> {
    let name = around.measure.name();
    let [weekday, hour, values] = [column(table, "weekday")?, column(table, "hour")?, column(table, name)?];
    let mut cells = vec![vec![None; 24]; DAYS.len()];
    for row in 0..table.rows.num_rows() {
        let day = cells.iter_mut().zip(1_u8..).find(|(_, day)| weekday.number(row) == f64::from(*day));
        if let Some((hours, _)) = day
            && let Some((cell, _)) =
                hours.iter_mut().zip(0_u8..).find(|(_, place)| hour.number(row) == f64::from(*place))
        {
            *cell = Some(values.number(row));
        }
    }
    let hours: Vec<String> = (0..24).map(|hour| hour.to_string()).collect();
    let days = DAYS.map(str::to_owned);
    Ok(heat(title, around.width, &Heat { rows: &days, columns: &hours, cells: &cells, unit: name, shown: &short }))
}

pub(super) fn segments(table: &Table, title: &str, around: &Surroundings<'_>) -> Result<String, ReportError> {
    let [segment, users, revenue] = [column(table, "segment")?, column(table, "users")?, column(table, "revenue")?];
    let row = |row: usize| Bar {
        label: segment.text(row).replace('_', " "),
        link: None,
        value: revenue.number(row),
        shown: format!("{} · {} users", short(revenue.number(row)), short(users.number(row))),
    };
    Ok(bars(title, around.width, &(0..table.rows.num_rows()).map(row).collect::<Vec<_>>()))
}

pub(super) fn engaged(table: &Table, title: &str, around: &Surroundings<'_>) -> Result<String, ReportError> {
    let [user, category, brand, count] = [
        column(table, "user_id")?,
        column(table, "category_code")?,
        column(table, "brand")?,
        column(table, "max_count")?,
    ];
    let row = |row: usize| Bar {
        label: format!("{} · {} · {}", user.text(row), category.text(row), brand.text(row)),
        link: link(around, "user_id", &user, row),
        value: count.number(row),
        shown: amount(count.number(row)),
    };
    Ok(bars(title, around.width, &(0..table.rows.num_rows().min(USERS)).map(row).collect::<Vec<_>>()))
}

pub(super) fn interactions(table: &Table, title: &str, around: &Surroundings<'_>) -> Result<String, ReportError> {
    let [user, category, count] = [column(table, "user_id")?, column(table, "category_code")?, column(table, "count")?];
    let row = |row: usize| Bar {
        label: format!("{} · {}", user.text(row), category.text(row)),
        link: link(around, "user_id", &user, row),
        value: count.number(row),
        shown: amount(count.number(row)),
    };
    Ok(bars(title, around.width, &(0..table.rows.num_rows().min(USERS)).map(row).collect::<Vec<_>>()))
}

/// One week's first buyers, and the share of them that bought again, by weeks later.
struct Cohort {
    week: String,
    first: f64,
    later: Vec<(f64, f64)>,
}

pub(super) fn cohorts(table: &Table, title: &str, around: &Surroundings<'_>) -> Result<String, ReportError> {
    let [week, later, buyers] = [column(table, "cohort")?, column(table, "weeks_later")?, column(table, "buyers")?];
    let mut cohorts: Vec<Cohort> = Vec::new();
    for row in 0..table.rows.num_rows() {
        let (name, weeks, count) = (week.text(row), later.number(row), buyers.number(row));
        // A cohort's rows follow each other, the week of its first purchase first.
        match cohorts.last_mut().filter(|cohort| cohort.week == name) {
            Some(cohort) => cohort.later.push((weeks, count / cohort.first.max(1.0))),
            None => cohorts.push(Cohort { week: name, first: count, later: Vec::new() }),
        }
    }
    cohorts.drain(..cohorts.len().saturating_sub(COHORTS));
    let most = cohorts.iter().flat_map(|cohort| &cohort.later).map(|(weeks, _)| *weeks).fold(0.0, f64::max);
    let weeks: Vec<f64> = (1..=COHORTS as u8).map(f64::from).filter(|weeks| *weeks <= most).collect();
    let share =
        |cohort: &Cohort, weeks: f64| cohort.later.iter().find(|(later, _)| *later == weeks).map(|later| later.1);
    let cells: Vec<Vec<Option<f64>>> =
        cohorts.iter().map(|cohort| weeks.iter().map(|weeks| share(cohort, *weeks)).collect()).collect();
    let rows: Vec<String> = cohorts.iter().map(|cohort| format!("{} ({})", cohort.week, short(cohort.first))).collect();
    let columns: Vec<String> = weeks.iter().map(|weeks| format!("+{weeks}")).collect();
    let unit = "bought again";
    Ok(heat(title, around.width, &Heat { rows: &rows, columns: &columns, cells: &cells, unit, shown: &percent }))
}
