//! What people look at: results as documents of other programs.
//!
//! A report takes finished [`Table`](crate::table::Table)s and knows neither the store nor the kernels. [`tableau`] packs
//! them with a workbook that draws them.

pub mod tableau;
