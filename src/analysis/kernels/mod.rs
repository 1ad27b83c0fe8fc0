//! The kernels, one file each, with its oracle. A new one is its file and its line in the list below.

use super::Analysis;

/// Declares the files of kernels and lists the kernels, in this order. (`cargo fmt` does not look behind a macro: the
/// gate formats this folder's files by name.)
macro_rules! kernels {
    ($($file:ident::$kernel:ident,)*) => {
        $(mod $file;)*

        /// Every kernel there is.
        pub(super) const ALL: &[&dyn Analysis] = &[$(&$file::$kernel),*];
    };
}

kernels! {
    user_top_category_brand::UserTopCategoryBrand,
    most_engaged_users::MostEngagedUsers,
    price_sensitivity::PriceSensitivity,
    price_bands::PriceBands,
    top_categories::TopCategories,
    top_category_prices::TopCategoryPrices,
    top_interactions::TopInteractions,
    sales_history::SalesHistory,
    conversion_funnel::ConversionFunnel,
    session_metrics::SessionMetrics,
    customer_segments::CustomerSegments,
    product_performance::ProductPerformance,
    brand_performance::BrandPerformance,
    hourly_activity::HourlyActivity,
    cohort_retention::CohortRetention,
    daily_activity::DailyActivity,
    key_figures::KeyFigures,
    category_affinity::CategoryAffinity,
    price_elasticity::PriceElasticity,
    data_quality::DataQuality,
}
