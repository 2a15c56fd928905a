//! The governance field of a header: the parameters ratified at an epoch's first block.
//!
//! The content of the field is the RLP of a byte string of compact JSON; the header encodes that content as a byte
//! string once more.

use std::collections::BTreeMap;

use super::{
    flat_json,
    param::{ParamError, ParamName, ParamValue},
    params::configured,
};
use crate::{
    codec::{DecodeError, Reader, put_bytes},
    config::{ChainConfig, Fork},
};

/// Parameters by name.
///
/// ```
/// use klay_core::governance::{GovernanceData, ParamName, ParamValue};
///
/// let mut data = GovernanceData::default();
/// data.set(ParamName::CommitteeSize, ParamValue::U64(31))?;
/// assert_eq!(data.to_json(), r#"{"istanbul.committeesize":31}"#);
/// assert_eq!(GovernanceData::decode(&data.encode()).unwrap(), data);
/// # Ok::<_, klay_core::governance::ParamError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GovernanceData {
    items: BTreeMap<ParamName, ParamValue>,
}

impl GovernanceData {
    /// What a genesis header carries for `config`: the parameters of its sections, in part depending on the forks that
    /// are active at block 0.
    ///
    /// # Errors
    /// If a value is not allowed.
    pub fn of_genesis(config: &ChainConfig) -> Result<Self, ParamError> {
        let is_active = |fork| config.forks.is_active(fork, 0);
        let contract = config.governance.as_ref().map(|governance| governance.gov_param_contract);
        let mut data = Self::default();
        for name in ParamName::ALL {
            let is_written = match name {
                ParamName::BaseFeeDenominator
                | ParamName::GasTarget
                | ParamName::LowerBoundBaseFee
                | ParamName::MaxBlockGasUsedForBaseFee
                | ParamName::UpperBoundBaseFee => is_active(Fork::Magma),
                ParamName::DeriveShaImpl => is_active(Fork::Kore) && config.governance.is_some(),
                ParamName::GovParamContract => is_active(Fork::Kore) && contract.is_some_and(|at| !at.is_zero()),
                ParamName::Kip82Ratio => is_active(Fork::Kore),
                ParamName::UnitPrice => config.governance.is_some(),
                _ => true,
            };
            if is_written && let Some(value) = configured(config, name) {
                data.set(name, value)?;
            }
        }
        Ok(data)
    }

    /// Sets one parameter.
    ///
    /// # Errors
    /// If the value is of another form or not allowed.
    pub fn set(&mut self, name: ParamName, value: ParamValue) -> Result<(), ParamError> {
        name.check(&value)?;
        self.items.insert(name, value);
        Ok(())
    }

    /// The parameters in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (ParamName, &ParamValue)> {
        self.items.iter().map(|(name, value)| (*name, value))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Compact JSON, keys in byte order, addresses in lower case, amounts as text.
    pub fn to_json(&self) -> String {
        let mut json = String::from("{");
        for (index, (name, value)) in self.iter().enumerate() {
            if index > 0 {
                json.push(',');
            }
            flat_json::put_string(name.name(), &mut json);
            json.push(':');
            match value {
                ParamValue::U64(_) | ParamValue::Bool(_) => json.push_str(&value.to_string()),
                ParamValue::Text(_) | ParamValue::Big(_) | ParamValue::Address(_) => {
                    flat_json::put_string(&value.to_string(), &mut json);
                }
            }
        }
        json.push('}');
        json
    }

    /// The content of the header field.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_bytes(self.to_json().as_bytes(), &mut out);
        out
    }

    /// Reads the content of the header field; the order of keys is free.
    ///
    /// # Errors
    /// If it is not the RLP of one byte string, not a JSON object of known parameters, or a value is not allowed.
    pub fn decode(content: &[u8]) -> Result<Self, DataError> {
        let mut reader = Reader::new(content);
        let json = reader.bytes("governanceData")?;
        reader.end("governanceData")?;
        let members = flat_json::parse(json).ok_or(DataError::Json)?;
        // Of two equal keys the last counts, so an earlier one may even be malformed.
        let last: BTreeMap<String, flat_json::Value> = members.into_iter().collect();
        let mut data = Self::default();
        for (key, value) in &last {
            let name = ParamName::from_name(key).ok_or_else(|| DataError::UnknownName { name: key.clone() })?;
            data.items.insert(name, name.read_json(value)?);
        }
        Ok(data)
    }
}

/// Why a governance field was not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// Not the RLP of one byte string.
    #[error(transparent)]
    Rlp(#[from] DecodeError),
    /// Not a flat JSON object.
    #[error("governance data is not a JSON object of parameters")]
    Json,
    /// A key that is no parameter.
    #[error("governance data names the unknown parameter {name}")]
    UnknownName {
        /// The key.
        name: String,
    },
    /// A value that is not accepted.
    #[error(transparent)]
    Value(#[from] ParamError),
}
