//! A fee delegated transaction on its way between the two parties.
//!
//! The protocol knows no form for one that is not signed by both, and a node refuses all of these; SDKs have their own:
//!
//! | | sender has signed | fee payer has signed |
//! |---|---|---|
//! | caver | `feePayer` empty, zero or chosen, `feePayerSignatures` the placeholder `[[1, 0, 0]]` | sender's signatures the placeholder |
//! | ethers-ext, web3js-ext, viem-ext | the list without its last two elements | none |
//!
//! Source: spec 10, section 9.

use alloy_primitives::Address;
use klay_core::{
    Body, DecodeError, FeeRatio, Payload, PublicKey, Sign, Signature, Signatures, Tx, TxEnvelope, TxType,
    codec::{AppendExt, DecodeErrorKind, Reader},
    crypto::RecoverError,
    tx::{
        PayloadType,
        sign::{SignTxError, sign_all},
    },
};
use rlp::RlpStream;

use crate::{
    combine::{self, CombineError, PLACEHOLDER},
    fee::Fee,
    payer::FeePayer,
};

/// A fee delegated transaction that one party, both or none has signed.
///
/// Either party may be first: the payer does not sign the sender's signatures, nor the sender the payer's address.
///
/// ```
/// # use klay_core::{Body, FeeRatio, PublicKey, Sign, Signature, U256, address, auth::SignError, crypto, tx::payload::Cancel};
/// # struct Key([u8; 32]);
/// # impl Sign for Key {
/// #     fn public_key(&self) -> PublicKey { PublicKey::from_secret(&self.0).expect("in range") }
/// #     fn sign_digest(&self, digest: klay_core::B256) -> Result<Signature, SignError> { crypto::sign_digest(&self.0, digest) }
/// # }
/// use klay_feedeleg::PartialTx;
///
/// let (sender, payer) = (Key([1; 32]), Key([2; 32]));
/// let body = Body {
///     nonce: 0,
///     gas_price: U256::from(25_000_000_000u64),
///     gas_limit: 31_000,
///     from: sender.public_key().address(),
///     payload: Cancel.into(),
/// };
/// let on_the_way = PartialTx::new(body, None).sign_as_sender(1001, &[&sender])?.encode(); // raw bytes between the two
/// let whole = PartialTx::decode(&on_the_way)?
///     .with_payer(payer.public_key().address())
///     .sign_as_payer(1001, &[&payer])?
///     .into_tx()?;
/// assert_eq!(whole.tx_type().name(), "TxTypeFeeDelegatedCancel");
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartialTx {
    body: Body,
    ratio: Option<FeeRatio>,
    payer: Option<Address>,
    sender_signatures: Signatures,
    payer_signatures: Signatures,
}

/// What a transaction still lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Incomplete {
    /// The sender's signatures.
    #[error("sender signature is not set")]
    SenderSignature,
    /// The account that pays.
    #[error("fee payer is not set")]
    Payer,
    /// The fee payer's signatures.
    #[error("fee payer signature is not set")]
    PayerSignature,
}

impl PartialTx {
    /// Nobody has signed; `ratio` is the payer's share, none is everything.
    pub const fn new(body: Body, ratio: Option<FeeRatio>) -> Self {
        Self { body, ratio, payer: None, sender_signatures: Signatures::EMPTY, payer_signatures: Signatures::EMPTY }
    }

    /// Reads the wire form or any of the SDKs' forms. Placeholders are dropped, an empty or zero fee payer is none.
    ///
    /// Apart from these forms the codec is as strict as a node's; signatures are not looked at.
    ///
    /// # Errors
    /// If the bytes are no fee delegated transaction in one of the forms.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let type_byte = reader.u8("type")?;
        let (family, has_ratio) = match (type_byte & 0xf8, type_byte & 0x07) {
            (family, bits @ (1 | 2)) if Payload::is_family(family) => (family, bits == 2),
            _ => return Err(DecodeError::new("type", 0, DecodeErrorKind::UndefinedTxType(type_byte.into()))),
        };
        let mut list = reader.list("transaction")?;
        reader.end("transaction")?;
        let (nonce, gas_price, gas_limit) = (list.u64("nonce")?, list.u256("gasPrice")?, list.u64("gas")?);
        let (payload, from, ratio) = Payload::decode(family, has_ratio, &mut list)?;
        let body = Body { nonce, gas_price, gas_limit, from, payload };
        let sender_signatures = real(&Signatures::decode("signatures", &mut list)?);
        let (mut payer, mut payer_signatures) = (None, Signatures::EMPTY);
        if !list.is_empty() {
            payer = list.opt_address("feePayer")?.filter(|payer| !payer.is_zero());
            payer_signatures = real(&Signatures::decode("feePayerSignatures", &mut list)?);
            list.end("transaction")?;
        }
        Ok(Self { body, ratio, payer, sender_signatures, payer_signatures })
    }

    /// Names the account that pays. Signatures of another one are dropped.
    #[must_use]
    pub fn with_payer(mut self, payer: Address) -> Self {
        if self.payer != Some(payer) {
            self.payer_signatures = Signatures::EMPTY;
        }
        self.payer = Some(payer);
        self
    }

    /// Adds signatures of the sender.
    ///
    /// # Errors
    /// Without signers, with more than ten signatures in all, or if one cannot sign.
    pub fn sign_as_sender(mut self, chain_id: u64, signers: &[&dyn Sign]) -> Result<Self, SignTxError> {
        let made = sign_all(self.clone().into_unchecked().signing_hash(chain_id), chain_id, signers)?;
        self.sender_signatures = combine::merge(&self.sender_signatures, &made)?;
        Ok(self)
    }

    /// Adds signatures of the fee payer, who must be named: the address is part of what is signed.
    ///
    /// # Errors
    /// Without a fee payer, without signers, with more than ten signatures in all, or if one cannot sign.
    pub fn sign_as_payer(mut self, chain_id: u64, signers: &[&dyn Sign]) -> Result<Self, SignAsPayerError> {
        self.payer.ok_or(Incomplete::Payer)?;
        let hash = self.clone().into_unchecked().payer_signing_hash(chain_id).ok_or(Incomplete::Payer)?;
        let made = sign_all(hash, chain_id, signers)?;
        self.payer_signatures = combine::merge(&self.payer_signatures, &made).map_err(SignTxError::from)?;
        Ok(self)
    }

    /// Puts the signatures of `other` into this one, in first-seen order and each once; a payer that only one names is
    /// taken over.
    ///
    /// # Errors
    /// If the two differ in anything else, or there are too many signatures.
    pub fn combine(self, other: &Self) -> Result<Self, CombineError> {
        if self.body != other.body || self.ratio != other.ratio {
            return Err(CombineError::Different);
        }
        let payer = match (self.payer, other.payer) {
            (Some(one), Some(two)) if one != two => return Err(CombineError::DifferentPayer),
            (one, two) => one.or(two),
        };
        Ok(Self {
            payer,
            sender_signatures: combine::merge(&self.sender_signatures, &other.sender_signatures)?,
            payer_signatures: combine::merge(&self.payer_signatures, &other.payer_signatures)?,
            ..self
        })
    }

    /// Recovers the keys behind the sender's signatures, in order.
    ///
    /// # Errors
    /// If there is none, or one is invalid or made for another chain.
    pub fn recover_senders(&self, chain_id: u64) -> Result<Vec<PublicKey>, RecoverError> {
        TxEnvelope::Klaytn(self.clone().into_unchecked()).recover_senders(chain_id)
    }

    /// The transaction, signed by both.
    ///
    /// Whether the signatures are those of the accounts is up to the state.
    ///
    /// # Errors
    /// If somebody has not signed yet.
    pub fn into_tx(self) -> Result<Tx<Fee>, Incomplete> {
        if self.sender_signatures.is_empty() {
            return Err(Incomplete::SenderSignature);
        }
        self.payer.ok_or(Incomplete::Payer)?;
        if self.payer_signatures.is_empty() {
            return Err(Incomplete::PayerSignature);
        }
        Ok(self.into_unchecked())
    }

    /// The wire form with caver's placeholders for what is missing, which every SDK of the family reads.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = self.begin();
        placeholder_or(&self.sender_signatures).append_to(&mut out);
        out.append_opt_address(self.payer);
        placeholder_or(&self.payer_signatures).append_to(&mut out);
        out.finalize_unbounded_list();
        out.out().into()
    }

    /// The form of ethers-ext, web3js-ext and viem-ext: the list without fee payer and its signatures.
    pub fn encode_without_payer(&self) -> Vec<u8> {
        let mut out = self.begin();
        placeholder_or(&self.sender_signatures).append_to(&mut out);
        out.finalize_unbounded_list();
        out.out().into()
    }

    /// The type.
    pub fn tx_type(&self) -> TxType {
        TxType::klaytn(self.body.payload.family(), if self.ratio.is_some() { 2 } else { 1 })
    }

    /// What is asked.
    pub const fn body(&self) -> &Body {
        &self.body
    }

    /// The payer's share; none is everything.
    pub const fn ratio(&self) -> Option<FeeRatio> {
        self.ratio
    }

    /// The account that pays, if one is named.
    pub const fn payer(&self) -> Option<Address> {
        self.payer
    }

    /// The sender's signatures so far.
    pub const fn sender_signatures(&self) -> &Signatures {
        &self.sender_signatures
    }

    /// The fee payer's signatures so far.
    pub const fn payer_signatures(&self) -> &Signatures {
        &self.payer_signatures
    }

    /// The zero address stands for a payer that is not named yet; the sender signs neither.
    fn into_unchecked(self) -> Tx<Fee> {
        let address = self.payer.unwrap_or_default();
        let payer = FeePayer { address, ratio: self.ratio, signatures: self.payer_signatures };
        Tx { body: self.body, fee: Fee::Payer(payer), signatures: self.sender_signatures }
    }

    fn begin(&self) -> RlpStream {
        let mut out = RlpStream::new();
        out.append(&(self.tx_type().code() as u8));
        out.begin_unbounded_list();
        out.append(&self.body.nonce).append_u256(self.body.gas_price).append(&self.body.gas_limit);
        self.body.payload.encode(self.body.from, self.ratio, &mut out);
        out
    }
}

impl From<Tx<Fee>> for PartialTx {
    /// A transaction whose sender pays becomes one whose fee a payer, still unnamed, takes over; as that changes the
    /// type, nobody has signed it.
    fn from(tx: Tx<Fee>) -> Self {
        match tx.fee {
            Fee::Sender(_) => Self::new(tx.body, None),
            Fee::Payer(payer) => Self {
                body: tx.body,
                ratio: payer.ratio,
                payer: Some(payer.address).filter(|address| !address.is_zero()),
                sender_signatures: real(&tx.signatures),
                payer_signatures: real(&payer.signatures),
            },
        }
    }
}

/// Why the fee payer's signatures were not made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignAsPayerError {
    /// No fee payer is named.
    #[error(transparent)]
    Incomplete(#[from] Incomplete),
    /// Signing failed.
    #[error(transparent)]
    Sign(#[from] SignTxError),
}

fn real(signatures: &Signatures) -> Signatures {
    signatures.iter().filter(|signature| **signature != PLACEHOLDER).copied().collect()
}

fn placeholder_or(signatures: &Signatures) -> Signatures {
    if signatures.is_empty() { Signatures::new(vec![Signature::clone(&PLACEHOLDER)]) } else { signatures.clone() }
}
