use klay_core::{
    Fork, Rules, U256,
    block::{Header, base_fee, blob_base_fee, effective_gas_price, price},
    config::{BlobConfig, Kip71Config},
};
use serde_json::Value;

use super::{list, shared, vector};

fn amount(value: &Value) -> U256 {
    match value {
        Value::String(text) => text.parse().unwrap(),
        other => other.to_string().parse().unwrap(),
    }
}

fn check(cases: &[Value]) {
    for case in cases {
        let number = |name: &str| -> u64 { amount(&case[name]).to() };
        let parent = Header {
            number: number("parentNumber"),
            gas_used: number("parentGasUsed"),
            base_fee: Some(&case["parentBaseFee"]).filter(|fee| !fee.is_null()).map(amount),
            ..Header::default()
        };
        let params = Kip71Config {
            lower_bound_base_fee: number("lowerBound"),
            upper_bound_base_fee: number("upperBound"),
            gas_target: number("gasTarget"),
            max_block_gas_used_for_base_fee: number("maxBlockGasUsed"),
            base_fee_denominator: number("denominator"),
        };
        assert_eq!(base_fee::next(&parent, &params).unwrap(), amount(&case["next"]), "{}", case["desc"]);
    }
}

#[test]
fn base_fees_of_the_reference_reproduce() {
    check(list(&vector("base_fee.json")));
    let Some(file) = shared("chain-basefee.json") else { return };
    check(list(&file["cases"]));
}

fn parent(base_fee: u64, gas_used: u64) -> Header {
    Header { number: 1, base_fee: Some(U256::from(base_fee)), gas_used, ..Header::default() }
}

#[test]
fn a_denominator_of_zero_counts_as_64() {
    let at = |denominator| Kip71Config { base_fee_denominator: denominator, ..Kip71Config::default() };
    let parent = parent(100_000_000_000, 50_000_000);
    assert_eq!(base_fee::next(&parent, &at(0)), base_fee::next(&parent, &at(64)));
}

#[test]
fn a_target_of_zero_is_refused_only_where_it_would_divide() {
    let params = Kip71Config { gas_target: 0, ..Kip71Config::default() };
    let error = base_fee::next(&parent(100_000_000_000, 7), &params).unwrap_err();
    assert_eq!(error.to_string(), "kip71.gastarget is 0, parent used 7 gas");
    assert!(base_fee::next(&parent(100_000_000_000, 0), &params).is_ok());
    assert_eq!(base_fee::next(&parent(u64::MAX, 7), &params), Ok(U256::from(750_000_000_000u64)));
}

#[test]
fn bounds_become_even_and_the_upper_one_is_tested_first() {
    let odd = Kip71Config { lower_bound_base_fee: 101, upper_bound_base_fee: 203, ..Kip71Config::default() };
    assert_eq!(base_fee::next(&parent(1, 0), &odd), Ok(U256::from(102)));
    assert_eq!(base_fee::next(&parent(1_000, 60_000_000), &odd), Ok(U256::from(202)));
    let crossed = Kip71Config { lower_bound_base_fee: 300, upper_bound_base_fee: 200, ..Kip71Config::default() };
    assert_eq!(base_fee::next(&parent(250, 30_000_000), &crossed), Ok(U256::from(200)));
    let widest =
        Kip71Config { lower_bound_base_fee: u64::MAX, upper_bound_base_fee: u64::MAX, ..Kip71Config::default() };
    assert!(base_fee::next(&parent(u64::MAX, u64::MAX), &widest).is_ok());
}

#[test]
fn effective_prices_reproduce() {
    for case in list(&vector("gas_price.json")) {
        let is_kaia = case["kaiaFork"].as_bool().unwrap();
        let rules = Rules::up_to(if is_kaia { Fork::Kaia } else { Fork::Kore });
        let base_fee = Some(&case["baseFee"]).filter(|fee| !fee.is_null()).map(amount);
        let price = effective_gas_price(rules, base_fee, amount(&case["feeCap"]), amount(&case["tipCap"]));
        assert_eq!(price, amount(&case["effectiveGasPrice"]), "{case}");
    }
}

#[test]
fn a_cap_below_the_base_fee_leaves_no_tip() {
    let [base, cap, tip] = [25u64, 20, 9].map(U256::from);
    assert_eq!(effective_gas_price(Rules::up_to(Fork::Kaia), Some(base), cap, tip), base);
}

#[test]
fn blob_gas_costs_eight_base_fees_and_never_builds_up() {
    assert_eq!(blob_base_fee(U256::from(25)), U256::from(200));
    let full = Header { blob_gas_used: Some(price::GAS_PER_BLOB), excess_blob_gas: Some(0), ..Header::default() };
    assert_eq!(price::next_excess_blob_gas(&full, &BlobConfig::OSAKA), 0);
    assert_eq!(price::next_excess_blob_gas(&Header::default(), &BlobConfig::OSAKA), 0);
    let over = Header { excess_blob_gas: Some(5), ..full };
    assert_eq!(price::next_excess_blob_gas(&over, &BlobConfig::OSAKA), 5);
}
