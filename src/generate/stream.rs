//! The events of all sessions as one stream in the order of time, made slice by slice.
//!
//! A slice is a stretch of time in which a fixed number of sessions starts. Slices are made in waves, two steps each:
//! first all slices of the wave walk through the sessions that start in them, in parallel, and put each event into the
//! slice that its time falls into, their own or a later one; then all slices of the wave, which now have everything that
//! is theirs, sort and render, in parallel. What belongs to later waves waits. Sessions keep their order on the way, so
//! that a stable sort by second makes the order of events total, and neither the width of a wave nor the number of
//! threads shows in the result.

use std::collections::BTreeMap;

use rayon::prelude::*;

use super::catalogue::Catalogue;
use super::random::hash;
use super::render::render;
use super::rhythm::Rhythm;
use super::session::{Event, Shoppers, walk};

/// Sessions that start in one slice: about 39,000 events, 5 MB of CSV.
const SESSIONS_PER_SLICE: u64 = 8192;
/// Events of a session on average.
const EVENTS_PER_SESSION: f64 = 4.8;

/// Everything that the seed and the sizes fix, shared by all threads.
#[derive(Debug)]
pub(super) struct Model {
    sessions_key: u64,
    names_key: u64,
    rhythm: Rhythm,
    shoppers: Shoppers,
    catalogue: Catalogue,
}

impl Model {
    pub(super) fn new(seed: u64, events_per_day: u64, users: u32, products: u32) -> Self {
        Self {
            sessions_key: hash(seed, 0x5345_5353),
            names_key: hash(seed, 0x5555_4944),
            rhythm: Rhythm::new(events_per_day as f64 / EVENTS_PER_SESSION),
            shoppers: Shoppers::new(seed, users),
            catalogue: Catalogue::new(seed, products),
        }
    }

    /// The events of the sessions that start in a slice, by the slice they belong to.
    fn walk_slice(&self, slice: u64) -> BTreeMap<u64, Vec<Event>> {
        let mut by_slice: BTreeMap<u64, Vec<Event>> = BTreeMap::new();
        let mut own = Vec::with_capacity(SESSIONS_PER_SLICE as usize * 5);
        let first = slice * SESSIONS_PER_SLICE;
        // Where the slice ends, so that most events need no look at the rhythm.
        let end = self.rhythm.seconds((first + SESSIONS_PER_SLICE) as f64) - 1.0;
        for session in first..first + SESSIONS_PER_SLICE {
            let start = |bits| self.rhythm.instant_between(first as f64, SESSIONS_PER_SLICE as f64, bits);
            walk(self.sessions_key, session, start, &self.shoppers, &self.catalogue, |event| {
                if f64::from(event.second) < end {
                    own.push(event);
                } else {
                    by_slice.entry(self.slice_of(event.second).max(slice)).or_default().push(event);
                }
            });
        }
        // Events near the end were set aside above: a stable sort by second, later, needs only that sessions that share
        // a second keep an order that does not depend on the run, and they do.
        by_slice.entry(slice).or_default().append(&mut own);
        by_slice
    }

    fn slice_of(&self, second: u32) -> u64 {
        (self.rhythm.arrivals(f64::from(second)) / SESSIONS_PER_SLICE as f64) as u64
    }
}

/// The stream, wave by wave.
#[derive(Debug)]
pub(super) struct Stream<'model> {
    model: &'model Model,
    next_slice: u64,
    events_left: u64,
    waiting: BTreeMap<u64, Vec<Event>>,
}

impl<'model> Stream<'model> {
    /// The first `events` events.
    pub(super) fn new(model: &'model Model, events: u64) -> Self {
        Self { model, next_slice: 0, events_left: events, waiting: BTreeMap::new() }
    }

    /// The next `width` slices as CSV with their numbers of events; nothing when all events are made.
    pub(super) fn next_wave(&mut self, width: u64) -> Vec<(u64, Vec<u8>)> {
        if self.events_left == 0 {
            return Vec::new();
        }
        let slices: Vec<u64> = (self.next_slice..self.next_slice + width).collect();
        self.next_slice += width;
        let walked: Vec<BTreeMap<u64, Vec<Event>>> =
            slices.par_iter().map(|&slice| self.model.walk_slice(slice)).collect();
        for (slice, mut events) in walked.into_iter().flatten() {
            self.waiting.entry(slice).or_default().append(&mut events);
        }
        let mut ready: Vec<Vec<Event>> =
            slices.iter().map(|slice| self.waiting.remove(slice).unwrap_or_default()).collect();
        ready.par_iter_mut().for_each(|events| events.sort_by_key(|event| event.second));
        for events in &mut ready {
            let kept = self.events_left.min(events.len() as u64);
            events.truncate(kept as usize);
            self.events_left -= kept;
        }
        ready
            .par_iter()
            .map(|events| (events.len() as u64, render(self.model.names_key, &self.model.catalogue, events)))
            .collect()
    }
}
