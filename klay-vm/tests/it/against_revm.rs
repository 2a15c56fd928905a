//! Random transactions end here as they do in revm alone.
//!
//! The fuzz target `against_revm` runs the same comparison for as long as it is let; without its tools,
//!
//! ```text
//! KLAY_CASES=1000000 cargo test --release -p klay-vm --test it against_revm
//! ```

use proptest::prelude::*;

use crate::differential;

/// How many cases are tried.
fn cases() -> u32 {
    std::env::var("KLAY_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(400)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases()) })]

    #[test]
    fn both_sides_agree(bytes in proptest::collection::vec(any::<u8>(), 0..1500)) {
        differential::check(&bytes);
    }
}
