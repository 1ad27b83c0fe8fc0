//! One numbering of the identifiers of all segments.
//!
//! Segments number their identifiers each for itself. A session lives for minutes, so nearly every one stands in one segment
//! alone: it keeps its number there, moved up by the numbers of the segments before, and rows that are near in time stay
//! near in number. Only an identifier that stands in several segments has to be found out, and takes the least of its numbers.
//!
//! Finding those is a join of all segments' identifiers: their hashes are dealt to parts by the highest bits. In each part
//! a bit of a small map tells most identifiers to be there once (a Bloom filter of one hash), and only the others meet in an
//! open-addressing table. Cost: an identifier's hash, a write and two reads of 8 bytes and two looks at a map in the
//! first-level cache, and nothing a row.
//!
//! Where a filter leaves rows out, only identifiers of rows that it covers are looked at; but where other filters of the same events
//! are to come, all are, once.

use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, PoisonError};

use cartlog_storage::store::{ColumnView, Identifier, Identifiers};

use super::decode::{Lookup, Scratch, scratch};
use super::driver::{Chunk, Input, Scan, deal, scan};
use super::events::{EventSegment, Events};
use super::field::Field;

/// Identifiers that a part should have: an eighth of a megabyte, and the map of their bits 32 kB.
const PART_ENTRIES: usize = 16 << 10;

/// Bits of the map for each identifier: one in nine of those that are there once is taken for one that may not be.
const BITS_PER_ENTRY: usize = 8;

/// The most bits of a hash that choose the part.
const MAX_PART_BITS: u32 = 12;

/// What a segment's codes are numbered as.
#[derive(Debug, Clone)]
pub(super) struct Numbering {
    /// One a segment: the number of each code; code 0, a missing identifier, has the number `count`.
    pub(super) tables: Vec<Arc<Lookup>>,
    /// Above every number of an identifier.
    pub(super) count: u32,
}

/// An identifier of a segment.
#[derive(Debug, Clone, Copy)]
struct Entry {
    /// What of its hash doesn't tell its part.
    hash: u32,
    /// Its own number: the segment's first one and its place there.
    number: u32,
}

/// Numbers the identifiers of a column: all, or those of covered rows at least.
fn numbering(input: &Input<'_>, column: usize, are_all: bool) -> Numbering {
    let segments = input.events().segments();
    let identifiers: Vec<Option<Identifiers<'_>>> =
        segments.iter().map(|segment| identifiers(segment, column)).collect();
    let mut firsts = Vec::with_capacity(segments.len());
    let mut count = 0_u32;
    for identifiers in &identifiers {
        firsts.push(count);
        let distinct = identifiers.map_or(0, |identifiers| identifiers.distinct());
        count = count.saturating_add(u32::try_from(distinct).unwrap_or(u32::MAX));
    }
    let used = (!are_all).then(|| used_codes(input, column, &identifiers));
    let joined = Join { identifiers: &identifiers, firsts: &firsts, used: used.as_deref(), state: RandomState::new() };
    let mut aliases = joined.aliases(count as usize);
    aliases.sort_unstable();
    let table = |segment: usize| {
        let distinct = identifiers[segment].map_or(0, |identifiers| identifiers.distinct());
        let mut table = Vec::with_capacity(distinct + 1);
        table.push(count);
        table.extend((firsts[segment]..).take(distinct));
        let from = aliases.partition_point(|(number, _)| *number < firsts[segment]);
        let own = aliases[from..].iter().map(|(number, taken)| ((number - firsts[segment]) as usize, *taken));
        for (place, taken) in own.take_while(|(place, _)| *place < distinct) {
            table[place + 1] = taken;
        }
        Arc::new(Lookup::new(table))
    };
    Numbering { tables: (0..segments.len()).map(table).collect(), count }
}

fn identifiers<'a>(segment: &EventSegment<'a>, column: usize) -> Option<Identifiers<'a>> {
    match segment.columns[column].shape() {
        ColumnView::Identifiers(identifiers) => Some(identifiers),
        ColumnView::Integers(_) | ColumnView::Codes(_) => None,
    }
}

/// One a segment: which codes covered rows have.
fn used_codes(input: &Input<'_>, column: usize, identifiers: &[Option<Identifiers<'_>>]) -> Vec<Vec<bool>> {
    let rooms = identifiers.iter().map(|identifiers| identifiers.map_or(0, |identifiers| identifiers.distinct()) + 1);
    let used = Used { codes: Field::codes(input.events(), column), rooms: rooms.collect() };
    scan(input, &used).0
}

struct Used<'a> {
    codes: Field<'a>,
    rooms: Vec<usize>,
}

impl Scan for Used<'_> {
    type Partial = (Vec<Vec<bool>>, Scratch<u64>);

    fn start(&self) -> Self::Partial {
        (vec![Vec::new(); self.rooms.len()], scratch())
    }

    fn scan(&self, (used, codes): &mut Self::Partial, chunk: &Chunk<'_>) {
        let used = &mut used[chunk.segment()];
        used.resize(self.rooms[chunk.segment()], false);
        for code in chunk.ordinals(&self.codes, codes) {
            used[super::decode::index(*code)] = true;
        }
    }

    fn merge(&self, (into, _): &mut Self::Partial, (other, _): Self::Partial) {
        for (into, other) in into.iter_mut().zip(other) {
            if into.is_empty() {
                *into = other;
            } else {
                into.iter_mut().zip(other).for_each(|(into, other)| *into |= other);
            }
        }
    }
}

/// The search for identifiers that stand in several segments.
struct Join<'a> {
    identifiers: &'a [Option<Identifiers<'a>>],
    firsts: &'a [u32],
    used: Option<&'a [Vec<bool>]>,
    state: RandomState,
}

impl Join<'_> {
    /// Each number that isn't kept, and the one that is taken in its place.
    fn aliases(&self, identifiers: usize) -> Vec<(u32, u32)> {
        if self.identifiers.len() < 2 {
            return Vec::new();
        }
        let bits = (identifiers / PART_ENTRIES).max(1).ilog2().min(MAX_PART_BITS);
        // Where a filter leaves identifiers out, nobody knows how many.
        let share = if self.used.is_none() { (identifiers >> bits) / rayon::current_num_threads() } else { 0 };
        let room = share + share / 4;
        let dealt = deal(self.identifiers.len(), |segments| {
            let mut parts: Vec<Vec<Entry>> = (0..1 << bits).map(|_| Vec::with_capacity(room)).collect();
            segments.for_each(|segment| self.deal_segment(segment, bits, &mut parts));
            parts
        });
        let found = deal(1 << bits, |parts| {
            let mut table = Table::default();
            for part in parts {
                table.join(dealt.iter().map(|worker| &worker[part][..]), self);
            }
            table.aliases
        });
        found.into_iter().flatten().collect()
    }

    fn deal_segment(&self, segment: usize, bits: u32, parts: &mut [Vec<Entry>]) {
        let Some(identifiers) = self.identifiers[segment] else { return };
        let used = self.used.map(|used| &used[segment]);
        let seed = self.state.hash_one(0_u64);
        for code in (1..).take(identifiers.distinct()) {
            if used.is_some_and(|used| !used.get(code as usize).copied().unwrap_or_default()) {
                continue;
            }
            let hash = match identifiers.get(u64::from(code)) {
                Some(Identifier::Uuid(uuid)) => hash_uuid(uuid, seed),
                Some(Identifier::Text(text)) => self.state.hash_one(text),
                None => continue,
            };
            let part = hash.checked_shr(u64::BITS - bits).unwrap_or_default();
            let entry = Entry { hash: hash as u32, number: self.firsts[segment] + (code - 1) };
            parts[super::decode::index(part)].push(entry);
        }
    }

    /// The segment and the code there that a number stands for.
    fn place(&self, number: u32) -> (usize, u32) {
        // Of segments without an identifier, which begin where the next one does, the last one is found.
        let segment = self.firsts.partition_point(|first| *first <= number) - 1;
        (segment, number - self.firsts[segment] + 1)
    }

    fn are_same(&self, left: &Entry, right: &Entry) -> bool {
        let identifier = |entry: &Entry| {
            let (segment, code) = self.place(entry.number);
            self.identifiers[segment].and_then(|all| all.get(u64::from(code)))
        };
        left.hash == right.hash && identifier(left) == identifier(right)
    }
}

/// A multiplication folded: every bit of the UUID reaches every bit of the hash (as in wyhash).
fn hash_uuid(uuid: u128, seed: u64) -> u64 {
    let (low, high) = (uuid as u64, (uuid >> 64) as u64);
    let product = u128::from(low ^ seed) * u128::from(high ^ 0x9E37_79B9_7F4A_7C15);
    (product as u64) ^ ((product >> 64) as u64)
}

/// An open-addressing table of a part's identifiers that may be the same as another.
#[derive(Debug, Default)]
struct Table {
    /// For each hash's place, whether there is one, and whether there is another.
    met: Vec<[u64; 2]>,
    entries: Vec<Entry>,
    /// Place among the entries + 1; 0 is free.
    slots: Vec<u32>,
    /// Entries that are the same as an earlier one, with it.
    same: Vec<(u32, u32)>,
    aliases: Vec<(u32, u32)>,
}

impl Table {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a part has fewer than 2^32 identifiers, and the slot is masked"
    )]
    fn join<'a>(&mut self, part: impl Iterator<Item = &'a [Entry]> + Clone, join: &Join<'_>) {
        let count: usize = part.clone().map(<[Entry]>::len).sum();
        let words = (count * BITS_PER_ENTRY / 64).next_power_of_two();
        let place = |entry: &Entry| ((entry.hash >> 6) as usize & (words - 1), 1_u64 << (entry.hash & 63));
        self.met.clear();
        self.met.resize(words, [0; 2]);
        for entry in part.clone().flatten() {
            let (word, bit) = place(entry);
            let [once, again] = &mut self.met[word];
            *again |= *once & bit;
            *once |= bit;
        }
        let met = &self.met;
        let is_met_again = |entry: &&Entry| {
            let (word, bit) = place(entry);
            met[word][1] & bit != 0
        };
        self.entries.clear();
        self.entries.extend(part.flatten().filter(is_met_again));
        let room = (self.entries.len() * 2).next_power_of_two();
        self.slots.clear();
        self.slots.resize(room, 0);
        self.same.clear();
        for (place, entry) in self.entries.iter().enumerate() {
            let mut at = entry.hash as usize & (room - 1);
            loop {
                match self.slots[at] {
                    0 => {
                        self.slots[at] = place as u32 + 1;
                        break;
                    }
                    known if join.are_same(&self.entries[known as usize - 1], entry) => {
                        self.same.push((known - 1, place as u32));
                        break;
                    }
                    _ => at = (at + 1) & (room - 1),
                }
            }
        }
        self.same.sort_unstable();
        for same in self.same.chunk_by(|left, right| left.0 == right.0) {
            let places = || [same[0].0].into_iter().chain(same.iter().map(|(_, place)| *place));
            let numbers = || places().map(|place| self.entries[place as usize].number);
            let least = numbers().min().unwrap_or_default();
            self.aliases.extend(numbers().filter(|number| *number != least).map(|number| (number, least)));
        }
    }
}

impl Events<'_> {
    /// The numbering of the sessions' identifiers for an input of these events, remembered. That of all rows serves for any part of them, so
    /// that it is made of all where several filters want it; of others, that of the last filter is known.
    pub(super) fn numbering(&self, input: &Input<'_>, column: usize) -> Numbering {
        match self.known().sessions.get() {
            Some(known) => known.clone(),
            None if self.is_shared || input.selection().covers_all() => {
                self.known().sessions.get_or_init(|| numbering(input, column, true)).clone()
            }
            // A part has fewer sessions than the filter covers in the whole.
            None if !self.is_whole() => numbering(input, column, false),
            None => {
                let known = || self.known().covered_sessions.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some((_, numbering)) = known().as_ref().filter(|(filter, _)| filter == input.filter()) {
                    return numbering.clone();
                }
                // Made without the lock: whoever makes it works with others' threads, which may ask for one too.
                let numbering = numbering(input, column, false);
                *known() = Some((input.filter().clone(), numbering.clone()));
                numbering
            }
        }
    }
}
