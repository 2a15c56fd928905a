//! Random transactions end here as they do in revm alone.
//!
//! The fuzz target `against_revm` runs the same comparison for as long as it is let.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

#[path = "differential/mod.rs"]
mod differential;

use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn both_sides_agree(bytes in proptest::collection::vec(any::<u8>(), 0..1500)) {
        differential::check(&bytes);
    }
}
