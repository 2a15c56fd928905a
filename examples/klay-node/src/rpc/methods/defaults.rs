//! What a caller of the eth_ methods may leave out of a transaction (spec 10, section 5.4).

use alloy_primitives::U256;
use klay_core::{Fork, TxType};
use klay_feedeleg::rpc::TxArgs;

use super::{
    calls::{Bounds, HEAD, Scene},
    fees,
};
use crate::rpc::{
    RpcError, Services,
    decode::{EthCallRequest, access_list, signed},
};

/// Fills in what a caller of the eth_ methods may leave out, and picks the type.
pub(super) fn eth_args(s: &Services, request: &EthCallRequest) -> Result<TxArgs, RpcError> {
    let call = &request.call;
    let (mut cap, mut tip) = (call.max_fee_per_gas, call.max_priority_fee_per_gas);
    let mut gas_price = call.gas_price;
    if gas_price.is_some() && (cap.is_some() || tip.is_some()) {
        return Err(RpcError::failed("both gasPrice and (maxFeePerGas or maxPriorityFeePerGas) specified"));
    }
    let price = fees::suggested_price(s)?;
    let rules = s.rules(&s.node.chain().head());
    let is_magma = rules.has(Fork::Magma);
    match (cap, tip) {
        (Some(cap), Some(tip)) => check_given_caps(is_magma, cap, tip, price)?,
        _ if rules.has(Fork::EthTxType) && gas_price.is_none() => {
            let given_tip = *tip.get_or_insert(fees::suggested_tip(s)?);
            let given_cap = *cap.get_or_insert(if is_magma { price } else { given_tip });
            check_caps(is_magma, given_cap, given_tip, price)?;
        }
        (None, None) => drop(gas_price.get_or_insert(price)),
        _ => {
            return Err(RpcError::failed(
                "maxFeePerGas or maxPriorityFeePerGas specified but london is not active yet",
            ));
        }
    }
    if let (Some(data), Some(input)) = (&call.data, &call.input)
        && data != input
    {
        return Err(RpcError::failed(
            "both \"data\" and \"input\" are set and not equal. Please use \"input\" to pass transaction call data",
        ));
    }
    let input = call.call_data();
    if call.to.is_none() && input.is_empty() {
        return Err(RpcError::failed("contract creation without any data provided"));
    }
    let gas = match call.gas {
        Some(gas) => gas,
        None => Scene::new(s, HEAD)?.estimate_gas(request, Bounds::of(request))?,
    };
    let type_code = match (&request.authorization_list, cap, &call.access_list) {
        (Some(_), ..) => TxType::ETHEREUM_SET_CODE.code(),
        (None, Some(_), _) => TxType::ETHEREUM_DYNAMIC_FEE.code(),
        (None, None, Some(_)) => TxType::ETHEREUM_ACCESS_LIST.code(),
        (None, None, None) => TxType::LEGACY.code(),
    };
    let is_typed = type_code != 0;
    let chain_id = call.chain_id.unwrap_or(U256::from(s.node.config().chain_id));
    Ok(TxArgs {
        type_int: Some(type_code.into()),
        from: call.from,
        to: call.to,
        gas: Some(gas),
        gas_price,
        max_fee_per_gas: cap,
        max_priority_fee_per_gas: tip,
        value: Some(call.value.unwrap_or_default()),
        nonce: Some(request.nonce.unwrap_or_else(|| s.node.pool().pending_nonce(call.from))),
        input: Some(input),
        access_list: is_typed.then(|| access_list(call.access_list.clone().unwrap_or_default())),
        chain_id: is_typed.then_some(chain_id),
        authorization_list: request.authorization_list.as_ref().map(|list| list.iter().map(signed).collect()),
        ..TxArgs::default()
    })
}

/// What the reference client checks about caps of which it filled in at least one.
pub(super) fn check_caps(is_magma: bool, cap: U256, tip: U256, price: U256) -> Result<(), RpcError> {
    if is_magma {
        check_given_caps(true, cap, tip, price)?;
    } else if tip != price || cap != price {
        return Err(RpcError::failed(format!(
            "only {price:x} is allowed to be used as maxFeePerGas and maxPriorityPerGas"
        )));
    }
    if cap < tip {
        return Err(RpcError::failed(format!("maxFeePerGas ({cap:#x}) < maxPriorityFeePerGas ({tip:#x})")));
    }
    Ok(())
}

/// What it checks about caps that were both given.
fn check_given_caps(is_magma: bool, cap: U256, tip: U256, price: U256) -> Result<(), RpcError> {
    if is_magma && cap < price / U256::from(2) {
        return Err(RpcError::failed(format!("maxFeePerGas ({cap:#x}) < BaseFee ({price})")));
    }
    if !is_magma && cap < tip {
        return Err(RpcError::failed(format!("maxFeePerGas ({cap:#x}) < maxPriorityFeePerGas ({tip:#x})")));
    }
    Ok(())
}
