//! CPU time and memory of the nodes under load, from /proc.

use std::{error::Error, fs};

/// Clock ticks a second in /proc on Linux.
const TICKS: f64 = 100.0;

/// The processes that are measured, and what they had used at the start.
pub(super) struct Processes {
    started: Vec<(u32, f64)>,
}

/// What one process used meanwhile.
#[derive(Debug, Clone, Copy)]
pub(super) struct Usage {
    pub(super) pid: u32,
    /// Seconds of CPU.
    pub(super) cpu: f64,
    /// Most memory that it ever held, in MiB.
    pub(super) peak_mib: u64,
}

impl Processes {
    pub(super) fn new(pids: &[u32]) -> Result<Self, Box<dyn Error>> {
        Ok(Self { started: pids.iter().map(|pid| Ok((*pid, cpu(*pid)?))).collect::<Result<_, Box<dyn Error>>>()? })
    }

    pub(super) fn since(&self) -> Result<Vec<Usage>, Box<dyn Error>> {
        self.started
            .iter()
            .map(|(pid, before)| Ok(Usage { pid: *pid, cpu: cpu(*pid)? - before, peak_mib: peak(*pid)? }))
            .collect()
    }
}

fn cpu(pid: u32) -> Result<f64, Box<dyn Error>> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).map_err(|error| format!("process {pid}: {error}"))?;
    // The name in parentheses may hold anything; user and system time are the 12th and 13th fields behind it.
    let behind = stat.rsplit_once(')').map_or("", |(_, behind)| behind);
    let mut fields = behind.split_whitespace().skip(11);
    let mut next = || fields.next().and_then(|field| field.parse::<f64>().ok()).ok_or("/proc/PID/stat is too short");
    Ok((next()? + next()?) / TICKS)
}

fn peak(pid: u32) -> Result<u64, Box<dyn Error>> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("0 kB");
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? / 1024)
}
