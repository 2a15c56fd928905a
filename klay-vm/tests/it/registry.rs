//! The Registry as the node installs it, against storage and account made with the reference client's state code.

use std::{collections::BTreeMap, sync::Arc};

use crate::common::{bytes, hash, shared, vector};
use klay_core::{
    Address, B256, Rules,
    block::Header,
    config::{ChainConfig, Network, RegistryConfig},
    keccak256,
    storage::Memory,
};
use klay_vm::{
    BlockContext, BlockExecutor, State,
    system::{REGISTRY_ADDRESS, View, active_address, install_registry, registry_code, registry_storage},
};
use serde_json::Value;

fn installed(config: &RegistryConfig) -> State {
    let context = BlockContext::new(1, Rules::none(), &Header::default(), Address::ZERO);
    let mut executor = BlockExecutor::new(State::empty(Arc::new(Memory::new())), context);
    install_registry(&mut executor, Some(config)).unwrap();
    executor.finish().unwrap().state
}

fn check(file: &Value) {
    assert_eq!(registry_code().as_ref(), bytes(&file["registryCode"]));
    assert_eq!(keccak256(registry_code()), hash(&file["registryCodeHash"]));
    for network in [Network::Cypress, Network::Baobab] {
        let expected = &file[network.name()];
        let config = network.config().randao_registry.unwrap();
        let storage: BTreeMap<B256, B256> = expected["storage"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(slot, value)| (slot.parse().unwrap(), hash(value)))
            .collect();
        assert_eq!(registry_storage(&config), storage);
        let state = installed(&config);
        let account = state.account(REGISTRY_ADDRESS).unwrap().unwrap();
        assert_eq!(account.program.storage_root, hash(&expected["storageRoot"]));
        assert_eq!(account.encode(), bytes(&expected["accountRlp"]));
    }
}

#[test]
fn code_storage_and_account_reproduce() {
    check(&vector("registry.json"));
    let Some(file) = shared("chain-registry.json") else { return };
    check(&file);
}

#[test]
fn what_is_installed_answers_for_short_and_long_names() {
    let long = "a name that is longer than the thirty-two bytes of a word";
    let records = [("KIP113", 1), (long, 2)];
    let config = RegistryConfig {
        records: records.map(|(name, byte)| (name.to_owned(), Address::repeat_byte(byte))).into(),
        owner: Address::repeat_byte(9),
    };
    let state = installed(&config);
    let chain = ChainConfig::all_forks(1);
    let header = Header { number: 1, ..Header::default() };
    let view = View { state: &state, header: &header, config: &chain };
    for (name, byte) in records {
        assert_eq!(active_address(view, name).unwrap(), Address::repeat_byte(byte), "{name}");
    }
    assert_eq!(active_address(view, "unknown").unwrap(), Address::ZERO);
}

#[test]
fn without_a_registry_there_is_nothing_to_read() {
    let state = State::empty(Arc::new(Memory::new()));
    let (config, header) = (ChainConfig::all_forks(1), Header::default());
    let error = active_address(View { state: &state, header: &header, config: &config }, "KIP113").unwrap_err();
    assert!(error.to_string().ends_with("no contract there"), "{error}");
}
