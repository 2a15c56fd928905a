//! Headers are accepted and refused as the reference does, for the same reason.

use crate::common::{Chain, Json, Key, TestBlock, signer, vectors};
use alloy_primitives::{Address, B256, U256};
use klay_consensus::{
    istanbul::{
        CommittedSeals, HeaderValue,
        import::{
            HeaderContext, HeaderError, Reveals, Warning, mix_hash, verify_header, verify_proposal, verify_seals,
        },
        seal::{self, Seal},
    },
    types::{Domain, Round, WallTime},
    valset::AddressSet,
};
use klay_core::{
    Fork, Rules,
    block::{Header, IstanbulExtra},
    codec::{put_bytes, put_list_header},
    config::{BlobConfig, Kip71Config},
};

fn sign(key: u64, digest: B256) -> Seal {
    klay_consensus::types::Signer::<Chain>::sign(&signer(key), Domain::CommittedSeal, digest.0).unwrap()
}

fn members(n: u64) -> AddressSet {
    (1..=n).map(|i| Key::new(i).address()).collect()
}

struct World {
    kip71: Kip71Config,
    parent: Header,
    council: AddressSet,
    qualified: AddressSet,
    size: u64,
    rules: Rules,
    now: u64,
}

impl World {
    fn new(n: u64) -> Self {
        let parent = TestBlock::new(9, B256::ZERO, 1, seal::new_extra(b"", vec![])).header;
        Self {
            kip71: Kip71Config::default(),
            parent,
            council: members(n),
            qualified: members(n),
            size: 22,
            rules: Rules::none(),
            now: 100,
        }
    }

    fn context(&self) -> HeaderContext<'_> {
        HeaderContext {
            rules: self.rules,
            parent: Some(&self.parent),
            kip71: &self.kip71,
            blobs: &BlobConfig::OSAKA,
            council: &self.council,
            qualified: &self.qualified,
            committee_size: self.size,
            parent_mix_hash: B256::ZERO,
            reveals: None,
            now: WallTime::from_secs(self.now),
        }
    }

    /// A header after the parent, changed by `edit` before key 1 seals it and `committers` commit it.
    fn header(&self, committers: &[u64], edit: impl FnOnce(&mut Header)) -> Header {
        let mut block = TestBlock::new(10, self.parent.hash(), 2, seal::new_extra(b"", vec![]));
        edit(&mut block.header);
        let seal = sign(1, seal::proposer_digest(&block.header));
        let sealed = seal::with_seal(&block.header.extra, &seal).unwrap();
        let block = block.with_extra(sealed);
        if committers.is_empty() {
            return block.header;
        }
        let digest = seal::committed_digest(block.header.hash());
        let seals = committers.iter().map(|key| sign(*key, digest)).collect();
        CommittedSeals { round: Round::new(3), seals }.write(block).unwrap().header
    }

    fn error(&self, edit: impl FnOnce(&mut Header)) -> HeaderError {
        verify_header(&self.header(&[1, 2, 3], edit), &self.context()).unwrap_err()
    }
}

#[test]
fn committed_seals_at_import() {
    for file in vectors("wire.json", "consensus.json") {
        for case in file.list("import_seals") {
            let mut world = World::new(case.num("council"));
            let demoted: AddressSet = case.nums("demoted").into_iter().map(|i| Key::new(i).address()).collect();
            world.qualified = world.council.without(&demoted);
            world.size = case.num("committee_size");
            let header = world.header(&case.nums("seals_from"), |_| {});
            let verified = verify_header(&header, &world.context());
            assert_eq!(verified.is_ok(), case["accept"] == true, "{case}: {verified:?}");
            if let Ok(verified) = verified {
                assert_eq!(verified.author, Key::new(1).address());
                assert_eq!(verified.round, 3);
                let demoted_signed = verified.warnings.iter().any(|w| matches!(w, Warning::DemotedSigner(_)));
                assert_eq!(demoted_signed, case.text("why").contains("demoted"));
            }
        }
    }
}

#[test]
fn fewer_seals_than_validators_ask_for_are_importable_and_reported() {
    let world = World::new(6);
    let verified = verify_header(&world.header(&[1, 2, 3], |_| {}), &world.context()).unwrap();
    assert_eq!(verified.warnings, [Warning::BelowLiveQuorum { got: 3, quorum: 4 }]);
}

#[test]
fn a_block_of_the_test_network() {
    for file in vectors("wire.json", "consensus.json") {
        let case = &file["chain_block_kairos_144654443"];
        let header = Header::decode_all(&case.hex("header_rlp")).unwrap();
        assert_eq!(header.hash(), case.hash("block_hash"));
        assert_eq!(header.proposer(), Some(Address::from_slice(&case.hex("author"))));
        let council = AddressSet::new(case.addresses("extra_validators_in_order"));
        let kip71 = Kip71Config::default();
        let context = HeaderContext {
            rules: Rules::up_to(Fork::Randao),
            parent: None,
            kip71: &kip71,
            blobs: &BlobConfig::OSAKA,
            council: &council,
            qualified: &council,
            committee_size: 22,
            parent_mix_hash: B256::ZERO,
            reveals: None,
            now: WallTime::from_secs(header.timestamp),
        };
        let (_, signers) = verify_seals(&header, &context).unwrap();
        assert_eq!(signers, case.addresses("committers"));
    }
}

#[test]
fn each_check_names_its_error() {
    let world = World::new(4);
    assert!(verify_header(&world.header(&[1, 2, 3], |_| {}), &world.context()).is_ok());
    let header = world.header(&[], |_| {});
    assert_eq!(verify_proposal(&header, &world.context()), Ok(Key::new(1).address()));
    assert_eq!(verify_header(&header, &world.context()), Err(HeaderError::NoCommittedSeals));

    // A quorum of seals passes, as with the reference; anything else in their place does not.
    assert!(verify_proposal(&world.header(&[1, 2, 3], |_| {}), &world.context()).is_ok());
    for committers in [&[1, 2][..], &[1, 2, 9]] {
        assert!(verify_proposal(&world.header(committers, |_| {}), &world.context()).is_err(), "{committers:?}");
    }

    assert!(matches!(world.error(|h| h.base_fee = Some(U256::from(1))), HeaderError::BaseFee { expected: None, .. }));
    assert_eq!(world.error(|h| h.timestamp = 102), HeaderError::Future { timestamp: 102, limit: 101 });
    assert!(matches!(world.error(|h| h.block_score = U256::from(2)), HeaderError::BlockScore { .. }));
    assert_eq!(world.error(|h| h.parent_hash = B256::ZERO), HeaderError::UnknownAncestor);
    assert_eq!(world.error(|h| h.number = 11), HeaderError::UnknownAncestor);
    assert_eq!(world.error(|h| h.timestamp = 9), HeaderError::Timestamp { got: 9, earliest: 10 });
    assert_eq!(world.error(|h| h.mix_hash = Some(vec![0; 32].into())), HeaderError::UnexpectedRandao);
    assert_eq!(
        world.error(|h| h.excess_blob_gas = Some(0)),
        HeaderError::UnexpectedBlobField { field: "excessBlobGas" }
    );
    let broken = Header { extra: vec![0; 32].into(), ..world.header(&[], |_| {}) };
    assert_eq!(verify_header(&broken, &world.context()), Err(HeaderError::Extra));

    let mut outsider = World::new(4);
    outsider.qualified.remove(Key::new(1).address());
    assert!(matches!(outsider.error(|_| {}), HeaderError::Unauthorized { .. }));

    let stranger = world.header(&[2, 3, 9], |_| {});
    assert!(matches!(verify_header(&stranger, &world.context()), Err(HeaderError::CommittedSeal { index: 2, .. })));
    let mut unsealed = world.header(&[1, 2, 3], |_| {});
    let mut extra = IstanbulExtra::decode(&unsealed.extra).unwrap();
    extra.committed_seals[1][64] = 27;
    unsealed.extra = extra.encode().into();
    let refused = verify_header(&unsealed, &world.context());
    assert_eq!(refused, Err(HeaderError::CommittedSignature { index: 1 }));

    // A seal of another length is read like any other, and is nobody's.
    let header = world.header(&[1, 2, 3], |_| {});
    let whole = IstanbulExtra::decode(&header.extra).unwrap();
    let list = |items: Vec<&[u8]>| {
        let mut content = Vec::new();
        items.into_iter().for_each(|item| put_bytes(item, &mut content));
        let mut out = Vec::new();
        put_list_header(content.len(), &mut out);
        [out, content].concat()
    };
    let validators = list(whole.validators.iter().map(|v| v.as_slice()).collect());
    let seals = list(vec![&whole.committed_seals[0], &whole.committed_seals[1], &[]]);
    let mut content = validators;
    put_bytes(&whole.seal, &mut content);
    content.extend(seals);
    let mut extra = whole.vanity.to_vec();
    put_list_header(content.len(), &mut extra);
    let cut = Header { extra: [extra, content].concat().into(), ..header.clone() };
    assert_eq!(cut.hash(), header.hash());
    assert_eq!(cut.proposer(), header.proposer());
    let refused = HeaderError::CommittedSignature { index: 2 };
    assert_eq!(verify_proposal(&cut, &world.context()), Err(refused.clone()));
    assert_eq!(verify_header(&cut, &world.context()), Err(refused));
}

#[test]
fn the_base_fee_is_checked_before_anything_else() {
    let mut world = World::new(4);
    world.rules = Rules::up_to(Fork::Magma);
    assert_eq!(world.error(|h| h.timestamp = 10_000), HeaderError::MissingBaseFee);
    let fee = U256::from(world.kip71.lower_bound_base_fee);
    let header = world.header(&[1, 2, 3], |h| h.base_fee = Some(fee));
    assert!(verify_header(&header, &world.context()).is_ok());
    let unknown = HeaderContext { parent: None, ..world.context() };
    assert_eq!(verify_header(&header, &unknown), Err(HeaderError::UnknownAncestor));
}

#[derive(Debug)]
struct Nobody;

impl Reveals for Nobody {
    fn verify(&self, _author: Address, _message: B256, _reveal: &[u8]) -> bool {
        false
    }
}

#[test]
fn randao_fields_are_bound_to_the_parent_and_the_author() {
    let mut world = World::new(4);
    world.rules = Rules::none().with(Fork::Randao);
    let reveal = [7; 96];
    let header = world.header(&[1, 2, 3], |h| {
        h.random_reveal = Some(reveal.to_vec().into());
        h.mix_hash = Some(mix_hash(B256::ZERO, &reveal).to_vec().into());
    });
    assert!(verify_header(&header, &world.context()).is_ok());
    let other_parent = HeaderContext { parent_mix_hash: B256::repeat_byte(1), ..world.context() };
    assert_eq!(verify_header(&header, &other_parent), Err(HeaderError::Randao));
    let no_key = HeaderContext { reveals: Some(&Nobody), ..world.context() };
    assert_eq!(verify_header(&header, &no_key), Err(HeaderError::Randao));
    assert_eq!(world.error(|_| {}), HeaderError::Randao);
}
