//! Quorum arithmetic: how many make a decision, and how many prove that one honest member is among them.
//!
//! Source: chapter 50, section 1.5 (rules of the reference client from klaytn 1.12).

/// Members that may fail without breaking agreement: `ceil(n / 3) - 1`, 0 for an empty set.
pub const fn tolerated(n: u32) -> u32 {
    n.div_ceil(3).saturating_sub(1)
}

/// Votes that decide while the protocol runs: everybody below 4 members, else two thirds rounded up.
pub const fn live(n: u32) -> u32 {
    if n < 4 { n } else { two_thirds(n) }
}

/// `ceil(2n / 3)`. Two sets of this size share more than [`tolerated`] members for every `n`.
pub const fn two_thirds(n: u32) -> u32 {
    // Within range: the result is at most `n`.
    ((2 * n as u64).div_ceil(3)) as u32
}

/// Votes that prove an honest member among them.
pub const fn weak(n: u32) -> u32 {
    tolerated(n) + 1
}

/// Seals that the reference client asks for when it imports a block: `2F + 1`.
///
/// Less than [`live`] unless `n` is `3k + 1`; for multiples of three two blocks of one height can become importable
/// (chapter 50, section 3.3 b).
pub const fn import(n: u32) -> u32 {
    2 * tolerated(n) + 1
}

#[cfg(test)]
mod tests {
    use super::{import, live, tolerated, two_thirds, weak};

    #[test]
    fn the_table_of_the_reference() {
        let table = [
            (1, 1, 0, 1),
            (2, 2, 0, 1),
            (3, 3, 0, 1),
            (4, 3, 1, 3),
            (5, 4, 1, 3),
            (6, 4, 1, 3),
            (7, 5, 2, 5),
            (8, 6, 2, 5),
            (9, 6, 2, 5),
            (10, 7, 3, 7),
            (13, 9, 4, 9),
            (19, 13, 6, 13),
            (22, 15, 7, 15),
            (31, 21, 10, 21),
            (33, 22, 10, 21),
            (50, 34, 16, 33),
        ];
        for (n, q, f, i) in table {
            assert_eq!((live(n), tolerated(n), import(n), weak(n)), (q, f, i, f + 1), "n = {n}");
        }
    }

    #[test]
    fn two_quorums_share_an_honest_member() {
        for n in 1..1000 {
            let overlap = (2 * two_thirds(n)).saturating_sub(n);
            assert!(overlap > tolerated(n), "n = {n}");
            assert!(
                live(n) <= n - if n < 4 { 0 } else { tolerated(n) },
                "n = {n}: a quorum must exist without the faulty"
            );
        }
    }

    #[test]
    fn the_import_threshold_is_lower_unless_n_is_3k_plus_1() {
        for n in 4..1000 {
            assert_eq!(import(n) < live(n), n % 3 != 1, "n = {n}");
        }
    }

    #[test]
    fn the_largest_set_does_not_overflow() {
        assert_eq!(two_thirds(u32::MAX), 2_863_311_530);
        assert_eq!(tolerated(0), 0);
    }
}
