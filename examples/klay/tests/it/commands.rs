//! The commands that read a line and answer with a line, run as a user runs them.

use std::{
    io::Write,
    path::Path,
    process::{Command, Output, Stdio},
};

use serde_json::{Value, json};

const ALICE: &str = "0x0000000000000000000000000000000000000000000000000000000000000001";
const BOB: &str = "0x0000000000000000000000000000000000000000000000000000000000000002";
const ALICE_ADDRESS: &str = "0x7e5f4552091a69125d5dfcb7b8c2659029395bdf";
const BOB_ADDRESS: &str = "0x2b5ad5c4795c026514f8317c7a215e218dccd6cf";

fn klay(args: &[&str], stdin: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_klay"))
        .args(args)
        .env("ALICE", ALICE)
        .env("BOB", BOB)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(stdin.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn lines(output: &Output) -> Vec<Value> {
    String::from_utf8_lossy(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn text(output: &Output) -> String {
    assert!(output.status.success(), "{}{}", text_of(&output.stderr), text_of(&output.stdout));
    text_of(&output.stdout)
}

fn text_of(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim().to_owned()
}

fn vectors(path: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path);
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn transfer(type_int: u16) -> Value {
    let mut transfer = json!({
        "typeInt": type_int, "from": ALICE_ADDRESS, "to": BOB_ADDRESS, "value": "0x1", "gas": "0xea60",
        "gasPrice": "0x5d21dba00", "nonce": "0x0",
    });
    if type_int == 0x0a {
        transfer["feeRatio"] = json!(30);
    }
    transfer
}

#[test]
fn every_transaction_type_decodes_to_its_hashes_and_back_to_its_bytes() {
    let vectors = vectors("klay-feedeleg/tests/vectors/transactions.json");
    let decodable: Vec<&Value> =
        vectors["vectors"].as_array().unwrap().iter().filter(|v| v["nodeDecodable"] != json!(false)).collect();
    let input: Vec<&str> = decodable.iter().map(|v| v["raw"].as_str().unwrap()).collect();
    let output = klay(&["tx", "decode", "-"], &input.join("\n"));
    assert!(output.status.success());
    let answers = lines(&output);
    assert_eq!(answers.len(), decodable.len());
    for (vector, answer) in decodable.iter().zip(&answers) {
        let name = &vector["name"];
        for member in ["type", "typeInt", "raw", "recoveredSenders"] {
            assert_eq!(answer[member], vector[member], "{name}: {member}");
        }
        for (member, expected) in vector["rpcFields"].as_object().into_iter().flatten() {
            assert_eq!(&answer[member], expected, "{name}: {member}");
        }
    }
}

#[test]
fn the_members_of_a_decoded_transaction_stand_in_order() {
    let raw = text(&klay(&["tx", "sign", "--chain-id", "1337", "--key-env", "ALICE", &transfer(0x08).to_string()], ""));
    let answer = text(&klay(&["tx", "decode", &raw], ""));
    let order = [
        "type",
        "typeInt",
        "hash",
        "senderTxHash",
        "sigHash",
        "feePayerSigHash",
        "recoveredSenders",
        "recoveredFeePayers",
        "raw",
    ];
    let places: Vec<usize> = order.iter().map(|name| answer.find(&format!("\"{name}\":")).unwrap()).collect();
    assert!(places.is_sorted(), "{answer}");
}

#[test]
fn a_bad_line_is_answered_and_the_rest_goes_on() {
    let good =
        text(&klay(&["tx", "sign", "--chain-id", "1337", "--key-env", "ALICE", &transfer(0x08).to_string()], ""));
    let output = klay(&["tx", "decode"], &format!("0x08f8\nnot hex\n\n{good}\n{good}00\n"));
    assert_eq!(output.status.code(), Some(1));
    let answers = lines(&output);
    assert_eq!(answers.len(), 4);
    assert_eq!(answers[0]["offset"], json!(1));
    assert!(answers[1]["error"].as_str().unwrap().contains("hex"));
    assert_eq!(answers[2]["type"], json!("TxTypeValueTransfer"));
    assert_eq!(answers[3]["offset"], json!((good.len() - 2) / 2));
}

#[test]
fn sender_and_fee_payer_sign_one_after_the_other() {
    for type_int in [0x09, 0x0a] {
        let asked = text(&klay(
            &["tx", "sign", "--chain-id", "1337", "--key-env", "ALICE", &transfer(type_int).to_string()],
            "",
        ));
        let whole = text(&klay(&["tx", "sign-as-fee-payer", "--chain-id", "1337", "--key-env", "BOB", "-"], &asked));
        let answer = &lines(&klay(&["tx", "decode", &whole], ""))[0];
        assert_eq!(answer["recoveredSenders"], json!([ALICE_ADDRESS]));
        assert_eq!(answer["recoveredFeePayers"], json!([BOB_ADDRESS]));
        assert_eq!(answer["feePayer"], json!(BOB_ADDRESS));
        assert_eq!(answer["raw"], json!(whole));
    }
}

#[test]
fn several_keys_sign_at_once_or_one_after_the_other() {
    let sign =
        |keys: &str, input: &str| text(&klay(&["tx", "sign", "--chain-id", "1337", "--key-env", keys, "-"], input));
    let at_once = sign("ALICE,BOB", &transfer(0x08).to_string());
    let in_turn = sign("BOB", &sign("ALICE", &transfer(0x08).to_string()));
    assert_eq!(at_once, in_turn);
    let answer = &lines(&klay(&["tx", "decode", &at_once], ""))[0];
    assert_eq!(answer["recoveredSenders"], json!([ALICE_ADDRESS, BOB_ADDRESS]));
}

#[test]
fn a_secret_key_comes_from_standard_input_and_shows_nowhere() {
    let output = klay(&["tx", "sign", "--chain-id", "1337", "--key-stdin", &transfer(0x08).to_string()], ALICE);
    let raw = text(&output);
    assert_eq!(lines(&klay(&["tx", "decode", &raw], ""))[0]["recoveredSenders"], json!([ALICE_ADDRESS]));
    let wrong = klay(&["tx", "sign", "--chain-id", "1337", "--key-stdin", "{}"], "0x1234");
    assert!(!wrong.status.success());
    assert!(!text_of(&wrong.stderr).contains("1234"));
}

#[test]
fn account_keys_go_to_json_and_back() {
    let keys = "0x80\n0x01c0\n0x03c0\n0x02a10279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798";
    let decoded = text(&klay(&["key", "decode"], keys));
    assert_eq!(text(&klay(&["key", "encode"], &decoded.lines().skip(1).collect::<Vec<_>>().join("\n"))), {
        keys.lines().skip(1).collect::<Vec<_>>().join("\n")
    });
    let bad = klay(&["key", "decode", "0x06c0"], "");
    assert_eq!(bad.status.code(), Some(1));
    assert!(lines(&bad)[0]["error"].as_str().unwrap().contains("undefined account key type"));
}

#[test]
fn a_leaf_shows_as_the_account_object() {
    let answer = &lines(&klay(&["account", "decode", "0x01c92a84123456788001c0"], ""))[0];
    assert_eq!(answer["accType"], json!(1));
    assert_eq!(answer["account"]["nonce"], json!(42));
    assert_eq!(answer["account"]["balance"], json!("0x12345678"));
    assert!(!klay(&["account", "decode", "0x00c580808001c0"], "").status.success());
}

#[test]
fn the_public_networks_have_their_genesis_hashes() {
    for (network, hash) in [
        ("cypress", "0xc72e5293c3c3ba38ed8ae910f780e4caaa9fb95e79784f7ab74c3c262ea7137e"),
        ("baobab", "0xe33ff05ceec2581ca9496f38a2bf9baad5d4eed629e896ccb33d1dc991bc4b4a"),
    ] {
        let answer = &lines(&klay(&["genesis", "hash", "--network", network], ""))[0];
        assert_eq!(answer["hash"], json!(hash));
        assert_eq!(answer["header"]["stateRoot"], answer["stateRoot"]);
    }
    assert!(!klay(&["genesis", "hash", "--network", "nowhere"], "").status.success());
}
