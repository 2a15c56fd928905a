//! Copies the sources of klay-consensus and puts the breaks into the copy.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use std::{
    env, fs,
    path::{Path, PathBuf},
};

/// Number of chapter 50, section 6.4; file; what stands there once; what stands there in the copy.
const BREAKS: &[(u32, &str, &str, &str)] = &[
    (1, "types/committee.rs", "quorum: quorum::live(n),", "quorum: quorum::live(n) - u32::from(crate::switch::on(1)),"),
    (2, "types/committee.rs", "weak: quorum::weak(n) }", "weak: quorum::weak(n) }.with_break(n)"),
    (
        3,
        "istanbul/machine/rounds.rs",
        "if !(keep && self.is_locked()) {",
        "if !(keep && self.is_locked()) || crate::switch::on(3) {",
    ),
    (
        4,
        "istanbul/machine/mod.rs",
        "self.lock = Some(Lock { round: view.round, id });",
        "self.lock = (!crate::switch::on(4)).then_some(Lock { round: view.round, id });",
    ),
    (
        5,
        "wal/log.rs",
        "if !self.buffer.is_empty() {\n            let Some(segment)",
        "if !self.buffer.is_empty() && !crate::switch::on(5) {\n            let Some(segment)",
    ),
    (
        6,
        "gate/memory.rs",
        "let Statement { view, step, id } = *statement;\n        if view.slot",
        "let Statement { view, step, id } = *statement;\n        if crate::switch::on(6) {\n            return Ok(Allowed::New);\n        }\n        if view.slot",
    ),
    (
        7,
        "istanbul/machine/votes.rs",
        "&& self.commits.len() >= quorum {",
        "&& self.commits.len() + usize::from(crate::switch::on(7)) >= quorum {",
    ),
    (
        8,
        "istanbul/justified/message.rs",
        "authors.author(self.signing_digest(domain), &signature) == Some(self.from)",
        "crate::switch::on(8) || authors.author(self.signing_digest(domain), &signature) == Some(self.from)",
    ),
    (
        9,
        "istanbul/justified/votes.rs",
        "if committee.proposer != from {",
        "if committee.proposer != from && !crate::switch::on(9) {",
    ),
    (
        10,
        "istanbul/justified/votes.rs",
        "self.commits.entry((view.round, digest))",
        "self.commits.entry((if crate::switch::on(10) { self.view.round } else { view.round }, digest))",
    ),
    (
        11,
        "istanbul/machine/votes.rs",
        "self.prepares.keys().filter(|a| !self.commits.contains_key(*a)).count()",
        "self.prepares.keys().filter(|a| crate::switch::on(11) || !self.commits.contains_key(*a)).count()",
    ),
    (
        12,
        "istanbul/machine/votes.rs",
        "self.config.compat.verify_seals && !self.seal_holds",
        "self.config.compat.verify_seals && !crate::switch::on(12) && !self.seal_holds",
    ),
    (
        13,
        "simplex/votes.rs",
        "if !again && value.parent() != parent_id {",
        "if !again && value.parent() != parent_id && !crate::switch::on(13) {",
    ),
    (
        14,
        "simplex/views.rs",
        "let gave_up = view == self.view && self.session.nullified ||",
        "let gave_up = view == self.view && self.session.nullified && !crate::switch::on(14) ||",
    ),
    (
        15,
        "istanbul/justified/proof.rs",
        "Some(claim) => claim.1 == vote.digest &&",
        "Some(claim) => (crate::switch::on(15) || claim.1 == vote.digest) &&",
    ),
    (
        16,
        "istanbul/justified/rounds.rs",
        "if higher.len() >= weak {",
        "if higher.len() >= weak - usize::from(crate::switch::on(16) && weak > 1) {",
    ),
    (
        17,
        "istanbul/justified/mod.rs",
        "let result = self.admit(from, &message, checked)",
        "if crate::switch::on(17) && self.timers.contains_key(&ROUND_TIMER) {\n            let span = self.config.timeouts.after(TimerKind::Round, self.view.round, &RoundHistory::default());\n            self.set_timer(cx, ROUND_TIMER, cx.now.after(span));\n        }\n        let result = self.admit(from, &message, checked)",
    ),
    (
        18,
        "types/timeouts.rs",
        "self.base.saturating_add(self.step.saturating_mul(rounds)).min(self.cap)",
        "if crate::switch::on(18) { Duration::from_millis(260).min(self.cap) } else { self.base.saturating_add(self.step.saturating_mul(rounds)).min(self.cap) }",
    ),
    (
        19,
        "istanbul/justified/rounds.rs",
        "let higher: Vec<_> = rounds().filter(|round| *round > self.view.round).collect();",
        "let higher: Vec<_> = rounds().filter(|round| *round > self.view.round && !crate::switch::on(19)).collect();",
    ),
    (
        20,
        "istanbul/machine/mod.rs",
        "backlog: Backlog::new(config.compat.bounded_backlog),",
        "backlog: Backlog::new(config.compat.bounded_backlog && !crate::switch::on(20)),",
    ),
    (
        21,
        "sim/value.rs",
        "let sitting = self.sitting(height);\n        let planned",
        "let sitting = self.sitting(if crate::switch::on(21) { Height::new(1) } else { height });\n        let planned",
    ),
    (22, "wal/format.rs", "if crc != crc32c", "if !crate::switch::on(22) && crc != crc32c"),
    (
        23,
        "wal/log.rs",
        "disk.rename(FRESH, &file)?;\n    disk.sync_dir()?;",
        "disk.rename(FRESH, &file)?;\n    if !crate::switch::on(23) {\n        disk.sync_dir()?;\n    }",
    ),
    (
        24,
        "istanbul/justified/mod.rs",
        "Some(first) if first.vote == signed.vote => false,",
        "Some(first) if first.vote == signed.vote && !crate::switch::on(24) => false,",
    ),
    (
        26,
        "valset/go_rand.rs",
        "(product >> 32) as u32\n    }",
        "if crate::switch::on(26) {\n            return self.uint32() % n;\n        }\n        (product >> 32) as u32\n    }",
    ),
    (
        27,
        "istanbul/seal.rs",
        "keccak256(header.seal_hash())",
        "if crate::switch::on(27) { header.seal_hash() } else { keccak256(header.seal_hash()) }",
    ),
    (
        28,
        "istanbul/import.rs",
        "let needed = quorum::import(voting(context));",
        "let needed = if crate::switch::on(28) { quorum::live(voting(context)) } else { quorum::import(voting(context)) };",
    ),
    (
        29,
        "istanbul/justified/mod.rs",
        "let to: Vec<_> = others.filter(|a| *a != self.config.me).collect();",
        "let mut to: Vec<_> = others.filter(|a| *a != self.config.me).collect();\n        if crate::switch::on(29) {\n            to = to.into_iter().collect::<std::collections::HashSet<_>>().into_iter().collect();\n        }",
    ),
    (
        30,
        "simplex/values.rs",
        "if slot != self.view {\n            return;\n        }\n        match self.checking.take_if(|c| c.signed.vote.id == id) {",
        "if slot != self.view && !crate::switch::on(30) {\n            return;\n        }\n        match self.checking.take_if(|c| crate::switch::on(30) || c.signed.vote.id == id) {",
    ),
];

fn main() {
    let source = Path::new(&env::var("CARGO_MANIFEST_DIR").unwrap()).join("../src");
    let copy = PathBuf::from(env::var("OUT_DIR").unwrap()).join("copy");
    println!("cargo::rerun-if-changed={}", source.display());
    println!("cargo::rerun-if-changed=build.rs");
    let mut placed = vec![false; BREAKS.len()];
    take(&source, &source, &copy, &mut placed);
    for (placed, (number, file, ..)) in placed.iter().zip(BREAKS) {
        assert!(placed, "break {number}: {file} is not there");
    }
    // The crate's own file: its modules, without what it documents and what needs features.
    let modules = ["dev", "gate", "istanbul", "sim", "simplex", "types", "valset", "wal"];
    let root: String = modules.map(|name| format!("pub mod {name};\n")).concat();
    fs::write(copy.join("root.rs"), root).unwrap();
}

fn take(root: &Path, folder: &Path, copy: &Path, placed: &mut [bool]) {
    fs::create_dir_all(copy).unwrap();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let to = copy.join(path.file_name().unwrap());
        if path.is_dir() {
            take(root, &path, &to, placed);
            continue;
        }
        let name = path.strip_prefix(root).unwrap().to_string_lossy().replace('\\', "/");
        let mut text = fs::read_to_string(&path).unwrap().replace("#[cfg(feature = \"simulate\")]\n", "");
        for (done, (number, file, find, replace)) in placed.iter_mut().zip(BREAKS) {
            if *file == name {
                assert_eq!(text.matches(find).count(), 1, "break {number} has no single place in {file}: {find}");
                text = text.replace(find, replace);
                *done = true;
            }
        }
        if name == "types/committee.rs" {
            text += "\nimpl<P> Committee<P> {\n    fn with_break(mut self, n: u32) -> Self {\n        if crate::switch::on(2) {\n            self.quorum = quorum::import(n);\n        }\n        self\n    }\n}\n";
        }
        fs::write(&to, text).unwrap();
    }
}
