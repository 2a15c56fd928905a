//! HTTP: which requests reach the engine, and what the others are told (spec 80, section 1.2).

use std::{convert::Infallible, net::IpAddr, sync::Arc};

use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Body, Bytes, Incoming},
    header::{self, HeaderMap, HeaderValue},
};
use jsonrpsee::server::{ConnectionPermit, StopHandle};

use super::{
    Limits,
    server::{ServerConfig, Shared},
    ws,
};

pub(super) type Reply = Response<Full<Bytes>>;

/// Answers one HTTP request.
pub(super) async fn respond(
    mut request: Request<Incoming>,
    shared: Arc<Shared>,
    stop: StopHandle,
    permit: Arc<ConnectionPermit>,
) -> Result<Reply, Infallible> {
    let config = &shared.config;
    if !is_host_allowed(request.headers(), config) {
        return Ok(plain(StatusCode::FORBIDDEN, "invalid host specified"));
    }
    if ws::is_upgrade(&request) {
        return Ok(ws::upgrade(&mut request, &shared, stop, permit));
    }
    let origin = request.headers().get(header::ORIGIN).cloned();
    let mut reply = match origin.as_ref().filter(|_| is_preflight(&request) && !config.cors.is_empty()) {
        Some(_) => plain_empty(StatusCode::NO_CONTENT),
        None => answer(request, &shared).await,
    };
    if let Some(origin) = origin.filter(|origin| is_listed(&config.cors, origin)) {
        allow_origin(reply.headers_mut(), origin);
    }
    Ok(reply)
}

async fn answer(request: Request<Incoming>, shared: &Shared) -> Reply {
    let limits = &shared.config.limits;
    let length = content_length(request.headers());
    let has_body = !request.body().is_end_stream();
    if request.method() == Method::GET && !has_body && request.uri().query().is_none_or(str::is_empty) {
        return match shared.pages.page(request.uri().path()).await {
            Some(page) => page.into_reply(),
            None => plain_empty(StatusCode::OK),
        };
    }
    if matches!(*request.method(), Method::PUT | Method::DELETE) {
        return plain(StatusCode::METHOD_NOT_ALLOWED, "method not allowed");
    }
    if let Some(length) = length.filter(|length| *length > limits.body_bytes as u64) {
        drain(request.into_body(), limits).await;
        return too_large(Some(length), limits);
    }
    if request.method() != Method::OPTIONS && !is_json(request.headers()) {
        return plain(StatusCode::UNSUPPORTED_MEDIA_TYPE, "invalid content type, only application/json is supported");
    }
    let body = Limited::new(request.into_body(), limits.body_bytes).collect();
    match tokio::time::timeout(limits.read, body).await {
        Ok(Ok(body)) => {
            let mut text = shared.engine.answer(&body.to_bytes(), None).await.text;
            if !text.is_empty() {
                text.push(b'\n');
            }
            json(text)
        }
        Ok(Err(error)) if error.is::<LengthLimitError>() => too_large(None, limits),
        Ok(Err(_)) => plain(StatusCode::BAD_REQUEST, "request body cut off"),
        Err(_) => plain(StatusCode::REQUEST_TIMEOUT, "request body took too long"),
    }
}

fn too_large(length: Option<u64>, limits: &Limits) -> Reply {
    let max = limits.body_bytes;
    let text = match length {
        Some(length) => format!("content length too large ({length}>{max})"),
        None => format!("content length too large (>{max})"),
    };
    plain(StatusCode::PAYLOAD_TOO_LARGE, &text)
}

/// Reads and drops what the client is still sending, within bounds: a client that writes before it reads would
/// otherwise see a reset instead of the answer.
async fn drain(mut body: Incoming, limits: &Limits) {
    let read = async {
        let mut dropped = 0;
        while let Some(Ok(frame)) = body.frame().await {
            dropped += frame.data_ref().map_or(0, Bytes::len);
            if dropped > limits.drain_bytes {
                return;
            }
        }
    };
    // Too slow counts like too large: the answer goes out, the rest is not waited for.
    let _ = tokio::time::timeout(limits.read, read).await;
}

fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn is_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()) else { return false };
    let media = value.split(';').next().unwrap_or_default().trim();
    ["application/json", "application/json-rpc", "application/jsonrequest"]
        .iter()
        .any(|m| m.eq_ignore_ascii_case(media))
}

fn is_preflight(request: &Request<Incoming>) -> bool {
    request.method() == Method::OPTIONS && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

fn is_host_allowed(headers: &HeaderMap, config: &ServerConfig) -> bool {
    let Some(host) = headers.get(header::HOST).and_then(|h| h.to_str().ok()) else { return true };
    let name = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    name.is_empty()
        || name.parse::<IpAddr>().is_ok()
        || config.hosts.iter().any(|allowed| allowed == "*" || allowed.eq_ignore_ascii_case(name))
}

/// Whether an origin is in a list of allowed ones.
pub(super) fn is_listed(list: &[String], origin: &HeaderValue) -> bool {
    let Ok(origin) = origin.to_str() else { return false };
    list.iter().any(|allowed| allowed == "*" || allowed.eq_ignore_ascii_case(origin))
}

fn allow_origin(headers: &mut HeaderMap, origin: HeaderValue) {
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST"));
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("*"));
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    headers.insert(header::VARY, HeaderValue::from_static("Origin"));
}

fn json(text: Vec<u8>) -> Reply {
    let mut reply = Response::new(Full::new(Bytes::from(text)));
    reply.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    reply
}

pub(super) fn plain(status: StatusCode, text: &str) -> Reply {
    let mut reply = Response::new(Full::new(Bytes::from(format!("{text}\n"))));
    *reply.status_mut() = status;
    reply.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    reply
}

pub(super) fn plain_empty(status: StatusCode) -> Reply {
    let mut reply = Response::new(Full::default());
    *reply.status_mut() = status;
    reply
}
