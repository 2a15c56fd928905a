//! Is the vote or the governance field of a new header allowed?

use alloy_primitives::Address;

use super::{
    data::{DataError, GovernanceData},
    param::{ParamName, ParamValue},
    params::{GovParams, GovernanceMode},
    schedule::ParamSchedule,
    vote::{Vote, VoteAction, VoteError},
};

/// What is known where a vote is checked.
#[derive(Debug, Clone, Copy)]
pub struct VoteContext<'a> {
    /// Who sealed the header.
    pub author: Address,
    /// The council of the header's block.
    pub council: &'a [Address],
    /// The council of the block before.
    pub previous_council: &'a [Address],
    /// [`ParamSchedule::header_only_at`] the header's block.
    pub params: &'a GovParams,
}

/// Checks a vote field; an empty one is fine. `is_contract` says whether an address is a contract that is not empty in
/// the current state, `None` if there is no account.
///
/// In mode `single` anybody in the council may vote as far as headers are concerned; that only the governing node does
/// is left to the node that casts the vote.
///
/// # Errors
/// The first rule that is broken.
pub fn verify_vote(
    field: &[u8],
    context: &VoteContext<'_>,
    is_contract: impl FnOnce(Address) -> Option<bool>,
) -> Result<Option<Vote>, VoteRefusal> {
    if field.is_empty() {
        return Ok(None);
    }
    let vote = Vote::decode(field)?;
    let params = context.params;
    if !context.council.contains(&vote.voter) {
        return Err(VoteRefusal::NotInCouncil { voter: vote.voter });
    }
    if vote.voter != context.author {
        return Err(VoteRefusal::NotTheAuthor { voter: vote.voter, author: context.author });
    }
    let is_single = params.governance_mode == GovernanceMode::Single;
    match &vote.action {
        VoteAction::Param(ParamName::GoverningNode, _)
            if is_single && !context.previous_council.contains(&params.governing_node) =>
        {
            return Err(VoteRefusal::GoverningNodeNotInCouncil { node: params.governing_node });
        }
        VoteAction::Param(ParamName::GovParamContract, ParamValue::Address(address)) => match is_contract(*address) {
            None => return Err(VoteRefusal::NoAccount { address: *address }),
            Some(false) => return Err(VoteRefusal::NoContract { address: *address }),
            Some(true) => {}
        },
        VoteAction::Param(ParamName::LowerBoundBaseFee, ParamValue::U64(lower))
            if *lower > params.kip71.upper_bound_base_fee =>
        {
            return Err(VoteRefusal::LowerBound { got: *lower, upper: params.kip71.upper_bound_base_fee });
        }
        VoteAction::Param(ParamName::UpperBoundBaseFee, ParamValue::U64(upper))
            if *upper < params.kip71.lower_bound_base_fee =>
        {
            return Err(VoteRefusal::UpperBound { got: *upper, lower: params.kip71.lower_bound_base_fee });
        }
        VoteAction::AddValidator(list) | VoteAction::RemoveValidator(list)
            if is_single && list.contains(&params.governing_node) =>
        {
            return Err(VoteRefusal::GoverningNodeIsFixed { node: params.governing_node });
        }
        _ => {}
    }
    Ok(Some(vote))
}

/// Checks the governance field of the header of block `number`: empty between epochs, and at an epoch's first block
/// equal, value by value, to what the votes of the epoch before ask for.
///
/// # Errors
/// If it is not.
pub fn verify_data(field: &[u8], number: u64, schedule: &ParamSchedule) -> Result<(), DataRefusal> {
    if !number.is_multiple_of(schedule.epoch()) {
        return if field.is_empty() { Ok(()) } else { Err(DataRefusal::BetweenEpochs { number }) };
    }
    let expected = schedule.expected_at(number);
    let got = if field.is_empty() { GovernanceData::default() } else { GovernanceData::decode(field)? };
    if got != expected {
        return Err(DataRefusal::Mismatch { expected: expected.to_json(), got: got.to_json() });
    }
    Ok(())
}

/// Why a vote field voids a header.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VoteRefusal {
    /// It does not decode to an allowed vote.
    #[error(transparent)]
    Invalid(#[from] VoteError),
    /// The voter is no council member.
    #[error("voter {voter} is not in the council")]
    NotInCouncil {
        /// Who votes.
        voter: Address,
    },
    /// The voter did not propose the block.
    #[error("voter {voter} is not the proposer {author}")]
    NotTheAuthor {
        /// Who votes.
        voter: Address,
        /// Who proposed.
        author: Address,
    },
    /// The governing node must be in the council to be replaced.
    #[error("governing node {node} is not in the council")]
    GoverningNodeNotInCouncil {
        /// The governing node in force.
        node: Address,
    },
    /// The contract's address has no account.
    #[error("govparamcontract {address} is not an account")]
    NoAccount {
        /// The address voted for.
        address: Address,
    },
    /// The contract's address has no code.
    #[error("govparamcontract {address} is not a contract account")]
    NoContract {
        /// The address voted for.
        address: Address,
    },
    /// The lower bound would exceed the upper.
    #[error("lowerboundbasefee {got} is greater than upperboundbasefee {upper}")]
    LowerBound {
        /// The bound voted for.
        got: u64,
        /// The bound in force.
        upper: u64,
    },
    /// The upper bound would fall below the lower.
    #[error("upperboundbasefee {got} is less than lowerboundbasefee {lower}")]
    UpperBound {
        /// The bound voted for.
        got: u64,
        /// The bound in force.
        lower: u64,
    },
    /// The governing node can be neither added nor removed.
    #[error("governing node {node} is in the list of validators voted for")]
    GoverningNodeIsFixed {
        /// The governing node in force.
        node: Address,
    },
}

/// Why a governance field voids a header.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DataRefusal {
    /// Only an epoch's first block carries one.
    #[error("governance is not allowed in non-epoch block {number}")]
    BetweenEpochs {
        /// The block.
        number: u64,
    },
    /// It does not decode.
    #[error(transparent)]
    Invalid(#[from] DataError),
    /// It is not what was voted for.
    #[error("header.Governance does not match the vote in previous epoch: expected {expected}, found {got}")]
    Mismatch {
        /// What the votes ask for.
        expected: String,
        /// What the header says.
        got: String,
    },
}
