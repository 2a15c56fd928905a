//! Parameter names, the values they take, and how both stand in a vote or a contract's answer.

use core::fmt;

use alloy_primitives::{Address, U256};

use super::params::{GovernanceMode, ProposerPolicy, Ratio};

/// A governance parameter. The order is that of the names' bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ParamName {
    /// `governance.deriveshaimpl`: derivation of list roots, at most 2.
    DeriveShaImpl,
    /// `governance.governancemode`: `none` or `single`.
    GovernanceMode,
    /// `governance.governingnode`: the account that governs in mode `single`.
    GoverningNode,
    /// `governance.govparamcontract`: contract that overrides parameters from Kore on.
    GovParamContract,
    /// `governance.unitprice`: price of a unit of gas before Magma, in peb.
    UnitPrice,
    /// `istanbul.committeesize`: more than 0.
    CommitteeSize,
    /// `istanbul.epoch`: blocks per epoch.
    Epoch,
    /// `istanbul.policy`: proposer policy, at most 2.
    Policy,
    /// `kip71.basefeedenominator`: more than 0.
    BaseFeeDenominator,
    /// `kip71.gastarget`.
    GasTarget,
    /// `kip71.lowerboundbasefee`, in peb.
    LowerBoundBaseFee,
    /// `kip71.maxblockgasusedforbasefee`.
    MaxBlockGasUsedForBaseFee,
    /// `kip71.upperboundbasefee`, in peb.
    UpperBoundBaseFee,
    /// `reward.deferredtxfee`.
    DeferredTxFee,
    /// `reward.kip82ratio`: percentages of proposer and stakers.
    Kip82Ratio,
    /// `reward.minimumstake`, in KLAY.
    MinimumStake,
    /// `reward.mintingamount`, in peb.
    MintingAmount,
    /// `reward.proposerupdateinterval`, in blocks.
    ProposerUpdateInterval,
    /// `reward.ratio`: percentages of proposer, KIF and KEF.
    Ratio,
    /// `reward.stakingupdateinterval`, in blocks.
    StakingUpdateInterval,
    /// `reward.useginicoeff`.
    UseGiniCoeff,
}

/// The form that a parameter's values have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    U64,
    Bool,
    Text,
    Big,
    Address,
}

impl ParamName {
    /// All of them, in order.
    pub const ALL: [Self; 21] = [
        Self::DeriveShaImpl,
        Self::GovernanceMode,
        Self::GoverningNode,
        Self::GovParamContract,
        Self::UnitPrice,
        Self::CommitteeSize,
        Self::Epoch,
        Self::Policy,
        Self::BaseFeeDenominator,
        Self::GasTarget,
        Self::LowerBoundBaseFee,
        Self::MaxBlockGasUsedForBaseFee,
        Self::UpperBoundBaseFee,
        Self::DeferredTxFee,
        Self::Kip82Ratio,
        Self::MinimumStake,
        Self::MintingAmount,
        Self::ProposerUpdateInterval,
        Self::Ratio,
        Self::StakingUpdateInterval,
        Self::UseGiniCoeff,
    ];

    /// The parameter of this name; names are lower case.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|param| param.name() == name)
    }

    /// The name: `governance.unitprice`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::DeriveShaImpl => "governance.deriveshaimpl",
            Self::GovernanceMode => "governance.governancemode",
            Self::GoverningNode => "governance.governingnode",
            Self::GovParamContract => "governance.govparamcontract",
            Self::UnitPrice => "governance.unitprice",
            Self::CommitteeSize => "istanbul.committeesize",
            Self::Epoch => "istanbul.epoch",
            Self::Policy => "istanbul.policy",
            Self::BaseFeeDenominator => "kip71.basefeedenominator",
            Self::GasTarget => "kip71.gastarget",
            Self::LowerBoundBaseFee => "kip71.lowerboundbasefee",
            Self::MaxBlockGasUsedForBaseFee => "kip71.maxblockgasusedforbasefee",
            Self::UpperBoundBaseFee => "kip71.upperboundbasefee",
            Self::DeferredTxFee => "reward.deferredtxfee",
            Self::Kip82Ratio => "reward.kip82ratio",
            Self::MinimumStake => "reward.minimumstake",
            Self::MintingAmount => "reward.mintingamount",
            Self::ProposerUpdateInterval => "reward.proposerupdateinterval",
            Self::Ratio => "reward.ratio",
            Self::StakingUpdateInterval => "reward.stakingupdateinterval",
            Self::UseGiniCoeff => "reward.useginicoeff",
        }
    }

    /// Whether a header may vote for it.
    pub const fn is_votable(self) -> bool {
        !matches!(
            self,
            Self::GovernanceMode
                | Self::Epoch
                | Self::Policy
                | Self::DeferredTxFee
                | Self::MinimumStake
                | Self::ProposerUpdateInterval
                | Self::StakingUpdateInterval
                | Self::UseGiniCoeff
        )
    }

    /// Reads the value's bytes as they stand in a vote or in a contract's answer, and checks the value.
    ///
    /// # Errors
    /// If the bytes are not a value of this parameter's form, or the value is not allowed.
    pub fn read(self, bytes: &[u8]) -> Result<ParamValue, ParamError> {
        let malformed = || ParamError::Malformed { name: self };
        let value = match self.kind() {
            Kind::U64 if bytes.len() <= 8 => {
                ParamValue::U64(bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
            }
            Kind::Bool => match bytes {
                [0] => ParamValue::Bool(false),
                [1] => ParamValue::Bool(true),
                _ => return Err(malformed()),
            },
            Kind::Text => ParamValue::Text(String::from_utf8(bytes.to_vec()).map_err(|_| malformed())?),
            Kind::Big => ParamValue::Big(decimal(core::str::from_utf8(bytes).unwrap_or("")).ok_or_else(malformed)?),
            Kind::Address => ParamValue::Address(Address::try_from(bytes).map_err(|_| malformed())?),
            Kind::U64 => return Err(malformed()),
        };
        self.check(&value)?;
        Ok(value)
    }

    /// Reads a value as JSON writes it in a governance field: numbers for integers, text for amounts and addresses.
    pub(super) fn read_json(self, value: &super::flat_json::Value) -> Result<ParamValue, ParamError> {
        use super::flat_json::Value as Json;
        let malformed = || ParamError::Malformed { name: self };
        let value = match (self.kind(), value) {
            (Kind::U64, Json::Number(text)) => ParamValue::U64(json_integer(text).ok_or_else(malformed)?),
            (Kind::Bool, Json::Bool(value)) => ParamValue::Bool(*value),
            (Kind::Text, Json::Text(text)) => ParamValue::Text(text.clone()),
            (Kind::Big, Json::Text(text)) => ParamValue::Big(decimal(text).ok_or_else(malformed)?),
            (Kind::Address, Json::Text(text)) => ParamValue::Address(text.parse().map_err(|_| malformed())?),
            _ => return Err(malformed()),
        };
        self.check(&value)?;
        Ok(value)
    }

    /// Checks that `value` is of this parameter's form and allowed.
    ///
    /// # Errors
    /// If it is not.
    pub fn check(self, value: &ParamValue) -> Result<(), ParamError> {
        let is_allowed = match (self, value) {
            (Self::DeriveShaImpl, ParamValue::U64(value)) => *value <= 2,
            (Self::Policy, ParamValue::U64(value)) => ProposerPolicy::from_parameter(*value).is_some(),
            (Self::CommitteeSize | Self::BaseFeeDenominator, ParamValue::U64(value)) => *value != 0,
            (Self::GovernanceMode, ParamValue::Text(text)) => GovernanceMode::from_text(text).is_some(),
            (Self::Kip82Ratio, ParamValue::Text(text)) => Ratio::<2>::parse(text).is_some(),
            (Self::Ratio, ParamValue::Text(text)) => Ratio::<3>::parse(text).is_some(),
            _ if self.kind() == value.kind() => true,
            _ => return Err(ParamError::Malformed { name: self }),
        };
        if is_allowed { Ok(()) } else { Err(ParamError::NotAllowed { name: self, value: value.clone() }) }
    }

    const fn kind(self) -> Kind {
        match self {
            Self::GoverningNode | Self::GovParamContract => Kind::Address,
            Self::GovernanceMode | Self::Kip82Ratio | Self::Ratio => Kind::Text,
            Self::MinimumStake | Self::MintingAmount => Kind::Big,
            Self::DeferredTxFee | Self::UseGiniCoeff => Kind::Bool,
            _ => Kind::U64,
        }
    }
}

impl fmt::Display for ParamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A value of a parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ParamValue {
    /// An integer.
    U64(u64),
    /// Yes or no.
    Bool(bool),
    /// Text.
    Text(String),
    /// An amount.
    Big(U256),
    /// An address.
    Address(Address),
}

impl ParamValue {
    /// The bytes of the value in a vote.
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::U64(value) => {
                let bytes = value.to_be_bytes();
                let zeros = (value.leading_zeros() / 8) as usize;
                bytes[zeros..].to_vec()
            }
            Self::Bool(value) => vec![u8::from(*value)],
            Self::Text(text) => text.as_bytes().to_vec(),
            Self::Big(value) => value.to_string().into_bytes(),
            Self::Address(address) => address.to_vec(),
        }
    }

    const fn kind(&self) -> Kind {
        match self {
            Self::U64(_) => Kind::U64,
            Self::Bool(_) => Kind::Bool,
            Self::Text(_) => Kind::Text,
            Self::Big(_) => Kind::Big,
            Self::Address(_) => Kind::Address,
        }
    }
}

impl fmt::Display for ParamValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::U64(value) => write!(f, "{value}"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Text(text) => f.write_str(text),
            Self::Big(value) => write!(f, "{value}"),
            Self::Address(address) => write!(f, "{address:?}"),
        }
    }
}

/// Why a value was not accepted for a parameter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParamError {
    /// Not of the parameter's form.
    #[error("value of {name} is malformed")]
    Malformed {
        /// The parameter.
        name: ParamName,
    },
    /// Outside what is allowed.
    #[error("{name} cannot be {value}")]
    NotAllowed {
        /// The parameter.
        name: ParamName,
        /// The value.
        value: ParamValue,
    },
}

/// Decimal digits, after an optional plus.
fn decimal(text: &str) -> Option<U256> {
    let digits = text.strip_prefix('+').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    U256::from_str_radix(digits, 10).ok()
}

/// The reference client reads numbers as 64-bit floats, hence `1e3` is an integer and large ones are rounded.
fn json_integer(text: &str) -> Option<u64> {
    const LIMIT: f64 = 18_446_744_073_709_551_616.0;
    let number: f64 = text.parse().ok()?;
    ((0.0..LIMIT).contains(&number) && number.fract() == 0.0).then_some(number as u64)
}
