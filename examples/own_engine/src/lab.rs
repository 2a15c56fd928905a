//! The engine in the lab: its wire form, and what the lab has to know.

use alloy_primitives::{Address, B256};
use klay_consensus::{
    istanbul::{
        CommittedSeals, WireValue as _,
        seal::{Authors as _, Seal, committed_digest},
    },
    sim::{
        Byzantine, Lab, Stream,
        value::{LabValue, MockAuthors, Turns, mock_sign},
    },
    types::{Codec, Height, Limits, Malformed, Statement, Step, Value as _, View},
};
use klay_core::codec::{Reader, put_bytes, put_list_header};

use super::{Chain, Setup, Unanimous, Yes};

/// The wire form: `[value, address, seal]`.
#[derive(Debug)]
pub struct YesCodec;

impl Codec<Chain> for YesCodec {
    type Msg = Yes;

    fn encode(&self, yes: &Yes, out: &mut Vec<u8>) {
        let mut content = Vec::new();
        yes.value.encode(&mut content);
        put_bytes(yes.from.as_slice(), &mut content);
        put_bytes(&yes.seal, &mut content);
        put_list_header(content.len(), out);
        out.extend_from_slice(&content);
    }

    fn decode(&self, bytes: &[u8], _: Limits) -> Result<Yes, Malformed> {
        let mut input = Reader::new(bytes);
        let mut list = input.list("yes")?;
        input.end("yes")?;
        let yes = Yes { value: LabValue::decode(&mut list)?, from: list.address("from")?, seal: list.fixed("seal")? };
        list.end("yes")?;
        Ok(yes)
    }
}

/// The engine in the lab.
#[derive(Debug)]
pub struct UnanimousLab(pub usize);

impl Lab for UnanimousLab {
    type Model = Chain;
    type Engine = Unanimous;
    fn nodes(&self) -> usize {
        self.0
    }
    fn peer(&self, node: usize) -> Address {
        Turns::new(self.0).members(Height::new(1)).get(node).copied().unwrap_or_default()
    }
    fn config(&self, node: usize) -> Setup {
        Setup { me: self.peer(node), turns: Turns::new(self.0) }
    }
    fn genesis(&self) -> B256 {
        B256::ZERO
    }
    fn value(&self, _: usize, height: Height, parent: B256, salt: u64, valid: bool) -> LabValue {
        LabValue::new(height, parent, salt, valid)
    }
    fn is_valid(&self, value: &LabValue) -> bool {
        value.is_valid()
    }
    fn sign(&self, node: usize, digest: [u8; 32]) -> Seal {
        mock_sign(self.peer(node), digest)
    }
    fn accepts(&self, value: &LabValue, cert: &CommittedSeals) -> bool {
        let by =
            |who| cert.seals.iter().any(|seal| MockAuthors.author(committed_digest(value.id()), seal) == Some(who));
        (0..self.0).all(|node| by(self.peer(node)))
    }
    fn round(&self, _: &LabValue, _: Option<&LabValue>, _: &CommittedSeals) -> u64 {
        0
    }
    fn claim(&self, yes: &Yes) -> Option<(Address, Statement)> {
        Some((yes.from, Statement::about(View::first(yes.value.height().slot()), Step::Vote2, yes.value.id().0)))
    }
    fn proposes(&self, yes: &Yes) -> Option<B256> {
        Some(yes.value.id())
    }
    fn describe(&self, yes: &Yes) -> (&'static str, usize) {
        ("yes", 90 + yes.value.size())
    }
    fn codec(&self) -> &dyn Codec<Chain, Msg = Yes> {
        &YesCodec
    }
    fn corrupt(&self, _: usize, _: Byzantine, _: usize, yes: &Yes, _: &mut Stream) -> Vec<Yes> {
        vec![yes.clone()]
    }
}
