//! Nothing in the vector files goes unread: every section, row and field is known by name and checked by some test.
//!
//! The first table says where. What no other test looks at is checked here.

use crate::common;
use std::collections::BTreeMap;

use crate::common::{Json, Key, number, vectors};
use alloy_primitives::{Address, B256, U256};
use klay_consensus::{
    istanbul::{
        Envelope,
        seal::{self, Seal},
    },
    types::{Limits, quorum},
    valset::{
        AddressSet, GoRand, ListRule, Policy, Selection, Stakes, StakingEntry, demoted, demotes, gini, legacy_seed,
        proposer_list, randao_seed, weights,
    },
};
use klay_core::{
    block::{ExtraView, Header, IstanbulExtra},
    crypto::keccak256,
};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// Section, fields of its rows, and which test reads them; `=` before a field says that it is read here.
const CONSENSUS: &[(&str, &str, &str)] = &[
    ("meta", "note notation part payload_decode", "prose"),
    ("keys", "=addr =i =priv", ""),
    ("go_rand", "seed int63 =sha256_first2000 =intn legacy10 fy10 legacy64 fy50", "valset"),
    ("go_rand_table", "=length =tap =first =last =sha256_of_607_little_endian_u64", ""),
    (
        "headers",
        "block_hash committed_by committed_seal_digest committed_seal_preimage =committed_seals extra_final \
         extra_sealed extra_unsealed =fields header_rlp_final header_rlp_unsealed =number =plain_rlp_keccak_final \
         proposer_key proposer_seal_digest round round_byte seal sig_hash =validators",
        "wire",
    ),
    (
        "messages",
        "backlog_priority body_rlp code committed_seal gossip_hash hash name payload payload_no_sig round sender_key \
         sequence sign_digest signature wire_envelope",
        "wire, traces",
    ),
    ("extras", "=name =rlp", ""),
    ("extra_decode", "extra accepted why", "wire"),
    (
        "payload_decode",
        "name payload claimed_address recovered_signer decode signer_matches =klaytn_1_12_envelope_ok \
         =kaia_2_2_1_envelope_ok",
        "wire",
    ),
    (
        "extra_writes",
        "name source header_extra_in validators extra_out extra_in seal =seal_66_bytes =council_sorted",
        "wire",
    ),
    ("quorum", "n required f =import_valid_seals_more_than import_min round_change_jump in_repo_test", "wire"),
    ("timeouts_ms", "round ms", "wire"),
    ("import_seals", "council demoted committee_size seals_from =f accept why", "import"),
    ("seeds", "=hash =seed_legacy =seed_randao", ""),
    ("seeds_repo_test", "=hash =seed_legacy =seed_randao", ""),
    ("address_ordering", "input name sorted", "valset"),
    ("shuffles", "fisher_yates hash legacy n", "valset"),
    (
        "random_committee",
        "committee_indices committee_size klaytn_v1_committee_indices_seed_plus_round_0_3 next_index prev_hash \
         proposer_index qualified",
        "valset",
    ),
    (
        "randao_committee",
        "committee_size prev_mix_hash proposer_indices_round_0_7 qualified shuffled_prefix_indices",
        "valset",
    ),
    ("proposer_lists", "=freq =gini hash list name reward_ids stakes uniform use_gini", "valset"),
    ("proposer_lists_note", "", "prose"),
    ("round_robin_sticky", "prev qualified round round_robin sticky", "valset"),
    ("weighted_select", "index list_len num round source_num", "valset"),
    ("klaytn_v112_committee_by_round", "istanbul_fork round committee_indices", "valset"),
    (
        "klaytn_v112_committee_setup",
        "source addresses_sorted prev_hash =prev_hash_preimage_ascii committee_size council_block_number \
         proposer_list rule",
        "valset",
    ),
    (
        "kaia_committee_branch",
        "source =qualified =committee_size =mix_hash =policy =committee =prev_proposer =proposer =next",
        "",
    ),
    ("demotion", "council governing_node minimum_stake mode stakes demoted source", "valset"),
    ("demotion_by_rule", "=policy =istanbul_fork =stakes =demoted", ""),
    ("proposer_list_after_remove_votes_setup", "source interval base_list votes qualified_at", "valset"),
    ("proposer_list_after_remove_votes", "block list", "valset"),
    ("council_vote_parse", "header_vote key addresses note", "valset"),
    ("council_vote_apply", "council governing_node vote result modified", "valset"),
    ("council_history_setup", "source genesis_council governing_node votes", "valset"),
    ("council_history", "block council", "valset"),
    (
        "chain_committees",
        "id number parent_hash round qualified_from_extra committee_size =proposer =next_distinct_proposer \
         committee_in_order =committers source",
        "valset",
    ),
    (
        "chain_proposers",
        "id number round sorted_council author =round0_proposer rule =committed_seals =required_then",
        "valset",
    ),
    (
        "chain_block_kairos_144654443",
        "author block_hash committers extra_validators_in_order header_rlp =mix_hash network =number =random_reveal \
         =round =sig_hash source =timestamp =vanity =block_rlp",
        "import",
    ),
    (
        "network_scenarios",
        "name origin validators honest local_blocks rule phases steps expect_legacy expect_fixed expect_justified",
        "traces, known_faults",
    ),
    ("traces", "name note validators committee_size me required f steps", "traces"),
    ("trace_format", "origin validators values proposer committee op state_fields host", "prose"),
    ("message_codes", "preprepare prepare commit roundchange p2p_code", "wire"),
    ("view_rlp", "sequence round rlp", "wire"),
];

const CHAIN: &[(&str, &str, &str)] = &[
    ("note", "", "prose"),
    ("cookedTable", "", "here"),
    ("cookedTableNote", "", "prose"),
    ("cypressBlock1", "note =round =index =proposer", ""),
    ("generator", "seed int63 intnBounds intn size legacyShuffleOfRange shuffleOfRange", "valset"),
    ("seeds", "hash legacySeed seed", "valset"),
    ("weightedProposerLists", "addresses stakingAmounts useGini blockHash =gini =weights proposerList", "valset"),
    ("uniformProposerLists", "addresses blockHash proposerList", "valset"),
    (
        "committees",
        "kind qualified size prevHash proposer nextDistinctProposer committee prevMixHash proposers proposerRounds",
        "valset",
    ),
    ("gini", "amounts gini", "valset"),
];

/// The compact sets in one, and the whole file if it is there.
fn consensus() -> Vec<Value> {
    let mut compact = serde_json::Map::new();
    let mut full = None;
    for part in ["wire.json", "valset.json", "traces.json"] {
        let mut found = vectors(part, "consensus.json");
        full = (found.len() > 1).then(|| found.pop().unwrap());
        let Value::Object(sections) = found.remove(0) else { panic!("{part} is no object") };
        compact.extend(sections);
    }
    let mut files = vec![Value::Object(compact)];
    files.extend(full);
    files
}

fn chain() -> Vec<Value> {
    vectors("chain-valset.json", "chain-valset.json")
}

fn rows(section: &Value) -> Vec<&Value> {
    section.as_array().map_or_else(|| vec![section], |rows| rows.iter().collect())
}

fn is_known(file: &Value, table: &[(&str, &str, &str)]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for (name, section) in file.as_object().unwrap() {
        let Some((_, fields, _)) = table.iter().find(|(known, _, _)| known == name) else {
            panic!("no test reads {name}");
        };
        let fields: Vec<_> = fields.split_whitespace().map(|field| field.trim_start_matches('=')).collect();
        for row in rows(section) {
            for field in row.as_object().into_iter().flat_map(|row| row.keys()) {
                assert!(fields.contains(&field.as_str()), "no test reads {field} of {name}");
            }
        }
        counts.insert(name.clone(), rows(section).len());
    }
    counts
}

#[test]
fn every_section_row_and_field_is_read_by_a_test() {
    for (files, table) in [(consensus(), CONSENSUS), (chain(), CHAIN)] {
        let compact = is_known(&files[0], table);
        for (name, fields, reader) in table {
            assert!(fields.contains('=') || !reader.is_empty(), "{name} has no reader");
            // The long table of the generator stands in the crate; its digest is among the vectors.
            assert!(compact.contains_key(*name) || *name == "cookedTable", "{name} is not in the compact set");
        }
        for full in &files[1..] {
            let full = is_known(full, table);
            println!("{} sections, {} rows", full.len(), full.values().sum::<usize>());
            for (name, rows) in &full {
                println!("  {name}: {rows}, {} of them here", compact.get(name).unwrap_or(&0));
            }
        }
    }
}

fn address(n: u64) -> Address {
    Address::from_word(U256::from(n).into())
}

fn set(numbers: impl IntoIterator<Item = u64>) -> AddressSet {
    numbers.into_iter().map(address).collect()
}

fn one(case: &Value, key: &str) -> Address {
    Address::from_slice(&case.hex(key))
}

fn selection<'a>(qualified: &'a AddressSet, policy: Policy<'a>, committee_size: u64) -> Selection<'a> {
    Selection { number: 5, qualified, policy, committee_size, parent_hash: B256::ZERO, add_round: false }
}

#[test]
fn keys_and_their_addresses() {
    for file in consensus() {
        for case in file.list("keys") {
            let key = Key::new(case.num("i"));
            assert_eq!(key.0[..], case.hex("priv"));
            assert_eq!(key.address(), one(case, "addr"));
        }
    }
}

#[test]
fn bounded_draws_and_the_digest_of_two_thousand() {
    const BOUNDS: [u32; 12] = [1, 2, 3, 7, 8, 10, 13, 64, 100, 1000, (1 << 30) + 1, (1 << 31) - 1];
    for file in consensus() {
        for case in file.list("go_rand") {
            let seed: i64 = case.text("seed").parse().unwrap();
            let mut rand = GoRand::new(seed);
            let drawn: Vec<_> = BOUNDS.iter().map(|n| u64::from(rand.intn(*n))).collect();
            assert_eq!(drawn, case.nums("intn"), "seed {seed}");
            let mut rand = GoRand::new(seed);
            let mut digest = Sha256::new();
            for _ in 0..2000 {
                digest.update(format!("{}\n", rand.int63()));
            }
            assert_eq!(digest.finalize()[..], case.hex("sha256_first2000"), "seed {seed}");
        }
    }
}

#[test]
fn the_table_of_the_generator() {
    for file in consensus() {
        let case = &file["go_rand_table"];
        let word = |hex: &Value| U256::from_be_slice(&common::unhex(hex.as_str().unwrap())).to::<u64>();
        assert_eq!((GoRand::TABLE.len() as u64, 273), (case.num("length"), case.num("tap")));
        let first: Vec<_> = case.list("first").iter().map(word).collect();
        assert_eq!(GoRand::TABLE[..first.len()], first);
        assert_eq!(GoRand::TABLE[606], word(&case["last"]));
        let bytes: Vec<_> = GoRand::TABLE.iter().flat_map(|word| word.to_le_bytes()).collect();
        assert_eq!(Sha256::digest(bytes)[..], case.hex("sha256_of_607_little_endian_u64"));
    }
    for file in chain() {
        for (word, low) in GoRand::TABLE.iter().zip(file.nums("cookedTable")) {
            assert_eq!(word & (u64::MAX >> 1), low);
        }
    }
}

#[test]
fn seeds_of_hashes() {
    for file in consensus() {
        for case in file.list("seeds").iter().chain(file.list("seeds_repo_test")) {
            assert_eq!(legacy_seed(case.hash("hash")).to_string(), case.text("seed_legacy"));
            assert_eq!(randao_seed(case.hash("hash")).to_string(), case.text("seed_randao"));
        }
    }
}

#[test]
fn what_else_headers_say() {
    for file in consensus() {
        for case in file.list("headers") {
            let bytes = case.hex("header_rlp_final");
            assert_eq!(keccak256(&bytes), case.hash("plain_rlp_keccak_final"));
            let header = Header::decode_all(&bytes).unwrap();
            assert_eq!(header.number, case.num("number"));
            let forks = u64::from(header.base_fee.is_some()) + u64::from(header.mix_hash.is_some());
            assert_eq!(forks, case.num("fields"), "optional fields: base fee, then two of Randao");
            let extra = IstanbulExtra::decode(&header.extra).unwrap();
            assert_eq!(extra.validators.len() as u64, case.num("validators"));
            let seals: Vec<_> = extra.committed_seals.iter().map(|seal| seal.to_vec()).collect();
            let expected: Vec<_> =
                case.list("committed_seals").iter().map(|seal| common::unhex(seal.as_str().unwrap())).collect();
            assert_eq!(seals, expected);
        }
    }
}

#[test]
fn extra_data_is_read_and_written_back() {
    for file in consensus() {
        for case in file.list("extras") {
            let bytes = [vec![0; 32], case.hex("rlp")].concat();
            // Items of another length than a seal are read (EX-2); they have no author.
            let extra = ExtraView::decode(&bytes).unwrap_or_else(|error| panic!("{}: {error}", case.text("name")));
            assert_eq!(extra.encode(), bytes, "{}", case.text("name"));
            let well_formed = extra.committed_seals().chain([extra.seal()]).all(|seal| [0, 65].contains(&seal.len()));
            assert_eq!(IstanbulExtra::decode(&bytes).is_ok_and(|e| e.encode() == bytes), well_formed);
        }
        for case in file.list("extra_writes") {
            if let Some(refused) = case["seal_66_bytes"].as_str() {
                let longer = [case.hex("seal"), vec![0]].concat();
                assert_eq!(refused, "invalid signature");
                assert!(Seal::try_from(&longer[..]).is_err(), "a seal of another length cannot be written");
            }
            if case.get("council_sorted").is_some() {
                let extra = IstanbulExtra::decode(&case.hex("extra_in")).unwrap();
                assert_eq!(AddressSet::new(extra.validators).as_slice(), case.addresses("council_sorted"));
            }
        }
    }
}

#[test]
fn who_takes_a_payload() {
    for file in consensus() {
        let members: AddressSet = file.list("keys").iter().map(|key| one(key, "addr")).collect();
        for case in file.list("payload_decode") {
            let envelope = Envelope::decode(&case.hex("payload"), Limits::default()).ok();
            let signer = envelope.as_ref().and_then(Envelope::signer).filter(|signer| members.contains(*signer));
            // The older release takes any member's signature; the newer one only the sender's own.
            let ours = envelope.is_some_and(|envelope| signer == Some(envelope.address));
            assert_eq!(signer.is_some(), case["klaytn_1_12_envelope_ok"] == true, "{}", case.text("name"));
            assert_eq!(ours, case["kaia_2_2_1_envelope_ok"] == true, "{}", case.text("name"));
        }
    }
}

#[test]
fn thresholds_at_import() {
    for file in consensus() {
        for case in file.list("quorum") {
            let n = case.num("n") as u32;
            assert_eq!(u64::from(quorum::import(n)), case.num("import_valid_seals_more_than") + 1, "n = {n}");
        }
        for case in file.list("import_seals") {
            let qualified = case.num("council") - case.list("demoted").len() as u64;
            let size = qualified.min(case.num("committee_size"));
            assert_eq!(u64::from(quorum::tolerated(size as u32)), case.num("f"), "{case}");
        }
    }
}

#[test]
fn coefficients_and_weights_behind_the_lists() {
    for file in consensus() {
        for case in file.list("proposer_lists") {
            let rewards = case.list("reward_ids");
            let entries: Vec<_> = (0..)
                .zip(case.nums("stakes"))
                .map(|(i, stake)| {
                    let reward = rewards.get(i as usize).map_or(address(1000 + i), |r| address(2000 + number(r)));
                    StakingEntry { node: address(i), reward, stake }
                })
                .collect();
            let stakes = Stakes::consolidate(&entries);
            let candidates = set(0..entries.len() as u64);
            let amounts: Vec<_> = candidates.iter().map(|a| stakes.of(a)).collect();
            let name = case.text("name");
            assert!(same(gini(&amounts), &case["gini"]), "{name}: {} for {}", gini(&amounts), case["gini"]);
            let list = case.nums("list");
            let freq: Vec<_> =
                (0..amounts.len() as u64).map(|n| list.iter().filter(|l| **l == n).count() as u64).collect();
            assert_eq!(freq, case.nums("freq"), "{name}");
            let weights = weights(&amounts, case["use_gini"] == true);
            let by_address: BTreeMap<_, _> = candidates.iter().zip(weights).collect();
            let weighed: Vec<_> = (0..amounts.len() as u64).map(|n| by_address[&address(n)]).collect();
            // Without any stake everybody is in the list once, although the weight is nothing.
            assert!(weighed == freq || weighed.iter().all(|w| *w == 0), "{name}");
        }
    }
    for file in chain() {
        for case in file.list("weightedProposerLists") {
            let amounts = case.nums("stakingAmounts");
            assert!(same(gini(&amounts), &case["gini"]), "{case}");
            let weights = weights(&amounts, case["useGini"] == true);
            for (address, weight) in case.addresses("addresses").into_iter().zip(weights) {
                let expected = case["weights"].as_object().unwrap().iter();
                let expected = expected
                    .filter(|(key, _)| Address::from_slice(&common::unhex(key)) == address)
                    .map(|(_, weight)| number(weight));
                assert_eq!(expected.collect::<Vec<_>>(), [weight], "{address}");
            }
        }
    }
}

/// A coefficient, as a number or in words.
fn same(gini: f64, expected: &Value) -> bool {
    let text = expected.as_str().map_or_else(|| expected.to_string(), str::to_owned);
    match text.as_str() {
        "NaN" | "null" => gini.is_nan(),
        number => number.parse() == Ok(gini),
    }
}

#[test]
fn each_policy_of_a_committee() {
    for file in consensus() {
        for case in file.list("kaia_committee_branch") {
            let qualified = set(0..case.num("qualified"));
            let previous = || qualified.as_slice()[case.num("prev_proposer") as usize];
            let size = case.get("committee_size").map_or(22, number);
            let policy = match case.text("policy") {
                "weighted random after randao" => Policy::Randao { mix_hash: case.hash("mix_hash") },
                "round robin, round 0" => Policy::RoundRobin { previous: previous() },
                "sticky, round 0" => Policy::Sticky { previous: previous() },
                other => panic!("unknown policy {other}"),
            };
            let block = selection(&qualified, policy, size);
            let place = |who| qualified.iter().position(|a| a == who).unwrap() as u64;
            if case.get("committee").is_some() {
                let committee: Vec<_> = block.committee(0).unwrap().into_iter().map(place).collect();
                assert_eq!(committee, case.nums("committee"));
            }
            for (key, round) in [("proposer", 0), ("next", 1)] {
                if case.get(key).is_some() {
                    assert_eq!(place(block.proposer(round).unwrap()), case.num(key), "{case}");
                }
            }
        }
        let setup = &file["klaytn_v112_committee_setup"];
        assert_eq!(keccak256(setup.text("prev_hash_preimage_ascii")), setup.hash("prev_hash"));
    }
}

#[test]
fn who_is_set_aside_depends_on_policy_and_fork() {
    for file in consensus() {
        for case in file.list("demotion_by_rule") {
            let stakes = case.nums("stakes");
            let entries: Vec<_> = (1..)
                .zip(&stakes)
                .map(|(n, stake)| StakingEntry { node: address(n), reward: address(n), stake: *stake })
                .collect();
            let council = set(1..=stakes.len() as u64);
            let weighted = case.text("policy") == "weighted random";
            let aside = if demotes(1, weighted, case["istanbul_fork"] == true) {
                demoted(&council, &Stakes::consolidate(&entries), 2_000_000, None)
            } else {
                AddressSet::default()
            };
            assert_eq!(aside, set(case.nums("demoted")), "{case}");
        }
    }
    assert!(demotes(1, true, true) && !demotes(0, true, true));
}

#[test]
fn what_the_main_network_sealed() {
    for file in consensus() {
        for case in file.list("chain_committees") {
            let committee = case.addresses("committee_in_order");
            assert_eq!(committee[..2], [one(case, "proposer"), one(case, "next_distinct_proposer")]);
            let committers = case.addresses("committers");
            assert!(committers.iter().all(|who| committee.contains(who)), "{}", case.text("id"));
            let size = case.num("committee_size").min(case.list("qualified_from_extra").len() as u64) as u32;
            assert!(committers.len() >= quorum::import(size) as usize, "{}", case.text("id"));
        }
        for case in file.list("chain_proposers") {
            let council = AddressSet::new(case.addresses("sorted_council"));
            let list = proposer_list(&council, ListRule::Unshuffled, B256::ZERO);
            let block = Selection {
                number: case.num("number"),
                ..selection(&council, Policy::List { list: &list, made_at: 0, interval: 3600 }, 22)
            };
            assert_eq!(block.proposer(0).unwrap(), one(case, "round0_proposer"));
            // Up to klaytn 1.8 a quorum was 2F + 1.
            assert_eq!(u64::from(quorum::import(council.len() as u32)), case.num("required_then"));
            assert!(case.num("committed_seals") >= case.num("required_then"));
            for first in chain().iter().map(|file| &file["cypressBlock1"]) {
                assert_eq!((first.num("round"), one(first, "proposer")), (case.num("round"), one(case, "author")));
                assert_eq!(list[first.num("index") as usize], one(first, "proposer"));
            }
        }
    }
}

#[test]
fn the_block_of_the_test_network_in_all_its_fields() {
    for file in consensus() {
        let case = &file["chain_block_kairos_144654443"];
        let bytes = case.hex("header_rlp");
        let header = Header::decode_all(&bytes).unwrap();
        assert_eq!((header.number, header.timestamp), (case.num("number"), case.num("timestamp")));
        assert_eq!(header.seal_hash(), case.hash("sig_hash"));
        assert_eq!(u64::from(header.extra[31]), case.num("round"));
        assert_eq!(header.extra[..32], case.hex("vanity"));
        let (reveal, mix) = (header.random_reveal.clone().unwrap(), header.mix_hash.clone().unwrap());
        assert_eq!((reveal.to_vec(), mix.to_vec()), (case.hex("random_reveal"), case.hex("mix_hash")));
        let block = case.hex("block_rlp");
        assert!(block[3..].starts_with(&bytes), "a block begins with its header");
        // The author is the one that the parent's mix hash draws.
        let parent_mix = B256::from_slice(&mix) ^ keccak256(&reveal);
        let council = AddressSet::new(case.addresses("extra_validators_in_order"));
        assert_eq!(council.as_slice(), case.addresses("extra_validators_in_order"), "in the order of the chain");
        let drawn = selection(&council, Policy::Randao { mix_hash: parent_mix }, 22);
        assert_eq!(drawn.proposer(0).unwrap(), one(case, "author"));
        assert!(seal::seal_author(seal::proposer_digest(&header), &[0; 65]).is_none());
    }
}
