//! Hosts of their own: network namespaces on one of two bridges.

#![allow(unreachable_pub, missing_debug_implementations)]

use std::{
    path::Path,
    process::{Child, Command, Stdio},
};

use crate::nodes::{Node, program};

/// Namespaces with one link each, removed when this is dropped.
pub struct Hosts {
    name: &'static str,
    net: u8,
    count: u8,
    processes: Vec<Child>,
}

fn ip(arguments: &str) -> bool {
    let arguments: Vec<&str> = arguments.split_whitespace().collect();
    Command::new("ip").args(arguments).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

impl Hosts {
    /// `count` hosts 10.`net`.0.1 and so on, if there is the right to make them; `name` has at most 7 letters.
    pub fn new(name: &'static str, net: u8, count: u8) -> Option<Self> {
        let hosts = Self { name, net, count, processes: Vec::new() };
        hosts.remove();
        let is_made = ip(&format!("link add {name}br0 type bridge"))
            && ip(&format!("link add {name}br1 type bridge"))
            && ip(&format!("addr add 10.{net}.0.254/24 dev {name}br0"))
            && ip(&format!("link set {name}br0 up"))
            && ip(&format!("link set {name}br1 up"))
            && (0..count).all(|n| {
                ip(&format!("netns add {name}{n}"))
                    && ip(&format!("link add v{name}{n} type veth peer name eth0 netns {name}{n}"))
                    && ip(&format!("link set v{name}{n} master {name}br0 up"))
                    && ip(&format!("-n {name}{n} addr add {}/24 dev eth0", hosts.address(n)))
                    && ip(&format!("-n {name}{n} link set eth0 up"))
                    && ip(&format!("-n {name}{n} link set lo up"))
            });
        // Otherwise what was made is removed as this is dropped.
        is_made.then_some(hosts)
    }

    pub fn address(&self, n: u8) -> String {
        format!("10.{}.0.{}", self.net, n + 1)
    }

    /// All addresses, as `klay init --host` takes them.
    pub fn addresses(&self) -> String {
        (0..self.count).map(|n| self.address(n)).collect::<Vec<_>>().join(",")
    }

    /// The folders of a network with a node on each host.
    pub fn init(&self, folder: &Path, more: &[&str]) {
        let mut command = Command::new(program());
        command.arg("init").arg(format!("--host={}", self.addresses())).args(["--http=0.0.0.0:8551", "--ws=off"]);
        let written = command.args(more).arg("--data").arg(folder).stdout(Stdio::null()).status().unwrap();
        assert!(written.success());
    }

    /// Runs the node of a host.
    pub fn start(&mut self, n: u8, folder: &Path, more: &[&str]) {
        let node = folder.join(format!("node{n}"));
        let log = std::fs::OpenOptions::new().create(true).append(true).open(node.join("log")).unwrap();
        let process = Command::new("ip")
            .args(["netns", "exec", &format!("{}{n}", self.name)])
            .arg(program())
            .args(["node", "--config"])
            .arg(node.join("node.json"))
            .args(more)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        self.processes.push(process);
    }

    pub fn node(&self, n: u8) -> Node {
        Node::new(format!("http://{}:8551", self.address(n)))
    }

    /// Puts a host on this bridge: those on different ones do not see each other.
    pub fn plug(&self, n: u8, bridge: u8) {
        let name = self.name;
        assert!(ip(&format!("link set v{name}{n} master {name}br{bridge}")));
    }

    fn remove(&self) {
        let name = self.name;
        for n in 0..self.count {
            ip(&format!("netns del {name}{n}"));
            ip(&format!("link del v{name}{n}"));
        }
        ip(&format!("link del {name}br0"));
        ip(&format!("link del {name}br1"));
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        for process in &mut self.processes {
            let _ended = process.kill();
            let _ended = process.wait();
        }
        self.remove();
    }
}
