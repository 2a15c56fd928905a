//! `klay lab` as a user runs it.

use std::{
    path::Path,
    process::{Command, Output},
};

fn lab(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_klay")).arg("lab").args(args).current_dir(folder).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn engines_are_compared_on_the_same_seeds() {
    let folder = tempfile::tempdir().unwrap();
    let args = ["--engine", "istanbul,justified,simplex", "--validators", "4", "--seeds", "6", "--first-seed", "3"];
    let out =
        lab(folder.path(), &[&args[..], &["--faults", "all", "--csv", "runs.csv", "--plot", "plot.svg"]].concat());
    assert!(out.status.success(), "{}{}", text(&out.stdout), text(&out.stderr));
    let table = text(&out.stdout);
    assert_eq!(table.lines().count(), 4, "{table}");
    let csv = std::fs::read_to_string(folder.path().join("runs.csv")).unwrap();
    assert_eq!(csv.lines().count(), 1 + 3 * 6);
    let mut seeds: Vec<_> = csv.lines().skip(1).map(|line| line.split(',').nth(3).unwrap().to_owned()).collect();
    seeds.sort();
    seeds.dedup();
    assert_eq!(seeds, ["3", "4", "5", "6", "7", "8"]);
    assert!(std::fs::read_to_string(folder.path().join("plot.svg")).unwrap().contains("<svg"));
    let again = lab(folder.path(), &[&args[..], &["--faults", "all", "--csv", "again.csv"]].concat());
    assert_eq!(text(&again.stdout), table);
    let sorted = |name: &str| {
        let text = std::fs::read_to_string(folder.path().join(name)).unwrap();
        let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(sorted("runs.csv"), sorted("again.csv"));
}

#[test]
fn a_saved_run_is_played_again_and_what_is_no_run_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("good.run"),
        "engine simplex\nvalidators 4\nseed 5\ndrop 100\nsettles_at 9000000000\n",
    )
    .unwrap();
    let out = lab(folder.path(), &["--replay", "good.run"]);
    assert!(out.status.success() && text(&out.stdout).contains("finished: true"), "{}", text(&out.stdout));
    std::fs::write(folder.path().join("bad.run"), "engine simplex\nvalidators 4\nfrost 5\n").unwrap();
    let out = lab(folder.path(), &["--replay", "bad.run"]);
    assert!(!out.status.success() && text(&out.stderr).contains("line 3"), "{}", text(&out.stderr));
}

#[test]
fn a_broken_promise_ends_with_exit_code_1_and_a_small_file() {
    let folder = tempfile::tempdir().unwrap();
    // More nodes are silent than any protocol tolerates.
    let run = "engine justified\nvalidators 4\nseed 1\nheights 2\nbyzantine silent,silent\n";
    std::fs::write(folder.path().join("too-many.run"), run).unwrap();
    let out = lab(folder.path(), &["--replay", "too-many.run"]);
    assert_eq!(out.status.code(), Some(1));
    assert!(text(&out.stdout).contains("violated: I10"), "{}", text(&out.stdout));
}

#[test]
fn help_lists_every_profile_and_engine() {
    let folder = tempfile::tempdir().unwrap();
    let help = text(&lab(folder.path(), &["--help"]).stdout);
    for name in ["none", "network", "crash", "partition", "byzantine", "clock", "twins", "all", "justified", "simplex"]
    {
        assert!(help.contains(name), "{name}: {help}");
    }
    let refused = lab(folder.path(), &["--engine", "raft"]);
    assert!(!refused.status.success());
}
