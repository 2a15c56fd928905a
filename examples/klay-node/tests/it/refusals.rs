//! Blocks that are sealed as they should be and wrong in one point: each rule behind the seals refuses, and names what it
//! expects. The blocks are made by asking the importer: what it found goes into the header until nothing is wrong.

use crate::common;
use crate::common::feed;
use klay_accounts::wallet::SecretKey;
use klay_consensus::istanbul::{
    import::HeaderError,
    seal::{self, committed_digest, compact, proposer_digest, with_seal},
};
use klay_core::{
    Address, Bytes, Sign, U256,
    block::{Header, IstanbulExtra, bloom, body::encode_block},
    genesis::Genesis,
    governance::{ParamName, ParamValue, Vote, VoteAction},
    storage::Memory,
    tx::LegacyTx,
    units::STON,
};
use klay_node::{
    Chain, KlaytnTx,
    chain::ChainOptions,
    dev::{self, DevAccounts},
    import::{ImportError, Refusal},
    metrics::Metrics,
};
use klay_vm::randao::{RandaoError, RevealSigner};

struct World {
    accounts: DevAccounts,
    genesis: Genesis,
}

/// A block that can still be changed.
#[derive(Clone)]
struct Draft {
    header: Header,
    transactions: Vec<Vec<u8>>,
}

impl World {
    fn new() -> Self {
        let accounts = DevAccounts::derive(dev::MNEMONIC, 3).unwrap();
        let genesis = accounts.genesis(dev::CHAIN_ID).unwrap();
        Self { accounts, genesis }
    }

    fn chain(&self) -> Chain {
        let store = std::sync::Arc::new(Memory::new());
        Chain::open(store, &self.genesis, ChainOptions::default(), &Metrics::default()).unwrap()
    }

    fn transfer(&self, from: usize, nonce: u64, price: u64) -> Vec<u8> {
        self.transfer_on(dev::CHAIN_ID, from, nonce, price)
    }

    fn transfer_on(&self, chain_id: u64, from: usize, nonce: u64, price: u64) -> Vec<u8> {
        let tx = LegacyTx {
            nonce,
            gas_price: U256::from(price) * STON,
            gas_limit: 21_000,
            to: Some(Address::repeat_byte(7)),
            value: U256::from(1),
            input: Bytes::new(),
            signature: Default::default(),
        };
        KlaytnTx::Legacy(tx).sign(chain_id, &[&self.accounts.keys[from]]).unwrap().encode()
    }

    /// A right block 1 with three transfers.
    fn block_1(&self) -> Draft {
        let genesis = self.chain().head();
        let randao = RevealSigner::derive(self.accounts.authority.expose()).unwrap();
        let (reveal, mix) = randao.fields(1, klay_core::B256::ZERO);
        let header = Header {
            parent_hash: genesis.hash,
            rewardbase: Address::repeat_byte(9),
            block_score: U256::from(1),
            number: 1,
            timestamp: genesis.header.timestamp + 1,
            extra: seal::new_extra(b"test", vec![]),
            base_fee: Some(U256::ZERO),
            random_reveal: Some(reveal.to_vec().into()),
            mix_hash: Some(mix.0.to_vec().into()),
            blob_gas_used: Some(0),
            excess_blob_gas: Some(0),
            ..Header::default()
        };
        let transactions = vec![self.transfer(0, 0, 50), self.transfer(0, 1, 50), self.transfer(1, 0, 50)];
        let mut draft = Draft { header, transactions };
        for _ in 0..8 {
            match self.refusal(&draft) {
                None => return draft,
                Some(Refusal::Header(HeaderError::BaseFee { expected, .. })) => draft.header.base_fee = expected,
                Some(Refusal::TransactionsRoot { got, .. }) => draft.header.transactions_root = got,
                Some(Refusal::GasUsed { got, .. }) => draft.header.gas_used = got,
                Some(Refusal::Bloom { got, .. }) => draft.header.logs_bloom = *got,
                Some(Refusal::ReceiptsRoot { got, .. }) => draft.header.receipts_root = got,
                Some(Refusal::StateRoot { got, .. }) => draft.header.state_root = got,
                Some(other) => panic!("{}: {other}", other.rule()),
            }
        }
        panic!("no end of refusals");
    }

    /// Seals a draft with the authority's key and offers it to an empty chain.
    fn refusal(&self, draft: &Draft) -> Option<Refusal> {
        self.offered(&draft.sealed(&self.accounts.authority, &self.accounts.authority))
    }

    fn offered(&self, block: &[u8]) -> Option<Refusal> {
        match feed(&self.chain(), block) {
            Ok(done) => {
                assert_eq!(done.imported, 1);
                None
            }
            Err(ImportError::Refused { number: 1, refusal }) => Some(*refusal),
            Err(other) => panic!("{other}"),
        }
    }
}

impl Draft {
    fn sealed(&self, author: &SecretKey, committer: &SecretKey) -> Vec<u8> {
        let mut header = self.header.clone();
        let own = compact(&author.sign_digest(proposer_digest(&header)).unwrap());
        header.extra = with_seal(&header.extra, &own).unwrap();
        let mut extra = IstanbulExtra::decode(&header.extra).unwrap();
        extra.committed_seals = vec![compact(&committer.sign_digest(committed_digest(header.hash())).unwrap())];
        header.extra = extra.encode().into();
        encode_block(&header, &self.transactions)
    }

    fn with(&self, edit: impl FnOnce(&mut Header)) -> Self {
        let mut draft = self.clone();
        edit(&mut draft.header);
        draft
    }
}

#[test]
fn every_rule_of_the_header_refuses_a_sealed_block() {
    let world = World::new();
    let right = world.block_1();
    let rule = |edit: fn(&mut Header)| {
        let refusal = world.refusal(&right.with(edit)).unwrap();
        (refusal.rule(), refusal.sides().is_some())
    };
    assert_eq!(rule(|h| h.base_fee = Some(U256::from(1))), ("base fee", true));
    assert_eq!(rule(|h| h.timestamp -= 1), ("timestamp", true));
    assert_eq!(rule(|h| h.timestamp = u64::MAX / 2), ("timestamp", true));
    assert_eq!(rule(|h| h.block_score = U256::from(2)), ("block score", true));
    assert_eq!(rule(|h| h.parent_hash.0[3] ^= 1), ("parent", false));
    assert_eq!(rule(|h| h.number = 2), ("number", true));
    assert_eq!(rule(|h| h.blob_gas_used = Some(1)), ("blob gas", true));
    assert_eq!(rule(|h| h.excess_blob_gas = Some(131_072)), ("blob gas", true));
    assert_eq!(rule(|h| h.governance = vec![0x80].into()), ("governance", false));
    assert_eq!(rule(|h| h.vote = vec![0xc0].into()), ("vote", false));
    assert_eq!(rule(|h| h.gas_used += 1), ("gas used", true));
    assert_eq!(rule(|h| h.logs_bloom = bloom::of_logs(&[klay_core::block::Log::default()])), ("logs bloom", true));
    assert_eq!(rule(|h| h.receipts_root.0[0] ^= 1), ("receipts root", true));
    assert_eq!(rule(|h| h.state_root.0[0] ^= 1), ("state root", true));
    // The reward goes elsewhere, and the state with it.
    assert_eq!(rule(|h| h.rewardbase = Address::repeat_byte(8)), ("state root", true));
    assert_eq!(rule(|h| h.transactions_root.0[0] ^= 1), ("transactions root", true));
}

#[test]
fn a_number_that_does_not_follow_is_refused_at_its_place() {
    let world = World::new();
    let right = world.block_1();
    let skipping = right.with(|h| h.number = 5).sealed(&world.accounts.authority, &world.accounts.authority);
    let refused = common::refused(&world.chain(), &skipping);
    assert!(matches!(refused, (_, Refusal::Number { expected: 1, got: 5 })), "{refused:?}");
}

#[test]
fn randao_fields_are_the_authors() {
    let world = World::new();
    let right = world.block_1();
    let other = RevealSigner::from_secret(&[3; 32]).unwrap().fields(1, klay_core::B256::ZERO);
    let foreign = right.with(|h| {
        h.random_reveal = Some(other.0.to_vec().into());
        h.mix_hash = Some(other.1.0.to_vec().into());
    });
    let refusal = world.refusal(&foreign).unwrap();
    assert!(matches!(refusal, Refusal::Randao(RandaoError::InvalidReveal { number: 1 })), "{refusal}");
    let mixed = right.with(|h| h.mix_hash = Some(vec![1; 32].into()));
    let refusal = world.refusal(&mixed).unwrap();
    assert!(matches!(refusal, Refusal::Randao(RandaoError::WrongMix { .. })), "{refusal}");
    let short = right.with(|h| h.random_reveal = Some(vec![1; 95].into()));
    assert_eq!(world.refusal(&short).unwrap().rule(), "randao");
}

#[test]
fn seals_are_of_the_council() {
    let world = World::new();
    let right = world.block_1();
    let (authority, stranger) = (&world.accounts.authority, &world.accounts.keys[0]);
    let refusal = world.offered(&right.sealed(stranger, authority)).unwrap();
    let Refusal::Header(HeaderError::Unauthorized { author }) = refusal else { panic!("{refusal}") };
    assert_eq!(author, stranger.address());
    let refusal = world.offered(&right.sealed(authority, stranger)).unwrap();
    assert!(matches!(refusal, Refusal::Header(HeaderError::CommittedSeal { index: 0, .. })), "{refusal}");
}

#[test]
fn votes_are_the_authors_and_make_sense() {
    let world = World::new();
    let right = world.block_1();
    let rule = |voter, action| {
        let vote = Vote { voter, action }.encode();
        world.refusal(&right.with(|h| h.vote = vote.into())).map(|refusal| refusal.rule())
    };
    let authority = world.accounts.authority.address();
    let unit_price = || VoteAction::Param(ParamName::UnitPrice, ParamValue::U64(1));
    assert_eq!(rule(authority, unit_price()), None);
    assert_eq!(rule(world.accounts.keys[0].address(), unit_price()), Some("vote"));
    assert_eq!(rule(authority, VoteAction::Param(ParamName::Epoch, ParamValue::U64(1))), Some("vote"));
    let upper = VoteAction::Param(ParamName::UpperBoundBaseFee, ParamValue::U64(1));
    assert_eq!(rule(authority, upper), Some("vote"));
    let nowhere = ParamValue::Address(Address::repeat_byte(0xee));
    assert_eq!(rule(authority, VoteAction::Param(ParamName::GovParamContract, nowhere)), Some("vote"));
}

#[test]
fn bodies_hold_what_the_header_commits_to() {
    let world = World::new();
    let right = world.block_1();
    let rule = |transactions: Vec<Vec<u8>>| {
        let mut draft = Draft { transactions, ..right.clone() };
        let refusal = world.refusal(&draft).unwrap();
        let Refusal::TransactionsRoot { got, .. } = refusal else { return refusal.rule() };
        // The header may commit to it: then it is the transactions themselves that count.
        draft.header.transactions_root = got;
        world.refusal(&draft).map_or("nothing", |refusal| refusal.rule())
    };
    let [first, second, third] = [0, 1, 2].map(|at| right.transactions[at].clone());
    assert_eq!(rule(vec![second.clone(), first.clone(), third.clone()]), "transaction");
    assert_eq!(rule(vec![first.clone(), first.clone(), third]), "transaction");
    assert_eq!(rule(vec![first.clone(), second.clone()]), "gas used");
    assert_eq!(rule(vec![first.clone(), second.clone(), world.transfer(1, 0, 20)]), "gas price");
    let foreign = world.transfer_on(dev::CHAIN_ID + 1, 1, 0, 50);
    assert_eq!(rule(vec![first, second, foreign]), "transaction signature");
}
