//! Headers, extra-data, blocks and bodies: what decodes is the canonical encoding of what it decodes to.

#![no_main]

use klay_core::{
    SenderPays, TxEnvelope,
    block::{
        Block, Header, IstanbulExtra,
        body::{decode_body, encode_body},
    },
};
use libfuzzer_sys::fuzz_target;

type Tx = TxEnvelope<SenderPays>;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(header) = Header::decode_all(bytes) {
        assert_eq!(header.encode(), bytes);
        let _ = (header.hash(), header.seal_hash());
    }
    if let Ok(extra) = IstanbulExtra::decode(bytes) {
        assert_eq!(extra.encode(), bytes);
    }
    if let Ok(block) = Block::<Tx>::decode_all(bytes) {
        assert_eq!(block.encode(), bytes);
    }
    if let Ok(transactions) = decode_body(bytes) {
        let encoded: Vec<Vec<u8>> = transactions.iter().map(Tx::encode).collect();
        assert_eq!(encode_body(&encoded), bytes);
    }
});
