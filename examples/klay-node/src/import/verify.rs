//! One block against the chain before it.

use std::time::Instant;

use klay_consensus::{
    istanbul::import::{HeaderContext, HeaderError, Reveals, verify_recovered},
    types::WallTime,
};
use klay_core::{
    Address, B256, Fork,
    block::price::GAS_PER_BLOB,
    config::BlobConfig,
    governance::{VoteContext, verify_data, verify_vote},
};
use klay_vm::{
    BlockExecutor, BlockResult, State,
    randao::{ProposerKeys, RandaoError, previous_mix},
    system::View,
};

use super::{
    ImportError, Refusal, Spent,
    prepare::{KnownKeys, Prepared, Transaction},
    timed,
};
use crate::{
    Chain, SharedTx,
    chain::{ChainError, SealedBlock},
    council::{BlockCouncil, CouncilError},
    driver::{self, ExecuteError},
};

/// Longest block from Osaka on, in bytes of RLP (EIP-7934).
const MAX_BLOCK_SIZE: usize = 10_485_760;

/// Why a block was not verified.
#[derive(Debug)]
pub(super) enum Stop {
    /// It breaks a rule.
    Refused(Refusal),
    /// The chain failed.
    Failed(ImportError),
}

impl Stop {
    pub(super) fn at(self, number: u64) -> ImportError {
        match self {
            // A wrong number names no place.
            Self::Refused(refusal @ Refusal::Number { expected, .. }) => {
                ImportError::Refused { number: expected, refusal: Box::new(refusal) }
            }
            Self::Refused(refusal) => ImportError::Refused { number, refusal: Box::new(refusal) },
            Self::Failed(error) => error,
        }
    }
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<ChainError> for Stop {
    fn from(error: ChainError) -> Self {
        Self::Failed(error.into())
    }
}

impl From<CouncilError> for Stop {
    fn from(error: CouncilError) -> Self {
        Self::Failed(error.into())
    }
}

impl From<ExecuteError> for Stop {
    fn from(error: ExecuteError) -> Self {
        Self::Failed(error.into())
    }
}

/// Proposers' BLS keys.
pub(super) struct Keys<'a> {
    /// What the chain says.
    pub(super) registered: ProposerKeys,
    /// What the chain said, for whoever checks ahead.
    pub(super) known: &'a KnownKeys,
}

/// Checks the block after the head, in the order of the reference client, and executes it.
pub(super) fn verify(
    chain: &Chain,
    keys: &Keys<'_>,
    block: &Prepared,
    now: WallTime,
    spent: &mut Spent,
) -> Result<(SealedBlock, BlockResult), Stop> {
    let began = Instant::now();
    let parent = chain.head();
    let (expected, got) = (parent.number().saturating_add(1), block.header.number);
    if expected != got {
        return Err(Refusal::Number { expected, got }.into());
    }
    let council = chain.council_at(got)?;
    let state = chain.head_state().1;
    let author = verify_header(chain, keys, block, &council, &parent, &state, now)?;
    verify_governance(chain, block, author, &council, &state)?;
    let transactions = verify_body(chain, block, &council)?;
    let sealed = SealedBlock::new(block.header.clone(), block.signers.hash, transactions, author);
    spent.checks += began.elapsed();
    let executor = timed(&mut spent.execution, || execute(chain, &sealed, &state))?;
    let result = timed(&mut spent.roots, || driver::finish(chain, executor, &sealed.header, &state))?;
    timed(&mut spent.checks, || compare(&sealed, &result, &council))?;
    Ok((sealed, result))
}

fn verify_header(
    chain: &Chain,
    keys: &Keys<'_>,
    block: &Prepared,
    council: &BlockCouncil,
    parent: &SealedBlock,
    state: &State,
    now: WallTime,
) -> Result<Address, Stop> {
    let number = block.header.number;
    let view = View { state, header: &parent.header, config: chain.config() };
    let reveals = RegisteredKeys { keys, view, block };
    let blobs = chain.config().blob_config(number).unwrap_or(BlobConfig::OSAKA);
    let previous = previous_mix(chain.config(), &parent.header);
    let context = HeaderContext {
        rules: chain.rules_at(number),
        parent: Some(&parent.header),
        kip71: &council.params().kip71,
        blobs: &blobs,
        council: council.council(),
        qualified: council.qualified(),
        committee_size: council.params().committee_size,
        parent_mix_hash: previous,
        reveals: Some(&reveals),
        now,
    };
    match verify_recovered(&block.header, &block.signers, &context) {
        Ok(verified) => Ok(verified.author),
        // The keys know more about it than the rule says.
        Err(HeaderError::Randao) => Err(match reveals.fault(previous) {
            Some(fault) => Refusal::Randao(fault).into(),
            None => Refusal::Header(HeaderError::Randao).into(),
        }),
        Err(error) => Err(Refusal::Header(error).into()),
    }
}

/// BLS keys as they are registered behind the parent.
struct RegisteredKeys<'a> {
    keys: &'a Keys<'a>,
    view: View<'a>,
    block: &'a Prepared,
}

impl Reveals for RegisteredKeys<'_> {
    fn verify(&self, author: Address, _message: B256, reveal: &[u8]) -> bool {
        let Ok(key) = self.keys.registered.key_of(author, self.view) else { return false };
        match self.block.reveal {
            Some((guess, holds)) if guess == key => holds,
            _ => {
                self.keys.known.write().insert(author, key);
                key.reveals(self.block.header.number, reveal)
            }
        }
    }
}

impl RegisteredKeys<'_> {
    /// What is wrong with the Randao fields of the block.
    fn fault(&self, previous: B256) -> Option<RandaoError> {
        let header = &self.block.header;
        let (reveal, mix) = (header.random_reveal.as_ref()?, header.mix_hash.as_ref()?);
        let key = self.keys.registered.key_of(self.block.signers.author?, self.view);
        key.and_then(|key| key.verify(header.number, reveal, mix, previous)).err()
    }
}

fn verify_governance(
    chain: &Chain,
    block: &Prepared,
    author: Address,
    council: &BlockCouncil,
    state: &State,
) -> Result<(), Stop> {
    let (header, number) = (&block.header, block.header.number);
    if !header.vote.is_empty() {
        let previous = chain.registered_at(number.saturating_sub(1))?;
        let params = chain.with_schedule(|schedule| schedule.header_only_at(number));
        let context = VoteContext {
            author,
            council: council.council().as_slice(),
            previous_council: previous.as_slice(),
            params: &params,
        };
        let mut failure = None;
        let checked = verify_vote(&header.vote, &context, |address| match state.account(address) {
            Ok(account) => account.map(|account| account.is_contract() && !account.is_empty()),
            Err(error) => {
                failure = Some(error);
                None
            }
        });
        if let Some(error) = failure {
            return Err(ChainError::from(error).into());
        }
        checked.map_err(Refusal::Vote)?;
    }
    chain.with_schedule(|schedule| verify_data(&header.governance, number, schedule)).map_err(Refusal::Governance)?;
    Ok(())
}

/// Checks the body and takes its transactions, all of them with their signers.
fn verify_body(chain: &Chain, block: &Prepared, council: &BlockCouncil) -> Result<Vec<SharedTx>, Stop> {
    let header = &block.header;
    if chain.rules_at(header.number).has(Fork::Osaka) && block.size > MAX_BLOCK_SIZE {
        return Err(Refusal::Size { limit: MAX_BLOCK_SIZE, got: block.size }.into());
    }
    let encoded: Vec<&[u8]> = block.transactions.iter().map(Transaction::encoded).collect();
    let root = council.params().list_root().root(&encoded);
    if root != header.transactions_root {
        return Err(Refusal::TransactionsRoot { expected: header.transactions_root, got: root }.into());
    }
    let mut transactions = Vec::with_capacity(block.transactions.len());
    for (index, tx) in block.transactions.iter().enumerate() {
        match tx {
            Transaction::Recovered(tx) => transactions.push(SharedTx::clone(tx)),
            Transaction::Unsigned { fault, .. } => {
                return Err(Refusal::Signature { index, source: *fault }.into());
            }
        }
    }
    let mut blobs = 0;
    for (index, tx) in transactions.iter().enumerate() {
        let view = tx.view();
        if let Some(base_fee) = header.base_fee.filter(|base_fee| *base_fee > view.fee_cap) {
            return Err(Refusal::Price { index, base_fee, got: view.fee_cap }.into());
        }
        blobs += view.blob_hashes.len() as u64;
    }
    let (expected, got) = (header.blob_gas_used.unwrap_or_default(), blobs.saturating_mul(GAS_PER_BLOB));
    if expected == got { Ok(transactions) } else { Err(Refusal::BlobGas { expected, got }.into()) }
}

fn execute(chain: &Chain, block: &SealedBlock, state: &State) -> Result<BlockExecutor, Stop> {
    let mut executor = BlockExecutor::new(state.clone(), chain.context_of(&block.header, block.proposer));
    executor.begin(block.header.parent_hash).map_err(ExecuteError::from)?;
    for (index, tx) in block.transactions.iter().enumerate() {
        if let Err(source) = executor.execute(tx) {
            return Err(match source {
                klay_vm::TxError::State(error) => ExecuteError::from(error).into(),
                source => Refusal::Transaction { index, source }.into(),
            });
        }
    }
    Ok(executor)
}

fn compare(block: &SealedBlock, result: &BlockResult, council: &BlockCouncil) -> Result<(), Refusal> {
    let header = &block.header;
    if header.gas_used != result.gas_used {
        return Err(Refusal::GasUsed { expected: header.gas_used, got: result.gas_used });
    }
    if header.logs_bloom != result.bloom {
        return Err(Refusal::Bloom { expected: Box::new(header.logs_bloom), got: Box::new(result.bloom) });
    }
    let root = council.params().list_root().root(&driver::encoded_receipts(&result.receipts));
    if header.receipts_root != root {
        return Err(Refusal::ReceiptsRoot { expected: header.receipts_root, got: root });
    }
    if header.state_root != result.state.root() {
        return Err(Refusal::StateRoot { expected: header.state_root, got: result.state.root() });
    }
    Ok(())
}
