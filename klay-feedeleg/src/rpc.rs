//! The argument object of `kaia_sendTransaction`, `kaia_signTransaction` and their siblings for fee payers.
//!
//! For a Klaytn type the object must have every field of the type and no other; the messages say so in the reference
//! client's words, which name its field tags.
//!
//! Source: spec 10, section 5.4; `api/tx_args.go` in the reference client.

use alloy_eips::{
    eip2930::{AccessList, AccessListItem},
    eip7702::{Authorization, SignedAuthorization},
};
use alloy_primitives::{Address, B256, Bytes, U256};
use klay_core::{
    Body, FeeRatio, Payload, Signature, Signatures, TxType,
    tx::{
        DynamicPrice, EncodedKey, EthereumFields, EthereumKind, EthereumTx, LegacyTx,
        payload::{
            AccountUpdate, Cancel, ChainDataAnchoring, ContractDeploy, ContractExecution, ValueTransfer,
            ValueTransferMemo,
        },
    },
};
use serde_json::{Map, Value};

use crate::{
    fee::{Fee, KlaytnTx},
    payer::FeePayer,
};

/// What a caller wants to have signed or sent; members that were not given are none.
///
/// ```
/// use klay_feedeleg::rpc::TxArgs;
///
/// let object = serde_json::json!({
///     "typeInt": 8, "from": "0xa94f5374fce5edbc8e2a8697c15331677e6ebf0b", "nonce": "0x4d2", "gas": "0xf4240",
///     "gasPrice": "0x19", "to": "0x7b65b75d204abed71587c9e519a89277766ee1d0", "value": "0xa",
/// });
/// let mut args = TxArgs::from_json(object.as_object().expect("an object"))?;
/// assert_eq!(args.to_tx()?.tx_type().name(), "TxTypeValueTransfer");
///
/// args.to = None;
/// assert_eq!(args.to_tx().unwrap_err().to_string(), r#"json:"to" is required for TxTypeValueTransfer"#);
/// # Ok::<_, klay_feedeleg::rpc::TxArgsError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[allow(missing_docs)] // the members are those of the table in the specification
pub struct TxArgs {
    pub type_int: Option<u64>,
    pub from: Address,
    pub to: Option<Address>,
    pub gas: Option<u64>,
    pub gas_price: Option<U256>,
    pub max_priority_fee_per_gas: Option<U256>,
    pub max_fee_per_gas: Option<U256>,
    pub value: Option<U256>,
    pub nonce: Option<u64>,
    pub data: Option<Bytes>,
    pub input: Option<Bytes>,
    pub code_format: Option<u8>,
    pub human_readable: Option<bool>,
    pub key: Option<Bytes>,
    pub access_list: Option<AccessList>,
    pub chain_id: Option<U256>,
    pub authorization_list: Option<Vec<SignedAuthorization>>,
    pub fee_payer: Option<Address>,
    pub fee_ratio: Option<u8>,
    pub signatures: Option<Signatures>,
}

/// Why an argument object does not describe a transaction.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TxArgsError {
    /// A member is not what it must be.
    #[error("invalid {member}: expected {expected}")]
    Member {
        /// Its name.
        member: &'static str,
        /// What it must be.
        expected: &'static str,
    },
    /// A field of the type is missing.
    #[error("json:\"{tag}\" is required for {tx_type}")]
    Required {
        /// The field, with the options of its tag in the reference client.
        tag: &'static str,
        /// The type.
        tx_type: TxType,
    },
    /// A field that the type does not have.
    #[error("json:\"{tag}\" is not a field of {tx_type}")]
    Foreign {
        /// The field, with the options of its tag in the reference client.
        tag: &'static str,
        /// The type.
        tx_type: TxType,
    },
    /// No such type.
    #[error("undefined tx type")]
    UndefinedTxType(u64),
    /// A type that this object cannot describe.
    #[error("BlobFeeCap must be a type of *big.Int")]
    Blob,
    /// `data` and `input` contradict each other.
    #[error("Both \"data\" and \"input\" are set and not equal. Please use \"input\" to pass transaction call data.")]
    DataAndInput,
    /// A legacy transaction that creates a contract out of nothing.
    #[error("contract creation without any data provided")]
    NoContractData,
    /// No type where one is demanded.
    #[error("tx should have a type value")]
    NoType,
    /// No nonce where one is demanded.
    #[error("nonce of the sender is not set")]
    NoNonce,
    /// No gas limit where one is demanded.
    #[error("gas limit is not set")]
    NoGas,
    /// No gas price where one is demanded.
    #[error("gas price is not set")]
    NoGasPrice,
    /// No sender signature where one is demanded.
    #[error("sender signature is not set")]
    NoSenderSignature,
    /// A fee payer's method for a type without fee payer.
    #[error("invalid fee payer is set")]
    NoFeePayer,
    /// The key does not parse.
    #[error("AccountKey must be a type of AccountKey")]
    Key,
    /// A set-code transaction needs a recipient.
    #[error("To must be a type of common.Address")]
    NoRecipient,
    /// The type needs an access list, which may be empty.
    #[error("AccessList must be a type of AccessList")]
    NoAccessList,
    /// The type needs a list of authorizations.
    #[error("AuthorizationList must be a type of AuthorizationList")]
    NoAuthorizationList,
    /// The type needs a chain id.
    #[error("ChainID must be a type of ChainID")]
    ChainId,
    /// The type needs a tip.
    #[error("GasTipCap must be a type of *big.Int")]
    TipCap,
    /// The type needs a price cap.
    #[error("GasFeeCap must be a type of *big.Int")]
    FeeCap,
    /// Fields of another type.
    #[error("undefined key remains")]
    Remaining,
}

/// A member that belongs to some types only: its tag, whether it is given, and to what it belongs.
type Field = (&'static str, bool, fn(TxType) -> bool);

impl TxArgs {
    /// Reads the object. Unknown members are ignored, `null` is none.
    ///
    /// # Errors
    /// If a member has the wrong form.
    pub fn from_json(object: &Map<String, Value>) -> Result<Self, TxArgsError> {
        let get = Members(object);
        Ok(Self {
            type_int: get.read("typeInt", "a number", Value::as_u64)?,
            from: get.read("from", "an address", parse)?.unwrap_or_default(),
            to: get.read("to", "an address", parse)?,
            gas: get.read("gas", "a quantity", quantity_u64)?,
            gas_price: get.read("gasPrice", "a quantity", quantity)?,
            max_priority_fee_per_gas: get.read("maxPriorityFeePerGas", "a quantity", quantity)?,
            max_fee_per_gas: get.read("maxFeePerGas", "a quantity", quantity)?,
            value: get.read("value", "a quantity", quantity)?,
            nonce: get.read("nonce", "a quantity", quantity_u64)?,
            data: get.read("data", "bytes", bytes)?,
            input: get.read("input", "bytes", bytes)?,
            code_format: get.read("codeFormat", "a number below 256", number_u8)?,
            human_readable: get.read("humanReadable", "a boolean", Value::as_bool)?,
            key: get.read("key", "bytes", bytes)?,
            access_list: get.read("accessList", "an access list", |value| array(value, access_item).map(AccessList))?,
            chain_id: get.read("chainId", "a quantity", quantity)?,
            authorization_list: get.read("authorizationList", "authorizations", |value| array(value, authorization))?,
            fee_payer: get.read("feePayer", "an address", parse)?,
            fee_ratio: get.read("feeRatio", "a number below 256", number_u8)?,
            signatures: get.read("signatures", "signatures", |value| array(value, signature).map(Signatures::new))?,
        })
    }

    /// The type; legacy if none is given.
    ///
    /// # Errors
    /// If there is no such type.
    pub fn tx_type(&self) -> Result<TxType, TxArgsError> {
        let code = self.type_int.unwrap_or_default();
        TxType::from_code(code).ok_or(TxArgsError::UndefinedTxType(code))
    }

    /// What `sendTransactionAsFeePayer` demands before anything else: values that the sender has already signed have no
    /// defaults.
    ///
    /// # Errors
    /// For the first of type, nonce, gas limit, gas price and signatures that is missing.
    pub const fn check_signed_by_sender(&self) -> Result<(), TxArgsError> {
        match self {
            Self { type_int: None, .. } => Err(TxArgsError::NoType),
            Self { nonce: None, .. } => Err(TxArgsError::NoNonce),
            Self { gas: None, .. } => Err(TxArgsError::NoGas),
            Self { gas_price: None, .. } => Err(TxArgsError::NoGasPrice),
            Self { signatures: None, .. } => Err(TxArgsError::NoSenderSignature),
            _ => Ok(()),
        }
    }

    /// The transaction, with `signatures` as the sender's where they are given.
    ///
    /// Defaults (gas, price, nonce, chain id) are the business of whoever knows the chain; what is still missing is an
    /// error. For Klaytn types every field of the type must be given, and none of another type.
    ///
    /// # Errors
    /// If the object does not describe a transaction of its type.
    pub fn to_tx(&self) -> Result<KlaytnTx, TxArgsError> {
        let tx_type = self.tx_type()?;
        if tx_type.is_legacy() {
            return self.legacy().map(KlaytnTx::Legacy);
        }
        if tx_type.is_ethereum() {
            return self.ethereum(tx_type).map(KlaytnTx::Ethereum);
        }
        self.check_fields(tx_type)?;
        let body = Body {
            nonce: self.nonce.ok_or(TxArgsError::NoNonce)?,
            gas_price: self.gas_price.ok_or(TxArgsError::NoGasPrice)?,
            gas_limit: self.gas.ok_or(TxArgsError::NoGas)?,
            from: self.from,
            payload: self.payload(tx_type)?,
        };
        let fee = match self.fee_payer {
            Some(address) => {
                let ratio = self.fee_ratio.map(FeeRatio::new_unchecked);
                Fee::Payer(FeePayer { address, ratio, signatures: Signatures::EMPTY })
            }
            None => Fee::SENDER,
        };
        let mut tx = body.paid_by(fee);
        tx.signatures = self.signatures.clone().unwrap_or_default();
        Ok(KlaytnTx::Klaytn(tx))
    }

    /// The order is that of the reference client, so that the first complaint is the same.
    fn check_fields(&self, tx_type: TxType) -> Result<(), TxArgsError> {
        let has_to = |t: TxType| matches!(t.family(), 0x08 | 0x10 | 0x28 | 0x30);
        let has_input = |t: TxType| matches!(t.family(), 0x10 | 0x28 | 0x30 | 0x48);
        let fields: [Field; 17] = [
            ("to", self.to.is_some(), has_to),
            ("gas", self.gas.is_some(), |_| true),
            ("gasPrice", self.gas_price.is_some(), |_| true),
            ("maxPriorityFeePerGas", self.max_priority_fee_per_gas.is_some(), |_| false),
            ("maxFeePerGas", self.max_fee_per_gas.is_some(), |_| false),
            ("value", self.value.is_some(), has_to),
            ("nonce", self.nonce.is_some(), |_| true),
            ("data", self.data.is_some(), |_| false),
            ("input", self.input.is_some(), has_input),
            ("codeFormat", self.code_format.is_some(), |t| t.family() == 0x28),
            ("humanReadable", self.human_readable.is_some(), |t| t.family() == 0x28),
            ("key", self.key.is_some(), |t| t.family() == 0x20),
            ("accessList,omitempty", self.access_list.is_some(), |_| false),
            ("chainId,omitempty", self.chain_id.is_some(), |_| false),
            ("authorizationList,omitempty", self.authorization_list.is_some(), |_| false),
            ("feePayer", self.fee_payer.is_some(), TxType::is_fee_delegated),
            ("feeRatio", self.fee_ratio.is_some(), TxType::has_ratio),
        ];
        for (tag, is_given, belongs) in fields {
            let is_optional = tag == "to" && tx_type.family() == 0x28;
            match (is_given, belongs(tx_type)) {
                (false, true) if !is_optional => return Err(TxArgsError::Required { tag, tx_type }),
                (true, false) => return Err(TxArgsError::Foreign { tag, tx_type }),
                _ => {}
            }
        }
        Ok(())
    }

    /// Called after [`Self::check_fields`], so that what the type has is given.
    fn payload(&self, tx_type: TxType) -> Result<Payload, TxArgsError> {
        let required = |tag| TxArgsError::Required { tag, tx_type };
        let to = || self.to.ok_or_else(|| required("to"));
        let value = || self.value.ok_or_else(|| required("value"));
        let input = || self.input.clone().ok_or_else(|| required("input"));
        Ok(match tx_type.family() {
            0x08 => ValueTransfer { to: to()?, value: value()? }.into(),
            0x10 => ValueTransferMemo { to: to()?, value: value()?, input: input()? }.into(),
            0x20 => {
                let key = self.key.as_ref().ok_or_else(|| required("key"))?;
                AccountUpdate { key: EncodedKey::decode(key).map_err(|_| TxArgsError::Key)? }.into()
            }
            0x28 => ContractDeploy {
                to: self.to,
                value: value()?,
                input: input()?,
                human_readable: self.human_readable.ok_or_else(|| required("humanReadable"))?,
                code_format: self.code_format.ok_or_else(|| required("codeFormat"))?,
            }
            .into(),
            0x30 => ContractExecution { to: to()?, value: value()?, input: input()? }.into(),
            0x38 => Cancel.into(),
            0x48 => ChainDataAnchoring { input: input()? }.into(),
            _ => return Err(TxArgsError::UndefinedTxType(tx_type.code().into())),
        })
    }

    fn legacy(&self) -> Result<LegacyTx, TxArgsError> {
        if let (Some(data), Some(input)) = (&self.data, &self.input)
            && data != input
        {
            return Err(TxArgsError::DataAndInput);
        }
        let input = self.data.as_ref().or(self.input.as_ref()).cloned().unwrap_or_default();
        if self.to.is_none() && input.is_empty() {
            return Err(TxArgsError::NoContractData);
        }
        Ok(LegacyTx {
            nonce: self.nonce.ok_or(TxArgsError::NoNonce)?,
            gas_price: self.gas_price.ok_or(TxArgsError::NoGasPrice)?,
            gas_limit: self.gas.ok_or(TxArgsError::NoGas)?,
            to: self.to,
            value: self.value.unwrap_or_default(),
            input,
            signature: self.single_signature(),
        })
    }

    /// The order of the complaints is that of the reference client.
    fn ethereum(&self, tx_type: TxType) -> Result<EthereumTx, TxArgsError> {
        if tx_type == TxType::ETHEREUM_BLOB {
            return Err(TxArgsError::Blob);
        }
        let chain_id = self.chain_id.ok_or(TxArgsError::ChainId)?;
        let nonce = self.nonce.ok_or(TxArgsError::NoNonce)?;
        if tx_type == TxType::ETHEREUM_SET_CODE && self.to.is_none() {
            return Err(TxArgsError::NoRecipient);
        }
        let gas_limit = self.gas.ok_or(TxArgsError::NoGas)?;
        let price = || {
            let cap = self.max_fee_per_gas.ok_or(TxArgsError::FeeCap)?;
            Ok(DynamicPrice { cap, tip: self.max_priority_fee_per_gas.ok_or(TxArgsError::TipCap)? })
        };
        let mut kind = match tx_type {
            TxType::ETHEREUM_ACCESS_LIST => {
                EthereumKind::AccessList { gas_price: self.gas_price.ok_or(TxArgsError::NoGasPrice)? }
            }
            TxType::ETHEREUM_DYNAMIC_FEE => EthereumKind::DynamicFee(price()?),
            _ => EthereumKind::SetCode { price: price()?, authorizations: Vec::new() },
        };
        let access_list = self.access_list.clone().ok_or(TxArgsError::NoAccessList)?;
        if let EthereumKind::SetCode { authorizations, .. } = &mut kind {
            *authorizations = self.authorization_list.clone().ok_or(TxArgsError::NoAuthorizationList)?;
        }
        self.check_no_others(&kind)?;
        let (to, value) = (self.to, self.value.unwrap_or_default());
        let input = self.input.clone().unwrap_or_default();
        Ok(EthereumTx {
            fields: EthereumFields { chain_id, nonce, gas_limit, to, value, input, access_list, kind },
            signature: self.single_signature(),
            sidecar: None,
        })
    }

    fn check_no_others(&self, kind: &EthereumKind) -> Result<(), TxArgsError> {
        let is_dynamic = kind.dynamic_price().is_some();
        let others = [
            self.fee_payer.is_some(),
            self.fee_ratio.is_some(),
            self.code_format.is_some(),
            self.human_readable.is_some(),
            self.key.as_ref().is_some_and(|key| EncodedKey::decode(key).is_ok()),
            is_dynamic && self.gas_price.is_some(),
            !is_dynamic && (self.max_fee_per_gas.is_some() || self.max_priority_fee_per_gas.is_some()),
            !matches!(kind, EthereumKind::SetCode { .. }) && self.authorization_list.is_some(),
        ];
        if others.contains(&true) { Err(TxArgsError::Remaining) } else { Ok(()) }
    }

    fn single_signature(&self) -> Signature {
        self.signatures.as_ref().and_then(|list| list.first().copied()).unwrap_or_default()
    }
}

struct Members<'a>(&'a Map<String, Value>);

impl Members<'_> {
    fn read<T>(
        &self,
        member: &'static str,
        expected: &'static str,
        parse: impl Fn(&Value) -> Option<T>,
    ) -> Result<Option<T>, TxArgsError> {
        match self.0.get(member) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => parse(value).map(Some).ok_or(TxArgsError::Member { member, expected }),
        }
    }
}

fn parse<T: core::str::FromStr>(value: &Value) -> Option<T> {
    value.as_str()?.parse().ok()
}

fn bytes(value: &Value) -> Option<Bytes> {
    value.as_str().filter(|text| text.starts_with("0x"))?.parse().ok()
}

/// A hexadecimal number without leading zeros.
fn quantity(value: &Value) -> Option<U256> {
    let digits = value.as_str()?.strip_prefix("0x")?;
    let is_minimal = digits == "0" || !digits.starts_with('0');
    if digits.is_empty() || !is_minimal || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    U256::from_str_radix(digits, 16).ok()
}

fn quantity_u64(value: &Value) -> Option<u64> {
    quantity(value)?.try_into().ok()
}

fn number_u8(value: &Value) -> Option<u8> {
    value.as_u64()?.try_into().ok()
}

fn array<T>(value: &Value, item: impl Fn(&Value) -> Option<T>) -> Option<Vec<T>> {
    value.as_array()?.iter().map(item).collect()
}

fn access_item(value: &Value) -> Option<AccessListItem> {
    let address = parse(value.get("address")?)?;
    let storage_keys = array(value.get("storageKeys")?, parse::<B256>)?;
    Some(AccessListItem { address, storage_keys })
}

fn authorization(value: &Value) -> Option<SignedAuthorization> {
    let inner = Authorization {
        chain_id: quantity(value.get("chainId")?)?,
        address: parse(value.get("address")?)?,
        nonce: quantity_u64(value.get("nonce")?)?,
    };
    let y_parity = quantity_u64(value.get("yParity")?)?.try_into().ok()?;
    Some(SignedAuthorization::new_unchecked(inner, y_parity, quantity(value.get("r")?)?, quantity(value.get("s")?)?))
}

fn signature(value: &Value) -> Option<Signature> {
    Some(Signature { v: quantity(value.get("V")?)?, r: quantity(value.get("R")?)?, s: quantity(value.get("S")?)? })
}
