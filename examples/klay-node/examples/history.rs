//! Makes a past for a network: blocks that its validators have sealed, a second apart, in the reference client's export
//! format. To measure how long a new node takes to catch up.
//!
//! ```text
//! klay init --validators 4 --endpoints 1 --host 127.0.0.1,.. --data net
//! cargo run --release -p klay-node --example history -- net 10000 > blocks.rlp
//! klay import --genesis net/genesis.json --data net/node0 blocks.rlp
//! ```
//!
//! Each block holds two transfers. They are executed on `klay-vm` alone: no pool, no store, no engine.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::{
    fs,
    io::{BufWriter, Write},
    path::Path,
    sync::Arc,
};

use klay_accounts::wallet::SecretKey;
use klay_consensus::istanbul::seal;
use klay_core::{
    Address, Bytes, Sign, U256,
    block::{Header, IstanbulExtra, ListRoot, base_fee, body::encode_block, price},
    genesis::Genesis,
    governance::GovParams,
    storage::{Batch, KeyValue, Memory},
    tx::LegacyTx,
    units::STON,
};
use klay_feedeleg::RecoveredKlaytnTx;
use klay_node::{
    KlaytnTx,
    dev::{self, DevAccounts},
};
use klay_vm::{
    BlockContext, BlockExecutor, State,
    finalize::{FinalizeContext, finalize},
    genesis::genesis_block,
    randao::{RevealSigner, previous_mix},
    reward::StakingInfo,
    system::View,
};

const IN_A_BLOCK: u64 = 2;

fn main() {
    let mut args = std::env::args().skip(1);
    let folder = args.next().unwrap_or_else(|| panic!("want the folder of a network"));
    let count: u64 = args.next().map_or(10_000, |count| count.parse().unwrap());
    let folder = Path::new(&folder);
    let genesis: Genesis = serde_json::from_slice(&fs::read(folder.join("genesis.json")).unwrap()).unwrap();
    let genesis = genesis.prepared().unwrap();
    let validators = genesis.validators().unwrap();
    let keys: Vec<SecretKey> = (0..validators.len()).map(|n| key(&folder.join(format!("node{n}/nodekey")))).collect();
    let payer = DevAccounts::derive(dev::MNEMONIC, 1).unwrap().keys.remove(0);

    let mut out = BufWriter::new(std::io::stdout().lock());
    let mut batch = Batch::default();
    let mut parent = genesis_block(&genesis, &mut batch).unwrap();
    let store = Arc::new(Memory::new());
    store.write(batch).unwrap();
    let mut state = State::open(store, parent.state_root);
    for number in 1..=count {
        let author = &keys[number as usize % keys.len()];
        let transactions: Vec<_> =
            (0..IN_A_BLOCK).map(|n| transfer(&genesis, &payer, (number - 1) * IN_A_BLOCK + n)).collect();
        let (header, next) = block(&genesis, &parent, state, author, &transactions, &validators);
        let header = sealed(header, author, &keys);
        let encoded: Vec<&[u8]> = transactions.iter().map(|tx| tx.encoded()).collect();
        out.write_all(&encode_block(&header, &encoded)).unwrap();
        (parent, state) = (header, next);
    }
    eprintln!("{count} blocks, the last one {} with state {}", parent.hash(), parent.state_root);
}

fn key(path: &Path) -> SecretKey {
    let text = fs::read_to_string(path).unwrap();
    SecretKey::from_slice(&hex::decode(text.trim()).unwrap()).unwrap()
}

fn transfer(genesis: &Genesis, key: &SecretKey, nonce: u64) -> RecoveredKlaytnTx {
    let tx = LegacyTx {
        nonce,
        gas_price: U256::from(750) * STON,
        gas_limit: 21_000,
        to: Some(Address::with_last_byte(nonce as u8).create(nonce)),
        value: U256::ONE,
        input: Bytes::new(),
        signature: Default::default(),
    };
    let chain_id = genesis.config.chain_id;
    let tx = KlaytnTx::Legacy(tx).sign(chain_id, &[key]).unwrap();
    RecoveredKlaytnTx::recover(tx, chain_id).unwrap()
}

/// Executes a block and returns its header, without seals, and the state behind it.
fn block(
    genesis: &Genesis,
    parent: &Header,
    state: State,
    author: &SecretKey,
    transactions: &[RecoveredKlaytnTx],
    validators: &[Address],
) -> (Header, State) {
    let (config, params) = (&genesis.config, GovParams::from_config(&genesis.config));
    let number = parent.number + 1;
    let (reveal, mix) = RevealSigner::derive(author.expose()).unwrap().fields(number, previous_mix(config, parent));
    let mut header = Header {
        parent_hash: parent.hash(),
        rewardbase: author.address(),
        block_score: U256::ONE,
        number,
        timestamp: parent.timestamp + 1,
        extra: seal::new_extra(b"history", validators.to_vec()),
        base_fee: Some(base_fee::next(parent, &params.kip71).unwrap()),
        random_reveal: Some(Bytes::copy_from_slice(&reveal)),
        mix_hash: Some(Bytes::copy_from_slice(mix.as_slice())),
        blob_gas_used: Some(0),
        excess_blob_gas: config.blob_config(number).map(|blobs| price::next_excess_blob_gas(parent, &blobs)),
        ..Header::default()
    };
    let context = BlockContext::new(config.chain_id, config.rules(number), &header, author.address());
    let mut executor = BlockExecutor::new(state.clone(), context.with_deferred_tx_fee(true));
    executor.begin(header.parent_hash).unwrap();
    for tx in transactions {
        executor.execute(tx).unwrap();
    }
    let context = FinalizeContext {
        header: &header,
        config,
        params: &params,
        staking: &StakingInfo::empty(number),
        parent: View { state: &state, header: parent, config },
        credit_v2: None,
    };
    finalize(&mut executor, context).unwrap();
    let result = executor.finish().unwrap();
    let list_root: ListRoot = params.list_root();
    let encoded: Vec<&[u8]> = transactions.iter().map(|tx| tx.encoded()).collect();
    let receipts: Vec<Vec<u8>> = result.receipts.iter().map(|receipt| receipt.encode_consensus()).collect();
    header.state_root = result.state.root();
    header.gas_used = result.gas_used;
    header.logs_bloom = result.bloom;
    header.transactions_root = list_root.root(&encoded);
    header.receipts_root = list_root.root(&receipts);
    (header, result.state)
}

/// The header with the seals of its author and of everybody.
fn sealed(mut header: Header, author: &SecretKey, keys: &[SecretKey]) -> Header {
    let sign = |key: &SecretKey, digest| seal::compact(&key.sign_digest(digest).unwrap());
    header.extra = seal::with_seal(&header.extra, &sign(author, seal::proposer_digest(&header))).unwrap();
    let mut extra = IstanbulExtra::decode(&header.extra).unwrap();
    let digest = seal::committed_digest(header.hash());
    extra.committed_seals = keys.iter().map(|key| sign(key, digest)).collect();
    header.extra = extra.encode().into();
    header
}
