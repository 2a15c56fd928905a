//! `klay network`: a network on this machine, each node a process of its own.

use std::{
    error::Error,
    fs,
    io::Write as _,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode, Stdio},
    time::{Duration, Instant},
};

use clap::Parser;
use klay_node::{
    dev::{self, DevAccounts},
    network::Role,
};

use super::{
    config::NodeFile,
    held::Held,
    node::LIFELINE,
    plan::{CONFIG, GENESIS, Place, Shape},
};
use crate::{
    cli::Outcome,
    dev::{user_data, wait_for_the_end},
};

/// Run a network on this machine: keys and genesis are written, every node is a process.
#[derive(Debug, Parser)]
#[command(after_help = "Examples:\n  \
    klay network --validators 4                              first block within 5 seconds\n  \
    klay network --validators 4 --endpoints 1 --data ./net --http-base 9000 --engine justified\n\n\
    Node i serves HTTP on port base + 2i and WebSocket on base + 2i + 1. Process ids stand in DIR/pids, one a line in\n\
    order of the nodes, logs in DIR/node<i>/log. The accounts of `klay dev` have funds. Ctrl-C ends all of it; the same\n\
    command on the same folder goes on, also without the options that made it; others than those are refused. A node\n\
    that was killed is started again by\n  \
    klay node --config DIR/node<i>/node.json")]
pub(crate) struct RunNetwork {
    #[command(flatten)]
    shape: Shape,
    /// Folder for keys, genesis and data
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// HTTP port of the first node
    #[arg(long, value_name = "PORT", default_value_t = 8551)]
    http_base: u16,
    /// Start nodes again that end
    #[arg(long)]
    restart: bool,
}

struct Running {
    index: usize,
    process: Child,
    /// Since when it is gone.
    ended: Option<Instant>,
}

impl RunNetwork {
    pub(crate) fn run(self) -> Outcome {
        let folder = match &self.data {
            Some(folder) => folder.clone(),
            None => user_data().ok_or("the user has no data directory: use --data")?.join("klay").join("network"),
        };
        let held = self.prepare(&folder)?;
        tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(self.keep(&folder, &held))
    }

    /// Writes what is not there yet, and returns what is there then.
    fn prepare(&self, folder: &Path) -> Result<Held, Box<dyn Error>> {
        if !folder.join(GENESIS).exists() {
            self.shape.write(folder, &self.places(self.shape.roles().len())?)?;
            return Held::read(folder);
        }
        let held = Held::read(folder)?;
        held.check(&self.shape, folder)?;
        // The ports may be other ones this time.
        for (index, place) in self.places(held.nodes.len())?.into_iter().enumerate() {
            let path = folder.join(format!("node{index}")).join(CONFIG);
            let text = fs::read_to_string(&path)?;
            let mut file: NodeFile = serde_json::from_str(&text).map_err(|e| format!("{}: {e}", path.display()))?;
            if (file.http.as_ref(), file.ws.as_ref()) != (Some(&place.http), Some(&place.ws)) {
                (file.http, file.ws) = (Some(place.http), Some(place.ws));
                file.write(&path)?;
            }
        }
        Held::read(folder)
    }

    fn places(&self, count: usize) -> Result<Vec<Place>, Box<dyn Error>> {
        (0..count).map(|index| self.place(index)).collect()
    }

    fn place(&self, index: usize) -> Result<Place, Box<dyn Error>> {
        let offset = u16::try_from(index * 2).map_err(|_| "too many nodes")?;
        let port = |n: u16| self.http_base.checked_add(offset).and_then(|port| port.checked_add(n));
        let (http, ws) = (port(0).ok_or("--http-base is too high")?, port(1).ok_or("--http-base is too high")?);
        let listen = format!("127.0.0.1:{}", free_port(http)?);
        let at = |port: u16| format!("127.0.0.1:{port}");
        Ok(Place { reach: listen.clone(), listen, http: at(http), ws: at(ws) })
    }

    async fn keep(&self, folder: &Path, held: &Held) -> Outcome {
        let end = wait_for_the_end();
        tokio::pin!(end);
        // Signals are heard once this was polled: from before the first node starts.
        tokio::select! {
            biased;
            ended = &mut end => return Ok(ended.map(|()| ExitCode::SUCCESS)?),
            () = std::future::ready(()) => {}
        }
        // First, as whoever ends this must find it waiting for that.
        greet(folder, held)?;
        let mut running = Vec::with_capacity(held.nodes.len());
        for index in 0..held.nodes.len() {
            running.push(Running { index, process: start(folder, index)?, ended: None });
        }
        write_pids(folder, &running)?;
        let mut tick = tokio::time::interval(Duration::from_millis(200));
        loop {
            tokio::select! {
                ended = &mut end => {
                    ended?;
                    break;
                }
                _ = tick.tick() => self.look_after(folder, &mut running)?,
            }
        }
        eprintln!("stopping");
        stop(running);
        // There are no processes any more.
        let _gone = fs::remove_file(folder.join("pids"));
        Ok(ExitCode::SUCCESS)
    }

    fn look_after(&self, folder: &Path, running: &mut [Running]) -> Result<(), Box<dyn Error>> {
        let mut is_changed = false;
        for node in running.iter_mut() {
            if node.ended.is_none()
                && let Some(status) = node.process.try_wait()?
            {
                eprintln!("node{} has ended: {status}", node.index);
                node.ended = Some(Instant::now());
            }
            if self.restart && node.ended.is_some_and(|ended| ended.elapsed() > Duration::from_secs(1)) {
                node.process = start(folder, node.index)?;
                node.ended = None;
                is_changed = true;
                eprintln!("node{} is started again", node.index);
            }
        }
        if is_changed { write_pids(folder, running) } else { Ok(()) }
    }
}

/// Says what runs and which keys have funds.
fn greet(folder: &Path, held: &Held) -> Result<(), Box<dyn Error>> {
    let accounts = DevAccounts::derive(dev::MNEMONIC, dev::ACCOUNTS)?;
    eprintln!("klay {}: {}", env!("CARGO_PKG_VERSION"), held.title());
    eprintln!("\nThese keys are known to everybody. Never send anything of value to them.\n");
    for (index, key) in accounts.keys.iter().enumerate() {
        eprintln!("({index}) {}  0x{}", key.address(), hex::encode(key.expose()));
    }
    eprintln!();
    for (index, node) in held.nodes.iter().enumerate() {
        let role = match node.role {
            Role::Consensus => "validator",
            Role::Endpoint => "endpoint",
            Role::Proxy => "proxy",
        };
        eprintln!("node{index}  {role:<9}  http://{}  ws://{}", node.http, node.ws);
    }
    eprintln!("\nData      {}", folder.display());
    Ok(())
}

fn start(folder: &Path, index: usize) -> Result<Child, Box<dyn Error>> {
    let node = folder.join(format!("node{index}"));
    let log = fs::OpenOptions::new().create(true).append(true).open(node.join("log"))?;
    let config = fs::canonicalize(node.join(CONFIG))?;
    let process = Command::new(std::env::current_exe()?)
        .arg("node")
        .arg("--config")
        .arg(config)
        .env(LIFELINE, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()?;
    Ok(process)
}

fn write_pids(folder: &Path, running: &[Running]) -> Result<(), Box<dyn Error>> {
    let fresh = folder.join("pids-new");
    let mut file = fs::File::create(&fresh)?;
    for node in running {
        writeln!(file, "{}", node.process.id())?;
    }
    drop(file);
    Ok(fs::rename(fresh, folder.join("pids"))?)
}

/// Closes the lifelines and waits; whoever does not end by himself is ended.
fn stop(running: Vec<Running>) {
    let mut processes: Vec<Child> = running.into_iter().map(|node| node.process).collect();
    for process in &mut processes {
        drop(process.stdin.take());
    }
    let patience = Instant::now() + Duration::from_secs(10);
    for process in &mut processes {
        while Instant::now() < patience && matches!(process.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(20));
        }
        // Does nothing to one that has ended.
        let _ended = process.kill();
        let _ended = process.wait();
    }
}

/// A port for peers: one that follows from the HTTP port, or any if that is taken.
fn free_port(http: u16) -> Result<u16, Box<dyn Error>> {
    if let Some(port) = http.checked_add(10_000)
        && TcpListener::bind(("127.0.0.1", port)).is_ok()
    {
        return Ok(port);
    }
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}
