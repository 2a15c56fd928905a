//! Commands that read a line and answer with a line.

use std::{
    io::{self, BufRead, BufWriter, Write},
    process::ExitCode,
};

use serde_json::{Map, Value, json};

use super::Outcome;

/// Longest line that is read, in bytes: room for a transaction of the largest size in hex, with its blobs.
const MAX_LINE: u64 = 16 * 1024 * 1024;

/// Why a line was not understood.
#[derive(Debug)]
pub(super) struct BadLine {
    error: String,
    offset: Option<usize>,
}

impl BadLine {
    pub(super) fn new(error: impl ToString) -> Self {
        Self { error: error.to_string(), offset: None }
    }

    fn to_json(&self) -> Value {
        let mut object = Map::new();
        object.insert("error".into(), json!(self.error));
        if let Some(offset) = self.offset {
            object.insert("offset".into(), json!(offset));
        }
        Value::Object(object)
    }
}

impl From<klay_core::DecodeError> for BadLine {
    fn from(error: klay_core::DecodeError) -> Self {
        Self { offset: Some(error.offset), error: error.to_string() }
    }
}

/// Answers `input` if it is given and not `-`, otherwise every line of standard input that is not blank.
///
/// A bad line is answered with `{"error": ...}`; the rest goes on and the exit code is 1 at the end.
pub(super) fn answer(input: Option<&str>, mut each: impl FnMut(&str) -> Result<String, BadLine>) -> Outcome {
    let mut out = BufWriter::new(io::stdout().lock());
    let mut bad = 0_usize;
    let mut one = |line: &str, out: &mut dyn Write| -> io::Result<()> {
        match each(line) {
            Ok(answer) => writeln!(out, "{answer}"),
            Err(error) => {
                bad += 1;
                writeln!(out, "{}", error.to_json())
            }
        }
    };
    match input {
        Some(text) if text != "-" => one(text.trim(), &mut out)?,
        _ => {
            let mut stdin = io::stdin().lock();
            let mut line = Vec::new();
            while next_line(&mut stdin, &mut line)? {
                match str::from_utf8(&line).map(str::trim) {
                    Ok("") => {}
                    Ok(text) => one(text, &mut out)?,
                    Err(_) => one("\u{fffd}", &mut out)?,
                }
            }
        }
    }
    out.flush()?;
    Ok(if bad == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn next_line(reader: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    use io::Read;
    line.clear();
    let read = reader.take(MAX_LINE).read_until(b'\n', line)?;
    if read as u64 == MAX_LINE && line.last() != Some(&b'\n') {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("a line is longer than {MAX_LINE} bytes")));
    }
    Ok(read != 0)
}

/// The bytes of a hex string, with or without `0x`.
pub(super) fn hex_bytes(text: &str) -> Result<Vec<u8>, BadLine> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    hex::decode(digits).map_err(|error| match error {
        hex::FromHexError::InvalidHexCharacter { c, index } => {
            BadLine { error: format!("not a hex digit: {c:?} ({index} digits in)"), offset: Some(index / 2) }
        }
        hex::FromHexError::OddLength => {
            BadLine::new(format!("{} hex digits, not a whole number of bytes", digits.len()))
        }
        other @ hex::FromHexError::InvalidStringLength => BadLine::new(other),
    })
}
