#![doc = include_str!("../README.md")]

use std::sync::{Arc, Mutex, PoisonError};
use std::{error::Error, time::Duration};

use alloy_primitives::{Address, B256, Bytes};
use async_trait::async_trait;
use klay_accounts::wallet::SecretKey;
#[rustfmt::skip]
use klay_consensus::{
    gate::{Gate, GateOptions},
    host::{App, BuildRequest, MemoryNetwork, Network, Setup, Tip, start},
    istanbul::{CommittedSeals, HeaderValue, Klaytn, WireValue, justified::{Justified, JustifiedCodec, JustifiedConfig}, seal},
    types::{ApplyError, Committee, Committees, Engine as _, Height, NotYet, Round, Slot, Value, Verdict, WallTime},
    wal::{Identity, MemoryDisk},
};
use klay_core::{DecodeError, block::Header, codec::Reader};

/// A line of text. The header is its envelope: number, parent, signatures.
#[derive(Debug, Clone)]
struct Line(Header);

#[rustfmt::skip]
impl Value for Line {
    type Id = B256;
    fn id(&self) -> B256 { self.0.hash() }
    fn parent(&self) -> B256 { self.0.parent_hash }
    fn height(&self) -> Height { Height::new(self.0.number) }
    fn size(&self) -> usize { self.0.vote.len() + 500 }
}
#[rustfmt::skip]
impl HeaderValue for Line {
    fn header(&self) -> &Header { &self.0 }
    fn with_extra(mut self, extra: Bytes) -> Self { self.0.extra = extra; self }
}
#[rustfmt::skip]
impl WireValue for Line {
    fn encode(&self, out: &mut Vec<u8>) { out.extend_from_slice(&self.0.encode()); }
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> { Header::decode(reader).map(Self) }
}

#[derive(Debug)]
struct Replicas(Vec<Address>);

#[rustfmt::skip]
impl Committees<Klaytn<Line>> for Replicas {
    fn at(&self, height: Height, round: Round) -> Result<Arc<Committee<Address>>, NotYet> {
        Ok(Arc::new(Committee::new(self.0.clone(), self.0[(height.get() + round.get()) as usize % 4])))
    }
}

/// One replica's copy of the log.
#[rustfmt::skip]
struct Replica { name: u8, lines: Mutex<Vec<Line>> }

impl Replica {
    fn tip(&self) -> Tip<Klaytn<Line>> {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let id = lines.last().map_or(B256::ZERO, Value::id);
        Tip { height: Height::new(lines.len() as u64), id, next_at: WallTime::default() }
    }
}

#[rustfmt::skip]
#[async_trait]
impl App<Klaytn<Line>> for Replica {
    async fn build(&self, ask: BuildRequest<Klaytn<Line>>) -> Option<Line> {
        let vote = format!("line {} by replica {}", ask.slot, self.name).into_bytes().into();
        let (number, parent_hash, extra) = (ask.slot.get(), ask.parent, seal::new_extra(b"", Vec::new()));
        Some(Line(Header { number, parent_hash, vote, extra, ..Header::default() }))
    }
    async fn check(&self, _slot: Slot, line: Line) -> Verdict { if line.0.vote.len() < 1000 { Verdict::Valid } else { Verdict::Invalid("too long") } }
    async fn apply(&self, line: Line, _proof: CommittedSeals) -> Result<Tip<Klaytn<Line>>, ApplyError> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        Ok(self.tip())
    }
    async fn head(&self) -> Tip<Klaytn<Line>> { self.tip() }
}

#[rustfmt::skip]
#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let keys = (1..=4).map(|name| SecretKey::from_slice(&[name; 32])).collect::<Result<Vec<_>, _>>()?;
    let replicas: Vec<_> = keys.iter().map(SecretKey::address).collect();
    let (network, mut hosts, mut logs) = (MemoryNetwork::<Klaytn<Line>>::new(1024), Vec::new(), Vec::new());
    for (name, key) in (1..).zip(keys) {
        let (me, signer) = (key.address(), seal::KeySigner::new(key));
        let identity = Identity { chain_id: 7, key: me.to_vec(), engine: Justified::<Line>::NAME.to_owned() };
        let (gate, entries) = Gate::open(signer, MemoryDisk::new(), None, identity, GateOptions::default())?;
        let config = JustifiedConfig::new(me, Arc::new(Replicas(replicas.clone())), B256::repeat_byte(7));
        let app = Arc::new(Replica { name, lines: Mutex::default() });
        logs.push(Arc::clone(&app));
        let peers = Network { transport: Arc::new(network.join(me)), codec: Arc::new(JustifiedCodec) };
        hosts.push(start::<_, Justified<Line>, _, _>(Setup::alone(config, gate, entries, app).with_network(peers)).await?);
    }
    while logs.iter().any(|log| log.tip().height < Height::new(10)) { tokio::time::sleep(Duration::from_millis(5)).await; }
    for line in logs[3].lines.lock().unwrap_or_else(PoisonError::into_inner).iter().take(10) { println!("{}", String::from_utf8_lossy(&line.0.vote)); }
    for host in hosts { host.stop().await; }
    Ok(())
}
