//! What a monitoring system is told: counters of requests and connections, and what log and groups hold.
//!
//! Requests are counted where they are handled, with atomics and no lock. Everything else is read when it is asked for, so
//! that it costs nothing in between.

mod listener;
mod process;
mod report;
mod text;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

pub(super) use listener::serve;

use super::api::{Api, REGISTRY};
use crate::histogram::Histogram;

/// Counters since the broker was started.
#[derive(Debug)]
pub(super) struct Metrics {
    /// In the order of the registry.
    apis: Vec<Requests>,
    pub(super) connections: AtomicU64,
    pub(super) open_connections: AtomicU64,
    pub(super) refused_connections: AtomicU64,
    pub(super) failed_logins: AtomicU64,
}

/// Requests of one API.
#[derive(Debug, Default)]
struct Requests {
    errors: AtomicU64,
    durations: Histogram,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            apis: REGISTRY.iter().map(|_| Requests::default()).collect(),
            connections: AtomicU64::default(),
            open_connections: AtomicU64::default(),
            refused_connections: AtomicU64::default(),
            failed_logins: AtomicU64::default(),
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
        requests.durations.observe(took);
        if !is_answered {
            requests.errors.fetch_add(1, Ordering::Relaxed);
        }
    }
}
