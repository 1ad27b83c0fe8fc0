//! Count, sum, smallest and largest price of each group: one scan, one array.

use super::decode::{Scratch, index, scratch};
use super::driver::{Chunk, Input, Scan, scan};
use super::field::Field;
use super::number::average_money;

/// What is known of a group's prices, in steps of the price field.
#[derive(Debug, Clone, Copy)]
struct Steps {
    count: u64,
    sum: u128,
    smallest: u64,
    largest: u64,
}

/// A group's prices, in units of `10^-4`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Totals {
    /// Rows.
    pub(crate) count: u64,
    /// The average price as a double of whole units of money.
    pub(crate) average: f64,
    /// The lowest price.
    pub(crate) smallest: i64,
    /// The highest price.
    pub(crate) largest: i64,
}

/// The price totals of every group, at the group's ordinal; `None` where no row is selected.
///
/// One scan; memory is 48 bytes a group and worker.
pub(crate) fn totals(input: &Input<'_>, groups: &Field<'_>, prices: &Field<'_>) -> Vec<Option<Totals>> {
    let steps = scan(input, &Sum { groups, prices });
    let (base, step) = prices.base_and_step();
    let total = |steps: &Steps| Totals {
        count: steps.count,
        average: average_money(money(base, step, steps.count, steps.sum), steps.count),
        smallest: prices.value(steps.smallest),
        largest: prices.value(steps.largest),
    };
    steps.steps.iter().map(|steps| (steps.count > 0).then(|| total(steps))).collect()
}

/// The sum of `count` prices whose ordinals add up to `sum`.
pub(crate) fn money(base: i64, step: u64, count: u64, sum: u128) -> i128 {
    i128::from(base) * i128::from(count) + sum.cast_signed() * i128::from(step)
}

struct Sum<'a> {
    groups: &'a Field<'a>,
    prices: &'a Field<'a>,
}

struct Sums {
    groups: Scratch<u64>,
    prices: Scratch<u64>,
    steps: Vec<Steps>,
}

impl Scan for Sum<'_> {
    type Partial = Sums;

    fn start(&self) -> Sums {
        let none = Steps { count: 0, sum: 0, smallest: u64::MAX, largest: 0 };
        Sums { groups: scratch(), prices: scratch(), steps: vec![none; self.groups.count()] }
    }

    fn scan(&self, partial: &mut Sums, chunk: &Chunk<'_>) {
        let groups = chunk.ordinals(self.groups, &mut partial.groups);
        let prices = chunk.ordinals(self.prices, &mut partial.prices);
        for (group, price) in groups.iter().zip(prices) {
            let steps = &mut partial.steps[index(*group)];
            steps.count += 1;
            steps.sum += u128::from(*price);
            steps.smallest = steps.smallest.min(*price);
            steps.largest = steps.largest.max(*price);
        }
    }

    fn merge(&self, into: &mut Sums, other: Sums) {
        for (into, other) in into.steps.iter_mut().zip(other.steps) {
            into.count += other.count;
            into.sum += other.sum;
            into.smallest = into.smallest.min(other.smallest);
            into.largest = into.largest.max(other.largest);
        }
    }
}
