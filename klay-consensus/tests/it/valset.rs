//! Validator sets, proposers and committees equal those of the reference, address by address.

use std::collections::BTreeMap;

use crate::common::{Json, number, unhex, vectors};
use alloy_primitives::{Address, B256, U256};
use klay_consensus::valset::{
    AddressSet, CouncilVote, GoRand, ListRule, Policy, RemoveVote, SelectError, Selection, Stakes, StakingEntry,
    demoted, gini, legacy_seed, list_made_at, proposer_list, randao_seed, staking_block, weights, without_removed,
};
use proptest::prelude::*;
use serde_json::Value;

fn consensus() -> Vec<Value> {
    vectors("valset.json", "consensus.json")
}

fn chain() -> Vec<Value> {
    vectors("chain-valset.json", "chain-valset.json")
}

/// The address whose number is `n`.
fn address(n: u64) -> Address {
    Address::from_word(U256::from(n).into())
}

fn set(numbers: impl IntoIterator<Item = u64>) -> AddressSet {
    numbers.into_iter().map(address).collect()
}

/// `n` addresses, and the place of each in the set.
fn indexed(n: u64) -> (AddressSet, BTreeMap<Address, u64>) {
    let set = set(0..n);
    let places = set.iter().zip(0..).collect();
    (set, places)
}

fn seed(value: &Value, key: &str) -> i64 {
    value.text(key).parse().unwrap()
}

fn shuffled(n: u64, seed: i64, legacy: bool) -> Vec<u64> {
    let mut list: Vec<_> = (0..n).collect();
    let mut rand = GoRand::new(seed);
    if legacy {
        rand.shuffle_legacy(&mut list)
    } else {
        rand.shuffle(&mut list)
    }
    list
}

#[test]
fn the_generator_of_go() {
    for file in consensus() {
        for case in file.list("go_rand") {
            let seed = seed(case, "seed");
            let mut rand = GoRand::new(seed);
            for expected in case.nums("int63") {
                assert_eq!(rand.int63(), expected, "seed {seed}");
            }
            for (key, n, legacy) in
                [("legacy10", 10, true), ("fy10", 10, false), ("legacy64", 64, true), ("fy50", 50, false)]
            {
                assert_eq!(shuffled(n, seed, legacy), case.nums(key), "seed {seed}, {key}");
            }
        }
    }
    for file in chain() {
        for case in file.list("generator") {
            let seed = seed(case, "seed");
            let mut rand = GoRand::new(seed);
            for expected in case.nums("int63") {
                assert_eq!(rand.int63(), expected, "seed {seed}");
            }
            let mut rand = GoRand::new(seed);
            for (bound, expected) in case.nums("intnBounds").into_iter().zip(case.nums("intn")) {
                assert_eq!(u64::from(rand.intn(bound as u32)), expected, "seed {seed}, bound {bound}");
            }
            let n = case.num("size");
            assert_eq!(shuffled(n, seed, true), case.nums("legacyShuffleOfRange"));
            assert_eq!(shuffled(n, seed, false), case.nums("shuffleOfRange"));
        }
    }
}

#[test]
fn seeds_come_from_hashes() {
    for file in consensus() {
        for case in file.list("shuffles") {
            let (hash, n) = (case.hash("hash"), case.num("n"));
            assert_eq!(shuffled(n, legacy_seed(hash), true), case.nums("legacy"));
            assert_eq!(shuffled(n, randao_seed(hash), false), case.nums("fisher_yates"));
        }
    }
    for file in chain() {
        for case in file.list("seeds") {
            assert_eq!(legacy_seed(case.hash("hash")), seed(case, "legacySeed"));
            assert_eq!(randao_seed(case.hash("hash")), seed(case, "seed"));
        }
    }
}

#[test]
fn sets_are_ordered_by_their_checksummed_text_not_by_bytes() {
    for file in consensus() {
        for case in file.list("address_ordering") {
            let ordered = AddressSet::new(case.addresses("input"));
            assert_eq!(ordered.as_slice(), case.addresses("sorted"));
            let mut one_by_one = AddressSet::default();
            for address in case.addresses("input") {
                assert!(one_by_one.insert(address));
                assert!(!one_by_one.insert(address));
            }
            assert_eq!(one_by_one, ordered);
        }
    }
}

#[test]
fn gini_coefficients() {
    for file in chain() {
        for case in file.list("gini") {
            let expected: f64 = case["gini"].to_string().parse().unwrap();
            assert_eq!(gini(&case.nums("amounts")), expected);
        }
    }
    assert!(gini(&[0, 0]).is_nan());
    assert_eq!(gini(&[]), -1.0);
}

#[test]
fn weighted_proposer_lists() {
    for file in consensus() {
        for case in file.list("proposer_lists") {
            let stakes = case.nums("stakes");
            let rewards = case.list("reward_ids");
            let entries: Vec<_> = stakes
                .iter()
                .enumerate()
                .map(|(i, stake)| StakingEntry {
                    node: address(i as u64),
                    reward: rewards.get(i).map_or(address(1000 + i as u64), |r| address(2000 + number(r))),
                    stake: *stake,
                })
                .collect();
            let stakes = Stakes::consolidate(&entries);
            let candidates = set(0..entries.len() as u64);
            let use_gini = case["use_gini"].as_bool().unwrap();
            let hash = case.hash("hash");
            let as_addresses = |key| case.nums(key).into_iter().map(address).collect::<Vec<_>>();
            let weighted = proposer_list(&candidates, ListRule::Weighted { stakes: &stakes, use_gini }, hash);
            assert_eq!(weighted, as_addresses("list"), "{}", case.text("name"));
            assert_eq!(proposer_list(&candidates, ListRule::Uniform, hash), as_addresses("uniform"));
        }
    }
    for file in chain() {
        for case in file.list("weightedProposerLists") {
            let addresses = case.addresses("addresses");
            let amounts = case.nums("stakingAmounts");
            let entries: Vec<_> = addresses
                .iter()
                .zip(&amounts)
                .map(|(node, stake)| StakingEntry { node: *node, reward: *node, stake: *stake })
                .collect();
            let stakes = Stakes::consolidate(&entries);
            let candidates = AddressSet::new(addresses);
            let use_gini = case["useGini"].as_bool().unwrap();
            let list =
                proposer_list(&candidates, ListRule::Weighted { stakes: &stakes, use_gini }, case.hash("blockHash"));
            assert_eq!(list, case.addresses("proposerList"));
        }
        for case in file.list("uniformProposerLists") {
            let candidates = AddressSet::new(case.addresses("addresses"));
            let list = proposer_list(&candidates, ListRule::Uniform, case.hash("blockHash"));
            assert_eq!(list, case.addresses("proposerList"));
        }
    }
}

#[test]
fn weights_of_the_specification() {
    let millions = [2_000_000, 4_000_000, 6_000_000, 8_000_000];
    assert_eq!(weights(&millions, true), [12, 21, 29, 37]);
    assert_eq!(weights(&millions, false), [10, 20, 30, 40]);
    assert_eq!(weights(&[2_000_000, 2_000_000, 2_000_000, 400_000_000], false), [1, 1, 1, 99]);
    assert_eq!(weights(&[7, 7, 7], true), [33, 33, 33]);
    assert_eq!(weights(&[324_946, 560_845, 771_786, 967_997, 1_153_934], true), [10, 16, 21, 25, 29]);
    assert_eq!(weights(&[0, 0], true), [0, 0]);
}

#[test]
fn the_first_list_of_the_main_network_is_not_shuffled() {
    for file in consensus() {
        for case in file.list("chain_proposers") {
            let council = AddressSet::new(case.addresses("sorted_council"));
            let list = proposer_list(&council, ListRule::Unshuffled, B256::repeat_byte(0x11));
            assert_eq!(list, case.addresses("sorted_council"));
            let block = Selection {
                number: case.num("number"),
                qualified: &council,
                policy: Policy::List { list: &list, made_at: 0, interval: 3600 },
                committee_size: 22,
                parent_hash: B256::ZERO,
                add_round: false,
            };
            let author = Address::from_slice(&case.hex("author"));
            assert_eq!(block.proposer(case.num("round")).unwrap(), author);
        }
    }
}

#[test]
fn round_robin_sticky_and_lists() {
    for file in consensus() {
        for case in file.list("round_robin_sticky") {
            let qualified = set(case.nums("qualified"));
            let previous = address(case.num("prev"));
            let select = |policy| {
                let block = Selection {
                    number: 9,
                    qualified: &qualified,
                    policy,
                    committee_size: 22,
                    parent_hash: B256::ZERO,
                    add_round: false,
                };
                block.proposer(case.num("round")).unwrap()
            };
            assert_eq!(select(Policy::RoundRobin { previous }), address(case.num("round_robin")));
            assert_eq!(select(Policy::Sticky { previous }), address(case.num("sticky")));
        }
        for case in file.list("weighted_select") {
            let list: Vec<_> = (0..case.num("list_len")).map(address).collect();
            let qualified = set(0..4);
            let block = Selection {
                number: case.num("num"),
                qualified: &qualified,
                policy: Policy::List { list: &list, made_at: case.num("source_num"), interval: 3600 },
                committee_size: 22,
                parent_hash: B256::ZERO,
                add_round: false,
            };
            assert_eq!(block.proposer(case.num("round")).unwrap(), address(case.num("index")));
        }
    }
    assert_eq!(list_made_at(3600, 3600), 0);
    assert_eq!(list_made_at(3601, 3600), 3600);
}

fn places(committee: &[Address], places: &BTreeMap<Address, u64>) -> Vec<u64> {
    committee.iter().map(|a| places[a]).collect()
}

#[test]
fn committees_before_randao() {
    for file in consensus() {
        for case in file.list("random_committee") {
            let (qualified, index) = indexed(case.num("qualified"));
            let member = |key| qualified.as_slice()[case.num(key) as usize];
            let (proposer, next) = (member("proposer_index"), member("next_index"));
            let block = Selection {
                number: 5,
                qualified: &qualified,
                policy: Policy::RoundRobin { previous: proposer },
                committee_size: case.num("committee_size"),
                parent_hash: case.hash("prev_hash"),
                add_round: false,
            };
            let committee =
                |block: &Selection<'_>, round| places(&block.legacy_committee(proposer, next, round), &index);
            assert_eq!(committee(&block, 0), case.nums("committee_indices"));
            let klaytn = Selection { add_round: true, ..block };
            for (round, expected) in case.list("klaytn_v1_committee_indices_seed_plus_round_0_3").iter().enumerate() {
                let expected: Vec<_> = expected.as_array().unwrap().iter().map(number).collect();
                assert_eq!(committee(&klaytn, round as u64), expected, "round {round}");
            }
        }
        let setup = &file["klaytn_v112_committee_setup"];
        let list = setup.addresses("addresses_sorted");
        let qualified = AddressSet::new(list.clone());
        let index: BTreeMap<_, _> = qualified.iter().zip(0..).collect();
        for case in file.list("klaytn_v112_committee_by_round") {
            let block = Selection {
                number: setup.num("council_block_number") + 1,
                qualified: &qualified,
                policy: Policy::List { list: &list, made_at: 0, interval: 3600 },
                committee_size: setup.num("committee_size"),
                parent_hash: setup.hash("prev_hash"),
                add_round: case.text("istanbul_fork") == "after",
            };
            let committee = block.committee(case.num("round")).unwrap();
            assert_eq!(places(&committee, &index), case.nums("committee_indices"), "{case}");
        }
    }
    for file in chain() {
        for case in file.list("committees").iter().filter(|c| c.text("kind") == "legacy") {
            let qualified = AddressSet::new(case.addresses("qualified"));
            let one = |key| Address::from_slice(&case.hex(key));
            let block = Selection {
                number: 5,
                qualified: &qualified,
                policy: Policy::RoundRobin { previous: Address::ZERO },
                committee_size: case.num("size"),
                parent_hash: case.hash("prevHash"),
                add_round: false,
            };
            let committee = block.legacy_committee(one("proposer"), one("nextDistinctProposer"), 0);
            assert_eq!(committee, case.addresses("committee"));
        }
    }
}

/// Empty at the fork block.
fn mix_hash(case: &Value, key: &str) -> B256 {
    if case.hex(key).is_empty() { B256::ZERO } else { case.hash(key) }
}

fn randao(qualified: &AddressSet, size: u64, mix_hash: B256) -> Selection<'_> {
    Selection {
        number: 5,
        qualified,
        policy: Policy::Randao { mix_hash },
        committee_size: size,
        parent_hash: B256::ZERO,
        add_round: false,
    }
}

#[test]
fn committees_and_proposers_since_randao() {
    for file in consensus() {
        for case in file.list("randao_committee") {
            let (qualified, index) = indexed(case.num("qualified"));
            let block = randao(&qualified, case.num("committee_size"), mix_hash(case, "prev_mix_hash"));
            let proposers: Vec<_> = (0..8).map(|round| index[&block.proposer(round).unwrap()]).collect();
            assert_eq!(proposers, case.nums("proposer_indices_round_0_7"));
            let committee = places(&block.committee(3).unwrap(), &index);
            let shuffled = case.nums("shuffled_prefix_indices");
            if qualified.len() as u64 > case.num("committee_size") {
                assert_eq!(committee, shuffled);
            } else {
                // Everybody fits: the committee is in order, although the proposer comes from the shuffle.
                assert_eq!(committee, (0..case.num("qualified")).collect::<Vec<_>>());
            }
        }
    }
    for file in chain() {
        for case in file.list("committees").iter().filter(|c| c.text("kind") == "randao") {
            let qualified = AddressSet::new(case.addresses("qualified"));
            let block = randao(&qualified, case.num("size"), mix_hash(case, "prevMixHash"));
            assert_eq!(block.committee(0).unwrap(), case.addresses("committee"));
            for (round, proposer) in case.nums("proposerRounds").into_iter().zip(case.addresses("proposers")) {
                assert_eq!(block.proposer(round).unwrap(), proposer);
            }
        }
    }
}

#[test]
fn committees_of_the_main_network() {
    for file in consensus() {
        for case in file.list("chain_committees") {
            let qualified = AddressSet::new(case.addresses("qualified_from_extra"));
            let expected = case.addresses("committee_in_order");
            let block = Selection {
                number: case.num("number"),
                qualified: &qualified,
                policy: Policy::Sticky { previous: expected[0] },
                committee_size: case.num("committee_size"),
                parent_hash: case.hash("parent_hash"),
                add_round: true,
            };
            let round = case.num("round");
            assert_eq!(block.legacy_committee(expected[0], expected[1], round), expected, "{}", case.text("id"));
        }
    }
}

#[test]
fn demotion() {
    for file in consensus() {
        for case in file.list("demotion") {
            let council = set(case.nums("council"));
            let entries: Vec<_> = case
                .nums("council")
                .into_iter()
                .zip(case.nums("stakes"))
                .map(|(n, stake)| StakingEntry { node: address(n), reward: address(n), stake })
                .collect();
            let spared = (case.text("mode") == "single").then(|| address(case.num("governing_node")));
            let demoted = demoted(&council, &Stakes::consolidate(&entries), case.num("minimum_stake"), spared);
            assert_eq!(demoted, set(case.nums("demoted")), "{case}");
            assert_eq!(council.without(&demoted).len() + demoted.len(), council.len());
        }
    }
}

#[test]
fn the_staking_block_of_each_block() {
    let old = |n| staking_block(n, 86_400, false);
    assert_eq!((old(0), old(172_800), old(172_801), old(259_200), old(259_201)), (0, 0, 86_400, 86_400, 172_800));
    assert_eq!(staking_block(5, 86_400, true), 4);
}

#[test]
fn removed_members_leave_the_list_after_the_vote() {
    for file in consensus() {
        let setup = &file["proposer_list_after_remove_votes_setup"];
        let mut votes = Vec::new();
        for vote in setup.list("votes").iter().filter(|v| v.get("remove").is_some()) {
            let qualified = set(setup["qualified_at"].nums(&vote.num("block").to_string()));
            let removed: Vec<_> =
                vote.nums("remove").into_iter().map(address).filter(|a| qualified.contains(*a)).collect();
            votes.push(RemoveVote { number: vote.num("block"), removed });
        }
        let base: Vec<_> = setup.nums("base_list").into_iter().map(address).collect();
        for case in file.list("proposer_list_after_remove_votes") {
            let expected: Vec<_> = case.nums("list").into_iter().map(address).collect();
            assert_eq!(without_removed(&base, &votes, case.num("block")), expected, "{case}");
        }
    }
}

#[test]
fn votes_are_read_as_the_chain_reads_them() {
    for file in consensus() {
        for case in file.list("council_vote_parse") {
            let vote = CouncilVote::parse(&case.hex("header_vote"));
            match (case["key"].as_str(), vote) {
                (None, None) => {}
                (Some("governance.addvalidator"), Some(CouncilVote::Add(list)))
                | (Some("governance.removevalidator"), Some(CouncilVote::Remove(list))) => {
                    assert_eq!(list, case.addresses("addresses"));
                }
                (key, vote) => panic!("{key:?} {vote:?}"),
            }
        }
    }
    // Main network, block 90897408: the hex text of an address.
    let text = b"0x8bff05cdce1a4e3fcd2a1df8383b4bf8dc9fc6e85c35";
    assert_eq!(text.len() % 20, 6);
    let vote = |value: &[u8]| {
        let mut stream = rlp::RlpStream::new_list(3);
        stream.append(&vec![1u8; 20]).append(&b"governance.removevalidator".to_vec()).append(&value.to_vec());
        CouncilVote::parse(&stream.out()).map(|v| v.addresses().to_vec())
    };
    assert_eq!(vote(text), Some(vec![Address::from_slice(&text[text.len() - 20..])]));
    assert_eq!(vote(&[7; 60]), Some(vec![Address::repeat_byte(7); 3]));
    assert_eq!(vote(&[7]), Some(vec![address(7)]));
    let padded: Vec<u8> = core::iter::once(0).chain([7; 19]).collect();
    assert_eq!(vote(&[7; 19]), Some(vec![Address::from_slice(&padded)]));
    for (length, count) in [(20, 1), (21, 1), (40, 2), (41, 1), (42, 1), (20 * 5000, 5000), (20 * 5000 + 1, 1)] {
        assert_eq!(vote(&vec![7; length]), Some(vec![Address::repeat_byte(7); count]), "{length} bytes");
    }
}

/// `rlp([voter, "governance.addvalidator", ""])`: the reference reads a list without addresses, not the zero address.
#[test]
fn an_empty_vote_changes_nothing() {
    for key in [&b"governance.addvalidator"[..], b"governance.removevalidator"] {
        let mut stream = rlp::RlpStream::new_list(3);
        stream.append(&vec![1u8; 20]).append(&key.to_vec()).append_empty_data();
        let vote = CouncilVote::parse(&stream.out()).unwrap();
        assert!(vote.addresses().is_empty());
        let council = AddressSet::new([Address::ZERO, address(2)]);
        assert_eq!(vote.apply(&council, None), council);
    }
}

#[test]
fn a_vote_for_many_changes_the_council_as_many_votes_do() {
    let many: Vec<_> = (0..5000).chain(0..10).map(address).collect();
    let governing = Some(address(9));
    let grown = CouncilVote::Add(many.clone()).apply(&set(10_000..10_003), governing);
    assert_eq!(grown, set((0..9).chain(10..5000).chain(10_000..10_003)));
    let with_governing = CouncilVote::Add(many.clone()).apply(&grown, None);
    assert_eq!(CouncilVote::Remove(many).apply(&with_governing, governing), set([9, 10_000, 10_001, 10_002]));
}

fn vote(text: &str) -> CouncilVote {
    let (action, number) = text.split_once(' ').unwrap();
    let list = vec![address(number.parse().unwrap())];
    if action == "add" { CouncilVote::Add(list) } else { CouncilVote::Remove(list) }
}

#[test]
fn the_council_follows_the_votes() {
    for file in consensus() {
        for case in file.list("council_vote_apply") {
            let council = set(case.nums("council"));
            let governing = Some(address(case.num("governing_node")));
            let next = case["vote"].as_str().map_or_else(|| council.clone(), |v| vote(v).apply(&council, governing));
            assert_eq!(next, set(case.nums("result")));
            assert_eq!(next != council, case["modified"].as_bool().unwrap());
        }
        let setup = &file["council_history_setup"];
        let governing = Some(address(setup.num("governing_node")));
        for case in file.list("council_history") {
            let mut council = set(setup.nums("genesis_council"));
            for number in 0..case.num("block") {
                if let Some(text) = setup["votes"][number.to_string()].as_str() {
                    council = vote(text).apply(&council, governing);
                }
            }
            assert_eq!(council, set(case.nums("council")), "block {}", case.num("block"));
        }
    }
}

#[test]
fn an_empty_set_selects_nobody_and_says_so() {
    let empty = AddressSet::default();
    for policy in [
        Policy::RoundRobin { previous: Address::ZERO },
        Policy::Sticky { previous: Address::ZERO },
        Policy::Randao { mix_hash: B256::ZERO },
    ] {
        let block = Selection {
            number: 3,
            qualified: &empty,
            policy,
            committee_size: 0,
            parent_hash: B256::ZERO,
            add_round: false,
        };
        assert_eq!(block.proposer(0), Err(SelectError::NoValidator { number: 3 }));
    }
    let set = set(0..3);
    let block = Selection {
        number: 3,
        qualified: &set,
        policy: Policy::List { list: &[], made_at: 0, interval: 3600 },
        committee_size: 2,
        parent_hash: B256::ZERO,
        add_round: false,
    };
    assert_eq!(block.committee(0), Err(SelectError::NoList { number: 3, made_at: 0 }));
}

proptest! {
    #[test]
    fn a_committee_has_no_duplicates_and_contains_its_proposer(
        n in 1u64..60, size in 0u64..70, round in any::<u64>(), hash in any::<[u8; 32]>(), randao in any::<bool>(),
    ) {
        let qualified = set(0..n);
        let policy = if randao {
            Policy::Randao { mix_hash: hash.into() }
        } else {
            Policy::RoundRobin { previous: qualified.as_slice()[0] }
        };
        let block = Selection {
            number: 7, qualified: &qualified, policy, committee_size: size, parent_hash: hash.into(), add_round: true,
        };
        let committee = block.committee(round);
        if size > 0 {
            let committee = committee.unwrap();
            prop_assert_eq!(committee.len() as u64, size.min(n));
            prop_assert_eq!(AddressSet::new(committee.clone()).len(), committee.len());
            prop_assert!(committee.contains(&block.proposer(round).unwrap()));
        }
    }

    #[test]
    fn shuffles_lose_nothing(seed in any::<i64>(), n in 0usize..300) {
        for legacy in [true, false] {
            let mut list = shuffled(n as u64, seed, legacy);
            list.sort_unstable();
            prop_assert_eq!(list, (0..n as u64).collect::<Vec<_>>());
        }
    }

    #[test]
    fn votes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = CouncilVote::parse(&bytes);
    }
}

#[test]
fn vectors_are_hex() {
    assert_eq!(unhex("0x00ff"), [0, 255]);
}
