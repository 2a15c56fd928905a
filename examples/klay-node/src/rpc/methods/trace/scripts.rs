//! The small tracers that the reference client has as scripts: counts of calls and of instructions.
//!
//! Source: spec 40, section 6.3; `4byte_tracer.js`, `opcount_tracer.js`, `unigram_tracer.js`, `bigram_tracer.js`,
//! `trigram_tracer.js`, `revert_tracer.js` and `noop_tracer.js` in the reference client.

use std::{collections::BTreeMap, ops::ControlFlow};

use alloy_primitives::{Address, B256, hex};
use klay_vm::trace::{AccountReader, End, Failure, Step, Top, Tracer, opcode_name};

use super::{Budget, Outcome, Report};
use crate::rpc::{
    RpcError,
    methods::revert::{json_text, revert_reason},
};

/// What is counted.
#[derive(Debug)]
enum Count {
    Nothing,
    Steps(u64),
    Selectors(BTreeMap<String, u64>),
    Unigrams(BTreeMap<String, u64>),
    Bigrams { hist: BTreeMap<String, u64>, last: String, depth: usize },
    Trigrams { hist: BTreeMap<String, u64>, last: [String; 2], depth: usize },
    Revert(String),
}

/// One of the small tracers.
#[derive(Debug)]
pub(super) struct Script {
    budget: Budget,
    count: Count,
}

impl Script {
    /// The script with this name.
    pub(super) fn by_name(name: &str, budget: Budget) -> Option<Self> {
        let count = match name {
            "noopTracer" => Count::Nothing,
            "opcountTracer" => Count::Steps(0),
            "4byteTracer" => Count::Selectors(BTreeMap::new()),
            "unigramTracer" => Count::Unigrams(BTreeMap::new()),
            "bigramTracer" => Count::Bigrams { hist: BTreeMap::new(), last: String::new(), depth: 0 },
            "trigramTracer" => Count::Trigrams { hist: BTreeMap::new(), last: Default::default(), depth: 0 },
            "revertTracer" => Count::Revert(String::new()),
            _ => return None,
        };
        Some(Self { budget, count })
    }
}

fn add(hist: &mut BTreeMap<String, u64>, key: String) {
    *hist.entry(key).or_default() += 1;
}

/// A selector and the length of what follows it.
fn selector(input: [u8; 4], rest: u64) -> String {
    format!("0x{}-{rest}", hex::encode(input))
}

/// The selector that a call instruction hands over, if there is one and the target is not one of the oldest
/// precompiled contracts.
fn called(step: &Step<'_>) -> Option<String> {
    let offset_at = match step.op {
        0xf1 | 0xf2 => 3,
        0xf4 | 0xfa => 2,
        _ => return None,
    };
    let target = Address::from_word(B256::from(step.peek(1)));
    let number = target.0.iter().rev().skip(1).all(|b| *b == 0).then(|| target.0[19]);
    let len = u64::try_from(step.peek(offset_at + 1)).ok()?;
    if matches!(number, Some(1..=0x0b)) || len < 4 {
        return None;
    }
    let offset = usize::try_from(step.peek(offset_at)).ok()?;
    let mut head = [0; 4];
    // The memory grows by zeros before the instruction reads it.
    for (byte, found) in head.iter_mut().zip(step.memory.get(offset..).unwrap_or_default()) {
        *byte = *found;
    }
    Some(selector(head, len - 4))
}

impl Tracer for Script {
    fn begin(&mut self, top: &Top<'_>) {
        if let (Count::Selectors(ids), Some((head, rest))) = (&mut self.count, top.input.split_first_chunk::<4>()) {
            add(ids, selector(*head, rest.len() as u64));
        }
    }

    fn step(&mut self, step: &Step<'_>, _accounts: &mut dyn AccountReader) -> ControlFlow<()> {
        match &mut self.count {
            Count::Nothing | Count::Revert(_) => {}
            Count::Steps(count) => *count += 1,
            Count::Selectors(ids) => called(step).into_iter().for_each(|key| add(ids, key)),
            Count::Unigrams(hist) => add(hist, opcode_name(step.op)),
            Count::Bigrams { hist, last, depth } => {
                let op = opcode_name(step.op);
                if *depth == step.depth {
                    add(hist, format!("{last}-{op}"));
                }
                (*last, *depth) = (op, step.depth);
            }
            Count::Trigrams { hist, last, depth } => {
                if *depth == step.depth {
                    let op = opcode_name(step.op);
                    add(hist, format!("{}-{}-{op}", last[0], last[1]));
                    last.swap(0, 1);
                    last[1] = op;
                } else {
                    (*last, *depth) = (Default::default(), step.depth);
                }
            }
        }
        self.budget.step(0)
    }

    fn end(&mut self, end: &End, _accounts: &mut dyn AccountReader) {
        if let (Count::Revert(reason), Some(Failure::Reverted)) = (&mut self.count, &end.failure)
            && end.output.starts_with(&hex!("08c379a0"))
        {
            *reason = json_text(&revert_reason(&end.output).unwrap_or_default());
        }
    }
}

impl Report for Script {
    fn budget(&self) -> &Budget {
        &self.budget
    }

    fn report(self: Box<Self>, _outcome: &Outcome) -> Result<String, RpcError> {
        match self.count {
            Count::Nothing => Ok("{}".to_owned()),
            Count::Steps(count) => Ok(count.to_string()),
            Count::Revert(reason) => Ok(if reason.is_empty() { "\"\"".to_owned() } else { reason }),
            Count::Selectors(hist)
            | Count::Unigrams(hist)
            | Count::Bigrams { hist, .. }
            | Count::Trigrams { hist, .. } => serde_json::to_string(&hist).map_err(RpcError::from_error),
        }
    }
}
