//! The sections there are. A new one is an entry here and what draws it.

use super::Measure::{Purchases, Revenue, Views};
use super::{Measure, Section, leaders, people, prices, quality, sales};

const ALL: &[Measure] = &Measure::ALL;

/// All sections, in the order of the page.
pub static SECTIONS: [Section; 15] = [
    Section {
        name: "history",
        analysis: "sales_history",
        parameters: &[],
        title: "Sales history",
        about: "Day by day, UTC; weekends are shaded.",
        click: "",
        columns: 8,
        measures: ALL,
        draw: sales::history,
    },
    Section {
        name: "funnel",
        analysis: "key_figures",
        parameters: &[],
        title: "From visit to order",
        about: "Sessions that got this far, and their share of all.",
        click: "",
        columns: 4,
        measures: &[],
        draw: sales::funnel,
    },
    Section {
        name: "categories",
        analysis: "price_bands",
        // One band: what remains is the categories.
        parameters: &[("bands", "0")],
        title: "Categories",
        about: "Whole branches of the tree, the ten that lead.",
        click: "A click goes one level down, another one back.",
        columns: 4,
        measures: ALL,
        draw: leaders::categories,
    },
    Section {
        name: "brands",
        analysis: "brand_performance",
        parameters: &[],
        title: "Brands",
        about: "The ten that lead.",
        click: "A click shows this one alone everywhere.",
        columns: 4,
        measures: ALL,
        draw: |table, title, around| leaders::leaders(table, title, around, "brand"),
    },
    Section {
        name: "products",
        analysis: "product_performance",
        parameters: &[],
        title: "Products",
        about: "The ten that lead, by id.",
        click: "A click shows this one alone everywhere.",
        columns: 4,
        measures: ALL,
        draw: |table, title, around| leaders::leaders(table, title, around, "product_id"),
    },
    Section {
        name: "week",
        analysis: "hourly_activity",
        parameters: &[],
        title: "Weekday and hour",
        about: "When it happens, UTC.",
        click: "",
        columns: 8,
        measures: &[Purchases, Views],
        draw: people::week,
    },
    Section {
        name: "segments",
        analysis: "customer_segments",
        parameters: &[],
        title: "Customer segments",
        about: "Who bought: how lately and how often, and what it brought in.",
        click: "",
        columns: 4,
        measures: &[],
        draw: people::segments,
    },
    Section {
        name: "prices",
        analysis: "price_bands",
        parameters: &[],
        title: "Price bands",
        about: "A column begins at its price.",
        click: "A click shows only these prices.",
        columns: 4,
        measures: &[Purchases, Views, Revenue],
        draw: prices::bands,
    },
    Section {
        name: "price_bands",
        analysis: "price_bands",
        parameters: &[],
        title: "Price bands of categories",
        about: "Distinct users in each band, in the categories with the most.",
        click: "",
        columns: 8,
        measures: &[],
        draw: prices::by_category,
    },
    Section {
        name: "price_spread",
        analysis: "price_sensitivity",
        parameters: &[],
        title: "Price spread of categories",
        about: "Half of the events lie in the box, the middle price is marked; steps are powers of ten.",
        click: "",
        columns: 6,
        measures: &[],
        draw: prices::spread,
    },
    Section {
        name: "conversion",
        analysis: "conversion_funnel",
        parameters: &[],
        title: "Conversion of categories",
        about: "Sessions that bought among those that viewed, in the categories with the most sessions.",
        click: "",
        columns: 6,
        measures: &[],
        draw: sales::conversion,
    },
    Section {
        name: "engaged",
        analysis: "most_engaged_users",
        parameters: &[],
        title: "Most engaged users",
        about: "Events of the busiest user in a category and brand.",
        click: "A click shows this user alone.",
        columns: 6,
        measures: &[],
        draw: people::engaged,
    },
    Section {
        name: "interactions",
        analysis: "top_interactions",
        parameters: &[],
        title: "Busiest users by category",
        about: "Events of a user in one category; a user may stand here more than once.",
        click: "",
        columns: 6,
        measures: &[],
        draw: people::interactions,
    },
    Section {
        name: "cohorts",
        analysis: "cohort_retention",
        parameters: &[],
        title: "Buyers who came back",
        about: "By the week of their first purchase: the share that bought again so many weeks later.",
        click: "",
        columns: 8,
        measures: &[],
        draw: people::cohorts,
    },
    Section {
        name: "quality",
        analysis: "data_quality",
        parameters: &[],
        title: "Data quality",
        about: "What is missing or strange among these events, and what never became one.",
        click: "",
        columns: 4,
        measures: &[],
        draw: quality::quality,
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::{self, Parameters};

    #[test]
    fn every_section_asks_what_an_analysis_answers() {
        for (place, section) in SECTIONS.iter().enumerate() {
            assert!(
                SECTIONS[..place].iter().all(|before| before.name != section.name && before.title != section.title)
            );
            assert!(section.click.is_empty() || section.click.ends_with('.'), "{}", section.name);
            assert!(section.about.ends_with('.') && (1..=12).contains(&section.columns), "{}", section.name);
            let analysis = analysis::find(section.analysis).unwrap();
            for (name, value) in section.parameters {
                Parameters::default().set(analysis, name, value).unwrap();
            }
        }
    }
}
