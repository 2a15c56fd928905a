//! The host on tokio drives an engine against an application.

use crate::common;
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use crate::common::{Chain, TestBlock, identity, signer};
use alloy_primitives::B256;
use async_trait::async_trait;
use klay_consensus::{
    dev::{Dev, DevConfig},
    gate::{Gate, GateOptions},
    host::{App, BuildRequest, Setup, Tip, start},
    istanbul::{CommittedSeals, HeaderValue, seal},
    types::{ApplyError, Height, Slot, Value, Verdict, WallTime},
    wal::MemoryDisk,
};

/// A chain in memory whose transactions are counted, not kept.
#[derive(Default)]
struct TestApp {
    blocks: Mutex<Vec<TestBlock>>,
    waiting: Mutex<u32>,
}

impl TestApp {
    fn tip(&self) -> Tip<Chain> {
        let blocks = self.blocks.lock().unwrap();
        let id = blocks.last().map_or(B256::ZERO, Value::id);
        Tip { height: Height::new(blocks.len() as u64), id, next_at: WallTime::default() }
    }
}

#[async_trait]
impl App<Chain> for TestApp {
    async fn build(&self, request: BuildRequest<Chain>) -> Option<TestBlock> {
        let waiting = core::mem::take(&mut *self.waiting.lock().unwrap());
        if waiting == 0 && !request.empty {
            return None;
        }
        let extra = seal::new_extra(b"", vec![signer(1).address()]);
        Some(TestBlock::new(request.slot.get(), request.parent, waiting as u8, extra))
    }

    async fn check(&self, _slot: Slot, _value: TestBlock) -> Verdict {
        Verdict::Valid
    }

    async fn apply(&self, value: TestBlock, cert: CommittedSeals) -> Result<Tip<Chain>, ApplyError> {
        let value = cert.write(value).map_err(|_| ApplyError::Invalid)?;
        self.blocks.lock().unwrap().push(value);
        Ok(self.tip())
    }

    async fn head(&self) -> Tip<Chain> {
        self.tip()
    }
}

fn setup(app: &Arc<TestApp>, config: DevConfig) -> Setup<Chain, Dev<TestBlock>, common::Signer, MemoryDisk> {
    let disk = MemoryDisk::new();
    let (gate, entries) = Gate::open(signer(1), disk, None, identity("dev", 1), GateOptions::default()).unwrap();
    Setup::alone(config, gate, entries, Arc::clone(app) as Arc<dyn App<Chain>>)
}

async fn until(app: &TestApp, height: usize) {
    for _ in 0..2000 {
        if app.blocks.lock().unwrap().len() >= height {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("height {height} not reached");
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

#[test]
fn a_demand_makes_a_block_and_silence_makes_none() {
    runtime().block_on(async {
        let app = Arc::new(TestApp::default());
        let host = start(setup(&app, DevConfig::instant(signer(1).address()))).await.unwrap();
        for height in 1..=20 {
            *app.waiting.lock().unwrap() += 1;
            host.demand();
            until(&app, height).await;
        }
        tokio::time::sleep(Duration::from_millis(30)).await;
        assert_eq!(app.blocks.lock().unwrap().len(), 20);
        assert_eq!(host.status().await.unwrap().state, "idle");
        host.stop().await;
        let blocks = app.blocks.lock().unwrap();
        for pair in blocks.windows(2) {
            assert_eq!(pair[1].parent(), pair[0].id());
            assert_eq!(pair[1].header().proposer(), Some(signer(1).address()));
        }
    });
}

#[test]
fn an_interval_makes_blocks_by_itself_and_stops_when_told() {
    runtime().block_on(async {
        let app = Arc::new(TestApp::default());
        let config = DevConfig::interval(signer(1).address(), Duration::from_millis(20));
        let host = start(setup(&app, config)).await.unwrap();
        until(&app, 5).await;
        host.stop().await;
        let height = app.blocks.lock().unwrap().len();
        tokio::time::sleep(Duration::from_millis(80)).await;
        assert!(app.blocks.lock().unwrap().len() <= height + 1, "an apply under way may finish");
    });
}
