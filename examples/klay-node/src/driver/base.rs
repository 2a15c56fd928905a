//! What a block is built upon, and blocks that are executed but not in the chain yet.

use std::{collections::VecDeque, sync::Arc};

use klay_core::{B256, block::Header};
use klay_vm::State;
use parking_lot::Mutex;

use super::{finalise::ExecuteError, proposal::Executed};
use crate::Chain;

/// Executed blocks that are kept: proposals of a few rounds or views.
const KEPT: usize = 16;

/// A parent: its header and the state behind it.
#[derive(Debug, Clone)]
pub(super) struct Base {
    pub(super) header: Header,
    pub(super) hash: B256,
    pub(super) state: State,
}

/// Blocks that were executed and may be decided, by their hash.
#[derive(Debug, Default)]
pub(super) struct Undecided(Mutex<VecDeque<(B256, Header, Arc<Executed>)>>);

impl Undecided {
    pub(super) fn keep(&self, hash: B256, header: Header, executed: Arc<Executed>) {
        let mut kept = self.0.lock();
        kept.push_back((hash, header, executed));
        if kept.len() > KEPT {
            kept.pop_front();
        }
    }

    pub(super) fn get(&self, hash: B256) -> Option<Arc<Executed>> {
        self.0.lock().iter().find(|(kept, ..)| *kept == hash).map(|(.., executed)| Arc::clone(executed))
    }

    /// Forgets what lies at or below a height: it is decided.
    pub(super) fn decided(&self, number: u64) {
        self.0.lock().retain(|(_, header, _)| header.number > number);
    }

    /// The parent with this hash: the newest block of the chain, or one that is executed but not decided.
    pub(super) fn base(&self, chain: &Chain, hash: B256) -> Result<Option<Base>, ExecuteError> {
        let head = chain.head();
        if head.hash == hash {
            return Ok(Some(Base { header: head.header.clone(), hash, state: chain.state_at(head.number())? }));
        }
        let kept = self.0.lock();
        let found = kept.iter().find(|(kept, ..)| *kept == hash);
        Ok(found.map(|(_, header, executed)| Base {
            header: header.clone(),
            hash,
            state: executed.result.state.clone(),
        }))
    }
}
