//! A WebSocket connection as the methods see it: its subscriptions and the queue of what goes out.

use std::{
    collections::HashMap,
    sync::{
        Arc, Weak,
        atomic::{AtomicUsize, Ordering},
    },
};

use futures::{StreamExt, stream::BoxStream};
use parking_lot::Mutex;
use serde_json::value::RawValue;
use tokio::{
    sync::{mpsc, watch},
    task::AbortHandle,
};

use super::{
    Namespace, RpcError,
    decode::{Decode, FilterId, Params},
};

/// The results of one subscription, as JSON, until the topic ends.
pub type Feed = BoxStream<'static, Vec<u8>>;

/// What can be subscribed to.
pub trait Topics: Send + Sync + 'static {
    /// Starts listening to `name` as called in `namespace`; `args` are the parameters behind the name.
    ///
    /// # Errors
    /// [`RpcError::NoSuchSubscription`], or if the parameters are wrong.
    fn open(&self, namespace: Namespace, prefix: &str, name: &str, args: &[&RawValue]) -> Result<Feed, RpcError>;
}

/// One thing for the writer of a connection.
#[derive(Debug)]
pub(super) enum Outgoing {
    /// A message.
    Text(Vec<u8>),
    /// Is the other side still there?
    Ping,
}

/// Why the server ends a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CloseReason {
    /// A message was not JSON.
    #[error("message is not JSON")]
    Syntax,
    /// A message exceeded the limit.
    #[error("message exceeds the limit of {max} bytes")]
    TooLarge {
        /// [`super::Limits::body_bytes`].
        max: usize,
    },
    /// The client does not read.
    #[error("{waiting} messages wait to be read")]
    SlowReader {
        /// [`super::Limits::queue`].
        waiting: usize,
    },
    /// The server stops.
    #[error("server stops")]
    Stop,
}

/// The part of a connection that messages and subscriptions share.
pub struct Connection {
    me: Weak<Self>,
    topics: Arc<dyn Topics>,
    outbox: mpsc::Sender<Outgoing>,
    closing: watch::Sender<Option<CloseReason>>,
    subscriptions: Mutex<HashMap<FilterId, AbortHandle>>,
    limit: Arc<AtomicUsize>,
    queue: usize,
}

impl core::fmt::Debug for Connection {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Connection").field("subscriptions", &self.subscriptions.lock().len()).finish_non_exhaustive()
    }
}

/// One message on its way; what it subscribes to starts when its answer is queued.
#[derive(Debug)]
pub struct Session {
    connection: Arc<Connection>,
    starts: Mutex<Vec<Start>>,
}

struct Start {
    id: FilterId,
    prefix: String,
    feed: Feed,
}

impl core::fmt::Debug for Start {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_tuple("Start").field(&self.id).finish()
    }
}

impl Connection {
    pub(super) fn new(
        topics: Arc<dyn Topics>,
        outbox: mpsc::Sender<Outgoing>,
        limit: Arc<AtomicUsize>,
        queue: usize,
    ) -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            me: me.clone(),
            topics,
            outbox,
            closing: watch::channel(None).0,
            subscriptions: Mutex::default(),
            limit,
            queue,
        })
    }

    pub(super) fn session(self: &Arc<Self>) -> Session {
        Session { connection: Arc::clone(self), starts: Mutex::default() }
    }

    /// Ends the connection; the first reason stays.
    pub(super) fn close(&self, reason: CloseReason) {
        self.closing.send_if_modified(|held| {
            let is_first = held.is_none();
            held.get_or_insert(reason);
            is_first
        });
    }

    pub(super) fn closing(&self) -> watch::Receiver<Option<CloseReason>> {
        self.closing.subscribe()
    }

    pub(super) async fn send(&self, text: Vec<u8>) {
        // Fails only when the writer is gone, and then nobody waits for the text.
        let _ = self.outbox.send(Outgoing::Text(text)).await;
    }

    /// Ends all subscriptions.
    pub(super) fn end(&self) {
        for (_, task) in self.subscriptions.lock().drain() {
            task.abort();
        }
    }

    fn notify(&self, prefix: &str, id: &FilterId, result: &[u8]) -> bool {
        let mut text = Vec::with_capacity(result.len() + 128);
        text.extend_from_slice(b"{\"jsonrpc\":\"2.0\",\"method\":\"");
        text.extend_from_slice(prefix.as_bytes());
        text.extend_from_slice(b"_subscription\",\"params\":{\"subscription\":\"");
        text.extend_from_slice(id.0.as_bytes());
        text.extend_from_slice(b"\",\"result\":");
        text.extend_from_slice(result);
        text.extend_from_slice(b"}}");
        match self.outbox.try_send(Outgoing::Text(text)) {
            Ok(()) => true,
            Err(mpsc::error::TrySendError::Full(_)) => {
                self.close(CloseReason::SlowReader { waiting: self.queue });
                false
            }
            Err(mpsc::error::TrySendError::Closed(_)) => false,
        }
    }
}

impl Session {
    /// `subscribe` as called by `method`; the id.
    ///
    /// # Errors
    /// The limit first, then the name, then its parameters.
    pub fn subscribe(&self, method: &str, params: Option<&RawValue>) -> Result<FilterId, RpcError> {
        let connection = &self.connection;
        let max = connection.limit.load(Ordering::Relaxed);
        if connection.subscriptions.lock().len() + self.starts.lock().len() >= max {
            return Err(RpcError::TooManySubscriptions { max });
        }
        let prefix = method.split_once('_').map_or(method, |(prefix, _)| prefix);
        let list: Vec<&RawValue> = match params.map(RawValue::get) {
            None | Some("null") => Vec::new(),
            Some(text) => serde_json::from_str(text).map_err(|_| RpcError::NonArrayArgs)?,
        };
        let name = list
            .first()
            .filter(|raw| raw.get().starts_with('"'))
            .and_then(|raw| String::decode(raw).ok())
            .ok_or(RpcError::NoSubscriptionName)?;
        let unknown = || RpcError::NoSuchSubscription { name: name.clone(), namespace: prefix.to_owned() };
        let namespace = Namespace::from_name(prefix).ok_or_else(unknown)?;
        let feed = connection.topics.open(namespace, prefix, &name, list.get(1..).unwrap_or_default())?;
        let id = random_id();
        self.starts.lock().push(Start { id: id.clone(), prefix: prefix.to_owned(), feed });
        Ok(id)
    }

    /// `unsubscribe`.
    ///
    /// # Errors
    /// If the connection has no such subscription.
    pub fn unsubscribe(&self, params: Option<&RawValue>) -> Result<(), RpcError> {
        let (id,) = <(FilterId,)>::read(params)?;
        let waiting = {
            let mut starts = self.starts.lock();
            let before = starts.len();
            starts.retain(|start| start.id != id);
            starts.len() < before
        };
        match self.connection.subscriptions.lock().remove(&id) {
            Some(task) => task.abort(),
            None if waiting => {}
            None => return Err(RpcError::SubscriptionNotFound),
        }
        Ok(())
    }

    /// Lets the subscriptions of this message begin; call it when the answer is queued.
    pub(super) fn start(self) {
        let connection = self.connection;
        for Start { id, prefix, mut feed } in self.starts.into_inner() {
            let weak = connection.me.clone();
            let mut held = connection.subscriptions.lock();
            let key = id.clone();
            let task = tokio::spawn(async move {
                while let Some(result) = feed.next().await {
                    let Some(connection) = weak.upgrade() else { return };
                    if !connection.notify(&prefix, &id, &result) {
                        return;
                    }
                }
            });
            held.insert(key, task.abort_handle());
        }
    }
}

/// `0x` and up to 32 random hex digits without leading zeros.
pub(super) fn random_id() -> FilterId {
    let mut bytes = [0; 16];
    // Without the system's randomness the id is merely guessable, and a zero id is as good as any.
    let _ = getrandom::fill(&mut bytes);
    FilterId(format!("{:#x}", u128::from_be_bytes(bytes)))
}
