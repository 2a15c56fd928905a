//! `governance_vote`: a vote for the headers that this node proposes (spec 30, sections 7.2 and 7.11).

use std::sync::Arc;

use klay_core::{
    Address,
    governance::{GovParams, GovernanceMode, ParamName, ParamValue, VoteAction},
};
use serde_json::{Value, value::RawValue};

use crate::rpc::{Namespace, RpcError, Services, Table};

const DONE: &str = "(kaiax) Your vote is prepared. It will be put into the block header or applied when your node \
                    generates a block as a proposer. Note that your vote may be duplicate.";
const INVALID: &str = "your vote couldn't be placed. Please check your vote's key and value";
const DENIED: &str = "you don't have the right to vote";

pub(super) fn add(table: &mut Table, services: &Arc<Services>) {
    let s = Arc::clone(services);
    table.heavy(&[Namespace::Governance], "vote", move |(key, value): (String, Box<RawValue>)| {
        let value: Value = serde_json::from_str(value.get()).map_err(|_| RpcError::failed(INVALID))?;
        cast(&s, &key.to_ascii_lowercase(), &value).map(|()| DONE)
    });
}

fn cast(s: &Services, key: &str, value: &Value) -> Result<(), RpcError> {
    let Some(me) = s.node.author() else { return Err(RpcError::failed(DENIED)) };
    let chain = s.node.chain();
    let params = chain.with_schedule(|schedule| schedule.at(chain.head().number().saturating_add(1)));
    if params.governance_mode == GovernanceMode::Single && params.governing_node != me {
        return Err(RpcError::failed(DENIED));
    }
    let action = action(key, value).ok_or_else(|| RpcError::failed(INVALID))?;
    s.node.votes().check(chain, me, &action).map_err(RpcError::from_error)?;
    if s.node.votes().cast(action) { Ok(()) } else { Err(RpcError::failed("too many votes wait")) }
}

/// A vote from its key and its value as JSON; `None` if it is none that may be cast.
fn action(key: &str, value: &Value) -> Option<VoteAction> {
    match key {
        "governance.addvalidator" => Some(VoteAction::AddValidator(addresses(value)?)),
        "governance.removevalidator" => Some(VoteAction::RemoveValidator(addresses(value)?)),
        _ => {
            let name = ParamName::from_name(key).filter(|name| name.is_votable())?;
            let value = match (GovParams::default().value(name), value) {
                (ParamValue::U64(_), Value::Number(number)) => ParamValue::U64(number.as_u64()?),
                (ParamValue::Text(_), Value::String(text)) => ParamValue::Text(text.clone()),
                (ParamValue::Bool(_), Value::Bool(is_set)) => ParamValue::Bool(*is_set),
                (ParamValue::Address(_), Value::String(text)) => ParamValue::Address(text.parse().ok()?),
                (ParamValue::Big(_), Value::String(text)) => name.read(text.as_bytes()).ok()?,
                _ => return None,
            };
            name.check(&value).ok()?;
            Some(VoteAction::Param(name, value))
        }
    }
}

/// One address or more: a list, or text with commas. None may stand twice.
fn addresses(value: &Value) -> Option<Vec<Address>> {
    let parts: Vec<&str> = match value {
        Value::String(text) => text.split(',').map(str::trim).collect(),
        Value::Array(list) => list.iter().map(Value::as_str).collect::<Option<_>>()?,
        _ => return None,
    };
    let mut found = Vec::with_capacity(parts.len().min(1_024));
    for part in parts {
        let address: Address = part.parse().ok()?;
        if found.contains(&address) || found.len() >= 1_024 {
            return None;
        }
        found.push(address);
    }
    (!found.is_empty()).then_some(found)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{ParamName, ParamValue, VoteAction, action};

    #[test]
    fn votes_are_read_by_the_kind_of_their_parameter() {
        let one = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";
        let list = format!("{one},0x70997970C51812dc3A010C7d01b50e0d17dc79C8");
        assert!(
            matches!(action("governance.addvalidator", &json!(list)), Some(VoteAction::AddValidator(l)) if l.len() == 2)
        );
        assert!(action("governance.removevalidator", &json!([one])).is_some());
        let gas = action("kip71.gastarget", &json!(15_000_000));
        assert_eq!(gas, Some(VoteAction::Param(ParamName::GasTarget, ParamValue::U64(15_000_000))));
        assert!(action("reward.mintingamount", &json!("9600000000000000000")).is_some());
    }

    #[test]
    fn what_is_no_vote_is_refused() {
        let one = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";
        for (key, value) in [
            ("governance.addvalidator", json!(format!(",{one}"))),
            ("governance.addvalidator", json!(format!("{one},{one}"))),
            ("governance.addvalidator", json!(1)),
            ("istanbul.epoch", json!(30)),
            ("istanbul.committeesize", json!(0)),
            ("istanbul.committeesize", json!("22")),
            ("kip71.gastarget", json!(-1)),
            ("kip71.gastarget", json!(1.5)),
            ("reward.ratio", json!("50/50/1")),
            ("reward.mintingamount", json!("")),
            ("reward.mintingamount", json!("1_0")),
            ("nonsense", json!("")),
        ] {
            assert_eq!(action(key, &value), None, "{key} {value}");
        }
    }
}
