//! Result columns: ordinals and integers become Arrow arrays.

use std::sync::Arc;

use arrow_array::{ArrayRef, Date32Array, Decimal128Array, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow_buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{DataType, Field as ArrowField, Schema, SchemaRef};
use rayon::iter::{IndexedParallelIterator, IntoParallelRefIterator, ParallelIterator};

use super::field::Field;
use super::{Analysis, AnalysisError};
use crate::event::PRICE_SCALE;
use crate::table::Table;

/// What a result column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ResultType {
    /// Text that may be missing.
    Text,
    /// A text that is always there.
    Word,
    /// An id or a count.
    Integer,
    /// A number that there is none of where nothing was counted.
    OptionalInteger,
    /// An average.
    Average,
    /// An average that there is none of where nothing was counted.
    OptionalAverage,
    /// A day, UTC.
    Day,
    /// A price.
    Price,
    /// A sum of prices.
    Money,
}

/// A result's schema.
pub(crate) fn schema(columns: &[(&str, ResultType)]) -> SchemaRef {
    let fields = columns.iter().map(|(name, kind)| {
        let kind_of_arrow = match kind {
            ResultType::Text | ResultType::Word => DataType::Utf8,
            ResultType::Integer | ResultType::OptionalInteger => DataType::Int64,
            ResultType::Average | ResultType::OptionalAverage => DataType::Float64,
            ResultType::Day => DataType::Date32,
            ResultType::Price => DataType::Decimal128(18, PRICE_SCALE.cast_signed()),
            ResultType::Money => DataType::Decimal128(38, PRICE_SCALE.cast_signed()),
        };
        let is_optional = matches!(kind, ResultType::Text | ResultType::OptionalInteger | ResultType::OptionalAverage);
        ArrowField::new(*name, kind_of_arrow, is_optional)
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// Ids and counts.
pub(crate) fn integers(values: impl IntoIterator<Item = i64>) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(values))
}

/// Counts.
pub(crate) fn counts(values: impl IntoIterator<Item = u64>) -> ArrayRef {
    integers(values.into_iter().map(u64::cast_signed))
}

/// Counts, of which some may be missing.
pub(crate) fn optional_counts(values: impl IntoIterator<Item = Option<u64>>) -> ArrayRef {
    Arc::new(Int64Array::from_iter(values.into_iter().map(|value| value.map(u64::cast_signed))))
}

/// Averages, of which some may be missing.
pub(crate) fn optional_averages(values: impl IntoIterator<Item = Option<f64>>) -> ArrayRef {
    Arc::new(Float64Array::from_iter(values))
}

/// Days since 1970-01-01.
pub(crate) fn days(values: impl IntoIterator<Item = i64>) -> ArrayRef {
    // The times that a store takes are within the years 1 to 9999.
    Arc::new(Date32Array::from_iter_values(values.into_iter().map(|day| i32::try_from(day).unwrap_or_default())))
}

/// Texts that are always there.
pub(crate) fn words<'a>(values: impl IntoIterator<Item = &'a str>) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(values))
}

/// Averages.
pub(crate) fn averages(values: impl IntoIterator<Item = f64>) -> ArrayRef {
    Arc::new(Float64Array::from_iter_values(values))
}

/// Prices or sums of them; `kind` says which.
pub(crate) fn decimals(kind: ResultType, values: impl IntoIterator<Item = i128>) -> ArrayRef {
    let precision = if kind == ResultType::Price { 18 } else { 38 };
    let values = Decimal128Array::from_iter_values(values);
    Arc::new(values.with_data_type(DataType::Decimal128(precision, PRICE_SCALE.cast_signed())))
}

/// Texts by rank in `field`; the rank behind the last text is the missing value. `None` if they take over 2 GiB.
pub(crate) fn texts(field: &Field<'_>, ranks: impl Iterator<Item = u64> + Clone) -> Option<ArrayRef> {
    let texts = field.texts();
    let text = |rank: u64| usize::try_from(rank).ok().and_then(|rank| texts.get(rank)).copied();
    let mut offsets = vec![0_i32];
    let mut end = 0_i32;
    for rank in ranks.clone() {
        end = end.checked_add(i32::try_from(text(rank).map_or(0, str::len)).ok()?)?;
        offsets.push(end);
    }
    let mut bytes = Vec::with_capacity(usize::try_from(end).ok()?);
    for rank in ranks.clone() {
        bytes.extend_from_slice(text(rank).unwrap_or_default().as_bytes());
    }
    let present: NullBuffer = ranks.map(|rank| text(rank).is_some()).collect();
    let present = Some(present).filter(|present| present.null_count() > 0);
    let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
    StringArray::try_new(offsets, Buffer::from_vec(bytes), present).ok().map(|texts| Arc::new(texts) as ArrayRef)
}

/// Makes columns at the same time, for results of very many rows.
pub(crate) fn side_by_side(makers: &[&(dyn Fn() -> Option<ArrayRef> + Sync)]) -> Vec<Option<ArrayRef>> {
    makers.par_iter().with_max_len(1).map(|make| make()).collect()
}

/// The table of these columns; a text column is `None` where it is too large.
pub(crate) fn table(analysis: &dyn Analysis, columns: Vec<Option<ArrayRef>>) -> Result<Table, AnalysisError> {
    let schema = analysis.schema();
    if let Some(index) = columns.iter().position(Option::is_none) {
        let column = schema.field(index).name().clone();
        return Err(AnalysisError::ResultTooLarge { analysis: analysis.name(), column });
    }
    let columns = columns.into_iter().flatten().collect();
    let rows = RecordBatch::try_new(schema, columns)
        .map_err(|source| AnalysisError::Arrow { analysis: analysis.name(), source })?;
    Ok(Table { name: analysis.file_stem().to_owned(), rows })
}
