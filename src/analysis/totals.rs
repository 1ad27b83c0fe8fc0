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
    let sum = Sum { groups, prices };
    let mut steps = scan(input, &sum);
    sum.translate(&mut steps);
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

/// The most bits of a price's ordinal for which the prices of a whole segment add up within 64 bits.
const NARROW_BITS: u32 = 31;

/// The most groups that are added up as they are numbered in a segment.
const MOST_PLACES: usize = 1 << 16;

/// Adds up by group; where a segment lists its groups' numbers, by those, translated once the segment is through.
struct Sum<'a> {
    groups: &'a Field<'a>,
    prices: &'a Field<'a>,
}

struct Sums {
    groups: Scratch<u64>,
    places: Scratch<u32>,
    prices: Scratch<u64>,
    /// Events that rows stand for.
    events: Scratch<u64>,
    /// The segment whose rows are added up by place.
    segment: usize,
    by_place: Vec<Narrow>,
    steps: Vec<Steps>,
}

/// [`Steps`] of a part of one segment.
#[derive(Debug, Clone, Copy)]
struct Narrow {
    count: u64,
    sum: u64,
    smallest: u64,
    largest: u64,
}

impl Narrow {
    const NONE: Self = Self { count: 0, sum: 0, smallest: u64::MAX, largest: 0 };

    #[inline]
    fn add(&mut self, count: u64, price: u64) {
        self.count += count;
        self.sum += price * count;
        self.smallest = self.smallest.min(price);
        self.largest = self.largest.max(price);
    }
}

impl Steps {
    #[inline]
    fn add(&mut self, count: u64, price: u64) {
        self.count += count;
        self.sum += u128::from(price) * u128::from(count);
        self.smallest = self.smallest.min(price);
        self.largest = self.largest.max(price);
    }

    fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.sum += other.sum;
        self.smallest = self.smallest.min(other.smallest);
        self.largest = self.largest.max(other.largest);
    }
}

impl Sum<'_> {
    fn translate(&self, sums: &mut Sums) {
        if let Some(listed) = self.groups.listed(sums.segment) {
            for (narrow, group) in sums.by_place.iter().zip(listed).filter(|(narrow, _)| narrow.count > 0) {
                let Narrow { count, sum, smallest, largest } = *narrow;
                sums.steps[*group as usize].merge(&Steps { count, sum: sum.into(), smallest, largest });
            }
        }
        sums.by_place.clear();
    }
}

impl Scan for Sum<'_> {
    type Partial = Sums;

    fn start(&self) -> Sums {
        let none = Steps { count: 0, sum: 0, smallest: u64::MAX, largest: 0 };
        Sums {
            groups: scratch(),
            places: scratch(),
            prices: scratch(),
            events: scratch(),
            segment: 0,
            by_place: Vec::new(),
            steps: vec![none; self.groups.count()],
        }
    }

    fn scan(&self, partial: &mut Sums, chunk: &Chunk<'_>) {
        if chunk.segment() != partial.segment {
            self.translate(partial);
            partial.segment = chunk.segment();
        }
        let prices = chunk.ordinals(self.prices, &mut partial.prices);
        let events = chunk.counts(&mut partial.events);
        let places = chunk.places(&[self.groups], MOST_PLACES, &mut partial.places);
        if let Some((places, groups)) = places.filter(|_| self.prices.bits() <= NARROW_BITS) {
            partial.by_place.resize(groups, Narrow::NONE);
            let prices = places.iter().zip(prices);
            match events {
                None => prices.for_each(|(place, price)| partial.by_place[*place as usize].add(1, *price)),
                Some(events) => prices
                    .zip(events)
                    .for_each(|((place, price), count)| partial.by_place[*place as usize].add(*count, *price)),
            }
            return;
        }
        let groups = chunk.ordinals(self.groups, &mut partial.groups);
        let prices = groups.iter().zip(prices);
        match events {
            None => prices.for_each(|(group, price)| partial.steps[index(*group)].add(1, *price)),
            Some(events) => {
                prices.zip(events).for_each(|((group, price), count)| partial.steps[index(*group)].add(*count, *price));
            }
        }
    }

    fn merge(&self, into: &mut Sums, mut other: Sums) {
        self.translate(&mut other);
        into.steps.iter_mut().zip(&other.steps).for_each(|(into, other)| into.merge(other));
    }
}
