//! The types, streams and encodings that a column has in a file, by the specification's numbers.

use arrow_schema::{DataType, TimeUnit};

use super::protobuf::Message;

/// A column's type in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ColumnType {
    Long,
    Double,
    Text,
    Decimal {
        precision: u8,
        scale: i8,
    },
    Date,
    /// Wall-clock time without a zone.
    Timestamp,
    /// An instant.
    Instant,
}

impl ColumnType {
    /// The type for an Arrow type; `None` if this writer has none.
    pub(super) fn of(data_type: &DataType) -> Option<Self> {
        Some(match data_type {
            DataType::Int64 => Self::Long,
            DataType::Float64 => Self::Double,
            DataType::Utf8 => Self::Text,
            DataType::Decimal128(precision, scale @ 0..) => Self::Decimal { precision: *precision, scale: *scale },
            DataType::Date32 => Self::Date,
            DataType::Timestamp(TimeUnit::Millisecond, None) => Self::Timestamp,
            DataType::Timestamp(TimeUnit::Millisecond, Some(_)) => Self::Instant,
            _ => return None,
        })
    }

    /// The message `Type`.
    pub(super) fn message(self) -> Message {
        const KIND: u64 = 1;
        const PRECISION: u64 = 5;
        const SCALE: u64 = 6;
        const ATTRIBUTES: u64 = 7;
        const KEY: u64 = 1;
        const VALUE: u64 = 2;
        let mut message = Message::new();
        let kind = match self {
            Self::Long => 4,
            Self::Double => 6,
            Self::Text => 7,
            Self::Timestamp => 9,
            Self::Decimal { .. } => 14,
            Self::Date => 15,
            Self::Instant => 18,
        };
        message.unsigned(KIND, kind);
        if let Self::Decimal { precision, scale } = self {
            message.unsigned(PRECISION, u64::from(precision)).unsigned(SCALE, u64::from(scale.unsigned_abs()));
        }
        if self == Self::Instant {
            // Spark does not know the type's ORC name, but goes by this attribute when it is there.
            let mut attribute = Message::new();
            attribute.bytes(KEY, b"spark.sql.catalyst.type").bytes(VALUE, b"timestamp");
            message.message(ATTRIBUTES, &attribute);
        }
        message
    }
}

/// What a stream of a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StreamKind {
    Present = 0,
    Data = 1,
    Length = 2,
    DictionaryData = 3,
    Secondary = 5,
    RowIndex = 6,
}

/// How a column's values are written, as in `ColumnEncoding`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    Direct,
    DirectV2,
    DictionaryV2 { entries: usize },
}

impl Encoding {
    pub(super) fn message(self) -> Message {
        const KIND: u64 = 1;
        const DICTIONARY_SIZE: u64 = 2;
        let mut message = Message::new();
        match self {
            Self::Direct => message.unsigned(KIND, 0),
            Self::DirectV2 => message.unsigned(KIND, 2),
            Self::DictionaryV2 { entries } => message.unsigned(KIND, 3).unsigned(DICTIONARY_SIZE, entries as u64),
        };
        message
    }
}
