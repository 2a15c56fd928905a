//! Keys of proposers that come and go.

use std::sync::Arc;

use klay_accounts::wallet::SecretKey;
use klay_core::{
    Address, B256, Bytes, Signature, U256,
    block::Header,
    config::ChainConfig,
    genesis::{Genesis, GenesisAccount},
    keccak256,
    storage::{Batch, KeyValue, Memory},
    tx::LegacyTx,
    units::KLAY,
};
use klay_feedeleg::{KlaytnTx, RecoveredKlaytnTx};
use klay_vm::{
    BlockContext, BlockExecutor, State,
    genesis::genesis_block,
    randao::{ProposerKeys, RandaoError, RevealSigner},
    system::{
        BLS_REGISTRY_ADDRESS, View, bls_keys, bls_registry_code, install_bls_registry, register_call, unregister_call,
    },
};

const CHAIN_ID: u64 = 7;

struct World {
    header: Header,
    state: State,
    config: ChainConfig,
    nonces: [u64; 2],
}

/// Keys of the owner and of somebody else.
fn key(who: usize) -> SecretKey {
    SecretKey::from_slice(&[who as u8 + 1; 32]).unwrap()
}

fn address(who: usize) -> Address {
    key(who).address()
}

fn signer(byte: u8) -> RevealSigner {
    RevealSigner::from_secret(&[byte; 32]).unwrap()
}

fn entry(byte: u8) -> (Address, Bytes, Bytes) {
    let signer = signer(byte);
    (Address::repeat_byte(byte), signer.public_key().to_vec().into(), signer.proof().to_vec().into())
}

impl World {
    fn new(keys: &[(Address, Bytes, Bytes)]) -> Self {
        let mut genesis = Genesis::new(ChainConfig::all_forks(CHAIN_ID), vec![Address::repeat_byte(3)]);
        for who in 0..2 {
            genesis.alloc.insert(address(who), GenesisAccount { balance: KLAY, ..GenesisAccount::default() });
        }
        install_bls_registry(&mut genesis, address(0), keys);
        let mut batch = Batch::default();
        let header = genesis_block(&genesis, &mut batch).unwrap();
        let store = Memory::new();
        store.write(batch).unwrap();
        let state = State::open(Arc::new(store), header.state_root);
        Self { header, state, config: genesis.config, nonces: [0; 2] }
    }

    const fn view(&self) -> View<'_> {
        View { state: &self.state, header: &self.header, config: &self.config }
    }

    /// Whether a call of the contract succeeds; the state is the one behind it.
    fn send(&mut self, who: usize, input: Bytes) -> bool {
        let tx = LegacyTx {
            nonce: self.nonces[who],
            gas_price: U256::ZERO,
            gas_limit: 2_000_000,
            to: Some(BLS_REGISTRY_ADDRESS),
            value: U256::ZERO,
            input,
            signature: Signature::default(),
        };
        self.nonces[who] += 1;
        let tx = KlaytnTx::Legacy(tx).sign(CHAIN_ID, &[&key(who)]).unwrap();
        let tx = RecoveredKlaytnTx::recover(tx, CHAIN_ID).unwrap();
        let header = Header { number: self.header.number + 1, base_fee: Some(U256::ZERO), ..Header::default() };
        let context = BlockContext::new(CHAIN_ID, self.config.rules(header.number), &header, Address::ZERO);
        let mut executor = BlockExecutor::new(self.state.clone(), context);
        let executed = executor.execute(&tx).unwrap();
        let result = executor.finish().unwrap();
        self.state = result.state;
        self.header = header;
        executed.receipt.status.is_success()
    }

    fn key_of(&self, byte: u8) -> Result<(), RandaoError> {
        let number = self.header.number + 1;
        let (reveal, mix) = signer(byte).fields(number, B256::ZERO);
        let key = ProposerKeys::default().key_of(Address::repeat_byte(byte), self.view())?;
        key.verify(number, &reveal, mix.as_slice(), B256::ZERO)
    }
}

#[test]
fn keys_of_the_genesis_are_read_as_they_were_put() {
    let keys = [3, 4, 5].map(entry);
    let world = World::new(&keys);
    let found = bls_keys(world.view(), BLS_REGISTRY_ADDRESS).unwrap();
    assert_eq!(found.len(), 3);
    for (byte, (node, key, proof)) in [3, 4, 5].into_iter().zip(keys) {
        assert_eq!(found[&node], (key, proof));
        world.key_of(byte).unwrap();
    }
    assert!(bls_keys(World::new(&[]).view(), BLS_REGISTRY_ADDRESS).unwrap().is_empty());
}

#[test]
fn the_owner_registers_replaces_and_takes_out() {
    let mut world = World::new(&[entry(3), entry(4)]);
    let (node, key, proof) = entry(6);
    assert!(matches!(world.key_of(6), Err(RandaoError::NoKey { .. })));
    assert!(!world.send(1, register_call(node, &key, &proof)), "somebody else");
    assert!(world.send(0, register_call(node, &key, &proof)));
    for byte in [3, 4, 6] {
        world.key_of(byte).unwrap();
    }
    // Another key for the same node takes the place of the first.
    let (_, other, other_proof) = entry(7);
    assert!(world.send(0, register_call(node, &other, &other_proof)));
    assert_eq!(bls_keys(world.view(), BLS_REGISTRY_ADDRESS).unwrap().len(), 3);
    assert!(matches!(world.key_of(6), Err(RandaoError::InvalidReveal { .. })));

    assert!(!world.send(1, unregister_call(Address::repeat_byte(3))));
    assert!(world.send(0, unregister_call(Address::repeat_byte(3))));
    assert!(!world.send(0, unregister_call(Address::repeat_byte(3))), "it is gone");
    assert!(matches!(world.key_of(3), Err(RandaoError::NoKey { .. })));
    world.key_of(4).unwrap();
    assert!(!world.send(0, register_call(node, &key[1..], &proof)));
    assert!(!world.send(0, register_call(node, &key, &proof[1..])));

    // He hands it over.
    let mut handed = keccak256("transferOwnership(address)")[..4].to_vec();
    handed.extend_from_slice(address(1).into_word().as_slice());
    assert!(world.send(0, handed.into()));
    assert!(!world.send(0, register_call(node, &key, &proof)));
    assert!(world.send(1, register_call(node, &key, &proof)));
    world.key_of(6).unwrap();
}

/// The code is what the source beside it compiles to; whoever changes one changes both.
#[test]
fn the_code_is_the_published_one() {
    assert_eq!(keccak256(bls_registry_code()).to_string(), CODE_HASH);
}

const CODE_HASH: &str = "0x9d677da8fdcf82c3b0d3a933196b0c17ecea00c7b874151a943a1dfacd3f240b";
