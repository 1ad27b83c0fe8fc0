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
pub(super) struct Column<'a> {
    values: &'a ArrayRef,
    /// Ids are no amounts: they are written without separators.
    is_id: bool,
}

/// The column of this name.
pub(super) fn column<'a>(table: &'a Table, name: &str) -> Result<Column<'a>, ReportError> {
    let values = table
        .rows
        .column_by_name(name)
        .ok_or_else(|| ReportError::MissingColumn { table: table.name.clone(), column: name.to_owned() })?;
    Ok(Column { values, is_id: name.ends_with("_id") })
}

impl Column<'_> {
    /// A number to draw; 0 for what is missing or no number.
    #[expect(clippy::cast_precision_loss, reason = "a picture shows three digits; the table beside it shows all")]
    pub(super) fn number(&self, row: usize) -> f64 {
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

    /// The sum of all numbers.
    pub(super) fn sum(&self) -> f64 {
        (0..self.values.len()).map(|row| self.number(row)).sum()
    }

    /// Whether there is no value.
    pub(super) fn is_missing(&self, row: usize) -> bool {
        self.values.is_null(row)
    }

    /// A value to read.
    pub(super) fn text(&self, row: usize) -> String {
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

    /// Whether its values are numbers to be read from the right.
    pub(super) fn is_number(&self) -> bool {
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
pub(super) fn amount(number: f64) -> String {
    if number.abs() >= 1000.0 || number.fract() == 0.0 {
        #[expect(clippy::cast_possible_truncation, reason = "sums of money are far below 2^127")]
        return grouped(number.round() as i128);
    }
    format!("{number:.2}")
}

/// A number as a label has room for it: `12.3k`, `4.5M`.
pub(super) fn short(number: f64) -> String {
    for (limit, unit) in [(1e12, "T"), (1e9, "G"), (1e6, "M"), (1e4, "k")] {
        if number.abs() >= limit {
            let scale = if unit == "k" { 1e3 } else { limit };
            return format!("{:.1}{unit}", number / scale);
        }
    }
    amount(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_readable() {
        assert_eq!([0, 999, 1000, -1_234_567].map(grouped), ["0", "999", "1,000", "-1,234,567"]);
        assert_eq!([0.0, 12.345, 1234.5, 7.0].map(amount), ["0", "12.35", "1,235", "7"]);
        assert_eq!([9999.0, 12_345.0, 4.56e6, 7.89e9].map(short), ["9,999", "12.3k", "4.6M", "7.9G"]);
    }
}
