//! Behaviour events: the nine columns, and how text becomes rows of them.
//!
//! [`BlockParser`] turns blocks of CSV lines (or JSON messages) into batches for the store. What a single value may look
//! like is said by the module of its kind: [`time`], [`integer`], [`decimal`], [`uuid`].
//!
//! Deliberately absent: files, threads and the log. A parser sees bytes and a position.

mod codes;
#[cfg(test)]
mod damaged;
pub mod decimal;
mod fast;
pub mod integer;
mod json;
mod line;
mod parser;
mod reason;
mod rows;
mod schema;
mod structure;
pub mod time;
pub mod uuid;
#[cfg(target_arch = "x86_64")]
mod wide;
mod words;

use reason::Reason;

pub use line::{Header, count_rows, is_blank, recognise_header};
pub use parser::{BlockParser, EventDictionaries, Gathered, Layout, MAX_LINE_BYTES, MAX_TEXT_BYTES, Parsed, Position};
pub use reason::is_cut;
pub use schema::{
    BRAND, BY_USER, CATEGORY_CODE, CATEGORY_ID, EVENT_TIME, EVENT_TYPE, HEADER, PRICE, PRICE_SCALE, PRODUCT_ID,
    USER_ID, USER_SESSION, schema,
};
