//! `admin_`: the node itself, its peers, and its chain as a file.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufWriter, Cursor, Read, Write},
    path::Path,
    sync::Arc,
};

use alloy_primitives::{U256, hex};
use flate2::{Compression, write::GzEncoder};
use serde_json::{Value, json};

use super::kni;
use crate::{
    export::{ExportError, export},
    network::{BadPeerAddress, Network, PeerAddress, PeerInfo},
    rpc::{
        Namespace, RpcError, Services, Table,
        decode::BlockNumber,
        shapes::{Object, Put, number},
    },
};

const ADMIN: [Namespace; 1] = [Namespace::Admin];
/// What the reference client calls the protocol of its nodes.
const PROTOCOL: &str = "istanbul";

pub(super) fn add(table: &mut Table, services: &Arc<Services>) {
    let s = Arc::clone(services);
    table.heavy(&ADMIN, "nodeInfo", move |()| node_info(&s));
    let s = Arc::clone(services);
    table.quick(&ADMIN, "peers", move |()| {
        let mut peers = s.node.network().map(Network::peers).unwrap_or_default();
        peers.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(peers.iter().map(peer).collect::<Vec<_>>())
    });
    // Without a network nobody is ever connected, whoever is named.
    if services.node.network().is_none() {
        for name in ["addPeer", "removePeer"] {
            table.quick(&ADMIN, name, |(address,): (String,)| {
                let checked = kni::check(&address);
                checked.map(|()| true).map_err(|fault| RpcError::failed(format!("invalid kni: {fault}")))
            });
        }
    }
    let s = Arc::clone(services);
    table.quick(&ADMIN, "datadir", move |()| {
        Ok(s.node.folder().map(|folder| folder.display().to_string()).unwrap_or_default())
    });
}

/// Whom the node connects to.
pub(super) fn add_peers(table: &mut Table, network: &Network) {
    let to = network.clone();
    table.quick(&ADMIN, "addPeer", move |(address,): (String,)| Ok(to.keep(peer_address(&address)?)));
    let to = network.clone();
    table.quick(&ADMIN, "removePeer", move |(address,): (String,)| Ok(to.forget(peer_address(&address)?)));
}

/// What reads and writes files of this machine, and takes blocks.
pub(super) fn add_files(table: &mut Table, services: &Arc<Services>) {
    let s = Arc::clone(services);
    table.trace(&ADMIN, "exportChain", move |(file, first, last): ExportChain| export_chain(&s, &file, first, last));
    let s = Arc::clone(services);
    table.trace(&ADMIN, "importChain", move |(file,): (String,)| {
        import(&s, File::open(&file).map_err(|error| failed_open(&file, &error))?)
    });
    let s = Arc::clone(services);
    table
        .trace(&ADMIN, "importChainFromString", move |(blocks,): (String,)| import(&s, Cursor::new(from_hex(&blocks))));
}

type ExportChain = (String, Option<BlockNumber>, Option<BlockNumber>);

fn node_info(s: &Services) -> Result<Value, RpcError> {
    let network = s.node.network();
    let listen = network.and_then(|network| network.addresses().into_iter().next()).unwrap_or_default();
    let (ip, port) = socket(&listen);
    let randomness = s.node.randomness();
    let mut info = Object::new();
    info.put("id", network.map_or_else(|| s.node_address().to_string(), |network| network.id().to_string()));
    info.put("name", s.client_version.clone());
    info.put("kni", listen.clone());
    info.put("ip", ip);
    info.put("ports", json!({ "discovery": port, "listener": port }));
    info.put("listenAddr", if port == 0 { String::new() } else { format!("{ip}:{port}") });
    info.put("protocols", json!({ PROTOCOL: chain_info(s)? }));
    info.put("nodeAddress", s.node_address().to_string());
    info.put(
        "blsPublicKeyInfo",
        json!({
            "publicKey": randomness.map_or_else(String::new, |key| hex::encode(key.public)),
            "pop": randomness.map_or_else(String::new, |key| hex::encode(key.proof)),
        }),
    );
    Ok(Value::Object(info))
}

fn chain_info(s: &Services) -> Result<Value, RpcError> {
    let head = s.node.chain().head();
    Ok(json!({
        "network": s.node.network_id(),
        // Every block of a chain with validators has score 1.
        "blockscore": number(U256::from(head.number()).saturating_add(U256::ONE)),
        "genesis": s.node.chain().genesis_hash(),
        "config": serde_json::to_value(s.node.config()).map_err(RpcError::from_error)?,
        "head": head.hash,
    }))
}

fn peer(peer: &PeerInfo) -> Value {
    json!({
        "id": peer.id,
        "name": "",
        "caps": [],
        "networks": [{ "nodeType": peer.role.name() }],
        "protocols": { PROTOCOL: { "blockscore": number(U256::from(peer.head).saturating_add(U256::ONE)) } },
    })
}

/// Nodes here speak libp2p: those of the reference client are no peers.
fn peer_address(text: &str) -> Result<PeerAddress, RpcError> {
    text.parse().map_err(|error: BadPeerAddress| RpcError::failed(format!("invalid kni: {error}")))
}

/// Host and port of a multiaddress like `/ip4/127.0.0.1/tcp/32323/..`.
fn socket(address: &str) -> (&str, u16) {
    let mut parts = address.split('/').skip(2);
    let ip = parts.next().unwrap_or_default();
    (ip, parts.nth(1).and_then(|port| port.parse().ok()).unwrap_or_default())
}

fn export_chain(
    s: &Services,
    file: &str,
    first: Option<BlockNumber>,
    last: Option<BlockNumber>,
) -> Result<bool, RpcError> {
    if Path::new(file).exists() {
        return Err(RpcError::failed("location would overwrite an existing file"));
    }
    if first.is_none() && last.is_some() {
        return Err(RpcError::failed("last cannot be specified without first"));
    }
    let first = first.map_or(0, |first| s.height(first));
    let last = last.map_or_else(|| s.node.chain().head().number(), |last| s.height(last));
    // Another process may have made the file meanwhile.
    let out = OpenOptions::new().write(true).create_new(true).open(file).map_err(|error| failed_open(file, &error))?;
    if first > last {
        return Err(RpcError::failed(format!("export failed: first ({first}) is greater than last ({last})")));
    }
    let write = |out: &mut dyn Write| export(s.node.chain(), first..=last, out).map(|_| ());
    let written = if file.ends_with(".gz") {
        let mut out = GzEncoder::new(BufWriter::new(out), Compression::default());
        write(&mut out).and_then(|()| Ok(out.finish()?.flush()?))
    } else {
        write(&mut BufWriter::new(out))
    };
    match written {
        Ok(()) => Ok(true),
        Err(ExportError::Chain(crate::chain::ChainError::NoBlock { number })) => {
            Err(RpcError::failed(format!("export failed on #{number}: not found")))
        }
        Err(error) => Err(RpcError::from_error(error)),
    }
}

/// Takes the blocks that are not there yet.
fn import(s: &Services, blocks: impl Read + Send) -> Result<bool, RpcError> {
    s.node.import(blocks).map(|_| true).map_err(RpcError::from_error)
}

fn failed_open(file: &str, error: &io::Error) -> RpcError {
    let why = match error.kind() {
        io::ErrorKind::NotFound => "no such file or directory".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => error.to_string(),
    };
    RpcError::failed(format!("open {file}: {why}"))
}

/// Bytes of hex as the reference client reads it here: the prefix may be missing, and what is no hex ends it.
fn from_hex(text: &str) -> Vec<u8> {
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text);
    let padded = if digits.len().is_multiple_of(2) { digits.to_owned() } else { format!("0{digits}") };
    let valid = padded.bytes().position(|digit| !digit.is_ascii_hexdigit()).unwrap_or(padded.len()) & !1;
    padded.get(..valid).and_then(|digits| hex::decode(digits).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_without_prefix_and_with_odd_digits_is_read() {
        assert_eq!(from_hex("0xabc"), [0x0a, 0xbc]);
        assert_eq!(from_hex("abcd"), [0xab, 0xcd]);
        assert_eq!(from_hex("abzz"), [0xab]);
        assert!(from_hex("").is_empty() && from_hex("\u{e9}\u{e9}").is_empty());
    }

    #[test]
    fn a_multiaddress_names_host_and_port() {
        assert_eq!(socket("/ip4/127.0.0.1/tcp/32323/p2p/x"), ("127.0.0.1", 32323));
        assert_eq!(socket(""), ("", 0));
    }
}
