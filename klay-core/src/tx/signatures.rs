//! Signature lists on the wire, and the checks that come with decoding.

use alloy_primitives::U256;
use rlp::RlpStream;

use crate::{
    codec::{AppendExt, DecodeError, DecodeErrorKind, Reader},
    crypto::{Signature, Signatures},
};

impl Signature {
    /// Appends the three integers, without a list around them.
    pub fn append_to(&self, out: &mut RlpStream) {
        out.append_u256(self.v).append_u256(self.r).append_u256(self.s);
    }

    /// Reads the three integers.
    ///
    /// # Errors
    /// If one is missing, not canonical, or beyond 256 bits.
    pub fn decode(list: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { v: list.u256("v")?, r: scalar("r", list)?, s: scalar("s", list)? })
    }

    /// What decoding demands of a legacy signature and of each sender signature of a Klaytn type.
    ///
    /// High `s` passes here unless `v` is 27 or 28; recovery refuses it in any case. `v` 0 and 1 are no parity here.
    pub(super) fn is_sane(&self) -> bool {
        match u64::try_from(self.v) {
            Ok(0 | 1) => false,
            Ok(27 | 28) => self.is_in_range() && self.is_low_s(),
            _ => self.is_in_range(),
        }
    }

    /// What decoding demands of the signature of an Ethereum type: the lowest byte of `v` is a parity.
    pub(super) fn is_sane_ethereum(&self) -> bool {
        self.v.byte(0) <= 1 && self.is_in_range()
    }
}

impl Signatures {
    /// Appends the list of `[v, r, s]` lists.
    pub fn append_to(&self, out: &mut RlpStream) {
        out.begin_list(self.len());
        for signature in self.iter() {
            out.begin_list(3);
            signature.append_to(out);
        }
    }

    /// Reads a list of `[v, r, s]` lists; any number of them, none included.
    ///
    /// # Errors
    /// If a list or an integer is malformed. The values are not looked at.
    pub fn decode(field: &'static str, list: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut reader = list.list(field)?;
        let mut signatures = Vec::with_capacity(1);
        while !reader.is_empty() {
            let mut signature = reader.list(field)?;
            signatures.push(Signature::decode(&mut signature)?);
            signature.end(field)?;
        }
        Ok(Self::new(signatures))
    }

    /// What decoding demands of the sender's signatures of a Klaytn type: at least one, each sane, and all with the
    /// chain id of the first. Fee payers' signatures are not looked at before they are recovered.
    pub(super) fn are_sane(&self) -> bool {
        let Some(first) = self.first() else { return false };
        let chain_id = first.chain_id().unwrap_or_default();
        self.iter().all(|signature| signature.is_sane() && signature.chain_id().unwrap_or_default() == chain_id)
    }
}

/// An integer of more than 256 bits is no scalar of the curve, which is what the reference client says of it.
fn scalar(field: &'static str, list: &mut Reader<'_>) -> Result<U256, DecodeError> {
    list.u256(field).map_err(|error| match error.kind {
        DecodeErrorKind::IntegerTooLarge { .. } => DecodeError { kind: DecodeErrorKind::InvalidSignature, ..error },
        _ => error,
    })
}
