//! Who owes what ahead, and whether it is there.
//!
//! Source: spec 40, section 4.2; spec 10, section 4.4.

use klay_core::{
    FeeSplit, Fork, U256,
    tx::{FeeMode, PayloadType, TxEnvelope, TxView},
};

use crate::{env::BlockContext, error::TxError, validate::GAS_PER_BLOB};

/// Balances ahead of a transaction.
#[derive(Debug, Clone, Copy)]
pub(super) struct Funds {
    pub(super) sender: U256,
    pub(super) payer: U256,
    /// Whether payer and sender are one account.
    pub(super) is_one: bool,
}

/// Divides an amount between payer and sender.
pub(super) fn split<F: FeeMode, P: PayloadType>(tx: &TxEnvelope<F, P>, amount: U256) -> FeeSplit {
    match tx {
        TxEnvelope::Klaytn(tx) => tx.fee.split(amount),
        _ => FeeSplit::of_sender(amount),
    }
}

/// What is taken from payer and sender before the transaction runs; all from the sender where they are one.
///
/// # Errors
/// If one of them cannot pay. From Osaka on the cap has to be there, not only the price.
pub(super) fn buy_gas<F: FeeMode, P: PayloadType>(
    tx: &TxEnvelope<F, P>,
    view: &TxView<'_>,
    gas_price: U256,
    funds: Funds,
    ctx: &BlockContext,
) -> Result<FeeSplit, TxError> {
    let divide = |amount| match funds.is_one {
        true => FeeSplit::of_sender(amount),
        false => split(tx, amount),
    };
    let is_osaka = ctx.rules.has(Fork::Osaka);
    let blob_gas = U256::from(if is_osaka { GAS_PER_BLOB * view.blob_hashes.len() as u64 } else { 0 });
    let total = |price: U256, blob_price: U256| {
        let gas = price.checked_mul(U256::from(view.gas_limit))?;
        gas.checked_add(blob_price.checked_mul(blob_gas)?)
    };
    if is_osaka {
        let blob_cap = U256::from(view.max_fee_per_blob_gas.unwrap_or_default());
        let cap = divide(total(view.fee_cap, blob_cap).ok_or(TxError::FundsOverflow)?);
        let with_value = cap.sender.checked_add(view.value).ok_or(TxError::FundsOverflow)?.saturating_sub(cap.surplus);
        check(cap, funds)?;
        if funds.sender < with_value {
            return Err(TxError::InsufficientBalance);
        }
    }
    let amount = divide(total(gas_price, ctx.blob_base_fee).ok_or(TxError::PayerBalance)?);
    check(amount, funds)?;
    Ok(amount)
}

/// The payer is asked first. Whoever pays alone counts as payer.
fn check(owed: FeeSplit, funds: Funds) -> Result<(), TxError> {
    if funds.is_one {
        return if funds.sender < owed.sender { Err(TxError::PayerBalance) } else { Ok(()) };
    }
    if funds.payer < owed.payer {
        return Err(TxError::PayerBalance);
    }
    if funds.sender < owed.sender {
        return Err(TxError::SenderBalance);
    }
    Ok(())
}
