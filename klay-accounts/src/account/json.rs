//! Accounts as JSON, in the shape of the node's RPC.
//!
//! Source: spec 20, section 5.1; `externally_owned_account.go` in the reference client.

use alloy_primitives::{B256, U256};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use serde_json::Value;

use super::{CodeInfo, EMPTY_CODE_HASH, EMPTY_ROOT, Kind, Program, StateAccount};
use crate::{key::AccountKey, quantity};

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Outer<T> {
    acc_type: u8,
    account: T,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Written<'a> {
    nonce: u64,
    balance: String,
    human_readable: bool,
    key: &'a AccountKey,
    storage_root: B256,
    code_hash: String,
    code_format: u8,
    vm_version: u8,
}

/// As written; what follows the key may be missing, as the older node leaves it out for users.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Read {
    nonce: u64,
    #[serde(deserialize_with = "read_quantity")]
    balance: U256,
    human_readable: bool,
    key: AccountKey,
    storage_root: Option<B256>,
    code_hash: Option<String>,
    #[serde(default)]
    code_format: u8,
    #[serde(default)]
    vm_version: u8,
}

/// All eight members for users and contracts; the nonce is a number and the code hash base64.
impl Serialize for StateAccount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let account = Written {
            nonce: self.nonce,
            balance: quantity::format(self.balance),
            human_readable: self.human_readable,
            key: &self.key,
            storage_root: self.program.storage_root,
            code_hash: BASE64.encode(self.program.code_hash),
            code_format: self.program.code_info.format(),
            vm_version: self.program.code_info.vm_version(),
        };
        Outer { acc_type: self.kind as u8, account }.serialize(serializer)
    }
}

/// Accepts users with four members as well as with eight.
impl<'de> Deserialize<'de> for StateAccount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Outer { acc_type, account } = Outer::<Read>::deserialize(deserializer)?;
        let kind = match acc_type {
            0x01 => Kind::Eoa,
            0x02 => Kind::Contract,
            _ => return Err(D::Error::custom("undefined account type")),
        };
        let code_hash = match account.code_hash {
            None => EMPTY_CODE_HASH,
            Some(text) => {
                let bytes = BASE64.decode(text).map_err(D::Error::custom)?;
                B256::try_from(bytes.as_slice()).map_err(|_| D::Error::invalid_length(bytes.len(), &"32 bytes"))?
            }
        };
        if account.code_format > 0x0f || account.vm_version > 0x0f {
            return Err(D::Error::custom("code format and machine version take four bits each"));
        }
        Ok(Self {
            kind,
            nonce: account.nonce,
            balance: account.balance,
            human_readable: account.human_readable,
            key: account.key,
            program: Program {
                storage_root: account.storage_root.unwrap_or(EMPTY_ROOT),
                code_hash,
                code_info: CodeInfo::from_byte(account.vm_version << 4 | account.code_format),
            },
        })
    }
}

fn read_quantity<'de, D: Deserializer<'de>>(deserializer: D) -> Result<U256, D::Error> {
    quantity::parse(&Value::deserialize(deserializer)?).map_err(D::Error::custom)
}
