//! The access list that a call would profit from.

use std::collections::{BTreeMap, BTreeSet};

use alloy_eips::eip2930::{AccessList, AccessListItem};
use klay_core::{Address, B256, Fork};
use revm::{
    Inspector,
    interpreter::{
        Interpreter,
        interpreter::EthInterpreter,
        interpreter_types::{InputsTr, Jumps},
    },
};

use super::{CallError, CallOutcome, CallRequest, inspect};
use crate::{env::BlockContext, machine::KlvmContext, precompile::reserved, state::State};

/// Collects what instructions touch.
#[derive(Debug, Default)]
struct Collector {
    excluded: BTreeSet<Address>,
    accessed: BTreeMap<Address, BTreeSet<B256>>,
}

/// The access list with which every access of `request` is warm, and the outcome with that list.
///
/// Sender, recipient (or new contract), precompiled contracts and the proposer are listed only with slots, as they are
/// warm by themselves.
///
/// # Errors
/// As [`call`](super::call).
pub fn create_access_list(
    state: &State,
    ctx: &BlockContext,
    request: &CallRequest,
) -> Result<(AccessList, CallOutcome), CallError> {
    let recipient = match request.to {
        Some(to) => to,
        None => request.from.create(state.nonce(request.from)?),
    };
    let mut excluded = BTreeSet::from([request.from, recipient]);
    if ctx.rules.has(Fork::Shanghai) {
        excluded.insert(ctx.coinbase);
    }
    let mut request = request.clone();
    let given = request.access_list.take().unwrap_or_default();
    let mut list = given;
    loop {
        request.access_list = Some(list.clone());
        let mut collector = Collector { excluded: excluded.clone(), ..Collector::default() };
        for item in &list.0 {
            collector.accessed.entry(item.address).or_default().extend(&item.storage_keys);
        }
        let (outcome, collector) = inspect(state, ctx, &request, collector)?;
        let next = collector.list();
        // The list grows with each round and the accesses of a run are finite.
        if next == list {
            return Ok((list, outcome));
        }
        list = next;
    }
}

impl Collector {
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
        if !self.excluded.contains(&address) && reserved(address).is_none() {
            self.accessed.entry(address).or_default();
        }
    }
}

impl Inspector<KlvmContext, EthInterpreter> for Collector {
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
