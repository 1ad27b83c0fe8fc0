//! The texts that codes stand for, as Arrow arrays that batches share.

use std::sync::Arc;

use arrow_array::StringArray;
use arrow_array::builder::StringBuilder;
use cartlog_storage::store::{ColumnView, Identifier, Segment, Snapshot};

use super::columns::name;
use crate::event::{BRAND, CATEGORY_CODE, EVENT_TYPE, USER_SESSION};
use crate::export::ExportError;

/// The texts of the store-wide dictionaries; entry `n` is the text of code `n + 1`.
#[derive(Debug)]
pub(super) struct StoreTexts {
    event_types: Arc<StringArray>,
    categories: Arc<StringArray>,
    brands: Arc<StringArray>,
}

impl StoreTexts {
    pub(super) fn of(snapshot: &Snapshot) -> Result<Self, ExportError> {
        let texts = |column: usize| array(column, || snapshot.dictionary(column).iter());
        Ok(Self { event_types: texts(EVENT_TYPE)?, categories: texts(CATEGORY_CODE)?, brands: texts(BRAND)? })
    }

    /// The texts of a dictionary column.
    pub(super) fn column(&self, column: usize) -> &Arc<StringArray> {
        match column {
            EVENT_TYPE => &self.event_types,
            CATEGORY_CODE => &self.categories,
            _ => &self.brands,
        }
    }
}

/// The texts of one segment's sessions; entry `n` is the text of code `n + 1`.
#[derive(Debug)]
pub(super) struct SegmentTexts {
    pub(super) sessions: Arc<StringArray>,
}

impl SegmentTexts {
    pub(super) fn of(segment: &Segment) -> Result<Self, ExportError> {
        let ColumnView::Identifiers(identifiers) = segment.column(USER_SESSION) else {
            return Ok(Self { sessions: Arc::new(StringArray::from(Vec::<&str>::new())) });
        };
        const UUID_LENGTH: usize = 36;
        let bytes = identifiers.uuids.len() * UUID_LENGTH + identifiers.text.len();
        check_length(USER_SESSION, bytes)?;
        let mut sessions = StringBuilder::with_capacity(identifiers.distinct(), bytes);
        for code in 1..=identifiers.distinct() as u64 {
            match identifiers.get(code) {
                Some(Identifier::Uuid(uuid)) => {
                    let text = uuid_text(uuid);
                    sessions.append_value(std::str::from_utf8(&text).unwrap_or_default());
                }
                Some(Identifier::Text(text)) => sessions.append_value(text),
                None => {
                    let entries = identifiers.distinct() as u64;
                    return Err(ExportError::Code { column: name(USER_SESSION), code, entries });
                }
            }
        }
        Ok(Self { sessions: Arc::new(sessions.finish()) })
    }
}

fn array<'a, I: ExactSizeIterator<Item = &'a str>>(
    column: usize,
    texts: impl Fn() -> I,
) -> Result<Arc<StringArray>, ExportError> {
    let bytes = texts().map(str::len).sum();
    check_length(column, bytes)?;
    let mut array = StringBuilder::with_capacity(texts().len(), bytes);
    texts().for_each(|text| array.append_value(text));
    Ok(Arc::new(array.finish()))
}

fn check_length(column: usize, bytes: usize) -> Result<(), ExportError> {
    match i32::try_from(bytes) {
        Ok(_) => Ok(()),
        Err(_) => Err(ExportError::TooMuchText { column: name(column), bytes: bytes as u64 }),
    }
}

/// A UUID's canonical text: 32 lower-case hexadecimal digits in groups of 8, 4, 4, 4 and 12.
fn uuid_text(uuid: u128) -> [u8; 36] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = [b'-'; 36];
    let mut at = 0;
    for byte in uuid.to_be_bytes() {
        if matches!(at, 8 | 13 | 18 | 23) {
            at += 1;
        }
        text[at] = DIGITS[usize::from(byte >> 4)];
        text[at + 1] = DIGITS[usize::from(byte & 15)];
        at += 2;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uuids_are_written_in_groups() {
        let uuid = 0x72d7_6fde_8bb3_4e00_8c23_a032_dfed_738c;
        assert_eq!(&uuid_text(uuid), b"72d76fde-8bb3-4e00-8c23-a032dfed738c");
        assert_eq!(&uuid_text(1), b"00000000-0000-0000-0000-000000000001");
    }
}
