//! Random transactions, executed here and by revm alone, where the rules are the same: Osaka without Klaytn's reserved
//! addresses, prices of code hashes, block fields and cost limit.
//!
//! A case is made of bytes, so that the everyday test and the fuzz target share it; bytes that are missing are zeros.

use std::sync::Arc;

use alloy_eips::eip2930::{AccessList, AccessListItem};
use klay_core::{
    Address, B256, Bytes, Fork, PublicKey, Rules, SenderPays, Sign, Signature, TxEnvelope, U256,
    auth::SignError,
    block::{Header, Log},
    crypto, keccak256,
    storage::Memory,
    tx::{EthereumFields, EthereumKind, EthereumTx, LegacyTx, RecoveredTx},
};
use klay_vm::{BlockContext, BlockExecutor, State, TxError};
use revm::{
    Context, DatabaseCommit, ExecuteEvm, MainBuilder, MainContext,
    bytecode::Bytecode,
    context::{
        BlockEnv, TxEnv,
        result::{EVMError, ExecutionResult, InvalidTransaction},
    },
    database::InMemoryDB,
    primitives::{TxKind, hardfork::SpecId},
    state::{AccountInfo, EvmState},
};

const CHAIN: u64 = 1001;
const PRICE: u64 = 25_000_000_000;
const COINBASE: Address = Address::repeat_byte(0xc0);
const PARENT: B256 = B256::repeat_byte(0x77);
/// Contracts with random code.
const CONTRACTS: [Address; 3] = [Address::repeat_byte(0x61), Address::repeat_byte(0x62), Address::repeat_byte(0x63)];
/// An account with a balance only, and one that is absent.
const USER: Address = Address::repeat_byte(0x64);
const ABSENT: Address = Address::repeat_byte(0x65);
/// The result of a transaction that ran into the limit on computation cost, which revm does not have.
const COST_LIMIT: u8 = 0x0a;

/// Instructions without operands that matter: what they do depends on the stack alone.
const PLAIN: &[u8] = &[
    0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a, 0x0b, 0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17,
    0x18, 0x19, 0x1a, 0x1b, 0x1c, 0x1d, 0x1e, 0x20, 0x30, 0x32, 0x33, 0x34, 0x35, 0x36, 0x37, 0x38, 0x39, 0x3a, 0x3d,
    0x3e, 0x41, 0x42, 0x43, 0x44, 0x46, 0x47, 0x48, 0x49, 0x50, 0x51, 0x52, 0x53, 0x54, 0x55, 0x58, 0x59, 0x5a, 0x5b,
    0x5c, 0x5d, 0x5e, 0x5f, 0x80, 0x81, 0x84, 0x8f, 0x90, 0x91, 0x9f, 0xa0, 0xa1, 0xa4, 0xfe,
];

/// Bytes as choices.
struct Source<'a>(&'a [u8]);

impl Source<'_> {
    const fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    fn below(&mut self, n: usize) -> usize {
        usize::from(self.byte()) % n
    }

    fn pick<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())]
    }

    /// Small numbers, limits of types, and anything.
    fn word(&mut self) -> U256 {
        match self.below(6) {
            0 => U256::from(self.byte()),
            1 => U256::from(u16::from_be_bytes([self.byte(), self.byte()])),
            2 => U256::MAX - U256::from(self.byte()),
            3 => U256::ONE << self.byte(),
            4 => U256::from(u64::MAX) - U256::from(self.byte()),
            _ => U256::from_be_bytes(core::array::from_fn::<u8, 32, _>(|_| self.byte())),
        }
    }

    /// Whom code may name. Precompiled contracts are those whose price never changed.
    fn target(&mut self) -> Address {
        match self.below(8) {
            n @ 0..=2 => CONTRACTS[n],
            3 => USER,
            4 => ABSENT,
            5 => COINBASE,
            _ => precompile(1 + self.below(4)),
        }
    }
}

fn precompile(n: usize) -> Address {
    Address::with_last_byte(u8::try_from(n).expect("four of them"))
}

fn push(code: &mut Vec<u8>, value: U256) {
    let bytes = value.to_be_bytes_trimmed_vec();
    code.push(0x5f + u8::try_from(bytes.len()).expect("at most 32"));
    code.extend(bytes);
}

fn push_address(code: &mut Vec<u8>, address: Address) {
    code.push(0x73);
    code.extend(address);
}

/// A piece of code that mostly makes sense.
fn snippet(source: &mut Source<'_>, code: &mut Vec<u8>) {
    let small = |source: &mut Source<'_>| U256::from(source.byte());
    match source.below(16) {
        0..=3 => code.push(source.pick(PLAIN)),
        4 | 5 => {
            let word = source.word();
            push(code, word);
        }
        // SSTORE, SLOAD, TSTORE, TLOAD
        6 => {
            for word in [source.word(), U256::from(source.below(4))] {
                push(code, word);
            }
            code.push(source.pick(&[0x55, 0x5d]));
        }
        7 => {
            push(code, U256::from(source.below(4)));
            code.push(source.pick(&[0x54, 0x5c]));
        }
        // MSTORE
        8 => {
            for word in [source.word(), small(source)] {
                push(code, word);
            }
            code.push(0x52);
        }
        // LOG0 to LOG4
        9 => {
            let topics = source.below(5);
            for _ in 0..topics {
                push(code, small(source));
            }
            for word in [small(source), small(source)] {
                push(code, word);
            }
            code.push(0xa0 + u8::try_from(topics).expect("at most 4"));
        }
        10 | 11 => calls(source, code),
        12 => creates(source, code),
        // BALANCE, EXTCODESIZE, EXTCODECOPY
        13 => {
            let op = source.pick(&[0x31, 0x3b, 0x3c]);
            if op == 0x3c {
                for word in [small(source), small(source), small(source)] {
                    push(code, word);
                }
            }
            push_address(code, source.target());
            code.push(op);
        }
        // Over the next instructions, or not.
        14 => {
            push(code, small(source));
            let to = code.len() + 4 + 4;
            code.push(0x61);
            code.extend(u16::try_from(to).expect("short code").to_be_bytes());
            code.extend([0x57, 0x60, 0x01, 0x50, 0x5b]);
        }
        // RETURN, REVERT, SELFDESTRUCT
        _ => {
            let op = source.pick(&[0xf3, 0xfd, 0xff]);
            if op == 0xff {
                push_address(code, source.target());
            } else {
                for word in [small(source), small(source)] {
                    push(code, word);
                }
            }
            code.push(op);
        }
    }
}

fn calls(source: &mut Source<'_>, code: &mut Vec<u8>) {
    let op = source.pick(&[0xf1, 0xf2, 0xf4, 0xfa]);
    let target = source.target();
    for _ in 0..4 {
        push(code, U256::from(source.byte()));
    }
    if matches!(op, 0xf1 | 0xf2) {
        // Value for a precompiled contract fails on Klaytn.
        let is_reserved = target.0[..19].iter().all(|byte| *byte == 0);
        push(code, U256::from(if is_reserved { 0 } else { source.below(3) }));
    }
    push_address(code, target);
    match source.below(3) {
        0 => push(code, U256::from(u16::from_be_bytes([source.byte(), source.byte()]))),
        _ => code.push(0x5a),
    }
    code.push(op);
}

fn creates(source: &mut Source<'_>, code: &mut Vec<u8>) {
    let len = source.below(32);
    let init: Vec<u8> = (0..32).map(|n| if n < len { source.pick(PLAIN) } else { 0 }).collect();
    push(code, U256::from_be_slice(&init));
    code.extend([0x60, 0, 0x52]);
    let is_create2 = source.below(2) == 1;
    if is_create2 {
        push(code, U256::from(source.below(2)));
    }
    push(code, U256::from(len));
    code.extend([0x60, 0]);
    push(code, U256::from(source.below(2)));
    code.push(if is_create2 { 0xf5 } else { 0xf0 });
}

fn code(source: &mut Source<'_>) -> Vec<u8> {
    let mut code = Vec::new();
    for _ in 0..source.below(48) {
        snippet(source, &mut code);
    }
    code
}

struct Key;

impl Key {
    const SECRET: [u8; 32] = [7; 32];

    fn address() -> Address {
        Self.public_key().address()
    }
}

impl Sign for Key {
    fn public_key(&self) -> PublicKey {
        PublicKey::from_secret(&Self::SECRET).expect("in range")
    }

    fn sign_digest(&self, digest: B256) -> Result<Signature, SignError> {
        crypto::sign_digest(&Self::SECRET, digest)
    }
}

/// A transaction in both forms.
struct Transaction {
    ours: RecoveredTx<SenderPays>,
    theirs: TxEnv,
}

fn transaction(source: &mut Source<'_>, nonce: u64) -> Transaction {
    let to = match source.below(6) {
        0 => None,
        1 => Some(USER),
        2 => Some(ABSENT),
        n => Some(CONTRACTS[n - 3]),
    };
    let value = U256::from(source.below(4));
    let gas_limit = match source.below(3) {
        0 => 53_000 + 256 * u64::from(source.byte()),
        1 => 200_000,
        // Above this the cost is counted.
        _ => 300_000 + 4_096 * u64::from(source.byte()),
    };
    let input: Bytes = match to {
        None => code(source).into(),
        Some(_) => (0..source.below(40)).map(|_| source.byte()).collect(),
    };
    let list: Vec<_> = (0..source.below(3))
        .map(|_| AccessListItem {
            address: source.target(),
            storage_keys: (0..source.below(3)).map(|_| B256::from(U256::from(source.below(4)))).collect(),
        })
        .collect();
    let list = AccessList(list);
    let gas_price = U256::from(PRICE);
    let theirs = TxEnv {
        tx_type: u8::from(!list.0.is_empty()),
        caller: Key::address(),
        gas_limit,
        gas_price: u128::from(PRICE),
        kind: to.map_or(TxKind::Create, TxKind::Call),
        value,
        data: input.clone(),
        nonce,
        chain_id: Some(CHAIN),
        access_list: list.clone(),
        ..TxEnv::default()
    };
    let envelope = if list.0.is_empty() {
        let tx = LegacyTx { nonce, gas_price, gas_limit, to, value, input, signature: Signature::default() };
        TxEnvelope::Legacy(tx.sign(CHAIN, &[&Key]).expect("one key signs"))
    } else {
        let fields = EthereumFields {
            chain_id: U256::from(CHAIN),
            nonce,
            gas_limit,
            to,
            value,
            input,
            access_list: list,
            kind: EthereumKind::AccessList { gas_price },
        };
        TxEnvelope::Ethereum(EthereumTx::unsigned(fields).sign(CHAIN, &[&Key]).expect("one key signs"))
    };
    Transaction { ours: RecoveredTx::recover(envelope, CHAIN).expect("just signed"), theirs }
}

fn header() -> Header {
    Header {
        parent_hash: PARENT,
        rewardbase: Address::repeat_byte(0xbb),
        block_score: U256::ONE,
        number: 100,
        timestamp: 1_700_000_000,
        base_fee: Some(U256::from(PRICE)),
        excess_blob_gas: Some(0),
        ..Header::default()
    }
}

/// Accounts before a case, in both forms.
fn worlds(source: &mut Source<'_>) -> (BlockExecutor, InMemoryDB) {
    let context = BlockContext::new(CHAIN, Rules::up_to(Fork::Osaka), &header(), COINBASE);
    let mut ours = BlockExecutor::new(State::empty(Arc::new(Memory::new())), context);
    let mut theirs = InMemoryDB::default();
    let rich = U256::from(10).pow(U256::from(24));
    for address in [Key::address(), USER] {
        ours.set_balance(address, rich).expect("memory does not fail");
        theirs.insert_account_info(address, AccountInfo::from_balance(rich));
    }
    for address in CONTRACTS {
        let code: Bytes = code(source).into();
        let balance = U256::from(source.below(4));
        ours.set_code(address, code.clone()).expect("memory does not fail");
        ours.set_nonce(address, 1).expect("memory does not fail");
        ours.set_balance(address, balance).expect("memory does not fail");
        let info = AccountInfo { nonce: 1, balance, ..AccountInfo::default() };
        theirs.insert_account_info(address, info.with_code(Bytecode::new_legacy(code)));
        for slot in 0..source.below(3) {
            let (slot, word) = (U256::from(slot), U256::from(1 + source.below(2)));
            ours.set_storage(address, slot.into(), word).expect("memory does not fail");
            theirs.insert_account_storage(address, slot, word).expect("memory does not fail");
        }
    }
    (ours, theirs)
}

/// The result, or none if the transaction does not pay for itself.
fn run_theirs(db: &mut InMemoryDB, tx: TxEnv) -> Option<(ExecutionResult, EvmState)> {
    let block = BlockEnv {
        number: U256::from(100),
        beneficiary: COINBASE,
        timestamp: U256::from(1_700_000_000),
        gas_limit: u64::MAX,
        basefee: PRICE,
        prevrandao: Some(PARENT),
        ..BlockEnv::default()
    };
    let context = Context::mainnet().with_db(&mut *db).with_block(block).modify_cfg_chained(|cfg| {
        cfg.set_spec_and_mainnet_gas_params(SpecId::OSAKA);
        cfg.chain_id = CHAIN;
        cfg.tx_gas_limit_cap = Some(u64::MAX);
    });
    let done = match context.build_mainnet().transact(tx) {
        Ok(done) => done,
        Err(EVMError::Transaction(
            InvalidTransaction::CallGasCostMoreThanGasLimit { .. }
            | InvalidTransaction::GasFloorMoreThanGasLimit { .. },
        )) => return None,
        Err(error) => unreachable!("the transaction is well formed and paid: {error}"),
    };
    db.commit(done.state.clone());
    Some((done.result, done.state))
}

/// What there is to see of a transaction: success, gas, output, logs.
type Seen = (bool, u64, Bytes, Vec<Log>);

fn seen(result: ExecutionResult) -> Seen {
    let (is_success, gas) = (result.is_success(), result.tx_gas_used());
    let output = result.output().cloned().unwrap_or_default();
    (is_success, gas, output, if is_success { result.into_logs() } else { Vec::new() })
}

/// Executes the case that `bytes` describe on both sides.
///
/// # Panics
/// If the sides differ.
pub(crate) fn check(bytes: &[u8]) {
    let mut source = Source(bytes);
    let (mut ours, mut theirs) = worlds(&mut source);
    for nonce in 0..1 + source.below(3) as u64 {
        let tx = transaction(&mut source, nonce);
        let found = ours.execute(&tx.ours);
        let Some(expected) = run_theirs(&mut theirs, tx.theirs) else {
            let is_refused = matches!(found, Err(TxError::IntrinsicGas { .. } | TxError::FloorDataGas { .. }));
            assert!(is_refused, "too little gas: {found:?}");
            return;
        };
        let found = found.expect("revm takes it");
        if found.receipt.status.0 == COST_LIMIT {
            return;
        }
        let is_success = found.receipt.status.is_success();
        let output = match found.receipt.status.0 {
            0x01 | 0x09 => found.output,
            _ => Bytes::new(),
        };
        let found = (is_success, found.receipt.gas_used, output, found.receipt.logs);
        assert_eq!(found, seen(expected.0), "transaction {nonce}");
        compare_accounts(&mut ours, &expected.1);
    }
}

fn compare_accounts(ours: &mut BlockExecutor, theirs: &EvmState) {
    for (address, account) in theirs {
        let is_gone = account.is_selfdestructed();
        let info = if is_gone { AccountInfo::default() } else { account.info.clone() };
        let code_hash = match ours.code(*address).expect("memory does not fail") {
            code if code.is_empty() => keccak256([]),
            code => keccak256(code),
        };
        let found = (
            ours.balance(*address).expect("memory does not fail"),
            ours.nonce(*address).expect("memory does not fail"),
            code_hash,
        );
        assert_eq!(found, (info.balance, info.nonce, info.code_hash), "account {address}");
        for (slot, word) in account.storage.iter().filter(|_| !is_gone) {
            let found = ours.storage(*address, (*slot).into()).expect("memory does not fail");
            assert_eq!(found, word.present_value, "slot {slot} of {address}");
        }
    }
}
