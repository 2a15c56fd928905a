//! Parameters that a governance contract overrides, from Kore.

use klay_core::{
    Address,
    governance::{GovParams, ParamName, ParamValue},
};

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
    let answer = answer(view, contract, number)?;
    Ok(match answer {
        Some((names, values)) => params.with_contract(&names, &values),
        None => params,
    })
}

/// What the contract says for block `number`, without values that are not allowed; `None` where it does not answer.
///
/// # Errors
/// If the state cannot be read.
pub fn contract_items(
    view: View<'_>,
    contract: Address,
    number: u64,
) -> Result<Option<Vec<(ParamName, ParamValue)>>, StateError> {
    let read = |(name, value): (String, Vec<u8>)| {
        let name = ParamName::from_name(&name)?;
        Some((name, name.read(&value).ok()?))
    };
    let answer = answer(view, contract, number)?.filter(|(names, values)| names.len() == values.len());
    Ok(answer.map(|(names, values)| names.into_iter().zip(values).filter_map(read).collect()))
}

type Answer = (Vec<String>, Vec<Vec<u8>>);

fn answer(view: View<'_>, contract: Address, number: u64) -> Result<Option<Answer>, StateError> {
    let function = "getAllParamsAt(uint256)";
    let answer = view.read(contract, function, abi::call(function, &[word(number)]), |values| {
        let names = values.list(|item| Some(String::from_utf8_lossy(item.bytes()?).into_owned()))?;
        let values = values.list(|item| Some(item.bytes()?.to_vec()))?;
        Some((names, values))
    });
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(SystemError::State(error)) => Err(error),
        Err(_) => Ok(None),
    }
}
