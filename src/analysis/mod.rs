//! Analyses: pure kernels, their registry, and the driver that runs them in parallel.
