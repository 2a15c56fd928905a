//! The sum of all transactions.

use alloy_primitives::{Address, B256};

use super::{
    ethereum::EthereumTx,
    fee::FeeMode,
    legacy::LegacyTx,
    payload::{Payload, PayloadType},
    sign::SignTxError,
    tx_type::{ETHEREUM_ENVELOPE, TxType},
    typed::Tx,
    view::TxView,
};
use crate::{
    auth::Sign,
    codec::{DecodeError, DecodeErrorKind, Reader},
    crypto::{self, PublicKey, RecoverError, keccak256},
};

/// Any transaction of a chain whose fee modes are `F`.
///
/// ```
/// use klay_core::{SenderPays, TxEnvelope, address, b256, hex};
///
/// let raw = hex!(
///     "08f87a8204d219830f4240947b65b75d204abed71587c9e519a89277766ee1d00a94a94f5374fce5edbc8e2a8697c15331677e6ebf0bf845"
///     "f84325a0f3d0cd43661cabf53425535817c5058c27781f478cb5459874feaa462ed3a29aa06748abe186269ff10b8100a4b7d7fea274b53e"
///     "a2905acbf498dc8b5ab1bf4fbc"
/// );
/// let tx = TxEnvelope::<SenderPays>::decode(&raw)?;
/// assert_eq!(tx.tx_type().name(), "TxTypeValueTransfer");
/// assert_eq!(tx.hash(), b256!("0x762f130342569e9669a4d8547f1248bd2554fbbf3062d63a97ce28bfa97aa9d7"));
/// assert_eq!(tx.recover_senders(1)?[0].address(), address!("0xa94f5374fce5edbc8e2a8697c15331677e6ebf0b"));
/// assert_eq!(tx.encode(), raw);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TxEnvelope<F, P = Payload> {
    /// Untyped.
    Legacy(LegacyTx),
    /// Inside the `0x78` envelope.
    Ethereum(EthereumTx),
    /// Payload under a fee mode.
    Klaytn(Tx<F, P>),
}

impl<F: FeeMode, P: PayloadType> TxEnvelope<F, P> {
    /// Reads the node's wire form, all of `bytes`. A blob transaction may have its sidecar.
    ///
    /// The sender's signatures are checked for sanity, not recovered; the fee payer's are not looked at.
    ///
    /// # Errors
    /// If the bytes are not the canonical encoding of one transaction (signature sanity included).
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let tx = Self::decode_item(&mut reader)?;
        reader.end("transaction")?;
        Ok(tx)
    }

    /// Reads Ethereum's raw form (without `0x78`) or a legacy transaction.
    ///
    /// This is what the `eth_` methods take: a first byte from `0x01` to `0x7e` is an EIP-2718 type, so that neither a
    /// Klaytn type nor a second `0x78` gets through.
    ///
    /// # Errors
    /// As [`Self::decode`].
    pub fn decode_ethereum(bytes: &[u8]) -> Result<Self, DecodeError> {
        if !matches!(bytes.first(), Some(0x01..=0x7e)) {
            return Self::decode(bytes);
        }
        let mut reader = Reader::new(bytes);
        let tx = Self::decode_enveloped(&mut reader)?;
        reader.end("transaction")?;
        Ok(tx)
    }

    /// Reads the node's wire form or Ethereum's raw form. The two do not overlap.
    ///
    /// # Errors
    /// As [`Self::decode`].
    pub fn decode_any(bytes: &[u8]) -> Result<Self, DecodeError> {
        match bytes.first() {
            Some(0x01..=0x04) => Self::decode_ethereum(bytes),
            _ => Self::decode(bytes),
        }
    }

    /// Reads one transaction out of a list in which transactions are spliced (1, 2 or 3 items).
    ///
    /// The reference client also takes a leading `80` before a legacy list and `82 78 xx` for an Ethereum type, which
    /// nothing produces; here both are undefined types.
    ///
    /// # Errors
    /// As [`Self::decode`], except for bytes that follow.
    pub fn decode_item(list: &mut Reader<'_>) -> Result<Self, DecodeError> {
        if list.next_is_list() {
            return LegacyTx::decode(list).map(Self::Legacy);
        }
        let at = list.offset();
        match decode_type_byte(list)? {
            ETHEREUM_ENVELOPE => Self::decode_enveloped(list),
            byte => Tx::decode(byte, at, list).map(Self::Klaytn),
        }
    }

    fn decode_enveloped(list: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let at = list.offset();
        match decode_type_byte(list)? {
            byte @ 0x01..=0x04 => EthereumTx::decode(byte, list).map(Self::Ethereum),
            byte => {
                let code = u64::from(ETHEREUM_ENVELOPE) << 8 | u64::from(byte);
                Err(DecodeError::new("type", at, DecodeErrorKind::UndefinedTxType(code)))
            }
        }
    }

    /// The node's wire form, as it stands in blocks: without the sidecar of a blob transaction.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Legacy(tx) => tx.encode(),
            Self::Ethereum(tx) => tx.encode(),
            Self::Klaytn(tx) => tx.encode(),
        }
    }

    /// The form in which nodes pass transactions on: as [`Self::encode`], with the sidecar of a blob transaction.
    pub fn encode_network(&self) -> Vec<u8> {
        match self {
            Self::Ethereum(tx) => tx.encode_network(),
            _ => self.encode(),
        }
    }

    /// Ethereum's raw form: without the leading `0x78`; other types as [`Self::encode`].
    pub fn encode_ethereum(&self) -> Vec<u8> {
        match self {
            Self::Ethereum(tx) => tx.encode_ethereum(),
            _ => self.encode(),
        }
    }

    /// Length of [`Self::encode`] in bytes.
    pub fn encoded_len(&self) -> usize {
        self.encode().len()
    }

    /// The type.
    pub fn tx_type(&self) -> TxType {
        match self {
            Self::Legacy(_) => TxType::LEGACY,
            Self::Ethereum(tx) => tx.fields.tx_type(),
            Self::Klaytn(tx) => tx.tx_type(),
        }
    }

    /// The transaction hash. Encodes the transaction; [`HashedTx`](super::HashedTx) does it once.
    pub fn hash(&self) -> B256 {
        keccak256(self.encode_ethereum())
    }

    /// The hash without the fee payer's two elements; [`Self::hash`] where there are none.
    pub fn sender_hash(&self) -> B256 {
        match self {
            Self::Klaytn(tx) => tx.sender_hash(),
            _ => self.hash(),
        }
    }

    /// What the sender signs on the chain `chain_id`.
    ///
    /// Without one: the unprotected form of a legacy transaction, the chain id in the fields of an Ethereum type, 0 for
    /// a Klaytn type.
    pub fn signing_hash(&self, chain_id: Option<u64>) -> B256 {
        match self {
            Self::Legacy(tx) => tx.signing_hash(chain_id),
            Self::Ethereum(tx) => tx.signing_hash(chain_id),
            Self::Klaytn(tx) => tx.signing_hash(chain_id.unwrap_or_default()),
        }
    }

    /// What the fee payer signs; none without one.
    pub fn payer_signing_hash(&self, chain_id: u64) -> Option<B256> {
        match self {
            Self::Klaytn(tx) => tx.payer_signing_hash(chain_id),
            _ => None,
        }
    }

    /// Signs as the sender for the chain `chain_id`, in the place of the signatures that were there.
    ///
    /// # Errors
    /// Without signers, with more than the type can carry (one, or ten for Klaytn types), if one cannot sign, or if the
    /// transaction names another chain.
    pub fn sign(self, chain_id: u64, signers: &[&dyn Sign]) -> Result<Self, SignTxError> {
        Ok(match self {
            Self::Legacy(tx) => Self::Legacy(tx.sign(chain_id, signers)?),
            Self::Ethereum(tx) => Self::Ethereum(tx.sign(chain_id, signers)?),
            Self::Klaytn(tx) => Self::Klaytn(tx.sign(chain_id, signers)?),
        })
    }

    /// Recovers the keys behind the sender's signatures, in order.
    ///
    /// # Errors
    /// If a signature is invalid or made for another chain.
    pub fn recover_senders(&self, chain_id: u64) -> Result<Vec<PublicKey>, RecoverError> {
        let (signature, (hash, odd)) = match self {
            Self::Legacy(tx) => (&tx.signature, tx.signed(chain_id)?),
            Self::Ethereum(tx) => (&tx.signature, tx.signed(chain_id)?),
            Self::Klaytn(tx) => return super::recovered::senders(tx, chain_id, || tx.signing_hash(chain_id)),
        };
        Ok(vec![crypto::recover(hash, odd, signature.r, signature.s)?])
    }

    /// Recovers the keys behind the fee payer's signatures, in order; empty without a fee payer.
    ///
    /// # Errors
    /// If a signature is invalid or made for another chain.
    pub fn recover_payers(&self, chain_id: u64) -> Result<Vec<PublicKey>, RecoverError> {
        match self {
            Self::Klaytn(tx) => super::recovered::payers(tx, chain_id, |_| tx.payer_signing_hash(chain_id)),
            _ => Ok(Vec::new()),
        }
    }

    /// The sender: written down, or recovered where it is not.
    ///
    /// # Errors
    /// If the type does not write it down and the signature is invalid or made for another chain.
    pub fn sender(&self, chain_id: u64) -> Result<Address, RecoverError> {
        match self {
            Self::Klaytn(tx) => Ok(tx.body.from),
            _ => {
                let keys = self.recover_senders(chain_id)?;
                keys.first().map(PublicKey::address).ok_or(RecoverError::NotSingle { got: 0 })
            }
        }
    }

    /// The fields that most readers want, by one match.
    pub fn view(&self) -> TxView<'_> {
        match self {
            Self::Legacy(tx) => TxView::legacy(tx),
            Self::Ethereum(tx) => TxView::ethereum(tx),
            Self::Klaytn(tx) => TxView::klaytn(tx),
        }
    }
}

impl<F, P> From<LegacyTx> for TxEnvelope<F, P> {
    fn from(tx: LegacyTx) -> Self {
        Self::Legacy(tx)
    }
}

impl<F, P> From<EthereumTx> for TxEnvelope<F, P> {
    fn from(tx: EthereumTx) -> Self {
        Self::Ethereum(tx)
    }
}

impl<F, P> From<Tx<F, P>> for TxEnvelope<F, P> {
    fn from(tx: Tx<F, P>) -> Self {
        Self::Klaytn(tx)
    }
}

/// Reads a type, which is one byte from `0x01` to `0x7f`; 0 for bytes that are none.
fn decode_type_byte(list: &mut Reader<'_>) -> Result<u8, DecodeError> {
    let item = list.item("type")?;
    match item.raw {
        [byte] if *byte < 0x80 => Ok(*byte),
        _ => {
            let code = item.payload.iter().take(8).fold(0, |n, byte| n << 8 | u64::from(*byte));
            Err(DecodeError::new("type", item.offset, DecodeErrorKind::UndefinedTxType(code)))
        }
    }
}
