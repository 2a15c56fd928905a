//! Reading anchored bytes, as strictly as the reference client and with its texts.
//!
//! Source: spec 60, section 1.2; `anchoring_data.go` in the reference client.

use core::fmt;

use klay_core::{
    DecodeError,
    codec::{DecodeErrorKind, Reader},
};

use crate::{
    number::{MAX_NUMBER_LEN, Number},
    record::{Anchor, Digest, Record, TYPE_RECORD},
};

/// Why bytes are not an anchored record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AnchorError {
    /// A wrapper around data of a type that is not known here.
    #[error("unknown anchoring tx type")]
    UnknownType(u8),
    /// Neither a wrapper nor a record.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// Data of type 128 that is not one JSON object.
    #[error("anchored json is not an object")]
    NotAJsonObject,
}

/// Which record was expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// Without wrapper.
    Legacy,
    /// Type 0.
    Record,
}

/// Bytes that are not the record they should be. Prints the reference client's text; [`Self::error`] says where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordError {
    /// The record.
    pub expected: Expected,
    /// What is wrong, and where in the record.
    pub error: DecodeError,
}

/// The parts of the wrapper.
pub(crate) struct Wrapper<'a> {
    pub(crate) kind: u8,
    pub(crate) data: &'a [u8],
}

impl Anchor {
    /// Reads a record of type 0 or one without wrapper, as bridges and `kaia_getDecodedAnchoringTransactionByHash` do.
    ///
    /// Bytes that are not a wrapper are read as a record without one; a wrapper that holds something else is an error.
    ///
    /// ```
    /// use klay_anchor::{Anchor, AnchorError};
    ///
    /// assert_eq!(Anchor::decode(&[]).unwrap_err().to_string(), "EOF");
    /// assert_eq!(Anchor::decode(&[0xc2, 0x07, 0x80]), Err(AnchorError::UnknownType(7)));
    /// ```
    ///
    /// # Errors
    /// If the bytes hold no such record.
    pub fn decode(bytes: &[u8]) -> Result<Self, AnchorError> {
        match Wrapper::decode(bytes) {
            Err(_) => Ok(Self::Legacy(decode_legacy(bytes)?)),
            Ok(Wrapper { kind: TYPE_RECORD, data }) => Ok(Self::Record(decode_record(data)?)),
            Ok(Wrapper { kind, .. }) => Err(AnchorError::UnknownType(kind)),
        }
    }
}

impl<'a> Wrapper<'a> {
    pub(crate) fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let mut list = reader.list("anchor")?;
        let wrapper = Wrapper { kind: list.u8("type")?, data: list.bytes("data")? };
        list.end("anchor")?;
        reader.end("anchor")?;
        Ok(wrapper)
    }
}

pub(crate) fn decode_legacy(bytes: &[u8]) -> Result<Digest, RecordError> {
    decode_list(bytes, read_digest).map_err(|error| RecordError { expected: Expected::Legacy, error })
}

pub(crate) fn decode_record(bytes: &[u8]) -> Result<Record, RecordError> {
    decode_list(bytes, |list| {
        Ok(Record {
            digest: read_digest(list)?,
            block_count: read_number(list, "BlockCount")?,
            tx_count: read_number(list, "TxCount")?,
        })
    })
    .map_err(|error| RecordError { expected: Expected::Record, error })
}

/// The name of the list itself among the fields of an error.
const LIST: &str = "record";

fn decode_list<T>(
    bytes: &[u8],
    read: impl FnOnce(&mut Reader<'_>) -> Result<T, DecodeError>,
) -> Result<T, DecodeError> {
    let mut reader = Reader::new(bytes);
    let mut list = reader.list(LIST)?;
    let value = read(&mut list)?;
    list.end(LIST)?;
    reader.end(LIST)?;
    Ok(value)
}

/// Fields go by the reference client's names, which its texts contain.
fn read_digest(list: &mut Reader<'_>) -> Result<Digest, DecodeError> {
    Ok(Digest {
        block_hash: list.hash("BlockHash")?,
        transactions_root: list.hash("TxHash")?,
        parent_hash: list.hash("ParentHash")?,
        receipts_root: list.hash("ReceiptHash")?,
        state_root: list.hash("StateRootHash")?,
        block_number: read_number(list, "BlockNumber")?,
    })
}

fn read_number(list: &mut Reader<'_>, field: &'static str) -> Result<Number, DecodeError> {
    let at = list.offset();
    let bytes = list.bytes(field)?;
    if bytes.first() == Some(&0) {
        return Err(DecodeError::new(field, at, DecodeErrorKind::LeadingZero));
    }
    if bytes.len() > MAX_NUMBER_LEN {
        let kind = DecodeErrorKind::IntegerTooLarge { max: MAX_NUMBER_LEN, got: bytes.len() };
        return Err(DecodeError::new(field, at, kind));
    }
    Ok(Number::from_minimal(bytes))
}

impl std::error::Error for RecordError {}

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let record = match self.expected {
            Expected::Legacy => "types.AnchoringDataLegacy",
            Expected::Record => "types.AnchoringDataInternalType0",
        };
        let field = self.error.field;
        let is_list = field == LIST;
        let is_hash = !is_list && !matches!(field, "BlockNumber" | "BlockCount" | "TxCount");
        let problem = match &self.error.kind {
            DecodeErrorKind::Missing => return f.write_str("EOF"),
            DecodeErrorKind::TooFew => return write!(f, "rlp: too few elements for {record}"),
            DecodeErrorKind::Trailing { .. } => return f.write_str("rlp: input contains more than one value"),
            DecodeErrorKind::TooMany { .. } => return write!(f, "rlp: input list has too many elements for {record}"),
            DecodeErrorKind::NonCanonicalSize if is_hash => {
                return f.write_str("rlp: non-canonical size information");
            }
            DecodeErrorKind::NonCanonicalSize => "non-canonical size information",
            DecodeErrorKind::ExpectedList => "expected input list",
            DecodeErrorKind::ExpectedString => "expected input string or byte",
            DecodeErrorKind::LeadingZero => "non-canonical integer (leading zero bytes)",
            DecodeErrorKind::WrongLength { expected, got } if got > expected => "input string too long",
            DecodeErrorKind::WrongLength { .. } => "input string too short",
            other => return write!(f, "{other}"),
        };
        match (is_list, is_hash) {
            (true, _) => write!(f, "rlp: {problem} for {record}"),
            (_, true) => write!(f, "rlp: {problem} for common.Hash, decoding into ({record}).{field}"),
            (_, false) => write!(f, "rlp: {problem} for *big.Int, decoding into ({record}).{field}"),
        }
    }
}
