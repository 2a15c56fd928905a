//! Making a block: header, transactions from the pool, execution, roots.
//!
//! Source: spec 30, sections 1.6 and 1.7; spec 10, section 6.4; spec 75, section 5.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use klay_consensus::istanbul::seal;
use klay_core::{Address, Bytes, Fork, U256, block::Header};
use klay_vm::{
    BlockExecutor, Disposition, TxError,
    randao::{RevealSigner, previous_mix},
};

use super::{
    base::Base,
    finalise::{self, ExecuteError},
    proposal::{Executed, Proposal},
    votes::Votes,
};
use crate::{Chain, SharedTx, TxPool};

/// Longest block from Osaka on, in bytes of RLP.
const MAX_BLOCK_SIZE: usize = 10_485_760;
/// What header and list headers take of it at most.
const HEADER_ROOM: usize = 4_096;

/// Who makes blocks, and how large they may become.
#[derive(Debug)]
pub struct Author {
    /// The authority that seals.
    pub address: Address,
    /// Where rewards go.
    pub rewardbase: Address,
    /// The key behind the block's randomness.
    pub randao: RevealSigner,
    /// Free text in the header, at most 31 bytes.
    pub vanity: Vec<u8>,
    /// Gas at which a block is full.
    pub gas_limit: u64,
    /// Seconds that must lie between two blocks: 1 on public networks; 0 lets blocks share a second.
    pub period: u64,
}

/// Builds and executes the block after `base`, without seals; `None` if it would be empty and `empty` is not wanted.
///
/// Transactions are added until the pool has no more, the block is full by gas or size, or `within` is over. The time
/// is the last resort: gas fills blocks evenly however busy the host is.
///
/// # Errors
/// If the state or the store fails.
pub(super) fn build(
    chain: &Chain,
    pool: &TxPool,
    (author, votes): (&Author, &Votes),
    base: &Base,
    within: Duration,
    empty: bool,
) -> Result<Option<Proposal>, ExecuteError> {
    if !empty && pool.status().pending == 0 {
        return Ok(None);
    }
    let deadline = Instant::now() + within;
    let mut header = template(chain, base, author)?;
    votes.write(chain, author.address, &mut header);
    let mut executor = BlockExecutor::new(base.state.clone(), chain.context_of(&header, author.address));
    executor.begin(base.hash)?;
    let max_blobs = chain.config().blob_config(header.number).map_or(0, |blobs| blobs.max);
    let transactions = fill(&mut executor, pool, author, max_blobs, deadline)?;
    if transactions.is_empty() && !empty {
        return Ok(None);
    }
    let result = finalise::finish_on(chain, executor, &header, (&base.header, &base.state))?;
    let params = chain.params_at(header.number);
    header.state_root = result.state.root();
    header.gas_used = result.gas_used;
    header.logs_bloom = result.bloom;
    header.transactions_root = params.list_root().root(&finalise::encoded(&transactions));
    header.receipts_root = params.list_root().root(&finalise::encoded_receipts(&result.receipts));
    if header.blob_gas_used.is_some() {
        header.blob_gas_used = Some(finalise::blob_gas(&transactions));
    }
    Ok(Some(Proposal::new(header, Executed::new(transactions, result))))
}

/// The header as far as it is known before anything is executed.
fn template(chain: &Chain, parent: &Base, author: &Author) -> Result<Header, ExecuteError> {
    let number = parent.header.number + 1;
    let rules = chain.rules_at(number);
    let (timestamp, timestamp_fos) = time_after(&parent.header, author.period);
    // Of the newest block that is final; it says nothing that anybody checks.
    let validators = chain.council_at(number.min(chain.head().number() + 1))?.qualified().as_slice().to_vec();
    let mut header = Header {
        parent_hash: parent.hash,
        rewardbase: author.rewardbase,
        block_score: U256::from(1),
        number,
        timestamp,
        timestamp_fos,
        extra: seal::new_extra(&author.vanity, validators),
        base_fee: chain.base_fee_after(&parent.header),
        ..Header::default()
    };
    if rules.has(Fork::Randao) {
        let (reveal, mix) = author.randao.fields(number, previous_mix(chain.config(), &parent.header));
        header.random_reveal = Some(Bytes::copy_from_slice(&reveal));
        header.mix_hash = Some(Bytes::copy_from_slice(mix.as_slice()));
    }
    if let Some(blobs) = chain.config().blob_config(number) {
        header.blob_gas_used = Some(0);
        header.excess_blob_gas = Some(klay_core::block::price::next_excess_blob_gas(&parent.header, &blobs));
    }
    Ok(header)
}

/// The parent's time and the period later, or now if that is past already.
fn time_after(parent: &Header, period: u64) -> (u64, u8) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let next = parent.timestamp.saturating_add(period);
    if next < now.as_secs() || (period == 0 && next == now.as_secs()) {
        (now.as_secs(), (now.subsec_millis() / 10) as u8)
    } else {
        (next, parent.timestamp_fos)
    }
}

fn fill(
    executor: &mut BlockExecutor,
    pool: &TxPool,
    author: &Author,
    mut blobs: u64,
    deadline: Instant,
) -> Result<Vec<SharedTx>, ExecuteError> {
    let mut transactions = Vec::new();
    let mut room = MAX_BLOCK_SIZE - HEADER_ROOM;
    let mut best = pool.best();
    while executor.gas_used() < author.gas_limit && Instant::now() < deadline {
        let Some(tx) = best.next() else { break };
        let (size, carried) = (tx.encoded().len(), tx.view().blob_hashes.len() as u64);
        if size > room {
            break;
        }
        if carried > blobs {
            best.skip_account(tx.sender());
            continue;
        }
        match executor.execute(&tx) {
            Ok(_) => {
                room -= size;
                blobs -= carried;
                transactions.push(tx);
            }
            // It says nothing about the transaction.
            Err(TxError::State(error)) => return Err(error.into()),
            Err(error) => set_aside(&error, &tx, pool, &mut best),
        }
    }
    Ok(transactions)
}

/// What becomes of a transaction that cannot be included.
fn set_aside(error: &TxError, tx: &SharedTx, pool: &TxPool, best: &mut crate::pool::Best) {
    match error.disposition() {
        Disposition::Passed => {}
        Disposition::Later => best.skip_account(tx.sender()),
        Disposition::Drop => {
            tracing::debug!(hash = %tx.hash(), %error, "transaction cannot be executed");
            pool.remove(tx);
        }
    }
}
