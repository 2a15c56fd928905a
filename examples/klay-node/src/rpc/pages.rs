//! What the ports serve to a plain `GET`: metrics, health, whatever the node offers.

use async_trait::async_trait;
use http_body_util::Full;
use hyper::{
    Response, StatusCode,
    body::Bytes,
    header::{self, HeaderValue},
};

use super::http::Reply;

/// One page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Whether it stands for something that is as it should be: 200, otherwise 503.
    pub is_good: bool,
    /// The media type.
    pub media: &'static str,
    /// The content.
    pub text: String,
}

impl Page {
    pub(super) fn into_reply(self) -> Reply {
        let mut reply = Response::new(Full::new(Bytes::from(self.text)));
        *reply.status_mut() = if self.is_good { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        reply.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(self.media));
        reply
    }
}

/// Pages by path.
#[async_trait]
pub trait Pages: Send + Sync + 'static {
    /// The page at this path; `None` leaves the request to JSON-RPC.
    async fn page(&self, path: &str) -> Option<Page>;
}

/// No pages.
#[derive(Debug, Clone, Copy)]
pub(super) struct NoPages;

#[async_trait]
impl Pages for NoPages {
    async fn page(&self, _path: &str) -> Option<Page> {
        None
    }
}
