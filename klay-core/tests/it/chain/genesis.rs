#![cfg(any(feature = "networks", feature = "serde"))]

#[cfg(feature = "networks")]
mod public {
    use klay_core::{
        block::Header,
        config::Network,
        genesis::{BAOBAB_GENESIS_HASH, CYPRESS_GENESIS_HASH, Genesis},
    };

    use crate::chain::{address, bytes, hash, list, vector};

    #[test]
    fn both_public_headers_reproduce_over_their_state_roots() {
        for (network, expected_hash) in
            [(Network::Cypress, CYPRESS_GENESIS_HASH), (Network::Baobab, BAOBAB_GENESIS_HASH)]
        {
            let expected = &vector("genesis.json")[network.name()];
            let genesis = Genesis::of_network(network);
            let header = genesis.header(hash(&expected["stateRoot"]));
            assert_eq!(header.encode(), bytes(&expected["headerRlp"]), "{network:?}");
            assert_eq!(header.hash(), expected_hash);
            assert_eq!(header.hash(), hash(&expected["hash"]));
            assert_eq!(Header::decode_all(&header.encode()).unwrap(), header);
            let validators: Vec<_> = list(&expected["validators"]).iter().map(address).collect();
            assert_eq!(genesis.validators().unwrap(), validators);
        }
    }

    #[cfg(feature = "serde")]
    #[test]
    fn the_built_in_accounts_are_those_of_the_published_files() {
        for network in [Network::Cypress, Network::Baobab] {
            let Some(file) = crate::chain::shared(&format!("genesis-{}.json", network.name())) else { return };
            let mut published: Genesis = serde_json::from_value(file["genesis"].clone()).unwrap();
            published.config = network.config();
            assert_eq!(published.prepared().unwrap(), Genesis::of_network(network));
        }
    }
}

#[cfg(feature = "serde")]
mod json {
    use klay_core::{
        Address, B256, Bytes, Fork, U256,
        config::ChainConfig,
        genesis::{Genesis, GenesisAccount, GenesisError},
    };
    use serde_json::json;

    use crate::chain::{bytes, hash, vector};

    #[test]
    fn a_test_chain_without_governance_field_reproduces() {
        let file = vector("testchain_genesis.json");
        let genesis: Genesis = serde_json::from_value(file["genesis"].clone()).unwrap();
        let expected = &file["expected"];
        let header = genesis.header(hash(&expected["stateRoot"]));
        assert_eq!(header.encode(), bytes(&expected["headerRlp"]));
        assert_eq!(header.hash(), hash(&expected["hash"]));
        assert!(!genesis.prepared().unwrap().header(B256::ZERO).governance.is_empty());
    }

    #[test]
    fn numbers_are_texts_in_two_forms_and_words_may_be_short() {
        let genesis: Genesis = serde_json::from_value(json!({
            "config": {"chainId": 1},
            "timestamp": "7",
            "blockScore": "10",
            "number": "0x0",
            "alloc": {
                "00000000000000000000000000000000000000aa": {
                    "balance": "0x10", "nonce": "3", "code": "0x6000", "storage": {"0x01": "02", "ff": "0x"},
                },
                "0x00000000000000000000000000000000000000bb": {"balance": "12345678901234567890"},
            },
        }))
        .unwrap();
        assert_eq!((genesis.timestamp, genesis.block_score), (7, Some(U256::from(10))));
        let account = &genesis.alloc[&Address::with_last_byte(0xaa)];
        assert_eq!((account.balance, account.nonce, account.code.len()), (U256::from(16), 3, 2));
        assert_eq!(account.storage[&B256::with_last_byte(1)], B256::with_last_byte(2));
        assert_eq!(account.storage[&B256::with_last_byte(0xff)], B256::ZERO);
        let again: Genesis = serde_json::from_str(&serde_json::to_string(&genesis).unwrap()).unwrap();
        assert_eq!(again, genesis);
    }

    #[test]
    fn malformed_files_are_refused() {
        let account = |account: serde_json::Value| json!({"config": {"chainId": 1}, "alloc": {"00000000000000000000000000000000000000aa": account}});
        for bad in [
            json!({"alloc": {}}),
            json!({"config": {"chainId": 1}}),
            json!({"config": {"chainId": 1}, "alloc": {"aa": {"balance": "1"}}}),
            account(json!({})),
            account(json!({"balance": 1})),
            account(json!({"balance": "1", "nonce": 1})),
            json!({"config": {"chainId": 1}, "alloc": {}, "timestamp": 7}),
            json!({"config": {"chainId": 1}, "alloc": {}, "number": 0}),
            json!({"config": {"chainId": 1, "governance": {"reward": {"mintingAmount": 1}}}, "alloc": {}}),
            json!({"config": {"chainId": 1, "governance": {"reward": {"minimumStake": 1}}}, "alloc": {}}),
            account(json!({"balance": "-1"})),
            account(json!({"balance": "1_0"})),
            account(json!({"balance": "0xg"})),
            account(json!({"balance": "0x"})),
            account(json!({"balance": "1", "nonce": "0x10000000000000000"})),
            account(json!({"balance": "1", "storage": {"0x1": "0x01"}})),
            account(json!({"balance": "1", "storage": {("0".repeat(66)): "0x01"}})),
        ] {
            assert!(serde_json::from_value::<Genesis>(bad.clone()).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_header_follows_the_forks_at_block_0() {
        let mut genesis = Genesis::new(ChainConfig::new(1), vec![Address::repeat_byte(1)]);
        genesis.block_score = None;
        let header = genesis.header(B256::ZERO);
        assert_eq!((header.field_count(), header.block_score), (14, U256::from(131_072)));
        genesis.config.forks = genesis.config.forks.with(Fork::Magma, 0);
        assert_eq!(genesis.header(B256::ZERO).base_fee, Some(U256::from(25_000_000_000u64)));
        genesis.base_fee = Some(U256::from(7));
        assert_eq!(genesis.header(B256::ZERO).base_fee, Some(U256::from(7)));
        genesis.config.forks = genesis.config.forks.with(Fork::Randao, 0);
        let header = genesis.header(B256::ZERO);
        assert_eq!(header.random_reveal, Some(Bytes::from(vec![0; 96])));
        assert_eq!(header.mix_hash, Some(Bytes::from(vec![0; 32])));
        genesis.config.forks = ChainConfig::all_forks(1).forks;
        genesis.excess_blob_gas = Some(4);
        assert_eq!(genesis.header(B256::ZERO).excess_blob_gas, Some(4));
        assert_eq!(genesis.header(B256::ZERO).blob_gas_used, Some(0));
    }

    /// Against hashes of the reference client, whose genesis files have no such members: it passes over them.
    #[test]
    fn a_file_names_neither_base_fee_nor_blob_gas() {
        let mut file =
            serde_json::to_value(Genesis::new(ChainConfig::all_forks(1), vec![Address::repeat_byte(1)])).unwrap();
        for name in ["baseFeePerGas", "excessBlobGas", "blobGasUsed"] {
            file[name] = json!("0x7");
        }
        let header = serde_json::from_value::<Genesis>(file).unwrap().header(B256::ZERO);
        assert_eq!(header.base_fee, Some(U256::from(25_000_000_000u64)));
        assert_eq!((header.excess_blob_gas, header.blob_gas_used), (Some(0), Some(0)));
    }

    #[test]
    fn a_genesis_is_checked_before_it_is_written() {
        let good = Genesis::new(ChainConfig::all_forks(1), vec![Address::repeat_byte(1)]);
        assert!(good.clone().prepared().is_ok());
        let mut bad = good.clone();
        bad.config.forks = bad.config.forks.with(Fork::Istanbul, 1);
        assert!(matches!(bad.prepared(), Err(GenesisError::ForkOrder(_))));
        let bad = Genesis { number: 1, ..good.clone() };
        assert_eq!(bad.prepared(), Err(GenesisError::Number { number: 1 }));
        // The extra-data is read for a governing node alone.
        let mut bad = Genesis { extra: Bytes::from(vec![0; 40]), ..good.clone() };
        assert!(bad.clone().prepared().is_ok());
        bad.config.governance.as_mut().unwrap().governance_mode = "Single".to_owned();
        assert!(matches!(bad.prepared(), Err(GenesisError::Extra(_))));
        let mut bad = good.clone();
        bad.config.governance.as_mut().unwrap().governance_mode = "single".to_owned();
        assert_eq!(bad.clone().prepared().unwrap_err(), GenesisError::GoverningNode { node: Address::ZERO });
        bad.config.governance.as_mut().unwrap().governing_node = Address::repeat_byte(1);
        assert!(bad.prepared().is_ok());
        let mut bad = good;
        bad.config.governance.as_mut().unwrap().reward.as_mut().unwrap().ratio = "1/2/3".to_owned();
        bad.alloc.insert(Address::ZERO, GenesisAccount::default());
        assert!(matches!(bad.prepared(), Err(GenesisError::Param(_))));
    }
}
