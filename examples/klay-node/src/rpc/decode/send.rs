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
        let mut request = Self::default();
        for (name, value) in members(raw, Self::GO)? {
            if let Some(name) = declared(&MEMBERS, &name) {
                read_member(&mut request.0, name, value)?;
            }
        }
        Ok(request)
    }
}

fn read_member(args: &mut TxArgs, name: &'static str, raw: &RawValue) -> Result<(), Reason> {
    const ROOT: &str = "SendTxArgs";
    let quantity = || member::<Quantity>(ROOT, name, raw).map(|q| Some(q.0));
    let number = || member::<HexUint64>(ROOT, name, raw).map(|n| Some(n.0));
    let bytes = || member::<Bytes>(ROOT, name, raw).map(Some);
    let address = || member::<Address>(ROOT, name, raw);
    let within = |reason: Reason| reason.within(ROOT, name);
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
        "humanReadable" => args.human_readable = Some(member(ROOT, name, raw)?),
        "key" => args.key = bytes()?,
        "accessList" => args.access_list = Some(access_list(member::<AccessTuples>(ROOT, name, raw)?.0)),
        "chainId" => args.chain_id = quantity()?,
        "authorizationList" => {
            let list: Vec<call::Authorization> = member(ROOT, name, raw)?;
            args.authorization_list = Some(list.iter().map(signed).collect());
        }
        "feePayer" => args.fee_payer = Some(address()?),
        "feeRatio" => args.fee_ratio = Some(integer(raw, "types.FeeRatio").map_err(within)?),
        _ => args.signatures = Some(Signatures::new(member::<SignatureList>(ROOT, name, raw)?.0)),
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
