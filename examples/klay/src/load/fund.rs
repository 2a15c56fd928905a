//! Funds and contracts on a chain whose genesis has none for the load.

use std::{
    error::Error,
    thread,
    time::{Duration, Instant},
};

use klay_accounts::wallet::SecretKey;
use klay_core::{Address, Bytes, Signature, U256, crypto::keccak256, tx::LegacyTx};
use klay_feedeleg::KlaytnTx;
use klay_node::{
    dev::{self, DevAccounts},
    workload::{COUNTER, GAS_PRICE, Mix, TOKEN, Workload},
};
use serde_json::{Value, json};

use super::client::{Client, quantity};

/// What a sender needs at most for a run, in peb.
const SENDER_FUNDS: u128 = 10_u128.pow(19);
/// What a payer needs at most for a run, in peb.
const PAYER_FUNDS: u128 = 10_u128.pow(21);
/// Accounts in one call that mints.
const MINT: usize = 100;
/// Longest wait for one group of transactions.
const WAIT: Duration = Duration::from_secs(60);

/// Makes sure that senders and payers have funds and, where the mix calls them, the contracts are there.
pub(super) fn ensure(load: &mut Workload, mix: Mix, node: &Client, observed: &Client) -> Result<(), Box<dyn Error>> {
    let first = load.senders().next().ok_or("no senders")?;
    let balance = observed.call("eth_getBalance", &json!([first, "latest"]))?;
    let calls = matches!(mix, Mix::App | Mix::Sponsored);
    let code = observed.call("eth_getCode", &json!([TOKEN, "latest"]))?;
    if balance.as_str().is_some_and(|text| text.len() > 16) && (!calls || code != json!("0x")) {
        return Ok(());
    }
    eprintln!("the genesis holds nothing for the load: funding {} accounts", load.senders().len());
    let mut bank = Bank::open(node, observed)?;
    if calls {
        let alloc = load.alloc();
        let token = bank.deploy(&alloc[&TOKEN].code);
        let counter = bank.deploy(&alloc[&COUNTER].code);
        let senders: Vec<Address> = load.senders().collect();
        for group in senders.chunks(MINT) {
            bank.push(Some(token), U256::ZERO, mint(group), 6_000_000);
        }
        load.use_contracts(token, counter);
    }
    for sender in load.senders().collect::<Vec<_>>() {
        bank.push(Some(sender), U256::from(SENDER_FUNDS), Bytes::new(), 21_000);
    }
    for payer in load.payers().collect::<Vec<_>>() {
        bank.push(Some(payer), U256::from(PAYER_FUNDS), Bytes::new(), 21_000);
    }
    bank.send()
}

/// Each sender's next nonce.
pub(super) fn nonces(load: &Workload, observed: &Client) -> Result<Vec<u64>, Box<dyn Error>> {
    let params: Vec<Value> = load.senders().map(|sender| json!([sender, "latest"])).collect();
    observed.each("eth_getTransactionCount", &params)?.iter().map(quantity).collect()
}

/// The first development account.
struct Bank<'a> {
    node: &'a Client,
    observed: &'a Client,
    key: SecretKey,
    address: Address,
    chain_id: u64,
    nonce: u64,
    waiting: Vec<LegacyTx>,
}

impl<'a> Bank<'a> {
    fn open(node: &'a Client, observed: &'a Client) -> Result<Self, Box<dyn Error>> {
        let accounts = DevAccounts::derive(dev::MNEMONIC, 1)?;
        let key = accounts.keys.into_iter().next().ok_or("the mnemonic gives no account")?;
        let address = key.public_key().address();
        let chain_id = node.number("eth_chainId", &json!([]))?;
        let nonce = node.number("eth_getTransactionCount", &json!([address, "latest"]))?;
        Ok(Self { node, observed, key, address, chain_id, nonce, waiting: Vec::new() })
    }

    fn push(&mut self, to: Option<Address>, value: U256, input: Bytes, gas_limit: u64) {
        let nonce = self.nonce + self.waiting.len() as u64;
        let gas_price = U256::from(GAS_PRICE);
        self.waiting.push(LegacyTx { nonce, gas_price, gas_limit, to, value, input, signature: Signature::default() });
    }

    /// Creates a contract with this runtime code; returns where it will be.
    fn deploy(&mut self, runtime: &[u8]) -> Address {
        let at = self.address.create(self.nonce + self.waiting.len() as u64);
        let len = (runtime.len() as u16).to_be_bytes();
        // PUSH2 len, DUP1, PUSH1 12, PUSH1 0, CODECOPY, PUSH1 0, RETURN.
        let mut init = vec![0x61, len[0], len[1], 0x80, 0x60, 0x0c, 0x60, 0x00, 0x39, 0x60, 0x00, 0xf3];
        init.extend_from_slice(runtime);
        self.push(None, U256::ZERO, init.into(), 4_000_000);
        at
    }

    /// Sends what waits, in groups that a block takes, and waits until the last of each stands in one.
    fn send(&mut self) -> Result<(), Box<dyn Error>> {
        let waiting = std::mem::take(&mut self.waiting);
        for group in waiting.chunks(1_000) {
            let raws = group
                .iter()
                .map(|tx| {
                    let tx = KlaytnTx::Legacy(tx.clone()).sign(self.chain_id, &[&self.key])?;
                    Ok(json!([format!("0x{}", hex::encode(tx.encode_ethereum()))]))
                })
                .collect::<Result<Vec<Value>, Box<dyn Error>>>()?;
            self.node.each("eth_sendRawTransaction", &raws)?;
            self.nonce += group.len() as u64;
            let started = Instant::now();
            while self.observed.number("eth_getTransactionCount", &json!([self.address, "latest"]))? < self.nonce {
                if started.elapsed() > WAIT {
                    return Err(format!("funding does not get into blocks within {} s", WAIT.as_secs()).into());
                }
                thread::sleep(Duration::from_millis(100));
            }
        }
        Ok(())
    }
}

/// `mintBatch(address[],uint256)`.
fn mint(to: &[Address]) -> Bytes {
    let mut input = keccak256("mintBatch(address[],uint256)")[..4].to_vec();
    let words = [U256::from(64), U256::from(10).pow(U256::from(24)), U256::from(to.len())];
    for word in words {
        input.extend_from_slice(&word.to_be_bytes::<32>());
    }
    for address in to {
        input.extend_from_slice(address.into_word().as_slice());
    }
    input.into()
}
