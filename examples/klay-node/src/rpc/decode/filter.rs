//! Criteria of log filters (`filters.input`).

use alloy_primitives::{Address, B256, hex};
use serde_json::value::RawValue;

use super::{
    BlockNumber, Decode, Reason, json_kind,
    object::{declared, elements, member, members},
    scalar::{even_digits, unescaped},
};

/// Which logs are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Criteria {
    /// One block instead of a range.
    pub block_hash: Option<B256>,
    /// First block.
    pub from: Option<BlockNumber>,
    /// Last block.
    pub to: Option<BlockNumber>,
    /// Any of these; empty for all.
    pub addresses: Vec<Address>,
    /// Per position any of these; empty for all.
    pub topics: Vec<Vec<B256>>,
}

impl Decode for Criteria {
    const GO: &'static str = "filters.input";

    fn decode(raw: &RawValue) -> Result<Self, Reason> {
        const ROOT: &str = "input";
        let mut criteria = Self::default();
        let (mut address, mut topics) = (None, None);
        for (name, value) in members(raw, Self::GO)? {
            match declared(&["blockHash", "fromBlock", "toBlock", "address", "topics"], &name) {
                Some(name @ "blockHash") => criteria.block_hash = Some(member(ROOT, name, value)?),
                Some("fromBlock") => criteria.from = Some(BlockNumber::decode(value)?),
                Some("toBlock") => criteria.to = Some(BlockNumber::decode(value)?),
                Some("address") => address = Some(value),
                Some(name) => match json_kind(value) {
                    "array" => topics = Some(value),
                    kind => return Err(Reason::kind(kind, "[]interface {}").within(ROOT, name)),
                },
                None => {}
            }
        }
        if criteria.block_hash.is_some() && (criteria.from.is_some() || criteria.to.is_some()) {
            return Err(Reason::text("cannot specify both BlockHash and FromBlock/ToBlock, choose one or the other"));
        }
        if let Some(raw) = address {
            criteria.addresses = read_addresses(raw)?;
        }
        if let Some(raw) = topics {
            criteria.topics = elements(raw).into_iter().map(read_position).collect::<Result<_, _>>()?;
        }
        Ok(criteria)
    }
}

fn bytes<const N: usize>(text: &str) -> Result<[u8; N], String> {
    let digits = match even_digits(text) {
        Ok("") if text.is_empty() => return Err("empty hex string".to_owned()),
        Ok(digits) => digits,
        Err(reason) => return Err(reason.to_owned()),
    };
    if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err("invalid hex string".to_owned());
    }
    let mut bytes = [0; N];
    hex::decode_to_slice(digits, &mut bytes)
        .map_err(|_| format!("hex has invalid length {} after decoding", digits.len() / 2))?;
    Ok(bytes)
}

fn read_addresses(raw: &RawValue) -> Result<Vec<Address>, Reason> {
    match json_kind(raw) {
        "string" => bytes(&unescaped(raw).unwrap_or_default())
            .map(|b| vec![Address::from(b)])
            .map_err(|e| Reason::Text(format!("invalid address: {e}"))),
        "array" => elements(raw)
            .into_iter()
            .enumerate()
            .map(|(index, raw)| {
                let text =
                    unescaped(raw).ok_or_else(|| Reason::Text(format!("non-string address at index {index}")))?;
                bytes(&text)
                    .map(Address::from)
                    .map_err(|e| Reason::Text(format!("invalid address at index {index}: {e}")))
            })
            .collect(),
        _ => Err(Reason::text("invalid addresses in query")),
    }
}

fn read_topic(raw: &RawValue) -> Result<B256, Reason> {
    let text = unescaped(raw).ok_or_else(|| Reason::text("invalid topic(s)"))?;
    bytes(&text).map(B256::from).map_err(Reason::Text)
}

/// The accepted values of one position; a `null` inside a list accepts any, as an empty list does.
fn read_position(raw: &RawValue) -> Result<Vec<B256>, Reason> {
    match json_kind(raw) {
        "null" => Ok(Vec::new()),
        "string" => read_topic(raw).map(|topic| vec![topic]),
        "array" => {
            let mut list = Vec::new();
            for raw in elements(raw) {
                if super::is_null(raw) {
                    return Ok(Vec::new());
                }
                list.push(read_topic(raw)?);
            }
            Ok(list)
        }
        _ => Err(Reason::text("invalid topic(s)")),
    }
}
