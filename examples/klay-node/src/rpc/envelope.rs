//! The JSON-RPC envelope, with the reference client's reading of odd input.
//!
//! Rules (spec 80, section 1.4): member names match without case and the last of two equal ones counts; text behind
//! the first JSON value is ignored; `jsonrpc` is not looked at; any scalar is an id and comes back as it was sent; an
//! object with an id and a `result` or `error` but no method is a response and gets no answer. `null` as a message
//! ends the reference client; here it is an invalid request like any other non-object.

use std::borrow::Cow;

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

use super::RpcError;

/// One message of a client.
#[derive(Debug, Clone)]
pub(super) enum Message<'a> {
    /// A request; without `id` a notification, which is carried out and not answered.
    Request(Request<'a>),
    /// A response of the client: not answered.
    Response,
    /// Anything else; the id is given back if it is usable.
    Invalid(Option<&'a RawValue>),
}

/// A method with its parameters.
#[derive(Debug, Clone)]
pub(super) struct Request<'a> {
    /// As sent; none for a notification.
    pub(super) id: Option<&'a RawValue>,
    /// Full name.
    pub(super) method: Cow<'a, str>,
    /// Whatever `params` held.
    pub(super) params: Option<&'a RawValue>,
}

/// What a body or WebSocket message holds.
#[derive(Debug, Clone)]
pub(super) enum Incoming<'a> {
    /// One message.
    Single(Message<'a>),
    /// An array of messages, answered by an array.
    Batch(Vec<Message<'a>>),
}

impl<'a> Incoming<'a> {
    /// Reads the first JSON value of `text`. A batch is cut off one message after `max_batch`.
    ///
    /// # Errors
    /// [`RpcError::Parse`] if it is not JSON, [`RpcError::EmptyBatch`], [`RpcError::BatchTooLong`].
    pub(super) fn parse(text: &'a str, max_batch: usize) -> Result<Self, RpcError> {
        let mut reader = serde_json::Deserializer::from_str(text);
        let raw = <&'a RawValue>::deserialize(&mut reader).map_err(|_| RpcError::Parse)?;
        if !raw.get().starts_with('[') {
            return Ok(Self::Single(Message::read(raw)));
        }
        let Elements { list, count } = serde_json::Deserializer::from_str(raw.get())
            .deserialize_seq(Split(max_batch))
            .map_err(|_| RpcError::Parse)?;
        if count == 0 {
            return Err(RpcError::EmptyBatch);
        }
        if count > max_batch {
            return Err(RpcError::BatchTooLong { max: max_batch, got: count });
        }
        Ok(Self::Batch(list.into_iter().map(Message::read).collect()))
    }
}

struct Split(usize);

struct Elements<'a> {
    list: Vec<&'a RawValue>,
    count: usize,
}

impl<'de> Visitor<'de> for Split {
    type Value = Elements<'de>;
    fn expecting(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("an array")
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut elements = Elements { list: Vec::new(), count: 0 };
        while elements.count < self.0 {
            let Some(raw) = seq.next_element()? else { return Ok(elements) };
            elements.list.push(raw);
            elements.count += 1;
        }
        while seq.next_element::<IgnoredAny>()?.is_some() {
            elements.count += 1;
        }
        Ok(elements)
    }
}

impl<'a> Message<'a> {
    fn read(raw: &'a RawValue) -> Self {
        if !raw.get().starts_with('{') {
            return Self::Invalid(None);
        }
        let Ok(members) = serde_json::from_str::<Envelope<'a>>(raw.get()) else { return Self::Invalid(None) };
        let id = members.id;
        let usable = id.filter(|id| !id.get().starts_with(['{', '[']));
        match members.method {
            Some(method) if !method.is_empty() && usable.is_some() == id.is_some() => {
                Self::Request(Request { id, method, params: members.params })
            }
            None if usable.is_some() && members.params.is_none() && members.is_response => Self::Response,
            _ => Self::Invalid(usable),
        }
    }
}

#[derive(Default)]
struct Envelope<'a> {
    id: Option<&'a RawValue>,
    method: Option<Cow<'a, str>>,
    params: Option<&'a RawValue>,
    is_response: bool,
}

enum Member {
    Id,
    Method,
    Params,
    Result,
    Error,
    Other,
}

impl<'de> Deserialize<'de> for Member {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Name;
        impl Visitor<'_> for Name {
            type Value = Member;
            fn expecting(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str("a name")
            }
            fn visit_str<E>(self, name: &str) -> Result<Member, E> {
                let is = |wanted: &str| name.eq_ignore_ascii_case(wanted);
                Ok(match name.len() {
                    2 if is("id") => Member::Id,
                    6 if is("method") => Member::Method,
                    6 if is("params") => Member::Params,
                    6 if is("result") => Member::Result,
                    5 if is("error") => Member::Error,
                    _ => Member::Other,
                })
            }
        }
        deserializer.deserialize_str(Name)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Envelope<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Envelope<'de>;
            fn expecting(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut envelope = Envelope::default();
                while let Some(member) = map.next_key::<Member>()? {
                    let raw = map.next_value::<&'de RawValue>()?;
                    match member {
                        Member::Id => envelope.id = Some(raw),
                        Member::Method => envelope.method = name(raw).or(envelope.method),
                        Member::Params => envelope.params = Some(raw),
                        Member::Result => envelope.is_response = true,
                        Member::Error => envelope.is_response |= raw.get() != "null",
                        Member::Other => {}
                    }
                }
                Ok(envelope)
            }
        }
        deserializer.deserialize_map(Read)
    }
}

/// The content of a JSON string, borrowed where nothing is escaped.
fn name(raw: &RawValue) -> Option<Cow<'_, str>> {
    let inner = raw.get().strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') {
        return serde_json::from_str(raw.get()).ok().map(Cow::Owned);
    }
    Some(Cow::Borrowed(inner))
}

/// Writes `{"jsonrpc":"2.0","id":…,"error":…}`.
pub(super) fn write_error(id: Option<&RawValue>, error: &RpcError, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"jsonrpc\":\"2.0\",\"id\":");
    out.extend_from_slice(id.map_or("null", RawValue::get).as_bytes());
    out.extend_from_slice(b",\"error\":");
    let object = error.object();
    if serde_json::to_writer(&mut *out, &object).is_err() {
        out.extend_from_slice(b"null");
    }
    out.push(b'}');
}

/// Writes `{"jsonrpc":"2.0","id":…,"result":…}`; `write` appends the result and may fail.
pub(super) fn write_answer(id: &RawValue, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>) -> Result<(), RpcError>) {
    let start = out.len();
    out.extend_from_slice(b"{\"jsonrpc\":\"2.0\",\"id\":");
    out.extend_from_slice(id.get().as_bytes());
    out.extend_from_slice(b",\"result\":");
    match write(out) {
        Ok(()) => out.push(b'}'),
        Err(error) => {
            out.truncate(start);
            write_error(Some(id), &error, out);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn single(text: &str) -> Message<'_> {
        match Incoming::parse(text, 10).unwrap() {
            Incoming::Single(message) => message,
            Incoming::Batch(_) => unreachable!("not an array"),
        }
    }

    #[test]
    fn ids_of_every_scalar_kind_are_kept_as_sent() {
        for id in ["1", "1.5", "\"a\"", "true", "null", "-1e400"] {
            let text = format!(r#"{{"id":{id},"method":"m"}}"#);
            let Message::Request(request) = single(&text) else { unreachable!("{text}") };
            assert_eq!(request.id.unwrap().get(), id);
        }
    }

    #[test]
    fn names_match_without_case_and_the_last_counts() {
        let Message::Request(request) = single(r#"{"ID":1,"Method":"a","METHOD":"b","params":[1],"Params":[2]}"#)
        else {
            unreachable!("a request")
        };
        assert_eq!(request.method, "b");
        assert_eq!(request.params.unwrap().get(), "[2]");
    }

    #[test]
    fn text_behind_the_first_value_is_ignored() {
        assert!(matches!(single(r#"{"id":1,"method":"a"} garbage"#), Message::Request(_)));
    }

    #[test]
    fn a_null_message_is_an_invalid_request() {
        assert!(matches!(single("null"), Message::Invalid(None)));
        let Incoming::Batch(list) = Incoming::parse("[null,1,\"a\"]", 10).unwrap() else { unreachable!("an array") };
        assert!(list.iter().all(|m| matches!(m, Message::Invalid(None))));
    }

    #[test]
    fn a_response_gets_no_answer() {
        assert!(matches!(single(r#"{"id":1,"result":null}"#), Message::Response));
        assert!(matches!(single(r#"{"id":1,"error":{}}"#), Message::Response));
        assert!(matches!(single(r#"{"id":1,"error":null}"#), Message::Invalid(Some(_))));
        assert!(matches!(single(r#"{"id":1,"result":1,"params":[]}"#), Message::Invalid(Some(_))));
    }

    #[test]
    fn unusable_ids_and_methods_are_invalid() {
        assert!(matches!(single(r#"{"id":{},"method":"a"}"#), Message::Invalid(None)));
        assert!(matches!(single(r#"{"id":[],"method":"a"}"#), Message::Invalid(None)));
        assert!(matches!(single(r#"{"id":7,"method":5}"#), Message::Invalid(Some(_))));
        assert!(matches!(single(r#"{"id":7,"method":""}"#), Message::Invalid(Some(_))));
        assert!(matches!(single("{}"), Message::Invalid(None)));
    }

    #[test]
    fn batches_are_bounded() {
        assert_eq!(Incoming::parse("[]", 10).unwrap_err(), RpcError::EmptyBatch);
        assert_eq!(Incoming::parse("[1,2,3]", 2).unwrap_err(), RpcError::BatchTooLong { max: 2, got: 3 });
        assert_eq!(Incoming::parse("[1,", 2).unwrap_err(), RpcError::Parse);
        assert_eq!(Incoming::parse("", 2).unwrap_err(), RpcError::Parse);
    }
}
