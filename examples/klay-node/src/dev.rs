//! Development chains: a genesis with every fork, accounts from a mnemonic, and an authority of its own.
//!
//! | Choice | Value |
//! |---|---|
//! | forks | all at block 0 |
//! | base fee | 25 to 750 ston, as on the public networks |
//! | fees | paid out at the end of a block: half is burnt, half goes to the authority |
//! | minted | nothing, so that balances change by transactions and fees alone |
//! | proposer policy | round robin over one validator; no staking contracts |
//! | list roots | Merkle Patricia trie, as on the public networks today |
//! | contracts | the history contract of EIP-2935; Registry (0x401) and KIP-113 keys of the authority (0x403) |

use std::{collections::BTreeMap, sync::Arc};

use klay_accounts::wallet::{
    SecretKey,
    mnemonic::{self, Mnemonic, MnemonicError},
};
use klay_core::{
    Address, B256, Bytes, DecodeError, Sign, Signature, U256, address,
    auth::SignError,
    block::IstanbulExtra,
    bytes,
    config::ChainConfig,
    genesis::{Genesis, GenesisAccount, GenesisError},
    units::KLAY,
};
use klay_vm::{
    randao::RevealSigner,
    system::{fix_bls_keys, install_bls_registry},
};

use crate::node::NodeWallet;

/// The words that development chains use.
pub const MNEMONIC: &str = "test test test test test test test test test test test junk";
/// Chain id unless told otherwise.
pub const CHAIN_ID: u64 = 1337;
/// What each account starts with, in KLAY.
pub const BALANCE: u64 = 1_000_000;
/// Accounts unless told otherwise.
pub const ACCOUNTS: u32 = 10;
/// 2023-11-14 22:13:20: the same for every development chain, so that equal settings give an equal genesis hash.
pub const GENESIS_TIME: u64 = 1_700_000_000;

/// Where EIP-2935 keeps the hashes of earlier blocks.
const HISTORY: Address = address!("0000F90827F1C53a10cb7A02335B175320002935");
/// Its code, as the proposal gives it.
const HISTORY_CODE: Bytes = bytes!(
    "3373fffffffffffffffffffffffffffffffffffffffe14604657602036036042575f35600143038111604257611fff81430311604257611fff9006545f5260205ff35b5f5ffd5b5f35611fff60014303065500"
);

/// Keys of a development chain.
#[derive(Debug, Clone)]
pub struct DevAccounts {
    /// Accounts with funds, in order of derivation (m/44'/60'/0'/0/i).
    pub keys: Vec<SecretKey>,
    /// The authority (m/44'/8217'/0'/0/0).
    pub authority: SecretKey,
}

impl DevAccounts {
    /// The first `count` accounts of these words, and the authority.
    ///
    /// # Errors
    /// If the words are no mnemonic.
    pub fn derive(words: &str, count: u32) -> Result<Self, MnemonicError> {
        let words: Mnemonic = words.parse()?;
        let keys =
            (0..count).map(|index| words.derive("", &mnemonic::ethereum_path(index))).collect::<Result<_, _>>()?;
        Ok(Self { keys, authority: words.derive("", &mnemonic::klaytn_path(0))? })
    }

    /// The accounts as the node's wallet.
    pub fn wallet(&self) -> Arc<dyn NodeWallet> {
        Arc::new(DevWallet(self.keys.clone()))
    }

    /// A genesis with every fork in which these accounts have funds and the authority seals.
    ///
    /// # Errors
    /// Never for the configuration made here.
    pub fn genesis(&self, chain_id: u64) -> Result<Genesis, GenesisError> {
        let validators = core::slice::from_ref(&self.authority);
        let mut genesis = self.funded(ChainConfig::all_forks(chain_id), validators);
        fix_bls_keys(&mut genesis, &bls_keys(validators));
        genesis.prepared()
    }

    /// A genesis under this configuration in which these accounts have funds and the validators with these keys seal.
    /// `registrar` may register BLS keys of validators that join later. Not prepared yet: more can be put into it.
    pub fn network_genesis(&self, config: ChainConfig, validators: &[SecretKey], registrar: Address) -> Genesis {
        let mut genesis = self.funded(config, validators);
        install_bls_registry(&mut genesis, registrar, &bls_keys(validators));
        genesis
    }

    fn funded(&self, config: ChainConfig, validators: &[SecretKey]) -> Genesis {
        let balance = U256::from(BALANCE) * KLAY;
        let funded = |key: &SecretKey| (key.address(), GenesisAccount { balance, ..GenesisAccount::default() });
        let mut alloc: BTreeMap<_, _> = self.keys.iter().map(funded).collect();
        alloc.insert(HISTORY, GenesisAccount { nonce: 1, code: HISTORY_CODE, ..GenesisAccount::default() });
        let mut genesis = Genesis::new(config, validators.iter().map(SecretKey::address).collect());
        genesis.timestamp = GENESIS_TIME;
        genesis.alloc = alloc;
        genesis
    }

    /// `genesis` with the authority as its only validator, unless it already is, and with funds for the accounts that
    /// it does not know.
    ///
    /// # Errors
    /// If the extra-data does not decode.
    pub fn sealed_by_authority(&self, mut genesis: Genesis) -> Result<Genesis, DecodeError> {
        let authority = self.authority.address();
        if genesis.extra.is_empty() || genesis.validators()? != [authority] {
            genesis.extra = IstanbulExtra::genesis(vec![authority]).encode().into();
        }
        let balance = U256::from(BALANCE) * KLAY;
        for key in &self.keys {
            genesis.alloc.entry(key.address()).or_insert_with(|| GenesisAccount { balance, ..Default::default() });
        }
        Ok(genesis)
    }
}

/// Public key and proof of each; of every secret key there is one.
fn bls_keys(validators: &[SecretKey]) -> Vec<(Address, Bytes, Bytes)> {
    let key = |validator: &SecretKey| {
        let randao = RevealSigner::derive(validator.expose()).ok()?;
        let (key, proof) = (randao.public_key(), randao.proof());
        Some((validator.address(), Bytes::copy_from_slice(&key), Bytes::copy_from_slice(&proof)))
    };
    validators.iter().filter_map(key).collect()
}

#[derive(Debug)]
struct DevWallet(Vec<SecretKey>);

impl NodeWallet for DevWallet {
    fn addresses(&self) -> Vec<Address> {
        self.0.iter().map(SecretKey::address).collect()
    }

    fn sign(&self, address: Address, digest: B256) -> Result<Signature, SignError> {
        let key = self.0.iter().find(|key| key.address() == address).ok_or(SignError::NoKey(address))?;
        key.sign_digest(digest)
    }
}
