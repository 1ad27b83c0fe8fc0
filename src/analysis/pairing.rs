//! Numbers for the pairs of texts that occur together: a category and a brand.
//!
//! Of all combinations few occur, so that a number for each that does leads to small tables. A row's two codes are a place in a table of
//! all combinations, which first holds whether rows have them, and then the pairs' numbers, in order of the texts' ranks. A row costs a
//! look into that table, which stays in the caches; where the combinations are too many for that, whoever asks does without.

use super::decode::{Scratch, index, scratch};
use super::driver::{Chunk, Input, Scan, scan};
use super::field::Field;

/// The most combinations: 16 MiB of numbers, and 4 MiB a worker while they are found.
const MOST_COMBINATIONS: usize = 4 << 20;

/// The pairs that occur among the covered rows.
#[derive(Debug)]
pub(crate) struct Pairing<'a> {
    combinations: Combinations<'a>,
    /// One a combination: the pair's number.
    numbers: Vec<u32>,
    /// One a pair: the ranks of its texts. Ascending.
    ranks: Vec<[u32; 2]>,
}

/// Each pair of codes as a place: `first * width + second`.
#[derive(Debug)]
struct Combinations<'a> {
    first: Field<'a>,
    second: Field<'a>,
    width: u32,
    count: usize,
}

/// Buffers of one worker.
#[derive(Debug)]
pub(crate) struct PairScratch {
    ordinals: Scratch<u64>,
    places: Scratch<u32>,
}

impl PairScratch {
    pub(crate) fn new() -> Self {
        Self { ordinals: scratch(), places: scratch() }
    }
}

impl<'a> Pairing<'a> {
    /// Numbers the pairs of two dictionary columns' texts, each given with its ranks ([`Field::ranked`]). `None` where the combinations
    /// are very many or their tables would take more than `memory` bytes.
    pub(crate) fn find(
        input: &Input<'a>,
        first: (usize, &Field<'a>),
        second: (usize, &Field<'a>),
        memory: u64,
    ) -> Option<Self> {
        let combinations = Combinations::of(input, first, second)?;
        let bytes = combinations.count as u64 * (size_of::<u32>() + rayon::current_num_threads()) as u64;
        if bytes > memory {
            return None;
        }
        let (occurring, _) = scan(input, &combinations);
        let (first, second) = (first.1.listed(0)?, second.1.listed(0)?);
        let places = (0_u32..).zip(&occurring).filter(|(_, occurs)| **occurs).map(|(place, _)| place);
        let ranks = |place: u32| [first[index(place / combinations.width)], second[index(place % combinations.width)]];
        let mut pairs: Vec<([u32; 2], u32)> = places.map(|place| (ranks(place), place)).collect();
        pairs.sort_unstable();
        let mut numbers = vec![0; combinations.count];
        for (number, (_, place)) in (0_u32..).zip(&pairs) {
            numbers[index(*place)] = number;
        }
        Some(Self { combinations, numbers, ranks: pairs.into_iter().map(|(ranks, _)| ranks).collect() })
    }

    /// How many pairs there are.
    pub(crate) fn count(&self) -> usize {
        self.ranks.len()
    }

    /// The ranks of each pair's texts, in order of the numbers.
    pub(crate) fn ranks(&self) -> &[[u32; 2]] {
        &self.ranks
    }

    /// The number of each of a chunk's selected rows' pairs.
    pub(crate) fn numbers<'s>(
        &'s self,
        chunk: &Chunk<'_>,
        scratch: &'s mut PairScratch,
    ) -> impl Iterator<Item = u32> + 's {
        self.combinations.places(chunk, scratch).iter().map(|place| self.numbers[index(*place)])
    }
}

impl<'a> Combinations<'a> {
    fn of(input: &Input<'a>, first: (usize, &Field<'a>), second: (usize, &Field<'a>)) -> Option<Self> {
        let events = input.events();
        // Ranks are those of all texts and of the missing value, and so are codes.
        let count = first.1.count().checked_mul(second.1.count()).filter(|count| *count <= MOST_COMBINATIONS)?;
        let width = u32::try_from(second.1.count()).ok()?;
        Some(Self { first: Field::codes(events, first.0), second: Field::codes(events, second.0), width, count })
    }

    #[expect(clippy::cast_possible_truncation, reason = "codes are those of a table in memory, at most 2^22")]
    fn places<'s>(&self, chunk: &Chunk<'_>, scratch: &'s mut PairScratch) -> &'s [u32] {
        let PairScratch { ordinals, places } = scratch;
        let (places, width) = (&mut places[..chunk.len()], self.width);
        chunk.put_ordinals(&self.first, ordinals, places, |place, code| *place = code as u32 * width);
        chunk.put_ordinals(&self.second, ordinals, places, |place, code| *place += code as u32);
        places
    }
}

impl Scan for Combinations<'_> {
    type Partial = (Vec<bool>, PairScratch);

    fn start(&self) -> Self::Partial {
        (vec![false; self.count], PairScratch::new())
    }

    fn scan(&self, (occurring, scratch): &mut Self::Partial, chunk: &Chunk<'_>) {
        self.places(chunk, scratch).iter().for_each(|place| occurring[index(*place)] = true);
    }

    fn merge(&self, (into, _): &mut Self::Partial, (other, _): Self::Partial) {
        into.iter_mut().zip(other).for_each(|(into, other)| *into |= other);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::analysis::Filter;
    use crate::analysis::testing::{Event, Last, Shape, Stored, any_events, any_filter, covers};
    use crate::event::{BRAND, CATEGORY_CODE};

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

        #[test]
        fn the_pairs_that_occur_are_numbered_in_order(
            events in any_events(Shape::Ties), filter in any_filter(), segment_rows in 1..70_usize, choice in any::<u64>(),
        ) {
            let stored = Stored::new(&events, segment_rows, choice);
            let input = Input::new(stored.events(), &filter);
            let [categories, brands] = [CATEGORY_CODE, BRAND].map(|column| Field::ranked(input.events(), column));
            let pairing = Pairing::find(&input, (CATEGORY_CODE, &categories), (BRAND, &brands), u64::MAX);
            prop_assert_eq!(pairing.is_none(), events.is_empty());
            let Some(pairing) = pairing else { return Ok(()) };
            let covered: Vec<&Event> = events.iter().filter(|event| covers(&filter, event)).collect();
            let pair = |event: &&Event| (Last::from(&event.category_code), Last::from(&event.brand));
            let expected: Vec<(Last, Last)> = covered.iter().map(pair).collect::<BTreeSet<_>>().into_iter().collect();
            let text = |field: &Field<'_>, rank: u32| {
                let text = field.texts().get(rank as usize);
                text.map_or(Last::Missing, |text| Last::Present((*text).to_owned()))
            };
            let found: Vec<(Last, Last)> =
                pairing.ranks().iter().map(|ranks| (text(&categories, ranks[0]), text(&brands, ranks[1]))).collect();
            prop_assert_eq!(&found, &expected);
            // A sample of more rows than there are has all of them, in order.
            let (mut numbers, mut scratch) = (Vec::new(), PairScratch::new());
            input.sample(usize::MAX, |chunk| numbers.extend(pairing.numbers(chunk, &mut scratch)));
            let pairs: Vec<(Last, Last)> = numbers.into_iter().map(|number| found[number as usize].clone()).collect();
            prop_assert_eq!(pairs, covered.iter().map(pair).collect::<Vec<_>>());
        }
    }

    #[test]
    fn tables_that_take_too_much_are_not_made() {
        let mut state = 1_u64;
        let mut random = |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        let event = |number: u64, category: u64| Event {
            event_time: 0,
            event_type: "view".to_owned(),
            product_id: 0,
            category_id: 0,
            category_code: Some(format!("category{category}")),
            brand: Some(format!("brand{number}")),
            price: 0,
            user_id: 0,
            user_session: None,
        };
        let events: Vec<Event> = (0..3000).map(|number| event(number, random(1_000_000))).collect();
        let find = |events: &[Event], memory: u64| {
            let stored = Stored::new(events, 1000, 0);
            let input = Input::new(stored.events(), &Filter::default());
            let [categories, brands] = [CATEGORY_CODE, BRAND].map(|column| Field::ranked(input.events(), column));
            Pairing::find(&input, (CATEGORY_CODE, &categories), (BRAND, &brands), memory).map(|pairing| pairing.count())
        };
        assert_eq!(find(&events, u64::MAX), None);
        assert_eq!(find(&events[..500], u64::MAX), Some(500));
        assert_eq!(find(&events[..500], 500 * 500), None);
    }
}
