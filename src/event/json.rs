//! Events as JSON objects, as producers in other languages write them to a topic.
//!
//! Numbers are taken as the text they are: a JSON library's double would round a category id beyond 2^53 and drift a
//! price. Ids and prices may also stand as strings of digits. `null` is a missing value, other names are ignored, a
//! name given twice is an error.

use std::borrow::Cow;
use std::ops::Range;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::line::FIELDS;
use super::reason::{Excerpt, Reason};
use super::{BRAND, CATEGORY_CODE, CATEGORY_ID, EVENT_TIME, EVENT_TYPE, PRICE, PRODUCT_ID, USER_ID, USER_SESSION};

/// The values of one JSON event as the texts that a CSV line would hold.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Event<'a> {
    texts: [Option<Cow<'a, str>>; FIELDS],
}

/// The nine values, each as its text in the document.
#[derive(Debug, Deserialize)]
struct Values<'a> {
    #[serde(borrow)]
    event_time: Option<&'a RawValue>,
    #[serde(borrow)]
    event_type: Option<&'a RawValue>,
    #[serde(borrow)]
    product_id: Option<&'a RawValue>,
    #[serde(borrow)]
    category_id: Option<&'a RawValue>,
    #[serde(borrow)]
    category_code: Option<&'a RawValue>,
    #[serde(borrow)]
    brand: Option<&'a RawValue>,
    #[serde(borrow)]
    price: Option<&'a RawValue>,
    #[serde(borrow)]
    user_id: Option<&'a RawValue>,
    #[serde(borrow)]
    user_session: Option<&'a RawValue>,
}

impl<'a> Event<'a> {
    /// Parses one JSON object.
    pub(super) fn parse(element: &'a [u8]) -> Result<Self, Reason> {
        if !element.starts_with(b"{") {
            return Err(Reason::Json { error: format!("{} is not an object", Excerpt::of(element)) });
        }
        let values: Values<'a> = serde_json::from_slice(element).map_err(|error| not_json(&error))?;
        let text = |column, value: Option<&'a RawValue>| text(column, value.map(RawValue::get));
        Ok(Self {
            texts: [
                text(EVENT_TIME, values.event_time)?,
                text(EVENT_TYPE, values.event_type)?,
                text(PRODUCT_ID, values.product_id)?,
                text(CATEGORY_ID, values.category_id)?,
                text(CATEGORY_CODE, values.category_code)?,
                text(BRAND, values.brand)?,
                text(PRICE, values.price)?,
                text(USER_ID, values.user_id)?,
                text(USER_SESSION, values.user_session)?,
            ],
        })
    }

    /// The text of a column.
    pub(super) fn get(&self, column: usize) -> Option<&[u8]> {
        self.texts[column].as_deref().map(str::as_bytes)
    }
}

/// The reason of a text that is not JSON. Its place is counted from the start of the event, and in bytes as everywhere.
fn not_json(error: &serde_json::Error) -> Reason {
    Reason::Json { error: error.to_string().replace("at line 1 column", "at byte") }
}

/// The text of a JSON value: a string's content, a number's digits, nothing for `null`.
fn text(column: usize, raw: Option<&str>) -> Result<Option<Cow<'_, str>>, Reason> {
    let raw = raw.filter(|raw| *raw != "null");
    let Some(raw) = raw else { return Ok(None) };
    let is_number = matches!(column, PRODUCT_ID | CATEGORY_ID | PRICE | USER_ID);
    match raw.as_bytes() {
        [b'"', content @ .., b'"'] if !content.contains(&b'\\') => Ok(Some(Cow::Borrowed(&raw[1..raw.len() - 1]))),
        [b'"', ..] => {
            serde_json::from_str(raw).map(|content: String| Some(Cow::Owned(content))).map_err(|error| not_json(&error))
        }
        [b'-' | b'0'..=b'9', ..] if is_number => Ok(Some(Cow::Borrowed(raw))),
        _ => {
            let expected = if is_number { "number" } else { "string" };
            Err(Reason::JsonType { column, value: Excerpt::of(raw.as_bytes()), expected })
        }
    }
}

/// Where the elements of a message stand: of one JSON object that object, of an array its elements; `None` if the
/// message as a whole is not JSON.
pub(super) fn elements(message: &[u8]) -> Option<Vec<Range<usize>>> {
    let whole: &RawValue = serde_json::from_slice(message).ok()?;
    let raw = if whole.get().starts_with('[') {
        serde_json::from_str::<Vec<&RawValue>>(whole.get()).ok()?
    } else {
        vec![whole]
    };
    let start = message.as_ptr().addr();
    let range = |element: &RawValue| {
        let at = element.get().as_ptr().addr() - start;
        at..at + element.get().len()
    };
    Some(raw.into_iter().map(range).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_stand_where_they_are() {
        let message = b" [\n {\"a\": 1},\n  2, \"x\" ] ";
        let texts: Vec<_> = elements(message).unwrap().into_iter().map(|range| &message[range]).collect();
        assert_eq!(texts, [&b"{\"a\": 1}"[..], b"2", b"\"x\""]);
        assert_eq!(elements(b"{} ").map(|elements| elements.len()), Some(1));
        assert_eq!(elements(b"[]"), Some(vec![]));
        assert_eq!(elements(b"{\"a\": 1}\n{\"a\": 2}"), None);
    }

    #[test]
    fn values_become_texts() {
        let event = Event::parse(
            br#"{"event_time":"2019-10-01T00:00:00Z","category_id":2053013552326770905,"price":489.07,"brand":"a\"\u00e9","category_code":null,"more":[1]}"#,
        )
        .unwrap();
        let get = |column| event.get(column).map(|text| std::str::from_utf8(text).unwrap());
        assert_eq!(get(EVENT_TIME), Some("2019-10-01T00:00:00Z"));
        assert_eq!(get(CATEGORY_ID), Some("2053013552326770905"));
        assert_eq!(get(PRICE), Some("489.07"));
        assert_eq!(get(BRAND), Some("a\"é"));
        assert_eq!(get(CATEGORY_CODE), None);
        assert_eq!(get(USER_ID), None);
    }
}
