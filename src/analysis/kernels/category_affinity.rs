//! Pairs of categories that the same users interact with.
//!
//! Keys are (user, category), brought together by user: a user's categories are a small set, and every two of them are a
//! pair. Pairs are counted in a square of all categories while it fits the second-level cache (a shop has some hundred), in
//! a table otherwise.
//!
//! Cost: grouping the keys, and an increment in cache a pair; users with many categories are few.

use std::cmp::Reverse;
use std::collections::HashMap;

use arrow_schema::SchemaRef;

use crate::analysis::decode::index;
use crate::analysis::field::Field;
use crate::analysis::group::{Parts, group};
use crate::analysis::keys::{Key, Layout};
use crate::analysis::result::{self, ResultType, averages, counts, texts};
use crate::analysis::{Analysis, AnalysisError, Input, Parameter, ParameterKind, Parameters};
use crate::event::{CATEGORY_CODE, USER_ID};
use crate::table::Table;

/// `category_affinity`.
#[derive(Debug)]
pub(in crate::analysis) struct CategoryAffinity;

const MIN_USERS: Parameter = Parameter {
    name: "min_users",
    description: "The fewest users that a pair must have.",
    kind: ParameterKind::Users { default: 10 },
};
const LIMIT: Parameter =
    Parameter { name: "limit", description: "How many pairs to list.", kind: ParameterKind::Rows { default: 100 } };

/// The most categories for which pairs are counted in a square: 512 KiB a worker.
const MAX_SQUARE: usize = 256;

/// Users by pair of categories, the smaller rank first.
#[derive(Debug)]
enum Pairs {
    Square { width: usize, users: Vec<u64> },
    Table(HashMap<(u64, u64), u64>),
}

impl Pairs {
    fn new(categories: usize) -> Self {
        if categories <= MAX_SQUARE {
            Self::Square { width: categories, users: vec![0; categories * categories] }
        } else {
            Self::Table(HashMap::new())
        }
    }

    /// Counts a user in each pair of these categories, which ascend.
    fn count(&mut self, categories: &[u64]) {
        let others = |place: usize| &categories[place + 1..];
        for (place, category) in categories.iter().enumerate() {
            match self {
                Self::Square { width, users } => {
                    let row = &mut users[index(*category) * *width..][..*width];
                    others(place).iter().for_each(|other| row[index(*other)] += 1);
                }
                Self::Table(users) => {
                    others(place).iter().for_each(|other| *users.entry((*category, *other)).or_default() += 1);
                }
            }
        }
    }

    /// Both hold the same categories.
    fn merge(&mut self, other: Self) {
        match (self, other) {
            (Self::Square { users, .. }, Self::Square { users: others, .. }) => {
                users.iter_mut().zip(others).for_each(|(users, others)| *users += others);
            }
            (into, other) => {
                for (pair, others) in other.all() {
                    into.add(pair, others);
                }
            }
        }
    }

    fn add(&mut self, (category, other): (u64, u64), more: u64) {
        match self {
            Self::Square { width, users } => users[index(category) * *width + index(other)] += more,
            Self::Table(users) => *users.entry((category, other)).or_default() += more,
        }
    }

    /// The pairs that any user has.
    fn all(self) -> Vec<((u64, u64), u64)> {
        match self {
            Self::Square { width, users } => {
                let pairs = users.into_iter().enumerate().filter(|(_, users)| *users > 0);
                pairs.map(|(place, users)| (((place / width) as u64, (place % width) as u64), users)).collect()
            }
            Self::Table(users) => users.into_iter().collect(),
        }
    }
}

/// Users with any category, by category, and by pair.
#[derive(Debug)]
struct Counted {
    users: u64,
    users_of: Vec<u64>,
    pairs: Pairs,
    /// Whether the user at hand has touched a category.
    is_touched: Vec<bool>,
    /// The categories of that user.
    touched: Vec<u64>,
}

struct Users<'a> {
    layout: &'a Layout<'a>,
}

impl Parts for Users<'_> {
    const LEADING_ONLY: bool = true;
    type Partial = Counted;

    fn start(&self) -> Counted {
        let categories = self.layout.field(1).texts().len();
        Counted {
            users: 0,
            users_of: vec![0; categories],
            pairs: Pairs::new(categories),
            is_touched: vec![false; categories + 1],
            touched: Vec::new(),
        }
    }

    fn part<K: Key>(&self, counted: &mut Counted, _part: usize, keys: &[K]) {
        let category_bits = self.layout.bits_below(1);
        let missing = self.layout.field(1).maximum();
        for events in keys.chunk_by(|left, right| left.is_alike(*right, category_bits)) {
            counted.touched.clear();
            for key in events {
                let category = key.bits(0, category_bits);
                let is_touched = &mut counted.is_touched[index(category)];
                if !*is_touched && category != missing {
                    *is_touched = true;
                    counted.touched.push(category);
                }
            }
            counted.touched.sort_unstable();
            for category in &counted.touched {
                counted.is_touched[index(*category)] = false;
                counted.users_of[index(*category)] += 1;
            }
            counted.users += u64::from(!counted.touched.is_empty());
            counted.pairs.count(&counted.touched);
        }
    }
}

/// A row of the result.
#[derive(Debug)]
struct Affinity {
    pair: (u64, u64),
    users: u64,
    category_users: u64,
    other_category_users: u64,
    lift: f64,
}

impl Analysis for CategoryAffinity {
    fn name(&self) -> &'static str {
        "category_affinity"
    }

    fn description(&self) -> &'static str {
        "Pairs of categories that the same users interact with: support, confidence and lift."
    }

    fn sql(&self) -> &'static str {
        include_str!("../sql/category_affinity.sql")
    }

    fn parameters(&self) -> &'static [Parameter] {
        &[MIN_USERS, LIMIT]
    }

    fn schema(&self) -> SchemaRef {
        result::schema(&[
            ("category_code", ResultType::Text),
            ("other_category_code", ResultType::Text),
            ("users", ResultType::Integer),
            ("category_users", ResultType::Integer),
            ("other_category_users", ResultType::Integer),
            ("support", ResultType::Average),
            ("confidence", ResultType::Average),
            ("reverse_confidence", ResultType::Average),
            ("lift", ResultType::Average),
        ])
    }

    fn run(&self, input: &Input<'_>, parameters: &Parameters) -> Result<Table, AnalysisError> {
        let input = input.by_user();
        let events = input.events();
        let layout = Layout::new(vec![Field::offset(events, USER_ID), Field::ranked(events, CATEGORY_CODE)]);
        let kernel = Users { layout: &layout };
        let mut all = kernel.start();
        for partial in group(input, &layout, 1, &kernel) {
            all.users += partial.users;
            all.users_of.iter_mut().zip(partial.users_of).for_each(|(users, others)| *users += others);
            all.pairs.merge(partial.pairs);
        }
        let (everyone, users_of) = (all.users, all.users_of);
        let fewest = parameters.users(&MIN_USERS);
        let affinity = |(pair, users): ((u64, u64), u64)| {
            let (category_users, other_category_users) = (users_of[index(pair.0)], users_of[index(pair.1)]);
            let by_chance = u128::from(category_users) * u128::from(other_category_users);
            let lift = (u128::from(users) * u128::from(everyone)) as f64 / by_chance as f64;
            Affinity { pair, users, category_users, other_category_users, lift }
        };
        let mut rows: Vec<Affinity> =
            all.pairs.all().into_iter().filter(|(_, users)| *users >= fewest).map(affinity).collect();
        rows.sort_unstable_by(|left, right| {
            let order = right.lift.total_cmp(&left.lift);
            order.then((Reverse(left.users), left.pair).cmp(&(Reverse(right.users), right.pair)))
        });
        rows.truncate(parameters.rows(&LIMIT));
        let share = |below: fn(&Affinity, u64) -> u64| {
            Some(averages(rows.iter().map(|row| row.users as f64 / below(row, everyone) as f64)))
        };
        result::table(
            self,
            vec![
                texts(layout.field(1), rows.iter().map(|row| row.pair.0)),
                texts(layout.field(1), rows.iter().map(|row| row.pair.1)),
                Some(counts(rows.iter().map(|row| row.users))),
                Some(counts(rows.iter().map(|row| row.category_users))),
                Some(counts(rows.iter().map(|row| row.other_category_users))),
                share(|_, everyone| everyone),
                share(|row, _| row.category_users),
                share(|row, _| row.other_category_users),
                Some(averages(rows.iter().map(|row| row.lift))),
            ],
        )
    }

    #[cfg(test)]
    fn oracle(
        &self,
        events: &[crate::analysis::testing::Event],
        parameters: &Parameters,
    ) -> crate::analysis::testing::Rows {
        use crate::analysis::testing::Cell;
        use std::collections::{BTreeMap, BTreeSet};

        let mut users: BTreeMap<&str, BTreeSet<i64>> = BTreeMap::new();
        for event in events {
            if let Some(category) = &event.category_code {
                users.entry(category).or_default().insert(event.user_id);
            }
        }
        let everyone = users.values().flatten().collect::<BTreeSet<_>>().len() as f64;
        let mut rows = Vec::new();
        for (category, mine) in &users {
            for (other, others) in
                users.range::<str, _>((std::ops::Bound::Excluded(*category), std::ops::Bound::Unbounded))
            {
                let both = mine.intersection(others).count();
                if both as u64 >= parameters.users(&MIN_USERS) {
                    let (both, mine, others) = (both as f64, mine.len() as f64, others.len() as f64);
                    let lift = both * everyone / (mine * others);
                    rows.push((lift, both, *category, *other, mine, others));
                }
            }
        }
        rows.sort_by(|left, right| {
            let order = right.0.total_cmp(&left.0).then(right.1.total_cmp(&left.1));
            order.then((left.2, left.3).cmp(&(right.2, right.3)))
        });
        rows.truncate(parameters.rows(&LIMIT));
        let row = |(lift, both, category, other, mine, others): (f64, f64, &str, &str, f64, f64)| {
            vec![
                Cell::Text(category.to_owned()),
                Cell::Text(other.to_owned()),
                Cell::Integer(both as i64),
                Cell::Integer(mine as i64),
                Cell::Integer(others as i64),
                Cell::Double(both / everyone),
                Cell::Double(both / mine),
                Cell::Double(both / others),
                Cell::Double(lift),
            ]
        };
        rows.into_iter().map(row).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_in_a_table_are_those_in_a_square() {
        let users: [&[u64]; 4] = [&[0, 2, 5], &[2, 5], &[], &[3]];
        let counted = |categories: usize| {
            let [mut left, mut right] = [Pairs::new(categories), Pairs::new(categories)];
            users[..2].iter().for_each(|categories| left.count(categories));
            users[1..].iter().for_each(|categories| right.count(categories));
            left.merge(right);
            let mut all = left.all();
            all.sort_unstable();
            all
        };
        assert_eq!(counted(6), [((0, 2), 1), ((0, 5), 1), ((2, 5), 3)]);
        assert_eq!(counted(MAX_SQUARE + 1), counted(6));
    }
}
