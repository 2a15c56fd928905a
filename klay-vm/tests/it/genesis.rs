//! State roots and hashes of genesis blocks.

use std::path::{Path, PathBuf};

use klay_core::{
    Address, B256, Bytes, Fork, U256,
    block::Header,
    codec::Reader,
    config::{ChainConfig, Network},
    genesis::{BAOBAB_GENESIS_HASH, CYPRESS_GENESIS_HASH, Genesis, GenesisAccount},
    hex, keccak256,
    storage::{Batch, KeyValue, Memory, Table},
    trie::Trie,
};
use klay_vm::genesis::genesis_block;
use serde_json::Value;

fn vector(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(name);
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().unwrap()).unwrap()
}

fn hash(value: &Value) -> B256 {
    value.as_str().unwrap().parse().unwrap()
}

/// The header over the genesis state, and the store that holds it.
fn build(genesis: &Genesis) -> (Header, Memory) {
    let mut batch = Batch::default();
    let header = genesis_block(genesis, &mut batch).unwrap();
    let store = Memory::new();
    store.write(batch).unwrap();
    (header, store)
}

fn leaf(genesis: &Genesis, address: Address) -> Option<Vec<u8>> {
    let (header, store) = build(genesis);
    Trie::at(header.state_root).get(&store, &keccak256(address)).unwrap().map(|leaf| leaf.to_vec())
}

#[test]
fn both_public_genesis_blocks_reproduce_from_the_built_in_data() {
    let file = vector("genesis.json");
    for (network, expected_hash) in [(Network::Cypress, CYPRESS_GENESIS_HASH), (Network::Baobab, BAOBAB_GENESIS_HASH)] {
        let expected = &file[network.name()];
        let (header, store) = build(&Genesis::of_network(network));
        assert_eq!(header.state_root, hash(&expected["stateRoot"]), "{network:?}");
        assert_eq!(header.encode(), bytes(&expected["headerRlp"]));
        assert_eq!(header.hash(), expected_hash);
        let trie = Trie::at(header.state_root);
        for account in expected["accounts"].as_array().unwrap() {
            let leaf = trie.get(&store, &hash(&account["secureKey"])).unwrap().unwrap();
            assert_eq!(leaf.as_ref(), bytes(&account["rlp"]), "{}", account["address"]);
            if let Some(code_hash) = account["codeHash"].as_str() {
                let code_hash: B256 = code_hash.parse().unwrap();
                let code = store.get(Table::Code, code_hash.as_slice()).unwrap().unwrap_or_default();
                assert_eq!(keccak256(code), code_hash);
            }
        }
    }
}

#[test]
fn the_test_chain_reproduces_as_its_file_says() {
    let expected = &vector("genesis.json")["testchain"];
    let genesis: Genesis = serde_json::from_value(expected["genesis"].clone()).unwrap();
    let (header, _) = build(&genesis);
    assert_eq!(header.state_root, hash(&expected["stateRoot"]));
    assert_eq!(header.hash(), hash(&expected["hash"]));
}

#[test]
fn genesis_files_of_reference_nodes_lead_to_the_parent_of_their_first_block() {
    let Some(dir) = shared_chains() else { return };
    for chain in std::fs::read_dir(dir).unwrap() {
        let path = chain.unwrap().path();
        let Ok(file) = std::fs::read(path.join("genesis.json")) else { continue };
        let genesis: Genesis = serde_json::from_slice(&file).unwrap();
        let (header, _) = build(&genesis.prepared().unwrap());
        let blocks = gunzip(&path.join("blocks.rlp.gz"));
        let mut block = Reader::new(&blocks).list("block").unwrap();
        let first = Header::decode(&mut block).unwrap();
        assert_eq!(first.number, 1);
        assert_eq!(header.hash(), first.parent_hash, "{}", path.display());
    }
}

fn shared_chains() -> Option<PathBuf> {
    let root = std::env::var_os("KLAY_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"), PathBuf::from);
    [root.join("vectors/chains"), root.join("chains")].into_iter().find(|dir| dir.is_dir())
}

fn gunzip(path: &Path) -> Vec<u8> {
    let output = std::process::Command::new("gzip").arg("-dc").arg(path).output().unwrap();
    assert!(output.status.success());
    output.stdout
}

fn genesis_with(forks: &[Fork], account: GenesisAccount) -> Genesis {
    let mut genesis = Genesis::new(ChainConfig::new(1), vec![]);
    for fork in forks {
        genesis.config.forks = genesis.config.forks.with(*fork, 0);
    }
    genesis.alloc.insert(Address::repeat_byte(1), account);
    genesis
}

fn leaf_of(forks: &[Fork], account: GenesisAccount) -> String {
    hex::encode(leaf(&genesis_with(forks, account), Address::repeat_byte(1)).unwrap())
}

#[test]
fn a_contract_starts_with_nonce_0_key_fail_and_the_machine_of_block_0() {
    let contract = || GenesisAccount { code: Bytes::from_static(&[0x00]), ..GenesisAccount::default() };
    let before = leaf_of(&[], contract());
    assert!(before.starts_with("02f849c580808003c0"), "{before}");
    assert!(before.ends_with("80"));
    assert!(leaf_of(&[Fork::Istanbul], contract()).ends_with("10"));
    // Forks are independent: Prague alone does not change the machine.
    assert!(leaf_of(&[Fork::Prague], contract()).ends_with("80"));
}

#[test]
fn empty_accounts_stay_and_users_have_a_legacy_key() {
    assert_eq!(leaf_of(&[], GenesisAccount::default()), "01c580808001c0");
    let rich = GenesisAccount { balance: U256::from(5), nonce: 7, ..GenesisAccount::default() };
    assert_eq!(leaf_of(&[], rich), "01c507058001c0");
}

#[test]
fn a_delegation_is_a_user_with_code_from_prague() {
    let code = Bytes::from([&[0xef, 0x01, 0x00][..], &[9; 20]].concat());
    let account = || GenesisAccount { code: code.clone(), nonce: 1, ..GenesisAccount::default() };
    assert!(leaf_of(&[Fork::Istanbul, Fork::Prague], account()).starts_with("01f849c501808001c0"));
    assert!(leaf_of(&[Fork::Istanbul], account()).starts_with("02f849c501808003c0"));
}

#[test]
fn storage_without_code_is_a_user_from_prague_and_a_contract_before() {
    let storage = [(B256::with_last_byte(1), B256::with_last_byte(2)), (B256::with_last_byte(3), B256::ZERO)];
    let account = || GenesisAccount { storage: storage.into_iter().collect(), ..GenesisAccount::default() };
    assert!(leaf_of(&[Fork::Prague], account()).starts_with("01f849c580808001c0"));
    assert!(leaf_of(&[], account()).starts_with("02f849c580808003c0"));
    let without_zero = GenesisAccount { storage: storage[..1].iter().copied().collect(), ..GenesisAccount::default() };
    assert_eq!(leaf_of(&[], account()), leaf_of(&[], without_zero));
}
