//! How the nine columns of events appear in a file.

use std::sync::Arc;

use arrow_array::builder::StringBuilder;
use arrow_array::types::UInt32Type;
use arrow_array::{
    Array as _, ArrayRef, Decimal128Array, DictionaryArray, Float64Array, Int64Array, StringArray,
    TimestampMillisecondArray, UInt32Array,
};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use cartlog_storage::store::ColumnView;

use super::columns::{Rows, codes, integers};
use super::text::{SegmentTexts, StoreTexts};
use crate::event::{self, PRICE_SCALE};
use crate::export::ExportError;
use crate::export::text::{TimestampStyle, append_timestamp};

/// Decimal digits of a price: what 64 bits hold.
const PRICE_PRECISION: u8 = 18;

/// The types that the nine columns of events have in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mapping {
    /// Nothing is lost: `event_time` an instant in milliseconds UTC, ids 64-bit integers, `price` `Decimal128(18, 4)`,
    /// the rest text. For Parquet, Arrow, CSV and JSON.
    #[default]
    Exact,
    /// The types of the pipeline that cartlog replaces, for ORC: `price` a double, ids 64-bit integers, the rest text.
    Seed {
        /// `event_time` is an instant (`--typed-time`) in place of the text `2019-10-01 00:00:00 UTC`.
        typed_time: bool,
    },
}

impl Mapping {
    /// The mapping that files of a format have.
    #[must_use]
    pub fn of_format(format: &str, typed_time: bool) -> Self {
        if format == "orc" { Self::Seed { typed_time } } else { Self::Exact }
    }

    /// The schema of the files.
    #[must_use]
    pub fn schema(self) -> SchemaRef {
        self.schema_with(&DataType::Utf8)
    }

    /// The schema of batches in memory, whose texts are dictionaries.
    pub(super) fn batch_schema(self) -> SchemaRef {
        self.schema_with(&DataType::Dictionary(Box::new(DataType::UInt32), Box::new(DataType::Utf8)))
    }

    fn schema_with(self, text: &DataType) -> SchemaRef {
        let instant = DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()));
        let fields = event::HEADER.split(',').enumerate().map(|(index, name)| {
            let (data_type, may_be_missing) = match index {
                event::EVENT_TIME if self.has_text_time() => (text.clone(), false),
                event::EVENT_TIME => (instant.clone(), false),
                event::PRODUCT_ID | event::CATEGORY_ID | event::USER_ID => (DataType::Int64, false),
                event::PRICE if self == Self::Exact => {
                    (DataType::Decimal128(PRICE_PRECISION, PRICE_SCALE as i8), false)
                }
                event::PRICE => (DataType::Float64, false),
                _ => (text.clone(), index != event::EVENT_TYPE),
            };
            Field::new(name, data_type, may_be_missing)
        });
        Arc::new(Schema::new(fields.collect::<Vec<_>>()))
    }

    fn has_text_time(self) -> bool {
        self == Self::Seed { typed_time: false }
    }

    /// The rows of one column in the type that [`Mapping::batch_schema`] says.
    pub(super) fn column(
        self,
        column: usize,
        view: ColumnView<'_>,
        rows: &Rows<'_>,
        store: &StoreTexts,
        segment: &SegmentTexts,
    ) -> Result<ArrayRef, ExportError> {
        let values = match view {
            ColumnView::Integers(values) => integers(column, values, rows)?,
            ColumnView::Codes(packed) => {
                let texts = store.column(column);
                return Ok(dictionary(codes(column, packed, rows, texts.len())?, texts));
            }
            ColumnView::Identifiers(identifiers) => {
                let texts = &segment.sessions;
                return Ok(dictionary(codes(column, identifiers.codes, rows, identifiers.distinct())?, texts));
            }
        };
        Ok(match column {
            event::EVENT_TIME if self.has_text_time() => time_texts(&values),
            event::EVENT_TIME => Arc::new(TimestampMillisecondArray::from(values).with_timezone("UTC")),
            event::PRICE if self == Self::Exact => {
                let units = Decimal128Array::from_iter_values(values.into_iter().map(i128::from));
                Arc::new(units.with_precision_and_scale(PRICE_PRECISION, PRICE_SCALE as i8)?)
            }
            event::PRICE => Arc::new(Float64Array::from_iter_values(values.into_iter().map(price_as_double))),
            _ => Arc::new(Int64Array::from(values)),
        })
    }
}

fn dictionary(codes: Vec<Option<u32>>, texts: &Arc<StringArray>) -> ArrayRef {
    Arc::new(DictionaryArray::<UInt32Type>::new(UInt32Array::from(codes), Arc::<StringArray>::clone(texts)))
}

/// Instants as the public files write them. Events come in bursts of the same second: each change is written once.
fn time_texts(times: &[i64]) -> ArrayRef {
    let mut texts = StringBuilder::new();
    let mut text = Vec::new();
    let mut previous = None;
    let mut count = 0;
    let codes: Vec<u32> = times
        .iter()
        .map(|&time| {
            if previous != Some(time) {
                text.clear();
                append_timestamp(time, TimestampStyle::Public, &mut text);
                texts.append_value(std::str::from_utf8(&text).unwrap_or_default());
                previous = Some(time);
                count += 1;
            }
            count - 1
        })
        .collect();
    Arc::new(DictionaryArray::<UInt32Type>::new(UInt32Array::from(codes), Arc::new(texts.finish())))
}

/// The double nearest to a price. Units and their divisor are exact doubles below 2^53, so that one division rounds
/// once; beyond, the digits are read as a double.
fn price_as_double(units: i64) -> f64 {
    const EXACT: u64 = 1 << 53;
    const UNITS: f64 = 10_u32.pow(PRICE_SCALE as u32) as f64;
    if units.unsigned_abs() <= EXACT {
        return units as f64 / UNITS;
    }
    format!("{units}e-{PRICE_SCALE}").parse().unwrap_or(units as f64 / UNITS)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn prices_read_as_the_nearest_double(units: i64, small in -100_000_000_i64..100_000_000) {
            for units in [units, small] {
                let mut text = Vec::new();
                crate::export::text::append_decimal(i128::from(units), 4, &mut text);
                let expected: f64 = String::from_utf8(text).unwrap().parse().unwrap();
                prop_assert_eq!(price_as_double(units), expected);
            }
        }
    }
}
