//! What the broker must bear: any bytes, on any connection.
//!
//! An input is what one client sends before it closes its side. The broker may answer or close the connection. It may not
//! panic, answer with a broken frame, stall a healthy client, or leave a log behind that doesn't pass its own check.

mod bench;
mod numbers;
mod program;

use std::sync::{Mutex, Once, PoisonError};

use bench::Bench;
pub use program::run;

static BENCH: Mutex<Option<Bench>> = Mutex::new(None);
/// The input that is being judged, for the one who looks into a panic.
static CURRENT: Mutex<Vec<u8>> = Mutex::new(Vec::new());
static HOOK: Once = Once::new();

/// Gives an input to the broker, which is started by the first one.
///
/// # Panics
/// When the broker does what it may not. A panic anywhere in the process ends it, after the input was written to a file
/// `crash-…` (by libFuzzer or here).
pub fn feed(bytes: &[u8]) {
    HOOK.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            usual(panic);
            if !cfg!(fuzzing) {
                keep_current();
            }
            std::process::abort();
        }));
    });
    let mut current = CURRENT.lock().unwrap_or_else(PoisonError::into_inner);
    current.clear();
    current.extend_from_slice(bytes);
    drop(current);
    BENCH.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(Bench::start).feed(bytes);
}

fn keep_current() {
    let path = format!("crash-{}", std::process::id());
    let written = std::fs::write(&path, &*CURRENT.lock().unwrap_or_else(PoisonError::into_inner));
    match written {
        Ok(()) => eprintln!("the input is in {path}; give it as an argument to repeat it"),
        Err(error) => eprintln!("the input could not be written to {path}: {error}"),
    }
}
