//! Reasons of reverts.

use alloy_primitives::{U256, hex};

/// The text in `Error(string)`, or what `Panic(uint256)` stands for.
pub(super) fn revert_reason(data: &[u8]) -> Option<Vec<u8>> {
    const ERROR: [u8; 4] = hex!("08c379a0");
    const PANIC: [u8; 4] = hex!("4e487b71");
    let (selector, rest) = data.split_first_chunk::<4>()?;
    let word = |at: usize| rest.get(at..at.checked_add(32)?).map(U256::from_be_slice);
    let small = |at: usize| word(at).and_then(|w| usize::try_from(w).ok());
    match *selector {
        ERROR => {
            let start = small(0)?;
            let len = small(start)?;
            let from = start.checked_add(32)?;
            rest.get(from..from.checked_add(len)?).map(<[u8]>::to_vec)
        }
        PANIC => {
            let code = word(0)?;
            let text = match small(0) {
                Some(0x00) => "generic panic",
                Some(0x01) => "assert(false)",
                Some(0x11) => "arithmetic underflow or overflow",
                Some(0x12) => "division or modulo by zero",
                Some(0x21) => "enum overflow",
                Some(0x22) => "invalid encoded storage byte array accessed",
                Some(0x31) => "out-of-bounds array access; popping on an empty array",
                Some(0x32) => "out-of-bounds access of an array or bytesN",
                Some(0x41) => "out of memory",
                Some(0x51) => "uninitialized function",
                _ => return Some(format!("unknown panic code: {code:#x}").into_bytes()),
            };
            Some(text.as_bytes().to_vec())
        }
        _ => None,
    }
}

/// Bytes as Go's JSON shows them: each byte that is no part of a character becomes U+FFFD by itself.
pub(super) fn go_text(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
    text
}

/// The same in quotes, escaped.
pub(super) fn json_text(bytes: &[u8]) -> String {
    serde_json::Value::String(go_text(bytes)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_of_reverts_are_decoded() {
        let data = hex!(
            "08c379a0"
            "0000000000000000000000000000000000000000000000000000000000000020"
            "0000000000000000000000000000000000000000000000000000000000000004"
            "6e6f706500000000000000000000000000000000000000000000000000000000"
        );
        assert_eq!(revert_reason(&data).as_deref(), Some(&b"nope"[..]));
        assert_eq!(revert_reason(&data[..40]), None);
        let panic = [&hex!("4e487b71")[..], &U256::from(0x11).to_be_bytes::<32>()].concat();
        assert_eq!(revert_reason(&panic).as_deref(), Some(&b"arithmetic underflow or overflow"[..]));
        assert_eq!(revert_reason(&hex!("994fecf5")), None);
    }

    #[test]
    fn offsets_out_of_range_are_no_reason() {
        let mut data = hex!("08c379a0").to_vec();
        data.extend([0xff; 64]);
        assert_eq!(revert_reason(&data), None);
    }

    #[test]
    fn each_stray_byte_is_replaced_by_itself() {
        assert_eq!(go_text(&hex!("41e282c3a9ff")), "A\u{fffd}\u{fffd}\u{e9}\u{fffd}");
        assert_eq!(json_text(b"a\"b"), "\"a\\\"b\"");
    }
}
