//! What the simulator has to know about an engine.

use core::{fmt, ops::Range, time::Duration};
use std::sync::Arc;

use super::{Byzantine, Enumeration, Faults, Orders, Report, Run, Seen, Stream, Twins, table, world};
use crate::{
    gate::GateRules,
    types::{Codec, Engine, Evidence, Height, Model, Statement, TimerId},
};

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
pub trait Lab: Send + Sync + Sized + 'static {
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

    /// The same lab with what a run wants of the chain: changes of the set, drawn leaders. `None` if it is as it is.
    fn tuned(&self, _faults: &Faults) -> Option<Self> {
        None
    }

    /// The same lab with the first rounds of each height led by these nodes. `None` if leaders cannot be planned.
    fn planned(&self, _leaders: &[usize]) -> Option<Self> {
        None
    }

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

    /// Whether a decision has all the votes that the engine's own rule asks for.
    fn decides(&self, value: &ValueOf<Self>, cert: &CertOf<Self>) -> bool {
        self.accepts(value, cert)
    }

    /// How many attempts at a value failed before it was decided; `parent` is the value before it.
    fn round(&self, value: &ValueOf<Self>, parent: Option<&ValueOf<Self>>, cert: &CertOf<Self>) -> u64;

    /// Who says what in a message, if it commits its sender to anything.
    fn claim(&self, msg: &MsgOf<Self>) -> Option<(PeerOf<Self>, Statement)>;

    /// The value that a message puts forward, if it does.
    fn proposes(&self, msg: &MsgOf<Self>) -> Option<<Self::Model as Model>::Id>;

    /// The name of a message's kind and its size in bytes.
    fn describe(&self, msg: &MsgOf<Self>) -> (&'static str, usize);

    /// The wire form of messages.
    fn codec(&self) -> &dyn Codec<Self::Model, Msg = MsgOf<Self>>;

    /// Whether evidence proves what it says to somebody who only knows the validators.
    fn proves(&self, _evidence: &Evidence<PeerOf<Self>>) -> bool {
        true
    }

    /// The engine of an honest node has reported evidence.
    fn reported(&self, _node: usize, _evidence: &Evidence<PeerOf<Self>>) {}

    /// A node has applied a value.
    fn applied(&self, _node: usize, _value: &ValueOf<Self>) {}

    /// What a hostile node sends to one peer instead of `msg`. Kinds that need nothing but the message itself
    /// (silence, repetition, garbage) are the simulator's.
    fn corrupt(
        &self,
        node: usize,
        how: Byzantine,
        to: usize,
        msg: &MsgOf<Self>,
        random: &mut Stream,
    ) -> Vec<MsgOf<Self>>;

    /// A vote that says `statement`, signed by `node` in the name of `claimed`. None if no single vote says it.
    fn forge(&self, _node: usize, _claimed: usize, _statement: &Statement) -> Option<MsgOf<Self>> {
        None
    }

    /// Which statements the gate has to keep apart.
    fn gate(&self) -> GateRules {
        GateRules::default()
    }

    /// Whether values are built on others that are not applied yet.
    fn pipelined(&self) -> bool {
        false
    }

    /// Least time between two values.
    fn period(&self) -> Duration {
        Duration::from_secs(1)
    }

    /// Whether a node that has said its second vote stays bound to that value until a quorum releases it.
    fn locks(&self) -> bool {
        false
    }

    /// Whether breaking an invariant is a known fault of the protocol that the engine reproduces. `importing` tells
    /// that only somebody who imports decided values is hurt, `locked` that an honest node holds on to a value, or has done so for long.
    fn is_known_fault(&self, _invariant: &str, _importing: bool, _locked: bool) -> bool {
        false
    }

    /// The longest time between two decisions that the engine promises once nothing goes wrong any more, if no more than
    /// `hostile` leaders in a row are hostile (I10); none if it promises nothing.
    fn bound(&self, _hostile: u32) -> Option<Duration> {
        None
    }

    /// Who led the attempts after the value before and up to the decision of this one, in order. Where leaders are
    /// drawn, more than F hostile ones may come in a row.
    fn led(&self, _value: &ValueOf<Self>, _parent: Option<&ValueOf<Self>>, _cert: &CertOf<Self>) -> Vec<PeerOf<Self>> {
        Vec::new()
    }

    /// Whether a timer only stands for saying again what was said.
    fn repeats(&self, _timer: TimerId) -> bool {
        false
    }

    /// Whether a node that lacks a decided value asks others for it.
    fn fetches(&self) -> bool {
        false
    }

    /// Whether a message does the same whoever sends it.
    fn is_anonymous(&self, _msg: &MsgOf<Self>) -> bool {
        false
    }

    /// Whether votes of a later round than a node's own are only kept until it is in that round.
    fn keeps_votes(&self) -> bool {
        false
    }

    /// Puts what no rule reads any more out of an engine, so that engines which will do the same are equal. `quiet`
    /// tells that no timer of it fires any more.
    fn forget(&self, _engine: &mut Self::Engine, _quiet: bool) {}

    /// Puts the proofs within a message in one form: one quorum proves what any other does.
    fn plain(&self, _msg: &mut MsgOf<Self>) {}

    /// The timer after which a node asks again for what it lacks.
    fn asks(&self) -> Option<TimerId> {
        None
    }

    /// Puts what a node has asked, and will ask, out of an engine.
    fn forget_questions(&self, _engine: &mut Self::Engine) {}

    /// Puts the votes of others that are kept until there is a quorum out of an engine.
    fn forget_votes(&self, _engine: &mut Self::Engine) {}

    /// Whether what all nodes can say together can be found from what each of them can say by itself: a kept vote does
    /// nothing but count, and all that nodes ask for stands alone.
    fn composes(&self) -> bool {
        false
    }

    /// Every answer that a node could give to whatever it is asked.
    fn answers(&self, _engine: &Self::Engine) -> Vec<MsgOf<Self>> {
        Vec::new()
    }

    /// What the sender of a message has signed that a proof can be made of.
    fn signs(&self, _msg: &MsgOf<Self>) -> Vec<[u8; 32]> {
        Vec::new()
    }

    /// The proofs within a message that anybody may send: what was signed, and by how many.
    fn proofs(&self, _msg: &MsgOf<Self>) -> Vec<([u8; 32], usize)> {
        Vec::new()
    }

    /// Plays a run. A lab that says this again, with the same body, is compiled once with its crate and not in every
    /// program that plays it; so for those below.
    fn run(self: &Arc<Self>, run: Run) -> Report {
        world::play(self, run)
    }

    /// Plays a run; returns how many things `node` had done when it had applied each height.
    fn survey(self: &Arc<Self>, run: Run, node: usize) -> Vec<u64> {
        world::survey(self, run, node)
    }

    /// See [`orders`](super::orders).
    fn orders(&self, wanted: Orders) -> Seen
    where
        Self: Clone,
        Self::Engine: Clone + fmt::Debug,
    {
        table::orders(self, wanted)
    }

    /// See [`enumerate_twins`](super::enumerate_twins).
    fn enumerate_twins(&self, twins: Twins, leaders: &[usize]) -> Enumeration
    where
        Self: Clone,
        Self::Engine: Clone + fmt::Debug,
    {
        table::enumerate_twins(self, twins, leaders)
    }

    /// See [`sample_twins`](super::sample_twins).
    fn sample_twins(&self, twins: Twins, seeds: Range<u64>) -> Enumeration
    where
        Self: Clone,
    {
        table::sample_twins(self, twins, seeds)
    }
}
