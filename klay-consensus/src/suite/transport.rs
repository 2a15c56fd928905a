//! Rules of transports.

use std::time::Duration;

use tokio::time::{Instant, timeout, timeout_at};

use super::{Outcome, broken, keeps};
use crate::{
    host::Transport,
    types::{Class, Model},
};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Sends between `a` and `b`, two ends that are connected; `stranger` is nobody. A transport may lose, double and
/// reorder: everything is sent until it has arrived.
///
/// | Id | Rule |
/// |---|---|
/// | TR-1 | what arrives is what was sent: whole and unchanged, up to a mebibyte, nothing included |
/// | TR-2 | it comes from the one who sent it |
/// | TR-3 | what is broadcast arrives too |
/// | TR-4 | sending to a stranger, or to more than a peer takes, ends by itself |
///
/// # Errors
/// The first rule that is broken.
pub async fn transport<M: Model>(
    a: (M::Peer, &dyn Transport<M>),
    b: (M::Peer, &dyn Transport<M>),
    stranger: M::Peer,
) -> Outcome {
    for (from, to) in [(a, b), (b, a)] {
        for (class, size) in [
            (Class::Vote, 0),
            (Class::Vote, 1),
            (Class::Sync, 300),
            (Class::Proposal, 70_000),
            (Class::Proposal, 1 << 20),
        ] {
            let bytes: Vec<u8> = (0..size).map(|n| (n % 251) as u8).collect();
            arrives(from, to, &bytes, false, class).await?;
        }
        arrives(from, to, b"to all", true, Class::Vote).await?;
    }
    let (_, sender) = a;
    let idle = async {
        for _ in 0..10_000 {
            sender.send(stranger, Class::Vote, vec![1; 100]).await;
        }
        for _ in 0..10_000 {
            sender.send(b.0, Class::Vote, vec![2; 100]).await;
        }
    };
    let ended = timeout(PATIENCE, idle).await;
    keeps("TR-4", ended.is_ok(), || format!("not within {PATIENCE:?}"))
}

async fn arrives<M: Model>(
    (sender, from): (M::Peer, &dyn Transport<M>),
    (receiver, to): (M::Peer, &dyn Transport<M>),
    bytes: &[u8],
    to_all: bool,
    class: Class,
) -> Outcome {
    let rule = if to_all { "TR-3" } else { "TR-1" };
    let end = Instant::now() + PATIENCE;
    loop {
        if to_all {
            from.broadcast(&[receiver], class, bytes.to_vec()).await;
        } else {
            from.send(receiver, class, bytes.to_vec()).await;
        }
        let again = (Instant::now() + PATIENCE / 20).min(end);
        while let Ok(next) = timeout_at(again, to.next()).await {
            let Some((who, what)) = next else { return Err(broken(rule, "the transport has ended")) };
            keeps("TR-2", who == sender, || format!("from {who:?}, sent by {sender:?}"))?;
            // What was sent before may come late or twice.
            if what == bytes {
                return Ok(());
            }
        }
        if Instant::now() >= end {
            return Err(broken(rule, format!("{} bytes of class {class:?} do not arrive", bytes.len())));
        }
    }
}
