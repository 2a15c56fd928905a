//! The argument of kaia_ send and sign methods.

use alloy_primitives::{Address, B256, Bytes, U256};
use serde_json::value::RawValue;

use super::{
    Decode, HexUint64, Quantity, Reason,
    call::{AccessList, Authorization},
    json_kind,
    object::{declared, elements, member, members},
    scalar::integer,
};

/// What to send or sign (`api.SendTxArgs`). Which members a type needs is up to the method.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SendRequest {
    /// `typeInt`; legacy if absent.
    pub type_int: Option<u16>,
    /// Sender.
    pub from: Address,
    /// Recipient.
    pub to: Option<Address>,
    /// Most gas.
    pub gas: Option<u64>,
    /// Price, in peb.
    pub gas_price: Option<U256>,
    /// Price cap, in peb.
    pub max_fee_per_gas: Option<U256>,
    /// Tip cap, in peb.
    pub max_priority_fee_per_gas: Option<U256>,
    /// Amount, in peb.
    pub value: Option<U256>,
    /// Nonce of the sender.
    pub nonce: Option<u64>,
    /// Input under its older name.
    pub data: Option<Bytes>,
    /// Input.
    pub input: Option<Bytes>,
    /// Code format of a deployment.
    pub code_format: Option<u8>,
    /// Must be false.
    pub human_readable: Option<bool>,
    /// Encoded account key of an update.
    pub key: Option<Bytes>,
    /// Addresses and slots that are warm.
    pub access_list: Option<Vec<(Address, Vec<B256>)>>,
    /// Chain id.
    pub chain_id: Option<U256>,
    /// Delegations.
    pub authorization_list: Option<Vec<Authorization>>,
    /// Fee payer.
    pub fee_payer: Option<Address>,
    /// The fee payer's percentage.
    pub fee_ratio: Option<u8>,
    /// The sender's signatures.
    pub signatures: Option<Vec<SignatureJson>>,
}

/// `{V, R, S}`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SignatureJson {
    /// V.
    pub v: U256,
    /// R.
    pub r: U256,
    /// S.
    pub s: U256,
}

const MEMBERS: [&str; 20] = [
    "typeInt",
    "from",
    "to",
    "gas",
    "gasPrice",
    "maxFeePerGas",
    "maxPriorityFeePerGas",
    "value",
    "nonce",
    "data",
    "input",
    "codeFormat",
    "humanReadable",
    "key",
    "accessList",
    "chainId",
    "authorizationList",
    "feePayer",
    "feeRatio",
    "signatures",
];

impl Decode for SendRequest {
    const GO: &'static str = "api.SendTxArgs";

    fn decode(raw: &RawValue) -> Result<Self, Reason> {
        let mut request = Self::default();
        for (name, value) in members(raw, Self::GO)? {
            if let Some(name) = declared(&MEMBERS, &name) {
                request.read_member(name, value)?;
            }
        }
        Ok(request)
    }
}

impl SendRequest {
    fn read_member(&mut self, name: &'static str, raw: &RawValue) -> Result<(), Reason> {
        const ROOT: &str = "SendTxArgs";
        let quantity = || member::<Quantity>(ROOT, name, raw).map(|q| Some(q.0));
        let number = || member::<HexUint64>(ROOT, name, raw).map(|n| Some(n.0));
        let bytes = || member::<Bytes>(ROOT, name, raw).map(Some);
        let address = || member::<Address>(ROOT, name, raw);
        let within = |reason: Reason| reason.within(ROOT, name);
        match name {
            "typeInt" => self.type_int = Some(integer(raw, "types.TxType").map_err(within)?),
            "from" => self.from = address()?,
            "to" => self.to = Some(address()?),
            "gas" => self.gas = number()?,
            "gasPrice" => self.gas_price = quantity()?,
            "maxFeePerGas" => self.max_fee_per_gas = quantity()?,
            "maxPriorityFeePerGas" => self.max_priority_fee_per_gas = quantity()?,
            "value" => self.value = quantity()?,
            "nonce" => self.nonce = number()?,
            "data" => self.data = bytes()?,
            "input" => self.input = bytes()?,
            "codeFormat" => self.code_format = Some(integer(raw, "params.CodeFormat").map_err(within)?),
            "humanReadable" => self.human_readable = Some(member(ROOT, name, raw)?),
            "key" => self.key = bytes()?,
            "accessList" => self.access_list = Some(member::<AccessList>(ROOT, name, raw)?.0),
            "chainId" => self.chain_id = quantity()?,
            "authorizationList" => self.authorization_list = Some(member(ROOT, name, raw)?),
            "feePayer" => self.fee_payer = Some(address()?),
            "feeRatio" => self.fee_ratio = Some(integer(raw, "types.FeeRatio").map_err(within)?),
            _ => self.signatures = Some(member::<SignatureList>(ROOT, name, raw)?.0),
        }
        Ok(())
    }
}

/// `types.TxSignaturesJSON`.
struct SignatureList(Vec<SignatureJson>);

impl Decode for SignatureList {
    const GO: &'static str = "types.TxSignaturesJSON";

    fn decode(raw: &RawValue) -> Result<Self, Reason> {
        match json_kind(raw) {
            "null" => Ok(Self(Vec::new())),
            "array" => elements(raw).into_iter().map(SignatureJson::decode).collect::<Result<_, _>>().map(Self),
            kind => Err(Reason::kind(kind, Self::GO)),
        }
    }
}

impl Decode for SignatureJson {
    const GO: &'static str = "types.TxSignatureJSON";

    fn decode(raw: &RawValue) -> Result<Self, Reason> {
        const ROOT: &str = "TxSignatureJSON";
        let mut signature = Self::default();
        let quantity = |name: &str, value| member::<Quantity>(ROOT, name, value).map(|q| q.0);
        for (name, value) in members(raw, Self::GO)? {
            match declared(&["V", "R", "S"], &name) {
                Some(name @ "V") => signature.v = quantity(name, value)?,
                Some(name @ "R") => signature.r = quantity(name, value)?,
                Some(name) => signature.s = quantity(name, value)?,
                None => {}
            }
        }
        Ok(signature)
    }
}
