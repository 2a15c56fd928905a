use klay_core::config::{ChainConfig, Fork, ForkCompatError, ForkSchedule, Rules};

#[test]
fn a_fork_is_active_from_its_block_on_whatever_the_others_say() {
    let schedule = ForkSchedule::default().with(Fork::Kore, 7);
    assert_eq!(schedule.rules(6), Rules::none());
    assert_eq!(schedule.rules(7), Rules::none().with(Fork::Kore));
    assert!(schedule.starts_at(Fork::Kore, 7) && !schedule.starts_at(Fork::Kore, 8));
    assert!(!schedule.is_active(Fork::Magma, u64::MAX));
    assert_eq!(ForkSchedule::all_at_genesis().rules(0), Rules::up_to(Fork::Osaka));
}

#[test]
fn rules_name_their_latest_fork() {
    assert_eq!(Rules::none().latest(), Fork::Genesis);
    assert_eq!(Rules::none().with(Fork::Kore).with(Fork::London).latest(), Fork::Kore);
}

#[test]
fn blocks_that_are_set_must_not_decrease_but_gaps_pass() {
    let ordered = ForkSchedule::default().with(Fork::Istanbul, 3).with(Fork::Magma, 3).with(Fork::Osaka, 9);
    assert!(ordered.check_order().is_ok());
    let error = ordered.with(Fork::Prague, 10).check_order().unwrap_err();
    assert_eq!(error.to_string(), "unsupported fork ordering: pragueBlock enabled at 10, but osakaBlock enabled at 9");
    for network in [ChainConfig::cypress(), ChainConfig::baobab()] {
        assert!(network.forks.check_order().is_ok());
    }
}

#[test]
fn a_fork_that_has_started_cannot_move() {
    let old = ForkSchedule::default().with(Fork::Magma, 10).with(Fork::Kore, 20);
    assert_eq!(old.check_compatible(&old.with(Fork::Kore, 21), 19), Ok(()));
    let error = old.check_compatible(&old.with(Fork::Kore, 25), 20).unwrap_err();
    assert_eq!(error, ForkCompatError { fork: Fork::Kore, stored: Some(20), new: Some(25), rewind_to: 19 });
    let earlier = old.with(Fork::Kore, 15).with(Fork::Magma, 12);
    let error = old.check_compatible(&earlier, 30).unwrap_err();
    assert_eq!((error.fork, error.rewind_to), (Fork::Magma, 9));
    let error = old.check_compatible(&old.without(Fork::Kore), 30).unwrap_err();
    assert_eq!((error.stored, error.new, error.rewind_to), (Some(20), None, 19));
    assert_eq!(old.check_compatible(&old.with(Fork::Osaka, 40), 30), Ok(()));
}

#[test]
fn a_rebalance_needs_both_block_and_contract() {
    let cypress = ChainConfig::cypress();
    assert!(cypress.kip103.happens_at(119_750_400));
    assert!(!cypress.kip103.happens_at(119_750_401));
    let mut without = cypress.kip103;
    without.contract = klay_core::Address::ZERO;
    assert!(!without.happens_at(119_750_400));
    assert!(!ChainConfig::all_forks(1).kip160.happens_at(0));
}

#[test]
fn a_genesis_file_may_leave_sections_out() {
    let config = ChainConfig::new(5).with_genesis_defaults();
    assert_eq!(config.istanbul.unwrap().sub, 21);
    let reward = config.governance.unwrap().reward.unwrap();
    assert_eq!((reward.staking_update_interval, reward.proposer_update_interval), (86_400, 3_600));
    assert_eq!(reward.kip82_ratio, None);
}

#[cfg(feature = "serde")]
mod json {
    use klay_core::{U256, config::ChainConfig, governance::GovParams};
    use serde_json::{Value, json};

    use crate::chain::shared;

    #[test]
    fn the_built_in_networks_are_the_published_ones() {
        for (file, built_in) in
            [("genesis-cypress.json", ChainConfig::cypress()), ("genesis-baobab.json", ChainConfig::baobab())]
        {
            let Some(genesis) = shared(file) else { return };
            let parsed: ChainConfig = serde_json::from_value(genesis["chainConfig"].clone()).unwrap();
            assert_eq!(parsed, built_in);
            assert_eq!(serde_json::to_value(&built_in).unwrap(), genesis["chainConfig"]);
        }
    }

    #[test]
    fn amounts_beyond_2_to_the_53_are_exact() {
        let text = r#"{"chainId":7,"governance":{"reward":{"mintingAmount":9600000000000000001,"minimumStake":
            123456789012345678901234567890}}}"#;
        let config: ChainConfig = serde_json::from_str(text).unwrap();
        let reward = config.governance.as_ref().unwrap().reward.as_ref().unwrap();
        assert_eq!(reward.minting_amount, U256::from(9_600_000_000_000_000_001u64));
        assert_eq!(reward.minimum_stake.to_string(), "123456789012345678901234567890");
        let written = serde_json::to_string(&config).unwrap();
        assert!(written.contains(r#""mintingAmount":9600000000000000001,"#), "{written}");
        assert!(written.contains(r#""minimumStake":123456789012345678901234567890"#), "{written}");
        assert_eq!(serde_json::from_str::<ChainConfig>(&written).unwrap(), config);
    }

    #[test]
    fn what_is_not_an_amount_is_refused() {
        for bad in ["-1", "1.5", "1e3", "\"1\"", "true", &"9".repeat(80)] {
            let text = format!(r#"{{"chainId":7,"governance":{{"reward":{{"mintingAmount":{bad}}}}}}}"#);
            assert!(serde_json::from_str::<ChainConfig>(&text).is_err(), "{bad}");
        }
    }

    #[test]
    fn null_means_never_and_old_engines_are_refused() {
        let config: ChainConfig =
            serde_json::from_value(json!({"chainId": 1, "magmaCompatibleBlock": null, "unknown": 1})).unwrap();
        assert_eq!(config, ChainConfig::new(1));
        for engine in ["clique", "gxhash"] {
            let error = serde_json::from_value::<ChainConfig>(json!({"chainId": 1, engine: {}})).unwrap_err();
            assert!(error.to_string().contains(engine), "{error}");
        }
        assert!(serde_json::from_value::<ChainConfig>(json!({})).is_err());
    }

    #[test]
    fn the_effective_configuration_shows_every_parameter() {
        let mut genesis = ChainConfig::new(3321);
        genesis.istanbul = Some(Default::default());
        let shown = serde_json::to_value(genesis.with_params(&GovParams::default())).unwrap();
        assert_eq!(shown["kip103ContractAddress"], "0x0000000000000000000000000000000000000000");
        assert_eq!(shown["kip103CompatibleBlock"], Value::Null);
        assert_eq!(shown["governance"]["reward"]["kip82ratio"], "20/80");
        assert_eq!(shown["governance"]["kip71"]["basefeedenominator"], 20);
        assert!(shown.get("blobSchedule").is_none());
    }
}
