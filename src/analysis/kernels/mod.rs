//! The kernels, one file each, with its oracle.

mod most_engaged_users;
mod price_bands;
mod price_sensitivity;
mod top_categories;
mod top_category_prices;
mod top_interactions;
mod user_top_category_brand;

pub(super) use most_engaged_users::MostEngagedUsers;
pub(super) use price_bands::PriceBands;
pub(super) use price_sensitivity::PriceSensitivity;
pub(super) use top_categories::TopCategories;
pub(super) use top_category_prices::TopCategoryPrices;
pub(super) use top_interactions::TopInteractions;
pub(super) use user_top_category_brand::UserTopCategoryBrand;
