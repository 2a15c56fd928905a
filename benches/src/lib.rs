//! Benchmarks of the crates: a file per crate in `benches/`, figures and commands in the README.
