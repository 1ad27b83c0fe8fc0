//! The category-brand combination that each user interacts with most.
//!
//! A user's favourite is found among its combinations as they are told (see [`combinations`]), and users come out in
//! the order of the result.

use std::cmp::Reverse;

use arrow_schema::SchemaRef;

use super::most_engaged_users::MostEngagedUsers;
use crate::analysis::combinations::{self, Combinations, Engagement, Listener};
use crate::analysis::result::{self, ResultType, counts, integers, texts};
use crate::analysis::{Analysis, AnalysisError, Input, Parameters};
use crate::table::Table;

/// `user_top_category_brand`.
#[derive(Debug)]
pub(in crate::analysis) struct UserTopCategoryBrand;

/// A user's most frequent combination, as ordinals.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Favourite {
    user: u64,
    combination: u64,
    count: u64,
}

/// Notes each user's favourite, part by part.
pub(crate) struct Favourites;

impl Listener for Favourites {
    type Heard = Vec<(usize, Vec<Favourite>)>;

    fn user(&self, heard: &mut Self::Heard, part: usize, user: u64, counts: &[(u64, u64)]) {
        // Most first; of several, the smaller combination.
        let best = counts.iter().max_by_key(|(combination, count)| (*count, Reverse(*combination)));
        let Some((combination, count)) = best.copied() else { return };
        let favourite = Favourite { user, combination, count };
        match heard.last_mut() {
            Some((last, favourites)) if *last == part => favourites.push(favourite),
            _ => heard.push((part, vec![favourite])),
        }
    }
}

impl Engagement for UserTopCategoryBrand {
    type Listener = Favourites;

    fn listener(&self, _combinations: &Combinations<'_>) -> Favourites {
        Favourites
    }

    fn table(
        &self,
        combinations: &Combinations<'_>,
        _listener: Favourites,
        heard: Vec<Vec<(usize, Vec<Favourite>)>>,
    ) -> Result<Table, AnalysisError> {
        let mut parts: Vec<_> = heard.into_iter().flatten().collect();
        parts.sort_unstable_by_key(|(part, _)| *part);
        let favourites = || parts.iter().flat_map(|(_, favourites)| favourites);
        let category = |favourite: &Favourite| combinations.category(favourite.combination);
        let brand = |favourite: &Favourite| combinations.brand(favourite.combination);
        let ((users, counted), (categories, brands)) = rayon::join(
            || {
                let users = integers(favourites().map(|favourite| combinations.users().value(favourite.user)));
                (users, counts(favourites().map(|favourite| favourite.count)))
            },
            || {
                rayon::join(
                    || texts(combinations.categories(), favourites().map(category)),
                    || texts(combinations.brands(), favourites().map(brand)),
                )
            },
        );
        result::table(self, vec![Some(users), categories, brands, Some(counted)])
    }
}

impl Analysis for UserTopCategoryBrand {
    fn name(&self) -> &'static str {
        "user_top_category_brand"
    }

    fn description(&self) -> &'static str {
        "The category-brand combination that each user interacts with most."
    }

    fn sql(&self) -> &'static str {
        include_str!("../sql/user_top_category_brand.sql")
    }

    fn schema(&self) -> SchemaRef {
        result::schema(&[
            ("user_id", ResultType::Integer),
            ("category_code", ResultType::Text),
            ("brand", ResultType::Text),
            ("interaction_count", ResultType::Integer),
        ])
    }

    fn run(&self, input: &Input<'_>, _parameters: &Parameters) -> Result<Table, AnalysisError> {
        combinations::answer(self, &MostEngagedUsers, input)
    }

    #[cfg(test)]
    fn oracle(
        &self,
        events: &[crate::analysis::testing::Event],
        _parameters: &Parameters,
    ) -> crate::analysis::testing::Rows {
        use crate::analysis::testing::{Last, count_by};
        use std::collections::BTreeMap;

        let combinations =
            count_by(events, |event| (event.user_id, Last::from(&event.category_code), Last::from(&event.brand)));
        let mut favourites = BTreeMap::new();
        for ((user, category, brand), count) in combinations {
            let best = favourites.entry(user).or_insert((category.clone(), brand.clone(), count));
            if count > best.2 {
                *best = (category, brand, count);
            }
        }
        let row = |(user, (category, brand, count)): (i64, (Last, Last, i64))| {
            vec![user.into(), category.into(), brand.into(), count.into()]
        };
        favourites.into_iter().map(row).collect()
    }
}
