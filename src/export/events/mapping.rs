//! How the nine columns of events appear in a file.

use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};

use crate::event::{self, PRICE_SCALE};

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
        let instant = DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()));
        let fields = event::HEADER.split(',').enumerate().map(|(index, name)| {
            let (data_type, may_be_missing) = match index {
                event::EVENT_TIME if self == (Self::Seed { typed_time: false }) => (DataType::Utf8, false),
                event::EVENT_TIME => (instant.clone(), false),
                event::PRODUCT_ID | event::CATEGORY_ID | event::USER_ID => (DataType::Int64, false),
                event::PRICE if self == Self::Exact => (DataType::Decimal128(18, PRICE_SCALE as i8), false),
                event::PRICE => (DataType::Float64, false),
                _ => (DataType::Utf8, index != event::EVENT_TYPE),
            };
            Field::new(name, data_type, may_be_missing)
        });
        Arc::new(Schema::new(fields.collect::<Vec<_>>()))
    }
}
