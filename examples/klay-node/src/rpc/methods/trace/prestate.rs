//! The accounts that a transaction found.
//!
//! The reference client runs a script for it, and so do its habits: the sender's fee is put back as a floating point
//! product, a delegated fee is put back to the sender, and an amount that never arrived leaves a negative balance.
//!
//! Source: spec 40, section 6.3; `prestate_tracer.js` in the reference client. `diffMode` is geth's.

use std::{collections::BTreeMap, ops::ControlFlow};

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use klay_vm::trace::{AccountReader, AccountView, End, Step, Top, Touched, Tracer};
use serde_json::{Value, json};

use super::{Budget, Outcome, Report};
use crate::rpc::{
    RpcError,
    shapes::{Object, Put, bytes},
};

/// What an account takes beside its code.
const ACCOUNT_BYTES: usize = 256;
/// What a slot takes.
const SLOT_BYTES: usize = 160;

/// Collects accounts as they are when an instruction first names them.
#[derive(Debug)]
pub(super) struct PrestateTracer {
    budget: Budget,
    bytes: usize,
    accounts: BTreeMap<Address, Account>,
    has_stepped: bool,
    top: Option<Parties>,
}

/// The part of the outermost frame that the end needs.
#[derive(Debug, Clone, Copy)]
struct Parties {
    from: Address,
    to: Address,
    is_creation: bool,
    value: U256,
    gas_price: U256,
}

#[derive(Debug)]
struct Account {
    balance: Signed,
    nonce: i128,
    code: Bytes,
    storage: BTreeMap<U256, U256>,
}

/// A balance that may have become negative.
#[derive(Debug, Clone, Copy)]
struct Signed {
    is_negative: bool,
    amount: U256,
}

impl Signed {
    const fn less(self, value: U256) -> Self {
        match self.amount.checked_sub(value) {
            Some(amount) => Self { is_negative: false, amount },
            None => Self { is_negative: true, amount: value.saturating_sub(self.amount) },
        }
    }

    fn text(self) -> String {
        format!("0x{}{:x}", if self.is_negative { "-" } else { "" }, self.amount)
    }
}

impl PrestateTracer {
    pub(super) const fn new(budget: Budget) -> Self {
        Self { budget, bytes: 0, accounts: BTreeMap::new(), has_stepped: false, top: None }
    }

    fn look_up(&mut self, address: Address, accounts: &mut dyn AccountReader) {
        if self.accounts.contains_key(&address) {
            return;
        }
        let account = Account {
            balance: Signed { is_negative: false, amount: accounts.balance(address) },
            nonce: accounts.nonce(address).into(),
            code: accounts.code(address),
            storage: BTreeMap::new(),
        };
        self.bytes = self.bytes.saturating_add(ACCOUNT_BYTES + 2 * account.code.len());
        self.accounts.insert(address, account);
    }
}

fn account(word: U256) -> Address {
    Address::from_word(B256::from(word))
}

/// The contract that CREATE2 is about to make.
fn created(step: &Step<'_>) -> Address {
    let (offset, len) = (step.peek(1), step.peek(2));
    let code = |offset: usize, len: usize| {
        // The memory grows by zeros before the instruction reads it.
        let mut code = step.memory.get(offset..).unwrap_or_default().to_vec();
        code.resize(len, 0);
        code
    };
    let code = match (usize::try_from(offset), usize::try_from(len)) {
        (Ok(offset), Ok(len)) if u64::try_from(len).is_ok_and(|len| len <= step.gas) => code(offset, len),
        _ => Vec::new(),
    };
    step.address.create2(B256::from(step.peek(3)), keccak256(code))
}

impl Tracer for PrestateTracer {
    fn begin(&mut self, top: &Top<'_>) {
        let Top { from, to, is_creation, value, gas_price, .. } = *top;
        self.top = Some(Parties { from, to, is_creation, value, gas_price });
    }

    fn step(&mut self, step: &Step<'_>, accounts: &mut dyn AccountReader) -> ControlFlow<()> {
        if !std::mem::replace(&mut self.has_stepped, true) {
            self.look_up(step.address, accounts);
        }
        match step.op {
            // BALANCE, EXTCODESIZE, EXTCODECOPY, EXTCODEHASH
            0x31 | 0x3b | 0x3c | 0x3f => self.look_up(account(step.peek(0)), accounts),
            // CREATE
            0xf0 => {
                let nonce = accounts.nonce(step.address);
                self.look_up(step.address.create(nonce), accounts);
            }
            // CREATE2
            0xf5 => self.look_up(created(step), accounts),
            // CALL, CALLCODE, DELEGATECALL, STATICCALL
            0xf1 | 0xf2 | 0xf4 | 0xfa => self.look_up(account(step.peek(1)), accounts),
            // SLOAD, SSTORE
            0x54 | 0x55 => {
                self.look_up(step.address, accounts);
                let slot = step.peek(0);
                if let Some(account) = self.accounts.get_mut(&step.address) {
                    account.storage.entry(slot).or_insert_with(|| {
                        self.bytes = self.bytes.saturating_add(SLOT_BYTES);
                        accounts.storage(step.address, slot)
                    });
                }
            }
            _ => {}
        }
        self.budget.step(self.bytes)
    }

    fn end(&mut self, end: &End, accounts: &mut dyn AccountReader) {
        let Some(Parties { from, to, is_creation, value, gas_price }) = self.top else { return };
        if !self.has_stepped {
            self.look_up(to, accounts);
        }
        self.look_up(from, accounts);
        let balance = |address| self.accounts.get(&address).map(|account| account.balance);
        let (Some(of_sender), Some(of_recipient)) = (balance(from), balance(to)) else { return };
        if let Some(recipient) = self.accounts.get_mut(&to) {
            recipient.balance = of_recipient.less(value);
        }
        if let Some(sender) = self.accounts.get_mut(&from) {
            let amount = of_sender.amount.saturating_add(value).saturating_add(fee(end.gas_used, gas_price));
            sender.balance = Signed { is_negative: false, amount };
            sender.nonce -= 1;
        }
        if is_creation {
            self.accounts.remove(&to);
        }
    }
}

/// Gas times price as a script computes it: in double precision, and read back from the shortest decimal number.
#[allow(clippy::cast_precision_loss, reason = "the loss is what is asked for")]
fn fee(gas_used: u64, gas_price: U256) -> U256 {
    let price: f64 = gas_price.to_string().parse().unwrap_or_default();
    let product = gas_used as f64 * price;
    format!("{product}").parse().unwrap_or_default()
}

impl Report for PrestateTracer {
    fn budget(&self) -> &Budget {
        &self.budget
    }

    fn report(self: Box<Self>, _outcome: &Outcome) -> Result<String, RpcError> {
        let mut shown = Object::new();
        for (address, account) in &self.accounts {
            let storage: Object =
                account.storage.iter().map(|(slot, word)| (word_text(*slot), hex_word(*word))).collect();
            // A number of the script: whole as long as a double holds it.
            let nonce = i64::try_from(account.nonce).map_or_else(|_| json!(account.nonce.to_string()), |n| json!(n));
            let account = json!({
                "balance": account.balance.text(),
                "nonce": nonce,
                "code": bytes(&account.code),
                "storage": storage,
            });
            shown.put(&format!("{address:#x}"), account);
        }
        serde_json::to_string(&shown).map_err(RpcError::from_error)
    }
}

fn word_text(word: U256) -> String {
    B256::from(word).to_string()
}

fn hex_word(word: U256) -> Value {
    Value::String(word_text(word))
}

/// What a transaction changed, before and after.
#[derive(Debug)]
pub(super) struct DiffTracer {
    budget: Budget,
    touched: Vec<Touched>,
}

impl DiffTracer {
    pub(super) const fn new(budget: Budget) -> Self {
        Self { budget, touched: Vec::new() }
    }
}

impl Tracer for DiffTracer {
    fn step(&mut self, _step: &Step<'_>, _accounts: &mut dyn AccountReader) -> ControlFlow<()> {
        self.budget.step(0)
    }

    fn end(&mut self, _end: &End, accounts: &mut dyn AccountReader) {
        self.touched = accounts.touched();
    }
}

impl Report for DiffTracer {
    fn budget(&self) -> &Budget {
        &self.budget
    }

    fn report(self: Box<Self>, _outcome: &Outcome) -> Result<String, RpcError> {
        let (mut pre, mut post) = (Object::new(), Object::new());
        for touched in &self.touched {
            let Touched { address, before, after, storage } = touched;
            let changed: Vec<_> = storage.iter().filter(|(_, was, is)| was != is).collect();
            if before == after && changed.is_empty() {
                continue;
            }
            let slots = |pick: fn(&(U256, U256, U256)) -> U256| -> Object {
                let set = changed.iter().filter(|entry| !pick(entry).is_zero());
                set.map(|entry| (word_text(entry.0), hex_word(pick(entry)))).collect()
            };
            let name = format!("{address:#x}");
            if let Some(view) = before {
                pre.put(&name, members(view, None, slots(|entry| entry.1)));
            }
            if let Some(view) = after {
                post.put(&name, members(view, before.as_ref(), slots(|entry| entry.2)));
            }
        }
        serde_json::to_string(&json!({ "pre": pre, "post": post })).map_err(RpcError::from_error)
    }
}

/// The members of an account, those that are as in `other` left out.
fn members(view: &AccountView, other: Option<&AccountView>, storage: Object) -> Object {
    let mut members = Object::new();
    if other.is_none_or(|other| other.balance != view.balance) {
        members.put_big("balance", view.balance);
    }
    if other.is_none_or(|other| other.nonce != view.nonce) && view.nonce > 0 {
        members.put("nonce", view.nonce);
    }
    if other.is_none_or(|other| other.code != view.code) && !view.code.is_empty() {
        members.put_hex("code", &view.code);
    }
    if !storage.is_empty() {
        members.put("storage", storage);
    }
    members
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_fee_is_rounded_as_a_double_is() {
        assert_eq!(fee(21_000, U256::from(25_000_000_000_u64)), U256::from(525_000_000_000_000_u64));
        // 123,457 times 750,000,000,001 is 92,592,750,000,123,457 and lies between two doubles.
        assert_eq!(fee(123_457, U256::from(750_000_000_001_u64)), U256::from(92_592_750_000_123_460_u64));
    }

    #[test]
    fn balances_may_be_negative() {
        let five = Signed { is_negative: false, amount: U256::from(5) };
        assert_eq!(five.less(U256::from(7)).text(), "0x-2");
        assert_eq!(five.less(U256::from(5)).text(), "0x0");
    }
}
