//! Work on several threads, for which nothing has to be set up.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Runs `work(0..count)` on up to `threads` threads and gives the results in order.
pub(crate) fn on_threads<R: Send>(count: usize, threads: usize, work: impl Fn(usize) -> R + Sync) -> Vec<R> {
    let helpers = threads.min(count).saturating_sub(1);
    if helpers == 0 {
        return (0..count).map(work).collect();
    }
    // From the last index down: of columns, identifiers, the longest work, tend to be at the end.
    let left = AtomicUsize::new(count);
    let take = || {
        let mut done = Vec::new();
        while let Ok(before) = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)) {
            done.push((before - 1, work(before - 1)));
        }
        done
    };
    let mut results = thread::scope(|scope| {
        let handles: Vec<_> = (0..helpers).map(|_| scope.spawn(take)).collect();
        let mut results = take();
        for handle in handles {
            match handle.join() {
                Ok(done) => results.extend(done),
                Err(payload) => std::panic::resume_unwind(payload),
            }
        }
        results
    });
    results.sort_unstable_by_key(|&(index, _)| index);
    results.into_iter().map(|(_, result)| result).collect()
}
