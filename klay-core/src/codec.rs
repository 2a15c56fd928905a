//! Strict RLP: a cursor that knows where it is.
//!
//! Item headers are split by [`rlp::PayloadInfo`]; this module adds what a decoder of consensus bytes needs on top:
//! no byte may follow the last element, integers have no leading zero, a byte below `0x80` stands for itself, and each
//! error names the field and the offset from the start of the input.
//!
//! ```
//! use klay_core::codec::Reader;
//!
//! let mut outer = Reader::new(&[0xc2, 0x05, 0x80]);
//! let mut list = outer.list("pair")?;
//! assert_eq!(list.u64("first")?, 5);
//! assert_eq!(list.u64("second")?, 0);
//! list.end("pair")?;
//! outer.end("input")?;
//! # Ok::<_, klay_core::DecodeError>(())
//! ```

use alloy_primitives::{Address, B256, U256};
use rlp::{DecoderError, PayloadInfo, RlpStream};

/// Why bytes were not accepted: what, where, and how it is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} ({field}, byte {offset})")]
pub struct DecodeError {
    /// The element that was being read.
    pub field: &'static str,
    /// Distance in bytes from the start of the input to the offending item.
    pub offset: usize,
    /// What is wrong with it.
    pub kind: DecodeErrorKind,
}

/// The ways in which bytes are not a canonical encoding.
///
/// Texts that the reference client also gives are the same here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeErrorKind {
    /// Nothing left where an item must stand.
    #[error("EOF")]
    Missing,
    /// A list that ends where another element must stand.
    #[error("rlp: too few elements")]
    TooFew,
    /// An item says that it is longer than the input.
    #[error("rlp: value size exceeds available input length")]
    TooShort,
    /// An element says that it is longer than the list around it.
    #[error("rlp: element is larger than containing list")]
    LargerThanList,
    /// A string where a list must stand.
    #[error("rlp: expected List")]
    ExpectedList,
    /// A list where a string must stand.
    #[error("rlp: expected String or Byte")]
    ExpectedString,
    /// A length or a single byte in a longer form than necessary.
    #[error("rlp: non-canonical size information")]
    NonCanonicalSize,
    /// An integer with leading zero bytes.
    #[error("rlp: non-canonical integer (leading zero bytes)")]
    LeadingZero,
    /// An integer that needs more bits than its field has.
    #[error("rlp: input string too long for an integer of {max} bytes: {got}")]
    IntegerTooLarge {
        /// Bytes of the field.
        max: usize,
        /// Bytes found.
        got: usize,
    },
    /// A string of fixed length with another length.
    #[error("rlp: input string too {}: {got} bytes where {expected} are needed", if .got < .expected { "short" } else { "long" })]
    WrongLength {
        /// Bytes of the field.
        expected: usize,
        /// Bytes found.
        got: usize,
    },
    /// A string longer than its field allows.
    #[error("rlp: input string too long: {got} bytes where at most {max} are allowed")]
    TooLong {
        /// Most bytes allowed.
        max: usize,
        /// Bytes found.
        got: usize,
    },
    /// Bytes after the end of the input.
    #[error("rlp: input contains more than one value: {count} bytes follow")]
    Trailing {
        /// How many.
        count: usize,
    },
    /// Bytes after the last element of a list.
    #[error("rlp: input list has too many elements: {count} bytes follow the last")]
    TooMany {
        /// How many.
        count: usize,
    },
    /// A boolean other than 0 and 1.
    #[error("rlp: invalid boolean value: {0}")]
    InvalidBool(u64),
    /// A list with more elements than allowed.
    #[error("rlp: list of more than {max} elements")]
    TooManyElements {
        /// Most elements allowed.
        max: usize,
    },
    /// A transaction type that does not exist or that the chain does not carry.
    #[error("undefined tx type")]
    UndefinedTxType(u64),
    /// Signature values outside the curve's range, or lists that do not belong together.
    #[error("invalid transaction v, r, s values")]
    InvalidSignature,
    /// An account key that does not parse.
    #[error("key is not serializable")]
    UnserializableKey,
    /// An account key type that does not exist.
    #[error("undefined account key type")]
    UndefinedAccountKeyType(u8),
    /// An account type that does not exist.
    #[error("undefined account type")]
    UndefinedAccountType(u8),
    /// A value that the field cannot hold for a reason of its own.
    #[error("{0}")]
    Invalid(&'static str),
}

impl DecodeError {
    /// An error about `field`, `offset` bytes into the input.
    pub const fn new(field: &'static str, offset: usize, kind: DecodeErrorKind) -> Self {
        Self { field, offset, kind }
    }

    /// The same error seen from an input in which this one starts at `base`.
    #[must_use]
    pub const fn at(mut self, base: usize) -> Self {
        self.offset += base;
        self
    }
}

/// One RLP item, split but not interpreted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Item<'a> {
    /// Whether the item is a list.
    pub is_list: bool,
    /// The content without the header.
    pub payload: &'a [u8],
    /// Header and content.
    pub raw: &'a [u8],
    /// Offset of `payload` from the start of the input.
    pub payload_offset: usize,
    /// Offset of `raw` from the start of the input.
    pub offset: usize,
}

/// A cursor over a sequence of RLP items.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    rest: &'a [u8],
    offset: usize,
    in_list: bool,
}

impl<'a> Reader<'a> {
    /// Starts at the first byte of `input`.
    pub const fn new(input: &'a [u8]) -> Self {
        Self { rest: input, offset: 0, in_list: false }
    }

    /// Starts at the first byte of `input`, which stands `offset` bytes into a larger one.
    pub const fn at(input: &'a [u8], offset: usize) -> Self {
        Self { rest: input, offset, in_list: false }
    }

    /// Whether every byte is read.
    pub const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Bytes not yet read.
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Offset of the next byte from the start of the input.
    pub const fn offset(&self) -> usize {
        self.offset
    }

    /// Whether the next item is a list; `false` at the end.
    pub fn next_is_list(&self) -> bool {
        self.rest.first().is_some_and(|b| *b >= 0xc0)
    }

    /// Builds an error at the current position.
    pub const fn error(&self, field: &'static str, kind: DecodeErrorKind) -> DecodeError {
        DecodeError::new(field, self.offset, kind)
    }

    /// Reads one item of either kind.
    ///
    /// # Errors
    /// If nothing is left, or the item is cut off or not canonical.
    pub fn item(&mut self, field: &'static str) -> Result<Item<'a>, DecodeError> {
        let Some(first) = self.rest.first().copied() else {
            return Err(
                self.error(field, if self.in_list { DecodeErrorKind::TooFew } else { DecodeErrorKind::Missing })
            );
        };
        let info = PayloadInfo::from(self.rest).map_err(|e| self.error(field, self.kind_of(&e)))?;
        let (raw, rest) = info
            .header_len
            .checked_add(info.value_len)
            .and_then(|total| self.rest.split_at_checked(total))
            .ok_or_else(|| self.error(field, self.cut_off()))?;
        let payload = &raw[info.header_len..];
        if first == 0x81 && payload[0] < 0x80 {
            return Err(self.error(field, DecodeErrorKind::NonCanonicalSize));
        }
        let total = raw.len();
        let item = Item {
            is_list: first >= 0xc0,
            payload,
            raw,
            payload_offset: self.offset + info.header_len,
            offset: self.offset,
        };
        self.rest = rest;
        self.offset += total;
        Ok(item)
    }

    /// Reads a list and returns a cursor over its elements.
    ///
    /// # Errors
    /// If the next item is not a canonical list.
    pub fn list(&mut self, field: &'static str) -> Result<Self, DecodeError> {
        let item = self.item(field)?;
        if !item.is_list {
            return Err(DecodeError::new(field, item.offset, DecodeErrorKind::ExpectedList));
        }
        Ok(Self { rest: item.payload, offset: item.payload_offset, in_list: true })
    }

    /// Reads a string.
    ///
    /// # Errors
    /// If the next item is not a canonical string.
    pub fn bytes(&mut self, field: &'static str) -> Result<&'a [u8], DecodeError> {
        let item = self.item(field)?;
        if item.is_list {
            return Err(DecodeError::new(field, item.offset, DecodeErrorKind::ExpectedString));
        }
        Ok(item.payload)
    }

    /// Reads a string of exactly `N` bytes.
    ///
    /// # Errors
    /// If the next item is not a string of that length.
    pub fn fixed<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], DecodeError> {
        let at = self.offset;
        let bytes = self.bytes(field)?;
        <[u8; N]>::try_from(bytes)
            .map_err(|_| DecodeError::new(field, at, DecodeErrorKind::WrongLength { expected: N, got: bytes.len() }))
    }

    /// Reads a 20-byte address.
    ///
    /// # Errors
    /// If the next item is not a string of 20 bytes.
    pub fn address(&mut self, field: &'static str) -> Result<Address, DecodeError> {
        self.fixed::<20>(field).map(Address::from)
    }

    /// Reads a 20-byte address or the empty string for none.
    ///
    /// # Errors
    /// If the next item is a list or a string of another length.
    pub fn opt_address(&mut self, field: &'static str) -> Result<Option<Address>, DecodeError> {
        if self.rest.first() == Some(&0x80) {
            self.bytes(field)?;
            return Ok(None);
        }
        self.address(field).map(Some)
    }

    /// Reads a 32-byte hash.
    ///
    /// # Errors
    /// If the next item is not a string of 32 bytes.
    pub fn hash(&mut self, field: &'static str) -> Result<B256, DecodeError> {
        self.fixed::<32>(field).map(B256::from)
    }

    fn integer(&mut self, field: &'static str, max: usize) -> Result<&'a [u8], DecodeError> {
        let at = self.offset;
        let bytes = self.bytes(field)?;
        if bytes.first() == Some(&0) {
            return Err(DecodeError::new(field, at, DecodeErrorKind::LeadingZero));
        }
        if bytes.len() > max {
            return Err(DecodeError::new(field, at, DecodeErrorKind::IntegerTooLarge { max, got: bytes.len() }));
        }
        Ok(bytes)
    }

    /// Reads an unsigned integer of at most 64 bits.
    ///
    /// # Errors
    /// If the next item is not a canonical integer of that size.
    pub fn u64(&mut self, field: &'static str) -> Result<u64, DecodeError> {
        let bytes = self.integer(field, 8)?;
        Ok(bytes.iter().fold(0, |n, b| n << 8 | u64::from(*b)))
    }

    /// Reads an unsigned integer of at most 8 bits.
    ///
    /// # Errors
    /// If the next item is not a canonical integer of that size.
    pub fn u8(&mut self, field: &'static str) -> Result<u8, DecodeError> {
        let bytes = self.integer(field, 1)?;
        Ok(bytes.first().copied().unwrap_or_default())
    }

    /// Reads an unsigned integer of at most 256 bits.
    ///
    /// # Errors
    /// If the next item is not a canonical integer of that size.
    pub fn u256(&mut self, field: &'static str) -> Result<U256, DecodeError> {
        let bytes = self.integer(field, 32)?;
        Ok(U256::from_be_slice(bytes))
    }

    /// Reads a boolean, 0 or 1.
    ///
    /// # Errors
    /// If the next item is not one of the two.
    pub fn bool(&mut self, field: &'static str) -> Result<bool, DecodeError> {
        let at = self.offset;
        match self.u64(field)? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(DecodeError::new(field, at, DecodeErrorKind::InvalidBool(other))),
        }
    }

    /// Accepts the end of the sequence.
    ///
    /// # Errors
    /// If bytes are left.
    pub const fn end(&self, field: &'static str) -> Result<(), DecodeError> {
        if self.rest.is_empty() {
            return Ok(());
        }
        let count = self.rest.len();
        Err(self.error(
            field,
            if self.in_list { DecodeErrorKind::TooMany { count } } else { DecodeErrorKind::Trailing { count } },
        ))
    }

    const fn cut_off(&self) -> DecodeErrorKind {
        if self.in_list { DecodeErrorKind::LargerThanList } else { DecodeErrorKind::TooShort }
    }

    const fn kind_of(&self, error: &DecoderError) -> DecodeErrorKind {
        match error {
            DecoderError::RlpIsTooShort | DecoderError::RlpIsTooBig => self.cut_off(),
            _ => DecodeErrorKind::NonCanonicalSize,
        }
    }
}

/// Appends the header of a list whose elements take `len` bytes.
pub fn put_list_header(len: usize, out: &mut Vec<u8>) {
    put_header(0xc0, len, out);
}

/// Appends the header of a string of `len` bytes; a single byte below `0x80` has none, see [`put_bytes`].
pub fn put_string_header(len: usize, out: &mut Vec<u8>) {
    put_header(0x80, len, out);
}

/// Appends a string with its header.
pub fn put_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    if !matches!(bytes, [byte] if *byte < 0x80) {
        put_header(0x80, bytes.len(), out);
    }
    out.extend_from_slice(bytes);
}

/// Appends an unsigned integer in as few bytes as possible.
pub fn put_u256(value: U256, out: &mut Vec<u8>) {
    put_bytes(minimal(&value.to_be_bytes::<32>()), out);
}

/// Appends an unsigned integer in as few bytes as possible.
pub fn put_u64(value: u64, out: &mut Vec<u8>) {
    put_bytes(minimal(&value.to_be_bytes()), out);
}

/// Length of `bytes` as an RLP string, header included.
pub const fn string_len(bytes: &[u8]) -> usize {
    match bytes {
        [byte] if *byte < 0x80 => 1,
        _ => header_len(bytes.len()) + bytes.len(),
    }
}

/// Length of the header of a list or string (other than a byte below `0x80`) with a content of `len` bytes.
pub const fn header_len(len: usize) -> usize {
    if len < 56 { 1 } else { 1 + (usize::BITS - len.leading_zeros()).div_ceil(8) as usize }
}

fn put_header(base: u8, len: usize, out: &mut Vec<u8>) {
    if len < 56 {
        out.push(base + len as u8);
        return;
    }
    let bytes = len.to_be_bytes();
    let bytes = minimal(&bytes);
    out.push(base + 55 + bytes.len() as u8);
    out.extend_from_slice(bytes);
}

fn minimal(bytes: &[u8]) -> &[u8] {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    &bytes[zeros..]
}

/// The element forms of this protocol, for [`rlp::RlpStream`].
pub trait AppendExt {
    /// Appends an unsigned integer.
    fn append_u256(&mut self, value: U256) -> &mut Self;
    /// Appends a string.
    fn append_bytes(&mut self, bytes: &[u8]) -> &mut Self;
    /// Appends an address.
    fn append_address(&mut self, address: Address) -> &mut Self;
    /// Appends an address, or the empty string for none.
    fn append_opt_address(&mut self, address: Option<Address>) -> &mut Self;
    /// Appends a boolean, 0 or 1.
    fn append_bool(&mut self, value: bool) -> &mut Self;
}

impl AppendExt for RlpStream {
    fn append_u256(&mut self, value: U256) -> &mut Self {
        self.append(&minimal(&value.to_be_bytes::<32>()))
    }

    fn append_bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.append(&bytes)
    }

    fn append_address(&mut self, address: Address) -> &mut Self {
        self.append(&address.as_slice())
    }

    fn append_opt_address(&mut self, address: Option<Address>) -> &mut Self {
        self.append(&address.as_ref().map_or(&[][..], |address| address.as_slice()))
    }

    fn append_bool(&mut self, value: bool) -> &mut Self {
        self.append(&u8::from(value))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn put_agrees_with_the_rlp_crate(bytes in proptest::collection::vec(any::<u8>(), 0..300), number: u64) {
            let mut out = Vec::new();
            put_bytes(&bytes, &mut out);
            put_u64(number, &mut out);
            put_u256(U256::from(number), &mut out);
            let mut stream = RlpStream::new();
            stream.append_bytes(&bytes).append(&number).append_u256(U256::from(number));
            prop_assert_eq!(&out[..], &stream.out()[..]);
            prop_assert!(out.len() > string_len(&bytes));
            let mut reader = Reader::new(&out);
            prop_assert_eq!(reader.bytes("bytes").unwrap(), &bytes[..]);
            prop_assert_eq!(reader.u64("number").unwrap(), number);
            prop_assert_eq!(reader.u256("number").unwrap(), U256::from(number));
            reader.end("input").unwrap();
        }

        #[test]
        fn a_reader_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let mut reader = Reader::new(&bytes);
            while let Ok(item) = reader.item("item") {
                prop_assert_eq!(item.raw.len(), reader.offset() - item.offset);
            }
        }
    }

    #[test]
    fn errors_name_field_and_offset() {
        let mut outer = Reader::new(&[0xc3, 0x01, 0x82, 0x00]);
        let mut list = outer.list("pair").unwrap();
        assert_eq!(list.u64("first").unwrap(), 1);
        let error = list.u64("second").unwrap_err();
        assert_eq!((error.field, error.offset, &error.kind), ("second", 2, &DecodeErrorKind::LargerThanList));
        assert_eq!(error.to_string(), "rlp: element is larger than containing list (second, byte 2)");
    }

    #[test]
    fn longer_forms_than_necessary_are_refused() {
        for bytes in [&[0x81, 0x05][..], &[0xb8, 0x01, 0x80], &[0xf8, 0x00], &[0xb9, 0x00, 0x40]] {
            assert_eq!(Reader::new(bytes).item("item").unwrap_err().kind, DecodeErrorKind::NonCanonicalSize);
        }
        assert_eq!(Reader::new(&[0x00]).u64("number").unwrap_err().kind, DecodeErrorKind::LeadingZero);
        assert_eq!(Reader::new(&[0xb8]).item("item").unwrap_err().kind, DecodeErrorKind::TooShort);
        assert_eq!(Reader::new(&[]).item("item").unwrap_err().kind, DecodeErrorKind::Missing);
    }
}
