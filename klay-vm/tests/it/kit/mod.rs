//! A block in which tests send transactions, and an assembler of two screens.

use std::sync::Arc;

use alloy_eips::{
    eip2930::{AccessList, AccessListItem},
    eip7702::{Authorization, SignedAuthorization},
};
use klay_accounts::{AccountKey, wallet::SecretKey};
use klay_core::{
    Address, B256, Body, Bytes, FeeRatio, Fork, Payload, Rules, SenderPays, Sign, U256,
    block::Status,
    storage::{Batch, KeyValue, Memory},
    tx::{
        DynamicPrice, EthereumFields, EthereumKind, EthereumTx, LegacyTx,
        payload::{AccountUpdate, ContractDeploy, ContractExecution, EncodedKey, ValueTransfer},
    },
};
use klay_feedeleg::{Fee, FeePayer, KlaytnTx, RecoveredKlaytnTx};
use klay_vm::{BlockContext, BlockExecutor, Executed, NoHashes, State, TxError};

pub(crate) const CHAIN_ID: u64 = 1001;
/// One KLAY.
pub(crate) const KLAY: u128 = 1_000_000_000_000_000_000;
/// Price and base fee of every test, in peb.
pub(crate) const PRICE: u64 = 25_000_000_000;

/// The secret key number `n`.
pub(crate) fn key(n: u8) -> SecretKey {
    SecretKey::from_slice(&[n; 32]).unwrap()
}

/// The address that belongs to key number `n`.
pub(crate) fn user(n: u8) -> Address {
    key(n).public_key().address()
}

pub(crate) fn public(n: u8) -> AccountKey {
    AccountKey::Public(key(n).public_key())
}

/// A block under construction over accounts 1 to 9 with 1000 KLAY each.
pub(crate) struct Kit {
    pub(crate) block: BlockExecutor,
    pub(crate) rules: Rules,
}

pub(crate) fn context(rules: Rules) -> BlockContext {
    let is_magma = rules.has(Fork::Magma);
    let base_fee = is_magma.then_some(U256::from(PRICE));
    let mut header = header();
    header.base_fee = base_fee;
    header.excess_blob_gas = rules.has(Fork::Osaka).then_some(0);
    BlockContext::new(CHAIN_ID, rules, &header, Address::repeat_byte(0xc0)).with_hashes(Arc::new(NoHashes))
}

fn header() -> klay_core::block::Header {
    klay_core::block::Header {
        parent_hash: B256::repeat_byte(0x77),
        rewardbase: Address::repeat_byte(0xbb),
        block_score: U256::ONE,
        number: 100,
        timestamp: 1_700_000_000,
        ..Default::default()
    }
}

/// A state with accounts 1 to 9 funded.
pub(crate) fn funded() -> State {
    let state = State::empty(Arc::new(Memory::new()));
    let mut block = BlockExecutor::new(state, context(Rules::none()));
    for n in 1..10 {
        block.set_balance(user(n), U256::from(1000 * KLAY)).unwrap();
    }
    stored(&block.finish().unwrap().state)
}

/// The same state, written to its store.
pub(crate) fn stored(state: &State) -> State {
    let mut batch = Batch::default();
    let commit = state.commit(&mut batch);
    state.store().write(batch).unwrap();
    commit.confirm()
}

impl Kit {
    pub(crate) fn up_to(fork: Fork) -> Self {
        Self::with_rules(Rules::up_to(fork))
    }

    pub(crate) fn with_rules(rules: Rules) -> Self {
        Self { block: BlockExecutor::new(funded(), context(rules)), rules }
    }

    /// Ends the block and begins another one under newer rules.
    pub(crate) fn next_block(self, fork: Fork) -> Self {
        let state = stored(&self.block.finish().unwrap().state);
        let rules = Rules::up_to(fork);
        Self { block: BlockExecutor::new(state, context(rules)), rules }
    }

    pub(crate) fn balance(&mut self, address: Address) -> u128 {
        self.block.balance(address).unwrap().to()
    }

    pub(crate) fn storage(&mut self, address: Address, slot: u64) -> U256 {
        self.block.storage(address, B256::from(U256::from(slot))).unwrap()
    }

    /// Executes a signed transaction.
    pub(crate) fn execute(&mut self, tx: impl Into<KlaytnTx>) -> Result<Executed, TxError> {
        self.block.execute(&recover(tx.into()))
    }

    /// A payload from account `n`, signed with its own key and paid by itself.
    pub(crate) fn send(&mut self, n: u8, payload: impl Into<Payload>) -> Result<Executed, TxError> {
        let tx = self.request(n, payload, 5_000_000);
        self.execute(signed(tx, &[n]))
    }

    /// A body from account `n` with the nonce that is next.
    pub(crate) fn request(&mut self, n: u8, payload: impl Into<Payload>, gas: u64) -> Body {
        Body {
            nonce: self.block.nonce(user(n)).unwrap(),
            gas_price: U256::from(PRICE),
            gas_limit: gas,
            from: user(n),
            payload: payload.into(),
        }
    }

    /// A legacy transaction from account `n`.
    pub(crate) fn legacy(&mut self, n: u8, to: Option<Address>, value: u128, input: &[u8], gas: u64) -> KlaytnTx {
        let tx = LegacyTx {
            nonce: self.block.nonce(user(n)).unwrap(),
            gas_price: U256::from(PRICE),
            gas_limit: gas,
            to,
            value: U256::from(value),
            input: Bytes::copy_from_slice(input),
            signature: Default::default(),
        };
        KlaytnTx::Legacy(tx.sign(CHAIN_ID, &[&key(n)]).unwrap())
    }

    /// Calls a contract from account 1 and gives the whole result.
    pub(crate) fn call(&mut self, to: Address, input: &[u8]) -> Executed {
        self.call_with(to, input, 5_000_000)
    }

    pub(crate) fn call_with(&mut self, to: Address, input: &[u8], gas: u64) -> Executed {
        let tx = self.legacy(1, Some(to), 0, input, gas);
        self.execute(tx).unwrap()
    }

    /// Deploys runtime code by a transaction of account 9.
    pub(crate) fn deploy(&mut self, code: &[u8]) -> Address {
        let tx = self.legacy(9, None, 0, &init_code(code), 8_000_000);
        let done = self.execute(tx).unwrap();
        assert_eq!(done.receipt.status, Status::SUCCESS);
        done.receipt.contract_address.unwrap()
    }
}

pub(crate) fn recover(tx: KlaytnTx) -> RecoveredKlaytnTx {
    RecoveredKlaytnTx::recover(tx, CHAIN_ID).unwrap()
}

/// The body signed by these keys, the sender paying.
pub(crate) fn signed(body: Body, keys: &[u8]) -> KlaytnTx {
    sign(body.paid_by(Fee::from(SenderPays)), keys)
}

/// The body signed by the sender's and the payer's keys.
pub(crate) fn sponsored(body: Body, keys: &[u8], payer: Address, payer_keys: &[u8], ratio: Option<u8>) -> KlaytnTx {
    let fee = match ratio {
        Some(percent) => FeePayer::with_ratio(payer, FeeRatio::new_unchecked(percent)),
        None => FeePayer::new(payer),
    };
    let tx = body.paid_by(Fee::from(fee.clone()));
    let hash = tx.payer_signing_hash(CHAIN_ID).unwrap();
    let payers: Vec<_> = payer_keys.iter().map(|n| key(*n)).collect();
    let payers: Vec<&dyn Sign> = payers.iter().map(|key| key as &dyn Sign).collect();
    let signatures = klay_core::tx::sign::sign_all(hash, CHAIN_ID, &payers).unwrap();
    let tx = klay_core::Tx { fee: Fee::from(FeePayer { signatures, ..fee }), ..tx };
    sign(tx, keys)
}

fn sign(tx: klay_core::Tx<Fee>, keys: &[u8]) -> KlaytnTx {
    let keys: Vec<_> = keys.iter().map(|n| key(*n)).collect();
    let signers: Vec<&dyn Sign> = keys.iter().map(|key| key as &dyn Sign).collect();
    KlaytnTx::Klaytn(tx.sign(CHAIN_ID, &signers).unwrap())
}

/// An Ethereum typed transaction signed by account `n`.
pub(crate) fn typed(fields: EthereumFields, n: u8) -> KlaytnTx {
    KlaytnTx::Ethereum(EthereumTx::unsigned(fields).sign(CHAIN_ID, &[&key(n)]).unwrap())
}

/// An access list transaction of account `n` that calls `to`.
pub(crate) fn with_access_list(nonce: u64, to: Address, list: Vec<(Address, Vec<B256>)>, n: u8) -> KlaytnTx {
    let items = list.into_iter().map(|(address, storage_keys)| AccessListItem { address, storage_keys }).collect();
    let kind = EthereumKind::AccessList { gas_price: U256::from(PRICE) };
    typed(EthereumFields { access_list: AccessList(items), ..fields(nonce, to, kind) }, n)
}

/// A set-code transaction of account `n` that calls `to`.
pub(crate) fn with_authorizations(nonce: u64, to: Address, list: Vec<SignedAuthorization>, n: u8) -> KlaytnTx {
    let price = DynamicPrice { tip: U256::ZERO, cap: U256::from(PRICE) };
    typed(fields(nonce, to, EthereumKind::SetCode { price, authorizations: list }), n)
}

pub(crate) fn fields(nonce: u64, to: Address, kind: EthereumKind) -> EthereumFields {
    EthereumFields {
        chain_id: U256::from(CHAIN_ID),
        nonce,
        gas_limit: 1_000_000,
        to: Some(to),
        value: U256::ZERO,
        input: Bytes::new(),
        access_list: AccessList::default(),
        kind,
    }
}

/// Key number `n` lets `address` be its account's code.
pub(crate) fn authorize(n: u8, address: Address, nonce: u64, chain_id: u64) -> SignedAuthorization {
    let authorization = Authorization { chain_id: U256::from(chain_id), address, nonce };
    let signature = key(n).sign_digest(authorization.signature_hash()).unwrap();
    let parity = u8::try_from(signature.v).unwrap();
    SignedAuthorization::new_unchecked(authorization, parity, signature.r, signature.s)
}

pub(crate) fn transfer(to: Address, value: u128) -> ValueTransfer {
    ValueTransfer { to, value: U256::from(value) }
}

pub(crate) fn execution(to: Address, input: &[u8]) -> ContractExecution {
    ContractExecution { to, value: U256::ZERO, input: Bytes::copy_from_slice(input) }
}

pub(crate) fn deployment(init_code: &[u8]) -> ContractDeploy {
    ContractDeploy {
        to: None,
        value: U256::ZERO,
        input: Bytes::copy_from_slice(init_code),
        human_readable: false,
        code_format: 0,
    }
}

pub(crate) fn update(key: &AccountKey) -> AccountUpdate {
    AccountUpdate { key: EncodedKey(key.encode().into()) }
}

/// Init code that returns `code`.
pub(crate) fn init_code(code: &[u8]) -> Vec<u8> {
    // PUSH2 len DUP1 PUSH1 12 PUSH1 0 CODECOPY PUSH1 0 RETURN
    let len = u16::try_from(code.len()).unwrap().to_be_bytes();
    let mut init = vec![0x61, len[0], len[1], 0x80, 0x60, 12, 0x60, 0, 0x39, 0x60, 0, 0xf3];
    init.extend(code);
    init
}

/// Writes code.
#[derive(Clone, Default)]
pub(crate) struct Asm(pub(crate) Vec<u8>);

pub(crate) fn asm() -> Asm {
    Asm::default()
}

impl Asm {
    pub(crate) fn op(mut self, ops: &[u8]) -> Self {
        self.0.extend(ops);
        self
    }

    /// Pushes a number with as many bytes as it needs, at least one.
    pub(crate) fn push(self, value: impl Into<U256>) -> Self {
        let bytes = value.into().to_be_bytes_trimmed_vec();
        let bytes = if bytes.is_empty() { vec![0] } else { bytes };
        let op = 0x5f + u8::try_from(bytes.len()).unwrap();
        self.op(&[op]).op(&bytes)
    }

    pub(crate) fn address(self, address: Address) -> Self {
        self.op(&[0x73]).op(address.as_slice())
    }

    /// Stores the top of the stack in a slot.
    pub(crate) fn store(self, slot: u64) -> Self {
        self.push(U256::from(slot)).op(&[0x55])
    }

    /// Writes `data` to memory at 0, byte by byte.
    pub(crate) fn memory(self, data: &[u8]) -> Self {
        data.iter()
            .enumerate()
            .fold(self, |asm, (at, byte)| asm.push(U256::from(*byte)).push(U256::from(at)).op(&[0x53]))
    }

    /// CALL with memory 0..len as input, and output to memory at 0x200, at most 32 bytes.
    pub(crate) fn call(self, to: Address, value: u64, len: usize) -> Self {
        let asm = self.push(U256::from(32)).push(U256::from(0x200)).push(U256::from(len)).push(U256::ZERO);
        asm.push(U256::from(value)).address(to).op(&[0x5a, 0xf1])
    }

    /// DELEGATECALL or STATICCALL, as [`Self::call`].
    pub(crate) fn call_by(self, op: u8, to: Address, len: usize) -> Self {
        let asm = self.push(U256::from(32)).push(U256::from(0x200)).push(U256::from(len)).push(U256::ZERO);
        asm.address(to).op(&[0x5a, op])
    }

    /// Gas that what `inner` does costs, stored in a slot; two stack items of bookkeeping are subtracted.
    pub(crate) fn measured(self, slot: u64, inner: impl FnOnce(Self) -> Self) -> Self {
        // GAS inner GAS SWAP1 SUB: the difference holds inner and one GAS (2).
        let asm = inner(self.op(&[0x5a])).op(&[0x5a, 0x90, 0x03]);
        asm.push(U256::from(2)).op(&[0x90, 0x03]).store(slot)
    }

    pub(crate) fn stop(self) -> Vec<u8> {
        self.op(&[0x00]).0
    }
}

pub(crate) fn created(n: u8, nonce: u64) -> Address {
    user(n).create(nonce)
}

pub(crate) fn number(n: u64) -> Address {
    Address::left_padding_from(&n.to_be_bytes())
}

pub(crate) fn hash(data: &[u8]) -> B256 {
    klay_core::keccak256(data)
}
