//! Writing canonical RLP straight into a buffer whose size is known beforehand.

/// Bytes that a string item of this content takes.
pub(crate) fn string_len(content: &[u8]) -> usize {
    match content {
        [byte] if *byte < 0x80 => 1,
        _ => header_len(content.len()) + content.len(),
    }
}

/// Bytes that a header takes in front of a content of `len` bytes.
pub(crate) const fn header_len(len: usize) -> usize {
    if len < 56 { 1 } else { 1 + len_of_len(len) }
}

/// Writes the header of a list with `len` bytes of elements.
pub(crate) fn put_list(len: usize, out: &mut Vec<u8>) {
    put_header(0xc0, len, out);
}

/// Writes a string item.
pub(crate) fn put_string(content: &[u8], out: &mut Vec<u8>) {
    match content {
        [byte] if *byte < 0x80 => out.push(*byte),
        _ => {
            put_header(0x80, content.len(), out);
            out.extend_from_slice(content);
        }
    }
}

/// A big-endian integer without its leading zeros.
pub(crate) fn trim(big_endian: &[u8]) -> &[u8] {
    let zeros = big_endian.iter().take_while(|byte| **byte == 0).count();
    &big_endian[zeros..]
}

fn put_header(base: u8, len: usize, out: &mut Vec<u8>) {
    if len < 56 {
        out.push(base + len as u8);
    } else {
        out.push(base + 55 + len_of_len(len) as u8);
        out.extend_from_slice(trim(&len.to_be_bytes()));
    }
}

const fn len_of_len(len: usize) -> usize {
    (usize::BITS - len.leading_zeros()).div_ceil(8) as usize
}
