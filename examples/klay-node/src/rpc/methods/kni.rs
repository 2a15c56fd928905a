//! Addresses of the reference client's nodes: `kni://` and 128 hex digits `@` host `:` port.
//!
//! Source: `networks/p2p/discover/node.go` in the reference client.

use std::net::IpAddr;

use alloy_primitives::hex;

/// Hex digits of a node's id.
const ID_DIGITS: usize = 128;

/// What is wrong with the address of a node, in the reference client's words. An id alone is an address, too.
pub(super) fn check(address: &str) -> Result<(), String> {
    let bare = ["kni://", "enode://"].iter().find_map(|scheme| without(scheme, address)).unwrap_or(address);
    if !bare.is_empty() && bare.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return check_id(bare);
    }
    let rest = match address.split_once("://") {
        Some((scheme, rest)) if ["kni", "enode"].iter().any(|known| known.eq_ignore_ascii_case(scheme)) => rest,
        _ => return Err("invalid URL scheme, want \"kni\"".to_owned()),
    };
    let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
    let place = place.split_once('/').map_or(place, |(place, _)| place);
    let (id, place) = place.rsplit_once('@').ok_or("does not contain node ID")?;
    check_id(id)?;
    let (host, port) = match place.strip_prefix('[').and_then(|place| place.split_once(']')) {
        Some((host, port)) => (host, port.strip_prefix(':')),
        None => place.split_once(':').map_or((place, None), |(host, port)| (host, Some(port))),
    };
    // Names are not looked up for whoever asks.
    let _: IpAddr = host.parse().map_err(|_| format!("lookup {host}: no such host"))?;
    let _: u16 = port.and_then(|port| port.parse().ok()).ok_or("invalid port")?;
    let discovery = query.split('&').find_map(|pair| pair.strip_prefix("discport=")).filter(|port| !port.is_empty());
    match discovery.map(str::parse::<u16>) {
        Some(Err(_)) => Err("invalid discport in query".to_owned()),
        _ => Ok(()),
    }
}

fn without<'a>(scheme: &str, address: &'a str) -> Option<&'a str> {
    let head = address.get(..scheme.len())?;
    head.eq_ignore_ascii_case(scheme).then(|| &address[scheme.len()..])
}

fn check_id(id: &str) -> Result<(), String> {
    let digits = id.strip_prefix("0x").unwrap_or(id);
    if let Some(odd) = digits.chars().find(|digit| !digit.is_ascii_hexdigit()) {
        let code = u32::from(odd);
        return Err(format!("invalid node ID (encoding/hex: invalid byte: U+{code:04X} '{odd}')"));
    }
    match hex::decode(digits) {
        Err(_) => Err("invalid node ID (encoding/hex: odd length hex string)".to_owned()),
        Ok(_) if digits.len() != ID_DIGITS => {
            Err(format!("invalid node ID (wrong length, want {ID_DIGITS} hex chars)"))
        }
        Ok(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As kaia 2.2.1 answered `admin_addPeer`.
    #[test]
    fn what_is_no_address_is_refused_for_its_first_fault() {
        let id = "a".repeat(ID_DIGITS);
        for (address, fault) in [
            ("".to_owned(), "invalid URL scheme, want \"kni\""),
            (format!("0x{id}"), "invalid URL scheme, want \"kni\""),
            ("kni://".to_owned(), "does not contain node ID"),
            ("kni://abc@127.0.0.1:1".to_owned(), "invalid node ID (encoding/hex: odd length hex string)"),
            ("kni://abcd@127.0.0.1:1".to_owned(), "invalid node ID (wrong length, want 128 hex chars)"),
            ("abcd".to_owned(), "invalid node ID (wrong length, want 128 hex chars)"),
            (format!("kni://z{id}@127.0.0.1:1"), "invalid node ID (encoding/hex: invalid byte: U+007A 'z')"),
            (format!("kni://{id}@127.0.0.1"), "invalid port"),
            (format!("kni://{id}@127.0.0.1:99999"), "invalid port"),
            (format!("kni://{id}@127.0.0.1:1?discport=x"), "invalid discport in query"),
        ] {
            assert_eq!(check(&address), Err(fault.to_owned()), "{address}");
        }
        for address in [
            id.clone(),
            format!("kni://{id}"),
            format!("enode://{id}@127.0.0.1:1"),
            format!("kni://{id}@[::]:25001?discport=0"),
        ] {
            assert_eq!(check(&address), Ok(()), "{address}");
        }
    }
}
