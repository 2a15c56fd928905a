//! `klay import`, `klay export` and `klay serve` as a user runs them: whole chains, killed imports, damaged files, and the
//! way of a development chain's blocks into another store.

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    thread,
    time::Duration,
};

use serde_json::{Value, json};

use crate::served::Served;

const HEAD: &str = "0xca0e85ceda109eb40cf409e62b70b45e65c2d429b2dfcbbec0edb48588bd1c93";

fn vectors() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../klay-node/tests/vectors/council-4")
}

fn klay() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_klay"));
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn import(genesis: &Path, data: &Path, file: &Path) -> Command {
    let mut command = klay();
    command.arg("import").arg("--genesis").arg(genesis).arg("--data").arg(data).arg(file);
    command
}

fn import_council(data: &Path, file: &Path) -> Command {
    import(&vectors().join("genesis.json"), data, file)
}

/// The JSON line at the end, and whether the command succeeded.
fn ended(output: &Output) -> (Value, bool) {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    let line = text.lines().last().unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    (serde_json::from_str(line).unwrap(), output.status.success())
}

fn plain() -> Vec<u8> {
    let packed = fs::File::open(vectors().join("blocks.rlp.gz")).unwrap();
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(packed).read_to_end(&mut bytes).unwrap();
    bytes
}

fn call(node: &Served, method: &str, params: &Value) -> Value {
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string();
    let mut stream = TcpStream::connect(&node.address).unwrap();
    let head = format!(
        "POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all((head + &body).as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
}

#[test]
fn a_chain_is_imported_skipped_served_and_exported() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let packed = vectors().join("blocks.rlp.gz");
    let (line, is_ok) = ended(&import_council(&data, &packed).output().unwrap());
    assert!(is_ok, "{line}");
    assert_eq!((&line["imported"], &line["head"]), (&json!(102), &json!({"number": 102, "hash": HEAD})));
    assert!(line["seconds"].as_f64().unwrap() > 0.0);

    let again = import_council(&data, &packed).output().unwrap();
    assert!(String::from_utf8_lossy(&again.stderr).contains("102 were there"));
    assert_eq!(ended(&again).0["imported"], 0);

    let node = Served::start(&["serve"], &data);
    assert_eq!(call(&node, "eth_blockNumber", &json!([]))["result"], "0x66");
    assert_eq!(call(&node, "net_version", &json!([]))["result"], "3431");
    let block = call(&node, "kaia_getBlockByNumber", &json!(["0x66", false]));
    assert_eq!(block["result"]["hash"], HEAD);
    // The states of all blocks are there.
    assert!(
        call(&node, "eth_getBalance", &json!(["0x2c39e7a3c9f35e7c56b6dfd20eaf0ada72f5e9d4", "0x7"]))["result"]
            .is_string()
    );
    node.stop();
    let node = Served::start(&["serve", "--network-id", "77"], &data);
    assert_eq!(call(&node, "net_version", &json!([]))["result"], "77");
    node.stop();

    let exported = klay().arg("export").arg("--data").arg(&data).arg("-").output().unwrap();
    assert!(exported.status.success() && exported.stdout == plain());
    let file = folder.path().join("part.rlp.gz");
    let part = klay().arg("export").arg("--data").arg(&data).args(["--first", "0", "--last", "40"]).arg(&file).output();
    assert_eq!(ended(&part.unwrap()).0, json!({"exported": 41, "first": 0, "last": 40}));
    let (line, is_ok) = ended(&import_council(&folder.path().join("other"), &file).output().unwrap());
    assert!(is_ok && line["imported"] == 40, "{line}");
}

#[test]
fn an_import_that_is_killed_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let (data, file) = (folder.path().join("data"), folder.path().join("blocks.rlp"));
    fs::write(&file, plain()).unwrap();
    for pause in [150, 400, 700, 1_000] {
        let mut process = import_council(&data, &file).spawn().unwrap();
        thread::sleep(Duration::from_millis(pause));
        process.kill().unwrap();
        process.wait().unwrap();
    }
    // Through a pipe, which shows that a stream will do.
    let mut process = import_council(&data, Path::new("-")).stdin(Stdio::piped()).spawn().unwrap();
    process.stdin.take().unwrap().write_all(&plain()).unwrap();
    let (line, is_ok) = ended(&process.wait_with_output().unwrap());
    assert!(is_ok, "{line}");
    assert_eq!(line["head"], json!({"number": 102, "hash": HEAD}));
    let exported = klay().arg("export").arg("--data").arg(&data).arg("-").output().unwrap();
    assert!(exported.stdout == plain());
}

#[test]
fn the_first_bad_block_ends_an_import_and_the_good_ones_stay() {
    let folder = tempfile::tempdir().unwrap();
    let (data, file) = (folder.path().join("data"), folder.path().join("blocks.rlp"));
    let mut bytes = plain();
    // A byte at the end of the last header, under its seal: the blocks before it are as they were.
    let at = bytes.len() - 40;
    bytes[at] ^= 4;
    fs::write(&file, bytes).unwrap();
    let output = import_council(&data, &file).output().unwrap();
    let (line, is_ok) = ended(&output);
    assert!(!is_ok);
    assert_eq!(
        (&line["imported"], &line["head"]["number"], &line["error"]["block"]),
        (&json!(101), &json!(101), &json!(102))
    );
    assert_eq!(line["error"]["rule"], "proposer seal");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("block 102 is refused by the rule on proposer seal"), "{said}");
    let (line, is_ok) = ended(&import_council(&data, &vectors().join("blocks.rlp.gz")).output().unwrap());
    assert!(is_ok && line["imported"] == 1 && line["head"]["hash"] == HEAD, "{line}");
}

#[test]
fn what_cannot_be_imported_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let file = vectors().join("blocks.rlp.gz");
    let failed = |output: Output| {
        assert!(!output.status.success());
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    assert!(failed(klay().arg("serve").arg("--data").arg(&data).output().unwrap()).contains("there is no chain"));
    assert!(
        failed(klay().arg("export").arg("--data").arg(&data).arg("-").output().unwrap()).contains("there is no chain")
    );
    let without = klay().arg("import").arg("--data").arg(&data).arg(&file).output().unwrap();
    assert!(failed(without).contains("--genesis"));
    assert!(failed(import_council(&data, &folder.path().join("none")).output().unwrap()).contains("none"));
    assert!(!data.exists());
    assert!(ended(&import_council(&data, &file).output().unwrap()).1);
    let other = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../klay-vm/tests/vectors/chains/rebalance");
    let message = failed(import(&other.join("genesis.json"), &data, &other.join("blocks.rlp")).output().unwrap());
    assert!(message.contains("belong to another chain"), "{message}");
}

#[test]
fn the_blocks_of_a_development_chain_are_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let genesis = folder.path().join("genesis.json");
    let printed = klay().args(["genesis", "dev"]).output().unwrap();
    assert!(printed.status.success());
    fs::write(&genesis, printed.stdout).unwrap();
    let (made, copy) = (folder.path().join("made"), folder.path().join("copy"));
    let dev = Served::start(&["dev", "--block-time", "0"], &made);
    let accounts = call(&dev, "eth_accounts", &json!([]))["result"].clone();
    for to in 1..6 {
        let payment = json!({"from": accounts[0], "to": accounts[to], "value": "0x1", "gas": "0x5208"});
        let sent = call(&dev, "eth_sendTransaction", &json!([payment]));
        let hash = sent["result"].as_str().unwrap_or_else(|| panic!("{sent}"));
        while call(&dev, "eth_getTransactionReceipt", &json!([hash]))["result"].is_null() {
            thread::sleep(Duration::from_millis(20));
        }
    }
    let head = call(&dev, "eth_getBlockByNumber", &json!(["latest", false]))["result"].clone();
    dev.stop();
    let file = folder.path().join("dev.rlp.gz");
    assert!(klay().arg("export").arg("--data").arg(&made).arg(&file).status().unwrap().success());
    let (line, is_ok) = ended(&import(&genesis, &copy, &file).output().unwrap());
    assert!(is_ok, "{line}");
    assert_eq!(line["head"]["hash"], head["hash"]);
}
