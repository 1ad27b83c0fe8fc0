//! The users with the most interactions inside each category-brand combination, every user of a tie.
//!
//! Keys are (user, category, brand), as for a user's favourite. While groups come out, each combination's largest count
//! so far is kept where all workers see it; a group below it can't be in the result, and the few at or above it are
//! remembered. The largest counts are final when all groups are out, and decide among the remembered.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow_schema::SchemaRef;
use rayon::slice::ParallelSliceMut;

use crate::analysis::ahead::{AHEAD, ask_for};
use crate::analysis::decode::index;
use crate::analysis::field::Field;
use crate::analysis::group::{Parts, group};
use crate::analysis::keys::{Key, Layout};
use crate::analysis::result::{self, ResultType, counts, integers, texts};
use crate::analysis::tally::Tally;
use crate::analysis::{Analysis, AnalysisError, Input, Parameters};
use crate::event::{BRAND, CATEGORY_CODE, USER_ID};
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
struct Candidate {
    count: u64,
    category: u64,
    brand: u64,
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

struct Candidates<'a> {
    layout: &'a Layout<'a>,
    largest: Largest,
}

impl Candidates<'_> {
    fn combination(&self, category: u64, brand: u64) -> u64 {
        (category << self.layout.field(2).bits()) | brand
    }
}

#[derive(Debug)]
struct Found {
    candidates: Vec<Candidate>,
    tally: Tally,
}

impl Parts for Candidates<'_> {
    const LEADING_ONLY: bool = true;
    type Partial = Found;

    fn start(&self) -> Found {
        Found { candidates: Vec::new(), tally: Tally::of_bits(self.layout.bits_below(1)) }
    }

    fn part<K: Key>(&self, partial: &mut Self::Partial, _part: usize, keys: &[K]) {
        let below_user = self.layout.bits_below(1);
        let mut ahead = keys.iter().skip(AHEAD);
        for rows in keys.chunk_by(|left, right| left.is_alike(*right, below_user)) {
            for combination in ahead.by_ref().take(rows.len()).map(|key| key.bits(0, below_user)) {
                partial.tally.expect(combination);
                self.largest.expect(combination);
            }
            for (combination, count) in partial.tally.count(rows.iter().map(|key| key.bits(0, below_user))) {
                if *count >= self.largest.raise(*combination, *count) {
                    let key = K::from_ordinal(*combination);
                    partial.candidates.push(Candidate {
                        count: *count,
                        category: self.layout.ordinal(key, 1),
                        brand: self.layout.ordinal(key, 2),
                        user: self.layout.ordinal(rows[0], 0),
                    });
                }
            }
        }
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
        let input = input.by_user();
        let events = input.events();
        let layout = Layout::new(vec![
            Field::offset(events, USER_ID),
            Field::ranked(events, CATEGORY_CODE),
            Field::ranked(events, BRAND),
        ]);
        let candidates = Candidates { layout: &layout, largest: Largest::new(layout.bits_below(1)) };
        let mut engaged: Vec<Candidate> =
            group(input, &layout, 1, &candidates).into_iter().flat_map(|found| found.candidates).collect();
        engaged.retain(|candidate| {
            let combination = candidates.combination(candidate.category, candidate.brand);
            candidates.largest.raise(combination, candidate.count) == candidate.count
        });
        engaged.par_sort_unstable_by_key(|candidate| {
            (std::cmp::Reverse(candidate.count), candidate.category, candidate.brand, candidate.user)
        });
        result::table(
            self,
            vec![
                texts(layout.field(1), engaged.iter().map(|candidate| candidate.category)),
                texts(layout.field(2), engaged.iter().map(|candidate| candidate.brand)),
                Some(integers(engaged.iter().map(|candidate| layout.field(0).value(candidate.user)))),
                Some(counts(engaged.iter().map(|candidate| candidate.count))),
            ],
        )
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
