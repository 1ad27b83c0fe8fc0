//! The category-brand combination that each user interacts with most.
//!
//! Keys are (user, category, brand), sorted: a user's combinations stand side by side in the order that decides ties, so
//! the first longest run is the answer, and users come out in the order of the result.

use arrow_schema::SchemaRef;

use crate::analysis::field::Field;
use crate::analysis::group::{Parts, group};
use crate::analysis::keys::{Key, Layout};
use crate::analysis::result::{self, ResultType, counts, integers, texts};
use crate::analysis::sort::runs;
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

impl Parts for Favourites<'_> {
    type Partial = Vec<(usize, Vec<Favourite>)>;

    fn start(&self) -> Self::Partial {
        Vec::new()
    }

    fn part<K: Key>(&self, partial: &mut Self::Partial, part: usize, keys: &[K]) {
        let user_shift = self.layout.bits_below(1);
        let user_bits = self.layout.field(0).bits();
        let favourite = |key: K, count| Favourite {
            user: key.bits(user_shift, user_bits),
            category: self.layout.ordinal(key, 1),
            brand: self.layout.ordinal(key, 2),
            count,
        };
        let mut favourites = Vec::new();
        let mut runs = runs(keys);
        let Some(mut best) = runs.next() else { return };
        for (key, count) in runs {
            if key.bits(user_shift, user_bits) != best.0.bits(user_shift, user_bits) {
                favourites.push(favourite(best.0, best.1));
                best = (key, count);
            } else if count > best.1 {
                best = (key, count);
            }
        }
        favourites.push(favourite(best.0, best.1));
        partial.push((part, favourites));
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
        let events = input.events();
        let layout = Layout::new(vec![
            Field::offset(events, USER_ID),
            Field::ranked(events, CATEGORY_CODE),
            Field::ranked(events, BRAND),
        ]);
        let mut parts: Vec<_> =
            group(input, &layout, 1, &Favourites { layout: &layout }).into_iter().flatten().collect();
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
