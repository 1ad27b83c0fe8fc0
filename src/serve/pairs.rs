//! A request's query string → its pairs.
//!
//! They are decoded here, and not by the framework, which takes U+FFFD for what is no text: a filter by that would be the empty answer to a
//! question that nobody asked.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use super::error::ServeError;
use super::question::{QuestionError, check};

/// The pairs of a query string, in order.
pub(super) type Pairs = Vec<(String, String)>;

/// The pairs of a request, of which none is given twice that may be given once.
pub(super) struct Query(pub(super) Pairs);

impl<S: Sync> FromRequestParts<S> for Query {
    type Rejection = ServeError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ServeError> {
        let pairs = pairs(parts.uri.query().unwrap_or_default())?;
        check(&pairs)?;
        Ok(Self(pairs))
    }
}

/// The pairs of a query string, as a form writes them (WHATWG URL, 5.1), but for what is no text.
fn pairs(query: &str) -> Result<Pairs, QuestionError> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let name = decoded("a name", name)?;
        let value = decoded(&name, value)?;
        Ok((name, value))
    });
    pairs.collect()
}

/// The text that a part of a query string stands for; `about` is what it is.
fn decoded(about: &str, encoded: &str) -> Result<String, QuestionError> {
    let mut bytes = Vec::with_capacity(encoded.len());
    let mut rest = encoded.as_bytes();
    while let [first, behind @ ..] = rest {
        let (byte, behind) = match (first, behind) {
            (b'%', [high, low, behind @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                (16 * digit(*high) + digit(*low), behind)
            }
            (b'+', behind) => (b' ', behind),
            (other, behind) => (*other, behind),
        };
        bytes.push(byte);
        rest = behind;
    }
    String::from_utf8(bytes).map_err(|error| QuestionError::NotText {
        name: about.to_owned(),
        got: error.as_bytes().escape_ascii().to_string(),
    })
}

/// What a hexadecimal digit stands for.
fn digit(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        letter => (letter | 0x20) - b'a' + 10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_read_as_a_form_writes_it() {
        let read = pairs("brand=a%2Cb+c&&brand=%c3%A9&from&=x&odd=100%&odd2=%zz%4").unwrap();
        let expected =
            [("brand", "a,b c"), ("brand", "é"), ("from", ""), ("", "x"), ("odd", "100%"), ("odd2", "%zz%4")];
        assert_eq!(read, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert_eq!(pairs("").unwrap(), []);
    }

    #[test]
    fn what_is_no_text_is_refused_and_not_replaced() {
        let error = pairs("brand=x&brand=y%FF").unwrap_err().to_string();
        assert_eq!(error, r"brand: got `y\xff`, expected UTF-8");
        let error = pairs("%C3=x").unwrap_err().to_string();
        assert_eq!(error, r"a name: got `\xc3`, expected UTF-8");
        // The character itself may be asked for.
        assert_eq!(pairs("brand=%EF%BF%BD").unwrap(), [("brand".to_owned(), "\u{fffd}".to_owned())]);
    }
}
