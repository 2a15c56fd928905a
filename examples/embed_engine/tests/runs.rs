//! The program orders ten lines, and is as short as it says.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::process::Command;

#[test]
fn four_replicas_order_ten_lines() {
    let out = Command::new(env!("CARGO_BIN_EXE_embed_engine")).output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let text = String::from_utf8(out.stdout).unwrap();
    for (number, line) in (1..=10).zip(text.lines()) {
        assert!(line.starts_with(&format!("line {number} by replica ")), "{text}");
    }
    assert_eq!(text.lines().count(), 10);
}

#[test]
fn it_fits_into_a_hundred_lines_of_code() {
    assert!(include_str!("../src/main.rs").lines().count() <= 100);
}
