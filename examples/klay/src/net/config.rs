//! The file that describes one node of a network.

use std::{
    error::Error,
    fs,
    path::{Path, PathBuf},
};

use klay_accounts::wallet::SecretKey;
use klay_core::genesis::Genesis;
use klay_node::{driver::EngineKind, network::Role};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::plan::engine;

/// The engine of a node that was told none.
pub(super) const DEFAULT_ENGINE: EngineKind = EngineKind::Istanbul;
/// Its seconds between two blocks.
pub(super) const DEFAULT_BLOCK_TIME: u64 = 1;

/// What `klay node --config` reads. Paths are relative to the folder of the file.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct NodeFile {
    /// `cn`, `pn` or `en`.
    pub(super) role: Option<String>,
    /// The engine of the chain.
    pub(super) engine: Option<String>,
    /// Seconds between two blocks.
    pub(super) block_time: Option<u64>,
    /// The chain's beginning.
    pub(super) genesis: Option<PathBuf>,
    /// The node's key, in hex.
    pub(super) key: Option<PathBuf>,
    /// Where the chain is kept.
    pub(super) data: Option<PathBuf>,
    /// Where rewards go.
    pub(super) rewardbase: Option<klay_core::Address>,
    /// Where it listens for peers.
    pub(super) listen: Vec<String>,
    /// Peers that it keeps connecting to.
    pub(super) peers: Vec<String>,
    /// JSON-RPC over HTTP; `off` for none.
    pub(super) http: Option<String>,
    /// JSON-RPC over WebSocket; `off` for none.
    pub(super) ws: Option<String>,
}

impl NodeFile {
    /// Reads a file; its paths become those of this process.
    pub(super) fn read(path: &Path) -> Result<Self, Box<dyn Error>> {
        let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let mut file: Self = serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))?;
        let folder = path.parent().unwrap_or_else(|| Path::new("."));
        for entry in [&mut file.genesis, &mut file.key, &mut file.data].into_iter().flatten() {
            *entry = folder.join(&*entry);
        }
        Ok(file)
    }

    /// The node's role; an endpoint where the file does not say.
    pub(super) fn role(&self) -> Result<Role, String> {
        self.role.as_deref().map_or(Ok(Role::Endpoint), role)
    }

    /// The chain's engine; the default where the file does not say.
    pub(super) fn engine(&self) -> Result<EngineKind, String> {
        self.engine.as_deref().map_or(Ok(DEFAULT_ENGINE), engine)
    }

    /// Seconds between two blocks; the default where the file does not say.
    pub(super) fn block_time(&self) -> u64 {
        self.block_time.unwrap_or(DEFAULT_BLOCK_TIME)
    }

    /// Writes the file.
    pub(super) fn write(&self, path: &Path) -> Result<(), Box<dyn Error>> {
        let text = serde_json::to_string_pretty(self)?;
        Ok(fs::write(path, text + "\n").map_err(|error| format!("{}: {error}", path.display()))?)
    }
}

/// The role with this short name.
pub(super) fn role(name: &str) -> Result<Role, String> {
    Role::from_name(name).ok_or_else(|| "want cn, pn or en".to_owned())
}

/// Reads a genesis file and prepares it.
pub(super) fn read_genesis(path: &Path) -> Result<Genesis, Box<dyn Error>> {
    let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let genesis: Genesis = serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(genesis.prepared()?)
}

/// Reads a key in hex.
pub(crate) fn read_key(path: &Path) -> Result<SecretKey, Box<dyn Error>> {
    let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let text = Zeroizing::new(text);
    let digits = text.trim().trim_start_matches("0x");
    let bytes = hex::decode(digits).map(Zeroizing::new).map_err(|_| format!("{}: no key in hex", path.display()))?;
    Ok(SecretKey::from_slice(&bytes).map_err(|error| format!("{}: {error}", path.display()))?)
}

/// Writes a key in hex so that only its owner can read it.
pub(super) fn write_key(path: &Path, key: &SecretKey) -> Result<(), Box<dyn Error>> {
    use std::io::Write as _;
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let text = Zeroizing::new(hex::encode(key.expose()));
    writeln!(file, "{}", *text)?;
    Ok(file.sync_all()?)
}
