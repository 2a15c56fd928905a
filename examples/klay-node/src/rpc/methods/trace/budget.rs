//! What a trace may take: time and memory.

use std::{
    ops::ControlFlow,
    time::{Duration, Instant},
};

use crate::rpc::RpcError;

/// Steps between two looks at the clock.
const STEPS: u32 = 128;

/// The bounds of one trace. The machine asks for the time rarely; a tracer that copies much asks more often.
#[derive(Debug, Clone)]
pub(super) struct Budget {
    until: Instant,
    bytes: usize,
    steps: u32,
    over: Option<Over>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Over {
    Time,
    Memory { max: usize },
}

impl Budget {
    /// This much time from now on, and this many bytes.
    pub(super) fn new(time: Duration, bytes: usize) -> Self {
        let now = Instant::now();
        Self { until: now.checked_add(time).unwrap_or(now), bytes, steps: 0, over: None }
    }

    /// When the time is over.
    pub(super) const fn until(&self) -> Instant {
        self.until
    }

    /// A step that has taken `bytes` so far in sum.
    pub(super) fn step(&mut self, bytes: usize) -> ControlFlow<()> {
        self.steps = self.steps.wrapping_add(1);
        if bytes > self.bytes {
            self.over = Some(Over::Memory { max: self.bytes });
        } else if self.steps.is_multiple_of(STEPS) && Instant::now() >= self.until {
            self.over = Some(Over::Time);
        }
        if self.over.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    /// Why a trace was ended.
    pub(super) const fn reason(&self) -> RpcError {
        match self.over {
            Some(Over::Memory { max }) => RpcError::ResponseTooLarge { max },
            _ => RpcError::Failed(std::borrow::Cow::Borrowed("execution timeout")),
        }
    }
}
