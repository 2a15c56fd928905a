//! Who is a validator, who may propose, and who votes: pure functions of chain data.
//!
//! | Set | Function |
//! |---|---|
//! | council | [`CouncilVote::apply`], block after block |
//! | demoted | [`demoted`], by stake |
//! | qualified | council without demoted |
//! | proposer, committee | [`Selection`], by [`Policy`] |
//! | out for an offence, never on Klaytn | [`Penalties`], by [`Penalty`] |
//!
//! Differences between releases and forks are data: [`ListRule`], [`Policy`], [`Selection::add_round`]. Every set is in
//! the order of [`AddressSet`].
//!
//! ```
//! use klay_consensus::valset::{AddressSet, Policy, Selection};
//! # use alloy_primitives::{Address, B256};
//! # let [a, b, c] = [1, 2, 3].map(Address::with_last_byte);
//! let qualified = AddressSet::new([c, a, b]);
//! let block = Selection {
//!     number: 2,
//!     qualified: &qualified,
//!     policy: Policy::RoundRobin { previous: a },
//!     committee_size: 22,
//!     parent_hash: B256::ZERO,
//!     add_round: false,
//! };
//! assert_eq!(block.proposer(0)?, b);
//! assert_eq!(block.proposer(1)?, c);
//! assert_eq!(block.committee(0)?, [a, b, c]);
//! # Ok::<_, klay_consensus::valset::SelectError>(())
//! ```
//!
//! Source: chapter 50, section 2.

mod council;
mod go_rand;
mod go_rand_table;
mod order;
mod penalty;
mod seed;
mod select;
mod stake;
mod weight;

pub use council::CouncilVote;
pub use go_rand::GoRand;
pub use order::AddressSet;
pub use penalty::{Penalties, Penalty};
pub use seed::{legacy_seed, randao_seed};
pub use select::{Policy, SelectError, Selection, list_made_at};
pub use stake::{Stakes, StakingEntry, demoted, demotes, staking_block};
pub use weight::{ListRule, RemoveVote, gini, proposer_list, weights, without_removed};
