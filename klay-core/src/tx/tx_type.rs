//! The type byte: payload bits, fee bits, and the `0x78` envelope of Ethereum's types.

/// Marks a transaction whose next byte is an EIP-2718 type.
pub const ETHEREUM_ENVELOPE: u8 = 0x78;

/// A transaction type.
///
/// One byte for Klaytn types (`family << 3 | fee bits`), `0x78` and the EIP-2718 byte for Ethereum's, 0 for legacy.
///
/// ```
/// use klay_core::TxType;
///
/// let tx_type = TxType::from_code(0x2a).expect("contract deploy, fee delegated with ratio");
/// assert_eq!(tx_type.name(), "TxTypeFeeDelegatedSmartContractDeployWithRatio");
/// assert_eq!((tx_type.family(), tx_type.fee_bits()), (0x28, 2));
/// assert_eq!(TxType::from_code(0x18), None); // account creation was removed before the public networks began
/// ```
///
/// Source: spec 10, section 1; `blockchain/types/tx_internal_data.go` in the reference client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TxType(u16);

impl TxType {
    /// A legacy transaction, which carries no type byte.
    pub const LEGACY: Self = Self(0);
    /// EIP-2930.
    pub const ETHEREUM_ACCESS_LIST: Self = Self(0x7801);
    /// EIP-1559.
    pub const ETHEREUM_DYNAMIC_FEE: Self = Self(0x7802);
    /// EIP-4844.
    pub const ETHEREUM_BLOB: Self = Self(0x7803);
    /// EIP-7702.
    pub const ETHEREUM_SET_CODE: Self = Self(0x7804);

    /// Every type of the protocol, in the order of their codes.
    pub fn all() -> impl Iterator<Item = Self> {
        NAMES.iter().map(|(code, _)| Self(*code))
    }

    /// The type of the protocol with this code (0 for legacy, `0x08`.., `0x7801`..), if there is one.
    pub const fn from_code(code: u64) -> Option<Self> {
        let mut i = 0;
        while i < NAMES.len() {
            if NAMES[i].0 as u64 == code {
                return Some(Self(NAMES[i].0));
            }
            i += 1;
        }
        None
    }

    /// The type with this name (`TxTypeValueTransfer`), if there is one.
    pub fn from_name(name: &str) -> Option<Self> {
        NAMES.iter().find(|(_, known)| *known == name).map(|(code, _)| Self(*code))
    }

    /// The Klaytn type of a payload under a fee mode; the two need not be the protocol's own.
    pub const fn klaytn(family: u8, fee_bits: u8) -> Self {
        Self((family | fee_bits) as u16)
    }

    /// The number that JSON calls `typeInt`.
    pub const fn code(self) -> u16 {
        self.0
    }

    /// The name that JSON calls `type`: `TxTypeValueTransfer`. A type of a third party is `TxTypeUnknown`.
    pub const fn name(self) -> &'static str {
        let mut i = 0;
        while i < NAMES.len() {
            if NAMES[i].0 == self.0 {
                return NAMES[i].1;
            }
            i += 1;
        }
        "TxTypeUnknown"
    }

    /// Whether someone else than the sender pays (fully or by ratio).
    pub const fn is_fee_delegated(self) -> bool {
        !self.is_ethereum() && self.fee_bits() != 0
    }

    /// Whether a ratio is part of the type.
    pub const fn has_ratio(self) -> bool {
        !self.is_ethereum() && self.fee_bits() == 2
    }

    /// Whether the type lives in the `0x78` envelope.
    pub const fn is_ethereum(self) -> bool {
        self.0 >> 8 == ETHEREUM_ENVELOPE as u16
    }

    /// Whether there is no type byte.
    pub const fn is_legacy(self) -> bool {
        self.0 == 0
    }

    /// Whether the type is a payload under a fee mode.
    pub const fn is_klaytn(self) -> bool {
        self.0 != 0 && self.0 >> 8 == 0
    }

    /// Payload bits of a Klaytn type, fee bits cleared: `0x08`, `0x10`, ...
    pub const fn family(self) -> u8 {
        (self.0 & 0xf8) as u8
    }

    /// Fee bits of a Klaytn type: 0, 1 or 2.
    pub const fn fee_bits(self) -> u8 {
        (self.0 & 0x07) as u8
    }

    /// The EIP-2718 byte of an Ethereum type; 0 for every other, as the `eth_` methods show them.
    pub const fn ethereum_type(self) -> u8 {
        if self.is_ethereum() { (self.0 & 0xff) as u8 } else { 0 }
    }
}

impl core::fmt::Display for TxType {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.name())
    }
}

const NAMES: [(u16, &str); 26] = [
    (0x00, "TxTypeLegacyTransaction"),
    (0x08, "TxTypeValueTransfer"),
    (0x09, "TxTypeFeeDelegatedValueTransfer"),
    (0x0a, "TxTypeFeeDelegatedValueTransferWithRatio"),
    (0x10, "TxTypeValueTransferMemo"),
    (0x11, "TxTypeFeeDelegatedValueTransferMemo"),
    (0x12, "TxTypeFeeDelegatedValueTransferMemoWithRatio"),
    (0x20, "TxTypeAccountUpdate"),
    (0x21, "TxTypeFeeDelegatedAccountUpdate"),
    (0x22, "TxTypeFeeDelegatedAccountUpdateWithRatio"),
    (0x28, "TxTypeSmartContractDeploy"),
    (0x29, "TxTypeFeeDelegatedSmartContractDeploy"),
    (0x2a, "TxTypeFeeDelegatedSmartContractDeployWithRatio"),
    (0x30, "TxTypeSmartContractExecution"),
    (0x31, "TxTypeFeeDelegatedSmartContractExecution"),
    (0x32, "TxTypeFeeDelegatedSmartContractExecutionWithRatio"),
    (0x38, "TxTypeCancel"),
    (0x39, "TxTypeFeeDelegatedCancel"),
    (0x3a, "TxTypeFeeDelegatedCancelWithRatio"),
    (0x48, "TxTypeChainDataAnchoring"),
    (0x49, "TxTypeFeeDelegatedChainDataAnchoring"),
    (0x4a, "TxTypeFeeDelegatedChainDataAnchoringWithRatio"),
    (0x7801, "TxTypeEthereumAccessList"),
    (0x7802, "TxTypeEthereumDynamicFee"),
    (0x7803, "TxTypeEthereumBlob"),
    (0x7804, "TxTypeEthereumSetCode"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_the_types_of_the_protocol_exist() {
        assert_eq!(TxType::all().count(), 1 + 7 * 3 + 4);
        for code in [0x01, 0x02, 0x0b, 0x18, 0x19, 0x1a, 0x40, 0x50, 0x78, 0x7800, 0x7805, 0x10008, u64::MAX] {
            assert_eq!(TxType::from_code(code), None, "{code:#x}");
        }
        for tx_type in TxType::all() {
            assert_eq!(TxType::from_code(tx_type.code().into()), Some(tx_type));
            assert_eq!(TxType::from_name(tx_type.name()), Some(tx_type));
            assert_eq!(tx_type.name().contains("FeeDelegated"), tx_type.is_fee_delegated());
            assert_eq!(tx_type.name().ends_with("WithRatio"), tx_type.has_ratio());
            assert_eq!(tx_type.name().contains("Ethereum"), tx_type.is_ethereum());
        }
    }
}
