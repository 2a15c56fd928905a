//! Where the memory of a key lies: the log of what it said, and its anchor.
//!
//! The anchor belongs to the key, not to the chain's data: a key that lies outside the data folder has it beside it, so
//! that it outlives the folder. An anchor in any other place where one may have been kept before counts as well.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use klay_consensus::{gate::anchored, types::Slot, wal::FsDisk};

/// Where the consensus log lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogFolder {
    /// In this folder; the anchor of the key in another one.
    Disk {
        /// The log.
        log: PathBuf,
        /// Beside the key.
        anchor: PathBuf,
        /// Where else an anchor of the key may lie.
        others: Vec<PathBuf>,
    },
    /// Nowhere: the chain ends with the process.
    Memory,
}

impl LogFolder {
    /// Where a node with this data folder keeps it. The anchor lies in the folder, unless the key has a file outside:
    /// then in `<key file>.anchor`, by chain, as one key may serve several.
    ///
    /// # Errors
    /// If the folder or that of the key cannot be looked at.
    pub fn of(data: &Path, key_file: Option<&Path>, chain_id: u64) -> io::Result<Self> {
        let (log, within) = (data.join("consensus"), data.join("key"));
        let Some(key_file) = key_file else { return Ok(Self::Disk { log, anchor: within, others: Vec::new() }) };
        let (Some(parent), Some(name)) = (key_file.parent(), key_file.file_name()) else {
            return Err(named(key_file, io::ErrorKind::InvalidInput.into()));
        };
        let parent = if parent == Path::new("") { Path::new(".") } else { parent };
        let mut folder = name.to_owned();
        folder.push(".anchor");
        let beside = parent.join(folder).join(chain_id.to_string());
        // The data folder of another start may be the folder of the key.
        let within_its_folder = parent.join("key");
        let is_inside = absolute(parent)?.starts_with(absolute(data)?);
        let (anchor, other) = if is_inside { (within, beside) } else { (beside, within) };
        Ok(Self::Disk { log, anchor, others: vec![other, within_its_folder] })
    }

    /// The disks that it stands for.
    pub(super) fn disks(&self, chain_id: u64) -> io::Result<Option<Disks>> {
        let Self::Disk { log, anchor, others } = self else { return Ok(None) };
        // Two nodes with one key would not see what the other one says.
        let own = |folder: &Path| FsDisk::alone(folder).map_err(|error| named(folder, error));
        let (log, mine) = (own(log)?, own(anchor)?);
        let mut highest = None;
        for other in others {
            if is_folder(other)? && absolute(other)? != absolute(anchor)? {
                highest = highest.max(anchored(own(other)?, chain_id).map_err(|error| named(other, error))?);
            }
        }
        Ok(Some(Disks { log, anchor: mine, anchored: highest }))
    }
}

/// The memory of a key on disk.
pub(super) struct Disks {
    pub(super) log: FsDisk,
    pub(super) anchor: FsDisk,
    /// The highest slot of the other anchors.
    pub(super) anchored: Option<Slot>,
}

/// Whether there is such a folder. One that cannot be looked at may hold an anchor.
fn is_folder(path: &Path) -> io::Result<bool> {
    match fs::metadata(path) {
        Ok(found) => Ok(found.is_dir()),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(false),
        Err(error) => Err(named(path, error)),
    }
}

fn absolute(path: &Path) -> io::Result<PathBuf> {
    fs::canonicalize(path).map_err(|error| named(path, error))
}

fn named(path: &Path, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use klay_accounts::wallet::SecretKey;
    use klay_consensus::{
        gate::{Gate, GateOpenError, GateOptions},
        istanbul::{Klaytn, seal::KeySigner},
        types::{Domain, Slot, Statement, View},
        wal::Identity,
    };

    use super::*;
    use crate::driver::{NodeGate, Proposal};

    const CHAIN_ID: u64 = 1_001;

    /// A machine with a folder for data and one for keys.
    struct Machine(tempfile::TempDir);

    impl Machine {
        fn new() -> Self {
            let machine = Self(tempfile::tempdir().unwrap());
            fs::create_dir(machine.path("etc")).unwrap();
            fs::create_dir(machine.path("data")).unwrap();
            machine
        }

        fn path(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }

        fn wipe(&self) {
            fs::remove_dir_all(self.path("data")).unwrap();
            fs::create_dir(self.path("data")).unwrap();
        }

        fn forget(&self) {
            fs::remove_dir_all(self.path("data/consensus")).unwrap();
        }

        fn open(&self, key_file: Option<&str>) -> Result<NodeGate<FsDisk>, GateOpenError> {
            let key = SecretKey::from_slice(&[1; 32]).unwrap();
            let key_file = key_file.map(|name| self.path(name));
            let folder = LogFolder::of(&self.path("data"), key_file.as_deref(), CHAIN_ID).unwrap();
            let Disks { log, anchor, anchored } = folder.disks(CHAIN_ID).unwrap().unwrap();
            let options = GateOptions { anchored, ..GateOptions::default() };
            let identity = Identity { chain_id: CHAIN_ID, key: key.address().to_vec(), engine: "istanbul".to_owned() };
            Gate::open(KeySigner::new(key), log, Some(anchor), identity, options).map(|(gate, _)| gate)
        }

        fn sign(&self, key_file: Option<&str>, slot: u64) {
            let mut gate = self.open(key_file).unwrap();
            let admitted = gate.authorize(&Statement::skip(View::first(Slot::new(slot)))).unwrap();
            gate.sign::<Klaytn<Proposal>>(admitted, Domain::Message, [9; 32]).unwrap();
        }

        fn lost(&self, key_file: Option<&str>) -> u64 {
            match self.open(key_file) {
                Err(GateOpenError::LostLog { anchor, .. }) => anchor.get(),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn a_key_outside_the_data_remembers_when_they_are_wiped() {
        let machine = Machine::new();
        machine.sign(Some("etc/nodekey"), 7);
        assert!(machine.path("etc/nodekey.anchor/1001/anchor").is_file());
        assert!(!machine.path("data/key").exists());
        machine.wipe();
        assert_eq!(machine.lost(Some("etc/nodekey")), 7);
    }

    #[test]
    fn a_key_inside_the_data_has_its_anchor_there() {
        for key_file in [None, Some("data/nodekey")] {
            let machine = Machine::new();
            machine.sign(key_file, 7);
            assert!(machine.path("data/key/anchor").is_file());
            machine.forget();
            assert_eq!(machine.lost(key_file), 7);
        }
    }

    #[test]
    fn the_highest_anchor_counts_wherever_it_lies() {
        let machine = Machine::new();
        // An older folder, and a key that was taken out of it.
        machine.sign(Some("data/nodekey"), 7);
        drop(machine.open(Some("etc/nodekey")).unwrap());
        machine.wipe();
        assert_eq!(machine.lost(Some("etc/nodekey")), 7);

        // Both.
        machine.sign(None, 9);
        machine.forget();
        assert_eq!(machine.lost(Some("etc/nodekey")), 9);
        machine.wipe();
        machine.sign(None, 3);
        machine.forget();
        assert_eq!(machine.lost(None), 3);
        assert_eq!(machine.lost(Some("etc/nodekey")), 7);
    }

    #[test]
    fn a_node_whose_key_lies_in_its_folder_takes_no_other_folder_unnoticed() {
        let machine = Machine::new();
        machine.sign(Some("data/nodekey"), 7);
        fs::rename(machine.path("data"), machine.path("node0")).unwrap();
        fs::create_dir(machine.path("data")).unwrap();
        assert_eq!(machine.lost(Some("node0/nodekey")), 7);
    }
}
