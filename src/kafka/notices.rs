//! What the client has to tell while it goes on: a request that keeps failing, a wait for somebody else.
//!
//! A job that stands still must say why, and an error would be too much: it may go on in a moment. Requests run on many
//! tasks at once, so what they tell is gathered here, a notice of a kind every some seconds, for whoever has a user to
//! show it to.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The time between two notices of one kind.
const PAUSE: Duration = Duration::from_secs(10);

/// Notices that wait to be shown. Cloning shares them.
///
/// ```
/// let notices = cartlog::kafka::Notices::default();
/// notices.tell("retry", || "producing to clicks/3 fails; trying again".to_owned());
/// notices.tell("retry", || "producing to clicks/4 fails; trying again".to_owned());
/// assert_eq!(notices.take(), ["producing to clicks/3 fails; trying again"]);
/// assert!(notices.take().is_empty());
/// ```
#[derive(Debug, Clone, Default)]
pub struct Notices(Arc<Mutex<Told>>);

#[derive(Debug, Default)]
struct Told {
    waiting: Vec<String>,
    last: HashMap<&'static str, Instant>,
}

impl Notices {
    /// Keeps a notice to be shown, unless one of its kind was told in the last ten seconds.
    pub fn tell(&self, kind: &'static str, notice: impl FnOnce() -> String) {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if told.last.get(kind).is_none_or(|last| last.elapsed() >= PAUSE) {
            let notice = notice();
            tracing::warn!("{notice}");
            told.waiting.push(notice);
            told.last.insert(kind, Instant::now());
        }
    }

    /// The notices that nobody has taken yet.
    #[must_use]
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner).waiting)
    }
}
