//! What people look at: results as documents of other programs.
//!
//! A report takes finished [`Table`](crate::table::Table)s and knows neither the store nor the kernels. [`tableau`] packs
//! them with a workbook that draws them; [`html`] draws them itself, on one page that needs nothing beside it. What is drawn are
//! [`SECTIONS`]: each a question and the picture of its answer, the same ones in the dashboard.

mod chart;
mod error;
mod figures;
pub mod html;
pub mod hyper;
pub mod image;
mod section;
pub mod tableau;
mod values;

pub use chart::{Link, escape};
pub use error::ReportError;
pub use figures::Figures;
pub use section::{Links, Loaded, Measure, SECTIONS, Section, Standalone, Surroundings};

/// The style of the pictures and of the page around them.
pub const STYLE: &str = concat!(include_str!("page.css"), include_str!("chart/chart.css"));
