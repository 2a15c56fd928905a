//! What the simulator has to know about an engine.

use super::{Byzantine, Stream};
use crate::types::{Engine, Height, Model, Statement};

/// The message type of a lab's engine.
pub type MsgOf<L> = <<L as Lab>::Engine as Engine<<L as Lab>::Model>>::Msg;
/// The identity type of a lab.
pub type PeerOf<L> = <<L as Lab>::Model as Model>::Peer;
/// The value type of a lab.
pub type ValueOf<L> = <<L as Lab>::Model as Model>::Value;
/// The certificate type of a lab.
pub type CertOf<L> = <<L as Lab>::Model as Model>::Cert;

/// An engine in the simulator: how its nodes are set up, what their messages say, and how a hostile node would change
/// them. Signatures should be mocks: a run makes thousands.
pub trait Lab: Send + Sync + 'static {
    /// The types.
    type Model: Model;
    /// The engine.
    type Engine: Engine<Self::Model>;

    /// How many nodes there are.
    fn nodes(&self) -> usize;

    /// The identity of a node.
    fn peer(&self, node: usize) -> PeerOf<Self>;

    /// The settings of a node.
    fn config(&self, node: usize) -> <Self::Engine as Engine<Self::Model>>::Config;

    /// The name of the value agreed beforehand.
    fn genesis(&self) -> <Self::Model as Model>::Id;

    /// A value for a height. Values with different salts differ.
    fn value(
        &self,
        node: usize,
        height: Height,
        parent: <Self::Model as Model>::Id,
        salt: u64,
        valid: bool,
    ) -> ValueOf<Self>;

    /// Whether the application accepts a value.
    fn is_valid(&self, value: &ValueOf<Self>) -> bool;

    /// Signs for a node.
    fn sign(&self, node: usize, digest: [u8; 32]) -> <Self::Model as Model>::Sig;

    /// Whether somebody who only knows the validators accepts a decision.
    fn accepts(&self, value: &ValueOf<Self>, cert: &CertOf<Self>) -> bool;

    /// The round in which a decision was made.
    fn round(&self, cert: &CertOf<Self>) -> u64;

    /// Who says what in a message, if it commits its sender to anything.
    fn claim(&self, msg: &MsgOf<Self>) -> Option<(PeerOf<Self>, Statement)>;

    /// The name of a message's kind and its size in bytes.
    fn describe(&self, msg: &MsgOf<Self>) -> (&'static str, usize);

    /// What a hostile node sends to one peer instead of `msg`.
    fn corrupt(
        &self,
        node: usize,
        how: Byzantine,
        to: usize,
        msg: &MsgOf<Self>,
        random: &mut Stream,
    ) -> Vec<MsgOf<Self>>;
}
