//! The published load: which transactions, from whom, in which order, all from one seed.
//!
//! Keys, draws and shares are those of spec 75, section 1, so that figures of different nodes compare. Nothing here
//! knows a network: [`Workload::plan`] decides who sends what, [`Workload::sign`] makes one transaction of it.
//!
//! ```
//! use klay_node::workload::{Mix, Workload};
//!
//! let load = Workload::new(1, 2019);
//! let plans = load.plan(Mix::Transfer, 1, &mut load.nonces());
//! assert_eq!(plans[0].sender, 6363);
//! let tx = load.sign(&plans[0])?;
//! assert_eq!(tx.hash().to_string(), "0x8faa779ee12de6bb2850bf6e8acc2645ec948403198b22acaeeadc70bd609369");
//! # Ok::<_, klay_core::tx::SignTxError>(())
//! ```

mod genesis;
mod mix;

pub use genesis::{COUNTER, TOKEN};
pub use mix::{Class, Mix};

use alloy_primitives::{Address, Bytes, U256, keccak256};
use klay_accounts::wallet::SecretKey;
use klay_core::{
    Body, Payload, SenderPays, Sign, Signature,
    tx::{
        DynamicPrice, EthereumFields, EthereumKind, EthereumTx, LegacyTx, SignTxError,
        payload::{ContractExecution, ValueTransfer},
    },
};
use klay_feedeleg::{Fee, FeePayer, KlaytnTx};

/// Accounts that send.
pub const SENDERS: usize = 10_000;
/// Accounts that pay for others.
pub const PAYERS: usize = 16;
/// Accounts that only receive.
pub const RECEIVERS: usize = 10_000;
/// Price of gas in peb: the upper bound of the base fee, and cap and tip of type 0x7802 too, so that no pool sorts the
/// classes apart.
pub const GAS_PRICE: u64 = 750_000_000_000;

/// Everybody who takes part, and the contracts they call.
#[derive(Debug)]
pub struct Workload {
    seed: u64,
    chain_id: u64,
    token: Address,
    counter: Address,
    senders: Vec<(SecretKey, Address)>,
    payers: Vec<(SecretKey, Address)>,
    receivers: Vec<Address>,
}

/// One transaction before it is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// Its place in the load, from 0.
    pub index: u64,
    /// Which sender.
    pub sender: usize,
    /// The sender's nonce.
    pub nonce: u64,
    /// What it is.
    pub class: Class,
    /// Which receiver.
    pub receiver: usize,
    /// Which payer, where the class has one.
    pub payer: usize,
}

impl Workload {
    /// The load of `seed` for a chain, with the contracts where [`Self::alloc`] puts them.
    pub fn new(seed: u64, chain_id: u64) -> Self {
        Self {
            seed,
            chain_id,
            token: TOKEN,
            counter: COUNTER,
            senders: (0..SENDERS).map(|i| account(seed, "sender", i)).collect(),
            payers: (0..PAYERS).map(|i| account(seed, "payer", i)).collect(),
            receivers: (0..RECEIVERS)
                .map(|i| Address::from_slice(&keccak256(format!("klay-load/receiver/{seed}/{i}"))[12..]))
                .collect(),
        }
    }

    /// With only the first `count` senders, at least one: another load than the published one.
    pub fn with_senders(mut self, count: usize) -> Self {
        self.senders.truncate(count.max(1));
        self
    }

    /// Calls contracts that stand elsewhere than in [`Self::alloc`].
    pub const fn use_contracts(&mut self, token: Address, counter: Address) {
        self.token = token;
        self.counter = counter;
    }

    /// Addresses of the senders, in their order.
    pub fn senders(&self) -> impl ExactSizeIterator<Item = Address> {
        self.senders.iter().map(|(_, address)| *address)
    }

    /// Addresses of the payers, in their order.
    pub fn payers(&self) -> impl ExactSizeIterator<Item = Address> {
        self.payers.iter().map(|(_, address)| *address)
    }

    /// Addresses of the receivers, in their order.
    pub fn receivers(&self) -> &[Address] {
        &self.receivers
    }

    /// Nonces of senders that have sent nothing.
    pub fn nonces(&self) -> Vec<u64> {
        vec![0; self.senders.len()]
    }

    /// The first `count` transactions of a mix; `nonces` holds each sender's next one and is advanced.
    pub fn plan(&self, mix: Mix, count: u64, nonces: &mut [u64]) -> Vec<Plan> {
        (0..count)
            .map(|index| {
                let sender = self.draw(index, "sender", self.senders.len());
                let class = mix.class(self.draw(index, "class", 100));
                let hot = mix == Mix::App && self.draw(index, "hot", 100) == 0;
                let receiver = if hot { 0 } else { self.draw(index, "receiver", RECEIVERS) };
                let nonce = nonces[sender];
                nonces[sender] += 1;
                Plan { index, sender, nonce, class, receiver, payer: self.draw(index, "payer", PAYERS) }
            })
            .collect()
    }

    /// Makes and signs a planned transaction.
    ///
    /// # Errors
    /// If a key does not sign, which those of the load do.
    pub fn sign(&self, plan: &Plan) -> Result<KlaytnTx, SignTxError> {
        let (key, from) = &self.senders[plan.sender];
        let tx = match plan.class {
            Class::Legacy => KlaytnTx::Legacy(self.legacy(plan)),
            Class::DynamicFee => KlaytnTx::Ethereum(self.dynamic_fee(plan)),
            _ => KlaytnTx::Klaytn(self.body(plan, *from).paid_by(self.fee(plan))),
        };
        let mut tx = tx.sign(self.chain_id, &[key])?;
        let digest = tx.payer_signing_hash(self.chain_id);
        if let (KlaytnTx::Klaytn(klaytn), Some(digest)) = (&mut tx, digest)
            && let Fee::Payer(payer) = &mut klaytn.fee
        {
            let signature = self.payers[plan.payer].0.sign_digest(digest)?;
            payer.signatures.push(signature.with_chain_id(self.chain_id));
        }
        Ok(tx)
    }

    fn draw(&self, index: u64, what: &str, below: usize) -> usize {
        let hash = keccak256(format!("klay-load/draw/{}/{index}/{what}", self.seed));
        let mut first = [0; 8];
        first.copy_from_slice(&hash[..8]);
        (u64::from_be_bytes(first) % below as u64) as usize
    }

    fn body(&self, plan: &Plan, from: Address) -> Body<Payload> {
        let to = self.receivers[plan.receiver];
        let call = |to, input| Payload::ContractExecution(ContractExecution { to, value: U256::ZERO, input });
        let payload = match plan.class {
            Class::Token | Class::SponsoredToken => call(self.token, token_transfer(to)),
            Class::Counter => call(self.counter, Bytes::from_static(&[0xd0, 0x9d, 0xe0, 0x8a])),
            _ => Payload::ValueTransfer(ValueTransfer { to, value: U256::ONE }),
        };
        let gas_price = U256::from(GAS_PRICE);
        Body { nonce: plan.nonce, gas_price, gas_limit: plan.class.gas_limit(), from, payload }
    }

    fn fee(&self, plan: &Plan) -> Fee {
        let payer = self.payers[plan.payer].1;
        match plan.class {
            Class::Sponsored | Class::SponsoredToken => Fee::Payer(FeePayer::new(payer)),
            Class::Shared(ratio) => Fee::Payer(FeePayer::with_ratio(payer, ratio)),
            _ => Fee::Sender(SenderPays),
        }
    }

    fn legacy(&self, plan: &Plan) -> LegacyTx {
        LegacyTx {
            nonce: plan.nonce,
            gas_price: U256::from(GAS_PRICE),
            gas_limit: plan.class.gas_limit(),
            to: Some(self.receivers[plan.receiver]),
            value: U256::ONE,
            input: Bytes::new(),
            signature: Signature::default(),
        }
    }

    fn dynamic_fee(&self, plan: &Plan) -> EthereumTx {
        let price = U256::from(GAS_PRICE);
        EthereumTx {
            fields: EthereumFields {
                chain_id: U256::from(self.chain_id),
                nonce: plan.nonce,
                gas_limit: plan.class.gas_limit(),
                to: Some(self.receivers[plan.receiver]),
                value: U256::ONE,
                input: Bytes::new(),
                access_list: Default::default(),
                kind: EthereumKind::DynamicFee(DynamicPrice { tip: price, cap: price }),
            },
            signature: Signature::default(),
            sidecar: None,
        }
    }
}

/// `transfer(address,uint256)` of one unit.
fn token_transfer(to: Address) -> Bytes {
    let mut input = vec![0xa9, 0x05, 0x9c, 0xbb];
    input.extend_from_slice(to.into_word().as_slice());
    input.extend_from_slice(&U256::ONE.to_be_bytes::<32>());
    input.into()
}

fn account(seed: u64, role: &str, index: usize) -> (SecretKey, Address) {
    let secret = keccak256(format!("klay-load/{role}/{seed}/{index}"));
    let key = SecretKey::from_slice(secret.as_slice()).expect("a hash is in range but for one in 2^128");
    let address = key.public_key().address();
    (key, address)
}
