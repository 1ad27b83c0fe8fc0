//! The nine columns of the public REES46 "multi category store" layout, in order.

use cartlog_storage::store::{ColumnSchema, ColumnType, Schema, SortOrder};

/// When it happened, in milliseconds UTC.
pub const EVENT_TIME: usize = 0;
/// What happened: `view`, `cart`, `remove_from_cart`, `purchase`, or another word kept as it is.
pub const EVENT_TYPE: usize = 1;
/// The product, a 64-bit integer.
pub const PRODUCT_ID: usize = 2;
/// The product's category, a 64-bit integer beyond 2^53.
pub const CATEGORY_ID: usize = 3;
/// The category's dotted name, where it has one.
pub const CATEGORY_CODE: usize = 4;
/// The product's brand, where it has one. The text `nan` is a brand.
pub const BRAND: usize = 5;
/// The price, exact, in units of `10^-PRICE_SCALE`.
pub const PRICE: usize = 6;
/// The user, a 64-bit integer.
pub const USER_ID: usize = 7;
/// The user's session, nearly always a UUID.
pub const USER_SESSION: usize = 8;

/// The order of a sorted copy by user: each user's events together, and in them each session's.
pub const BY_USER: SortOrder = SortOrder { column: USER_ID, within: USER_SESSION };

/// Decimal digits kept after the point of a price.
pub const PRICE_SCALE: u8 = 4;

/// The header line of the public files, without its newline.
pub const HEADER: &str = "event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session";

/// The store's schema for events: the nine columns at the indexes named by this module's constants.
#[must_use]
pub fn schema() -> Schema {
    let kinds = [
        ColumnType::Timestamp,
        ColumnType::Dictionary,
        ColumnType::Integer,
        ColumnType::Integer,
        ColumnType::Dictionary,
        ColumnType::Dictionary,
        ColumnType::Decimal { scale: PRICE_SCALE },
        ColumnType::Integer,
        ColumnType::Identifier,
    ];
    let columns =
        HEADER.split(',').zip(kinds).map(|(name, kind)| ColumnSchema { name: name.to_owned(), kind }).collect();
    Schema { columns }
}
