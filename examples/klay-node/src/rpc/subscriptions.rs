//! What clients can subscribe to over WebSocket: new heads, logs, pending transactions (spec 80, section 5).

use std::{collections::VecDeque, sync::Arc};

use futures::{StreamExt, stream};
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::sync::broadcast::{self, error::RecvError};

use super::{
    Feed, Namespace, RpcError, Services, Topics,
    decode::{Criteria, Decode, is_null},
    methods::logs::{check_range, filter_of},
    shapes::{Flavour, block, log},
};
use crate::chain::{Chain, HeadEvent, LogFilter};

/// The node's topics.
#[derive(Debug)]
pub struct NodeTopics(Arc<Services>);

impl NodeTopics {
    /// The topics of the node behind `services`.
    pub const fn new(services: Arc<Services>) -> Self {
        Self(services)
    }
}

impl Topics for NodeTopics {
    fn open(&self, namespace: Namespace, prefix: &str, name: &str, args: &[&RawValue]) -> Result<Feed, RpcError> {
        let flavour = match namespace {
            Namespace::Kaia => Flavour::Kaia,
            Namespace::Eth => Flavour::Eth,
            _ => return Err(unknown(name, prefix)),
        };
        match name {
            "newHeads" => {
                no_more(args, 0)?;
                Ok(new_heads(&self.0, flavour))
            }
            "logs" => {
                no_more(args, 1)?;
                let raw = args.first().ok_or(RpcError::MissingArgument { index: 1 })?;
                let criteria = read::<Criteria>(raw)?;
                check_range(&criteria)?;
                Ok(logs(&self.0, filter_of(&criteria)))
            }
            "newPendingTransactions" => {
                no_more(args, 1)?;
                if args.first().filter(|raw| !is_null(raw)).map(|raw| read::<bool>(raw)).transpose()? == Some(true) {
                    return Err(RpcError::SubscriptionNotFound);
                }
                Ok(pending(&self.0))
            }
            "syncing" => {
                no_more(args, 0)?;
                Ok(stream::pending().boxed())
            }
            _ => Err(unknown(name, prefix)),
        }
    }
}

fn unknown(name: &str, prefix: &str) -> RpcError {
    RpcError::NoSuchSubscription { name: name.to_owned(), namespace: prefix.to_owned() }
}

/// The name is argument 0, so that the parameters begin at 1.
fn read<T: Decode>(raw: &RawValue) -> Result<T, RpcError> {
    T::decode(raw).map_err(|reason| RpcError::InvalidArgument { index: 1, reason })
}

const fn no_more(args: &[&RawValue], max: usize) -> Result<(), RpcError> {
    if args.len() > max {
        return Err(RpcError::TooManyArguments { max: max + 1 });
    }
    Ok(())
}

fn json(value: &impl Serialize) -> Vec<u8> {
    // Maps with string keys and plain values always serialize.
    serde_json::to_vec(value).unwrap_or_else(|_| b"null".to_vec())
}

/// Every head once and in order, also when the channel ran over.
struct Heads {
    chain: Chain,
    receiver: broadcast::Receiver<HeadEvent>,
    next: u64,
    missed: VecDeque<HeadEvent>,
}

impl Heads {
    fn new(chain: &Chain) -> Self {
        // Listening begins before the height is read: a block in between comes once, not never.
        let receiver = chain.subscribe_heads();
        Self { next: chain.head().number() + 1, receiver, chain: chain.clone(), missed: VecDeque::new() }
    }

    async fn next(&mut self) -> Option<HeadEvent> {
        loop {
            if let Some(event) = self.missed.pop_front() {
                return Some(event);
            }
            match self.receiver.recv().await {
                Ok(event) if event.block.number() < self.next => {}
                Ok(event) => {
                    self.read(event.block.number());
                    self.next = event.block.number() + 1;
                    self.missed.push_back(event);
                }
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return None,
            }
        }
    }

    /// Reads what the channel lost before `until`.
    fn read(&mut self, until: u64) {
        for number in self.next..until {
            let block = self.chain.block_by_number(number);
            let receipts = self.chain.receipts(number);
            if let (Ok(Some(block)), Ok(Some(receipts))) = (block, receipts) {
                self.missed.push_back(HeadEvent { block, receipts });
            }
        }
    }
}

fn new_heads(services: &Arc<Services>, flavour: Flavour) -> Feed {
    let services = Arc::clone(services);
    let heads = Heads::new(services.node.chain());
    stream::unfold((heads, services), move |(mut heads, services)| async move {
        let event = heads.next().await?;
        let shown = block::header(&event.block, services.rules(&event.block), flavour);
        Some((json(&shown), (heads, services)))
    })
    .boxed()
}

fn logs(services: &Arc<Services>, filter: LogFilter) -> Feed {
    let heads = Heads::new(services.node.chain());
    stream::unfold((heads, filter), |(mut heads, filter)| async move {
        let event = heads.next().await?;
        let found = matching(&event, &filter);
        Some((stream::iter(found), (heads, filter)))
    })
    .flatten()
    .boxed()
}

fn matching(event: &HeadEvent, filter: &LogFilter) -> Vec<Vec<u8>> {
    let block = &event.block;
    if !filter.may_match(&block.header.logs_bloom) {
        return Vec::new();
    }
    let mut found = Vec::new();
    let mut log_index = 0;
    for (tx_index, receipt) in event.receipts.receipts.iter().enumerate() {
        for entry in &receipt.logs {
            if filter.matches(entry) {
                let place = log::LogPlace {
                    block_number: block.number(),
                    block_hash: block.hash,
                    tx_hash: receipt.tx_hash,
                    tx_index: tx_index as u64,
                    log_index,
                };
                found.push(json(&log::log(entry, place)));
            }
            log_index += 1;
        }
    }
    found
}

fn pending(services: &Arc<Services>) -> Feed {
    let receiver = services.node.pool().subscribe_pending();
    stream::unfold(receiver, |mut receiver| async move {
        loop {
            match receiver.recv().await {
                Ok(tx) => return Some((json(&tx.hash()), receiver)),
                // Hashes pushed out of the channel are gone; the subscription goes on with the newest.
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return None,
            }
        }
    })
    .boxed()
}
