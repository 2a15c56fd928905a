//! Rules of the folder below a log, and of a log and a gate upon it.

use std::io;

use super::{Broken, Outcome, broken, keeps};
use crate::{
    gate::{Gate, GateOpenError, GateOptions},
    types::{RecordKind, Round, Slot, Statement, Step, View},
    wal::{Disk, Identity, Log, OpenError},
};

/// Writes files, a log and a gate into empty folders. `open` is called with 0, 1 or 2 for one of three folders, again
/// and again, each time as a process that starts would: after whatever used the folder is gone.
///
/// | Id | Rule |
/// |---|---|
/// | DI-1 | an empty folder lists nothing |
/// | DI-2 | what was appended and synced is there for the next one, in order |
/// | DI-3 | names are listed in order |
/// | DI-4 | making a file empties one of that name |
/// | DI-5 | a file is cut where asked, and grows from there |
/// | DI-6 | a new name replaces a file of that name, the old name is gone |
/// | DI-7 | a removed file is gone |
/// | WL-1 | a log gives back what it was given |
/// | WL-2 | a log whose last record is cut anywhere keeps the ones before it |
/// | WL-3 | a log that is damaged before its end is refused |
/// | WL-4 | a log of another key is refused |
/// | GA-1 | a gate on the log of an earlier one does not contradict it |
/// | GA-2 | a gate without its log is refused |
///
/// # Errors
/// The first rule that is broken.
pub fn disk<D: Disk>(mut open: impl FnMut(u8) -> io::Result<D>) -> Outcome {
    files(|| open(0)).map_err(|problem| problem.0)?;
    log(|| open(1)).map_err(|problem| problem.0)?;
    gate(open).map_err(|problem| problem.0)
}

/// What ends a suite: a rule, or the folder itself.
struct Problem(Broken);

impl From<Broken> for Problem {
    fn from(broken: Broken) -> Self {
        Self(broken)
    }
}

impl From<io::Error> for Problem {
    fn from(error: io::Error) -> Self {
        Self(broken("DI-2", format!("an operation fails: {error}")))
    }
}

fn files<D: Disk>(mut open: impl FnMut() -> io::Result<D>) -> Result<(), Problem> {
    let listed = open()?.list()?;
    keeps("DI-1", listed.is_empty(), || format!("{listed:?}"))?;
    let mut disk = open()?;
    for (name, parts) in [("b", ["one", "two"]), ("a", ["three", ""])] {
        disk.create(name)?;
        for part in parts {
            disk.append(name, part.as_bytes())?;
        }
        disk.sync(name)?;
    }
    disk.sync_dir()?;
    drop(disk);
    let mut disk = open()?;
    let (a, b) = (disk.read("a")?, disk.read("b")?);
    keeps("DI-2", a == b"three" && b == b"onetwo", || format!("{a:?} {b:?}"))?;
    let listed = disk.list()?;
    keeps("DI-3", listed == ["a", "b"], || format!("{listed:?}"))?;
    disk.create("a")?;
    let a = disk.read("a")?;
    keeps("DI-4", a.is_empty(), || format!("{a:?}"))?;
    disk.truncate("b", 4)?;
    disk.append("b", b"!")?;
    disk.sync("b")?;
    let b = disk.read("b")?;
    keeps("DI-5", b == b"onet!", || format!("{b:?}"))?;
    disk.rename("b", "a")?;
    disk.sync_dir()?;
    drop(disk);
    let mut disk = open()?;
    let (listed, a) = (disk.list()?, disk.read("a")?);
    keeps("DI-6", listed == ["a"] && a == b"onet!", || format!("{listed:?} {a:?}"))?;
    disk.remove("a")?;
    disk.sync_dir()?;
    drop(disk);
    let listed = open()?.list()?;
    Ok(keeps("DI-7", listed.is_empty(), || format!("{listed:?}"))?)
}

fn identity(key: u8) -> Identity {
    Identity { chain_id: 1, key: vec![key], engine: "suite".to_owned() }
}

fn log<D: Disk>(mut open: impl FnMut() -> io::Result<D>) -> Result<(), Problem> {
    let unopened = |error: OpenError| Problem(broken("WL-1", error.to_string()));
    let written = |error: crate::wal::LogError| Problem(broken("WL-1", error.to_string()));
    let (mut log, _) = Log::open(open()?, identity(1)).map_err(unopened)?;
    for n in 1..=3u8 {
        let lsn = log.next_lsn();
        log.append(lsn, Slot::new(n.into()), RecordKind::Lock, vec![n; 20]).map_err(written)?;
        log.sync().map_err(written)?;
    }
    drop(log);
    let bodies = |disk: D| {
        let (_, entries) = Log::open(disk, identity(1)).map_err(unopened)?;
        Ok::<_, Problem>(entries.into_iter().map(|entry| entry.body).collect::<Vec<_>>())
    };
    let all = bodies(open()?)?;
    keeps("WL-1", all == [[1; 20], [2; 20], [3; 20]], || format!("{all:?}"))?;

    let name = open()?.list()?.pop().ok_or_else(|| broken("WL-1", "a log without a file"))?;
    let whole = open()?.read(&name)?;
    for cut in 1..20 {
        let mut disk = open()?;
        disk.create(&name)?;
        disk.append(&name, whole.get(..whole.len() - cut).unwrap_or_default())?;
        disk.sync(&name)?;
        drop(disk);
        let kept = bodies(open()?)?;
        keeps("WL-2", kept == [[1; 20], [2; 20]], || format!("{cut} bytes cut: {kept:?}"))?;
    }
    let mut damaged = whole.clone();
    let middle = whole.len() - 60;
    if let Some(byte) = damaged.get_mut(middle) {
        *byte ^= 1;
    }
    let mut disk = open()?;
    disk.create(&name)?;
    disk.append(&name, &damaged)?;
    disk.sync(&name)?;
    drop(disk);
    let opened = Log::open(open()?, identity(1)).map(|_| ());
    keeps("WL-3", matches!(opened, Err(OpenError::Damaged { .. })), || format!("{opened:?}"))?;
    let opened = Log::open(open()?, identity(2)).map(|_| ());
    Ok(keeps("WL-4", matches!(opened, Err(OpenError::Foreign { .. })), || format!("{opened:?}"))?)
}

fn gate<D: Disk>(mut open: impl FnMut(u8) -> io::Result<D>) -> Result<(), Problem> {
    let statement = |id| Statement::about(View::new(Slot::new(5), Round::ZERO), Step::Vote1, [id; 32]);
    let unopened = |error: GateOpenError| Problem(broken("GA-1", error.to_string()));
    // Folder 1 holds the log of the suite before; its files go.
    let mut log = open(1)?;
    for name in log.list()? {
        log.remove(&name)?;
    }
    log.sync_dir()?;
    drop(log);
    let options = GateOptions::default();
    let signer = Mark;
    let (mut gate, _) = Gate::open(signer, open(1)?, Some(open(2)?), identity(1), options).map_err(unopened)?;
    let admitted = gate.authorize(&statement(1)).map_err(|error| broken("GA-1", error.to_string()))?;
    let signed = gate.sign::<MarkModel>(admitted, crate::types::Domain::Message, [1; 32]);
    keeps("GA-1", signed.is_ok(), || format!("{signed:?}"))?;
    drop(gate);
    let (mut gate, _) = Gate::open(Mark, open(1)?, Some(open(2)?), identity(1), options).map_err(unopened)?;
    let other = gate.authorize(&statement(2)).map(|_| ());
    keeps("GA-1", other.is_err(), || "another vote in the same view is allowed".to_owned())?;
    let same = gate.authorize(&statement(1)).map(|_| ());
    keeps("GA-1", same.is_ok(), || format!("the same vote again: {same:?}"))?;
    drop(gate);
    let mut log = open(1)?;
    for name in log.list()? {
        log.remove(&name)?;
    }
    log.sync_dir()?;
    drop(log);
    let lost = Gate::open(Mark, open(1)?, Some(open(2)?), identity(1), options).map(|_| ());
    Ok(keeps("GA-2", matches!(lost, Err(GateOpenError::LostLog { .. })), || format!("{lost:?}"))?)
}

/// Signs with the digest itself.
#[derive(Debug)]
struct Mark;

type MarkModel = crate::istanbul::Klaytn<crate::sim::value::LabValue>;

impl crate::types::Signer<MarkModel> for Mark {
    fn id(&self) -> alloy_primitives::Address {
        alloy_primitives::Address::ZERO
    }

    fn sign(
        &self,
        _domain: crate::types::Domain,
        digest: [u8; 32],
    ) -> Result<crate::istanbul::seal::Seal, crate::types::SignError> {
        let mut seal = [0; 65];
        seal[..32].copy_from_slice(&digest);
        Ok(seal)
    }
}
