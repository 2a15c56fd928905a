//! The server survives whatever arrives and answers in the reference client's words (spec 80, sections 1.2 to 1.4).
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::{net::SocketAddr, sync::Arc, time::Duration};

use alloy_primitives::{B256, Bytes};
use async_trait::async_trait;
use futures::{StreamExt, stream};
use klay_node::rpc::{
    Feed, Limits, Namespace, RpcError, Run, Server, ServerConfig, Submit, Table, Topics, decode::Params,
};
use serde_json::{Value, json, value::RawValue};
use soketto::handshake::{Client, ServerResponse};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_util::compat::{Compat, TokioAsyncReadCompatExt};

struct Echo;

#[async_trait]
impl Submit for Echo {
    async fn submit(&self, raw: Vec<Bytes>) -> Vec<Result<B256, RpcError>> {
        let count = raw.len() as u8;
        raw.iter()
            .map(|raw| match raw.first() {
                Some(0) => Err(RpcError::failed("zero")),
                first => Ok(B256::from(
                    [[count; 31].as_slice(), &[first.copied().unwrap_or_default()]]
                        .concat()
                        .try_into()
                        .unwrap_or([0; 32]),
                )),
            })
            .collect()
    }
}

struct Ticks;

impl Topics for Ticks {
    fn open(&self, _: Namespace, prefix: &str, name: &str, _: &[&RawValue]) -> Result<Feed, RpcError> {
        match name {
            "three" => Ok(stream::iter([b"1".to_vec(), b"2".to_vec(), b"3".to_vec()]).boxed()),
            "flood" => Ok(stream::repeat(format!("\"{}\"", "x".repeat(10_000)).into_bytes()).boxed()),
            _ => Err(RpcError::NoSuchSubscription { name: name.to_owned(), namespace: prefix.to_owned() }),
        }
    }
}

fn methods() -> Table {
    let mut table = Table::default();
    let eth = [Namespace::Eth];
    table.quick(&eth, "one", |()| Ok(1));
    table.quick(&[Namespace::Kaia], "two", |()| Ok(2));
    table.quick(&eth, "add", |(a, b): (u64, Option<u64>)| Ok(a + b.unwrap_or(10)));
    table.heavy(&eth, "heavy", |(text,): (String,)| Ok(text));
    #[allow(clippy::panic)]
    table.quick(&eth, "crash", |()| -> Result<u8, RpcError> { panic!("on purpose") });
    #[allow(clippy::panic)]
    table.heavy(&eth, "heavyCrash", |()| -> Result<u8, RpcError> { panic!("on purpose") });
    table.each(&eth, "sendRawTransaction", <(Bytes,)>::SPECS, &Run::Submit(Arc::new(Echo)));
    table.each(&eth, "subscribe", <(String,)>::SPECS, &Run::Subscribe);
    table.each(&eth, "unsubscribe", <(String,)>::SPECS, &Run::Unsubscribe);
    table
}

async fn start(limits: Limits) -> Server {
    let config = ServerConfig {
        http: Some(SocketAddr::from(([127, 0, 0, 1], 0))),
        limits,
        cors: vec!["http://page.example".to_owned()],
        ..ServerConfig::default()
    };
    Server::start(config, methods(), Arc::new(Ticks)).await.unwrap()
}

struct Reply {
    status: u16,
    head: String,
    body: String,
}

async fn exchange(server: &Server, request: &[u8]) -> Reply {
    let mut stream = TcpStream::connect(server.http.unwrap()).await.unwrap();
    stream.write_all(request).await.unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.unwrap();
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Reply { status, head: head.to_lowercase(), body: body.to_owned() }
}

async fn request(server: &Server, method: &str, headers: &str, body: &str) -> Reply {
    let text = format!(
        "{method} /any/path HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n{body}",
        body.len()
    );
    exchange(server, text.as_bytes()).await
}

async fn post(server: &Server, body: &str) -> String {
    let reply = request(server, "POST", "Content-Type: application/json\r\n", body).await;
    assert_eq!(reply.status, 200, "{body}");
    reply.body
}

async fn call(server: &Server, body: Value) -> Value {
    serde_json::from_str(&post(server, &body.to_string()).await).unwrap()
}

fn error(id: Value, code: i32, message: &str) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "error": { "code": code, "message": message } })
}

#[tokio::test]
async fn http_follows_the_reference_client() {
    let server = start(Limits { body_bytes: 1_000, ..Limits::default() }).await;
    let one = r#"{"id":1,"method":"eth_one"}"#;
    let json = "Content-Type: application/json\r\n";
    for method in ["PUT", "DELETE"] {
        let reply = request(&server, method, json, one).await;
        assert_eq!((reply.status, reply.body.trim()), (405, "method not allowed"));
    }
    let health = request(&server, "GET", "", "").await;
    assert_eq!((health.status, health.body.as_str()), (200, ""));
    assert!(request(&server, "GET", json, one).await.body.contains("\"result\":1"));
    for kind in ["application/json; charset=utf-8", "application/json-rpc", "application/jsonrequest"] {
        let reply = request(&server, "POST", &format!("Content-Type: {kind}\r\n"), one).await;
        assert!(reply.head.contains("content-type: application/json"), "{kind}");
        assert_eq!(reply.body, "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":1}\n");
    }
    for (method, headers) in [("POST", ""), ("POST", "Content-Type: text/plain\r\n"), ("PATCH", "")] {
        let reply = request(&server, method, headers, one).await;
        assert_eq!(reply.status, 415);
        assert_eq!(reply.body.trim(), "invalid content type, only application/json is supported");
    }
    let reply = request(&server, "POST", json, &" ".repeat(1_001)).await;
    assert_eq!((reply.status, reply.body.trim()), (413, "content length too large (1001>1000)"));
    let reply = request(&server, "POST", json, r#"{"method":"eth_one"}"#).await;
    assert_eq!((reply.status, reply.body.as_str()), (200, ""), "a notification has an empty answer");
}

#[tokio::test]
async fn hosts_and_origins_are_checked() {
    let server = start(Limits::default()).await;
    let one = r#"{"id":1,"method":"eth_one"}"#;
    let with_host = |host: &str| {
        format!(
            "POST / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{one}",
            one.len()
        )
    };
    for (host, status) in
        [("localhost:8551", 200), ("10.1.2.3", 200), ("[::1]:80", 200), ("evil.example", 403), ("evil.example:80", 403)]
    {
        assert_eq!(exchange(&server, with_host(host).as_bytes()).await.status, status, "{host}");
    }
    let json = "Content-Type: application/json\r\n";
    let reply = request(&server, "POST", &format!("{json}Origin: http://page.example\r\n"), one).await;
    assert!(reply.head.contains("access-control-allow-origin: http://page.example"));
    let reply = request(&server, "POST", &format!("{json}Origin: http://other.example\r\n"), one).await;
    assert!(!reply.head.contains("access-control-allow-origin"));
    let preflight = "Origin: http://page.example\r\nAccess-Control-Request-Method: POST\r\n";
    let reply = request(&server, "OPTIONS", preflight, "").await;
    assert_eq!(reply.status, 204);
    assert!(reply.head.contains("access-control-max-age: 600"));
}

#[tokio::test]
async fn envelopes_are_answered_as_by_the_reference_client() {
    let server = start(Limits::default()).await;
    assert_eq!(call(&server, json!({"id": 1.5, "method": "eth_one"})).await["id"], json!(1.5));
    assert_eq!(call(&server, json!({"id": null, "method": "eth_one"})).await["id"], Value::Null);
    assert_eq!(call(&server, json!({"id": 1, "method": "klay_two"})).await["result"], 2);
    assert_eq!(call(&server, json!({"id": 1, "method": "kaia_two"})).await["result"], 2);
    for (sent, wanted) in [
        (json!(null), error(Value::Null, -32600, "invalid request")),
        (json!(5), error(Value::Null, -32600, "invalid request")),
        (json!("x"), error(Value::Null, -32600, "invalid request")),
        (json!({"id": 7}), error(json!(7), -32600, "invalid request")),
        (json!({"id": [], "method": "eth_one"}), error(Value::Null, -32600, "invalid request")),
        (json!([]), error(Value::Null, -32600, "empty batch")),
        (
            json!({"id": 1, "method": "eth_no"}),
            error(json!(1), -32601, "the method eth_no does not exist/is not available"),
        ),
        (json!({"id": 1, "method": "no"}), error(json!(1), -32601, "the method no does not exist/is not available")),
        (json!({"id": 1, "method": "eth_one", "params": {}}), error(json!(1), -32602, "non-array args")),
        (json!({"id": 1, "method": "eth_add", "params": "x"}), error(json!(1), -32602, "non-array args")),
        (
            json!({"id": 1, "method": "eth_add", "params": null}),
            error(json!(1), -32602, "missing value for required argument 0"),
        ),
        (
            json!({"id": 1, "method": "eth_add", "params": [1, 2, 3]}),
            error(json!(1), -32602, "too many arguments, want at most 2"),
        ),
        (
            json!({"id": 1, "method": "eth_add", "params": [1.5]}),
            error(
                json!(1),
                -32602,
                "invalid argument 0: json: cannot unmarshal number 1.5 into Go value of type uint64",
            ),
        ),
        (json!({"id": 1, "method": "eth_crash"}), error(json!(1), -32000, "method handler crashed")),
        (json!({"id": 1, "method": "eth_heavyCrash"}), error(json!(1), -32000, "method handler crashed")),
        (
            json!({"id": 1, "method": "eth_subscribe", "params": ["three"]}),
            error(json!(1), -32000, "notifications not supported"),
        ),
        (
            json!({"id": 1, "method": "eth_unsubscribe", "params": ["0x1"]}),
            error(json!(1), -32000, "subscription not found"),
        ),
    ] {
        assert_eq!(call(&server, sent.clone()).await, wanted, "{sent}");
    }
    assert_eq!(call(&server, json!({"id": 1, "method": "eth_one", "params": [1, 2]})).await["result"], 1);
    assert_eq!(call(&server, json!({"id": 1, "method": "eth_add", "params": [1, null]})).await["result"], 11);
    assert_eq!(post(&server, r#"{"id":1,"result":5}"#).await, "");
    assert_eq!(
        serde_json::from_str::<Value>(&post(&server, "{oops").await).unwrap(),
        error(Value::Null, -32700, "parse error")
    );
}

#[tokio::test]
async fn batches_keep_their_order_and_leave_out_notifications() {
    let server = start(Limits::default()).await;
    let answers = call(
        &server,
        json!([
            {"id": 1, "method": "eth_heavy", "params": ["a"]},
            {"method": "eth_one"},
            null,
            {"id": 2, "method": "eth_sendRawTransaction", "params": ["0x05"]},
            {"id": 3, "method": "eth_sendRawTransaction", "params": ["0x0"]},
            {"id": 4, "method": "eth_sendRawTransaction", "params": ["0x00"]},
            {"method": "eth_sendRawTransaction", "params": ["0x06"]},
            {"id": 5, "method": "eth_one"},
        ]),
    )
    .await;
    let ids: Vec<_> = answers.as_array().unwrap().iter().map(|a| a["id"].clone()).collect();
    assert_eq!(ids, [json!(1), Value::Null, json!(2), json!(3), json!(4), json!(5)]);
    // Three of the four decode, and they reach the pool together.
    assert_eq!(answers[2]["result"], format!("0x{}05", "03".repeat(31)));
    assert_eq!(answers[3]["error"]["code"], -32602);
    assert_eq!(answers[4]["error"]["message"], "zero");
    assert_eq!(post(&server, r#"[{"method":"eth_one"},{"method":"eth_one"}]"#).await, "");
}

#[tokio::test]
async fn large_and_long_input_is_survived() {
    let server = start(Limits { body_bytes: 16 << 20, ..Limits::default() }).await;
    let batch: Vec<_> = (0..10_000).map(|id| json!({"id": id, "method": "eth_one"})).collect();
    let answers = call(&server, json!(batch)).await;
    assert_eq!(answers.as_array().unwrap().len(), 10_000);
    assert_eq!(answers[9_999]["id"], 9_999);
    let long = "y".repeat(10 << 20);
    assert_eq!(call(&server, json!({"id": 1, "method": "eth_heavy", "params": [long]})).await["result"], long);
    for body in ["[".repeat(10 << 20), "{\"a\":".repeat(1 << 20), format!("\"{}", "\\u0000".repeat(1 << 20))] {
        assert!(post(&server, &body).await.contains("parse error"));
    }
    let default = start(Limits::default()).await;
    let reply = request(&default, "POST", "Content-Type: application/json\r\n", &" ".repeat(10 << 20)).await;
    assert_eq!((reply.status, reply.body.trim()), (413, "content length too large (10485760>524288)"));
    assert!(call(&default, json!({"id": 1, "method": "eth_one"})).await["result"] == 1);
}

#[tokio::test]
async fn limits_name_themselves() {
    let server = start(Limits { batch_items: 2, response_bytes: 20, ..Limits::default() }).await;
    let three = json!([1, 2, 3]);
    assert_eq!(call(&server, three).await, error(Value::Null, -32600, "batch of 3 requests exceeds the limit of 2"));
    let two = json!([{"id": 1, "method": "eth_one"}, {"id": 2, "method": "eth_one"}]);
    assert_eq!(call(&server, two).await[1], error(json!(2), -32000, "answer exceeds the limit of 20 bytes"));
}

#[tokio::test]
async fn a_thousand_idle_and_half_open_connections_do_no_harm() {
    let server = start(Limits { idle: Duration::from_secs(60), ..Limits::default() }).await;
    let mut idle = Vec::new();
    for index in 0..1_000 {
        let mut stream = TcpStream::connect(server.http.unwrap()).await.unwrap();
        // Some say nothing, some stop within the headers, some within the body.
        match index % 3 {
            1 => stream.write_all(b"POST / HTTP/1.1\r\nHost: 127").await.unwrap(),
            2 => stream.write_all(b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{").await.unwrap(),
            _ => {}
        }
        idle.push(stream);
    }
    let answer = tokio::time::timeout(Duration::from_secs(60), call(&server, json!({"id": 1, "method": "eth_one"})));
    assert_eq!(answer.await.unwrap()["result"], 1);
}

#[tokio::test]
async fn connections_above_the_limit_are_told_so() {
    let server = start(Limits { connections: 1, ..Limits::default() }).await;
    let held = TcpStream::connect(server.http.unwrap()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let mut refused = TcpStream::connect(server.http.unwrap()).await.unwrap();
    let mut text = String::new();
    refused.read_to_string(&mut text).await.unwrap();
    assert!(text.contains("503") && text.contains("limit of 1 connections reached"));
    drop(held);
}

#[tokio::test]
async fn silent_connections_end_and_a_stopped_server_closes_all() {
    let server = start(Limits { idle: Duration::from_millis(200), ..Limits::default() }).await;
    let mut silent = TcpStream::connect(server.http.unwrap()).await.unwrap();
    let mut bytes = Vec::new();
    tokio::time::timeout(Duration::from_secs(60), silent.read_to_end(&mut bytes)).await.unwrap().unwrap();
    let server = start(Limits::default()).await;
    let mut kept = TcpStream::connect(server.http.unwrap()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    server.stop();
    tokio::time::timeout(Duration::from_secs(60), kept.read_to_end(&mut bytes)).await.unwrap().unwrap();
}

struct Socket {
    sender: soketto::Sender<Compat<TcpStream>>,
    receiver: soketto::Receiver<Compat<TcpStream>>,
}

impl Socket {
    async fn open(server: &Server) -> Self {
        let address = server.http.unwrap();
        let stream = TcpStream::connect(address).await.unwrap();
        let host = address.to_string();
        let mut client = Client::new(stream.compat(), &host, "/");
        assert!(matches!(client.handshake().await.unwrap(), ServerResponse::Accepted { .. }));
        let (sender, receiver) = client.into_builder().finish();
        Self { sender, receiver }
    }

    async fn send(&mut self, text: &str) {
        self.sender.send_text(text).await.unwrap();
        self.sender.flush().await.unwrap();
    }

    async fn next(&mut self) -> Option<Value> {
        let mut message = Vec::new();
        let received = tokio::time::timeout(Duration::from_secs(60), self.receiver.receive_data(&mut message));
        received.await.unwrap().ok().map(|_| serde_json::from_slice(&message).unwrap())
    }
}

#[tokio::test]
async fn a_null_message_over_websocket_is_just_invalid() {
    let server = start(Limits::default()).await;
    let mut socket = Socket::open(&server).await;
    let invalid = error(Value::Null, -32600, "invalid request");
    socket.send("null").await;
    assert_eq!(socket.next().await, Some(invalid.clone()));
    socket.send("[null]").await;
    assert_eq!(socket.next().await, Some(json!([invalid])));
    socket.send(r#"{"id":1,"method":"eth_one"} and more"#).await;
    assert_eq!(socket.next().await.unwrap()["result"], 1);
}

#[tokio::test]
async fn text_that_is_not_json_ends_a_websocket() {
    let server = start(Limits::default()).await;
    let mut socket = Socket::open(&server).await;
    socket.send("abc").await;
    let wanted = error(Value::Null, -32700, "invalid character 'a' looking for beginning of value");
    assert_eq!(socket.next().await, Some(wanted));
    assert_eq!(socket.next().await, None);
    let mut other = Socket::open(&server).await;
    other.send(r#"{"id":1,"method":"eth_one"}"#).await;
    assert_eq!(other.next().await.unwrap()["result"], 1);
}

#[tokio::test]
async fn a_message_above_the_limit_ends_a_websocket() {
    let server = start(Limits { body_bytes: 1_000, ..Limits::default() }).await;
    let mut socket = Socket::open(&server).await;
    socket.send(&" ".repeat(2_000)).await;
    let told = socket.next().await.unwrap();
    assert_eq!(told["error"]["message"], "connection closed: message exceeds the limit of 1000 bytes");
    assert_eq!(socket.next().await, None);
}

#[tokio::test]
async fn notifications_follow_the_answer_of_subscribe() {
    let server = start(Limits { subscriptions: 2, ..Limits::default() }).await;
    for _ in 0..50 {
        let mut socket = Socket::open(&server).await;
        socket.send(r#"{"id":1,"method":"eth_subscribe","params":["three"]}"#).await;
        let id = socket.next().await.unwrap()["result"].clone();
        assert!(id.as_str().unwrap().starts_with("0x"));
        for number in 1..=3 {
            let note = socket.next().await.unwrap();
            assert_eq!(note["method"], "eth_subscription");
            assert_eq!(note["params"], json!({ "subscription": id, "result": number }));
        }
    }
}

#[tokio::test]
async fn subscriptions_are_refused_in_the_reference_clients_words() {
    let server = start(Limits { subscriptions: 1, ..Limits::default() }).await;
    let mut socket = Socket::open(&server).await;
    socket.send(r#"{"id":1,"method":"eth_subscribe","params":["no"]}"#).await;
    assert_eq!(socket.next().await, Some(error(json!(1), -32601, "no \"no\" subscription in eth namespace")));
    socket.send(r#"{"id":2,"method":"eth_subscribe","params":[]}"#).await;
    assert_eq!(socket.next().await, Some(error(json!(2), -32602, "expected subscription name as first argument")));
    socket.send(r#"{"id":3,"method":"eth_unsubscribe","params":["0x9"]}"#).await;
    assert_eq!(socket.next().await, Some(error(json!(3), -32000, "subscription not found")));
    socket.send(r#"[{"id":4,"method":"eth_subscribe","params":["three"]},{"id":5,"method":"eth_subscribe","params":["no"]}]"#).await;
    let answers = socket.next().await.unwrap();
    assert!(answers[1]["error"]["message"].as_str().unwrap().starts_with("Maximum 1 subscriptions are allowed"));
    socket.send(&json!({"id": 6, "method": "eth_unsubscribe", "params": [answers[0]["result"]]}).to_string()).await;
    loop {
        let message = socket.next().await.unwrap();
        if message["id"] == 6 {
            assert_eq!(message["result"], true);
            break;
        }
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_is_let_go() {
    let limits = Limits { queue: 16, write: Duration::from_millis(300), ..Limits::default() };
    let server = start(limits).await;
    let mut slow = Socket::open(&server).await;
    slow.send(r#"{"id":1,"method":"eth_subscribe","params":["flood"]}"#).await;
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let mut quick = Socket::open(&server).await;
    quick.send(r#"{"id":1,"method":"eth_one"}"#).await;
    assert_eq!(quick.next().await.unwrap()["result"], 1);
    // The rest of what was sent can be read, then the connection is at its end.
    let ended = tokio::time::timeout(Duration::from_secs(60), async { while slow.next().await.is_some() {} });
    ended.await.unwrap();
}
