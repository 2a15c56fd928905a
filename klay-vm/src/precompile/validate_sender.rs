//! validateSender: whether signatures over a hash speak for an account.

use klay_accounts::MultiSigRules;
use klay_core::{Address, B256, Bytes, Role, crypto};

use crate::{
    machine::{Accounts, KlvmContext},
    state::StateError,
};

const ADDRESS: usize = 20;
const HASH: usize = 32;
const SIGNATURE: usize = 65;

/// One byte: 1 if the signatures speak for the account as senders, 0 in every other case, malformed input included.
///
/// Input: address, hash, then signatures `r ‖ s ‖ v` with `v` from 0 to 3. The hash is taken as it is.
pub(super) fn run(ctx: &mut KlvmContext, input: &[u8]) -> Result<Bytes, StateError> {
    Ok(Bytes::from_static(if is_valid(ctx, input)? { &[1] } else { &[0] }))
}

fn is_valid(ctx: &mut KlvmContext, input: &[u8]) -> Result<bool, StateError> {
    let Some((address, rest)) = input.split_at_checked(ADDRESS) else { return Ok(false) };
    let Some((hash, rest)) = rest.split_at_checked(HASH) else { return Ok(false) };
    let (signatures, tail) = rest.as_chunks::<SIGNATURE>();
    if !tail.is_empty() {
        return Ok(false);
    }
    let (address, hash) = (Address::from_slice(address), B256::from_slice(hash));
    let signers = signatures.iter().map(|s| crypto::recover_compact(hash, s)).collect::<Result<Vec<_>, _>>();
    let Ok(signers) = signers else { return Ok(false) };
    let key = ctx.account_key(address)?;
    let rules = MultiSigRules::of(ctx.chain.rules);
    Ok(key.validate(Role::Transaction, address, &signers, rules).is_ok())
}
