//! Parameters that a governance contract overrides, from Kore.

use klay_core::{Address, governance::GovParams};

use super::{SystemError, View, abi, word};
use crate::state::StateError;

/// `params` with what the contract says for block `number` on top; unchanged where the contract does not answer.
///
/// The reference client asks the latest state, which is the parent's while a block is processed.
///
/// # Errors
/// If the state cannot be read.
pub fn contract_params(
    view: View<'_>,
    contract: Address,
    number: u64,
    params: GovParams,
) -> Result<GovParams, StateError> {
    let function = "getAllParamsAt(uint256)";
    let answer = view.read(contract, function, abi::call(function, &[word(number)]), |values| {
        let names = values.list(|item| Some(String::from_utf8_lossy(item.bytes()?).into_owned()))?;
        let values = values.list(|item| Some(item.bytes()?.to_vec()))?;
        Some((names, values))
    });
    match answer {
        Ok((names, values)) => Ok(params.with_contract(&names, &values)),
        Err(SystemError::State(error)) => Err(error),
        Err(_) => Ok(params),
    }
}
