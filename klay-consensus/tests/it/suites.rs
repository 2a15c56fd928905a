//! Our own parts keep the rules that embedders' parts are held to, and parts that break one are told which.

use std::{
    io,
    sync::{Arc, Mutex},
};

use crate::common::{Chain, TestBlock};
use alloy_primitives::{Address, B256};
use async_trait::async_trait;
use klay_consensus::{
    host::{App, BuildRequest, MemoryNetwork, Tip},
    istanbul::{CommittedSeals, Klaytn, seal},
    sim::{
        justified::JustifiedLab,
        simplex::SimplexLab,
        value::{LabValue, Turns},
    },
    suite,
    types::{ApplyError, Committee, Committees, Height, NotYet, Round, Slot, Value, Verdict, WallTime},
    wal::{FsDisk, MemoryDisk},
};

type LabChain = Klaytn<LabValue>;

#[test]
fn committees_of_the_lab() {
    for n in [1, 4, 5, 6, 7, 22] {
        suite::committees::<LabChain>(&Turns::new(n), 1..=30, 12).unwrap();
    }
}

/// Committees that break one rule each.
#[derive(Debug)]
struct Wrong(Turns, &'static str, Mutex<u64>);

impl Committees<LabChain> for Wrong {
    fn at(&self, height: Height, round: Round) -> Result<Arc<Committee<Address>>, NotYet> {
        let mut committee = Committee::clone(&*self.0.at(height, round)?);
        let mut asked = self.2.lock().unwrap();
        *asked += 1;
        match self.1 {
            "CS-1" => committee.proposer = committee.members[(*asked % 4) as usize],
            "CS-2" if round > Round::ZERO => return Err(NotYet(height)),
            "CS-3" => committee.proposer = Address::ZERO,
            "CS-4" => committee.senders = committee.members[1..].to_vec(),
            "CS-5" => committee.quorum = 2,
            "CS-6" => committee.weak = 1,
            _ => {}
        }
        Ok(Arc::new(committee))
    }
}

#[test]
fn each_rule_of_committees_is_told() {
    for rule in ["CS-1", "CS-2", "CS-3", "CS-4", "CS-5", "CS-6"] {
        let wrong = Wrong(Turns::new(4), rule, Mutex::default());
        assert_eq!(suite::committees::<LabChain>(&wrong, 1..=5, 5).unwrap_err().rule, rule);
    }
}

#[test]
fn disks() {
    let folder = tempfile::tempdir().unwrap();
    suite::disk(|n| FsDisk::new(folder.path().join(n.to_string()))).unwrap();
    let memory = [MemoryDisk::new(), MemoryDisk::new(), MemoryDisk::new()];
    suite::disk(|n| Ok(memory[usize::from(n)].clone())).unwrap();
    // One that has forgotten everything when it is opened again.
    let forgets = suite::disk(|_| Ok::<_, io::Error>(MemoryDisk::new())).unwrap_err();
    assert_eq!(forgets.rule, "DI-2", "{forgets}");
}

#[test]
fn engines() {
    suite::engine(&Arc::new(JustifiedLab::new(4)), 4).unwrap();
    suite::engine(&Arc::new(SimplexLab::new(4)), 4).unwrap();
}

#[tokio::test]
async fn transports() {
    let [a, b, nobody] = [1, 2, 3].map(Address::with_last_byte);
    let network = MemoryNetwork::<Chain>::new(1024);
    let (at_a, at_b) = (network.join(a), network.join(b));
    suite::transport::<Chain>((a, &at_a), (b, &at_b), nobody).await.unwrap();
    let muddled = suite::transport::<Chain>((nobody, &at_a), (b, &at_b), nobody).await.unwrap_err();
    assert_eq!(muddled.rule, "TR-2", "{muddled}");
}

/// A chain in memory, with or without a fault.
struct Blocks(Mutex<Vec<TestBlock>>, &'static str);

impl Blocks {
    fn tip(&self) -> Tip<Chain> {
        let blocks = self.0.lock().unwrap();
        let id = blocks.last().map_or(B256::ZERO, Value::id);
        Tip { height: Height::new(blocks.len() as u64), id, next_at: WallTime::default() }
    }
}

#[async_trait]
impl App<Chain> for Blocks {
    async fn build(&self, ask: BuildRequest<Chain>) -> Option<TestBlock> {
        let parent = if self.1 == "AP-2" { B256::repeat_byte(1) } else { ask.parent };
        Some(TestBlock::new(ask.slot.get(), parent, 1, seal::new_extra(b"", vec![])))
    }

    async fn check(&self, _slot: Slot, value: TestBlock) -> Verdict {
        if self.1 == "AP-1" {
            self.0.lock().unwrap().push(value);
        }
        if self.1 == "AP-3" { Verdict::Invalid("no") } else { Verdict::Valid }
    }

    async fn apply(&self, value: TestBlock, _cert: CommittedSeals) -> Result<Tip<Chain>, ApplyError> {
        let tip = self.tip();
        if value.parent() == tip.id || self.1 == "AP-6" {
            self.0.lock().unwrap().push(value);
        }
        if self.1 == "AP-5" { Ok(tip) } else { Ok(self.tip()) }
    }

    async fn head(&self) -> Tip<Chain> {
        self.tip()
    }
}

#[tokio::test]
async fn applications() {
    let cert = |_: &TestBlock| CommittedSeals { round: Round::ZERO, seals: vec![[0; 65]] };
    let good = Blocks(Mutex::default(), "");
    suite::app::<Chain>(&good, 5, cert).await.unwrap();
    assert_eq!(good.tip().height, Height::new(5));
    for rule in ["AP-1", "AP-2", "AP-3", "AP-5", "AP-6"] {
        let broken = suite::app::<Chain>(&Blocks(Mutex::default(), rule), 2, cert).await.unwrap_err();
        assert_eq!(broken.rule, rule, "{broken}");
    }
}
