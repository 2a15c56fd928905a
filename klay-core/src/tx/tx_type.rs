//! The type byte: payload bits, fee bits, and the `0x78` envelope of Ethereum's types.

/// A transaction type that exists.
///
/// One byte for Klaytn types (`family << 3 | fee bits`), `0x78` and the EIP-2718 byte for Ethereum's, 0 for legacy.
///
/// Source: spec 10, section 1; `blockchain/types/tx_internal_data.go` in the reference client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TxType(u16);

impl TxType {
    /// A legacy transaction, which carries no type byte.
    pub const LEGACY: Self = Self(0);
    /// The type with this code (0 for legacy, `0x08`.., `0x7801`..), if it exists.
    pub const fn from_code(_code: u64) -> Option<Self> {
        todo!()
    }
    /// The number that JSON calls `typeInt`.
    pub const fn code(self) -> u16 {
        self.0
    }
    /// The name that JSON calls `type`: `TxTypeValueTransfer`.
    pub const fn name(self) -> &'static str {
        todo!()
    }
    /// Whether someone else than the sender pays (fully or by ratio).
    pub const fn is_fee_delegated(self) -> bool {
        todo!()
    }
    /// Whether a ratio is part of the type.
    pub const fn has_ratio(self) -> bool {
        todo!()
    }
    /// Whether the type lives in the `0x78` envelope.
    pub const fn is_ethereum(self) -> bool {
        self.0 >> 8 == 0x78
    }
    /// Payload bits of a Klaytn type, fee bits cleared: `0x08`, `0x10`, ...
    pub const fn family(self) -> u8 {
        (self.0 & 0xf8) as u8
    }
    /// Fee bits of a Klaytn type: 0, 1 or 2.
    pub const fn fee_bits(self) -> u8 {
        (self.0 & 0x07) as u8
    }
}
