//! Behaviour events: the nine columns, and how text becomes rows of them.

mod schema;

pub use schema::{
    BRAND, CATEGORY_CODE, CATEGORY_ID, EVENT_TIME, EVENT_TYPE, HEADER, PRICE, PRICE_SCALE, PRODUCT_ID, USER_ID,
    USER_SESSION, schema,
};
