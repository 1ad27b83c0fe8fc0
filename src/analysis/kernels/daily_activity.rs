//! What happened each day, by event type, category and brand.
//!
//! Categories and brands occur in few pairs, and days and types are few: together they are slots of a table. A row costs a look at which
//! pair it has and one at its slot, both most often in the second-level cache: neighbouring rows are of the same day, and most of them
//! of some popular pairs. Only purchases bring in revenue, so that the others' prices are not read. Slots ascend as the result does.
//!
//! Where slots would be more than rows, rows are brought together instead, by keys (day, type, category, brand, price): equal ones stand
//! together, so that a group's revenue adds up from its runs of prices. It takes several times as long.

use arrow_schema::SchemaRef;
use rayon::iter::{IndexedParallelIterator, ParallelIterator};
use rayon::slice::{ParallelSlice, ParallelSliceMut};

use crate::analysis::decode::{Scratch, index, scratch};
use crate::analysis::driver::{Chunk, Scan, scan};
use crate::analysis::field::Field;
use crate::analysis::group::{Parts, group};
use crate::analysis::keys::{Key, Layout};
use crate::analysis::pairing::{PairScratch, Pairing};
use crate::analysis::periods::DAY;
use crate::analysis::result::{self, ResultType, counts, days, decimals, side_by_side, texts};
use crate::analysis::sort::runs;
use crate::analysis::summary::{DAYS, PURCHASE, SALES};
use crate::analysis::totals::money;
use crate::analysis::{Analysis, AnalysisError, Events, Input, Parameters};
use crate::event::{BRAND, CATEGORY_CODE, EVENT_TIME, EVENT_TYPE, PRICE};
use crate::table::Table;

/// `daily_activity`.
#[derive(Debug)]
pub(in crate::analysis) struct DailyActivity;

/// Fields of a group: day, type, category and brand.
const GROUP: usize = 4;

/// The share of an input's memory that tables may take.
const SHARE_OF_MEMORY: u64 = 4;

/// Slots that are always few enough.
const FEW_SLOTS: usize = 1 << 16;

/// One row of the result, in ordinals.
#[derive(Debug, Clone, Copy)]
struct Activity {
    group: [u64; GROUP],
    events: u64,
    /// In units of `10^-4`.
    revenue: i128,
}

/// The place of purchases among the types, if there are any.
fn purchase(types: &Field<'_>) -> Option<u64> {
    types.texts().iter().position(|kind| *kind == PURCHASE).map(|place| place as u64)
}

/// Slots of a day, a type and a pair of category and brand, the day highest.
struct Slots<'a> {
    days: &'a Field<'a>,
    types: &'a Field<'a>,
    pairs: Pairing<'a>,
}

/// Events by slot: fewer than `2^32` in all.
struct Counting<'a>(&'a Slots<'a>);

/// Revenue by day and pair, of purchases alone: distances from the smallest price, below `2^64` in all.
struct Selling<'a> {
    slots: &'a Slots<'a>,
    days: &'a Field<'a>,
    prices: &'a Field<'a>,
}

struct Buffers {
    slots: Scratch<u32>,
    ordinals: Scratch<u64>,
    /// Events that rows stand for.
    counts: Scratch<u64>,
    pairs: PairScratch,
}

impl Buffers {
    fn new() -> Self {
        Self { slots: scratch(), ordinals: scratch(), counts: scratch(), pairs: PairScratch::new() }
    }
}

impl Scan for Counting<'_> {
    type Partial = (Vec<u32>, Buffers);

    fn start(&self) -> Self::Partial {
        (vec![0; self.0.days.count() * self.0.types.count() * self.0.pairs.count()], Buffers::new())
    }

    #[expect(clippy::cast_possible_truncation, reason = "slots are counted in memory, in fewer than 2^32 entries")]
    fn scan(&self, (events, buffers): &mut Self::Partial, chunk: &Chunk<'_>) {
        let Buffers { slots, ordinals, counts, pairs } = buffers;
        let (slots, types, width) =
            (&mut slots[..chunk.len()], self.0.types.count() as u32, self.0.pairs.count() as u32);
        chunk.put_ordinals(self.0.days, ordinals, slots, |slot, day| *slot = day as u32 * types);
        chunk.put_ordinals(self.0.types, ordinals, slots, |slot, kind| *slot = (*slot + kind as u32) * width);
        let slots = slots.iter().zip(self.0.pairs.numbers(chunk, pairs)).map(|(slot, pair)| index(slot + pair));
        match chunk.counts(counts) {
            None => slots.for_each(|slot| events[slot] += 1),
            Some(counts) => slots.zip(counts).for_each(|(slot, count)| events[slot] += *count as u32),
        }
    }

    fn merge(&self, (into, _): &mut Self::Partial, (other, _): Self::Partial) {
        into.iter_mut().zip(other).for_each(|(into, other)| *into += other);
    }
}

impl Scan for Selling<'_> {
    type Partial = (Vec<u64>, Buffers);

    fn start(&self) -> Self::Partial {
        (vec![0; self.slots.days.count() * self.slots.pairs.count()], Buffers::new())
    }

    #[expect(clippy::cast_possible_truncation, reason = "slots are counted in memory, in fewer than 2^32 entries")]
    fn scan(&self, (sums, buffers): &mut Self::Partial, chunk: &Chunk<'_>) {
        let Buffers { slots, ordinals, counts, pairs } = buffers;
        let (slots, width) = (&mut slots[..chunk.len()], self.slots.pairs.count() as u32);
        chunk.put_ordinals(self.days, ordinals, slots, |slot, day| *slot = day as u32 * width);
        let prices = chunk.ordinals(self.prices, ordinals);
        let slots = slots.iter().zip(self.slots.pairs.numbers(chunk, pairs)).map(|(slot, pair)| index(slot + pair));
        match chunk.counts(counts) {
            None => slots.zip(prices).for_each(|(slot, price)| sums[slot] += price),
            Some(counts) => {
                slots.zip(prices).zip(counts).for_each(|((slot, price), count)| sums[slot] += price * count);
            }
        }
    }

    fn merge(&self, (into, _): &mut Self::Partial, (other, _): Self::Partial) {
        into.iter_mut().zip(other).for_each(|(into, other)| *into += other);
    }
}

/// Day, type, category and brand of a row.
fn group_of<'a>(events: &Events<'a>) -> [Field<'a>; GROUP] {
    [
        Field::periods(events, EVENT_TIME, DAY, 0),
        Field::ranked(events, EVENT_TYPE),
        Field::ranked(events, CATEGORY_CODE),
        Field::ranked(events, BRAND),
    ]
}

/// Counts and adds up in tables, from summaries where they are there; `None` where those would be too large, or sums too great.
fn by_slot(input: &Input<'_>) -> Option<Vec<Activity>> {
    let sales = input.summarised(&SALES);
    let input = input.summarised(&DAYS);
    let [days, types, categories, brands] = &group_of(input.events());
    // The same days, as they are encoded there.
    let days_of_sales = Field::periods(sales.events(), EVENT_TIME, DAY, 0);
    let rows = input.candidate_events();
    let prices = Field::offset(sales.events(), PRICE);
    u64::try_from(rows as u128 * u128::from(prices.maximum())).ok()?;
    u32::try_from(rows).ok()?;
    let memory = input.memory() / SHARE_OF_MEMORY;
    let pairs = Pairing::find(&input, (CATEGORY_CODE, categories), (BRAND, brands), memory)?;
    let slots = days.count().checked_mul(types.count())?.checked_mul(pairs.count())?;
    if slots > rows.max(FEW_SLOTS) {
        return None;
    }
    let bytes = slots * size_of::<u32>() + days.count() * pairs.count() * size_of::<u64>();
    if (bytes * rayon::current_num_threads()) as u64 > memory {
        return None;
    }
    let (width, purchase) = (pairs.count(), purchase(types));
    let slots = Slots { days, types, pairs };
    let (events, _) = scan(&input, &Counting(&slots));
    let (sums, _) = scan(&sales.only(PURCHASE), &Selling { slots: &slots, days: &days_of_sales, prices: &prices });
    let (base, step) = prices.base_and_step();
    let of_section = |(section, events): (usize, &[u32])| {
        let (day, kind) = (section / types.count(), (section % types.count()) as u64);
        let sums = Some(kind).filter(|kind| Some(*kind) == purchase).map(|_| &sums[day * width..][..width]);
        let occurring = events.iter().enumerate().filter(|(_, events)| **events > 0);
        let activity = |(pair, events): (usize, &u32)| {
            let ([category, brand], events) = (slots.pairs.ranks()[pair], u64::from(*events));
            Activity {
                group: [day as u64, kind, category.into(), brand.into()],
                events,
                revenue: sums.map_or(0, |sums| money(base, step, events, sums[pair].into())),
            }
        };
        occurring.map(activity).collect::<Vec<Activity>>()
    };
    Some(events.par_chunks(width.max(1)).enumerate().flat_map_iter(of_section).collect())
}

/// Brings the rows of each group together.
fn by_key(input: &Input<'_>, layout: &Layout<'_>) -> Vec<Activity> {
    let groups = Groups { layout, purchase: purchase(layout.field(1)) };
    let mut rows: Vec<Activity> = group(input, layout, GROUP, &groups).into_iter().flatten().collect();
    rows.par_sort_unstable_by_key(|activity| activity.group);
    rows
}

struct Groups<'a> {
    layout: &'a Layout<'a>,
    purchase: Option<u64>,
}

impl Parts for Groups<'_> {
    type Partial = Vec<Activity>;

    fn start(&self) -> Self::Partial {
        Vec::new()
    }

    fn part<K: Key>(&self, partial: &mut Self::Partial, _part: usize, keys: &[K]) {
        let price_bits = self.layout.bits_below(GROUP);
        let mut before: Option<K> = None;
        for (key, count) in runs(keys) {
            let has_revenue = Some(self.layout.ordinal(key, 1)) == self.purchase;
            let price = self.layout.field(GROUP).value(key.bits(0, price_bits));
            let revenue = if has_revenue { i128::from(price) * i128::from(count) } else { 0 };
            let is_same = before.is_some_and(|before| before.is_alike(key, price_bits));
            match partial.last_mut() {
                Some(activity) if is_same => {
                    activity.events += count;
                    activity.revenue += revenue;
                }
                _ => partial.push(Activity {
                    group: [0, 1, 2, 3].map(|field| self.layout.ordinal(key, field)),
                    events: count,
                    revenue,
                }),
            }
            before = Some(key);
        }
    }
}

impl Analysis for DailyActivity {
    fn name(&self) -> &'static str {
        "daily_activity"
    }

    fn description(&self) -> &'static str {
        "What happened each day, by event type, category and brand: small enough to be filtered by any of them."
    }

    fn sql(&self) -> &'static str {
        include_str!("../sql/daily_activity.sql")
    }

    fn schema(&self) -> SchemaRef {
        result::schema(&[
            ("day", ResultType::Day),
            ("event_type", ResultType::Text),
            ("category_code", ResultType::Text),
            ("brand", ResultType::Text),
            ("events", ResultType::Integer),
            ("revenue", ResultType::Money),
        ])
    }

    fn run(&self, input: &Input<'_>, _parameters: &Parameters) -> Result<Table, AnalysisError> {
        let events = input.events();
        let mut fields = Vec::from(group_of(events));
        let in_slots = by_slot(input);
        if in_slots.is_none() {
            fields.push(Field::scaled(events, PRICE));
        }
        let layout = Layout::fitted(events, fields);
        let rows = in_slots.unwrap_or_else(|| by_key(input, &layout));
        let (rows, layout) = (&rows, &layout);
        let ordinals = |field: usize| rows.iter().map(move |activity| activity.group[field]);
        let columns = side_by_side(&[
            &|| Some(days(ordinals(0).map(|day| layout.field(0).value(day)))),
            &|| texts(layout.field(1), ordinals(1)),
            &|| texts(layout.field(2), ordinals(2)),
            &|| texts(layout.field(3), ordinals(3)),
            &|| Some(counts(rows.iter().map(|activity| activity.events))),
            &|| Some(decimals(ResultType::Money, rows.iter().map(|activity| activity.revenue))),
        ]);
        result::table(self, columns)
    }

    #[cfg(test)]
    fn oracle(
        &self,
        events: &[crate::analysis::testing::Event],
        _parameters: &Parameters,
    ) -> crate::analysis::testing::Rows {
        use crate::analysis::testing::{Cell, Last, group_by, revenue_of};

        let groups = group_by(events, |event| {
            let day = event.event_time.div_euclid(DAY);
            (day, event.event_type.clone(), Last::from(&event.category_code), Last::from(&event.brand))
        });
        let row = |((day, kind, category, brand), events): ((i64, String, Last, Last), Vec<&_>)| {
            vec![
                Cell::Day(day),
                Cell::Text(kind),
                category.into(),
                brand.into(),
                Cell::Integer(events.len() as i64),
                Cell::Decimal(revenue_of(&events)),
            ]
        };
        groups.into_iter().map(row).collect()
    }
}
