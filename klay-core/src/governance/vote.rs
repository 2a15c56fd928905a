//! The vote field of a header: `rlp([voter, key, value])`.

use alloy_primitives::Address;

use super::param::{ParamError, ParamName, ParamValue};
use crate::codec::{DecodeError, Reader, put_bytes, put_list_header};

const ADD_VALIDATOR: &str = "governance.addvalidator";
const REMOVE_VALIDATOR: &str = "governance.removevalidator";

/// What a validator put into the header that it proposed.
///
/// ```
/// use klay_core::{Address, governance::{ParamName, ParamValue, Vote, VoteAction}};
///
/// let vote = Vote {
///     voter: Address::repeat_byte(1),
///     action: VoteAction::Param(ParamName::GasTarget, ParamValue::U64(15_000_000)),
/// };
/// assert_eq!(Vote::decode(&vote.encode())?, vote);
/// # Ok::<_, klay_core::governance::VoteError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vote {
    /// Who votes.
    pub voter: Address,
    /// What for.
    pub action: VoteAction,
}

/// What a vote asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VoteAction {
    /// Set a parameter.
    Param(ParamName, ParamValue),
    /// Take addresses into the council.
    AddValidator(Vec<Address>),
    /// Take addresses out of the council.
    RemoveValidator(Vec<Address>),
}

impl Vote {
    /// The content of the header field.
    pub fn encode(&self) -> Vec<u8> {
        let mut fields = Vec::new();
        put_bytes(self.voter.as_slice(), &mut fields);
        put_bytes(self.action.key().as_bytes(), &mut fields);
        put_bytes(&self.action.value_bytes(), &mut fields);
        let mut out = Vec::with_capacity(fields.len() + 3);
        put_list_header(fields.len(), &mut out);
        out.extend_from_slice(&fields);
        out
    }

    /// Reads the content of a header field that is not empty.
    ///
    /// # Errors
    /// If it is not `[voter, key, value]`, the key is unknown or may not be voted for, or the value is not accepted.
    pub fn decode(content: &[u8]) -> Result<Self, VoteError> {
        let mut reader = Reader::new(content);
        let mut list = reader.list("voteData")?;
        reader.end("voteData")?;
        let voter = list.address("voteData.voter")?;
        let key = list.bytes("voteData.key")?;
        let value = list.bytes("voteData.value")?;
        list.end("voteData")?;
        let key = String::from_utf8_lossy(key);
        Ok(Self { voter, action: VoteAction::read(&key, value)? })
    }
}

impl VoteAction {
    /// Reads a value's bytes under its key.
    ///
    /// # Errors
    /// If the key is unknown or may not be voted for, or the value is not accepted.
    pub fn read(key: &str, value: &[u8]) -> Result<Self, VoteError> {
        match key {
            ADD_VALIDATOR => Ok(Self::AddValidator(read_validators(value))),
            REMOVE_VALIDATOR => Ok(Self::RemoveValidator(read_validators(value))),
            _ => {
                let name = ParamName::from_name(key).ok_or_else(|| VoteError::UnknownKey { key: key.to_owned() })?;
                if !name.is_votable() {
                    return Err(VoteError::Forbidden { name });
                }
                Ok(Self::Param(name, name.read(value)?))
            }
        }
    }

    /// The key: a parameter's name, `governance.addvalidator` or `governance.removevalidator`.
    pub const fn key(&self) -> &'static str {
        match self {
            Self::Param(name, _) => name.name(),
            Self::AddValidator(_) => ADD_VALIDATOR,
            Self::RemoveValidator(_) => REMOVE_VALIDATOR,
        }
    }

    /// The bytes of the value.
    pub fn value_bytes(&self) -> Vec<u8> {
        match self {
            Self::Param(_, value) => value.to_bytes(),
            Self::AddValidator(list) | Self::RemoveValidator(list) => {
                list.iter().flat_map(|address| address.0).collect()
            }
        }
    }
}

/// Addresses one after the other. A value of another length is one address: its last 20 bytes, padded on the left.
///
/// Two votes on Cypress hold the text `0x…` of an address; by this rule they are about the ASCII of its last 20
/// characters, that is nobody, and the council that follows from reading them as text would be another.
fn read_validators(value: &[u8]) -> Vec<Address> {
    let (chunks, []) = value.as_chunks::<20>() else {
        let mut address = [0; 20];
        let tail = &value[value.len().saturating_sub(20)..];
        address[20 - tail.len()..].copy_from_slice(tail);
        return vec![Address::from(address)];
    };
    chunks.iter().copied().map(Address::from).collect()
}

/// Why a vote field was not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VoteError {
    /// Not `[voter, key, value]`.
    #[error(transparent)]
    Rlp(#[from] DecodeError),
    /// A key that nobody can vote for.
    #[error("vote names the unknown key {key}")]
    UnknownKey {
        /// The key.
        key: String,
    },
    /// A parameter that is fixed.
    #[error("{name} may not be voted for")]
    Forbidden {
        /// The parameter.
        name: ParamName,
    },
    /// A value that is not accepted.
    #[error(transparent)]
    Value(#[from] ParamError),
}
