//! A log of arbitrary bytes opens or is refused, never a panic; what opens opens again with the same records.

#![no_main]

use klay_consensus::wal::{Disk as _, Identity, Log, MemoryDisk};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (bool, u16, Vec<u8>)| {
    let (keep_header, cut, bytes) = input;
    let identity = Identity { chain_id: 1, key: vec![1], engine: "fuzz".to_owned() };
    let mut disk = MemoryDisk::new();
    drop(Log::open(disk.clone(), identity.clone()).expect("an empty folder"));
    let file = disk.list().expect("it lists").pop().expect("a first segment");
    if !keep_header {
        disk.truncate(&file, u64::from(cut)).expect("it exists");
    }
    disk.append(&file, &bytes).expect("it exists");
    if let Ok((log, entries)) = Log::open(disk.clone(), identity.clone()) {
        drop(log);
        let (_, again) = Log::open(disk, identity).expect("it opened before");
        assert_eq!(again, entries);
    }
});
