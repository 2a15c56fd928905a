//! WebSocket: the handshake, a reader and a writer per connection.

use std::sync::Arc;

use http_body_util::Full;
use hyper::{
    Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header,
    upgrade::Upgraded,
};
use hyper_util::rt::TokioIo;
use jsonrpsee::server::{ConnectionPermit, StopHandle};
use soketto::{connection::Error, data::ByteSlice125, handshake::http as handshake};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::compat::{Compat, TokioAsyncReadCompatExt};

use super::{
    RpcError,
    connection::{CloseReason, Connection, Outgoing},
    engine::Engine,
    envelope::write_error,
    http::{is_listed, plain},
    server::Shared,
};

type Socket = futures::io::BufWriter<futures::io::BufReader<Compat<TokioIo<Upgraded>>>>;

/// Whether the request asks for WebSocket.
pub(super) fn is_upgrade(request: &Request<Incoming>) -> bool {
    handshake::is_upgrade_request(request)
}

/// Accepts the upgrade and leaves the connection to a task of its own.
pub(super) fn upgrade(
    request: &mut Request<Incoming>,
    shared: &Arc<Shared>,
    stop: StopHandle,
    permit: Arc<ConnectionPermit>,
) -> Response<Full<Bytes>> {
    if request.headers().get(header::ORIGIN).is_some_and(|origin| !is_listed(&shared.config.ws_origins, origin)) {
        return plain(StatusCode::FORBIDDEN, "origin not allowed");
    }
    let mut server = handshake::Server::new();
    let accepted = match server.receive_request(request) {
        Ok(accepted) => accepted,
        Err(error) => return plain(StatusCode::BAD_REQUEST, &error.to_string()),
    };
    let upgraded = hyper::upgrade::on(request);
    let shared = Arc::clone(shared);
    tokio::spawn(async move {
        let _permit = permit;
        match upgraded.await {
            Ok(upgraded) => {
                let stream = TokioIo::new(upgraded).compat();
                let stream = futures::io::BufWriter::new(futures::io::BufReader::new(stream));
                let mut builder = server.into_builder(stream);
                builder.set_max_message_size(shared.config.limits.body_bytes);
                let (sender, receiver) = builder.finish();
                run(sender, receiver, &shared, stop).await;
            }
            Err(error) => tracing::debug!(%error, "upgrade failed"),
        }
    });
    accepted.map(|()| Full::default())
}

async fn run(sender: soketto::Sender<Socket>, receiver: soketto::Receiver<Socket>, shared: &Shared, stop: StopHandle) {
    let limits = &shared.config.limits;
    let (outbox, inbox) = mpsc::channel(limits.queue.max(1));
    let connection = Connection::new(
        Arc::clone(&shared.topics),
        outbox.clone(),
        Arc::clone(&shared.subscription_limit),
        limits.queue,
    );
    let writer = tokio::spawn(write(sender, inbox, Arc::clone(&connection), limits.write));
    tokio::select! {
        () = read(receiver, &connection, &shared.engine, outbox) => {}
        () = stop.shutdown() => connection.close(CloseReason::Stop),
        () = closed(&connection) => {}
    }
    connection.end();
    connection.close(CloseReason::Stop);
    // The writer ends by itself: it sees the reason above and bounds its last writes.
    let _ = writer.await;
}

async fn closed(connection: &Connection) {
    let mut closing = connection.closing();
    // An error says that the connection is gone, which is as good as closed.
    let _ = closing.wait_for(Option::is_some).await;
}

async fn read(
    mut receiver: soketto::Receiver<Socket>,
    connection: &Arc<Connection>,
    engine: &Arc<Engine>,
    outbox: mpsc::Sender<Outgoing>,
) {
    let limits = engine.limits();
    let places = Arc::new(Semaphore::new(limits.in_flight.max(1)));
    let mut missed_pings = 0;
    loop {
        let mut message = Vec::new();
        // A pending `receive` holds a partly read frame, so it must live until it is done.
        let received = {
            let receive = receiver.receive(&mut message);
            tokio::pin!(receive);
            loop {
                tokio::select! {
                    received = &mut receive => break received.map(|incoming| match incoming {
                        soketto::Incoming::Data(_) => Some(true),
                        soketto::Incoming::Pong(_) => Some(false),
                        soketto::Incoming::Closed(_) => None,
                    }),
                    () = tokio::time::sleep(limits.idle / 2) => {
                        missed_pings += 1;
                        if missed_pings > 2 || outbox.try_send(Outgoing::Ping).is_err() {
                            return;
                        }
                    }
                }
            }
        };
        missed_pings = 0;
        match received {
            Ok(Some(true)) => {}
            Ok(Some(false)) => continue,
            Err(Error::MessageTooLarge { .. }) => {
                connection.close(CloseReason::TooLarge { max: limits.body_bytes });
                return;
            }
            Ok(None) | Err(_) => return,
        }
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let (engine, connection) = (Arc::clone(engine), Arc::clone(connection));
        tokio::spawn(async move {
            let session = connection.session();
            let answer = engine.answer(&message, Some(&session)).await;
            if !answer.text.is_empty() {
                connection.send(answer.text).await;
            }
            session.start();
            if answer.close {
                connection.close(CloseReason::Syntax);
            }
            drop(place);
        });
    }
}

async fn write(
    mut sender: soketto::Sender<Socket>,
    mut inbox: mpsc::Receiver<Outgoing>,
    connection: Arc<Connection>,
    patience: std::time::Duration,
) {
    loop {
        let outgoing = tokio::select! {
            biased;
            () = closed(&connection) => {
                let reason = *connection.closing().borrow();
                let last = tokio::time::timeout(patience, farewell(&mut sender, &mut inbox, reason));
                // The other side may be gone or not read; then there is nobody to tell.
                let _ = last.await;
                return;
            }
            outgoing = inbox.recv() => outgoing,
        };
        let Some(outgoing) = outgoing else { return };
        let sent = tokio::time::timeout(patience, async {
            send(&mut sender, outgoing).await?;
            // What waits goes out with one flush.
            while let Ok(next) = inbox.try_recv() {
                send(&mut sender, next).await?;
            }
            sender.flush().await
        });
        if !matches!(sent.await, Ok(Ok(()))) {
            connection.close(CloseReason::SlowReader { waiting: inbox.len() });
            return;
        }
    }
}

async fn send(sender: &mut soketto::Sender<Socket>, outgoing: Outgoing) -> Result<(), Error> {
    match outgoing {
        Outgoing::Text(text) => sender.send_text(String::from_utf8_lossy(&text)).await,
        Outgoing::Ping => match ByteSlice125::try_from(&[][..]) {
            Ok(empty) => sender.send_ping(empty).await,
            Err(_) => Ok(()),
        },
    }
}

/// Sends what waits, says why the connection ends, and ends it.
async fn farewell(
    sender: &mut soketto::Sender<Socket>,
    inbox: &mut mpsc::Receiver<Outgoing>,
    reason: Option<CloseReason>,
) -> Result<(), Error> {
    while let Ok(next) = inbox.try_recv() {
        send(sender, next).await?;
    }
    if let Some(reason @ (CloseReason::TooLarge { .. } | CloseReason::SlowReader { .. })) = reason {
        let mut text = Vec::new();
        write_error(None, &RpcError::failed(format!("connection closed: {reason}")), &mut text);
        send(sender, Outgoing::Text(text)).await?;
    }
    sender.close().await
}
