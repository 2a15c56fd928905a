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
use rlp::{DecoderError, PayloadInfo};

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
    /// An item says that it is longer than what is left.
    #[error("rlp: value size exceeds available input length")]
    TooShort,
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
    #[error("rlp: integer of {got} bytes does not fit {max}")]
    IntegerTooLarge {
        /// Bytes of the field.
        max: usize,
        /// Bytes found.
        got: usize,
    },
    /// A string of fixed length with another length.
    #[error("rlp: string of {got} bytes where {expected} are needed")]
    WrongLength {
        /// Bytes of the field.
        expected: usize,
        /// Bytes found.
        got: usize,
    },
    /// A string longer than its field allows.
    #[error("rlp: string of {got} bytes exceeds {max}")]
    TooLong {
        /// Most bytes allowed.
        max: usize,
        /// Bytes found.
        got: usize,
    },
    /// Bytes after the last element.
    #[error("rlp: {count} bytes after the last element")]
    Trailing {
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
}

impl<'a> Reader<'a> {
    /// Starts at the first byte of `input`.
    pub const fn new(input: &'a [u8]) -> Self {
        Self { rest: input, offset: 0 }
    }

    /// Starts at the first byte of `input`, which stands `offset` bytes into a larger one.
    pub const fn at(input: &'a [u8], offset: usize) -> Self {
        Self { rest: input, offset }
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
            return Err(self.error(field, DecodeErrorKind::Missing));
        };
        let info = PayloadInfo::from(self.rest).map_err(|e| self.error(field, kind_of(&e)))?;
        let total = info
            .header_len
            .checked_add(info.value_len)
            .filter(|total| *total <= self.rest.len())
            .ok_or_else(|| self.error(field, DecodeErrorKind::TooShort))?;
        let (raw, rest) = self.rest.split_at(total);
        let payload = &raw[info.header_len..];
        if first == 0x81 && payload[0] < 0x80 {
            return Err(self.error(field, DecodeErrorKind::NonCanonicalSize));
        }
        let item =
            Item { is_list: first >= 0xc0, payload, raw, payload_offset: self.offset + info.header_len, offset: self.offset };
        self.rest = rest;
        self.offset += total;
        Ok(item)
    }

    /// Reads a list and returns a cursor over its elements.
    ///
    /// # Errors
    /// If the next item is not a canonical list.
    pub fn list(&mut self, field: &'static str) -> Result<Reader<'a>, DecodeError> {
        let item = self.item(field)?;
        if !item.is_list {
            return Err(DecodeError::new(field, item.offset, DecodeErrorKind::ExpectedList));
        }
        Ok(Reader { rest: item.payload, offset: item.payload_offset })
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
        <[u8; N]>::try_from(bytes).map_err(|_| {
            DecodeError::new(field, at, DecodeErrorKind::WrongLength { expected: N, got: bytes.len() })
        })
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
        Err(self.error(field, DecodeErrorKind::Trailing { count: self.rest.len() }))
    }
}

const fn kind_of(error: &DecoderError) -> DecodeErrorKind {
    match error {
        DecoderError::RlpIsTooShort => DecodeErrorKind::TooShort,
        DecoderError::RlpIsTooBig => DecodeErrorKind::TooShort,
        _ => DecodeErrorKind::NonCanonicalSize,
    }
}
