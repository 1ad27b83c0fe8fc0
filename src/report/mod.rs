//! What people look at: results as documents of other programs.
//!
//! A report takes finished [`Table`](crate::table::Table)s and knows neither the store nor the kernels. [`tableau`] packs
//! them with a workbook that draws them; [`html`] draws them itself, on one page that needs nothing beside it.

mod error;
pub mod html;
pub mod tableau;

pub use error::ReportError;
