//! Who may speak at a height and round.

use std::{collections::BTreeSet, fmt::Debug, sync::Arc};

use super::{Height, Model, Round, quorum};

/// The people of one view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committee<P> {
    /// Whose votes count, in the order of the chain.
    pub members: Vec<P>,
    /// Whose messages are read at all and who may ask for a new round; contains `members`.
    pub senders: Vec<P>,
    /// Who may propose.
    pub proposer: P,
    /// Votes that decide.
    pub quorum: u32,
    /// Votes that prove an honest member among them.
    pub weak: u32,
}

impl<P: Copy + Ord> Committee<P> {
    /// A committee in which every member may send and the live quorum of [`quorum`] holds.
    pub fn new(members: Vec<P>, proposer: P) -> Self {
        let n = u32::try_from(members.len()).unwrap_or(u32::MAX);
        Self { senders: members.clone(), members, proposer, quorum: quorum::live(n), weak: quorum::weak(n) }
    }

    /// The same with a wider circle of senders.
    #[must_use]
    pub fn with_senders(mut self, senders: Vec<P>) -> Self {
        self.senders = senders;
        self
    }

    /// The same without those who are `out`: the quorum is that of [`Self::new`] for who remains, and a turn of one who is
    /// out falls to the member after it. As it is where none of them sits, or where no member would remain.
    #[must_use]
    pub fn without(&self, out: &BTreeSet<P>) -> Self {
        let remaining = |of: &[P]| of.iter().copied().filter(|who| !out.contains(who)).collect::<Vec<_>>();
        let (members, senders) = (remaining(&self.members), remaining(&self.senders));
        if senders.len() == self.senders.len() {
            return self.clone();
        }
        let turn = self.members.iter().position(|who| *who == self.proposer).unwrap_or_default();
        let (before, after) = self.members.split_at(turn);
        match after.iter().chain(before).find(|who| !out.contains(who)) {
            Some(proposer) => Self::new(members, *proposer).with_senders(senders),
            None => self.clone(),
        }
    }

    /// Whether the votes of `who` count.
    pub fn is_member(&self, who: P) -> bool {
        self.members.contains(&who)
    }

    /// Whether messages of `who` are read.
    pub fn is_sender(&self, who: P) -> bool {
        self.senders.contains(&who)
    }
}

/// The chain does not know the committee of that height yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("committee of height {0} is not known yet")]
pub struct NotYet(pub Height);

/// A pure lookup of committees: the same question always gets the same answer, except that [`NotYet`] may turn into
/// one. The host announces that change with [`Input::Sets`](super::Input::Sets).
pub trait Committees<M: Model>: Debug + Send + Sync {
    /// The committee that decides `height` in `round`.
    ///
    /// # Errors
    /// While the chain state that determines it is missing.
    fn at(&self, height: Height, round: Round) -> Result<Arc<Committee<M::Peer>>, NotYet>;
}
