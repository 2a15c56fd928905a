//! The list of a pack: how each of its cases ends.

use std::collections::HashMap;

use klay_vm::statetest::Case;

/// Name of the list in a pack.
pub(super) const LIST: &str = "EXPECTED.tsv";

/// What is listed, by file, test, fork and index.
#[derive(Debug, Default)]
pub(super) struct Expected(HashMap<String, HashMap<(String, String, usize), String>>);

impl Expected {
    /// Reads a list: file, test, fork, index, expectation, separated by tabs, below a line of headings.
    ///
    /// # Errors
    /// If a line has other fields.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut list = Self::default();
        for (number, line) in text.lines().enumerate().skip(1).filter(|(_, line)| !line.is_empty()) {
            let fields: Vec<_> = line.split('\t').collect();
            let [file, test, fork, index, expectation] = fields[..] else {
                return Err(format!("{LIST}, line {}: {} fields, not 5", number + 1, fields.len()));
            };
            // Tests of the machine alone have neither fork nor index.
            let fork = if fork == "-" { "VM" } else { fork };
            let index = if index == "-" { Ok(0) } else { index.parse() };
            let index = index.map_err(|_| format!("{LIST}, line {}: {:?} is no index", number + 1, fields[3]))?;
            let key = (test.to_owned(), fork.to_owned(), index);
            list.0.entry(file.to_owned()).or_default().insert(key, expectation.to_owned());
        }
        Ok(list)
    }

    /// What is listed for a case.
    pub(super) fn of(&self, file: &str, case: &Case) -> Option<&str> {
        let key = (case.test.clone(), case.fork.clone(), case.index);
        self.0.get(file)?.get(&key).map(String::as_str)
    }
}
