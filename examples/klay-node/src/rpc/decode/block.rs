//! Block parameters.

use alloy_primitives::B256;
use serde_json::value::RawValue;

use super::{Decode, Reason, is_null, json_kind, object, scalar};

/// A block by number or word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockNumber {
    /// The head; also `safe` and `finalized`, as every block is final.
    Latest,
    /// The block being built.
    Pending,
    /// A number; `earliest` is 0, and so is `null`.
    Number(u64),
}

/// A block by number, word or hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockId {
    /// By number or word.
    Number(BlockNumber),
    /// By hash.
    Hash(B256),
    /// An object with neither, or `null`: decodes, and fails in the method.
    Neither,
}

/// How many blocks of fee history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count(pub u64);

fn word(text: &str) -> Option<BlockNumber> {
    Some(match text {
        "latest" | "safe" | "finalized" => BlockNumber::Latest,
        "pending" => BlockNumber::Pending,
        "earliest" => BlockNumber::Number(0),
        _ => return None,
    })
}

/// Content of a JSON string, or the text of anything else.
fn bare(raw: &RawValue) -> &str {
    let text = raw.get();
    text.strip_prefix('"').and_then(|t| t.strip_suffix('"')).unwrap_or(text)
}

fn number(text: &str, too_high: &'static str) -> Result<u64, Reason> {
    if text.is_empty() {
        return Err(Reason::text("empty hex string"));
    }
    let value = scalar::parse_u64(text).map_err(Reason::text)?;
    if value > i64::MAX as u64 {
        return Err(Reason::text(too_high));
    }
    Ok(value)
}

fn is_whole(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

fn whole(text: &str, too_high: &'static str) -> Result<u64, Reason> {
    text.parse::<u64>().ok().filter(|n| *n <= i64::MAX as u64).ok_or_else(|| Reason::text(too_high))
}

impl BlockNumber {
    fn from_text(text: &str, too_high: &'static str) -> Result<Self, Reason> {
        match word(text) {
            Some(word) => Ok(word),
            None => number(text, too_high).map(Self::Number),
        }
    }
}

impl Decode for BlockNumber {
    const GO: &'static str = "rpc.BlockNumber";

    fn decode(raw: &RawValue) -> Result<Self, Reason> {
        const TOO_HIGH: &str = "Blocknumber too high";
        if is_null(raw) {
            return Ok(Self::Number(0));
        }
        if is_whole(raw.get()) {
            return whole(raw.get(), TOO_HIGH).map(Self::Number);
        }
        Self::from_text(bare(raw), TOO_HIGH)
    }
}

impl Decode for BlockId {
    const GO: &'static str = "rpc.BlockNumberOrHash";

    fn decode(raw: &RawValue) -> Result<Self, Reason> {
        const TOO_HIGH: &str = "blocknumber too high";
        match json_kind(raw) {
            "null" => Ok(Self::Neither),
            "string" if bare(raw).len() == 66 => {
                let hash = B256::decode(raw).map_err(|reason| match reason {
                    Reason::Kind { found, .. } => Reason::Text(found),
                    text => text,
                })?;
                Ok(Self::Hash(hash))
            }
            "string" => BlockNumber::from_text(bare(raw), TOO_HIGH).map(Self::Number),
            "number" if is_whole(raw.get()) => whole(raw.get(), TOO_HIGH).map(|n| Self::Number(BlockNumber::Number(n))),
            "object" => from_object(raw),
            kind => Err(Reason::kind(kind, "string")),
        }
    }
}

fn from_object(raw: &RawValue) -> Result<BlockId, Reason> {
    // A bad member makes the reference client try the whole object as a string.
    let bad = |_| Reason::kind("object", "string");
    let (mut hash, mut number) = (None, None);
    for (name, value) in object::members(raw, BlockId::GO)? {
        match object::declared(&["blockHash", "blockNumber", "requireCanonical"], &name) {
            Some("blockHash") => hash = Some(B256::decode(value).map_err(bad)?),
            Some("blockNumber") => number = Some(BlockNumber::decode(value).map_err(bad)?),
            Some(_) => drop(bool::decode(value).map_err(bad)?),
            None => {}
        }
    }
    match (hash, number) {
        (Some(_), Some(_)) => {
            Err(Reason::text("cannot specify both BlockHash and BlockNumber, choose one or the other"))
        }
        (Some(hash), None) => Ok(BlockId::Hash(hash)),
        (None, Some(number)) => Ok(BlockId::Number(number)),
        (None, None) => Ok(BlockId::Neither),
    }
}

impl Decode for Count {
    const GO: &'static str = "rpc.DecimalOrHex";

    fn decode(raw: &RawValue) -> Result<Self, Reason> {
        let text = bare(raw);
        if is_whole(text)
            && let Ok(count) = text.parse()
        {
            return Ok(Self(count));
        }
        if text.is_empty() {
            return Err(Reason::text("empty hex string"));
        }
        scalar::parse_u64(text).map(Self).map_err(Reason::text)
    }
}
