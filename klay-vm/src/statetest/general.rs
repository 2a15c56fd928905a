//! GeneralStateTests: one transaction, compared by root and logs.

use std::{str::FromStr, sync::Arc};

use alloy_eips::eip2930::{AccessList, AccessListItem};
use alloy_eips::eip7702::{Authorization, SignedAuthorization};
use klay_accounts::{CodeInfo, EMPTY_CODE_HASH, Program, StateAccount};
use klay_core::{
    Address, B256, Bytes, FeeSplit, Fork, PublicKey, Rules, U256,
    block::Log,
    hex, keccak256,
    storage::Memory,
    trie::Trie,
    tx::{TxType, TxView, gas},
};
use rlp::RlpStream;
use serde_json::Value;

use super::{
    Case, FixtureError, Mismatch, StepSink, Verdict,
    fixture::{
        Allocation, address, allocations, bytes, hash_of, list, member, number, number_if, number_of, small, small_of,
        text,
    },
    watch,
};
use crate::{
    env::{BlockContext, BlockHashes},
    machine::{Klvm, Meter},
    spec::Level,
    state::{State, World, WorldError},
    trace::Watch,
    transition::{Action, Message, Run},
    validate::{GAS_PER_BLOB, IntrinsicGas, MAX_INIT_CODE_SIZE},
};

/// Whose suite a case belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Suite {
    Klaytn,
    Ethereum,
}

/// Base fee of the reference client's Shanghai cases, in peb.
const KLAYTN_BASE_FEE: u64 = 25_000_000_000;
/// Base fee of an Ethereum case that names none.
const ETHEREUM_BASE_FEE: u64 = 10;

/// Hash of block n is the hash of n in decimal.
#[derive(Debug)]
pub(super) struct DecimalHashes;

impl BlockHashes for DecimalHashes {
    fn block_hash(&self, number: u64) -> Option<B256> {
        Some(keccak256(number.to_string()))
    }
}

pub(super) fn run(
    path: &str,
    name: &str,
    test: &Value,
    only: Option<&str>,
    steps: Option<&StepSink>,
    cases: &mut Vec<Case>,
) -> Result<(), FixtureError> {
    let posts = member(test, "post")?.as_object().ok_or(FixtureError::Shape("post"))?;
    // Ethereum's suite says who sends; the reference client's own leaves it to the key.
    let suite = match member(test, "transaction")?.get("sender") {
        Some(_) => Suite::Ethereum,
        None => Suite::Klaytn,
    };
    for (fork, posts) in posts {
        let rules = rules(suite, fork);
        if only.is_some_and(|only| only != fork) || (suite == Suite::Ethereum && rules.is_none()) {
            continue;
        }
        let posts = posts.as_array().ok_or(FixtureError::Shape("post"))?;
        for (index, post) in posts.iter().enumerate() {
            let verdict = match (skipped(path, name, fork, index), rules) {
                (Some(reason), _) => Verdict::Skip(reason),
                (None, None) => Verdict::Skip("rules of this fork are not known"),
                (None, Some(rules)) => match execute(test, post, suite, rules, watch(steps, path, name, fork, index)) {
                    Ok(verdict) => verdict,
                    Err(FixtureError::Number { .. }) if post.get("expectException").is_some() => Verdict::Pass,
                    Err(FixtureError::Number { .. }) => Verdict::Skip("a number does not fit; not loadable"),
                    Err(error) => return Err(error),
                },
            };
            cases.push(Case { test: name.to_owned(), fork: fork.clone(), index, verdict });
        }
    }
    Ok(())
}

fn rules(suite: Suite, fork: &str) -> Option<Rules> {
    Some(match (suite, fork) {
        (Suite::Klaytn, "Byzantium") => Rules::none(),
        (Suite::Klaytn, "Shanghai") => Rules::up_to(Fork::Shanghai),
        (Suite::Ethereum, "Cancun") => Rules::up_to(Fork::Cancun),
        (Suite::Ethereum, "Prague") => Rules::up_to(Fork::Prague),
        (Suite::Ethereum, "Osaka") => Rules::up_to(Fork::Osaka),
        _ => return None,
    })
}

/// What the reference client's own suite leaves out.
fn skipped(path: &str, name: &str, fork: &str, index: usize) -> Option<&'static str> {
    if fork == "Constantinople" {
        return Some("root uses Ethereum account encoding");
    }
    if name.starts_with("transactionCollidingWithNonEmptyAccount") {
        return Some("EIP-3607 is not enforced");
    }
    if fork == "Cancun" && path.contains("eip4844_blobs") {
        return Some("blob transactions are not accepted before Osaka");
    }
    if fork != "Byzantium" {
        return None;
    }
    match name {
        "CallSha256_1_nonzeroValue"
        | "CallIdentity_1_nonzeroValue"
        | "CallEcrecover0_NoGas"
        | "static_CallIdentity_1_nonzeroValue"
        | "static_CallSha256_1_nonzeroValue"
        | "callNonConst" => Some("value to a precompiled contract"),
        "modexpRandomInput" if index < 2 => Some("value to a precompiled contract"),
        "ecmul_0-3_5616_28000_96" | "randomStatetest644" | "randomStatetest645" | "RevertPrecompiledTouch" => {
            Some("left out by the reference client's suite")
        }
        _ if name.starts_with("zeroSigTransa") => Some("left out by the reference client's suite"),
        _ => None,
    }
}

/// The parts of a case that the transaction is made of.
struct Transaction {
    sender: Address,
    to: Option<Address>,
    nonce: u64,
    gas_limit: u64,
    value: U256,
    input: Bytes,
    fee_cap: U256,
    tip: U256,
    access_list: Option<AccessList>,
    authorizations: Option<Vec<SignedAuthorization>>,
    blob_hashes: Vec<B256>,
    blob_fee_cap: Option<U256>,
}

fn execute(test: &Value, post: &Value, suite: Suite, rules: Rules, watch: Watch) -> Result<Verdict, FixtureError> {
    let transaction = transaction(test, post)?;
    let pre = allocations(member(test, "pre")?)?;
    let block = block(member(test, "env")?, suite, rules)?;
    let state = pre_state(&pre, suite, rules)?;

    let (state, logs) = match apply(&transaction, &block, state.clone(), suite, watch) {
        Ok(done) => done,
        Err(Refused::Message) => (finish(state, &block, suite, None)?, Vec::new()),
        Err(Refused::State(error)) => return Err(error.into()),
    };
    let root = match suite {
        Suite::Klaytn => state.root(),
        Suite::Ethereum => ethereum_root(&state)?,
    };
    let compared =
        Mismatch::compare("state root", hash_of(post, "hash")?, root).and_then(|()| match post.get("logs") {
            Some(_) => {
                hash_of(post, "logs").map_or(Ok(()), |logs_hash| Mismatch::compare("logs", logs_hash, hash_logs(&logs)))
            }
            None => Ok(()),
        });
    Ok(match compared {
        Ok(()) => Verdict::Pass,
        Err(mismatch) => Verdict::Fail(mismatch),
    })
}

/// Why a transaction left no trace.
enum Refused {
    /// It is not applicable.
    Message,
    /// The state could not be read.
    State(crate::StateError),
}

impl From<crate::StateError> for Refused {
    fn from(error: crate::StateError) -> Self {
        Self::State(error)
    }
}

fn apply(
    tx: &Transaction,
    block: &BlockContext,
    state: State,
    suite: Suite,
    watch: Watch,
) -> Result<(State, Vec<Log>), Refused> {
    let level = Level::of(block.rules);
    let base_fee = block.base_fee.unwrap_or_default();
    let gas_price = match suite {
        Suite::Klaytn if block.base_fee.is_some() => base_fee,
        Suite::Klaytn => tx.fee_cap,
        Suite::Ethereum => {
            if tx.fee_cap < base_fee {
                return Err(Refused::Message);
            }
            if tx.tip > tx.fee_cap {
                return Err(Refused::Message);
            }
            tx.fee_cap.min(base_fee.saturating_add(tx.tip))
        }
    };
    let world = World::new(state, level, block.hashes.clone());
    let mut klvm = Klvm::new(block, world, watch);
    let (nonce, balance) =
        klvm.world().account(tx.sender)?.map_or((0, U256::ZERO), |account| (account.nonce, account.balance));
    if nonce != tx.nonce || nonce == u64::MAX {
        return Err(Refused::Message);
    }
    check_lists(tx, block)?;
    let blob_gas = U256::from(GAS_PER_BLOB) * U256::from(tx.blob_hashes.len());
    let limit = U256::from(tx.gas_limit);
    let amount =
        |price: U256, blob_price: U256| price.checked_mul(limit)?.checked_add(blob_price.checked_mul(blob_gas)?);
    let fee = amount(gas_price, block.blob_base_fee).filter(|fee| *fee <= balance);
    let fee = fee.ok_or(Refused::Message)?;
    if block.rules.has(Fork::Osaka) {
        let cap = amount(tx.fee_cap, tx.blob_fee_cap.unwrap_or_default()).and_then(|cap| cap.checked_add(tx.value));
        cap.filter(|cap| *cap <= balance).ok_or(Refused::Message)?;
    }
    let intrinsic = intrinsic(tx, block.rules, suite).ok_or(Refused::Message)?;
    intrinsic.check(tx.gas_limit).map_err(|_| Refused::Message)?;
    if tx.value > balance - fee {
        return Err(Refused::Message);
    }
    if level.is_since(Level::Shanghai) && tx.to.is_none() && tx.input.len() > MAX_INIT_CODE_SIZE {
        return Err(Refused::Message);
    }
    let message = Message {
        sender: tx.sender,
        payer: tx.sender,
        action: tx.to.map_or(Action::Create, |to| Action::Call { to, is_warm: true }),
        nonce: tx.nonce,
        value: tx.value,
        input: tx.input.clone(),
        gas_limit: tx.gas_limit,
        gas_price,
        intrinsic,
        access_list: tx.access_list.as_ref(),
        authorizations: tx.authorizations.as_deref().unwrap_or_default(),
        blob_hashes: &tx.blob_hashes,
        prepaid: FeeSplit::of_sender(fee),
        fee_receiver: block.fee_receiver(),
    };
    klvm.0.ctx.chain.meter = Meter::unlimited();
    let to_sender = |amount| FeeSplit::of_sender(amount);
    let run: Run<Watch> = if klvm.0.inspector.is_on() { Klvm::inspect } else { Klvm::run };
    let outcome = klvm.transit(&message, to_sender, run).and_then(|outcome| klvm.show_end(outcome));
    let outcome = outcome.map_err(|error| match error {
        WorldError::State(error) => Refused::State(error),
        WorldError::TimeLimit => Refused::Message,
    })?;
    klvm.commit()?;
    let tip = match suite {
        Suite::Klaytn => None,
        Suite::Ethereum => Some(U256::from(outcome.gas_used) * (gas_price - base_fee)),
    };
    let state = klvm.into_world().finish()?.state;
    Ok((finish(state, block, suite, tip)?, outcome.logs))
}

fn check_lists(tx: &Transaction, block: &BlockContext) -> Result<(), Refused> {
    if let Some(cap) = tx.blob_fee_cap {
        let is_valid = tx.to.is_some()
            && !tx.blob_hashes.is_empty()
            && tx.blob_hashes.len() <= 6
            && tx.blob_hashes.iter().all(|hash| hash[0] == 1)
            && cap >= block.blob_base_fee
            && block.rules.has(Fork::Osaka);
        if !is_valid {
            return Err(Refused::Message);
        }
    }
    if let Some(list) = &tx.authorizations
        && (list.is_empty() || tx.to.is_none() || !block.rules.has(Fork::Prague))
    {
        return Err(Refused::Message);
    }
    Ok(())
}

/// The end of the block: Klaytn's touches the zero address, Ethereum's pays the tip.
fn finish(state: State, block: &BlockContext, suite: Suite, tip: Option<U256>) -> Result<State, crate::StateError> {
    let mut world = World::new(state, Level::of(block.rules), block.hashes.clone());
    let receiver = match suite {
        Suite::Klaytn => Address::ZERO,
        Suite::Ethereum => block.coinbase,
    };
    let amount = tip.unwrap_or_default();
    if tip.is_some() || suite == Suite::Klaytn {
        world.change(receiver, StateAccount::default, |account| account.balance += amount)?;
        world.remove_if_empty(receiver)?;
    }
    Ok(world.finish()?.state)
}

fn intrinsic(tx: &Transaction, rules: Rules, suite: Suite) -> Option<IntrinsicGas> {
    let tx_type = match (&tx.authorizations, &tx.access_list) {
        (Some(_), _) => TxType::ETHEREUM_SET_CODE,
        (None, Some(_)) => TxType::ETHEREUM_ACCESS_LIST,
        (None, None) => TxType::LEGACY,
    };
    let view = TxView {
        tx_type,
        nonce: tx.nonce,
        gas_limit: tx.gas_limit,
        fee_cap: tx.fee_cap,
        tip_cap: tx.tip,
        is_dynamic: false,
        from: None,
        to: tx.to,
        value: tx.value,
        input: &tx.input,
        human_readable: false,
        access_list: tx.access_list.as_ref(),
        authorization_list: tx.authorizations.as_deref(),
        blob_hashes: &[],
        max_fee_per_blob_gas: None,
        chain_id: None,
        role: klay_core::Role::Transaction,
        signatures: &[],
        fee_payer: None,
        fee_ratio: None,
        fee_payer_signatures: &[],
    };
    // Prague has Ethereum's price of data.
    let priced = if suite == Suite::Ethereum { rules.with(Fork::Prague) } else { rules };
    let total = gas::intrinsic(&view, priced).ok()?;
    let floor = if rules.has(Fork::Prague) { gas::floor(&view).ok()? } else { 0 };
    Some(IntrinsicGas { total, floor })
}

fn block(env: &Value, suite: Suite, rules: Rules) -> Result<BlockContext, FixtureError> {
    let is_klaytn = suite == Suite::Klaytn;
    let base_fee = match suite {
        Suite::Klaytn => rules.has(Fork::Magma).then_some(U256::from(KLAYTN_BASE_FEE)),
        Suite::Ethereum => Some(number_if(env, "currentBaseFee")?.unwrap_or(U256::from(ETHEREUM_BASE_FEE))),
    };
    Ok(BlockContext {
        chain_id: 1,
        rules,
        number: small_of(env, "currentNumber")?,
        timestamp: small_of(env, "currentTimestamp")?,
        coinbase: address(text(env, "currentCoinbase")?)?,
        rewardbase: Address::ZERO,
        base_fee,
        blob_base_fee: U256::ZERO,
        block_score: number_of(env, "currentDifficulty")?,
        random: B256::ZERO,
        gas_limit: if is_klaytn { 0 } else { small_of(env, "currentGasLimit")? },
        deferred_tx_fee: !is_klaytn,
        hashes: Arc::new(DecimalHashes),
        ethereum_rules: !is_klaytn,
    })
}

fn transaction(test: &Value, post: &Value) -> Result<Transaction, FixtureError> {
    let tx = member(test, "transaction")?;
    let indexes = member(post, "indexes")?;
    let item = |key: &'static str| {
        let at = member(indexes, key)?.as_u64().and_then(|at| usize::try_from(at).ok()).unwrap_or(usize::MAX);
        let (name, items) = match key {
            "gas" => ("gasLimit", list(tx, "gasLimit")?),
            name => (name, list(tx, name)?),
        };
        items.get(at).map(|item| (at, item)).ok_or(FixtureError::Shape(name))
    };
    let (data_at, data) = item("data")?;
    let (_, gas_limit) = item("gas")?;
    let (_, value) = item("value")?;
    let as_text = |value: &Value| value.as_str().map(str::to_owned).ok_or(FixtureError::Shape("transaction"));
    let to = text(tx, "to")?;
    let fee_cap = match number_if(tx, "maxFeePerGas")? {
        Some(cap) => cap,
        None => number_of(tx, "gasPrice")?,
    };
    let key: [u8; 32] = hex::decode(text(tx, "secretKey")?)
        .ok()
        .and_then(|key| key.try_into().ok())
        .ok_or(FixtureError::Shape("secretKey"))?;
    let sender = PublicKey::from_secret(&key).ok_or(FixtureError::Shape("secretKey"))?.address();
    let access_list = match tx.get("accessLists").and_then(Value::as_array).and_then(|lists| lists.get(data_at)) {
        Some(list) if !list.is_null() => Some(read_access_list(list)?),
        _ => None,
    };
    let blob_hashes = match tx.get("blobVersionedHashes").and_then(Value::as_array) {
        Some(hashes) => hashes
            .iter()
            .map(|hash| hash.as_str().and_then(|hash| B256::from_str(hash).ok()).ok_or(FixtureError::Shape("blob")))
            .collect::<Result<_, _>>()?,
        None => Vec::new(),
    };
    let authorizations = match tx.get("authorizationList").and_then(Value::as_array) {
        Some(list) => Some(list.iter().map(read_authorization).collect::<Result<_, _>>()?),
        None => None,
    };
    Ok(Transaction {
        sender,
        to: if to.is_empty() { None } else { Some(address(to)?) },
        nonce: small_of(tx, "nonce")?,
        gas_limit: small("gasLimit", &as_text(gas_limit)?)?,
        value: number("value", &as_text(value)?)?,
        input: bytes(&as_text(data)?)?,
        fee_cap,
        tip: number_if(tx, "maxPriorityFeePerGas")?.unwrap_or(fee_cap),
        access_list,
        authorizations,
        blob_hashes,
        blob_fee_cap: number_if(tx, "maxFeePerBlobGas")?,
    })
}

fn read_access_list(value: &Value) -> Result<AccessList, FixtureError> {
    let items = value.as_array().ok_or(FixtureError::Shape("access list"))?;
    let item = |item: &Value| {
        let keys = list(item, "storageKeys")?.iter().map(|key| {
            let key = key.as_str().ok_or(FixtureError::Shape("storageKeys"))?;
            Ok(B256::from(number("storage key", key)?))
        });
        Ok(AccessListItem {
            address: address(text(item, "address")?)?,
            storage_keys: keys.collect::<Result<_, FixtureError>>()?,
        })
    };
    Ok(AccessList(items.iter().map(item).collect::<Result<_, FixtureError>>()?))
}

fn read_authorization(value: &Value) -> Result<SignedAuthorization, FixtureError> {
    let authorization = Authorization {
        chain_id: number_of(value, "chainId")?,
        address: address(text(value, "address")?)?,
        nonce: small_of(value, "nonce")?,
    };
    let parity = match number_if(value, "yParity")? {
        Some(parity) => parity,
        None => number_of(value, "v")?,
    };
    let parity = parity.try_into().unwrap_or(u8::MAX);
    Ok(SignedAuthorization::new_unchecked(authorization, parity, number_of(value, "r")?, number_of(value, "s")?))
}

fn pre_state(
    pre: &std::collections::BTreeMap<Address, Allocation>,
    suite: Suite,
    rules: Rules,
) -> Result<State, crate::StateError> {
    let level = Level::of(rules);
    let mut world = World::new(State::empty(Arc::new(Memory::new())), level, Arc::new(DecimalHashes));
    for (address, account) in pre {
        let code_hash = world.add_code(account.code.clone());
        let code_info = match suite {
            Suite::Klaytn => CodeInfo::GENESIS,
            Suite::Ethereum => level.code_info(),
        };
        let program = Program { code_hash, code_info, ..Program::default() };
        let delegates = level.is_since(Level::Prague)
            && suite == Suite::Ethereum
            && (account.code.is_empty() || (account.code.len() == 23 && account.code.starts_with(&[0xef, 1, 0])));
        let is_contract = !delegates && (!account.code.is_empty() || !account.storage.is_empty());
        let make = || match is_contract {
            true => StateAccount::contract(account.nonce, account.balance, program),
            false if code_hash == EMPTY_CODE_HASH => StateAccount::eoa(account.nonce, account.balance),
            false => StateAccount { program, ..StateAccount::eoa(account.nonce, account.balance) },
        };
        world.change(*address, make, |_| ())?;
        for (slot, word) in &account.storage {
            world.set_word(*address, *slot, *word)?;
        }
    }
    Ok(world.finish()?.state)
}

/// The root with accounts as Ethereum writes them; empty ones are left out.
fn ethereum_root(state: &State) -> Result<B256, crate::StateError> {
    let mut leaves = Vec::new();
    for account in state.accounts(B256::ZERO) {
        let (key, account) = account?;
        if account.nonce == 0 && account.balance.is_zero() && !account.has_code() {
            continue;
        }
        let mut leaf = RlpStream::new_list(4);
        leaf.append(&account.nonce);
        leaf.append(&account.balance.to_be_bytes_trimmed_vec());
        leaf.append(&account.program.storage_root.as_slice());
        leaf.append(&account.program.code_hash.as_slice());
        leaves.push((key, Some(leaf.out().to_vec())));
    }
    Ok(Trie::new().update(&(), &leaves)?.root())
}

pub(super) fn hash_logs(logs: &[Log]) -> B256 {
    let mut list = RlpStream::new_list(logs.len());
    for log in logs {
        list.begin_list(3);
        list.append(&log.address.as_slice());
        list.begin_list(log.topics().len());
        for topic in log.topics() {
            list.append(&topic.as_slice());
        }
        list.append(&log.data.data.as_ref());
    }
    keccak256(list.out())
}
