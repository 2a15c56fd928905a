//! The leaf: a type byte and a list, two items in a row.
//!
//! Source: spec 20, section 1.2; `account_serializer.go` in the reference client.

use alloy_primitives::B256;
use klay_core::{
    DecodeError,
    codec::{DecodeErrorKind, Reader},
};

use super::{CodeInfo, Kind, Program, StateAccount};
use crate::{key::AccountKey, wire};

/// Root, code hash and code information at their longest, each with its header.
const PROGRAM_LEN: usize = 33 + 33 + 2;

impl StateAccount {
    /// The leaf of the state trie.
    ///
    /// A user without code and storage takes the compact form, everyone else the full one.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64 + self.key.encoded_len() + PROGRAM_LEN);
        self.encode_into(&mut out);
        out
    }

    /// Appends the leaf to `out`.
    pub fn encode_into(&self, out: &mut Vec<u8>) {
        let (nonce, balance) = (self.nonce.to_be_bytes(), self.balance.to_be_bytes::<32>());
        let common = Common {
            nonce: wire::trim(&nonce),
            balance: wire::trim(&balance),
            human_readable: self.human_readable,
            key: &self.key,
        };
        out.push(self.kind as u8);
        if self.kind == Kind::Eoa && self.program.is_blank() {
            return common.encode_into(out);
        }
        let code_info = [self.program.code_info.byte()];
        let code_info = wire::trim(&code_info);
        let common_len = common.body_len();
        let len = wire::header_len(common_len) + common_len + 33 + 33 + wire::string_len(code_info);
        wire::put_list(len, out);
        common.encode_into(out);
        wire::put_string(self.program.storage_root.as_slice(), out);
        wire::put_string(self.program.code_hash.as_slice(), out);
        wire::put_string(code_info, out);
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

/// The elements that every account has, integers already trimmed.
struct Common<'a> {
    nonce: &'a [u8],
    balance: &'a [u8],
    human_readable: bool,
    key: &'a AccountKey,
}

impl Common<'_> {
    fn encode_into(&self, out: &mut Vec<u8>) {
        wire::put_list(self.body_len(), out);
        wire::put_string(self.nonce, out);
        wire::put_string(self.balance, out);
        out.push(if self.human_readable { 0x01 } else { 0x80 });
        self.key.encode_into(out);
    }

    fn body_len(&self) -> usize {
        wire::string_len(self.nonce) + wire::string_len(self.balance) + 1 + self.key.encoded_len()
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
