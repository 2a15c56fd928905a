//! What an embedder brings: the application, and a transport if there are peers.

use std::time::Duration;

use async_trait::async_trait;

use crate::types::{ApplyError, Class, Height, Model, Slot, Verdict, WallTime};

/// The last value that the application has applied and made durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tip<M: Model> {
    /// Its height.
    pub height: Height,
    /// Its name.
    pub id: M::Id,
    /// When the next value may be proposed, by the calendar.
    pub next_at: WallTime,
}

/// What is asked of [`App::build`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildRequest<M: Model> {
    /// The slot.
    pub slot: Slot,
    /// The value it must follow.
    pub parent: M::Id,
    /// How long building may take.
    pub within: Duration,
    /// Whether an empty value is wanted too.
    pub empty: bool,
}

/// The application: makes, checks and applies values. Calls may be dropped half way when their result is no longer
/// needed, except [`App::apply`].
#[async_trait]
pub trait App<M: Model>: Send + Sync + 'static {
    /// Makes a value; `None` if there is nothing to decide.
    async fn build(&self, request: BuildRequest<M>) -> Option<M::Value>;

    /// Judges a value of somebody else.
    async fn check(&self, slot: Slot, value: M::Value) -> Verdict;

    /// Applies a decided value and makes it durable. Called one at a time, in order.
    ///
    /// # Errors
    /// If the value is invalid or the store fails.
    async fn apply(&self, value: M::Value, cert: M::Cert) -> Result<Tip<M>, ApplyError>;

    /// The last value applied and durable.
    async fn head(&self) -> Tip<M>;
}

/// Carries bytes between peers whose identity it has authenticated. Loses and reorders as it likes.
#[async_trait]
pub trait Transport<M: Model>: Send + Sync + 'static {
    /// Sends to one peer.
    async fn send(&self, to: M::Peer, class: Class, bytes: Vec<u8>);

    /// Sends the same to several peers.
    async fn broadcast(&self, to: &[M::Peer], class: Class, bytes: Vec<u8>) {
        for peer in to {
            self.send(*peer, class, bytes.clone()).await;
        }
    }

    /// The next message from anybody; `None` when the transport has ended.
    async fn next(&self) -> Option<(M::Peer, Vec<u8>)>;
}
