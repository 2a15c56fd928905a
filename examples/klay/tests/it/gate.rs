//! A key that has signed does not sign without its memory, in real processes: lost, older and foreign logs are refused,
//! and there are two ways to go on: an operator's word, and the key's memory from another machine.

use std::fs;

use serde_json::{Value, json};

use crate::nodes::{Network, WAIT, until};

/// Who has committed to a block.
fn committers(network: &Network, node: u16, number: u64) -> Vec<String> {
    let block = network.node(node).call("kaia_getBlockWithConsensusInfoByNumber", &json!([number])).unwrap();
    let committers = block["committers"].as_array().unwrap_or_else(|| panic!("{block}"));
    committers.iter().map(|who| who.as_str().unwrap().to_lowercase()).collect()
}

#[test]
fn a_lost_log_is_refused_until_an_operator_says_how_to_go_on() {
    goes_on_without_its_log("istanbul");
}

/// Its slots are views: the operator's block has to become one.
#[test]
fn a_lost_log_of_simplex_is_refused_until_an_operator_says_how_to_go_on() {
    goes_on_without_its_log("simplex");
}

fn goes_on_without_its_log(engine: &str) {
    let mut network = Network::start(engine, 4, 0, &[]);
    network.wait_for_block(3, &[0, 1, 2, 3]);
    network.stop();
    let me = format!("{:?}", network.address(0)).to_lowercase();

    fs::remove_dir_all(network.folder_of(0).join("consensus")).unwrap();
    let refused = network.refusal(0);
    assert!(refused.contains("the key has signed in block") && refused.contains("the log ends at none"), "{refused}");
    let refused = network.refusal_with(0, &["--resume-floor", "2"]);
    assert!(refused.contains("cannot resume above block 2: the key has signed in block"), "{refused}");

    // The three others go on; the fourth follows, and speaks again above the floor.
    for index in 1..4 {
        network.restart(index);
    }
    network.wait_for_block(4, &[1, 2, 3]);
    let floor = network.node(1).head() + 4;
    network.restart_with(0, &["--resume-floor", &floor.to_string()]);
    network.wait_for_block(floor + 4, &[0, 1, 2, 3]);
    until(WAIT, "node 0 to commit", || {
        let head = network.node(1).head();
        (floor + 1..=head).any(|number| committers(&network, 1, number).contains(&me))
    });
    for number in floor - 3..=floor {
        assert!(!committers(&network, 1, number).contains(&me), "block {number}, floor {floor}");
    }
    network.check_equal(&[0, 1, 2, 3]);

    // The floor is in the log: the next start needs no word.
    network.stop_restarted();
    for index in 0..4 {
        network.restart(index);
    }
    network.wait_for_block(floor + 6, &[0, 1, 2, 3]);
}

#[test]
fn a_key_moves_with_its_memory_and_not_without() {
    let mut network = Network::start("istanbul", 4, 0, &[]);
    network.wait_for_block(2, &[0, 1, 2, 3]);
    let running = network.refusal_with(0, &["--export-gate"]);
    assert!(running.contains("does a node run on it?"), "{running}");
    network.stop();

    let exported = network.run(0, &["--export-gate"], "");
    assert!(exported.status.success(), "{}", String::from_utf8_lossy(&exported.stderr));
    let line = String::from_utf8(exported.stdout).unwrap();
    assert_eq!(line.lines().count(), 1, "{line}");
    let state: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(state["engine"], "istanbul");
    assert_eq!(state["key"].as_str().unwrap(), format!("{:?}", network.address(0)).to_lowercase());
    assert!(state["anchor"].as_u64().unwrap() >= 2 && state["floor"].as_u64().unwrap() >= 1, "{line}");

    // Here it would be the second memory of the key, and there it is another key's.
    let taken = network.refusal_with(0, &["--import-gate", "/dev/null"]);
    assert!(taken.contains("no gate state"), "{taken}");
    let twice = network.run(0, &["--import-gate", "-"], &line);
    assert!(String::from_utf8(twice.stderr).unwrap().contains("there is a consensus log already"));
    let other = network.run(1, &["--import-gate", "-"], &line);
    assert!(String::from_utf8(other.stderr).unwrap().contains("the state belongs to key"));

    // Another machine: the chain is there, log and anchor are not.
    for folder in ["consensus", "key"] {
        fs::remove_dir_all(network.folder_of(0).join(folder)).unwrap();
    }
    let imported = network.run(0, &["--import-gate", "-"], &line);
    assert!(imported.status.success(), "{}", String::from_utf8_lossy(&imported.stderr));
    network.begin();
    network.wait_for_block(state["anchor"].as_u64().unwrap() + 3, &[0, 1, 2, 3]);
    network.check_equal(&[0, 1, 2, 3]);
}

#[test]
fn a_log_of_another_key_chain_or_engine_is_refused() {
    let mut network = Network::start("justified", 4, 0, &[]);
    network.wait_for_block(2, &[0, 1, 2, 3]);
    network.stop();

    // Another engine over the same chain.
    let refused = network.refusal_with(0, &["--engine", "simplex"]);
    assert!(refused.contains("with engine justified, not to key"), "{refused}");

    // Another key in the same folder.
    let other = network.folder_of(1).join("nodekey");
    let refused = network.refusal_with(0, &["--key", other.to_str().unwrap()]);
    assert!(refused.contains(&format!("belongs to key {:?}", network.address(0)).to_lowercase()), "{refused}");

    // Another chain: over the same store, and over a new one beside the old log.
    let path = network.folder_of(0).join("node.json");
    let config: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let mut genesis: Value = serde_json::from_str(
        &fs::read_to_string(network.folder_of(0).join(config["genesis"].as_str().unwrap())).unwrap(),
    )
    .unwrap();
    let chain_id = genesis["config"]["chainId"].as_u64().unwrap();
    genesis["config"]["chainId"] = json!(chain_id + 1);
    let (altered, fresh) = (network.folder.path().join("altered.json"), network.folder.path().join("fresh"));
    fs::write(&altered, genesis.to_string()).unwrap();
    let genesis = altered.to_str().unwrap();
    network.refusal_with(0, &["--genesis", genesis]);
    fs::create_dir(&fresh).unwrap();
    fs::rename(network.folder_of(0).join("consensus"), fresh.join("consensus")).unwrap();
    let refused = network.refusal_with(0, &["--genesis", genesis, "--data", fresh.to_str().unwrap()]);
    let (ours, theirs) = (format!("on chain {chain_id} with"), format!("on chain {} with", chain_id + 1));
    assert!(refused.contains(&ours) && refused.contains(&theirs), "{refused}");
    fs::rename(fresh.join("consensus"), network.folder_of(0).join("consensus")).unwrap();

    // Another folder for data, without the log: the anchor is found where the key lies.
    let empty = network.folder.path().join("empty");
    let refused = network.refusal_with(0, &["--data", empty.to_str().unwrap()]);
    assert!(refused.contains("the key has signed in block"), "{refused}");

    // Nothing of that has done harm.
    network.begin();
    network.wait_for_block(4, &[0, 1, 2, 3]);
    let validators: Vec<_> = (0..4).map(|n| format!("{:?}", network.address(n)).to_lowercase()).collect();
    let committed = committers(&network, 1, 4);
    assert!(committed.len() >= 3 && committed.iter().all(|who| validators.contains(who)), "{committed:?}");
}
