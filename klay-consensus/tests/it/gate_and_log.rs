//! A key never contradicts itself, whatever happens to the process and its disk.
//!
//! The story behind this file: a validator sent a vote, lost power before the vote was on disk, came back without
//! memory of it and voted for another block of the same height.

use crate::common::{Chain, Signer, identity, signer};
use klay_consensus::{
    gate::{Conflict, Gate, GateError, GateOpenError, GateOptions, GateRules, GateState, MoveError, Resume, records},
    simplex::SimplexRecord,
    types::{Domain, Lsn, RecordKind, Round, Slot, Statement, Step, View},
    wal::{Disk, FsDisk, Kept, Log, LogError, MemoryDisk, OpenError},
};
use proptest::prelude::*;

fn view(slot: u64, round: u64) -> View {
    View::new(Slot::new(slot), Round::new(round))
}

fn vote(slot: u64, round: u64, step: Step, id: u8) -> Statement {
    Statement::about(view(slot, round), step, [id; 32])
}

type TestGate = Gate<Signer, MemoryDisk>;

fn open(log: &MemoryDisk, anchor: &MemoryDisk, options: GateOptions) -> Result<TestGate, GateOpenError> {
    Gate::open(signer(1), log.clone(), Some(anchor.clone()), identity("test", 1), options).map(|(gate, _)| gate)
}

fn fresh() -> (TestGate, MemoryDisk, MemoryDisk) {
    let (log, anchor) = (MemoryDisk::new(), MemoryDisk::new());
    (open(&log, &anchor, GateOptions::default()).unwrap(), log, anchor)
}

/// Says something; true if a signature came out.
fn say(gate: &mut TestGate, statement: &Statement) -> Result<(), GateError> {
    let admitted = gate.authorize(statement)?;
    gate.sign::<Chain>(admitted, Domain::Message, [9; 32]).map(drop)
}

#[test]
fn the_table_of_conflicts() {
    let (mut gate, _, _) = fresh();
    say(&mut gate, &vote(5, 0, Step::Vote1, 1)).unwrap();
    say(&mut gate, &vote(5, 0, Step::Vote1, 1)).unwrap(); // the same again
    let refused = say(&mut gate, &vote(5, 0, Step::Vote1, 2));
    assert!(matches!(refused, Err(GateError::Conflict(Conflict::Equivocation { .. }))), "{refused:?}");
    let refused = say(&mut gate, &vote(5, 0, Step::Proposal, 1));
    assert!(matches!(refused, Err(GateError::Conflict(Conflict::Below { .. }))), "{refused:?}");
    say(&mut gate, &vote(5, 0, Step::Vote2, 1)).unwrap();
    say(&mut gate, &Statement::skip(view(5, 0))).unwrap();
    let refused = say(&mut gate, &vote(4, 9, Step::Vote1, 1));
    assert!(matches!(refused, Err(GateError::Conflict(Conflict::Below { .. }))), "{refused:?}");
    say(&mut gate, &vote(5, 1, Step::Vote1, 2)).unwrap();
    let lsn = gate.next_lsn();
    gate.raise_floor(lsn, Slot::new(5)).unwrap();
    let refused = say(&mut gate, &vote(5, 2, Step::Vote1, 2));
    assert_eq!(
        refused,
        Err(GateError::Conflict(Conflict::AtOrBelowFloor { floor: Slot::new(5), asked: Slot::new(5) }))
    );
}

#[test]
fn finalize_and_nullify_exclude_each_other_where_the_engine_says_so() {
    let rules = GateRules { exclusive_skip: true };
    for (first, second) in [(Step::Vote2, Step::Skip), (Step::Skip, Step::Vote2)] {
        let mut gate =
            open(&MemoryDisk::new(), &MemoryDisk::new(), GateOptions { rules, ..GateOptions::default() }).unwrap();
        let statement = |step| Statement { view: view(1, 0), step, id: (step == Step::Vote2).then_some([1; 32]) };
        say(&mut gate, &statement(first)).unwrap();
        let refused = say(&mut gate, &statement(second));
        assert!(matches!(refused, Err(GateError::Conflict(Conflict::Exclusive { .. }))), "{refused:?}");
    }
}

#[test]
fn nothing_is_signed_before_it_is_durable() {
    let (mut gate, _, _) = fresh();
    let lsn = gate.next_lsn();
    let admitted = gate.admit(lsn, &vote(1, 0, Step::Vote1, 1)).unwrap();
    assert_eq!(gate.sign::<Chain>(admitted, Domain::Message, [0; 32]), Err(GateError::NotDurable { lsn }));
    let admitted = gate.admit(gate.next_lsn(), &vote(1, 0, Step::Vote2, 1)).unwrap();
    gate.commit().unwrap();
    gate.sign::<Chain>(admitted, Domain::Message, [0; 32]).unwrap();
}

#[test]
fn a_failed_sync_ends_speaking_for_good() {
    let (mut gate, log, _) = fresh();
    log.fail_syncs(true);
    assert!(matches!(say(&mut gate, &vote(1, 0, Step::Vote1, 1)), Err(GateError::Log(LogError::Io(_)))));
    log.fail_syncs(false);
    assert_eq!(say(&mut gate, &vote(2, 0, Step::Vote1, 1)), Err(GateError::Log(LogError::Failed)));
}

#[test]
fn a_key_whose_log_is_gone_or_older_does_not_sign() {
    let (mut gate, log, anchor) = fresh();
    say(&mut gate, &vote(7, 0, Step::Vote1, 1)).unwrap();
    let old = log.snapshot();
    say(&mut gate, &vote(8, 0, Step::Vote1, 1)).unwrap();
    drop(gate);

    let lost = open(&MemoryDisk::new(), &anchor, GateOptions::default()).unwrap_err();
    assert_eq!(lost, GateOpenError::LostLog { anchor: Slot::new(8), log: None });
    let lost = open(&old, &anchor, GateOptions::default()).unwrap_err();
    assert_eq!(lost, GateOpenError::LostLog { anchor: Slot::new(8), log: Some(Slot::new(7)) });
    open(&log, &anchor, GateOptions::default()).unwrap();

    let resume = |slot| {
        let resume = Resume { unsigned: Slot::new(slot), above: Slot::new(slot) };
        GateOptions { resume: Some(resume), ..GateOptions::default() }
    };
    let refused = open(&MemoryDisk::new(), &anchor, resume(8)).unwrap_err();
    assert_eq!(refused, GateOpenError::ResumeTooLow { unsigned: Slot::new(8), anchor: Slot::new(8) });
    let new_log = MemoryDisk::new();
    let mut gate = open(&new_log, &anchor, resume(9)).unwrap();
    assert!(say(&mut gate, &vote(9, 0, Step::Vote1, 1)).is_err(), "effective one slot later");
    say(&mut gate, &vote(10, 0, Step::Vote1, 1)).unwrap();
    drop(gate);
    let mut gate = open(&new_log, &anchor, GateOptions::default()).unwrap();
    assert!(say(&mut gate, &vote(9, 0, Step::Vote1, 1)).is_err(), "the operator's floor survives");
}

/// Where heights have many slots, the word is about the first one of a height, and the height is left out.
#[test]
fn whoever_resumes_leaves_out_a_whole_height() {
    let (mut gate, _, anchor) = fresh();
    say(&mut gate, &vote(20, 0, Step::Vote1, 1)).unwrap();
    let resume = |unsigned, above| {
        let resume = Resume { unsigned: Slot::new(unsigned), above: Slot::new(above) };
        open(&MemoryDisk::new(), &anchor, GateOptions { resume: Some(resume), ..GateOptions::default() })
    };
    let refused = resume(11, 30).unwrap_err();
    assert_eq!(refused, GateOpenError::ResumeTooLow { unsigned: Slot::new(11), anchor: Slot::new(20) });
    let mut gate = resume(21, 30).unwrap();
    assert!(say(&mut gate, &vote(30, 0, Step::Vote1, 1)).is_err());
    say(&mut gate, &vote(31, 0, Step::Vote1, 1)).unwrap();
}

/// The log forgets whole segments, so it may hold very many records that nobody needs any more.
#[test]
fn records_of_slots_that_the_chain_has_left_behind_are_not_handed_back() {
    let (log, anchor) = (MemoryDisk::new(), MemoryDisk::new());
    let open = || Gate::open(signer(1), log.clone(), Some(anchor.clone()), identity("test", 1), GateOptions::default());
    let entered = |slot| SimplexRecord::Entered { view: Slot::new(slot) };
    let (mut gate, none) = open().unwrap();
    assert!(none.is_empty());
    for slot in 1..=100 {
        let lsn = gate.next_lsn();
        gate.persist(lsn, &entered(slot)).unwrap();
    }
    let lsn = gate.next_lsn();
    gate.raise_floor(lsn, Slot::new(90)).unwrap();
    gate.commit().unwrap();
    drop(gate);
    let (_, entries) = open().unwrap();
    assert_eq!(records::<SimplexRecord>(entries), Ok((88..=100).map(entered).collect()));
}

#[test]
fn a_key_moves_with_all_it_has_said() {
    let (mut gate, log, anchor) = fresh();
    say(&mut gate, &vote(7, 0, Step::Vote1, 1)).unwrap();
    let lsn = gate.next_lsn();
    gate.raise_floor(lsn, Slot::new(7)).unwrap();
    say(&mut gate, &vote(8, 0, Step::Vote1, 1)).unwrap();
    say(&mut gate, &vote(8, 1, Step::Vote1, 2)).unwrap();
    drop(gate);

    let me = identity("test", 1);
    let state = GateState::export(log.clone(), Some(anchor.clone()), None, me.clone()).unwrap();
    let line = state.to_string();
    assert_eq!(line.lines().count(), 1);
    assert_eq!(line.parse::<GateState>().unwrap(), state);
    let json: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(
        (json["floor"].as_u64(), json["anchor"].as_u64(), json["chainId"].as_u64()),
        (Some(7), Some(8), Some(1337))
    );

    let (elsewhere, its_anchor) = (MemoryDisk::new(), MemoryDisk::new());
    let taken = |who: &_| state.import(elsewhere.clone(), Some(its_anchor.clone()), None, who);
    assert!(matches!(taken(&identity("test", 2)), Err(MoveError::Foreign { .. })));
    assert!(matches!(taken(&identity("other", 1)), Err(MoveError::Foreign { .. })));
    taken(&me).unwrap();
    assert_eq!(taken(&me), Err(MoveError::LogExists));

    let mut gate = open(&elsewhere, &its_anchor, GateOptions::default()).unwrap();
    assert_eq!(gate.floor(), Slot::new(7));
    assert!(say(&mut gate, &vote(7, 5, Step::Vote1, 1)).is_err(), "at the floor");
    assert!(say(&mut gate, &vote(8, 1, Step::Vote1, 3)).is_err(), "something else in the same view");
    assert!(say(&mut gate, &vote(8, 0, Step::Vote2, 1)).is_err(), "an earlier view");
    say(&mut gate, &vote(8, 1, Step::Vote1, 2)).unwrap();
    say(&mut gate, &vote(8, 1, Step::Vote2, 2)).unwrap();
    drop(gate);
    let again = GateState::export(elsewhere.clone(), Some(its_anchor.clone()), None, me.clone()).unwrap();
    assert_eq!(again.records.len(), state.records.len() + 1);

    // What is gone cannot be exported, and an older state does not come back over a key that has gone on.
    let nothing = GateState::export(MemoryDisk::new(), Some(anchor.clone()), None, me.clone());
    assert_eq!(nothing, Err(MoveError::NoLog));
    let mut gate = open(&elsewhere, &its_anchor, GateOptions::default()).unwrap();
    say(&mut gate, &vote(9, 0, Step::Vote1, 1)).unwrap();
    drop(gate);
    let older = state.import(MemoryDisk::new(), Some(its_anchor), None, &me);
    assert_eq!(older, Err(MoveError::Older { anchor: Slot::new(9), state: Some(Slot::new(8)) }));
}

#[test]
fn a_move_that_ends_half_way_leaves_nothing_to_sign_on() {
    let (mut gate, log, anchor) = fresh();
    for round in 0..4 {
        say(&mut gate, &vote(8, round, Step::Vote1, 1)).unwrap();
    }
    drop(gate);
    let me = identity("test", 1);
    let state = GateState::export(log, Some(anchor), None, me.clone()).unwrap();
    for kept in [Kept::Nothing, Kept::Part(500), Kept::All] {
        for cut in 0.. {
            let (elsewhere, its_anchor) = (MemoryDisk::new(), MemoryDisk::new());
            elsewhere.cut_after(cut);
            let moved = state.import(elsewhere.clone(), Some(its_anchor.clone()), None, &me);
            let (elsewhere, its_anchor) = (elsewhere.crash(kept), its_anchor.crash(kept));
            let (again, its_again) = (elsewhere.snapshot(), its_anchor.snapshot());
            match open(&elsewhere, &its_anchor, GateOptions::default()) {
                // Whatever is there knows the last word.
                Ok(mut gate) => assert!(say(&mut gate, &vote(8, 3, Step::Vote1, 2)).is_err(), "cut {cut}, {kept:?}"),
                Err(error) => {
                    assert!(moved.is_err() && matches!(error, GateOpenError::LostLog { .. }), "{error:?}");
                    // Nothing stands in the way of a second attempt.
                    state.import(again, Some(its_again), None, &me).unwrap();
                }
            }
            if moved.is_ok() {
                break;
            }
        }
    }
}

#[test]
fn a_state_has_one_form() {
    let (mut gate, log, anchor) = fresh();
    say(&mut gate, &vote(3, 0, Step::Vote1, 1)).unwrap();
    drop(gate);
    let line = GateState::export(log, Some(anchor), None, identity("test", 1)).unwrap().to_string();
    assert!(format!(" {line}\n").parse::<GateState>().is_ok());
    for (from, to) in [
        ("{\"chainId\"", "{ \"chainId\""),
        ("1337", "01337"),
        ("1337", "-1337"),
        ("1337", "13370000000000000000000"),
        ("\"0x", "\"0X"),
        ("\"slot\":3", "\"slot\":0"),
        ("\"kind\":1", "\"kind\":8"),
        ("\"kind\":1", "\"kind\":300"),
        ("]}", "],}"),
        ("]}", "]}}"),
        ("]}", ""),
        ("records", "more"),
    ] {
        assert!(line.contains(from), "{from}");
        let broken = line.replacen(from, to, 1);
        assert!(broken.parse::<GateState>().is_err(), "{broken}");
    }
}

proptest! {
    #[test]
    fn whatever_reads_as_a_state_writes_back_the_same(text in "\\{\"chainId\":[0-9]{1,20},\"key\":\"0x[0-9a-f]{0,6}\",\"engine\":\"[a-z ]{0,5}\",\"anchor\":(null|[0-9]{1,3}),\"floor\":[0-9],\"records\":\\[(\\{\"slot\":[0-9]{1,2},\"kind\":[0-9],\"body\":\"0x[0-9a-f]{0,4}\"\\})?\\]\\}") {
        if let Ok(state) = text.parse::<GateState>() {
            prop_assert_eq!(state.to_string(), text);
        }
    }

    #[test]
    fn no_text_makes_the_reader_fail_badly(text in ".{0,200}") {
        let _ = text.parse::<GateState>();
    }
}

#[test]
fn a_log_of_another_chain_key_or_engine_is_refused() {
    let disk = MemoryDisk::new();
    Log::open(disk.clone(), identity("test", 1)).unwrap();
    let mut other_chain = identity("test", 1);
    other_chain.chain_id = 1;
    for other in [identity("test", 2), identity("dev", 1), other_chain] {
        assert!(matches!(Log::open(disk.clone(), other), Err(OpenError::Foreign { .. })));
    }
}

/// What a validator of a few heights says, in order.
fn script() -> Vec<Statement> {
    let mut script = Vec::new();
    for slot in 1..=2 {
        script.push(vote(slot, 0, Step::Vote1, slot as u8));
        script.push(Statement::skip(view(slot, 0)));
        script.push(vote(slot, 1, Step::Proposal, 7));
        script.push(vote(slot, 1, Step::Vote1, 7));
        script.push(vote(slot, 1, Step::Vote2, 7));
    }
    script
}

/// Cuts the power after each writing operation, keeps each share of what was not synced, and checks that whatever left
/// the node cannot be contradicted.
#[test]
fn the_power_may_fail_at_every_write() {
    let (mut gate, log, anchor) = fresh();
    for statement in script() {
        say(&mut gate, &statement).unwrap();
    }
    let total = log.operations() + anchor.operations();
    let outcomes = [Kept::All, Kept::Nothing, Kept::Part(300), Kept::Part(700), Kept::Part(990)];
    for cut_log in [true, false] {
        for cut in 0..total {
            for kept in outcomes {
                let (log, anchor) = (MemoryDisk::new(), MemoryDisk::new());
                if cut_log { &log } else { &anchor }.cut_after(cut);
                let mut said = Vec::new();
                if let Ok(mut gate) = open(&log, &anchor, GateOptions::default()) {
                    said.extend(script().into_iter().take_while(|s| say(&mut gate, s).is_ok()));
                }
                let (log, anchor) = (log.crash(kept), anchor.crash(kept));
                let mut gate =
                    open(&log, &anchor, GateOptions::default()).unwrap_or_else(|e| panic!("cut {cut}, {kept:?}: {e}"));
                for statement in &said {
                    let other = Statement { id: Some([0xee; 32]), ..*statement };
                    assert!(say(&mut gate, &other).is_err(), "cut {cut}, {kept:?}: {statement:?} contradicted");
                }
                say(&mut gate, &vote(99, 0, Step::Vote1, 1)).unwrap();
            }
        }
    }
}

fn log_bytes(records: u8) -> (MemoryDisk, String) {
    let disk = MemoryDisk::new();
    let (mut log, _) = Log::open(disk.clone(), identity("test", 1)).unwrap();
    for n in 1..=records {
        log.append(Lsn::new(n.into()), Slot::new(n.into()), RecordKind::Lock, vec![n; usize::from(n) * 3]).unwrap();
    }
    log.sync().unwrap();
    let file = disk.list().unwrap().pop().unwrap();
    (disk, file)
}

fn with_bytes(file: &str, bytes: &[u8]) -> MemoryDisk {
    let mut disk = MemoryDisk::new();
    disk.create(file).unwrap();
    disk.append(file, bytes).unwrap();
    disk
}

#[test]
fn a_log_cut_at_any_byte_keeps_every_whole_record() {
    let (mut disk, file) = log_bytes(6);
    let bytes = disk.read(&file).unwrap();
    let mut header = 0;
    for len in 0..bytes.len() {
        match Log::open(with_bytes(&file, &bytes[..len]), identity("test", 1)) {
            Ok((log, entries)) => {
                for (n, entry) in entries.iter().enumerate() {
                    assert_eq!(entry.body, vec![n as u8 + 1; (n + 1) * 3]);
                }
                assert_eq!(log.next_lsn().get(), entries.len() as u64 + 1);
            }
            Err(error) => {
                assert_eq!(error, OpenError::Damaged { file: file.clone(), offset: 0 });
                header = len;
            }
        }
    }
    assert!(header < 80, "only a cut header is damage: headers are synced before they get their name");
}

#[test]
fn a_torn_record_is_removed_once_and_the_log_goes_on() {
    let (mut disk, file) = log_bytes(3);
    let bytes = disk.read(&file).unwrap();
    let disk = with_bytes(&file, &bytes[..bytes.len() - 1]);
    let (mut log, entries) = Log::open(disk.clone(), identity("test", 1)).unwrap();
    assert_eq!(entries.len(), 2);
    log.append(Lsn::new(3), Slot::new(3), RecordKind::Lock, vec![8]).unwrap();
    log.sync().unwrap();
    let (_, entries) = Log::open(disk, identity("test", 1)).unwrap();
    assert_eq!(entries.last().unwrap().body, [8]);
}

#[test]
fn zeros_after_the_last_record_are_a_cut_write() {
    let (mut disk, file) = log_bytes(2);
    let mut bytes = disk.read(&file).unwrap();
    bytes.extend([0; 4096]);
    let (_, entries) = Log::open(with_bytes(&file, &bytes), identity("test", 1)).unwrap();
    assert_eq!(entries.len(), 2);
}

/// Where each record of [`log_bytes`] begins, and where the file ends.
fn bounds(bytes: &[u8], records: usize) -> Vec<usize> {
    let frame = |n: usize| 25 + n * 3;
    let header = bytes.len() - (1..=records).map(frame).sum::<usize>();
    (0..=records).map(|count| header + (1..=count).map(frame).sum::<usize>()).collect()
}

/// A bit of a length had flipped in a record that was safe, so that it reached beyond the end like a cut one; the
/// records behind it, with what had been signed, were cut off.
#[test]
fn a_length_that_points_past_the_end_is_damage_while_records_stand_behind() {
    let (mut disk, file) = log_bytes(9);
    let bytes = disk.read(&file).unwrap();
    let bounds = bounds(&bytes, 9);
    for (record, start) in bounds.iter().take(8).enumerate() {
        for bit in 0..32 {
            let mut damaged = bytes.clone();
            damaged[start + bit / 8] ^= 1 << (bit % 8);
            let opened = Log::open(with_bytes(&file, &damaged), identity("test", 1));
            let expected = OpenError::Damaged { file: file.clone(), offset: *start };
            assert_eq!(opened.unwrap_err(), expected, "record {record}, bit {bit}");
        }
    }
}

/// The power may keep a later page of one write and lose an earlier one. That looks like damage, and is refused.
#[test]
fn a_write_that_lost_its_beginning_is_refused() {
    let (mut disk, file) = log_bytes(9);
    let bytes = disk.read(&file).unwrap();
    let bounds = bounds(&bytes, 9);
    for (lost, until) in [(bounds[5], bounds[6]), (bounds[5] + 4, bounds[6] + 9), (bounds[5], bounds[6] + 9)] {
        let mut torn = bytes.clone();
        torn[lost..until].fill(0);
        let opened = Log::open(with_bytes(&file, &torn), identity("test", 1));
        assert_eq!(opened.unwrap_err(), OpenError::Damaged { file: file.clone(), offset: bounds[5] });
    }
}

/// Bytes in a cut record that begin like record after record, each as long as all that is left.
#[test]
fn looking_behind_a_cut_record_comes_to_an_end() {
    let (mut disk, file) = log_bytes(1);
    let mut bytes = disk.read(&file).unwrap();
    let (record, count) = (25, 40_000_u32);
    bytes.extend((record * count + 1000).to_le_bytes());
    for n in 0..count {
        bytes.extend([0; 4]);
        bytes.extend(9_u64.to_le_bytes());
        bytes.extend(1_u64.to_le_bytes());
        bytes.push(RecordKind::Lock as u8);
        bytes.extend((record * count.saturating_sub(n + 2)).to_le_bytes());
    }
    let opened = Log::open(with_bytes(&file, &bytes), identity("test", 1));
    assert!(matches!(opened, Err(OpenError::Damaged { .. })));
}

proptest! {
    #[test]
    fn damage_in_the_middle_is_refused_with_its_place(at in 0usize..1000, bit in 0u8..8) {
        let (mut disk, file) = log_bytes(9);
        let mut bytes = disk.read(&file).unwrap();
        let at = at % bytes.len();
        let last = bounds(&bytes, 9)[8];
        bytes[at] ^= 1 << bit;
        let (_, whole) = Log::open(disk, identity("test", 1)).unwrap();
        match Log::open(with_bytes(&file, &bytes), identity("test", 1)) {
            Err(OpenError::Damaged { offset, .. }) => prop_assert!(offset <= at),
            Err(OpenError::Foreign { .. }) => prop_assert!(false, "the checksum covers the identity"),
            Err(other) => prop_assert!(false, "{other}"),
            // Damage in the last record looks like a cut: it is lost, and never changed.
            Ok((_, entries)) => {
                prop_assert!(at >= last, "byte {at} of {last}");
                prop_assert_eq!(&entries[..], &whole[..8]);
            }
        }
    }

    #[test]
    fn arbitrary_bytes_never_open_as_records(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let opened = Log::open(with_bytes("consensus-00000000000000000001.wal", &bytes), identity("test", 1));
        let damaged = matches!(opened, Err(OpenError::Damaged { .. }));
        prop_assert!(damaged);
    }
}

#[test]
fn segments_roll_are_pruned_and_a_missing_one_is_noticed() {
    let disk = MemoryDisk::new();
    let (mut log, _) = Log::open_with(disk.clone(), identity("test", 1), 200).unwrap();
    for n in 1..=40u64 {
        log.append(Lsn::new(n), Slot::new(n / 2), RecordKind::Lock, vec![1; 50]).unwrap();
        log.sync().unwrap();
    }
    let files = disk.list().unwrap();
    assert!(files.len() > 8, "{files:?}");

    let mut holed = disk.snapshot();
    holed.remove(&files[3]).unwrap();
    assert!(matches!(Log::open(holed, identity("test", 1)), Err(OpenError::Gap { .. })));

    log.prune(Slot::new(12)).unwrap();
    let (_, entries) = Log::open(disk, identity("test", 1)).unwrap();
    let first = entries.first().unwrap().slot;
    assert!(first > Slot::new(6) && first <= Slot::new(12), "{first}");
    assert_eq!(entries.last().unwrap().lsn, Lsn::new(40));
}

#[test]
fn pruning_leaves_the_log_at_or_above_its_anchor() {
    let (log, anchor) = (MemoryDisk::new(), MemoryDisk::new());
    let mut gate = open(&log, &anchor, GateOptions::default()).unwrap();
    say(&mut gate, &vote(1, 0, Step::Vote1, 1)).unwrap();
    for slot in 1..2000 {
        let lsn = gate.next_lsn();
        gate.raise_floor(lsn, Slot::new(slot)).unwrap();
    }
    gate.commit().unwrap();
    drop(gate);
    open(&log, &anchor, GateOptions::default()).unwrap();
}

/// The child of [`a_killed_process_is_not_contradicted_by_its_successor`]: says one statement after another and prints
/// each once it is signed.
#[test]
fn speaker_process() {
    let Ok(folder) = std::env::var("KLAY_SPEAKER") else {
        return;
    };
    let (mut gate, from) = speaker(&folder);
    for slot in from..u64::MAX {
        for step in [Step::Vote1, Step::Vote2] {
            let statement = vote(slot, 0, step, std::process::id() as u8);
            let admitted = gate.authorize(&statement).unwrap();
            gate.sign::<Chain>(admitted, Domain::Message, [9; 32]).unwrap();
            println!("said {slot} {} {}", step as u8, std::process::id() as u8);
        }
    }
}

fn speaker(folder: &str) -> (Gate<Signer, FsDisk>, u64) {
    let disk = FsDisk::new(folder).unwrap();
    let anchor = FsDisk::new(format!("{folder}/key")).unwrap();
    let (gate, _) = Gate::open(signer(1), disk, Some(anchor), identity("test", 1), GateOptions::default()).unwrap();
    let from = gate.highest_slot().map_or(1, |slot| slot.get() + 1);
    (gate, from)
}

#[test]
fn a_killed_process_is_not_contradicted_by_its_successor() {
    use std::{
        io::{BufRead, BufReader},
        process::{Command, Stdio},
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    for life in 0..12 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "gate_and_log::speaker_process", "--nocapture", "--test-threads", "1"])
            .env("KLAY_SPEAKER", path)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut said = Vec::new();
        let wanted = 5 + life * 3;
        while said.len() < wanted {
            let line = lines.next().unwrap().unwrap();
            let words: Vec<_> = line.split_whitespace().collect();
            if let ["said", slot, step, id] = words[..] {
                said.push((slot.parse().unwrap(), step.parse().unwrap(), id.parse().unwrap()));
            }
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let (mut gate, next) = speaker(path);
        for (slot, step, id) in said {
            assert!(slot < next);
            let step = Step::from_byte(step).unwrap();
            let other: u8 = id;
            assert!(gate.authorize(&vote(slot, 0, step, other.wrapping_add(1))).is_err());
        }
    }
}

/// A process is killed after a write and before its sync; the next one reads it from the page cache. Then the power fails.
#[test]
fn what_a_successor_read_is_not_forgotten_though_nobody_had_synced_it() {
    let (mut gate, log, anchor) = fresh();
    say(&mut gate, &vote(5, 0, Step::Vote1, 1)).unwrap();
    // Killed between write and sync: the append passes, nothing after it.
    log.cut_after(1);
    assert!(say(&mut gate, &vote(5, 1, Step::Vote1, 2)).is_err());
    drop(gate);
    log.cut_after(1 << 60);
    // The successor, same boot: asks for the same again, and gets a signature that leaves the node.
    let mut gate = open(&log, &anchor, GateOptions::default()).unwrap();
    let was_said = say(&mut gate, &vote(5, 1, Step::Vote1, 2)).is_ok();
    drop(gate);
    assert!(was_said);
    // Power loss.
    let (log, anchor) = (log.crash(Kept::Nothing), anchor.crash(Kept::Nothing));
    let mut gate = open(&log, &anchor, GateOptions::default()).unwrap();
    assert!(say(&mut gate, &vote(5, 1, Step::Vote1, 3)).is_err(), "the key contradicts itself");
}

/// The same for the name of a new segment.
#[test]
fn a_segment_whose_name_nobody_had_synced_is_not_lost() {
    let disk = MemoryDisk::new();
    let (mut log, _) = Log::open_with(disk.clone(), identity("test", 1), 200).unwrap();
    let mut n = 1u64;
    while disk.list().unwrap().len() < 2 {
        // create, append, sync, rename of the next segment pass; the sync of the folder does not.
        let full = log.append(Lsn::new(n), Slot::new(n), RecordKind::Lock, vec![1; 50]).is_err();
        if full {
            break;
        }
        log.sync().unwrap();
        if n == 2 {
            disk.cut_after(4);
        }
        n += 1;
    }
    drop(log);
    disk.cut_after(1 << 60);
    let (mut log, entries) = Log::open_with(disk.clone(), identity("test", 1), 200).unwrap();
    assert_eq!(disk.list().unwrap().len(), 2, "{:?}", disk.list());
    let next = log.next_lsn();
    log.append(next, Slot::new(99), RecordKind::Signed, vec![1; 50]).unwrap();
    let durable = log.sync().unwrap();
    assert_eq!(durable, next);
    let (_, after) = Log::open_with(disk.crash(Kept::Nothing), identity("test", 1), 200).unwrap();
    assert_eq!(after.last().map(|e| e.lsn), Some(durable), "had {} before", entries.len());
}

/// The same for the anchor: its name is not synced again for 4,096 slots.
#[test]
fn an_anchor_whose_name_nobody_had_synced_does_not_vanish() {
    let (mut gate, log, anchor) = fresh();
    // create, append, sync and rename pass; the sync of the folder does not.
    anchor.cut_after(4);
    assert!(say(&mut gate, &vote(1, 0, Step::Vote1, 1)).is_err());
    drop(gate);
    anchor.cut_after(1 << 60);
    let mut gate = open(&log, &anchor, GateOptions::default()).unwrap();
    for slot in 1..1_000 {
        say(&mut gate, &vote(slot, 0, Step::Vote1, 1)).unwrap();
    }
    drop(gate);
    // Power loss, and the log's folder is lost with it.
    let anchor = anchor.crash(Kept::Nothing);
    let lost = open(&MemoryDisk::new(), &anchor, GateOptions::default());
    assert!(matches!(lost, Err(GateOpenError::LostLog { .. })), "a key that has signed 999 slots begins anew");
}

/// A batch that was cut inside its first record, with zeros in the place of the rest.
#[test]
fn a_batch_cut_at_a_page_with_zeros_behind_is_a_cut_write() {
    let (disk, file) = log_bytes(4);
    let bytes = disk.clone().read(&file).unwrap();
    let at = bounds(&bytes, 4);
    let mut cut = bytes.clone();
    // From the middle of record 3 on.
    let from = at[2] + 20;
    cut[from..].fill(0);
    let opened = Log::open(with_bytes(&file, &cut), identity("test", 1));
    assert!(opened.is_ok(), "{:?}", opened.err());
}

/// Two nodes are started with one key file, and a data folder each, before the key has said anything.
#[test]
fn two_fresh_nodes_with_one_key_do_not_both_sign() {
    let folder = tempfile::tempdir().unwrap();
    let open = |node: &str| {
        let log = FsDisk::new(folder.path().join(node)).unwrap();
        let anchor = FsDisk::alone(folder.path().join("nodekey.anchor/1"))
            .map_err(|error| GateOpenError::Anchor(error.kind()))?;
        Gate::open(signer(1), log, Some(anchor), identity("test", 1), GateOptions::default()).map(|(gate, _)| gate)
    };
    let (one, two) = (open("one"), open("two"));
    let signs = |gate: Result<Gate<Signer, FsDisk>, GateOpenError>, id| {
        gate.is_ok_and(|mut gate| {
            let admitted = gate.authorize(&vote(1, 0, Step::Vote1, id)).unwrap();
            gate.sign::<Chain>(admitted, Domain::Message, [id; 32]).is_ok()
        })
    };
    assert!(!(signs(one, 1) && signs(two, 2)), "one key, one view, two votes");
}
