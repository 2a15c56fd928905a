#![doc = include_str!("../README.md")]

mod context;
mod engine;
mod lab;
mod mind;
mod wire;

pub use context::{At, Ballot, Chain, Member, Members, Name, NoPart, Offer, Seals, SignedBallot, SignedOffer, Who};
pub use engine::{Malachite, MalachiteConfig, Tempo};
pub use lab::MalachiteLab;
pub use wire::{Memo, Word, WordCodec};
