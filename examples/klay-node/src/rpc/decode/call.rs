//! Call objects and state overrides.

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256, Bytes, U256};
use serde_json::value::RawValue;

use super::{
    Decode, HexUint64, Quantity, Reason, json_kind,
    object::{declared, elements, member, members},
};

/// Fields of a call that both flavours have (`api.CallArgs`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CallRequest {
    /// Who calls; the zero address if absent.
    pub from: Address,
    /// What is called; none creates.
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
    /// Older name of the input.
    pub data: Option<Bytes>,
    /// Input; counts before `data`.
    pub input: Option<Bytes>,
    /// Addresses and slots that are warm.
    pub access_list: Option<Vec<(Address, Vec<B256>)>>,
    /// Chain id.
    pub chain_id: Option<U256>,
}

impl CallRequest {
    /// What is passed to the code.
    pub fn call_data(&self) -> Bytes {
        self.input.clone().or_else(|| self.data.clone()).unwrap_or_default()
    }
}

/// A call in the eth_ flavour, which is also the argument of send, sign and fill (`api.EthTransactionArgs`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EthCallRequest {
    /// The common fields.
    pub call: CallRequest,
    /// Whether `from` was given.
    pub has_from: bool,
    /// Nonce; ignored by calls.
    pub nonce: Option<u64>,
    /// Delegations.
    pub authorization_list: Option<Vec<Authorization>>,
}

/// A signed delegation (`types.SetCodeAuthorization`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Authorization {
    /// Chain id, or 0 for any.
    pub chain_id: U256,
    /// The code's account.
    pub address: Address,
    /// Nonce of the signer.
    pub nonce: u64,
    /// Parity of the signature.
    pub y_parity: u8,
    /// r of the signature.
    pub r: U256,
    /// s of the signature.
    pub s: U256,
}

const CALL_MEMBERS: [&str; 11] = [
    "from",
    "to",
    "gas",
    "gasPrice",
    "maxFeePerGas",
    "maxPriorityFeePerGas",
    "value",
    "data",
    "input",
    "accessList",
    "chainId",
];

fn quantity(structure: &'static str, name: &str, raw: &RawValue) -> Result<Option<U256>, Reason> {
    member::<Quantity>(structure, name, raw).map(|q| Some(q.0))
}

fn read_member(call: &mut CallRequest, root: &'static str, name: &str, raw: &RawValue) -> Result<(), Reason> {
    match name {
        "from" => call.from = member(root, name, raw)?,
        "to" => call.to = Some(member(root, name, raw)?),
        "gas" => call.gas = Some(member::<HexUint64>(root, name, raw)?.0),
        "gasPrice" => call.gas_price = quantity(root, name, raw)?,
        "maxFeePerGas" => call.max_fee_per_gas = quantity(root, name, raw)?,
        "maxPriorityFeePerGas" => call.max_priority_fee_per_gas = quantity(root, name, raw)?,
        "value" => call.value = quantity(root, name, raw)?,
        "data" => call.data = Some(member(root, name, raw)?),
        "input" => call.input = Some(member(root, name, raw)?),
        "accessList" => call.access_list = Some(member::<AccessTuples>(root, name, raw)?.0),
        "chainId" => call.chain_id = quantity(root, name, raw)?,
        _ => {}
    }
    Ok(())
}

impl Decode for CallRequest {
    const GO: &'static str = "api.CallArgs";

    fn decode(raw: &RawValue) -> Result<Self, Reason> {
        let mut call = Self::default();
        for (name, value) in members(raw, Self::GO)? {
            if let Some(name) = declared(&CALL_MEMBERS, &name) {
                read_member(&mut call, "CallArgs", name, value)?;
            }
        }
        Ok(call)
    }
}

impl Decode for EthCallRequest {
    const GO: &'static str = "api.EthTransactionArgs";

    fn decode(raw: &RawValue) -> Result<Self, Reason> {
        const ROOT: &str = "EthTransactionArgs";
        let mut request = Self::default();
        for (name, value) in members(raw, Self::GO)? {
            if let Some(name) = declared(&CALL_MEMBERS, &name) {
                request.has_from |= name == "from";
                read_member(&mut request.call, ROOT, name, value)?;
            } else {
                match declared(&["nonce", "authorizationList"], &name) {
                    Some("nonce") => request.nonce = Some(member::<HexUint64>(ROOT, "nonce", value)?.0),
                    Some(name) => request.authorization_list = Some(member(ROOT, name, value)?),
                    None => {}
                }
            }
        }
        Ok(request)
    }
}

/// `types.AccessList`.
pub(super) struct AccessTuples(pub(super) Vec<(Address, Vec<B256>)>);

impl Decode for AccessTuples {
    const GO: &'static str = "types.AccessList";

    fn decode(raw: &RawValue) -> Result<Self, Reason> {
        match json_kind(raw) {
            "null" => Ok(Self(Vec::new())),
            "array" => elements(raw).into_iter().map(tuple).collect::<Result<_, _>>().map(Self),
            kind => Err(Reason::kind(kind, Self::GO)),
        }
    }
}

fn tuple(raw: &RawValue) -> Result<(Address, Vec<B256>), Reason> {
    const ROOT: &str = "AccessTuple";
    let (mut address, mut keys) = (Address::ZERO, Vec::new());
    for (name, value) in members(raw, "types.AccessTuple")? {
        match declared(&["address", "storageKeys"], &name) {
            Some("address") => address = member(ROOT, "address", value)?,
            Some(name) => keys = member(ROOT, name, value)?,
            None => {}
        }
    }
    Ok((address, keys))
}

/// `*uint256.Int`: as a quantity, under its own name.
struct Word(U256);

impl Decode for Word {
    const GO: &'static str = "*uint256.Int";

    fn decode(raw: &RawValue) -> Result<Self, Reason> {
        Quantity::decode(raw).map(|q| Self(q.0)).map_err(|reason| match reason {
            Reason::Kind { found, .. } => Reason::kind(found, Self::GO),
            text => text,
        })
    }
}

impl Decode for Authorization {
    const GO: &'static str = "types.SetCodeAuthorization";
    const LIST: &'static str = "[]types.SetCodeAuthorization";

    fn decode(raw: &RawValue) -> Result<Self, Reason> {
        const ROOT: &str = "SetCodeAuthorization";
        let mut authorization = Self::default();
        let word = |name: &str, value| member::<Word>(ROOT, name, value).map(|w| w.0);
        for (name, value) in members(raw, Self::GO)? {
            match declared(&["chainId", "address", "nonce", "yParity", "r", "s"], &name) {
                Some(name @ "chainId") => authorization.chain_id = word(name, value)?,
                Some(name @ "address") => authorization.address = member(ROOT, name, value)?,
                Some(name @ "nonce") => authorization.nonce = member::<HexUint64>(ROOT, name, value)?.0,
                Some(name @ "yParity") => {
                    let parity = member::<HexUint64>(ROOT, name, value)?.0;
                    authorization.y_parity =
                        u8::try_from(parity).map_err(|_| Reason::kind("hex number > 64 bits", "hexutil.Uint64"))?;
                }
                Some(name @ "r") => authorization.r = word(name, value)?,
                Some(name) => authorization.s = word(name, value)?,
                None => {}
            }
        }
        Ok(authorization)
    }
}

/// Changes to the state under which a call runs, by account.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overrides(pub BTreeMap<Address, OverrideAccount>);

/// What is different about an account.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OverrideAccount {
    /// Nonce.
    pub nonce: Option<u64>,
    /// Code.
    pub code: Option<Bytes>,
    /// Balance, in peb.
    pub balance: Option<U256>,
    /// All of its storage.
    pub state: Option<BTreeMap<B256, B256>>,
    /// Some slots of its storage.
    pub state_diff: Option<BTreeMap<B256, B256>>,
}

/// A map of slots.
struct Slots(BTreeMap<B256, B256>);

impl Decode for Slots {
    const GO: &'static str = "map[common.Hash]common.Hash";

    fn decode(raw: &RawValue) -> Result<Self, Reason> {
        let mut slots = BTreeMap::new();
        for (name, value) in members(raw, Self::GO)? {
            slots.insert(key(&name)?, B256::decode(value)?);
        }
        Ok(Self(slots))
    }
}

/// A member's name as a parameter type.
fn key<T: Decode>(name: &str) -> Result<T, Reason> {
    let quoted = serde_json::value::to_raw_value(name).map_err(|_| Reason::kind("string", T::GO))?;
    T::decode(&quoted)
}

impl Decode for Overrides {
    const GO: &'static str = "api.EthStateOverride";

    fn decode(raw: &RawValue) -> Result<Self, Reason> {
        let mut accounts = BTreeMap::new();
        for (name, value) in members(raw, Self::GO)? {
            accounts.insert(key(&name)?, OverrideAccount::decode(value)?);
        }
        Ok(Self(accounts))
    }
}

impl Decode for OverrideAccount {
    const GO: &'static str = "api.EthOverrideAccount";

    fn decode(raw: &RawValue) -> Result<Self, Reason> {
        const ROOT: &str = "EthOverrideAccount";
        let mut account = Self::default();
        for (name, value) in members(raw, Self::GO)? {
            match declared(&["nonce", "code", "balance", "state", "stateDiff"], &name) {
                Some(name @ "nonce") => account.nonce = Some(member::<HexUint64>(ROOT, name, value)?.0),
                Some(name @ "code") => account.code = Some(member(ROOT, name, value)?),
                Some(name @ "balance") => account.balance = quantity(ROOT, name, value)?,
                Some(name @ "state") => account.state = Some(member::<Slots>(ROOT, name, value)?.0),
                Some(name) => account.state_diff = Some(member::<Slots>(ROOT, name, value)?.0),
                None => {}
            }
        }
        Ok(account)
    }
}
