//! The price of an instruction ahead of its execution.
//!
//! An instruction that runs shows its price by the gas that is gone afterwards. One that cannot be paid does not:
//! revm stops at the first part that is missing, the reference client's traces show the sum.
//!
//! Source: spec 40, section 1.4; `gas_table.go`, `operations_acl.go` and `memory_table.go` in the reference client.

use klay_core::{Address, B256, U256};
use revm::bytecode::Bytecode;

use super::{AccountReader, watch::Reader};
use crate::{machine::KlvmContext, spec::Level, validate::MAX_INIT_CODE_SIZE};

const COLD_ACCOUNT: u64 = 2_600;
const COLD_SLOT: u64 = 2_100;
const WARM: u64 = 100;
/// What a cold account costs beyond the constant gas of the instruction.
const COLD_EXTRA: u64 = COLD_ACCOUNT - WARM;
const NEW_ACCOUNT: u64 = 25_000;
const CALL_VALUE: u64 = 9_000;
const COPY_WORD: u64 = 3;
const HASH_WORD: u64 = 6;
const INIT_CODE_WORD: u64 = 2;
/// Largest end of the memory whose price can be computed.
const MAX_MEMORY: u64 = 0x1f_ffff_ffe0;
const SENTRY: u64 = 2_300;

/// An instruction about to run.
pub(super) struct Ahead<'a> {
    pub(super) ctx: &'a mut KlvmContext,
    pub(super) op: u8,
    pub(super) address: Address,
    pub(super) stack: &'a [U256],
    pub(super) memory_len: usize,
    pub(super) gas: u64,
}

impl Ahead<'_> {
    /// Constant and dynamic gas; none if the dynamic part cannot be computed, which counts as zero.
    ///
    /// Means nothing if the stack is too short or a range does not fit 64 bits.
    pub(super) fn price(&mut self) -> Option<u64> {
        self.constant().checked_add(self.dynamic()?)
    }

    fn constant(&self) -> u64 {
        u64::from(self.ctx.chain.opcodes.constant_gas[usize::from(self.op)])
    }

    fn dynamic(&mut self) -> Option<u64> {
        let level = self.ctx.chain.level;
        let is_kore = level.is_since(Level::Kore);
        match self.op {
            // EXP
            0x0a => Some(10 + 50 * (self.back(1).bit_len().div_ceil(8) as u64)),
            // SHA3
            0x20 => self.memory(0, 1)?.checked_add(self.words(1, HASH_WORD)?),
            // BALANCE, EXTCODESIZE; EXTCODEHASH before Cancun
            0x31 | 0x3b if is_kore => Some(self.cold_extra(0)),
            0x3f if is_kore && !level.is_since(Level::Cancun) => Some(self.cold_extra(0)),
            // CALLDATACOPY, CODECOPY, RETURNDATACOPY
            0x37 | 0x39 | 0x3e => self.memory(0, 2)?.checked_add(self.words(2, COPY_WORD)?),
            // EXTCODECOPY
            0x3c => {
                let copy = self.memory(1, 3)?.checked_add(self.words(3, COPY_WORD)?)?;
                copy.checked_add(if is_kore { self.cold_extra(0) } else { 0 })
            }
            // MLOAD, MSTORE, MSTORE8
            0x51 | 0x52 => self.memory_to(self.back(0), U256::from(32)),
            0x53 => self.memory_to(self.back(0), U256::ONE),
            // SLOAD
            0x54 if is_kore => Some(if self.is_slot_warm() { WARM } else { COLD_SLOT }),
            // SSTORE
            0x55 => self.store(),
            // MCOPY
            0x5e => {
                let start = self.back(0).max(self.back(1));
                self.memory_to(start, self.back(2))?.checked_add(self.words(2, COPY_WORD)?)
            }
            // LOG0 to LOG4
            0xa0..=0xa4 => {
                let data = u64::try_from(self.back(1)).ok()?.checked_mul(8)?;
                self.memory(0, 1)?.checked_add(375 * (1 + u64::from(self.op - 0xa0)))?.checked_add(data)
            }
            // CREATE, CREATE2
            0xf0 | 0xf5 => self.create(),
            // CALL, CALLCODE, DELEGATECALL, STATICCALL
            0xf1 | 0xf2 | 0xf4 | 0xfa => self.call(),
            // RETURN, REVERT
            0xf3 | 0xfd => self.memory(0, 1),
            // SELFDESTRUCT
            0xff => Some(self.selfdestruct()),
            _ => Some(0),
        }
    }

    /// The item this far below the top; zero where there is none.
    fn back(&self, depth: usize) -> U256 {
        let at = self.stack.len().checked_sub(depth + 1);
        at.and_then(|at| self.stack.get(at)).copied().unwrap_or_default()
    }

    fn account(&self, depth: usize) -> Address {
        Address::from_word(B256::from(self.back(depth)))
    }

    /// Price of growing the memory to the range whose offset and length are on the stack.
    fn memory(&self, offset: usize, len: usize) -> Option<u64> {
        self.memory_to(self.back(offset), self.back(len))
    }

    fn memory_to(&self, offset: U256, len: U256) -> Option<u64> {
        self.grown(end(offset, len)?)
    }

    /// Price of growing the memory to this many bytes.
    fn grown(&self, end: u64) -> Option<u64> {
        if end > MAX_MEMORY {
            return None;
        }
        let total = |words: u64| words * 3 + words * words / 512;
        let (before, after) = (self.memory_len as u64 / 32, end.div_ceil(32));
        Some(total(after.max(before)) - total(before))
    }

    /// `price` for each word of the length on the stack.
    fn words(&self, len: usize, price: u64) -> Option<u64> {
        u64::try_from(self.back(len)).ok()?.div_ceil(32).checked_mul(price)
    }

    fn is_warm(&self, address: &Address) -> bool {
        let journal = &self.ctx.journaled_state.inner;
        let loaded = journal.state.get(address);
        loaded.is_some_and(|account| !account.is_cold_transaction_id(journal.transaction_id))
            || journal.warm_addresses.is_warm(address)
    }

    fn cold_extra(&self, depth: usize) -> u64 {
        if self.is_warm(&self.account(depth)) { 0 } else { COLD_EXTRA }
    }

    fn is_slot_warm(&self) -> bool {
        let journal = &self.ctx.journaled_state.inner;
        let slot = self.back(0);
        let account = journal.state.get(&self.address);
        let loaded = account.and_then(|account| account.storage.get(&slot));
        loaded.is_some_and(|slot| !slot.is_cold_transaction_id(journal.transaction_id))
            || journal.warm_addresses.access_list().get(&self.address).is_some_and(|slots| slots.contains(&slot))
    }

    /// Whether nothing is at the address, as Klaytn counts it.
    fn is_empty(&mut self, address: Address) -> bool {
        let mut reader = Reader(self.ctx);
        reader.is_empty(address)
    }

    fn store(&mut self) -> Option<u64> {
        let level = self.ctx.chain.level;
        let (slot, value) = (self.back(0), self.back(1));
        if level.is_since(Level::Istanbul) && self.gas <= SENTRY {
            return None;
        }
        let (original, current) = Reader(self.ctx).slot(self.address, slot);
        if !level.is_since(Level::Istanbul) {
            return Some(if current.is_zero() && !value.is_zero() { 20_000 } else { 5_000 });
        }
        let (cold, reset, read) = match level.is_since(Level::Kore) {
            true if self.is_slot_warm() => (0, 5_000 - COLD_SLOT, WARM),
            true => (COLD_SLOT, 5_000 - COLD_SLOT, WARM),
            false => (0, 5_000, 800),
        };
        Some(match (current == value, original == current, original.is_zero()) {
            (false, true, true) => cold + 20_000,
            (false, true, false) => cold + reset,
            _ => cold + read,
        })
    }

    fn create(&self) -> Option<u64> {
        let memory = self.memory(1, 2)?;
        let hash = if self.op == 0xf5 { HASH_WORD } else { 0 };
        if !self.ctx.chain.level.is_since(Level::Shanghai) {
            return memory.checked_add(self.words(2, hash)?);
        }
        if self.back(2) > U256::from(MAX_INIT_CODE_SIZE) {
            return None;
        }
        memory.checked_add(self.words(2, hash + INIT_CODE_WORD)?)
    }

    fn call(&mut self) -> Option<u64> {
        let level = self.ctx.chain.level;
        let to = self.account(1);
        let mut available = self.gas.checked_sub(self.constant())?;
        let mut access = 0;
        if level.is_since(Level::Kore) && !self.is_warm(&to) {
            available = available.checked_sub(COLD_EXTRA)?;
            access += COLD_EXTRA;
        }
        if level.is_since(Level::Prague)
            && let Some(delegate) = Reader(self.ctx).bytecode(to).as_ref().and_then(Bytecode::eip7702_address)
        {
            let price = if delegate == to || self.is_warm(&delegate) { WARM } else { COLD_ACCOUNT };
            available = available.checked_sub(price)?;
            access += price;
        }
        let takes_value = matches!(self.op, 0xf1 | 0xf2);
        let mut gas = match takes_value {
            true => self.grown(end(self.back(3), self.back(4))?.max(end(self.back(5), self.back(6))?))?,
            false => self.grown(end(self.back(2), self.back(3))?.max(end(self.back(4), self.back(5))?))?,
        };
        if takes_value && !self.back(2).is_zero() {
            gas += CALL_VALUE;
            if self.op == 0xf1 && self.is_empty(to) {
                gas += NEW_ACCOUNT;
            }
        }
        // The difference wraps around in the reference client, too.
        let left = available.wrapping_sub(gas);
        let most = left - left / 64;
        let forwarded = u64::try_from(self.back(0)).map_or(most, |asked| asked.min(most));
        gas.checked_add(forwarded)?.checked_add(access)
    }

    fn selfdestruct(&mut self) -> u64 {
        let is_kore = self.ctx.chain.level.is_since(Level::Kore);
        let target = self.account(0);
        let access = match is_kore {
            true if self.is_warm(&target) => 0,
            true => COLD_ACCOUNT,
            false => 5_000,
        };
        let creates = self.is_empty(target) && !Reader(self.ctx).balance(self.address).is_zero();
        access + if creates { NEW_ACCOUNT } else { 0 }
    }
}

/// End of a range; zero if its length is, none if it does not fit.
fn end(offset: U256, len: U256) -> Option<u64> {
    if len.is_zero() {
        return Some(0);
    }
    u64::try_from(offset).ok()?.checked_add(u64::try_from(len).ok()?)
}
