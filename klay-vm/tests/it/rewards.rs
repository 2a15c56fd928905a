//! Rewards against cases run through the reference client, and the rules that the cases do not reach.

use crate::common::{address, amount, shared, vector};
use klay_core::{
    Address, Fork, Rules, U256,
    governance::{GovParams, ParamName, ParamValue, ProposerPolicy},
    units::KLAY,
};
use klay_vm::reward::{
    LiquidityPool, Reward, RewardContext, StakingInfo, StakingNode, block_reward, deferred_reward, staking_source,
};
use proptest::prelude::*;
use serde_json::Value;

fn params(config: &Value) -> GovParams {
    let mut params = GovParams::default();
    let text = |name: &str| ParamValue::Text(config[name].as_str().unwrap().to_owned());
    params.set(ParamName::MintingAmount, &ParamValue::Big(amount(&config["mintingAmount"]))).unwrap();
    params.set(ParamName::MinimumStake, &ParamValue::Big(amount(&config["minimumStake"]))).unwrap();
    params.set(ParamName::Ratio, &text("ratio")).unwrap();
    params.set(ParamName::Kip82Ratio, &text("kip82ratio")).unwrap();
    params.deferred_tx_fee = config["deferredTxFee"].as_bool().unwrap();
    if !config["simple"].as_bool().unwrap() {
        params.policy = ProposerPolicy::WeightedRandom;
    }
    params
}

fn rules(config: &Value) -> Rules {
    [("magma", Fork::Magma), ("kore", Fork::Kore), ("prague", Fork::Prague)]
        .into_iter()
        .filter(|(name, _)| config[name].as_bool().unwrap())
        .fold(Rules::none(), |rules, (_, fork)| rules.with(fork))
}

fn staking(info: &Value) -> StakingInfo {
    let list = |name: &str| info[name].as_array().cloned().unwrap_or_default();
    let nodes = list("nodeIds")
        .iter()
        .zip(list("stakingContracts"))
        .zip(list("rewardAddrs").iter().zip(list("stakingAmounts")))
        .map(|((node, contract), (reward, stake))| StakingNode {
            node: address(node),
            contract: address(&contract),
            reward: address(reward),
            stake: stake.as_u64().unwrap(),
        })
        .collect();
    let pools = list("cl")
        .iter()
        .map(|pool| {
            let at =
                |names: [&str; 2]| names.into_iter().map(|name| &pool[name]).find(|value| !value.is_null()).unwrap();
            LiquidityPool {
                node: address(at(["clNodeId", "nodeId"])),
                pool: address(at(["clPoolAddr", "pool"])),
                stake: at(["clStakingAmount", "amount"]).as_u64().unwrap(),
            }
        })
        .collect();
    let fund = |name: &str| info[name].as_str().map_or(Address::ZERO, |text| text.parse().unwrap());
    StakingInfo { source: 0, nodes, kif: fund("kif"), kef: fund("kef"), pools }
}

fn check(case: &Value) {
    let (config, expected) = (&case["config"], &case["expected"]);
    let params = params(config);
    let context = RewardContext { rules: rules(config), rewardbase: address(&config["rewardbase"]), params: &params };
    let reward = deferred_reward(context, amount(&case["totalFee"]), &staking(&case["stakingInfo"]));
    let got =
        [reward.minted, reward.total_fee, reward.burnt_fee, reward.proposer, reward.stakers, reward.kif, reward.kef];
    let names = ["minted", "totalFee", "burntFee", "proposer", "stakers", "kif", "kef"];
    for (got, name) in got.into_iter().zip(names) {
        assert_eq!(got, amount(&expected[name]), "{name} of {}", case["desc"]);
    }
    let credits = expected["rewards"].as_object().unwrap();
    let paid = reward.credits.iter().filter(|(_, amount)| !amount.is_zero());
    for (address, paid) in paid.clone() {
        assert_eq!(*paid, amount(&credits[&format!("{address:?}")]), "{address} in {}", case["desc"]);
    }
    let expected_count = credits.values().filter(|value| !amount(value).is_zero()).count();
    assert_eq!(paid.count(), expected_count, "{}", case["desc"]);
}

#[test]
fn rewards_of_the_reference_reproduce() {
    for case in vector("rewards.json")["cases"].as_array().unwrap() {
        check(case);
    }
    let Some(file) = shared("chain-rewards.json") else { return };
    for case in file["cases"].as_array().unwrap() {
        check(case);
    }
}

const ME: Address = Address::repeat_byte(0xfe);

const fn context(rules: Rules, params: &GovParams) -> RewardContext<'_> {
    RewardContext { rules, rewardbase: ME, params }
}

#[test]
fn simple_mode_pays_fees_twice_before_magma_where_they_are_not_deferred() {
    let params = GovParams { minting_amount: KLAY, ..GovParams::default() };
    let fee = U256::from(1001);
    let before = deferred_reward(context(Rules::none(), &params), fee, &StakingInfo::default());
    assert_eq!(before.credits[&ME], KLAY + fee);
    let magma = deferred_reward(context(Rules::up_to(Fork::Magma), &params), fee, &StakingInfo::default());
    assert_eq!(magma.credits[&ME], KLAY);
    let author = Address::repeat_byte(1);
    let reported = block_reward(context(Rules::up_to(Fork::Magma), &params), author, fee, &StakingInfo::default());
    assert_eq!((reported.burnt_fee, reported.credits[&ME]), (U256::from(500), KLAY + U256::from(501)));
    let reported = block_reward(context(Rules::none(), &params), author, fee, &StakingInfo::default());
    assert_eq!((reported.total_fee, reported.credits[&author]), (U256::from(2002), fee));
}

fn node(byte: u8, reward: u8, stake: u64) -> StakingNode {
    let [node, contract, reward] = [byte, byte + 100, reward].map(Address::repeat_byte);
    StakingNode { node, contract, reward, stake }
}

#[test]
fn nodes_with_one_reward_address_are_one() {
    let pool =
        |byte, stake| LiquidityPool { node: Address::repeat_byte(byte), pool: Address::repeat_byte(byte + 50), stake };
    let info = StakingInfo {
        nodes: vec![node(1, 9, 5), node(2, 8, 7), node(3, 9, 6)],
        pools: vec![pool(3, 4), pool(77, 5)],
        ..StakingInfo::default()
    };
    let nodes = info.consolidated();
    assert_eq!(nodes.len(), 2);
    assert_eq!((nodes[0].stake, nodes[0].nodes.len(), nodes[0].pool.unwrap().stake), (11, 2, 4));
    assert_eq!((nodes[1].stake, nodes[1].pool), (7, None));
    assert_eq!(info.stakes_of_at_least(8), [15]);
    assert_eq!(info.reward_address(Address::repeat_byte(3)), Some(Address::repeat_byte(9)));
    assert_eq!(nodes[0].split(U256::from(100)), (U256::from(74), U256::from(26)));
}

#[test]
fn staking_information_lags_one_to_two_intervals_before_kaia() {
    let sources = [1, 20, 21, 30, 31, 40, 41].map(|number| staking_source(number, 10, false));
    assert_eq!(sources, [0, 0, 10, 10, 20, 20, 30]);
    assert_eq!([0, 1, 50].map(|number| staking_source(number, 10, true)), [0, 0, 49]);
    assert_eq!(staking_source(7, 0, false), 0);
}

proptest! {
    #[test]
    fn what_is_minted_and_not_burnt_is_paid_to_the_last_peb(
        stakes in proptest::collection::vec((0u64..20_000_000, 0u64..20_000_000), 0..8),
        parts in (0u8..=100, 0u8..=100, 0u8..=100),
        minted: u64, fee: u64, policy in 0u64..3, deferred: bool, funds in any::<[bool; 2]>(), fork in 0usize..4,
    ) {
        let (g, x) = (parts.0, parts.1.min(100 - parts.0));
        let mut params = GovParams {
            minting_amount: U256::from(minted), deferred_tx_fee: deferred, ..GovParams::default()
        };
        params.set(ParamName::Policy, &ParamValue::U64(policy)).unwrap();
        params.set(ParamName::Ratio, &ParamValue::Text(format!("{g}/{x}/{}", 100 - g - x))).unwrap();
        params.set(ParamName::Kip82Ratio, &ParamValue::Text(format!("{}/{}", parts.2, 100 - parts.2))).unwrap();
        let rules = [Rules::none(), Rules::up_to(Fork::Magma), Rules::up_to(Fork::Kore), Rules::up_to(Fork::Prague)];
        let info = StakingInfo {
            nodes: (1..).zip(&stakes).map(|(byte, (stake, _))| node(byte, byte + 30, *stake)).collect(),
            pools: (1..).zip(&stakes).filter(|(_, (_, pool))| pool % 2 == 0).map(|(byte, (_, stake))| {
                let [node, pool] = [byte, byte + 60].map(Address::repeat_byte);
                LiquidityPool { node, pool, stake: *stake }
            }).collect(),
            kif: if funds[0] { Address::repeat_byte(200) } else { Address::ZERO },
            kef: if funds[1] { Address::repeat_byte(201) } else { Address::ZERO },
            source: 0,
        };
        let rewardbase = Address::repeat_byte(31);
        let context = RewardContext { rules: rules[fork], rewardbase, params: &params };
        let reward: Reward = deferred_reward(context, U256::from(fee), &info);
        let paid = reward.credits.values().fold(U256::ZERO, |sum, amount| sum + amount);
        prop_assert_eq!(paid, reward.minted + reward.total_fee - reward.burnt_fee);
        prop_assert_eq!(paid, reward.proposer + reward.stakers + reward.kif + reward.kef);
        prop_assert!(reward.burnt_fee <= U256::from(fee));
    }
}
