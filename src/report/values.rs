//! Cells of a table as a page needs them: as numbers to draw, and as text to read.

use arrow_array::cast::AsArray as _;
use arrow_array::types::{Date32Type, Decimal128Type, Float64Type, Int64Type};
use arrow_array::{Array as _, ArrayRef};
use arrow_schema::DataType;

use crate::event::time;
use crate::report::ReportError;
use crate::table::Table;

/// What a missing text is shown as.
const MISSING: &str = "(missing)";

/// A column of a table.
pub(in crate::report) struct Column<'a> {
    values: &'a ArrayRef,
    /// Ids are no amounts: they are written without separators.
    is_id: bool,
}

/// The column of this name.
pub(in crate::report) fn column<'a>(table: &'a Table, name: &str) -> Result<Column<'a>, ReportError> {
    let values = table
        .rows
        .column_by_name(name)
        .ok_or_else(|| ReportError::MissingColumn { table: table.name.clone(), column: name.to_owned() })?;
    Ok(Column { values, is_id: name.ends_with("_id") })
}

impl Column<'_> {
    /// A number to draw; 0 for what is missing or no number.
    #[expect(clippy::cast_precision_loss, reason = "a picture shows three digits; the table beside it shows all")]
    pub(in crate::report) fn number(&self, row: usize) -> f64 {
        if self.values.is_null(row) {
            return 0.0;
        }
        match self.values.data_type() {
            DataType::Int64 => self.values.as_primitive::<Int64Type>().value(row) as f64,
            DataType::Float64 => self.values.as_primitive::<Float64Type>().value(row),
            DataType::Decimal128(_, 4) => self.values.as_primitive::<Decimal128Type>().value(row) as f64 / 10_000.0,
            _ => 0.0,
        }
    }

    /// A day, counted from 1970-01-01; `None` for what is missing or no day.
    pub(in crate::report) fn day(&self, row: usize) -> Option<i32> {
        let is_day = *self.values.data_type() == DataType::Date32 && self.values.is_valid(row);
        is_day.then(|| self.values.as_primitive::<Date32Type>().value(row))
    }

    /// The sum of all numbers.
    pub(in crate::report) fn sum(&self) -> f64 {
        (0..self.values.len()).map(|row| self.number(row)).sum()
    }

    /// Whether there is no value.
    pub(in crate::report) fn is_missing(&self, row: usize) -> bool {
        self.values.is_null(row)
    }

    /// A value to read.
    pub(in crate::report) fn text(&self, row: usize) -> String {
        if self.values.is_null(row) {
            return MISSING.to_owned();
        }
        match self.values.data_type() {
            DataType::Utf8 => self.values.as_string::<i32>().value(row).to_owned(),
            DataType::Int64 if self.is_id => self.values.as_primitive::<Int64Type>().value(row).to_string(),
            DataType::Int64 => grouped(self.values.as_primitive::<Int64Type>().value(row).into()),
            DataType::Date32 => {
                let day = i64::from(self.values.as_primitive::<Date32Type>().value(row));
                time::format(day * 86_400_000).get(..10).unwrap_or_default().to_owned()
            }
            _ => amount(self.number(row)),
        }
    }

    /// A value to read with all that is known of it.
    pub(in crate::report) fn exact(&self, row: usize) -> String {
        match self.values.data_type() {
            DataType::Decimal128(_, 4) if self.values.is_valid(row) => {
                let units = self.values.as_primitive::<Decimal128Type>().value(row);
                let sign = if units < 0 { "-" } else { "" };
                let fraction = format!("{:04}", units.unsigned_abs() % 10_000);
                // Money has two digits, and the other two where they say something.
                let fraction = fraction.strip_suffix("00").unwrap_or(&fraction);
                format!("{sign}{}.{fraction}", grouped((units / 10_000).abs()))
            }
            DataType::Float64 if self.values.is_valid(row) => {
                let number = self.number(row);
                if number.abs() < 1.0 { format!("{number:.6}") } else { format!("{number:.4}") }
            }
            _ => self.text(row),
        }
    }

    /// Whether its values are numbers to be read from the right.
    pub(in crate::report) fn is_number(&self) -> bool {
        !self.is_id && !matches!(self.values.data_type(), DataType::Utf8 | DataType::Date32)
    }
}

/// A whole number with its thousands apart.
fn grouped(number: i128) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = if number < 0 { "-".to_owned() } else { String::new() };
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number with two decimals, and none if it is large or whole.
pub(in crate::report) fn amount(number: f64) -> String {
    if number.abs() >= 1000.0 || number.fract() == 0.0 {
        #[expect(clippy::cast_possible_truncation, reason = "sums of money are far below 2^127")]
        return grouped(number.round() as i128);
    }
    format!("{number:.2}")
}

/// A number as a label has room for it: `12.3k`, `4.5M`.
pub(in crate::report) fn short(number: f64) -> String {
    for (limit, unit) in [(1e12, "T"), (1e9, "G"), (1e6, "M"), (1e4, "k")] {
        if number.abs() >= limit {
            let scale = if unit == "k" { 1e3 } else { limit };
            let text = format!("{:.1}", number / scale);
            return format!("{}{unit}", text.strip_suffix(".0").unwrap_or(&text));
        }
    }
    amount(number)
}

/// A share as percent: two digits that matter.
pub(in crate::report) fn percent(share: f64) -> String {
    let percent = 100.0 * share;
    let places = if percent == 0.0 || percent >= 99.95 {
        0
    } else if percent >= 10.0 {
        1
    } else {
        2
    };
    format!("{percent:.places$} %")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::Decimal128Array;

    use super::*;

    #[test]
    fn numbers_are_readable() {
        assert_eq!([0, 999, 1000, -1_234_567].map(grouped), ["0", "999", "1,000", "-1,234,567"]);
        assert_eq!([0.0, 12.345, 1234.5, 7.0].map(amount), ["0", "12.35", "1,235", "7"]);
        assert_eq!([9999.0, 12_345.0, 4e6, 7.89e9].map(short), ["9,999", "12.3k", "4M", "7.9G"]);
        let money = Decimal128Array::from_iter_values([-5_000_i128, 12_345_678_900, 99_9901]);
        let values: ArrayRef = Arc::new(money.with_precision_and_scale(38, 4).unwrap());
        let money = Column { values: &values, is_id: false };
        assert_eq!([0, 1, 2].map(|row| money.exact(row)), ["-0.50", "1,234,567.89", "99.9901"]);
        assert_eq!([0.0, 0.001_23, 0.123_45, 1.0].map(percent), ["0 %", "0.12 %", "12.3 %", "100 %"]);
    }
}
