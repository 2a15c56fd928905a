//! What system contracts answer, and what comes of it.

use std::sync::Arc;

use klay_core::{
    Address, B256, Bytes, Fork, U256,
    block::Header,
    config::{ChainConfig, Rebalance},
    genesis::{Genesis, GenesisAccount},
    governance::GovParams,
    keccak256,
    storage::{Batch, KeyValue, Memory},
    units::KLAY,
};
use klay_vm::{
    BlockContext, BlockExecutor, State,
    genesis::genesis_block,
    randao::{ProposerKeys, RandaoError, RevealSigner},
    system::{
        ADDRESS_BOOK_ADDRESS, REGISTRY_ADDRESS, RebalanceError, Rebalanced, SystemError, View, contract_params,
        fix_bls_keys, rebalance, staking_info,
    },
};

/// ABI words.
fn words<const N: usize>(words: [U256; N]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes::<32>()).collect()
}

fn n(value: u64) -> U256 {
    U256::from(value)
}

fn word(address: Address) -> U256 {
    address.into_word().into()
}

/// Two lists, as `getAllAddress` and `getAllCLs` return them.
fn lists(lists: &[&[U256]]) -> Vec<u8> {
    let mut at = 32 * lists.len() as u64;
    let (mut heads, mut tails) = (Vec::new(), Vec::new());
    for list in lists {
        heads.extend(words([n(at)]));
        tails.extend(words([n(list.len() as u64)]));
        list.iter().for_each(|item| tails.extend(words([*item])));
        at += 32 * (list.len() as u64 + 1);
    }
    [heads, tails].concat()
}

/// Code that answers each function with fixed bytes and reverts on every other.
fn contract(answers: &[(&str, Vec<u8>)]) -> GenesisAccount {
    // PUSH1 0, CALLDATALOAD, PUSH1 224, SHR
    const PROLOGUE: [u8; 6] = [0x60, 0x00, 0x35, 0x60, 0xe0, 0x1c];
    // PUSH1 0, PUSH1 0, REVERT
    const REVERT: [u8; 5] = [0x60, 0x00, 0x60, 0x00, 0xfd];
    const ENTRY: usize = 11;
    const ANSWER: usize = 14;
    let push2 = |value: usize| [0x61, (value >> 8) as u8, value as u8];
    let answers_at = PROLOGUE.len() + ENTRY * answers.len() + REVERT.len();
    let data_at = answers_at + ANSWER * answers.len();
    let (mut code, mut returns, mut data) = (PROLOGUE.to_vec(), Vec::new(), Vec::new());
    for (index, (function, answer)) in answers.iter().enumerate() {
        // DUP1, PUSH4 selector, EQ, PUSH2 target, JUMPI
        code.extend([0x80, 0x63]);
        code.extend_from_slice(&keccak256(function)[..4]);
        code.push(0x14);
        code.extend(push2(answers_at + ANSWER * index));
        code.push(0x57);
        // JUMPDEST, PUSH2 length, DUP1, PUSH2 offset, PUSH1 0, CODECOPY, PUSH1 0, RETURN
        returns.push(0x5b);
        returns.extend(push2(answer.len()));
        returns.push(0x80);
        returns.extend(push2(data_at + data.len()));
        returns.extend([0x60, 0x00, 0x39, 0x60, 0x00, 0xf3]);
        data.extend_from_slice(answer);
    }
    code.extend(REVERT);
    assert_eq!((code.len(), returns.len()), (answers_at, ANSWER * answers.len()));
    GenesisAccount { code: Bytes::from([code, returns, data].concat()), ..GenesisAccount::default() }
}

struct World {
    header: Header,
    state: State,
    config: ChainConfig,
}

impl World {
    fn new(config: ChainConfig, alloc: impl IntoIterator<Item = (Address, GenesisAccount)>) -> Self {
        let mut genesis = Genesis::new(config, vec![]);
        genesis.alloc.extend(alloc);
        Self::of(genesis)
    }

    fn of(genesis: Genesis) -> Self {
        let mut batch = Batch::default();
        let header = genesis_block(&genesis, &mut batch).unwrap();
        let store = Memory::new();
        store.write(batch).unwrap();
        let state = State::open(Arc::new(store), header.state_root);
        Self { header, state, config: genesis.config }
    }

    const fn view(&self) -> View<'_> {
        View { state: &self.state, header: &self.header, config: &self.config }
    }
}

fn holder(balance: U256) -> GenesisAccount {
    GenesisAccount { balance, ..GenesisAccount::default() }
}

const NODES: [[u8; 3]; 2] = [[1, 2, 3], [4, 5, 6]];

fn book(types: &[u64], addresses: &[Address]) -> GenesisAccount {
    let types: Vec<U256> = types.iter().copied().map(n).collect();
    let addresses: Vec<U256> = addresses.iter().copied().map(word).collect();
    contract(&[("getAllAddress()", lists(&[&types, &addresses]))])
}

fn full_book(kif: u8, kef: u8) -> GenesisAccount {
    let addresses: Vec<Address> =
        NODES.as_flattened().iter().chain(&[kif, kef]).copied().map(Address::repeat_byte).collect();
    book(&[0, 1, 2, 0, 1, 2, 3, 4], &addresses)
}

#[test]
fn stakes_are_whole_coins_of_the_staking_contracts() {
    let stake = |coins: u64, rest: u64| holder(n(coins) * KLAY + n(rest));
    let world = World::new(
        ChainConfig::new(1),
        [
            (ADDRESS_BOOK_ADDRESS, full_book(8, 9)),
            (Address::repeat_byte(2), stake(5_000_000, 999)),
            (Address::repeat_byte(5), holder(KLAY - n(1))),
        ],
    );
    let info = staking_info(world.view()).unwrap();
    assert_eq!((info.kif, info.kef), (Address::repeat_byte(8), Address::repeat_byte(9)));
    let nodes: Vec<_> = info.nodes.iter().map(|node| (node.node, node.contract, node.reward, node.stake)).collect();
    let [first, second] = NODES.map(|node| node.map(Address::repeat_byte));
    assert_eq!(nodes, [(first[0], first[1], first[2], 5_000_000), (second[0], second[1], second[2], 0)]);
}

#[test]
fn a_book_that_is_absent_or_incomplete_is_empty() {
    let at = |account: Option<GenesisAccount>| {
        let world = World::new(ChainConfig::new(1), account.map(|account| (ADDRESS_BOOK_ADDRESS, account)));
        staking_info(world.view()).unwrap()
    };
    let [a, b] = [1, 2].map(Address::repeat_byte);
    for account in [
        None,
        Some(book(&[], &[])),
        Some(full_book(0, 9)),
        Some(full_book(8, 0)),
        Some(book(&[0, 1, 3, 4], &[a, b, a, b])),
        Some(book(&[0, 1, 1, 3, 4], &[a, a, a, a, b])),
    ] {
        let info = at(account);
        assert!(info.nodes.is_empty() && info.kif.is_zero() && info.kef.is_zero(), "{info:?}");
    }
    // Two funds and no node yet: the funds count.
    let info = at(Some(book(&[3, 4], &[a, b])));
    assert_eq!((info.nodes.len(), info.kif, info.kef), (0, a, b));
}

#[test]
fn a_book_that_does_not_answer_is_an_error() {
    let at = |account| staking_info(World::new(ChainConfig::new(1), [(ADDRESS_BOOK_ADDRESS, account)]).view());
    assert!(matches!(at(contract(&[])), Err(SystemError::Failed { .. })));
    assert!(matches!(at(contract(&[("getAllAddress()", vec![1])])), Err(SystemError::Malformed { .. })));
    let address = Address::repeat_byte(1);
    assert!(matches!(at(book(&[5], &[address])), Err(SystemError::Malformed { .. })));
    assert!(matches!(at(book(&[0, 1], &[address])), Err(SystemError::Malformed { .. })));
}

#[test]
fn pools_are_read_under_prague_from_what_the_registry_names() {
    let (registry, token) = (Address::repeat_byte(0x50), Address::repeat_byte(0x51));
    let [node, pool] = [1, 0x60].map(|byte| word(Address::repeat_byte(byte)));
    let answers = |cl: Address| contract(&[("getActiveAddr(string)", words([word(cl)]))]);
    let pools = lists(&[&[node], &[n(7)], &[pool]]);
    // One contract plays CLRegistry and WrappedKaia, as the fixed answer names one address for both.
    let both = contract(&[("getAllCLs()", pools), ("balanceOf(address)", words([n(33) * KLAY + n(5)]))]);
    let at = |config: ChainConfig, cl| {
        let alloc = [
            (ADDRESS_BOOK_ADDRESS, full_book(8, 9)),
            (REGISTRY_ADDRESS, answers(cl)),
            (registry, both.clone()),
            (token, contract(&[])),
        ];
        staking_info(World::new(config, alloc).view())
    };
    let prague = |block| {
        let mut config = ChainConfig::new(1);
        config.forks = config.forks.with(Fork::Prague, block);
        config
    };
    let info = at(prague(1), registry).unwrap();
    assert_eq!((info.pools.len(), info.pools[0].pool, info.pools[0].stake), (1, Address::repeat_byte(0x60), 33));
    assert!(at(prague(2), registry).unwrap().pools.is_empty());
    assert!(at(prague(1), Address::ZERO).unwrap().pools.is_empty());
    assert!(matches!(at(prague(1), token), Err(SystemError::Failed { .. })));
    // The block that installs the Registry does not read it, whatever stands there.
    let mut config = prague(1);
    config.forks = config.forks.with(Fork::Randao, 1);
    assert!(at(config, token).unwrap().pools.is_empty());
}

#[test]
fn a_governance_contract_that_fails_changes_nothing() {
    let address = Address::repeat_byte(7);
    let at = |account: Option<GenesisAccount>| {
        let world = World::new(ChainConfig::new(1), account.map(|account| (address, account)));
        contract_params(world.view(), address, 5, GovParams::default()).unwrap()
    };
    // (["governance.unitprice"], [[0x09]])
    let name = b"governance.unitprice";
    let mut text = words([n(64), n(192), n(1), n(32), n(name.len() as u64)]);
    text.extend(B256::right_padding_from(name));
    text.extend(words([n(1), n(32), n(1)]));
    text.extend(B256::right_padding_from(&[9]));
    assert_eq!(at(Some(contract(&[("getAllParamsAt(uint256)", text)]))).unit_price, 9);
    let broken = contract(&[("getAllParamsAt(uint256)", words([n(64)]))]);
    for account in [None, Some(contract(&[])), Some(broken)] {
        assert_eq!(at(account), GovParams::default());
    }
}

#[test]
fn fixed_keys_serve_a_chain_with_randao_from_the_start() {
    let signers = [3, 4, 5].map(|byte| RevealSigner::from_secret(&[byte; 32]).unwrap());
    let keys: Vec<(Address, Bytes, Bytes)> = (1..)
        .zip(&signers)
        .map(|(byte, signer)| {
            (Address::repeat_byte(byte), signer.public_key().to_vec().into(), signer.proof().to_vec().into())
        })
        .collect();
    let mut genesis = Genesis::new(ChainConfig::all_forks(1), vec![Address::repeat_byte(1)]);
    fix_bls_keys(&mut genesis, &keys);
    let world = World::of(genesis);
    let cache = ProposerKeys::default();
    for ((address, ..), signer) in keys.iter().zip(&signers) {
        let key = cache.key_of(*address, world.view()).unwrap();
        let (reveal, mix) = signer.fields(1, B256::ZERO);
        key.verify(1, &reveal, mix.as_slice(), B256::ZERO).unwrap();
        assert_eq!(cache.key_of(*address, world.view()).unwrap(), key);
    }
    let proposer = Address::repeat_byte(9);
    assert!(matches!(cache.key_of(proposer, world.view()), Err(RandaoError::NoKey { .. })));
}

#[test]
fn a_key_with_anothers_proof_is_as_good_as_none() {
    let [mine, other] = [3, 4].map(|byte| RevealSigner::from_secret(&[byte; 32]).unwrap());
    let mut genesis = Genesis::new(ChainConfig::all_forks(1), vec![]);
    let node = Address::repeat_byte(1);
    fix_bls_keys(&mut genesis, &[(node, mine.public_key().to_vec().into(), other.proof().to_vec().into())]);
    let world = World::of(genesis);
    let error = ProposerKeys::default().key_of(node, world.view()).unwrap_err();
    assert!(matches!(error, RandaoError::InvalidProof));
}

const TREASURY: Address = Address::repeat_byte(0x70);
const OLD: Address = Address::repeat_byte(0x71);
const NEW: Address = Address::repeat_byte(0x72);

fn terms(kip103: bool, block: u64, status: u64, amount: U256, approved: bool) -> GenesisAccount {
    let names = match kip103 {
        true => [
            "getRetiredCount()",
            "retirees(uint256)",
            "getNewbieCount()",
            "newbies(uint256)",
            "checkRetiredsApproved()",
        ],
        false => [
            "getZeroedCount()",
            "zeroeds(uint256)",
            "getAllocatedCount()",
            "allocateds(uint256)",
            "checkZeroedsApproved()",
        ],
    };
    let mut answers = vec![
        (names[0], words([n(1)])),
        (names[1], words([word(OLD)])),
        (names[2], words([n(1)])),
        (names[3], words([word(NEW), amount])),
        ("rebalanceBlockNumber()", words([n(block)])),
        ("status()", words([n(status)])),
    ];
    if approved {
        answers.push((names[4], vec![]));
    }
    contract(&answers)
}

type Outcome = (Option<Result<Rebalanced, RebalanceError>>, [U256; 2], u64);

/// Outcome, balances of both accounts, and nonce of 0x0 after block 1.
fn rebalanced(kip103: bool, account: GenesisAccount) -> Outcome {
    let mut config = ChainConfig::new(1);
    let event = Rebalance { block: Some(1), contract: TREASURY };
    *(if kip103 { &mut config.kip103 } else { &mut config.kip160 }) = event;
    let world = World::new(config, [(TREASURY, account), (OLD, holder(n(100))), (NEW, holder(n(7)))]);
    let header = Header { number: 1, ..Header::default() };
    let context = BlockContext::new(1, world.config.rules(1), &header, Address::ZERO);
    let mut executor = BlockExecutor::new(world.state.clone(), context);
    let outcome = rebalance(&mut executor, world.view()).unwrap();
    let balances = [OLD, NEW].map(|address| executor.balance(address).unwrap());
    (outcome, balances, executor.nonce(Address::ZERO).unwrap())
}

#[test]
fn a_rebalance_zeroes_gives_and_burns_the_rest() {
    for kip103 in [true, false] {
        let (outcome, balances, nonce) = rebalanced(kip103, terms(kip103, 1, 2, n(60), true));
        assert_eq!(outcome.unwrap().unwrap().burnt.to_string(), "47");
        assert_eq!(balances, [n(0), n(60)]);
        // One account each, and five calls more.
        assert_eq!(nonce, if kip103 { 7 } else { 0 });
    }
}

#[test]
fn only_kip160_may_give_more_than_it_takes() {
    let (outcome, balances, _) = rebalanced(false, terms(false, 1, 2, n(150), true));
    assert_eq!(outcome.unwrap().unwrap().burnt.to_string(), "-43");
    assert_eq!(balances, [n(0), n(150)]);
    let (outcome, balances, nonce) = rebalanced(true, terms(true, 1, 2, n(150), true));
    assert!(matches!(outcome, Some(Err(RebalanceError::NotEnough { .. }))));
    assert_eq!((balances, nonce), ([n(100), n(7)], 7));
}

#[test]
fn a_rebalance_that_fails_leaves_balances_and_the_nonces_of_its_reads() {
    let (outcome, balances, nonce) = rebalanced(true, terms(true, 2, 2, n(60), true));
    assert!(matches!(outcome, Some(Err(RebalanceError::WrongBlock { expected: 1, .. }))));
    assert_eq!((balances, nonce), ([n(100), n(7)], 5));
    let (outcome, _, nonce) = rebalanced(true, terms(true, 1, 1, n(60), true));
    assert!(matches!(outcome, Some(Err(RebalanceError::NotApproved { got: 1 }))));
    assert_eq!(nonce, 6);
    let (outcome, _, nonce) = rebalanced(true, GenesisAccount::default());
    assert!(matches!(outcome, Some(Err(RebalanceError::Contract(SystemError::NoCode { .. })))));
    assert_eq!(nonce, 1);
}

#[test]
fn kip103_does_not_notice_that_its_approval_check_fails() {
    let (outcome, balances, _) = rebalanced(true, terms(true, 1, 2, n(60), false));
    assert!(outcome.unwrap().is_ok());
    assert_eq!(balances, [n(0), n(60)]);
    let (outcome, balances, _) = rebalanced(false, terms(false, 1, 2, n(60), false));
    assert!(matches!(outcome, Some(Err(RebalanceError::Contract(SystemError::Failed { .. })))));
    assert_eq!(balances, [n(100), n(7)]);
}

#[test]
fn other_blocks_do_not_rebalance() {
    let world = World::new(ChainConfig::cypress(), []);
    let context = BlockContext::new(1, world.config.rules(1), &Header::default(), Address::ZERO);
    let mut executor = BlockExecutor::new(world.state.clone(), context);
    assert!(rebalance(&mut executor, world.view()).unwrap().is_none());
}
