//! Bytes on the broker's socket: guided by coverage under `cargo fuzz`, mutated at random as a program of its own.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| cartlog_fuzz::feed(bytes));

#[cfg(not(fuzzing))]
fn main() -> std::process::ExitCode {
    cartlog_fuzz::run(std::env::args().skip(1))
}
