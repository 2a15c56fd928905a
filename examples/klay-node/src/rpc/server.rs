//! Listeners: TCP, HTTP/1.1 and the upgrade to WebSocket.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, atomic::AtomicUsize},
};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use jsonrpsee::server::{ConnectionGuard, ServerHandle, StopHandle, stop_channel};
use tokio::net::{TcpListener, TcpStream};

use super::{
    Limits, Table,
    connection::Topics,
    engine::Engine,
    http,
    pages::{NoPages, Pages},
};

/// Where and for whom a server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerConfig {
    /// HTTP, with upgrade to WebSocket on the same port.
    pub http: Option<SocketAddr>,
    /// The port that clients of the reference client use for WebSocket; serves HTTP as well.
    pub ws: Option<SocketAddr>,
    /// Host names accepted in the `Host` header; IP addresses always pass, `*` accepts all.
    pub hosts: Vec<String>,
    /// Origins that browsers may call from; `*` for all, empty for none.
    pub cors: Vec<String>,
    /// Origins that may open a WebSocket, where the header is sent; `*` for all.
    pub ws_origins: Vec<String>,
    /// The bounds.
    pub limits: Limits,
}

impl ServerConfig {
    /// Listens at these addresses, and pages of every origin may ask.
    pub fn for_all_origins(http: Option<SocketAddr>, ws: Option<SocketAddr>, limits: Limits) -> Self {
        let all = vec!["*".to_owned()];
        Self { http, ws, cors: all.clone(), ws_origins: all, limits, ..Self::default() }
    }
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            http: None,
            ws: None,
            hosts: vec!["localhost".to_owned()],
            cors: Vec::new(),
            ws_origins: vec!["http://localhost".to_owned()],
            limits: Limits::default(),
        }
    }
}

/// A running server. It ends when this is dropped or [`Server::stop`] is called.
#[derive(Debug)]
pub struct Server {
    handle: ServerHandle,
    /// Where HTTP is served.
    pub http: Option<SocketAddr>,
    /// Where WebSocket is served.
    pub ws: Option<SocketAddr>,
}

impl Server {
    /// Opens the ports and serves `table` and `topics` until the handle goes away.
    ///
    /// # Errors
    /// If a port cannot be opened.
    pub async fn start(config: ServerConfig, table: Table, topics: Arc<dyn Topics>) -> io::Result<Self> {
        Self::start_with_pages(config, table, topics, Arc::new(NoPages)).await
    }

    /// As [`Self::start`], and serves `pages` to `GET` on the same ports.
    ///
    /// # Errors
    /// If a port cannot be opened.
    pub async fn start_with_pages(
        config: ServerConfig,
        table: Table,
        topics: Arc<dyn Topics>,
        pages: Arc<dyn Pages>,
    ) -> io::Result<Self> {
        let wanted = config.limits.connections as u64 * 2 + 1_024;
        // A refusal of the system leaves the limit as it was; connections above it are then refused one by one.
        if let Err(error) = rlimit::increase_nofile_limit(wanted) {
            tracing::warn!(%error, "cannot raise the limit of open files");
        }
        let (stop, handle) = stop_channel();
        let shared = Arc::new(Shared {
            subscription_limit: Arc::new(AtomicUsize::new(config.limits.subscriptions)),
            engine: Arc::new(Engine::new(table, config.limits.clone())),
            topics,
            pages,
            config,
        });
        let http = open(shared.config.http, &shared, &stop).await?;
        let ws = open(shared.config.ws, &shared, &stop).await?;
        Ok(Self { handle, http, ws })
    }

    /// Ends all connections and closes the ports.
    pub fn stop(&self) {
        // An error says that it stopped already.
        let _ = self.handle.stop();
    }
}

/// What all connections of a server share.
pub(super) struct Shared {
    pub(super) config: ServerConfig,
    pub(super) engine: Arc<Engine>,
    pub(super) topics: Arc<dyn Topics>,
    pub(super) pages: Arc<dyn Pages>,
    pub(super) subscription_limit: Arc<AtomicUsize>,
}

async fn open(address: Option<SocketAddr>, shared: &Arc<Shared>, stop: &StopHandle) -> io::Result<Option<SocketAddr>> {
    let Some(address) = address else { return Ok(None) };
    let listener = TcpListener::bind(address).await?;
    let bound = listener.local_addr()?;
    tokio::spawn(accept(listener, Arc::clone(shared), stop.clone()));
    Ok(Some(bound))
}

async fn accept(listener: TcpListener, shared: Arc<Shared>, stop: StopHandle) {
    let guard = ConnectionGuard::new(shared.config.limits.connections);
    let stopped = stop.clone().shutdown();
    tokio::pin!(stopped);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut stopped => return,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of file descriptors, mostly: let some connections end.
                tracing::warn!(%error, "connection not accepted");
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                continue;
            }
        };
        // Small answers must not wait for more.
        let _ = stream.set_nodelay(true);
        match guard.try_acquire() {
            Some(permit) => {
                let (shared, stop) = (Arc::clone(&shared), stop.clone());
                tokio::spawn(async move {
                    serve(stream, shared, stop, Arc::new(permit)).await;
                });
            }
            None => refuse(stream, shared.config.limits.connections),
        }
    }
}

fn refuse(stream: TcpStream, max: usize) {
    let body = format!("limit of {max} connections reached\n");
    let text = format!(
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    // Whether it arrives is up to the client; the place is not given away for it.
    let _ = stream.try_write(text.as_bytes());
}

async fn serve(
    stream: TcpStream,
    shared: Arc<Shared>,
    stop: StopHandle,
    permit: Arc<jsonrpsee::server::ConnectionPermit>,
) {
    let idle = shared.config.limits.idle;
    let service = {
        let stop = stop.clone();
        service_fn(move |request| http::respond(request, Arc::clone(&shared), stop.clone(), Arc::clone(&permit)))
    };
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(idle)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    tokio::pin!(connection);
    let stopped = stop.shutdown();
    tokio::pin!(stopped);
    tokio::select! {
        ended = &mut connection => {
            if let Err(error) = ended {
                tracing::trace!(%error, "connection ended");
            }
        }
        () = &mut stopped => {
            connection.as_mut().graceful_shutdown();
            // What is under way may finish.
            let _ = tokio::time::timeout(std::time::Duration::from_secs(2), connection).await;
        }
    }
}
