//! Every bound of the server in one place; each error that a bound causes names it.

use std::time::Duration;

/// What a client may take. Defaults are those of the reference client where it has one (spec 80, section 1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Largest request body or WebSocket message, in bytes.
    pub body_bytes: usize,
    /// How much of a refused body is read and dropped, so that the client sees the answer instead of a reset.
    pub drain_bytes: usize,
    /// Most requests in one batch.
    pub batch_items: usize,
    /// Bytes of one answer after which the remaining requests of a batch are refused.
    pub response_bytes: usize,
    /// Open connections of one listener.
    pub connections: usize,
    /// Subscriptions of one WebSocket connection.
    pub subscriptions: usize,
    /// Messages of one WebSocket connection that are worked on at once; more wait in the socket.
    pub in_flight: usize,
    /// Outgoing messages that one WebSocket connection may have waiting; a slower reader is disconnected.
    pub queue: usize,
    /// Time for the whole body of a request to arrive.
    pub read: Duration,
    /// Time for one outgoing WebSocket message to be taken.
    pub write: Duration,
    /// Time that a connection may be silent between requests.
    pub idle: Duration,
    /// Calls, estimates and log scans that run at once.
    pub readers: usize,
    /// Groups of raw transactions that are taken in at once.
    pub senders: usize,
    /// Time for one call or estimate.
    pub call_timeout: Duration,
    /// Most gas for a call; 0 for the protocol's own limit alone.
    pub call_gas_cap: u64,
    /// Time for one trace, unless the request says otherwise.
    pub trace_timeout: Duration,
    /// Most time for one trace that a request can ask for.
    pub trace_timeout_max: Duration,
    /// Bytes that one trace may take.
    pub trace_bytes: usize,
    /// Traces that are made at once; others wait.
    pub tracers: usize,
    /// Time for one log query.
    pub log_timeout: Duration,
    /// Most logs in one answer.
    pub log_results: usize,
    /// Filters that exist at once.
    pub filters: usize,
    /// Time after which an unused filter is forgotten.
    pub filter_life: Duration,
    /// Most blocks in one fee history.
    pub fee_history_blocks: u64,
    /// Whether what the reference client does not have is left out: Klaytn's types in `eth_sendRawTransaction` and
    /// `kaia_sendRawTransactions`, and `tracerConfig`.
    pub is_strict: bool,
}

impl Default for Limits {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        Self {
            body_bytes: 512 * 1024,
            drain_bytes: 32 * 1024 * 1024,
            batch_items: 20_000,
            response_bytes: 256 * 1024 * 1024,
            connections: 3_000,
            subscriptions: 3_000,
            in_flight: 64,
            queue: 8_192,
            read: Duration::from_secs(30),
            write: Duration::from_secs(10),
            idle: Duration::from_secs(120),
            readers: cores.max(2) * 2,
            senders: 4,
            call_timeout: Duration::from_secs(5),
            call_gas_cap: 0,
            trace_timeout: Duration::from_secs(5),
            trace_timeout_max: Duration::from_secs(300),
            trace_bytes: 128 * 1024 * 1024,
            tracers: cores.clamp(1, 4),
            log_timeout: Duration::from_secs(10),
            log_results: 10_000,
            filters: 10_000,
            filter_life: Duration::from_secs(300),
            fee_history_blocks: 1_024,
            is_strict: false,
        }
    }
}
