//! The results of a job, as its driver writes them.
//!
//! One file an analysis, `NAME.jsonl`: a line with the seconds it took, then a line a row, each an array with a text or
//! `null` a column. Text keeps every number as it is: a double reads back to the same bits, a decimal to the same digits.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use arrow_array::{ArrayRef, Date32Array, Decimal128Array, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow_schema::DataType;
use serde::Deserialize;

use super::SparkError;
use crate::analysis::Analysis;
use crate::event::time;
use crate::table::Table;

/// What Spark says to one analysis.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The table, as the kernel would make it.
    pub table: Table,
    /// How long Spark took.
    pub took: Duration,
}

/// The first line of a file.
#[derive(Debug, Deserialize)]
struct Head {
    seconds: f64,
}

/// Reads the result of an analysis from the folder of results.
pub(super) fn read(analysis: &'static dyn Analysis, results: &Path) -> Result<Answer, SparkError> {
    let path = results.join(format!("{}.jsonl", analysis.name()));
    let file = File::open(&path).map_err(SparkError::file(&path))?;
    let wrong = |line: usize, reason: String| SparkError::Result { analysis: analysis.name(), line, reason };
    let schema = analysis.schema();
    let mut columns: Vec<Vec<Option<String>>> = vec![Vec::new(); schema.fields().len()];
    let mut head = None;
    for (number, line) in BufReader::new(file).lines().enumerate() {
        let line = line.map_err(SparkError::file(&path))?;
        let wrong = |reason| wrong(number + 1, reason);
        if number == 0 {
            head = Some(serde_json::from_str::<Head>(&line).map_err(|error| wrong(error.to_string()))?);
            continue;
        }
        let row: Vec<Option<String>> = serde_json::from_str(&line).map_err(|error| wrong(error.to_string()))?;
        if row.len() != columns.len() {
            return Err(wrong(format!("{} values for {} columns", row.len(), columns.len())));
        }
        for (column, value) in columns.iter_mut().zip(row) {
            column.push(value);
        }
    }
    let head = head.ok_or_else(|| wrong(1, "the file is empty".to_owned()))?;
    let took = Duration::try_from_secs_f64(head.seconds).map_err(|error| wrong(1, error.to_string()))?;
    let arrays = schema.fields().iter().zip(&columns).map(|(field, values)| {
        array(field.data_type(), values).map_err(|(row, reason)| wrong(row + 2, format!("{}: {reason}", field.name())))
    });
    let arrays = arrays.collect::<Result<Vec<_>, _>>()?;
    let rows = RecordBatch::try_new(Arc::clone(&schema), arrays).map_err(|error| wrong(2, error.to_string()))?;
    Ok(Answer { table: Table { name: analysis.file_stem().to_owned(), rows }, took })
}

/// A column of a result; the error has the row that is wrong.
fn array(kind: &DataType, values: &[Option<String>]) -> Result<ArrayRef, (usize, String)> {
    fn each<T>(
        values: &[Option<String>],
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Vec<Option<T>>, (usize, String)> {
        let parse = |(row, value): (usize, &Option<String>)| match value {
            None => Ok(None),
            Some(text) => parse(text).map(Some).ok_or_else(|| (row, format!("{text:?} is no such value"))),
        };
        values.iter().enumerate().map(parse).collect()
    }
    let array: ArrayRef = match kind {
        DataType::Utf8 => Arc::new(StringArray::from_iter(values.iter().map(Option::as_deref))),
        DataType::Int64 => Arc::new(Int64Array::from(each(values, |text| text.parse().ok())?)),
        DataType::Float64 => Arc::new(Float64Array::from(each(values, |text| text.parse().ok())?)),
        DataType::Date32 => Arc::new(Date32Array::from(each(values, |text| time::parse_date(text.as_bytes()).ok())?)),
        DataType::Decimal128(precision, scale) => {
            let units = each(values, |text| decimal(text, usize::try_from(*scale).unwrap_or_default()))?;
            let array = Decimal128Array::from(units).with_precision_and_scale(*precision, *scale);
            Arc::new(array.map_err(|error| (0, error.to_string()))?)
        }
        other => return Err((0, format!("results of the type {other} are not brought back"))),
    };
    Ok(array)
}

/// The units of a decimal with exactly so many digits after its point.
fn decimal(text: &str, scale: usize) -> Option<i128> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.len() != scale || !fraction.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    i128::from_str(&format!("{whole}{fraction}")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::find;

    #[test]
    fn texts_become_the_values_that_they_are() {
        let some = |texts: &[&str]| -> Vec<_> { texts.iter().map(|text| Some((*text).to_owned())).collect() };
        let floats = array(&DataType::Float64, &some(&["0.1", "1e+300", "489.06999999999999"])).unwrap();
        assert_eq!(*floats, Float64Array::from(vec![0.1, 1e300, 489.07]));
        let money = array(&DataType::Decimal128(38, 4), &some(&["-12.3400", "99999999999999999999.0001"])).unwrap();
        let expected = Decimal128Array::from(vec![-123_400, 999_999_999_999_999_999_990_001]);
        assert_eq!(*money, expected.with_precision_and_scale(38, 4).unwrap());
        assert_eq!(*array(&DataType::Date32, &some(&["2019-10-01"])).unwrap(), Date32Array::from(vec![18_170]));
        assert!(array(&DataType::Int64, &some(&["1", "1.0"])).is_err_and(|(row, _)| row == 1));
        assert!(array(&DataType::Decimal128(18, 4), &some(&["1.5"])).is_err(), "digits are missing");
    }

    #[test]
    fn a_result_that_is_not_one_names_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let analysis = find("top_interactions").unwrap();
        for (content, told) in [
            ("", "line 1: the file is empty"),
            ("{\"seconds\": 1}\n[\"1\", null]\n", "line 2: 2 values for"),
            ("{\"seconds\": -1}\n", "line 1: "),
            ("Welcome to Spark\n", "line 1: "),
        ] {
            std::fs::write(folder.path().join("top_interactions.jsonl"), content).unwrap();
            let message = read(analysis, folder.path()).unwrap_err().to_string();
            assert!(message.contains("top_interactions") && message.contains(told), "{message}");
        }
    }
}
