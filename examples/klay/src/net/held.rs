//! The network that a folder holds, beside what the options ask for.

use std::{error::Error, fmt::Display, path::Path};

use klay_core::genesis::Genesis;
use klay_node::{driver::EngineKind, network::Role};
use klay_vm::system::bls_registrar;

use super::{
    config::{NodeFile, read_genesis},
    plan::{CONFIG, GENESIS, Shape, read_alloc},
};

/// A network in a folder.
#[derive(Debug)]
pub(super) struct Held {
    /// Its nodes in order.
    pub(super) nodes: Vec<HeldNode>,
    engine: EngineKind,
    genesis: Genesis,
}

/// One of its nodes.
#[derive(Debug)]
pub(super) struct HeldNode {
    pub(super) role: Role,
    pub(super) block_time: u64,
    pub(super) http: String,
    pub(super) ws: String,
}

impl Held {
    /// Reads the genesis and the nodes' files.
    pub(super) fn read(folder: &Path) -> Result<Self, Box<dyn Error>> {
        let genesis = read_genesis(&folder.join(GENESIS))?;
        let (mut nodes, mut engine) = (Vec::new(), None);
        for index in 0.. {
            let path = folder.join(format!("node{index}")).join(CONFIG);
            if !path.exists() {
                break;
            }
            let file = NodeFile::read(&path)?;
            let (role, own, block_time) = (file.role()?, file.engine()?, file.block_time());
            let first = *engine.get_or_insert(own);
            if own != first {
                return Err(format!("{}: engine {}, not {} as node0", path.display(), own.name(), first.name()).into());
            }
            let (http, ws) = (file.http.unwrap_or_default(), file.ws.unwrap_or_default());
            nodes.push(HeldNode { role, block_time, http, ws });
        }
        let engine = engine.ok_or_else(|| format!("{} holds {GENESIS} but no node0/{CONFIG}", folder.display()))?;
        Ok(Self { nodes, engine, genesis })
    }

    /// Which network it is.
    pub(super) fn title(&self) -> String {
        format!("network of chain {}, engine {}", self.genesis.config.chain_id, self.engine.name())
    }

    /// Refuses an option that says otherwise than `folder`, where this was read. What was not given agrees with
    /// everything; of `--alloc` it is asked that the genesis has each of its accounts.
    pub(super) fn check(&self, wanted: &Shape, folder: &Path) -> Result<(), Box<dyn Error>> {
        const ADVICE: &str = "give another --data or remove it";
        let folder = folder.display();
        if let Some(difference) = self.difference(wanted) {
            return Err(format!("{folder} was made with {difference}; {ADVICE}").into());
        }
        let Some(file) = &wanted.alloc else { return Ok(()) };
        for (address, account) in read_alloc(file)? {
            if self.genesis.alloc.get(&address) != Some(&account) {
                let file = file.display();
                return Err(format!("{folder} was made without account {address} of {file}; {ADVICE}").into());
            }
        }
        Ok(())
    }

    fn difference(&self, wanted: &Shape) -> Option<String> {
        let count = |role| self.nodes.iter().filter(|node| node.role == role).count();
        let config = &self.genesis.config;
        // Zero where the genesis, then written by hand, has none.
        let epoch = config.istanbul.as_ref().map_or(0, |istanbul| istanbul.epoch);
        let registrar = bls_registrar(&self.genesis).unwrap_or_default();
        [
            differs("--validators", count(Role::Consensus), wanted.validators.map(usize::from)),
            differs("--endpoints", count(Role::Endpoint), wanted.endpoints.map(usize::from)),
            differs("--proxies", count(Role::Proxy), wanted.proxies.map(usize::from)),
            differs("--engine", self.engine.name(), wanted.engine.map(EngineKind::name)),
            differs("--chain-id", config.chain_id, wanted.chain_id),
            differs("--epoch", epoch, wanted.epoch),
            differs("--registrar", registrar, wanted.registrar),
        ]
        .into_iter()
        .chain(self.nodes.iter().map(|node| differs("--block-time", node.block_time, wanted.block_time)))
        .find_map(|difference| difference)
    }
}

fn differs<T: PartialEq + Display>(option: &str, held: T, given: Option<T>) -> Option<String> {
    given.filter(|given| *given != held).map(|given| format!("{option} {held}, not {given}"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::fs;

    use clap::Parser;
    use klay_core::Address;

    use super::*;
    use crate::net::plan::Place;

    #[derive(Debug, Parser)]
    struct Options {
        #[command(flatten)]
        shape: Shape,
    }

    fn shape(options: &str) -> Shape {
        Options::parse_from(["network"].into_iter().chain(options.split_whitespace())).shape
    }

    fn made(folder: &Path, options: &str) -> Held {
        let (shape, place) = (shape(options), || "127.0.0.1:1".to_owned());
        let place = |_| Place { listen: place(), reach: place(), http: place(), ws: place() };
        shape.write(folder, &shape.roles().into_iter().map(place).collect::<Vec<_>>()).unwrap();
        Held::read(folder).unwrap()
    }

    #[test]
    fn options_that_are_not_given_are_those_of_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let options = "--validators 2 --endpoints 1 --engine simplex --chain-id 77 --block-time 3 --epoch 40";
        let held = made(folder.path(), options);
        held.check(&shape(""), folder.path()).unwrap();
        held.check(&shape(options), folder.path()).unwrap();
        held.check(&shape("--epoch 40 --proxies 0"), folder.path()).unwrap();
        assert_eq!(held.title(), "network of chain 77, engine simplex");
        let roles: Vec<_> = held.nodes.iter().map(|node| node.role).collect();
        assert_eq!(roles, [Role::Consensus, Role::Consensus, Role::Endpoint]);
    }

    #[test]
    fn an_option_that_contradicts_the_folder_is_refused_with_both_sides() {
        let folder = tempfile::tempdir().unwrap();
        let registrar = Address::repeat_byte(1);
        let held = made(folder.path(), &format!("--validators 2 --endpoints 1 --epoch 40 --registrar {registrar}"));
        let other = Address::repeat_byte(2);
        for (option, held_value, given) in [
            ("--validators", "2", "1"),
            ("--endpoints", "1", "0"),
            ("--proxies", "0", "1"),
            ("--engine", "istanbul", "simplex"),
            ("--chain-id", "1337", "1338"),
            ("--block-time", "1", "2"),
            ("--epoch", "40", "41"),
            ("--registrar", &*registrar.to_string(), &*other.to_string()),
        ] {
            let refused = held.check(&shape(&format!("{option} {given}")), folder.path()).unwrap_err().to_string();
            let wanted = format!(
                "{} was made with {option} {held_value}, not {given}; give another --data or remove it",
                folder.path().display()
            );
            assert_eq!(refused, wanted);
        }
    }

    #[test]
    fn accounts_are_those_of_the_genesis() {
        let folder = tempfile::tempdir().unwrap();
        let address = Address::repeat_byte(3);
        let alloc = |name: &str, balance: &str| {
            let path = folder.path().join(name);
            fs::write(&path, format!(r#"{{"{address}":{{"balance":"{balance}","storage":{{"0x01":"0x02"}}}}}}"#))
                .unwrap();
            format!("--validators 1 --alloc {}", path.display())
        };
        let (first, second) = (alloc("first.json", "0x10"), alloc("second.json", "0x11"));
        let held = made(&folder.path().join("net"), &first);
        held.check(&shape(&first), folder.path()).unwrap();
        let refused = held.check(&shape(&second), folder.path()).unwrap_err().to_string();
        assert!(refused.contains(&format!("was made without account {address} of ")), "{refused}");
    }

    #[test]
    fn nodes_with_different_engines_are_no_network_nor_is_a_genesis_alone() {
        let folder = tempfile::tempdir().unwrap();
        made(folder.path(), "--validators 2");
        let path = folder.path().join("node1").join(CONFIG);
        fs::write(&path, fs::read_to_string(&path).unwrap().replace("istanbul", "simplex")).unwrap();
        let refused = Held::read(folder.path()).unwrap_err().to_string();
        assert!(refused.ends_with("node.json: engine simplex, not istanbul as node0"), "{refused}");
        fs::remove_dir_all(folder.path().join("node0")).unwrap();
        let refused = Held::read(folder.path()).unwrap_err().to_string();
        assert!(refused.ends_with("holds genesis.json but no node0/node.json"), "{refused}");
    }
}
