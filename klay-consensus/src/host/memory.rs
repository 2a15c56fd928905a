//! A transport within one process, with bounded queues.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use tokio::sync::{Mutex as AsyncMutex, mpsc};

use super::Transport;
use crate::types::{Class, Model};

type Frame<P> = (P, Vec<u8>);
type Ports<P> = Arc<Mutex<BTreeMap<P, mpsc::Sender<Frame<P>>>>>;

/// A switch that connects transports in one process.
#[derive(Debug)]
pub struct MemoryNetwork<M: Model> {
    ports: Ports<M::Peer>,
    queue: usize,
}

impl<M: Model> MemoryNetwork<M> {
    /// A switch whose ports hold `queue` frames each; what does not fit is lost.
    pub fn new(queue: usize) -> Self {
        Self { ports: Arc::default(), queue }
    }

    /// A port for `me`, replacing an earlier one.
    pub fn join(&self, me: M::Peer) -> MemoryTransport<M> {
        let (sender, receiver) = mpsc::channel(self.queue.max(1));
        self.ports.lock().unwrap_or_else(PoisonError::into_inner).insert(me, sender);
        MemoryTransport { me, ports: Arc::clone(&self.ports), receiver: AsyncMutex::new(receiver) }
    }

    /// Unplugs `who`.
    pub fn cut(&self, who: M::Peer) {
        self.ports.lock().unwrap_or_else(PoisonError::into_inner).remove(&who);
    }
}

/// One port of a [`MemoryNetwork`].
#[derive(Debug)]
pub struct MemoryTransport<M: Model> {
    me: M::Peer,
    ports: Ports<M::Peer>,
    receiver: AsyncMutex<mpsc::Receiver<Frame<M::Peer>>>,
}

#[async_trait]
impl<M: Model> Transport<M> for MemoryTransport<M> {
    async fn send(&self, to: M::Peer, _class: Class, bytes: Vec<u8>) {
        let port = self.ports.lock().unwrap_or_else(PoisonError::into_inner).get(&to).cloned();
        if let Some(port) = port {
            // A full queue loses the frame, as a network does.
            let _lost = port.try_send((self.me, bytes)).is_err();
        }
    }

    async fn next(&self) -> Option<(M::Peer, Vec<u8>)> {
        self.receiver.lock().await.recv().await
    }
}
