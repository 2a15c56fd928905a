//! For what a sponsor pays.

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
};

use alloy_primitives::{Address, U256};
use klay_core::tx::PayloadType;

use crate::request::Requested;

/// Decides whether a sponsor pays for a request.
///
/// A tuple of two or a vector of policies wants all of them to agree.
pub trait Policy {
    /// Whether the request is acceptable. Changes nothing.
    ///
    /// # Errors
    /// If it is not.
    fn check(&self, request: &Requested) -> Result<(), Refusal>;

    /// Takes note that the request is about to be paid for; called once every policy has agreed.
    ///
    /// # Errors
    /// If in the meantime it is no longer acceptable.
    fn reserve(&self, request: &Requested) -> Result<(), Refusal> {
        self.check(request)
    }

    /// Takes back what [`Self::reserve`] noted, as the request was not paid for after all.
    fn release(&self, _request: &Requested) {}
}

/// Why a sponsor does not pay.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The sender is not on the list.
    #[error("sender {0} is not allowed")]
    Sender(Address),
    /// The recipient is not on the list, or there is none.
    #[error("recipient is not allowed: {0:?}")]
    Recipient(Option<Address>),
    /// More gas than allowed.
    #[error("gas limit {got} exceeds {max}")]
    Gas {
        /// Asked for.
        got: u64,
        /// Allowed.
        max: u64,
    },
    /// A higher price than allowed, in peb.
    #[error("gas price {got} exceeds {max}")]
    GasPrice {
        /// Asked for.
        got: U256,
        /// Allowed.
        max: U256,
    },
    /// More than what is left to spend, in peb.
    #[error("cost {got} exceeds what is left of the budget, {left}")]
    Budget {
        /// The most the request can cost.
        got: U256,
        /// Left.
        left: U256,
    },
    /// The share asked for is outside 1 to 99 percent.
    #[error("fee ratio is out of range [1, 99]: {0}")]
    Ratio(u8),
}

/// Pays for everything.
#[derive(Debug, Clone, Copy, Default)]
pub struct AllowAll;

impl Policy for AllowAll {
    fn check(&self, _request: &Requested) -> Result<(), Refusal> {
        Ok(())
    }
}

/// Pays for certain senders, for certain recipients, or only where both are on the list.
#[derive(Debug, Clone, Default)]
pub struct AllowList {
    senders: Option<BTreeSet<Address>>,
    recipients: Option<BTreeSet<Address>>,
}

impl AllowList {
    /// Only these senders; recipients do not matter.
    pub fn senders(senders: impl IntoIterator<Item = Address>) -> Self {
        Self { senders: Some(senders.into_iter().collect()), recipients: None }
    }

    /// Only these recipients; senders do not matter. Transactions without recipient are refused.
    pub fn recipients(recipients: impl IntoIterator<Item = Address>) -> Self {
        Self { senders: None, recipients: Some(recipients.into_iter().collect()) }
    }
}

impl Policy for AllowList {
    fn check(&self, request: &Requested) -> Result<(), Refusal> {
        let (from, to) = (request.from(), request.body().payload.to());
        if self.senders.as_ref().is_some_and(|senders| !senders.contains(&from)) {
            return Err(Refusal::Sender(from));
        }
        if self.recipients.as_ref().is_some_and(|recipients| !to.is_some_and(|to| recipients.contains(&to))) {
            return Err(Refusal::Recipient(to));
        }
        Ok(())
    }
}

/// Pays for transactions up to a gas limit and a price.
#[derive(Debug, Clone, Copy)]
pub struct GasCap {
    /// Highest gas limit.
    pub gas_limit: u64,
    /// Highest price per gas, in peb.
    pub gas_price: U256,
}

impl Policy for GasCap {
    fn check(&self, request: &Requested) -> Result<(), Refusal> {
        let body = request.body();
        if body.gas_limit > self.gas_limit {
            return Err(Refusal::Gas { got: body.gas_limit, max: self.gas_limit });
        }
        if body.gas_price > self.gas_price {
            return Err(Refusal::GasPrice { got: body.gas_price, max: self.gas_price });
        }
        Ok(())
    }
}

/// Pays until an amount is used up. Counts the most that each request can cost, as the real cost is known only later.
#[derive(Debug)]
pub struct Budget(Mutex<U256>);

impl Budget {
    /// A budget of `amount` peb.
    pub const fn new(amount: U256) -> Self {
        Self(Mutex::new(amount))
    }

    /// What is left, in peb.
    pub fn left(&self) -> U256 {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds `amount` peb, for instance what a request has not used of its gas.
    pub fn add(&self, amount: U256) {
        let mut left = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *left = left.saturating_add(amount);
    }
}

impl Policy for Budget {
    fn check(&self, request: &Requested) -> Result<(), Refusal> {
        let (got, left) = (request.max_cost().unwrap_or(U256::MAX), self.left());
        if got > left { Err(Refusal::Budget { got, left }) } else { Ok(()) }
    }

    fn reserve(&self, request: &Requested) -> Result<(), Refusal> {
        let got = request.max_cost().unwrap_or(U256::MAX);
        let mut left = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *left = left.checked_sub(got).ok_or(Refusal::Budget { got, left: *left })?;
        Ok(())
    }

    fn release(&self, request: &Requested) {
        self.add(request.max_cost().unwrap_or_default());
    }
}

impl<A: Policy, B: Policy> Policy for (A, B) {
    fn check(&self, request: &Requested) -> Result<(), Refusal> {
        self.0.check(request)?;
        self.1.check(request)
    }

    fn reserve(&self, request: &Requested) -> Result<(), Refusal> {
        self.0.reserve(request)?;
        self.1.reserve(request).inspect_err(|_| self.0.release(request))
    }

    fn release(&self, request: &Requested) {
        self.0.release(request);
        self.1.release(request);
    }
}

impl<P: Policy + ?Sized> Policy for Box<P> {
    fn check(&self, request: &Requested) -> Result<(), Refusal> {
        (**self).check(request)
    }

    fn reserve(&self, request: &Requested) -> Result<(), Refusal> {
        (**self).reserve(request)
    }

    fn release(&self, request: &Requested) {
        (**self).release(request);
    }
}

impl<P: Policy> Policy for Vec<P> {
    fn check(&self, request: &Requested) -> Result<(), Refusal> {
        self.iter().try_for_each(|policy| policy.check(request))
    }

    fn reserve(&self, request: &Requested) -> Result<(), Refusal> {
        for (reserved, policy) in self.iter().enumerate() {
            policy.reserve(request).inspect_err(|_| self[..reserved].iter().for_each(|p| p.release(request)))?;
        }
        Ok(())
    }

    fn release(&self, request: &Requested) {
        self.iter().for_each(|policy| policy.release(request));
    }
}
