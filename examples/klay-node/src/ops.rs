//! What operators look at: metrics, health, readiness, status. Served to `GET` on the ports of JSON-RPC.
//!
//! | Path | What | 503 if |
//! |---|---|---|
//! | `/metrics` | counters and gauges in the text form of Prometheus | never |
//! | `/health` | whether the node works | the chain has two blocks of one height, the store has failed, or the consensus engine has halted |
//! | `/ready` | whether it can serve | it is behind its peers, or should have peers and has none |
//! | `/status` | all of it as JSON, for `klay status` | never |

use async_trait::async_trait;
use prometheus_client::{
    encoding::text::encode,
    metrics::{counter::ConstCounter, gauge::ConstGauge, info::Info},
    registry::Registry,
};
use serde_json::{Value, json};

use crate::{
    Node,
    rpc::{Page, Pages},
};

/// Blocks that a node may be behind its peers and still be called ready.
const TOLERANCE: u64 = 2;

/// The pages of a node.
#[derive(Debug, Clone)]
pub struct NodePages(pub Node);

#[async_trait]
impl Pages for NodePages {
    async fn page(&self, path: &str) -> Option<Page> {
        let text =
            |is_good, text: &str| Page { is_good, media: "text/plain; charset=utf-8", text: format!("{text}\n") };
        match path {
            "/metrics" => Some(self.metrics().await),
            "/health" => {
                let reason = self.not_healthy();
                Some(text(reason.is_none(), reason.as_deref().unwrap_or("ok")))
            }
            "/ready" => {
                let reason = self.not_ready();
                Some(text(reason.is_none(), reason.as_deref().unwrap_or("ready")))
            }
            "/status" => {
                let text = format!("{}\n", self.status().await);
                Some(Page { is_good: true, media: "application/json", text })
            }
            _ => None,
        }
    }
}

impl NodePages {
    fn not_healthy(&self) -> Option<String> {
        if self.0.metrics().forks.value() > 0 {
            return Some("two blocks of one height".to_owned());
        }
        if self.0.chain().has_failed() {
            return Some("the store takes no more blocks".to_owned());
        }
        self.0.engine_fault().map(|fault| fault.to_string())
    }

    fn not_ready(&self) -> Option<String> {
        let network = self.0.network()?;
        let (head, best) = (self.0.chain().head().number(), network.best_known());
        if self.0.has_static_peers() && !network.has_company() {
            return Some("no peers".to_owned());
        }
        (best > head + TOLERANCE).then(|| format!("at block {head}, peers are at {best}"))
    }

    /// Head, peers, role, engine and pool as JSON.
    pub async fn status(&self) -> Value {
        let node = &self.0;
        let (head, pool, metrics) = (node.chain().head(), node.pool().status(), node.metrics());
        let mut status = json!({
            "version": env!("CARGO_PKG_VERSION"),
            "chainId": node.config().chain_id,
            "genesis": node.chain().genesis_hash(),
            "head": {
                "number": head.number(),
                "hash": head.hash,
                "stateRoot": head.header.state_root,
                "time": head.header.timestamp,
                "transactions": head.transactions.len(),
            },
            "pool": { "pending": pool.pending, "queued": pool.queued },
            "role": "dev",
            "peers": [],
            "sync": { "behind": 0, "best": head.number() },
            "counters": {
                "recoveries": metrics.recoveries.value(),
                "committed": metrics.committed.value(),
                "roundChanges": metrics.round_changes.value(),
                "dropped": metrics.dropped.value(),
                "evidence": metrics.evidence.value(),
                "forks": metrics.forks.value(),
            },
        });
        if let Some(network) = node.network() {
            let peer = |peer: crate::network::PeerInfo| json!({ "id": peer.id, "address": peer.address, "role": peer.role.name(), "head": peer.head });
            let best = network.best_known().max(head.number());
            status["role"] = network.role().name().into();
            status["peers"] = network.peers().into_iter().map(peer).collect();
            status["listen"] = network.addresses().into();
            status["sync"] = json!({ "behind": best - head.number(), "best": best });
        }
        status["engine"] = match node.engine_status().await {
            Some(engine) => json!({
                "name": node.engine().name(),
                "state": engine.state,
                "height": engine.height,
                "round": engine.round,
                "proposer": engine.proposer,
                "waiting": engine.waiting,
            }),
            None => json!({ "name": node.engine().name(), "state": "not running" }),
        };
        if let Some(fault) = node.engine_fault() {
            status["engine"]["state"] = format!("halted: {fault}").into();
        }
        status
    }

    async fn metrics(&self) -> Page {
        let mut registry = Registry::with_prefix("klay");
        self.fill(&mut registry).await;
        let mut text = String::new();
        // Fails only if writing to a string does.
        let is_good = encode(&mut text, &registry).is_ok();
        Page { is_good, media: "application/openmetrics-text; version=1.0.0; charset=utf-8", text }
    }

    async fn fill(&self, registry: &mut Registry) {
        let node = &self.0;
        let (metrics, head, pool) = (node.metrics(), node.chain().head(), node.pool().status());
        let pool_bytes = node.pool().size().total() as u64;
        let role = node.network().map_or("dev", |network| network.role().name());
        let labels = [("version", env!("CARGO_PKG_VERSION")), ("role", role), ("engine", node.engine().name())];
        registry.register("node", "Version, role and engine", Info::new(labels.to_vec()));
        for (name, help, value) in [
            ("signature_recoveries", "Transactions whose signatures were recovered", metrics.recoveries.value()),
            ("transactions_offered", "Raw transactions offered", metrics.offered.value()),
            ("transactions_refused", "Transactions refused", metrics.refused.value()),
            ("transactions_committed", "Transactions committed in blocks", metrics.committed.value()),
            ("blocks", "Blocks added to the chain", metrics.blocks.value()),
            ("round_changes", "Rounds that ended without a decision", metrics.round_changes.value()),
            ("queue_drops", "Messages dropped because a queue was full", metrics.dropped.value()),
            ("evidence", "Pieces of evidence against validators", metrics.evidence.value()),
            ("forks", "Blocks that contradict one in the chain", metrics.forks.value()),
        ] {
            registry.register(name, help, ConstCounter::new(value));
        }
        let gauge = |n: u64| ConstGauge::new(i64::try_from(n).unwrap_or(i64::MAX));
        for (name, help, value) in [
            ("head_number", "Height of the newest block", head.number()),
            ("head_timestamp_seconds", "Time of the newest block", head.header.timestamp),
            ("pool_pending", "Executable transactions that wait", pool.pending as u64),
            ("pool_queued", "Other transactions that wait", pool.queued as u64),
            ("pool_bytes", "Bytes of the transactions that wait", pool_bytes),
        ] {
            registry.register(name, help, gauge(value));
        }
        if let Some(network) = node.network() {
            let banned = u64::try_from(network.banned()).unwrap_or(u64::MAX);
            registry.register("peers", "Peers that have greeted", gauge(network.peers().len() as u64));
            registry.register("peers_banned", "Peers that are cut off", gauge(banned));
            registry.register(
                "best_known_number",
                "Highest block that a peer has spoken of",
                gauge(network.best_known()),
            );
            for (kind, count) in network.misdeeds() {
                let name = format!("misdeeds_{kind}");
                registry.register(name, "Misdeeds of peers of one kind", ConstCounter::new(count));
            }
        }
        if let Some(engine) = node.engine_status().await {
            registry.register("consensus_height", "Height being decided", gauge(engine.height));
            registry.register("consensus_round", "Round of the height being decided", gauge(engine.round));
            for (name, help, value) in [
                ("consensus_steps", "Steps of the engine", engine.steps),
                ("consensus_drops", "Consensus messages dropped because a queue was full", engine.dropped),
                ("consensus_malformed", "Consensus messages that did not decode", engine.malformed),
                ("consensus_rejected", "Consensus messages that the engine did not use", engine.rejected),
                ("signatures_refused", "Signatures that the gate refused", engine.refused),
            ] {
                registry.register(name, help, ConstCounter::new(value));
            }
        }
    }
}
