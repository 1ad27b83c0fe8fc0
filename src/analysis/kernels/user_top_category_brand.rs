//! The category-brand combination that each user interacts with most.
//!
//! Keys are (user, category, brand), brought together by user: a user's combinations are counted in a table of their own, in cache,
//! and users come out in the order of the result.

use std::cmp::Reverse;

use arrow_schema::SchemaRef;

use crate::analysis::ahead::AHEAD;
use crate::analysis::field::Field;
use crate::analysis::group::{Parts, group};
use crate::analysis::keys::{Key, Layout};
use crate::analysis::result::{self, ResultType, counts, integers, texts};
use crate::analysis::tally::Tally;
use crate::analysis::{Analysis, AnalysisError, Input, Parameters};
use crate::event::{BRAND, CATEGORY_CODE, USER_ID};
use crate::table::Table;

/// `user_top_category_brand`.
#[derive(Debug)]
pub(in crate::analysis) struct UserTopCategoryBrand;

/// A user's most frequent combination, as ordinals.
#[derive(Debug, Clone, Copy)]
struct Favourite {
    user: u64,
    category: u64,
    brand: u64,
    count: u64,
}

struct Favourites<'a> {
    layout: &'a Layout<'a>,
}

#[derive(Debug)]
struct Found {
    parts: Vec<(usize, Vec<Favourite>)>,
    tally: Tally,
}

impl Parts for Favourites<'_> {
    const LEADING_ONLY: bool = true;
    type Partial = Found;

    fn start(&self) -> Found {
        Found { parts: Vec::new(), tally: Tally::of_bits(self.layout.bits_below(1)) }
    }

    fn part<K: Key>(&self, partial: &mut Self::Partial, part: usize, keys: &[K]) {
        let below_user = self.layout.bits_below(1);
        let mut favourites = Vec::new();
        let mut ahead = keys.iter().skip(AHEAD);
        for rows in keys.chunk_by(|left, right| left.is_alike(*right, below_user)) {
            ahead.by_ref().take(rows.len()).for_each(|key| partial.tally.expect(key.bits(0, below_user)));
            let counts = partial.tally.count(rows.iter().map(|key| key.bits(0, below_user)));
            // Most first; of several, the smaller combination.
            let best = counts.iter().max_by_key(|(combination, count)| (*count, Reverse(*combination)));
            let Some((combination, count)) = best.copied() else { continue };
            let key = K::from_ordinal(combination);
            favourites.push(Favourite {
                user: self.layout.ordinal(rows[0], 0),
                category: self.layout.ordinal(key, 1),
                brand: self.layout.ordinal(key, 2),
                count,
            });
        }
        partial.parts.push((part, favourites));
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
        let input = input.by_user();
        let events = input.events();
        let layout = Layout::new(vec![
            Field::offset(events, USER_ID),
            Field::ranked(events, CATEGORY_CODE),
            Field::ranked(events, BRAND),
        ]);
        let mut parts: Vec<_> = group(input, &layout, 1, &Favourites { layout: &layout })
            .into_iter()
            .flat_map(|found| found.parts)
            .collect();
        parts.sort_unstable_by_key(|(part, _)| *part);
        let favourites = || parts.iter().flat_map(|(_, favourites)| favourites.iter());
        let ((users, counted), (categories, brands)) = rayon::join(
            || {
                let users = integers(favourites().map(|favourite| layout.field(0).value(favourite.user)));
                (users, counts(favourites().map(|favourite| favourite.count)))
            },
            || {
                rayon::join(
                    || texts(layout.field(1), favourites().map(|favourite| favourite.category)),
                    || texts(layout.field(2), favourites().map(|favourite| favourite.brand)),
                )
            },
        );
        result::table(self, vec![Some(users), categories, brands, Some(counted)])
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
