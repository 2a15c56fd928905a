//! What the store keeps so that councils and parameters are known without reading every header.
//!
//! | Key in [`Table::Meta`] | Value |
//! |---|---|
//! | `council` ‖ number | the council after the vote in that block: 20 bytes for each member |
//! | `voted` ‖ number | nothing: the header has a vote or a governance field |
//! | `staking` ‖ number | stakes behind that block, before Randao, where later blocks ask for them: `kif ‖ kef`, then `node ‖ contract ‖ reward ‖ stake` |
//!
//! All of it is written in the batch of the block. Numbers are 8 bytes, big endian, as is a stake.

use core::ops::ControlFlow;

use klay_consensus::valset::AddressSet;
use klay_core::{
    Address, DecodeError,
    codec::DecodeErrorKind,
    storage::{Batch, KeyValue, StorageError, Table},
};
use klay_vm::reward::{StakingInfo, StakingNode};

const COUNCIL: &[u8] = b"council";
const VOTED: &[u8] = b"voted";
const STAKING: &[u8] = b"staking";
const ADDRESS: usize = 20;
const NODE: usize = 3 * ADDRESS + 8;

/// Adds the council that a vote in block `number` makes.
pub(crate) fn put_council(batch: &mut Batch, number: u64, council: &AddressSet) {
    let members: Vec<u8> = council.iter().flat_map(|member| member.0.0).collect();
    batch.put(Table::Meta, key(COUNCIL, number), members);
}

/// Adds that the header of block `number` has a vote or a governance field.
pub(crate) fn put_voted(batch: &mut Batch, number: u64) {
    batch.put(Table::Meta, key(VOTED, number), []);
}

/// Adds the stakes behind a block.
pub(crate) fn put_staking(batch: &mut Batch, info: &StakingInfo) {
    let mut value = Vec::with_capacity(2 * ADDRESS + info.nodes.len() * NODE);
    value.extend_from_slice(info.kif.as_slice());
    value.extend_from_slice(info.kef.as_slice());
    for node in &info.nodes {
        for address in [node.node, node.contract, node.reward] {
            value.extend_from_slice(address.as_slice());
        }
        value.extend_from_slice(&node.stake.to_be_bytes());
    }
    batch.put(Table::Meta, key(STAKING, info.source), value);
}

/// The councils that votes up to block `last` made, by the block of the vote.
pub(crate) fn councils(store: &dyn KeyValue, last: u64) -> Result<Vec<(u64, AddressSet)>, StorageError> {
    let mut found = Vec::new();
    for (number, value) in entries(store, COUNCIL, last)? {
        let (members, []) = value.as_chunks::<ADDRESS>() else { return Err(corrupt("council", value.len())) };
        found.push((number, members.iter().map(Address::from).collect()));
    }
    Ok(found)
}

/// The blocks up to `last` whose headers have a vote or a governance field.
pub(crate) fn voted(store: &dyn KeyValue, last: u64) -> Result<Vec<u64>, StorageError> {
    Ok(entries(store, VOTED, last)?.into_iter().map(|(number, _)| number).collect())
}

/// The stakes behind block `source`, if they were written down.
pub(crate) fn staking(store: &dyn KeyValue, source: u64) -> Result<Option<StakingInfo>, StorageError> {
    let Some(value) = store.get(Table::Meta, &key(STAKING, source))? else { return Ok(None) };
    let wrong = || corrupt("stakes", value.len());
    let mut rest = value.as_slice();
    let (kif, kef) = (take(&mut rest).ok_or_else(wrong)?, take(&mut rest).ok_or_else(wrong)?);
    let mut nodes = Vec::with_capacity(rest.len() / NODE);
    while !rest.is_empty() {
        nodes.push(node(&mut rest).ok_or_else(wrong)?);
    }
    Ok(Some(StakingInfo { nodes, kif, kef, ..StakingInfo::empty(source) }))
}

fn node(rest: &mut &[u8]) -> Option<StakingNode> {
    let (node, contract, reward) = (take(rest)?, take(rest)?, take(rest)?);
    let (stake, tail) = rest.split_first_chunk::<8>()?;
    *rest = tail;
    Some(StakingNode { node, contract, reward, stake: u64::from_be_bytes(*stake) })
}

fn take(rest: &mut &[u8]) -> Option<Address> {
    let (address, tail) = rest.split_first_chunk::<ADDRESS>()?;
    *rest = tail;
    Some(Address::from(*address))
}

fn entries(store: &dyn KeyValue, name: &[u8], last: u64) -> Result<Vec<(u64, Vec<u8>)>, StorageError> {
    let mut found = Vec::new();
    store.scan(Table::Meta, &key(name, 0), &mut |key, value| {
        let number = key.strip_prefix(name).and_then(|number| number.try_into().ok()).map(u64::from_be_bytes);
        match number.filter(|number| *number <= last) {
            Some(number) => found.push((number, value.to_vec())),
            None => return ControlFlow::Break(()),
        }
        ControlFlow::Continue(())
    })?;
    Ok(found)
}

fn key(name: &[u8], number: u64) -> Vec<u8> {
    [name, &number.to_be_bytes()].concat()
}

const fn corrupt(what: &'static str, got: usize) -> StorageError {
    StorageError::Corrupt { what, source: DecodeError::new(what, got, DecodeErrorKind::Invalid("wrong length")) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use klay_core::storage::Memory;

    use super::*;

    #[test]
    fn what_is_written_comes_back_up_to_a_block() {
        let store = Memory::new();
        let mut batch = Batch::default();
        let council = |n: u8| AddressSet::new((1..=n).map(Address::with_last_byte));
        for number in [5, 300, 70_000] {
            put_council(&mut batch, number, &council(number as u8));
            put_voted(&mut batch, number + 1);
        }
        let [node, contract, reward] = [1, 2, 3].map(Address::repeat_byte);
        let info = StakingInfo {
            nodes: vec![StakingNode { node, contract, reward, stake: 5_000_000 }; 2],
            kif: Address::repeat_byte(8),
            kef: Address::repeat_byte(9),
            ..StakingInfo::empty(86_400)
        };
        put_staking(&mut batch, &info);
        store.write(batch).unwrap();
        assert_eq!(councils(&store, 300).unwrap(), [(5, council(5)), (300, council(300u64 as u8))]);
        assert_eq!(voted(&store, u64::MAX).unwrap(), [6, 301, 70_001]);
        assert!(voted(&store, 5).unwrap().is_empty());
        assert_eq!(staking(&store, 86_400).unwrap(), Some(info));
        assert_eq!(staking(&store, 1).unwrap(), None);
    }

    #[test]
    fn a_damaged_value_is_refused() {
        let store = Memory::new();
        let mut batch = Batch::default();
        batch.put(Table::Meta, key(COUNCIL, 1), [0; 21]);
        batch.put(Table::Meta, key(STAKING, 1), [0; 41]);
        store.write(batch).unwrap();
        assert!(councils(&store, 9).is_err());
        assert!(staking(&store, 1).is_err());
    }
}
