//! Receipts, logs and Klaytn's status codes.
pub use alloy_primitives::Log;
use alloy_primitives::{Address, B256, Bloom};

/// What became of a transaction, as the receipt's first element.
///
/// Source: spec 10, section 7.4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Status(pub u8);

impl Status {
    /// Everything went well.
    pub const SUCCESS: Self = Self(0x01);
    /// Whether it is 1.
    pub const fn is_success(self) -> bool {
        self.0 == 1
    }
    /// The reference client's text of the failure, `None` for success and unknown codes.
    pub const fn error_text(self) -> Option<&'static str> {
        todo!()
    }
}

/// The result of one transaction in a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// 1 or the failure's code.
    pub status: Status,
    /// Gas used by this transaction alone.
    pub gas_used: u64,
    /// Bloom of the logs.
    pub bloom: Bloom,
    /// Logs in order.
    pub logs: Vec<Log>,
    /// Hash of the transaction (storage form only).
    pub tx_hash: B256,
    /// Address of a creation by (sender, nonce); set for every transaction without recipient (storage form only).
    pub contract_address: Option<Address>,
}

impl Receipt {
    /// The form that the receipts root covers: `[status, gasUsed, bloom, logs]`.
    pub fn encode_consensus(&self) -> Vec<u8> {
        todo!()
    }
}
