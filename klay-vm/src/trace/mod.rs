//! Watching a transaction run: frames as they begin and end, every instruction with its gas and its computation cost.
//!
//! What a [`Tracer`] is told is what the reference client tells its tracers: gas is split into what an instruction
//! costs and what it hands on, an instruction that fails shows the price it could not pay, and failures have the
//! reference client's texts. The forms that clients see are made of it elsewhere.
//!
//! Source: spec 40, sections 1.13 and 6.3; `interpreter.go`, `evm.go` and `logger.go` in the reference client.

mod failure;
mod name;
mod price;
mod watch;

use core::{any::Any, ops::ControlFlow};

use klay_core::{Address, B256, Bytes, U256};

pub use name::opcode_name;
pub(crate) use watch::Watch;

/// Follows one transaction or call. Every method has an empty body to begin with.
pub trait Tracer: Any {
    /// The transaction passed all tests and its fee was taken.
    fn begin(&mut self, top: &Top<'_>) {
        let _ = top;
    }

    /// An instruction comes next. [`ControlFlow::Break`] ends the execution as if its time were over.
    fn step(&mut self, step: &Step<'_>, accounts: &mut dyn AccountReader) -> ControlFlow<()> {
        let _ = (step, accounts);
        ControlFlow::Continue(())
    }

    /// The instruction ran or failed.
    fn step_end(&mut self, end: &StepEnd) {
        let _ = end;
    }

    /// A frame inside the outermost one begins. A contract that destroys itself is shown as a frame, too.
    fn enter(&mut self, frame: &Frame) {
        let _ = frame;
    }

    /// A frame inside the outermost one ended.
    fn exit(&mut self, end: &FrameEnd) {
        let _ = end;
    }

    /// A log was written; it is undone if the frame fails.
    fn log(&mut self, address: Address, topics: &[B256], data: &Bytes) {
        let _ = (address, topics, data);
    }

    /// The transaction ended. Its changes can be read and are not final yet.
    fn end(&mut self, end: &End, accounts: &mut dyn AccountReader) {
        let _ = (end, accounts);
    }
}

impl Tracer for () {}

/// The accounts as they are in the middle of a transaction. Reading makes nothing warm.
///
/// A value that cannot be read reads as zero, and the execution ends with the failure.
pub trait AccountReader {
    /// Balance in peb.
    fn balance(&mut self, address: Address) -> U256;
    /// Nonce.
    fn nonce(&mut self, address: Address) -> u64;
    /// Code.
    fn code(&mut self, address: Address) -> Bytes;
    /// A storage word.
    fn storage(&mut self, address: Address, slot: U256) -> U256;
    /// Accounts that the transaction has touched so far.
    fn touched(&mut self) -> Vec<Touched>;
}

/// An account before and after a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Touched {
    /// Which.
    pub address: Address,
    /// Before; none if there was no such account.
    pub before: Option<AccountView>,
    /// After; none if there is none any more.
    pub after: Option<AccountView>,
    /// Slots that were read or written: slot, word before, word after.
    pub storage: Vec<(U256, U256, U256)>,
}

/// What everybody can see of an account, storage aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountView {
    /// Balance in peb.
    pub balance: U256,
    /// Nonce.
    pub nonce: u64,
    /// Code.
    pub code: Bytes,
}

/// The outermost frame of a transaction.
#[derive(Debug, Clone)]
pub struct Top<'a> {
    /// The sender.
    pub from: Address,
    /// Recipient, new contract, or the sender itself for types that run no code.
    pub to: Address,
    /// Whether a contract is created.
    pub is_creation: bool,
    /// The transaction's data, also where no code runs.
    pub input: &'a [u8],
    /// Gas limit of the transaction.
    pub gas_limit: u64,
    /// Gas that is left for code.
    pub gas: u64,
    /// Amount moved, in peb.
    pub value: U256,
    /// Effective price, in peb.
    pub gas_price: U256,
    /// Height of the block.
    pub block: u64,
}

/// How the outermost frame ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// Code of the new contract, return data or revert data.
    pub output: Bytes,
    /// Why it failed; none on success.
    pub failure: Option<Failure>,
    /// Gas of the transaction, refunds taken off.
    pub gas_used: u64,
}

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameKind {
    /// CALL.
    Call,
    /// CALLCODE.
    CallCode,
    /// DELEGATECALL.
    DelegateCall,
    /// STATICCALL.
    StaticCall,
    /// CREATE.
    Create,
    /// CREATE2.
    Create2,
    /// SELFDESTRUCT.
    SelfDestruct,
}

impl FrameKind {
    /// The name of the instruction.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Call => "CALL",
            Self::CallCode => "CALLCODE",
            Self::DelegateCall => "DELEGATECALL",
            Self::StaticCall => "STATICCALL",
            Self::Create => "CREATE",
            Self::Create2 => "CREATE2",
            Self::SelfDestruct => "SELFDESTRUCT",
        }
    }

    /// Whether a contract is created.
    pub const fn is_creation(self) -> bool {
        matches!(self, Self::Create | Self::Create2)
    }
}

/// A frame inside the outermost one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// What it is.
    pub kind: FrameKind,
    /// The executing contract of the frame above.
    pub from: Address,
    /// Whose code runs, the new contract, or who gets the balance.
    pub to: Address,
    /// Call data or init code.
    pub input: Bytes,
    /// Gas given to it.
    pub gas: u64,
    /// Amount in peb; none for STATICCALL, the outer frame's for DELEGATECALL.
    pub value: Option<U256>,
}

/// How a frame ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrameEnd {
    /// Code of the new contract, return data or revert data.
    pub output: Bytes,
    /// Gas consumed.
    pub gas_used: u64,
    /// Why it failed; none on success.
    pub failure: Option<Failure>,
}

/// Why a frame failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// REVERT.
    Reverted,
    /// Anything else, in the reference client's words.
    Other(String),
}

impl core::fmt::Display for Failure {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Reverted => f.write_str("execution reverted"),
            Self::Other(text) => f.write_str(text),
        }
    }
}

/// An instruction ahead of its execution.
#[derive(Debug)]
pub struct Step<'a> {
    /// Position in the code.
    pub pc: usize,
    /// The instruction.
    pub op: u8,
    /// Gas left.
    pub gas: u64,
    /// Depth of the frame; the outermost has 1.
    pub depth: usize,
    /// The executing contract.
    pub address: Address,
    /// The stack, its top last.
    pub stack: &'a [U256],
    /// The memory as it is ahead of the instruction.
    pub memory: &'a [u8],
    /// Data of the last call.
    pub return_data: &'a [u8],
    /// Refunds of this frame so far.
    pub refund: i64,
    /// What is left of the limit on computation cost.
    pub computation_left: u64,
}

impl Step<'_> {
    /// The item this far below the top of the stack; zero where there is none.
    pub fn peek(&self, depth: usize) -> U256 {
        let at = self.stack.len().checked_sub(depth + 1);
        at.and_then(|at| self.stack.get(at)).copied().unwrap_or_default()
    }
}

/// What became of an instruction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepEnd {
    /// Gas that it takes, including what a call hands on and without what a creation does.
    pub gas_cost: u64,
    /// Its computation cost.
    pub computation_cost: u64,
    /// Length of the memory once the instruction has grown it, in bytes.
    pub memory_len: usize,
    /// Why it was not carried out at all: it does not exist, or cannot be paid, or the stack does not fit. A failure
    /// while it was carried out is not shown here.
    pub failure: Option<String>,
}
