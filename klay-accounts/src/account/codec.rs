//! The leaf: a type byte and a list, two items in a row.
//!
//! Source: spec 20, section 1.2; `account_serializer.go` in the reference client.

use alloy_primitives::B256;
use klay_core::{
    DecodeError,
    codec::{DecodeErrorKind, Reader, put_bytes, put_list_header, put_u64, put_u256},
};

use super::{CodeInfo, Kind, Program, StateAccount};
use crate::{
    key::AccountKey,
    wire::{integer_len, list_len},
};

/// A hash with its header.
const HASH_LEN: usize = 1 + 32;

impl StateAccount {
    /// The leaf of the state trie.
    ///
    /// A user without code and storage takes the compact form, everyone else the full one.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(128 + self.key.encoded_len());
        self.encode_into(&mut out);
        out
    }

    /// Appends the leaf to `out`.
    pub fn encode_into(&self, out: &mut Vec<u8>) {
        out.push(self.kind as u8);
        let common_len = self.common_len();
        if self.kind == Kind::Eoa && self.program.is_blank() {
            return self.encode_common(common_len, out);
        }
        let code_info = self.program.code_info.byte();
        let code_info_len = integer_len((u8::BITS - code_info.leading_zeros()) as usize);
        put_list_header(list_len(common_len) + HASH_LEN + HASH_LEN + code_info_len, out);
        self.encode_common(common_len, out);
        put_bytes(self.program.storage_root.as_slice(), out);
        put_bytes(self.program.code_hash.as_slice(), out);
        put_u64(code_info.into(), out);
    }

    fn encode_common(&self, len: usize, out: &mut Vec<u8>) {
        put_list_header(len, out);
        put_u64(self.nonce, out);
        put_u256(self.balance, out);
        put_u64(self.human_readable.into(), out);
        self.key.encode_into(out);
    }

    fn common_len(&self) -> usize {
        let nonce_bits = (u64::BITS - self.nonce.leading_zeros()) as usize;
        integer_len(nonce_bits) + integer_len(self.balance.bit_len()) + 1 + self.key.encoded_len()
    }

    /// Reads a leaf that takes all of `bytes`.
    ///
    /// Accepts what the reference client has on disk as well: a full form with nothing to tell, and storage roots of
    /// 39 bytes, of which the last seven are a serial number that is not part of any hash and is dropped.
    ///
    /// # Errors
    /// If the bytes are not the canonical encoding of one user or contract.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let kind = match reader.u8("accountType")? {
            0x01 => Kind::Eoa,
            0x02 => Kind::Contract,
            other => {
                return Err(DecodeError::new("accountType", 0, DecodeErrorKind::UndefinedAccountType(other)));
            }
        };
        let mut body = reader.list("account")?;
        let is_full = kind == Kind::Contract || body.next_is_list();
        let account = if is_full { read_full(kind, &mut body)? } else { read_common(kind, &mut body)? };
        body.end("account")?;
        reader.end("account")?;
        Ok(account)
    }
}

fn read_common(kind: Kind, list: &mut Reader<'_>) -> Result<StateAccount, DecodeError> {
    Ok(StateAccount {
        kind,
        nonce: list.u64("nonce")?,
        balance: list.u256("balance")?,
        human_readable: list.bool("humanReadable")?,
        key: AccountKey::read(list)?,
        program: Program::default(),
    })
}

fn read_full(kind: Kind, list: &mut Reader<'_>) -> Result<StateAccount, DecodeError> {
    let mut common = list.list("account")?;
    let account = read_common(kind, &mut common)?;
    common.end("account")?;
    let program = Program {
        storage_root: read_root(list)?,
        code_hash: list.hash("codeHash")?,
        code_info: CodeInfo::from_byte(list.u8("codeInfo")?),
    };
    // The forms of "nothing to tell" are one value in memory, as they are one encoding.
    let is_blank = kind == Kind::Eoa && program.is_blank();
    Ok(StateAccount { program: if is_blank { Program::default() } else { program }, ..account })
}

/// A root of 32 bytes, or of 39 of which 32 count.
fn read_root(list: &mut Reader<'_>) -> Result<B256, DecodeError> {
    let at = list.offset();
    let bytes = list.bytes("storageRoot")?;
    match bytes.len() {
        32 | 39 => Ok(B256::from_slice(&bytes[..32])),
        got => Err(DecodeError::new("storageRoot", at, DecodeErrorKind::WrongLength { expected: 32, got })),
    }
}
