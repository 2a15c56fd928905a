//! The `klay` command: a local chain and tools for transactions, keys, accounts and genesis files.
//!
//! Standard output carries results only; progress and logs go to standard error. The exit code is 0 only on success.

mod cli;
mod dev;
mod export;
mod import;
mod lab;
mod load;
mod logs;
mod net;
mod serve;

use std::process::ExitCode;

use clap::Parser;

/// The system's allocator keeps what the store lets go of: a node's memory would grow for as long as it runs.
#[cfg(not(target_env = "msvc"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Klaytn in Rust: a local chain and tools for transactions, keys, accounts and genesis files.
#[derive(Debug, Parser)]
#[command(name = "klay", version, propagate_version = true, arg_required_else_help = true)]
struct Klay {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Run a chain on this machine.
    Dev(dev::Dev),
    /// Run a network on this machine, each node a process.
    Network(net::network::RunNetwork),
    /// Run one node of a network.
    Node(net::node::RunNode),
    /// Write the folders of a network on several hosts.
    Init(net::init::Init),
    /// Ask a running node how it is.
    Status(net::status::Status),
    /// Import and verify blocks that the reference client or `klay export` wrote.
    Import(import::Import),
    /// Write blocks in the reference client's export format.
    Export(export::Export),
    /// Answer JSON-RPC on an imported chain, without making blocks.
    Serve(serve::Serve),
    /// Put running nodes under the published load and measure it.
    Load(load::Load),
    /// Consensus engines in a simulated network with faults.
    Lab(lab::Lab),
    /// Decode, sign and send transactions.
    #[command(subcommand)]
    Tx(cli::tx::Tx),
    /// Account keys to and from JSON.
    #[command(subcommand)]
    Key(cli::key::Key),
    /// Accounts as they stand in the state.
    #[command(subcommand)]
    Account(cli::account::Account),
    /// Genesis files.
    #[command(subcommand)]
    Genesis(cli::genesis::GenesisCommand),
    /// Run public state tests.
    #[command(name = "statetest")]
    StateTest(cli::statetest::StateTest),
}

fn main() -> ExitCode {
    let outcome = match Klay::parse().command {
        Command::Dev(command) => command.run(),
        Command::Network(command) => command.run(),
        Command::Node(command) => command.run(),
        Command::Init(command) => command.run(),
        Command::Status(command) => command.run(),
        Command::Import(command) => command.run(),
        Command::Export(command) => command.run(),
        Command::Serve(command) => command.run(),
        Command::Load(command) => command.run(),
        Command::Lab(command) => command.run(),
        Command::Tx(command) => command.run(),
        Command::Key(command) => command.run(),
        Command::Account(command) => command.run(),
        Command::Genesis(command) => command.run(),
        Command::StateTest(command) => command.run(),
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            eprintln!("klay: {error}");
            let mut cause = error.source();
            while let Some(inner) = cause {
                eprintln!("  because: {inner}");
                cause = inner.source();
            }
            ExitCode::FAILURE
        }
    }
}
