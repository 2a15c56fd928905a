//! From transactions to receipts and a state root.

mod fees;
mod system;

use klay_accounts::StateAccount;
use klay_core::{
    Address, Bloom, Bytes, U256,
    block::{Log, Receipt},
    tx::{FeeMode, RecoveredTx},
};

use crate::{
    env::BlockContext,
    error::TxError,
    machine::{Deadline, Klvm, Meter, status_of},
    payload::{Effect, ExecutablePayload},
    spec::Level,
    state::{Finished, Preimages, State, StateError, World, WorldError},
    trace::{Top, Tracer, Watch},
    transition::{Action, Message, Run},
    validate,
};

pub use system::{HISTORY_ADDRESS, SYSTEM_ADDRESS};

/// What one transaction did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Executed {
    /// The receipt.
    pub receipt: Receipt,
    /// Price per gas that was charged, in peb.
    pub effective_gas_price: U256,
    /// Sum of the computation cost of all instructions; 0 where the gas limit is so low that it need not be counted.
    pub computation_cost: u64,
    /// Return data or revert data of the outermost frame.
    pub output: Bytes,
}

/// A finished block.
#[derive(Debug, Clone)]
pub struct BlockResult {
    /// The state after the block; nothing of it is stored yet, see [`State::commit`].
    pub state: State,
    /// One receipt per transaction, in order.
    pub receipts: Vec<Receipt>,
    /// Effective gas price of each transaction, in peb.
    pub gas_prices: Vec<U256>,
    /// Gas used by all transactions.
    pub gas_used: u64,
    /// Union of the receipts' blooms.
    pub bloom: Bloom,
    /// The accounts that the block changed, as they stand behind it, in order of hashed addresses; one that is gone stands
    /// as an absent one reads. A pool follows the chain by these without reading the state.
    pub changed: Vec<(Address, StateAccount)>,
    /// Addresses and slots that the parent's state did not hold.
    pub preimages: Preimages,
}

/// Where a block stood: see [`BlockExecutor::revert`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct Checkpoint {
    changes: usize,
    transactions: usize,
    gas_used: u64,
}

/// Executes the transactions of one block over the state of its parent.
///
/// Order: [`Self::begin`], [`Self::execute`] for each transaction, credits and other writes, [`Self::finish`]. The
/// machine inside is bound to its thread.
#[derive(Debug)]
pub struct BlockExecutor {
    klvm: Klvm<Watch>,
    ctx: BlockContext,
    deadline: Option<Deadline>,
    receipts: Vec<Receipt>,
    gas_prices: Vec<U256>,
    gas_used: u64,
}

impl BlockExecutor {
    /// An executor over `state`, the state after the parent block.
    pub fn new(state: State, ctx: BlockContext) -> Self {
        let world = World::new(state, Level::of(ctx.rules), ctx.hashes.clone());
        let klvm = Klvm::new(&ctx, world, Watch::default());
        Self { klvm, ctx, deadline: None, receipts: Vec::new(), gas_prices: Vec::new(), gas_used: 0 }
    }

    /// Limits the time for building: a transaction that runs when the deadline passes fails with
    /// [`TxError::TimeLimit`] and is undone. Never to be used for verifying.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Deadline) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// As [`Self::with_deadline`], from the next transaction on; none lifts the limit.
    pub fn set_deadline(&mut self, deadline: Option<Deadline>) {
        self.deadline = deadline;
    }

    /// The block's context.
    pub const fn context(&self) -> &BlockContext {
        &self.ctx
    }

    /// Executes one transaction.
    ///
    /// # Errors
    /// If the transaction cannot be part of this block. Nothing has changed then, and the next can be tried.
    pub fn execute<F: FeeMode, P: ExecutablePayload>(&mut self, tx: &RecoveredTx<F, P>) -> Result<Executed, TxError> {
        self.carry_out(tx, Klvm::run)
    }

    /// As [`Self::execute`], shown to `tracer` on the way, which comes back with what it has seen.
    pub fn trace<F: FeeMode, P: ExecutablePayload, T: Tracer>(
        &mut self,
        tx: &RecoveredTx<F, P>,
        tracer: T,
    ) -> (Result<Executed, TxError>, T) {
        self.klvm.0.inspector = Watch::new(tracer);
        let executed = self.carry_out(tx, Klvm::inspect);
        let tracer = self.klvm.0.inspector.take().expect("the watch holds the tracer that was put into it above");
        (executed, tracer)
    }

    fn carry_out<F: FeeMode, P: ExecutablePayload>(
        &mut self,
        tx: &RecoveredTx<F, P>,
        run: Run<Watch>,
    ) -> Result<Executed, TxError> {
        let (rules, level) = (self.ctx.rules, self.klvm.0.ctx.chain.level);
        let view = tx.view();
        let (sender, payer) = (tx.sender(), tx.payer());
        let effect = validate::effect(tx.tx());

        let world = self.klvm.world();
        let (account_nonce, sender_balance) =
            world.account(sender)?.map_or((0, U256::ZERO), |account| (account.nonce, account.balance));
        let payer_balance = match payer == sender {
            true => sender_balance,
            false => world.account(payer)?.map_or(U256::ZERO, |account| account.balance),
        };
        if let Some(to) = view.to {
            // Read here once, for the rules and for the machine.
            world.account(to)?;
        }
        validate::static_rules(tx)?;
        validate::state_rules(tx, world)?;
        let intrinsic = validate::intrinsic_gas(tx, rules)?;
        let sender_gas = validate::authorize_sender(tx, world, rules)?;
        let payer_gas = validate::authorize_payer(tx, world, rules)?;
        if !validate::is_active(view.tx_type, rules) {
            return Err(TxError::TypeNotSupported);
        }
        let intrinsic = intrinsic.with_signatures(sender_gas, payer_gas)?;
        validate::nonce(account_nonce, view.nonce)?;
        validate::prices_and_lists(&view, rules, self.ctx.base_fee, self.ctx.blob_base_fee)?;

        let gas_price = view.effective_gas_price(self.ctx.base_fee, rules);
        let funds = fees::Funds { sender: sender_balance, payer: payer_balance, is_one: payer == sender };
        let prepaid = fees::buy_gas(tx.tx(), &view, gas_price, funds, &self.ctx)?;
        intrinsic.check(view.gas_limit)?;
        if view.value > (sender_balance - prepaid.sender).saturating_add(prepaid.surplus) {
            return Err(TxError::InsufficientBalance);
        }
        validate::init_code_size(&view, rules)?;

        let action = match effect {
            Effect::Call => Action::Call { to: view.to.unwrap_or_default(), is_warm: !view.reports_no_recipient() },
            Effect::Create => Action::Create,
            Effect::UpdateKey(_) | Effect::Nothing => Action::Nothing,
        };
        let message = Message {
            sender,
            payer,
            action,
            nonce: view.nonce,
            value: view.value,
            input: if action == Action::Nothing { Bytes::new() } else { Bytes::copy_from_slice(view.input) },
            gas_limit: view.gas_limit,
            gas_price,
            intrinsic,
            access_list: view.access_list,
            authorizations: view.authorization_list.unwrap_or_default(),
            blob_hashes: view.blob_hashes,
            prepaid,
            fee_receiver: self.ctx.fee_receiver(),
        };
        let counts = self.klvm.0.inspector.is_on();
        self.klvm.0.ctx.chain.meter =
            Meter::limited(level, view.gas_limit, counts).with_deadline(self.deadline.clone());
        self.klvm.0.inspector.begin(&Top {
            from: sender,
            to: match message.action {
                Action::Call { to, .. } => to,
                Action::Create => sender.create(view.nonce),
                Action::Nothing => sender,
            },
            is_creation: message.action == Action::Create,
            input: view.input,
            gas_limit: view.gas_limit,
            gas: view.gas_limit - message.intrinsic.total,
            value: view.value,
            gas_price,
            block: self.ctx.number,
        });
        let outcome = self.klvm.transit(&message, |amount| fees::split(tx.tx(), amount), run);
        let outcome = outcome.and_then(|outcome| self.klvm.show_end(outcome));
        let outcome = match outcome {
            Ok(outcome) => outcome,
            Err(error) => {
                self.klvm.reset();
                return Err(match error {
                    WorldError::TimeLimit => TxError::TimeLimit,
                    WorldError::State(error) => TxError::State(error),
                });
            }
        };
        self.klvm.commit()?;
        if let Effect::UpdateKey(key) = effect {
            let key = validate::decode_key(key)?;
            self.klvm.world().change(sender, StateAccount::default, |account| account.update_key(&key))??;
        }

        let status = status_of(outcome.result);
        let contract_address = view.reports_no_recipient().then(|| sender.create(view.nonce));
        let receipt = Receipt {
            status,
            gas_used: outcome.gas_used,
            bloom: bloom(&outcome.logs),
            logs: outcome.logs,
            tx_hash: tx.hash(),
            contract_address,
        };
        self.gas_used += receipt.gas_used;
        self.gas_prices.push(gas_price);
        self.receipts.push(receipt.clone());
        Ok(Executed { receipt, effective_gas_price: gas_price, computation_cost: outcome.cost, output: outcome.output })
    }

    /// A place to come back to, so that a group of transactions can be dropped as a whole.
    pub fn checkpoint(&mut self) -> Checkpoint {
        Checkpoint {
            changes: self.klvm.world().checkpoint(),
            transactions: self.receipts.len(),
            gas_used: self.gas_used,
        }
    }

    /// Undoes everything since `checkpoint`.
    pub fn revert(&mut self, checkpoint: Checkpoint) {
        self.klvm.world().revert(checkpoint.changes);
        self.receipts.truncate(checkpoint.transactions);
        self.gas_prices.truncate(checkpoint.transactions);
        self.gas_used = checkpoint.gas_used;
    }

    /// The gas used so far.
    pub const fn gas_used(&self) -> u64 {
        self.gas_used
    }

    /// The receipts so far.
    pub fn receipts(&self) -> &[Receipt] {
        &self.receipts
    }

    /// Effective gas prices so far, one for each receipt, in peb.
    pub fn gas_prices(&self) -> &[U256] {
        &self.gas_prices
    }

    /// Computes the root.
    ///
    /// # Errors
    /// If the state cannot be read.
    pub fn finish(self) -> Result<BlockResult, StateError> {
        let bloom = self.receipts.iter().fold(Bloom::ZERO, |union, receipt| union | receipt.bloom);
        let Finished { state, changed, preimages } = self.klvm.into_world().finish()?;
        Ok(BlockResult {
            state,
            receipts: self.receipts,
            gas_prices: self.gas_prices,
            gas_used: self.gas_used,
            bloom,
            changed,
            preimages,
        })
    }
}

fn bloom(logs: &[Log]) -> Bloom {
    let mut bloom = Bloom::ZERO;
    for log in logs {
        bloom.accrue_log(log);
    }
    bloom
}
