//! Random transactions through our executor and through revm alone, where the rules are the same: the same result.

#![no_main]

#[path = "../../tests/it/differential/mod.rs"]
mod differential;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| differential::check(bytes));
