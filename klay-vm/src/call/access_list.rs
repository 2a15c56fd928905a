//! The access list that a call would profit from.

use std::collections::{BTreeMap, BTreeSet};

use alloy_eips::{
    eip2930::{AccessList, AccessListItem},
    eip7702::SignedAuthorization,
};
use klay_core::{Address, B256, U256};
use revm::{
    Inspector,
    interpreter::{
        Interpreter,
        interpreter::EthInterpreter,
        interpreter_types::{InputsTr, Jumps},
    },
};

use super::{CallError, CallOutcome, CallRequest, Terms, run};
use crate::{
    env::BlockContext,
    machine::{Klvm, KlvmContext},
    precompile::KlvmPrecompiles,
    spec::Level,
    state::State,
    transition::authority,
};

/// Collects what instructions touch.
#[derive(Debug)]
struct Collector<'a> {
    excluded: &'a BTreeSet<Address>,
    accessed: BTreeMap<Address, BTreeSet<B256>>,
}

/// The access list with which every access of `request` is warm, and the outcome with that list.
///
/// Sender, recipient (or new contract), accounts that delegate themselves and precompiled contracts are listed only with
/// slots, as they are warm by themselves. The list costs nothing. The sender is given gas at the base fee and must have
/// the rest.
///
/// # Errors
/// As [`call`](super::call), and if the sender cannot pay.
pub fn create_access_list(
    state: &State,
    ctx: &BlockContext,
    request: &CallRequest,
) -> Result<(AccessList, CallOutcome), CallError> {
    let excluded = excluded(state, ctx, request)?;
    let mut request = request.clone();
    let given = request.access_list.take().unwrap_or_default();
    let mut list = Collector::new(&excluded, &given).list();
    loop {
        request.access_list = Some(list.clone());
        let collector = Collector::new(&excluded, &list);
        let (outcome, collector) = run(state, ctx, &request, Terms::Listing, collector, Klvm::inspect)?;
        let next = collector.list();
        // The list grows with each round and the accesses of a run are finite.
        if next == list {
            return Ok((list, outcome));
        }
        list = next;
    }
}

/// What is warm without a list.
fn excluded(state: &State, ctx: &BlockContext, request: &CallRequest) -> Result<BTreeSet<Address>, CallError> {
    let recipient = match request.to {
        Some(to) => to,
        None => request.from.create(state.nonce(request.from)?),
    };
    let mut excluded = BTreeSet::from([request.from, recipient]);
    excluded.extend(KlvmPrecompiles::new(Level::of(ctx.rules)).warm());
    let is_valid = |authorization: &&SignedAuthorization| {
        (authorization.chain_id.is_zero() || authorization.chain_id == U256::from(ctx.chain_id))
            && authorization.nonce != u64::MAX
    };
    excluded.extend(request.authorizations().iter().filter(is_valid).filter_map(authority));
    Ok(excluded)
}

impl<'a> Collector<'a> {
    fn new(excluded: &'a BTreeSet<Address>, list: &AccessList) -> Self {
        let mut accessed = BTreeMap::<_, BTreeSet<_>>::new();
        for item in &list.0 {
            accessed.entry(item.address).or_default().extend(&item.storage_keys);
        }
        Self { excluded, accessed }
    }

    fn list(self) -> AccessList {
        let Self { excluded, accessed } = self;
        let items = accessed.into_iter().filter(|(address, slots)| !slots.is_empty() || !excluded.contains(address));
        let item = |(address, slots): (_, BTreeSet<B256>)| AccessListItem {
            address,
            storage_keys: slots.into_iter().collect(),
        };
        AccessList(items.map(item).collect())
    }

    fn add(&mut self, address: Address) {
        if !self.excluded.contains(&address) {
            self.accessed.entry(address).or_default();
        }
    }
}

impl Inspector<KlvmContext, EthInterpreter> for Collector<'_> {
    fn step(&mut self, interpreter: &mut Interpreter<EthInterpreter>, _ctx: &mut KlvmContext) {
        let stack = interpreter.stack.data();
        let from_top = |n: usize| stack.len().checked_sub(n + 1).and_then(|at| stack.get(at)).copied();
        let address = |n| from_top(n).map(|word| Address::from_word(B256::from(word)));
        match interpreter.bytecode.opcode() {
            // SLOAD, SSTORE
            0x54 | 0x55 => {
                if let Some(slot) = from_top(0) {
                    let target = interpreter.input.target_address();
                    self.accessed.entry(target).or_default().insert(slot.into());
                }
            }
            // BALANCE, EXTCODESIZE, EXTCODECOPY, EXTCODEHASH, SELFDESTRUCT
            0x31 | 0x3b | 0x3c | 0x3f | 0xff => address(0).into_iter().for_each(|address| self.add(address)),
            // CALL, CALLCODE, DELEGATECALL, STATICCALL
            0xf1 | 0xf2 | 0xf4 | 0xfa => address(1).into_iter().for_each(|address| self.add(address)),
            _ => {}
        }
    }
}
