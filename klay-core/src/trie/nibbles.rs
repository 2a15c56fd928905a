//! Keys as sequences of nibbles, and the hex-prefix form in which a node writes a part of one.

use alloy_primitives::B256;

/// Nibbles of a key of 32 bytes.
pub(super) const KEY_NIBBLES: usize = 64;

/// Nibble `index` of `key`, counted from the high half of the first byte.
pub(super) const fn nibble(key: &[u8], index: usize) -> usize {
    let byte = key[index / 2];
    (if index.is_multiple_of(2) { byte >> 4 } else { byte & 0x0f }) as usize
}

/// `key` with nibble `index` replaced.
pub(super) const fn with_nibble(mut key: B256, index: usize, value: usize) -> B256 {
    let byte = &mut key.0[index / 2];
    let value = (value & 0x0f) as u8;
    *byte = if index.is_multiple_of(2) { (*byte & 0x0f) | (value << 4) } else { (*byte & 0xf0) | value };
    key
}

/// The first `end` nibbles of `key`, the rest zero.
pub(super) fn truncated(mut key: B256, end: usize) -> B256 {
    if end < KEY_NIBBLES {
        if !end.is_multiple_of(2) {
            key.0[end / 2] &= 0xf0;
        }
        key.0[end.div_ceil(2)..].fill(0);
    }
    key
}

/// The first `end` nibbles of `key`, the rest ones: the last key below that prefix.
pub(super) fn filled(mut key: B256, end: usize) -> B256 {
    if end < KEY_NIBBLES {
        if !end.is_multiple_of(2) {
            key.0[end / 2] |= 0x0f;
        }
        key.0[end.div_ceil(2)..].fill(0xff);
    }
    key
}

/// How many nibbles `a` and `b` share from their start.
pub(super) fn common_prefix(a: &[u8], b: &[u8]) -> usize {
    match a.iter().zip(b).position(|(x, y)| x != y) {
        Some(at) => at * 2 + usize::from((a[at] ^ b[at]) < 0x10),
        None => a.len().min(b.len()) * 2,
    }
}

/// Bytes of the hex-prefix form of `nibbles` nibbles.
pub(super) const fn hex_prefix_len(nibbles: usize) -> usize {
    1 + nibbles / 2
}

/// Appends the hex-prefix form of nibbles `from..to` of `key`: a flag nibble (2 for a leaf, plus 1 for an odd count),
/// a zero nibble if the count is even, the nibbles.
pub(super) fn push_hex_prefix(key: &[u8], from: usize, to: usize, leaf: bool, out: &mut Vec<u8>) {
    let flag = if leaf { 0x20 } else { 0x00 };
    let start = if (to - from).is_multiple_of(2) {
        out.push(flag);
        from
    } else {
        out.push(flag | 0x10 | nibble(key, from) as u8);
        from + 1
    };
    if start.is_multiple_of(2) {
        out.extend_from_slice(&key[start / 2..to / 2]);
    } else {
        out.extend((start..to).step_by(2).map(|at| (nibble(key, at) << 4 | nibble(key, at + 1)) as u8));
    }
}

/// Reads a hex-prefix form that stands behind the first `depth` nibbles of `path`.
///
/// Returns whether it is a leaf's, the key with the nibbles put in place (the rest zero) and where they end; `None` if
/// the form is not canonical or reaches beyond 64 nibbles.
pub(super) fn join_hex_prefix(path: &B256, depth: usize, form: &[u8]) -> Option<(bool, B256, usize)> {
    let (&first, rest) = form.split_first()?;
    let odd = first & 0x10 != 0;
    if first & 0xc0 != 0 || (!odd && first & 0x0f != 0) {
        return None;
    }
    let end = depth + usize::from(odd) + rest.len() * 2;
    if end > KEY_NIBBLES {
        return None;
    }
    let mut key = truncated(*path, depth);
    let mut at = depth;
    if odd {
        key = with_nibble(key, at, usize::from(first & 0x0f));
        at += 1;
    }
    if at.is_multiple_of(2) {
        key.0[at / 2..at / 2 + rest.len()].copy_from_slice(rest);
    } else {
        for byte in rest {
            key = with_nibble(key, at, usize::from(byte >> 4));
            key = with_nibble(key, at + 1, usize::from(byte & 0x0f));
            at += 2;
        }
    }
    Some((first & 0x20 != 0, key, end))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn hex_prefix_round_trips(bytes: [u8; 32], a in 0usize..=64, b in 0usize..=64, leaf: bool) {
            let key = B256::from(bytes);
            let (from, to) = (a.min(b), a.max(b));
            let mut form = Vec::new();
            push_hex_prefix(key.as_slice(), from, to, leaf, &mut form);
            prop_assert_eq!(form.len(), hex_prefix_len(to - from));
            prop_assert_eq!(join_hex_prefix(&key, from, &form), Some((leaf, truncated(key, to), to)));
        }

        #[test]
        fn common_prefix_is_where_nibbles_first_differ(bytes: [u8; 32], at in 0usize..64, flip in 1usize..16) {
            let key = B256::from(bytes);
            let other = with_nibble(key, at, nibble(key.as_slice(), at) ^ flip);
            prop_assert_eq!(common_prefix(key.as_slice(), other.as_slice()), at);
        }
    }

    #[test]
    fn a_form_with_a_wrong_flag_or_padding_or_length_is_refused() {
        let path = B256::ZERO;
        assert_eq!(join_hex_prefix(&path, 0, &[]), None);
        assert_eq!(join_hex_prefix(&path, 0, &[0x40]), None);
        assert_eq!(join_hex_prefix(&path, 0, &[0x01, 0x23]), None);
        assert_eq!(join_hex_prefix(&path, 60, &[0x20, 1, 2, 3]), None);
        assert_eq!(join_hex_prefix(&path, 62, &[0x20, 0xab]).unwrap().2, 64);
    }
}
