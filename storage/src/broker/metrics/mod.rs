//! What a monitoring system is told: counters of requests and connections, and what log and groups hold.
//!
//! Requests are counted where they are handled, with atomics and no lock. Everything else is read when it is asked for, so
//! that it costs nothing in between.

mod listener;
mod text;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

pub(super) use listener::serve;

use super::api::{Api, REGISTRY};

/// The upper bounds of the histograms of durations, in microseconds; one more holds what is above.
const BOUNDS_US: [u64; 10] = [100, 250, 500, 1000, 2500, 5000, 10_000, 50_000, 250_000, 1_000_000];

/// Counters since the broker was started.
#[derive(Debug)]
pub(super) struct Metrics {
    /// In the order of the registry.
    apis: Vec<Requests>,
    pub(super) connections: AtomicU64,
    pub(super) open_connections: AtomicU64,
    pub(super) refused_connections: AtomicU64,
}

/// Requests of one API.
#[derive(Debug, Default)]
struct Requests {
    errors: AtomicU64,
    total_us: AtomicU64,
    /// Those of each duration; the last is beyond all bounds.
    buckets: [AtomicU64; BOUNDS_US.len() + 1],
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            apis: REGISTRY.iter().map(|_| Requests::default()).collect(),
            connections: AtomicU64::new(0),
            open_connections: AtomicU64::new(0),
            refused_connections: AtomicU64::new(0),
        }
    }
}

impl Metrics {
    /// Counts a request whose answer is ready, or that can't be answered.
    pub(super) fn handled(&self, api: &'static Api, took: Duration, is_answered: bool) {
        let at = REGISTRY.iter().position(|other| other.key == api.key);
        let Some(requests) = at.and_then(|at| self.apis.get(at)) else {
            return;
        };
        let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        requests.buckets[BOUNDS_US.partition_point(|bound| *bound < took_us)].fetch_add(1, Ordering::Relaxed);
        requests.total_us.fetch_add(took_us, Ordering::Relaxed);
        if !is_answered {
            requests.errors.fetch_add(1, Ordering::Relaxed);
        }
    }
}
