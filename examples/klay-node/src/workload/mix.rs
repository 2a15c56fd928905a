//! What a load consists of, in percent.

use std::str::FromStr;

use klay_core::FeeRatio;

/// A mix of transactions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mix {
    /// A: value transfers.
    Transfer,
    /// B: what an application does.
    App,
    /// C: everything paid by others.
    Sponsored,
    /// E: Ethereum's legacy transfers.
    Ethereum,
}

/// A kind of transaction in a mix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// `0x08`.
    Transfer,
    /// `0x09`.
    Sponsored,
    /// `0x0a` with this ratio.
    Shared(FeeRatio),
    /// `0x30`, a token transfer.
    Token,
    /// `0x31`, a token transfer.
    SponsoredToken,
    /// `0x30`, one slot for all.
    Counter,
    /// `0x7802`, a transfer.
    DynamicFee,
    /// Untyped, a transfer.
    Legacy,
}

impl Mix {
    /// The class of a number from 0 to 99, the shares in the order of the published table.
    pub(super) fn class(self, drawn: usize) -> Class {
        match (self, drawn) {
            (Self::Transfer, _) => Class::Transfer,
            (Self::App, ..60) => Class::Transfer,
            (Self::App, ..75) => Class::Sponsored,
            (Self::App, ..90) => Class::Token,
            (Self::App, ..95) => Class::Counter,
            (Self::App, _) => Class::DynamicFee,
            (Self::Sponsored, ..70) => Class::SponsoredToken,
            (Self::Sponsored, ..90) => Class::Sponsored,
            (Self::Sponsored, _) => Class::Shared(FeeRatio::new(30).expect("between 1 and 99")),
            (Self::Ethereum, _) => Class::Legacy,
        }
    }

    /// Keccak-256 over the hashes of the first 1,000 transactions of seed 1 on chain 2019.
    pub const fn check(self) -> &'static str {
        match self {
            Self::Transfer => "0x09c5ced5f22ecf60864ef3114982855c5581ab7f5d19108e5185453d58ed1759",
            Self::App => "0xf94963dfc601a2e695a3b4b28e30cd1908158ff45448e348b411848e60babd07",
            Self::Sponsored => "0x0f651c070d7cfa9761a4d3034998bf6089c9b7ff6f26e6f4bd38516ea6216c16",
            Self::Ethereum => "0xd9385c440c6383219811ee93002320833d5bd98f437f0277e65dc2d06917551c",
        }
    }
}

impl Class {
    /// Most gas that it may use.
    pub(super) const fn gas_limit(self) -> u64 {
        match self {
            Self::Transfer | Self::DynamicFee | Self::Legacy => 21_000,
            Self::Sponsored => 31_000,
            Self::Shared(_) => 36_000,
            Self::Token => 120_000,
            Self::SponsoredToken => 130_000,
            Self::Counter => 80_000,
        }
    }
}

/// The letter is none of A, B, C and E.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no mix {got}: there are A, B, C and E")]
pub struct UnknownMix {
    /// What was asked for.
    pub got: String,
}

impl FromStr for Mix {
    type Err = UnknownMix;

    fn from_str(letter: &str) -> Result<Self, UnknownMix> {
        match letter {
            "A" | "a" => Ok(Self::Transfer),
            "B" | "b" => Ok(Self::App),
            "C" | "c" => Ok(Self::Sponsored),
            "E" | "e" => Ok(Self::Ethereum),
            _ => Err(UnknownMix { got: letter.to_owned() }),
        }
    }
}
