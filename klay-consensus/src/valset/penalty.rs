//! Validators that leave because of what they did.
//!
//! Source: chapter 50, section 5.9.

use std::collections::{BTreeMap, BTreeSet};

use crate::types::{Evidence, Height, NotYet};

/// Whether an offence that a decided value proves takes the offender out of the set. A pure function: the same at every
/// node of a chain, and for the whole of its history.
pub type Penalty<P> = fn(&Evidence<P>) -> bool;

/// Who is out at which height, by the evidence in decided values.
///
/// Klaytn and its successor have no penalties, and nothing here is used unless an embedder uses it. On a chain of one's
/// own it takes whoever contradicts itself out of the set.
///
/// # Evidence of decided values only
/// A set must be the same at every node. What the engine of one node has noticed is not: an offender may tell half of the
/// others one thing and half of them another, and evidence that is passed on arrives here sooner and there never. So
/// evidence acts through the chain alone:
///
/// 1. whoever proposes a value puts evidence into it that it holds and that is not in the chain yet
///    ([`Evidence::encode`]);
/// 2. whoever judges a value checks that the evidence in it proves something, and refuses the value otherwise
///    ([`istanbul::check_evidence`](crate::istanbul::check_evidence) and its like), so that nobody is put out by a lie;
/// 3. whoever applies a decided value gives its evidence, and none from elsewhere, to [`Penalties::decided`];
/// 4. the set rule leaves out [`Penalties::out`] of its height.
///
/// Evidence in the value of height `h` counts from `h + 2`: when the engine asks for the validators of `h + 1`, the value
/// of `h` may not be applied here yet, and the answer may not depend on that. Before the value of `h` is applied, the
/// answer for `h + 2` is [`NotYet`].
///
/// ```
/// use klay_consensus::{
///     types::{Committee, Committees, Height, Model, NotYet, Round},
///     valset::Penalties,
/// };
/// use std::sync::{Arc, PoisonError, RwLock};
///
/// /// Any rule, without those who are out.
/// #[derive(Debug)]
/// struct Strict<M: Model> {
///     rule: Arc<dyn Committees<M>>,
///     penalties: RwLock<Penalties<M::Peer>>,
/// }
///
/// impl<M: Model> Committees<M> for Strict<M> {
///     fn at(&self, height: Height, round: Round) -> Result<Arc<Committee<M::Peer>>, NotYet> {
///         let out = self.penalties.read().unwrap_or_else(PoisonError::into_inner).out(height)?;
///         Ok(Arc::new(self.rule.at(height, round)?.without(&out)))
///     }
/// }
/// ```
#[derive(Debug, Clone)]
pub struct Penalties<P> {
    penalty: Penalty<P>,
    decided: Height,
    since: BTreeMap<P, Height>,
}

impl<P: Copy + Ord> Penalties<P> {
    /// Heights from the value that carries evidence to the first one without the offender.
    pub const DELAY: u64 = 2;

    /// Nothing is decided yet. After a restart, the values of the chain are told again.
    pub const fn new(penalty: Penalty<P>) -> Self {
        Self { penalty, decided: Height::ZERO, since: BTreeMap::new() }
    }

    /// The value of `height` is applied, with this evidence in it. Heights come in order, those without evidence too; one
    /// that was told before changes nothing.
    ///
    /// # Errors
    /// If a height before it was left out.
    pub fn decided(&mut self, height: Height, evidence: &[Evidence<P>]) -> Result<(), NotYet> {
        let expected = self.decided.saturating_add(1);
        if height < expected {
            return Ok(());
        }
        if height > expected {
            return Err(NotYet(expected));
        }
        self.decided = height;
        for proven in evidence.iter().filter(|evidence| (self.penalty)(evidence)) {
            self.since.entry(proven.offender).or_insert(height.saturating_add(Self::DELAY));
        }
        Ok(())
    }

    /// Who is out at `height`.
    ///
    /// # Errors
    /// While a value that may put somebody out by then is not applied.
    pub fn out(&self, height: Height) -> Result<BTreeSet<P>, NotYet> {
        if height > self.decided.saturating_add(Self::DELAY) {
            return Err(NotYet(height));
        }
        Ok(self.since.iter().filter(|(_, since)| **since <= height).map(|(who, _)| *who).collect())
    }
}
