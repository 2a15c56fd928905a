//! `personal_`: keys that clients bring.

use std::{sync::Arc, time::Duration};

use alloy_primitives::{Address, Bytes};

use super::{blocks::addresses, sign};
use crate::rpc::{Namespace, Services, Table, shapes::bytes};

/// Seconds that a key stays unlocked unless told otherwise.
const UNLOCKED: u64 = 300;

pub(super) fn add(table: &mut Table, services: &Arc<Services>) {
    let personal = [Namespace::Personal];
    let s = Arc::clone(services);
    table.quick(&personal, "listAccounts", move |()| Ok(addresses(&s.addresses())));
    let s = Arc::clone(services);
    table.quick(&personal, "newAccount", move |(password,): (String,)| {
        s.keyring.create(s.node.wallet(), &password).map(bytes)
    });
    let s = Arc::clone(services);
    table.quick(&personal, "importRawKey", move |(key, password): (String, String)| {
        s.keyring.import(s.node.wallet(), &key, &password).map(bytes)
    });
    let s = Arc::clone(services);
    table.quick(&personal, "replaceRawKey", move |(key, password, new): (String, String, String)| {
        s.keyring.replace(&key, &password, &new).map(bytes)
    });
    let s = Arc::clone(services);
    table.quick(&personal, "unlockAccount", move |(address, password, time): (Address, String, Option<u64>)| {
        let time = Duration::from_secs(time.unwrap_or(UNLOCKED));
        s.keyring.unlock(s.node.wallet(), address, &password, time).map(|()| true)
    });
    let s = Arc::clone(services);
    table.quick(&personal, "lockAccount", move |(address,): (Address,)| Ok(s.keyring.lock(address)));
    let s = Arc::clone(services);
    table.quick(&personal, "sign", move |(data, address, password): (Bytes, Address, String)| {
        sign::sign(&s, address, &data, Some(&password))
    });
    table.quick(&personal, "ecRecover", |(data, signature): (Bytes, Bytes)| sign::ec_recover(&data, &signature));
}
