//! The users with the most interactions inside each category-brand combination, every user of a tie.
//!
//! While users' combinations are told (see [`combinations`]), each combination's largest count so far is kept where all workers see
//! it; a user below it can't be in the result, and the few at or above it are remembered. The largest counts are final when all users
//! were told, and decide among the remembered.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow_schema::SchemaRef;
use rayon::slice::ParallelSliceMut;

use super::user_top_category_brand::UserTopCategoryBrand;
use crate::analysis::ahead::ask_for;
use crate::analysis::combinations::{self, Combinations, Engagement, Listener};
use crate::analysis::decode::index;
use crate::analysis::result::{self, ResultType, counts, integers, texts};
use crate::analysis::{Analysis, AnalysisError, Input, Parameters};
use crate::table::Table;

/// Bits of combinations for which an array of largest counts is kept (32 MiB, of which only the parts in use are
/// touched); above, a table.
const MAX_ARRAY_BITS: u32 = 22;

/// Tables among which wide combinations are spread, so that workers seldom wait for each other.
const SHARDS: u64 = 64;

/// `most_engaged_users`.
#[derive(Debug)]
pub(in crate::analysis) struct MostEngagedUsers;

/// A user's interactions in a combination that may be its largest.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Candidate {
    count: u64,
    combination: u64,
    user: u64,
}

/// The largest count of each combination so far.
enum Largest {
    Array(Vec<AtomicU64>),
    Tables(Vec<Mutex<HashMap<u64, u64>>>),
}

impl Largest {
    fn new(bits: u32) -> Self {
        if bits <= MAX_ARRAY_BITS {
            Self::Array((0..1 << bits).map(|_| AtomicU64::new(0)).collect())
        } else {
            Self::Tables((0..SHARDS).map(|_| Mutex::default()).collect())
        }
    }

    /// Asks for what is known of a combination that is to come.
    #[inline]
    fn expect(&self, combination: u64) {
        if let Self::Array(largest) = self {
            ask_for(largest, index(combination));
        }
    }

    /// Takes a count in; returns the largest one so far, this one included.
    fn raise(&self, combination: u64, count: u64) -> u64 {
        match self {
            Self::Array(largest) => {
                let known = &largest[index(combination)];
                let before = known.load(Ordering::Relaxed);
                if count > before { known.fetch_max(count, Ordering::Relaxed).max(count) } else { before }
            }
            Self::Tables(tables) => {
                let shard = &tables[usize::try_from(combination % SHARDS).unwrap_or_default()];
                let mut table = shard.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                let known = table.entry(combination).or_default();
                *known = count.max(*known);
                *known
            }
        }
    }
}

/// Notes the users that may be the most engaged.
pub(crate) struct Candidates {
    largest: Largest,
}

impl Listener for Candidates {
    type Heard = Vec<Candidate>;

    #[inline]
    fn expect(&self, combination: u64) {
        self.largest.expect(combination);
    }

    fn user(&self, heard: &mut Vec<Candidate>, _part: usize, user: u64, counts: &[(u64, u64)]) {
        for (combination, count) in counts {
            if *count >= self.largest.raise(*combination, *count) {
                heard.push(Candidate { count: *count, combination: *combination, user });
            }
        }
    }
}

impl Engagement for MostEngagedUsers {
    type Listener = Candidates;

    fn listener(&self, combinations: &Combinations<'_>) -> Candidates {
        Candidates { largest: Largest::new(combinations.bits()) }
    }

    fn table(
        &self,
        combinations: &Combinations<'_>,
        candidates: Candidates,
        heard: Vec<Vec<Candidate>>,
    ) -> Result<Table, AnalysisError> {
        let mut engaged: Vec<Candidate> = heard.into_iter().flatten().collect();
        let largest = &candidates.largest;
        engaged.retain(|candidate| largest.raise(candidate.combination, candidate.count) == candidate.count);
        engaged.par_sort_unstable_by_key(|candidate| {
            (std::cmp::Reverse(candidate.count), candidate.combination, candidate.user)
        });
        let (categories, brands) = (combinations.categories(), combinations.brands());
        result::table(
            self,
            vec![
                texts(categories, engaged.iter().map(|candidate| combinations.category(candidate.combination))),
                texts(brands, engaged.iter().map(|candidate| combinations.brand(candidate.combination))),
                Some(integers(engaged.iter().map(|candidate| combinations.users().value(candidate.user)))),
                Some(counts(engaged.iter().map(|candidate| candidate.count))),
            ],
        )
    }
}

impl Analysis for MostEngagedUsers {
    fn name(&self) -> &'static str {
        "most_engaged_users"
    }

    fn description(&self) -> &'static str {
        "The users with the most interactions inside each category-brand combination, every user of a tie."
    }

    fn sql(&self) -> &'static str {
        include_str!("../sql/most_engaged_users.sql")
    }

    fn schema(&self) -> SchemaRef {
        result::schema(&[
            ("category_code", ResultType::Text),
            ("brand", ResultType::Text),
            ("user_id", ResultType::Integer),
            ("max_count", ResultType::Integer),
        ])
    }

    fn run(&self, input: &Input<'_>, _parameters: &Parameters) -> Result<Table, AnalysisError> {
        combinations::answer(self, &UserTopCategoryBrand, input)
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
            count_by(events, |event| (Last::from(&event.category_code), Last::from(&event.brand), event.user_id));
        let mut largest: BTreeMap<(&Last, &Last), i64> = BTreeMap::new();
        for ((category, brand, _), count) in &combinations {
            let known = largest.entry((category, brand)).or_default();
            *known = *count.max(known);
        }
        let mut engaged: Vec<_> = combinations
            .iter()
            .filter(|((category, brand, _), count)| largest[&(category, brand)] == **count)
            .map(|((category, brand, user), count)| (-count, category.clone(), brand.clone(), *user))
            .collect();
        engaged.sort();
        let row = |(count, category, brand, user): (i64, Last, Last, i64)| {
            vec![category.into(), brand.into(), user.into(), (-count).into()]
        };
        engaged.into_iter().map(row).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_combinations_are_kept_in_tables() {
        for largest in [Largest::new(2), Largest::new(MAX_ARRAY_BITS + 1)] {
            assert_eq!(largest.raise(3, 5), 5);
            assert_eq!(largest.raise(3, 4), 5);
            assert_eq!(largest.raise(3, 6), 6);
            assert_eq!(largest.raise(2, 1), 1);
        }
    }
}
