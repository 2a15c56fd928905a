//! A node from start to restart: transactions in, blocks out, everything found again.

use std::{path::Path, time::Duration};

use klay_accounts::wallet::SecretKey;
use klay_core::{
    Address, Bytes, Sign, U256, keccak256,
    tx::{Body, LegacyTx, Payload, payload::ValueTransfer},
    units::{KLAY, STON},
};
use klay_feedeleg::{Fee, FeePayer};
use klay_node::{
    Chain, KlaytnTx, Node, NodeConfig, Origin,
    chain::{ChainOptions, HeadEvent, OpenError},
    dev::{self, DevAccounts},
    driver::EngineKind,
    network::{NetworkConfig, Role},
    node::{Authority, Data, Membership, StartError, Validator},
    ops::NodePages,
    rpc::Pages,
};
use tokio::{sync::broadcast, time::timeout};

const CHAIN_ID: u64 = dev::CHAIN_ID;

fn accounts() -> DevAccounts {
    DevAccounts::derive(dev::MNEMONIC, 3).unwrap()
}

fn config(data: Data) -> NodeConfig {
    let accounts = accounts();
    NodeConfig {
        data,
        authority: Some(Authority::instant(accounts.authority.clone())),
        wallet: accounts.wallet(),
        ..NodeConfig::new(accounts.genesis(CHAIN_ID).unwrap())
    }
}

async fn start(data: Data) -> Node {
    Node::start(config(data)).await.unwrap()
}

/// Once the store of a node that was dropped has been let go.
async fn start_again(config: impl Fn() -> NodeConfig) -> Node {
    for _ in 0..600 {
        match Node::start(config()).await {
            Err(StartError::Storage(_)) => tokio::time::sleep(Duration::from_millis(100)).await,
            started => return started.unwrap(),
        }
    }
    panic!("the store is never let go");
}

fn folder(path: &Path) -> Data {
    Data::Folder(path.to_owned())
}

fn transfer(key: &SecretKey, nonce: u64, to: Address, value: U256) -> KlaytnTx {
    let tx = LegacyTx {
        nonce,
        gas_price: U256::from(50) * STON,
        gas_limit: 21_000,
        to: Some(to),
        value,
        input: Bytes::new(),
        signature: Default::default(),
    };
    KlaytnTx::Legacy(tx).sign(CHAIN_ID, &[key]).unwrap()
}

async fn send(node: &Node, tx: &KlaytnTx) -> klay_core::B256 {
    node.pool().add_raw(tx.encode().into(), Origin::Local).await.unwrap()
}

async fn next(heads: &mut broadcast::Receiver<HeadEvent>) -> HeadEvent {
    timeout(Duration::from_secs(60), heads.recv()).await.unwrap().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_becomes_a_block_and_is_found_by_every_key() {
    let node = start(Data::Memory).await;
    let keys = accounts().keys;
    let (to, value) = (Address::repeat_byte(7), U256::from(5) * KLAY);
    let mut heads = node.chain().subscribe_heads();
    let hash = send(&node, &transfer(&keys[0], 0, to, value)).await;
    let head = next(&mut heads).await;

    assert_eq!((head.block.number(), head.block.transactions.len()), (1, 1));
    assert_eq!(head.block.transactions[0].hash(), hash);
    assert_eq!(head.block.hash, head.block.header.hash());
    assert_eq!(head.block.header.proposer(), Some(accounts().authority.address()));
    assert!(head.receipts.receipts[0].status.is_success());
    let chain = node.chain();
    assert_eq!(chain.head().hash, head.block.hash);
    assert_eq!(chain.transaction(hash).unwrap().unwrap().index, 0);
    assert_eq!(chain.by_sender_hash(hash).unwrap().unwrap().block.hash, head.block.hash);
    assert_eq!(chain.block_by_hash(head.block.hash).unwrap().unwrap().number(), 1);
    assert!(chain.block_by_number(2).unwrap().is_none());

    // the pool's object is the block's object, and its signature was recovered once
    assert_eq!(node.metrics().recoveries.value(), 1);
    assert!(!node.pool().contains(hash));
    assert_eq!(node.pool().pending_nonce(keys[0].address()), 1);

    // what left the sender arrived, but for what was burnt: half of the fee
    let fee = U256::from(21_000 * 50) * STON;
    let before = U256::from(dev::BALANCE) * KLAY;
    let state = chain.state_at(1).unwrap();
    assert_eq!(state.balance(keys[0].address()).unwrap(), before - value - fee);
    assert_eq!(state.balance(to).unwrap(), value);
    assert_eq!(state.balance(accounts().authority.address()).unwrap(), fee - fee / U256::from(2));
    assert_eq!(chain.state_at(0).unwrap().balance(to).unwrap(), U256::ZERO);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fee_delegated_transfer_is_found_by_its_sender_hash() {
    let node = start(Data::Memory).await;
    let keys = accounts().keys;
    let payload = Payload::ValueTransfer(ValueTransfer { to: Address::repeat_byte(7), value: U256::from(1) });
    let body = Body { nonce: 0, gas_price: U256::from(50) * STON, gas_limit: 50_000, from: keys[0].address(), payload };
    let tx = KlaytnTx::Klaytn(body.paid_by(Fee::Payer(FeePayer::new(keys[1].address()))));
    let KlaytnTx::Klaytn(mut tx) = tx.sign(CHAIN_ID, &[&keys[0]]).unwrap() else { panic!("another type") };
    let digest = KlaytnTx::Klaytn(tx.clone()).payer_signing_hash(CHAIN_ID).unwrap();
    let signature = keys[1].sign_digest(digest).unwrap().with_chain_id(CHAIN_ID);
    let Fee::Payer(payer) = &mut tx.fee else { panic!("another mode") };
    payer.signatures.push(signature);
    let tx = KlaytnTx::Klaytn(tx);

    let mut heads = node.chain().subscribe_heads();
    let hash = send(&node, &tx).await;
    next(&mut heads).await;
    assert_ne!(tx.sender_hash(), hash);
    let found = node.chain().by_sender_hash(tx.sender_hash()).unwrap().unwrap();
    assert_eq!(found.transaction().unwrap().hash(), hash);
    assert_eq!(found.transaction().unwrap().payer(), keys[1].address());
    node.stop().await;
}

/// The chain names the account.
fn knows(chain: &Chain, address: Address) {
    assert_eq!(chain.preimage(keccak256(address)).unwrap().as_deref(), Some(address.as_slice()));
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_there_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let keys = accounts().keys;
    let mut hashes = Vec::new();
    let node = start(folder(dir.path())).await;
    let mut heads = node.chain().subscribe_heads();
    for nonce in 0..5 {
        hashes.push(send(&node, &transfer(&keys[0], nonce, Address::repeat_byte(7), U256::from(1))).await);
        next(&mut heads).await;
    }
    let (head, receipts) = (node.chain().head(), node.chain().receipts(3).unwrap().unwrap());
    node.stop().await;
    drop((node, heads));

    let node = start(folder(dir.path())).await;
    let chain = node.chain();
    assert_eq!(chain.head().hash, head.hash);
    assert_eq!(node.metrics().recoveries.value(), 0);
    for (hash, number) in hashes.iter().zip(1..) {
        let found = chain.transaction(*hash).unwrap().unwrap();
        assert_eq!((found.block.number(), found.index), (number, 0));
        assert_eq!(found.transaction().unwrap().sender(), keys[0].address());
        assert_eq!(found.block.size, head.size);
    }
    assert_eq!(chain.receipts(3).unwrap().unwrap().receipts, receipts.receipts);
    assert_eq!(chain.state_at(5).unwrap().nonce(keys[0].address()).unwrap(), 5);
    knows(chain, Address::repeat_byte(7));
    let mut heads = chain.subscribe_heads();
    send(&node, &transfer(&keys[0], 5, Address::repeat_byte(7), U256::from(1))).await;
    assert_eq!(next(&mut heads).await.block.number(), 6);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn blocks_whose_state_was_not_written_are_executed_again() {
    let dir = tempfile::tempdir().unwrap();
    let keys = accounts().keys;
    let chain = ChainOptions { persist_every: 1_000, persist_small: 0, ..ChainOptions::default() };
    let lazy = || NodeConfig { chain: chain.clone(), ..config(folder(dir.path())) };
    let node = Node::start(lazy()).await.unwrap();
    let mut heads = node.chain().subscribe_heads();
    for nonce in 0..4 {
        send(&node, &transfer(&keys[0], nonce, Address::repeat_byte(7), U256::from(1))).await;
        next(&mut heads).await;
    }
    let root = node.chain().head().header.state_root;
    knows(node.chain(), Address::repeat_byte(7));
    // Dropped, not stopped: the state is never written.
    drop((node, heads));

    let node = start_again(lazy).await;
    assert_eq!(node.chain().head().number(), 4);
    assert_eq!(node.metrics().recoveries.value(), 4);
    assert_eq!(node.chain().head_state().1.root(), root);
    knows(node.chain(), Address::repeat_byte(7));
    assert_eq!(node.chain().state_at(2).unwrap().nonce(keys[0].address()).unwrap(), 2);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn states_are_written_behind_the_chain_while_it_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let keys = accounts().keys;
    let chain = ChainOptions { persist_every: 3, persist_small: 0, resident_nodes: 4, ..ChainOptions::default() };
    let lazy = || NodeConfig { chain: chain.clone(), ..config(folder(dir.path())) };
    let node = Node::start(lazy()).await.unwrap();
    let mut heads = node.chain().subscribe_heads();
    for nonce in 0..20 {
        send(&node, &transfer(&keys[0], nonce, Address::with_last_byte(nonce as u8 + 0x80).create(nonce), KLAY)).await;
        next(&mut heads).await;
    }
    let root = node.chain().head().header.state_root;
    drop((node, heads));

    let node = start_again(lazy).await;
    let again = node.metrics().recoveries.value();
    assert!(again < 20, "{again} of 20 blocks were executed again");
    assert_eq!(node.chain().head_state().1.root(), root);
    for nonce in 0..20 {
        let to = Address::with_last_byte(nonce as u8 + 0x80).create(nonce);
        assert_eq!(node.chain().head_state().1.balance(to).unwrap(), KLAY);
        knows(node.chain(), to);
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn data_of_another_chain_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    start(folder(dir.path())).await.stop().await;
    let other = NodeConfig { genesis: Some(accounts().genesis(CHAIN_ID + 1).unwrap()), ..config(folder(dir.path())) };
    let refused = Node::start(other).await.unwrap_err();
    assert!(matches!(refused, StartError::Open(OpenError::OtherChainId { got: 1337, .. })), "{refused}");
    let mut genesis = accounts().genesis(CHAIN_ID).unwrap();
    genesis.timestamp += 1;
    let refused = Node::start(NodeConfig { genesis: Some(genesis), ..config(folder(dir.path())) }).await.unwrap_err();
    assert!(matches!(refused, StartError::Open(OpenError::OtherGenesis { .. })), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interval_makes_empty_blocks_and_keeps_the_beat() {
    let accounts = accounts();
    let authority = Authority::interval(accounts.authority.clone(), Duration::from_millis(200));
    let node = Node::start(NodeConfig { authority: Some(authority), ..config(Data::Memory) }).await.unwrap();
    let mut heads = node.chain().subscribe_heads();
    let first = next(&mut heads).await;
    assert!(first.block.transactions.is_empty());
    let at = std::time::Instant::now();
    for _ in 0..5 {
        next(&mut heads).await;
    }
    assert!(at.elapsed() > Duration::from_millis(400), "{:?}", at.elapsed());
    node.stop().await;
    assert!(node.chain().head().number() >= 6);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nonces_in_any_order_end_in_order() {
    let node = start(Data::Memory).await;
    let keys = accounts().keys;
    let mut raw: Vec<Bytes> = Vec::new();
    for key in &keys {
        for nonce in 0..50 {
            raw.push(transfer(key, nonce, Address::repeat_byte(7), U256::from(1)).encode().into());
        }
    }
    raw.reverse();
    let mut heads = node.chain().subscribe_heads();
    let answers = node.pool().add_raw_batch(raw, Origin::Local).await;
    assert!(answers.iter().all(Result::is_ok));
    let mut seen = 0;
    while seen < 150 {
        seen += next(&mut heads).await.block.transactions.len();
    }
    for key in &keys {
        let (_, state) = node.chain().head_state();
        assert_eq!(state.nonce(key.address()).unwrap(), 50);
    }
    assert_eq!(node.metrics().recoveries.value(), 150);
    node.stop().await;
}

#[test]
fn the_history_contract_has_the_code_of_the_proposal() {
    let genesis = accounts().genesis(CHAIN_ID).unwrap();
    let history = &genesis.alloc[&klay_core::address!("0000F90827F1C53a10cb7A02335B175320002935")];
    let hash = klay_core::keccak256(&history.code);
    assert_eq!(hash, klay_core::b256!("6e49e66782037c0555897870e29fa5e552daf4719552131a0abce779daec0a5d"));
}

/// What `/health` says once it is no more well.
async fn complaint(node: &Node) -> String {
    let pages = NodePages(node.clone());
    for _ in 0..1_200 {
        let page = pages.page("/health").await.unwrap();
        if !page.is_good {
            let status = pages.status().await;
            let state = status["engine"]["state"].as_str().unwrap();
            assert_eq!(state, format!("halted: {}", page.text.trim()), "{status}");
            return page.text;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the node is well");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_can_sign_nothing_more_is_not_healthy() {
    let data = tempfile::tempdir().unwrap();
    let node = start(folder(data.path())).await;
    let page = NodePages(node.clone()).page("/health").await.unwrap();
    assert!(page.is_good && page.text == "ok\n", "{}", page.text);

    // The anchor cannot be written where no folder is.
    std::fs::remove_dir_all(data.path().join("key")).unwrap();
    send(&node, &transfer(&accounts().keys[0], 0, Address::repeat_byte(7), KLAY)).await;
    let text = complaint(&node).await;
    assert!(text.contains("nothing is signed any more: the anchor cannot be written"), "{text}");
    assert!(NodePages(node.clone()).page("/ready").await.unwrap().is_good);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consensus_node_whose_engine_does_not_start_is_not_healthy() {
    let accounts = accounts();
    let key = accounts.authority.clone();
    let network = NetworkConfig::new(key.clone(), Role::Consensus);
    // A proposal would take longer than its round.
    let validator = Validator { build_time: Duration::from_secs(3_600), ..Validator::new(key) };
    let membership = Membership { network, engine: EngineKind::Justified, block_time: 1, validator: Some(validator) };
    let config = NodeConfig::new(accounts.genesis(CHAIN_ID).unwrap());
    let node = Node::start(NodeConfig { membership: Some(membership), ..config }).await.unwrap();
    let text = complaint(&node).await;
    assert!(text.starts_with("the consensus engine does not start: "), "{text}");
    node.stop().await;
}
