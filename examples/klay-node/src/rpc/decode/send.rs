//! The argument of kaia_ send and sign methods.

use alloy_eips::{
    eip2930::{AccessList, AccessListItem},
    eip7702::{Authorization, SignedAuthorization},
};
use alloy_primitives::{Address, B256, Bytes};
use klay_core::{Signature, Signatures};
use klay_feedeleg::rpc::TxArgs;
use serde_json::value::RawValue;

use super::{
    Decode, HexUint64, Quantity, Reason,
    call::{self, AccessTuples},
    json_kind,
    object::{declared, elements, member, members},
    scalar::integer,
};

/// What to send or sign (`api.SendTxArgs`). Which members a type needs is known to [`TxArgs`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SendRequest(pub TxArgs);

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
        read(raw, Self::GO, "SendTxArgs", &MEMBERS, TxArgs::default()).map(Self)
    }
}

/// A value transfer with few members (`api.ValueTransferTxArgs`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValueTransferRequest(pub TxArgs);

impl Decode for ValueTransferRequest {
    const GO: &'static str = "api.ValueTransferTxArgs";

    fn decode(raw: &RawValue) -> Result<Self, Reason> {
        let names = ["from", "gas", "gasPrice", "nonce", "to", "value"];
        let empty = TxArgs { type_int: Some(0x08), to: Some(Address::ZERO), ..TxArgs::default() };
        read(raw, Self::GO, "ValueTransferTxArgs", &names, empty).map(Self)
    }
}

/// A change of an account's key with few members (`api.AccountUpdateTxArgs`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountUpdateRequest(pub TxArgs);

impl Decode for AccountUpdateRequest {
    const GO: &'static str = "api.AccountUpdateTxArgs";

    fn decode(raw: &RawValue) -> Result<Self, Reason> {
        let names = ["from", "gas", "gasPrice", "nonce", "key"];
        let empty = TxArgs { type_int: Some(0x20), ..TxArgs::default() };
        read(raw, Self::GO, "AccountUpdateTxArgs", &names, empty).map(Self)
    }
}

/// Reads the members `names` of the struct `root` into `args`.
fn read(
    raw: &RawValue,
    go: &'static str,
    root: &'static str,
    names: &[&'static str],
    mut args: TxArgs,
) -> Result<TxArgs, Reason> {
    for (name, value) in members(raw, go)? {
        if let Some(name) = declared(names, &name) {
            read_member(&mut args, root, name, value)?;
        }
    }
    Ok(args)
}

fn read_member(args: &mut TxArgs, root: &'static str, name: &'static str, raw: &RawValue) -> Result<(), Reason> {
    let quantity = || member::<Quantity>(root, name, raw).map(|q| Some(q.0));
    let number = || member::<HexUint64>(root, name, raw).map(|n| Some(n.0));
    let bytes = || member::<Bytes>(root, name, raw).map(Some);
    let address = || member::<Address>(root, name, raw);
    let within = |reason: Reason| reason.within(root, name);
    match name {
        "typeInt" => args.type_int = Some(integer::<u16>(raw, "types.TxType").map_err(within)?.into()),
        "from" => args.from = address()?,
        "to" => args.to = Some(address()?),
        "gas" => args.gas = number()?,
        "gasPrice" => args.gas_price = quantity()?,
        "maxFeePerGas" => args.max_fee_per_gas = quantity()?,
        "maxPriorityFeePerGas" => args.max_priority_fee_per_gas = quantity()?,
        "value" => args.value = quantity()?,
        "nonce" => args.nonce = number()?,
        "data" => args.data = bytes()?,
        "input" => args.input = bytes()?,
        "codeFormat" => args.code_format = Some(integer(raw, "params.CodeFormat").map_err(within)?),
        "humanReadable" => args.human_readable = Some(member(root, name, raw)?),
        "key" => args.key = bytes()?,
        "accessList" => args.access_list = Some(access_list(member::<AccessTuples>(root, name, raw)?.0)),
        "chainId" => args.chain_id = quantity()?,
        "authorizationList" => {
            let list: Vec<call::Authorization> = member(root, name, raw)?;
            args.authorization_list = Some(list.iter().map(signed).collect());
        }
        "feePayer" => args.fee_payer = Some(address()?),
        "feeRatio" => args.fee_ratio = Some(integer(raw, "types.FeeRatio").map_err(within)?),
        _ => args.signatures = Some(Signatures::new(member::<SignatureList>(root, name, raw)?.0)),
    }
    Ok(())
}

/// The list as transactions hold it.
pub(in crate::rpc) fn access_list(tuples: Vec<(Address, Vec<B256>)>) -> AccessList {
    AccessList(tuples.into_iter().map(|(address, storage_keys)| AccessListItem { address, storage_keys }).collect())
}

/// A delegation as transactions hold it.
pub(in crate::rpc) fn signed(json: &call::Authorization) -> SignedAuthorization {
    let inner = Authorization { chain_id: json.chain_id, address: json.address, nonce: json.nonce };
    SignedAuthorization::new_unchecked(inner, json.y_parity, json.r, json.s)
}

/// `types.TxSignaturesJSON`.
struct SignatureList(Vec<Signature>);

impl Decode for SignatureList {
    const GO: &'static str = "types.TxSignaturesJSON";

    fn decode(raw: &RawValue) -> Result<Self, Reason> {
        match json_kind(raw) {
            "null" => Ok(Self(Vec::new())),
            "array" => elements(raw).into_iter().map(<Signature as Decode>::decode).collect::<Result<_, _>>().map(Self),
            kind => Err(Reason::kind(kind, Self::GO)),
        }
    }
}

impl Decode for Signature {
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
