//! From the text of a message to the text of its answer.

use std::sync::Arc;

use alloy_primitives::Bytes;
use serde_json::value::RawValue;
use tokio::sync::Semaphore;

use super::{
    Limits, RpcError,
    connection::Session,
    decode::Params,
    envelope::{Incoming, Message, Request, write_answer, write_error},
    table::{Handler, Run, Submit, Table},
};

/// Requests in place after which other tasks get a turn.
const TURN: usize = 64;

/// Carries out messages. One per server; connections share it.
#[derive(Debug)]
pub struct Engine {
    table: Table,
    limits: Limits,
    readers: Arc<Semaphore>,
    /// Places of their own: however many traces wait, calls do not wait for them.
    tracers: Arc<Semaphore>,
    senders: Semaphore,
}

/// What to do after a message.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// Text to send; empty for none.
    pub text: Vec<u8>,
    /// Whether the connection ends (WebSocket only).
    pub close: bool,
}

impl Engine {
    /// Serves `table` within `limits`.
    pub fn new(table: Table, limits: Limits) -> Self {
        let places = |count: usize| Arc::new(Semaphore::new(count.max(1)));
        let (readers, tracers) = (places(limits.readers), places(limits.tracers));
        Self { senders: Semaphore::new(limits.senders.max(1)), table, limits, readers, tracers }
    }

    /// The bounds.
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The methods.
    pub const fn table(&self) -> &Table {
        &self.table
    }

    /// Answers one message. `session` is there for WebSocket; without it `subscribe` is refused.
    pub async fn answer(&self, text: &[u8], session: Option<&Session>) -> Answer {
        // As in Go, bytes that are not UTF-8 are replaced, not refused.
        let text = String::from_utf8_lossy(text);
        let mut out = Vec::new();
        match Incoming::parse(&text, self.limits.batch_items) {
            Ok(Incoming::Single(message)) => {
                self.group(std::slice::from_ref(&message), session, b"", &mut out).await;
            }
            Ok(Incoming::Batch(messages)) => {
                self.group(&messages, session, b",", &mut out).await;
                if !out.is_empty() {
                    out.insert(0, b'[');
                    out.push(b']');
                }
            }
            Err(RpcError::Parse) if session.is_some() => {
                let words = super::syntax::describe(&text).unwrap_or_else(|| RpcError::Parse.to_string());
                write_error(None, &RpcError::Syntax(words), &mut out);
                return Answer { text: out, close: true };
            }
            Err(error) => write_error(None, &error, &mut out),
        }
        Answer { text: out, close: false }
    }

    async fn group(&self, messages: &[Message<'_>], session: Option<&Session>, separator: &[u8], out: &mut Vec<u8>) {
        let mut rest = messages;
        let mut done = 0;
        while let Some(message) = rest.first() {
            done += 1;
            if done % TURN == 0 {
                tokio::task::yield_now().await;
            }
            if out.len() > self.limits.response_bytes {
                self.refuse_rest(rest, separator, out);
                return;
            }
            let start = out.len();
            if start > 0 {
                out.extend_from_slice(separator);
            }
            let filled = out.len();
            let mut taken = 1;
            match message {
                Message::Response => {}
                Message::Invalid(id) => write_error(*id, &RpcError::InvalidRequest, out),
                Message::Request(request) => match self.table.find(&request.method).map(|m| &m.run) {
                    Some(Run::Submit(pool)) => {
                        taken = count_equal(rest, &request.method);
                        self.submit(pool.as_ref(), &rest[..taken], separator, out).await;
                    }
                    run => self.one(request, run, session, out).await,
                },
            }
            if out.len() == filled {
                out.truncate(start);
            }
            rest = &rest[taken..];
        }
    }

    async fn one(&self, request: &Request<'_>, run: Option<&Run>, session: Option<&Session>, out: &mut Vec<u8>) {
        let answer = |out: &mut Vec<u8>, result: Result<Vec<u8>, RpcError>| {
            if let Some(id) = request.id {
                write_answer(id, out, |out| result.map(|bytes| out.extend_from_slice(&bytes)));
            }
        };
        match run {
            Some(Run::Quick(handler)) => match request.id {
                Some(id) => write_answer(id, out, |out| guarded(handler, request.params, out)),
                None => drop(guarded(handler, request.params, &mut Vec::new())),
            },
            Some(run @ (Run::Heavy(handler) | Run::Trace(handler))) => {
                let places = if matches!(run, Run::Trace(_)) { &self.tracers } else { &self.readers };
                let result = blocking(places, handler, request.params).await;
                answer(out, result);
            }
            Some(Run::Subscribe) => {
                let result = match session {
                    Some(session) => session.subscribe(&request.method, request.params),
                    None => Err(RpcError::NotificationsNotSupported),
                };
                answer(out, result.map(|id| quoted(&id.0)));
            }
            Some(Run::Unsubscribe) => {
                let result = match session {
                    Some(session) => session.unsubscribe(request.params),
                    None => Err(RpcError::SubscriptionNotFound),
                };
                answer(out, result.map(|()| b"true".to_vec()));
            }
            // Raw transactions are handled by the group that they stand in.
            Some(Run::Submit(_)) => {}
            None => answer(out, Err(self.unknown(&request.method))),
        }
    }

    fn unknown(&self, method: &str) -> RpcError {
        RpcError::MethodNotFound(method.to_owned())
    }

    async fn submit(&self, pool: &dyn Submit, messages: &[Message<'_>], separator: &[u8], out: &mut Vec<u8>) {
        let requests: Vec<_> = messages
            .iter()
            .filter_map(|message| match message {
                Message::Request(request) => Some((request.id, <(Bytes,)>::read(request.params))),
                _ => None,
            })
            .collect();
        let raw: Vec<Bytes> = requests.iter().filter_map(|(_, r)| r.as_ref().ok().map(|(raw,)| raw.clone())).collect();
        let answers = match self.senders.acquire().await {
            Ok(_permit) => pool.submit(raw).await,
            Err(_) => Vec::new(),
        };
        let mut answers = answers.into_iter();
        let mut is_first = true;
        for (id, decoded) in requests {
            let answer = match decoded {
                Ok(_) => answers.next().unwrap_or_else(|| Err(RpcError::failed("method handler crashed"))),
                Err(error) => Err(error),
            };
            let Some(id) = id else { continue };
            if !std::mem::replace(&mut is_first, false) {
                out.extend_from_slice(separator);
            }
            write_answer(id, out, |out| {
                answer.and_then(|hash| serde_json::to_writer(out, &hash).map_err(RpcError::from_error))
            });
        }
    }

    fn refuse_rest(&self, messages: &[Message<'_>], separator: &[u8], out: &mut Vec<u8>) {
        let error = RpcError::ResponseTooLarge { max: self.limits.response_bytes };
        for message in messages {
            let id = match message {
                Message::Request(Request { id: Some(id), .. }) => Some(*id),
                Message::Invalid(id) => *id,
                _ => continue,
            };
            out.extend_from_slice(separator);
            write_error(id, &error, out);
        }
    }
}

/// Runs a handler on a thread for blocking work, once there is a place for it.
async fn blocking(places: &Arc<Semaphore>, handler: &Handler, params: Option<&RawValue>) -> Result<Vec<u8>, RpcError> {
    // The permit moves into the thread: a client that goes away does not free the place of running work.
    let permit = Arc::clone(places).acquire_owned().await.map_err(RpcError::from_error)?;
    let handler = Arc::clone(handler);
    let params = params.map(ToOwned::to_owned);
    let work = tokio::task::spawn_blocking(move || {
        let mut out = Vec::new();
        let result = handler(params.as_deref(), &mut out).map(|()| out);
        drop(permit);
        result
    });
    work.await.unwrap_or_else(|_| Err(RpcError::failed("method handler crashed")))
}

/// How many requests at the front call `method`.
fn count_equal(messages: &[Message<'_>], method: &str) -> usize {
    let is_equal = |message: &&Message<'_>| matches!(message, Message::Request(request) if request.method == method);
    messages.iter().take_while(is_equal).count()
}

/// Runs a handler in place; a panic in it costs one answer and not the process.
fn guarded(handler: &Handler, params: Option<&RawValue>, out: &mut Vec<u8>) -> Result<(), RpcError> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| handler(params, out)))
        .unwrap_or_else(|_| Err(RpcError::failed("method handler crashed")))
}

fn quoted(text: &str) -> Vec<u8> {
    format!("\"{text}\"").into_bytes()
}
