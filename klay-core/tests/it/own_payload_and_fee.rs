//! The two axes are open: a third party's payload works under every fee mode, and a third party's fee mode with every
//! payload. A chain that carries neither refuses their bytes.

use alloy_primitives::{Address, Bytes, U256};
use klay_core::{
    Body, DecodeError, FeeMode, FeeRatio, FeeSplit, Payload, PublicKey, Role, SenderPays, Sign, Signature, Signatures,
    TxEnvelope,
    auth::SignError,
    codec::{AppendExt, DecodeErrorKind, Reader},
    crypto,
    tx::{HashedTx, PayloadType, payload::Cancel},
};
use rlp::RlpStream;

struct Key([u8; 32]);

impl Sign for Key {
    fn public_key(&self) -> PublicKey {
        PublicKey::from_secret(&self.0).unwrap()
    }

    fn sign_digest(&self, digest: klay_core::B256) -> Result<Signature, SignError> {
        crypto::sign_digest(&self.0, digest)
    }
}

/// A vote, in a family that the protocol leaves free.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Vote {
    Known(Payload),
    Vote { ballot: u64, choice: Bytes },
}

impl PayloadType for Vote {
    fn is_family(family: u8) -> bool {
        family == 0x58 || Payload::is_family(family)
    }

    fn family(&self) -> u8 {
        match self {
            Self::Known(payload) => payload.family(),
            Self::Vote { .. } => 0x58,
        }
    }

    fn role(&self) -> Role {
        Role::Transaction
    }

    fn to(&self) -> Option<Address> {
        None
    }

    fn value(&self) -> U256 {
        U256::ZERO
    }

    fn input(&self) -> &[u8] {
        match self {
            Self::Known(payload) => payload.input(),
            Self::Vote { choice, .. } => choice,
        }
    }

    fn encode(&self, from: Address, ratio: Option<FeeRatio>, out: &mut RlpStream) {
        match self {
            Self::Known(payload) => payload.encode(from, ratio, out),
            Self::Vote { ballot, choice } => {
                out.append_address(from).append(ballot).append_bytes(choice);
                if let Some(ratio) = ratio {
                    out.append(&ratio.percent());
                }
            }
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Known(payload) => payload.len(),
            Self::Vote { .. } => 3,
        }
    }

    fn decode(
        family: u8,
        has_ratio: bool,
        list: &mut Reader<'_>,
    ) -> Result<(Self, Address, Option<FeeRatio>), DecodeError> {
        if family != 0x58 {
            let (payload, from, ratio) = Payload::decode(family, has_ratio, list)?;
            return Ok((Self::Known(payload), from, ratio));
        }
        let from = list.address("from")?;
        let (ballot, choice) = (list.u64("ballot")?, Bytes::copy_from_slice(list.bytes("choice")?));
        let ratio = has_ratio.then(|| list.u8("feeRatio")).transpose()?.map(FeeRatio::new_unchecked);
        Ok((Self::Vote { ballot, choice }, from, ratio))
    }
}

/// The chain's treasury pays: fee bits 4, one more element, a signature of nobody.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Treasury {
    Sender(SenderPays),
    Treasury { account: Address, none: Signatures },
}

impl FeeMode for Treasury {
    fn writes_ratio(bits: u8) -> Option<bool> {
        matches!(bits, 0 | 4).then_some(false)
    }

    fn bits(&self) -> u8 {
        match self {
            Self::Sender(_) => 0,
            Self::Treasury { .. } => 4,
        }
    }

    fn ratio(&self) -> Option<FeeRatio> {
        None
    }

    fn payer(&self) -> Option<Address> {
        match self {
            Self::Sender(_) => None,
            Self::Treasury { account, .. } => Some(*account),
        }
    }

    fn payer_signatures(&self) -> &Signatures {
        match self {
            Self::Sender(sender) => sender.payer_signatures(),
            Self::Treasury { none, .. } => none,
        }
    }

    fn split(&self, amount: U256) -> FeeSplit {
        match self {
            Self::Sender(sender) => sender.split(amount),
            Self::Treasury { .. } => FeeSplit::of_payer(amount),
        }
    }

    fn tail_len(&self) -> usize {
        usize::from(matches!(self, Self::Treasury { .. }))
    }

    fn encode_tail(&self, out: &mut RlpStream) {
        if let Self::Treasury { account, .. } = self {
            out.append_address(*account);
        }
    }

    fn decode_tail(bits: u8, _: Option<FeeRatio>, list: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match bits {
            0 => Ok(Self::Sender(SenderPays)),
            _ => Ok(Self::Treasury { account: list.address("treasury")?, none: Signatures::EMPTY }),
        }
    }
}

fn body<P>(payload: P) -> Body<P> {
    let from = Key([1; 32]).public_key().address();
    Body { nonce: 1, gas_price: U256::from(25), gas_limit: 21_000, from, payload }
}

fn check<F: FeeMode, P: PayloadType>(tx: klay_core::Tx<F, P>) {
    let key = Key([1; 32]);
    let tx = TxEnvelope::Klaytn(tx.sign(1001, &[&key]).unwrap());
    let hashed = HashedTx::<F, P>::decode(&tx.encode()).unwrap();
    assert_eq!(hashed.tx(), &tx);
    assert_eq!((hashed.hash(), hashed.sender_hash()), (tx.hash(), tx.sender_hash()));
    assert_eq!(tx.view().fee_payer.is_some(), hashed.hash() != hashed.sender_hash());
    let recovered = hashed.recover(1001).unwrap();
    assert_eq!(recovered.sender(), key.public_key().address());
    assert_eq!(tx.recover_senders(1001).unwrap(), vec![key.public_key()]);
}

const fn vote() -> Vote {
    Vote::Vote { ballot: 7, choice: Bytes::from_static(b"yes") }
}

const fn treasury() -> Treasury {
    Treasury::Treasury { account: Address::repeat_byte(3), none: Signatures::EMPTY }
}

#[test]
fn every_combination_is_encoded_hashed_and_signed() {
    check(body(vote()).paid_by(SenderPays));
    check(body(vote()).paid_by(Treasury::Sender(SenderPays)));
    check(body(vote()).paid_by(treasury()));
    check(body(Vote::Known(Cancel.into())).paid_by(treasury()));
    check(body(Payload::from(Cancel)).paid_by(treasury()));
}

#[test]
fn a_chain_without_them_refuses_their_bytes() {
    let key = Key([1; 32]);
    let own_payload = body(vote()).paid_by(SenderPays).sign(1, &[&key]).unwrap().encode();
    let own_fee = body(Payload::from(Cancel)).paid_by(treasury()).sign(1, &[&key]).unwrap().encode();
    for (raw, code) in [(own_payload, 0x58), (own_fee, 0x3c)] {
        let error = TxEnvelope::<SenderPays>::decode(&raw).unwrap_err();
        assert_eq!(error, DecodeError::new("type", 0, DecodeErrorKind::UndefinedTxType(code)));
    }
}

#[test]
fn a_chain_without_delegation_refuses_delegated_types() {
    for bits in [1, 2] {
        let raw = [0x38 | bits, 0xc0];
        let error = TxEnvelope::<SenderPays>::decode(&raw).unwrap_err();
        assert_eq!(error.to_string(), "undefined tx type (type, byte 0)");
    }
}

#[test]
fn a_type_of_a_third_party_has_no_name_of_the_protocol() {
    assert_eq!(body(vote()).paid_by(treasury()).tx_type().name(), "TxTypeUnknown");
    assert_eq!(body(vote()).paid_by(treasury()).tx_type().code(), 0x5c);
}
