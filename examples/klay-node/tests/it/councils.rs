//! Councils, committees and proposers of every block, as the reference client answered for its own chains.

use crate::common::Recorded;
use klay_core::{Address, Fork, block::IstanbulExtra};
use klay_node::{Chain, council::CouncilError};
use serde_json::Value;

/// The addresses whose places `list` names.
fn named(case: &Value, list: &Value) -> Vec<Address> {
    let place = |at: &Value| case["addresses"][at.as_u64().unwrap() as usize].as_str().unwrap().parse().unwrap();
    match list {
        Value::Array(list) => list.iter().map(place).collect(),
        one => vec![place(one)],
    }
}

fn check(name: &str) -> Chain {
    let file = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/councils.json")).unwrap();
    let case = &serde_json::from_slice::<Value>(&file).unwrap()[name];
    let chain = Recorded::kept(name).imported();
    for (number, expected) in case["blocks"].as_array().unwrap().iter().enumerate() {
        let number = number as u64;
        let found = chain.council_at(number).unwrap();
        assert_eq!(chain.hash_of(number).unwrap().unwrap().to_string(), expected["hash"].as_str().unwrap());
        assert_eq!(found.council().as_slice(), named(case, &expected["council"]), "council of {number}");
        assert_eq!(found.demoted().as_slice(), named(case, &expected["demoted"]), "demoted of {number}");
        let round = expected["round"].as_u64().unwrap_or_default();
        assert_eq!(found.committee(round).unwrap(), named(case, &expected["committee"]), "committee of {number}");
        if number == 0 {
            continue;
        }
        let header = chain.header(number).unwrap();
        assert_eq!(u64::from(IstanbulExtra::decode(&header.extra).unwrap().round()), round);
        let committers: Vec<_> = header.committers().unwrap().into_iter().flatten().collect();
        assert_eq!(committers, named(case, &expected["committers"]), "committers of {number}");
        assert_eq!(vec![chain.proposer_at(number, round).unwrap()], named(case, &expected["proposer"]));
        assert_eq!(vec![chain.proposer_at(number, 0).unwrap()], named(case, &expected["origin"]), "{number}");
    }
    chain
}

#[test]
fn votes_rounds_and_randao_without_stakes() {
    let chain = check("council-4");
    // Every seal is of the committee that the block names.
    for number in 1..=chain.head().number() {
        let header = chain.header(number).unwrap();
        let round = IstanbulExtra::decode(&header.extra).unwrap().round();
        let committee = chain.council_at(number).unwrap().committee(round.into()).unwrap();
        assert!(header.committers().unwrap().iter().all(|signer| committee.contains(&signer.unwrap())), "{number}");
    }
}

#[test]
fn weighted_lists_stakes_and_demotion() {
    let chain = check("council-weighted");
    // The stakes lag two intervals behind before Kaia, and one block from it on.
    assert_eq!(chain.staking_at(20).unwrap().source, 0);
    assert_eq!(chain.staking_at(21).unwrap().source, 10);
    assert!(chain.rules_at(70).has(Fork::Kaia));
    assert_eq!(chain.staking_at(69).unwrap().source, 50);
    assert_eq!(chain.staking_at(70).unwrap().source, 69);
}

#[test]
fn the_next_block_is_known_and_no_later_one() {
    let chain = Recorded::kept("council-4").imported();
    let next = chain.head().number() + 1;
    let council = chain.council_at(next).unwrap();
    assert_eq!(council.number(), next);
    assert_eq!(council.committee(0).unwrap().first(), Some(&council.proposer(0).unwrap()));
    assert!(matches!(chain.council_at(next + 1), Err(CouncilError::Chain(_))));
    assert!(chain.staking_at(next).is_ok());
    assert!(chain.staking_at(next + 1).is_err());
}
