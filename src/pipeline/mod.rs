//! Loads: sources, log and store tied together, exactly once.
