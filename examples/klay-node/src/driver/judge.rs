//! Whether a block may follow: what a validator asks before it votes, and everybody before a block is taken over.
//!
//! A proposal is executed before the vote, so that nothing is voted for that could not be taken over.
//!
//! Source: spec 30, section 1.5; spec 50, section 1.11.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use klay_consensus::{
    istanbul::{
        import::{HeaderContext, HeaderError, Reveals, verify_content},
        seal,
    },
    types::{WallTime, quorum},
};
use klay_core::{
    Address, B256, Fork,
    block::{Header, IstanbulExtra},
    config::BlobConfig,
    governance::verify_data,
};
use klay_vm::{
    BlockResult,
    randao::{ProposerKeys, previous_mix},
    system::View,
};

use super::{
    EngineKind,
    base::Base,
    engine::Sealed,
    finalise::{self, ExecuteError},
    votes::{self, VoteProblem},
};
use crate::{Chain, SharedTx, council::BlockCouncil};

/// Longest block from Osaka on, in bytes of RLP (EIP-7934).
const MAX_BLOCK_SIZE: usize = 10_485_760;

/// Why a block may not follow.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unfit {
    /// Never.
    #[error("{rule}: {detail}")]
    Invalid {
        /// The rule, as an engine reports it.
        rule: &'static str,
        /// What is wrong.
        detail: String,
    },
    /// Not before this long: its time lies ahead.
    #[error("its time lies {wait:?} ahead")]
    Early {
        /// How long.
        wait: Duration,
    },
    /// It cannot be judged: the store failed, or the chain does not reach so far.
    #[error(transparent)]
    Failed(#[from] ExecuteError),
}

impl Unfit {
    fn invalid(rule: &'static str, detail: impl ToString) -> Self {
        Self::Invalid { rule, detail: detail.to_string() }
    }
}

/// Checks headers and blocks against a chain.
#[derive(Debug)]
pub(super) struct Judge {
    chain: Chain,
    keys: ProposerKeys,
    pub(super) engine: EngineKind,
}

impl Judge {
    pub(super) fn new(chain: Chain, engine: EngineKind) -> Self {
        Self { chain, keys: ProposerKeys::default(), engine }
    }

    /// Checks what a proposal has in the place of committed seals, which its hash does not cover: nothing, or, as with the
    /// reference, a quorum of them.
    pub(super) fn uncommitted(&self, header: &Header, hash: B256) -> Result<(), Unfit> {
        let extra = IstanbulExtra::decode(&header.extra).map_err(|error| Unfit::invalid("extra", error))?;
        match self.engine {
            _ if extra.committed_seals.is_empty() => Ok(()),
            EngineKind::Istanbul => self.seals(header, hash),
            _ => Err(Unfit::invalid("committed seals", "nobody commits to a block before it is proposed")),
        }
    }

    /// Checks the header of a proposal on `base`: everything but committed seals. Returns the author.
    pub(super) fn header(&self, header: &Header, base: &Base) -> Result<Address, Unfit> {
        let (chain, number) = (&self.chain, header.number);
        let council = self.council(number)?;
        let view = View { state: &base.state, header: &base.header, config: chain.config() };
        let blobs = chain.config().blob_config(number).unwrap_or(BlobConfig::OSAKA);
        let context = HeaderContext {
            rules: chain.rules_at(number),
            parent: Some(&base.header),
            kip71: &council.params().kip71,
            blobs: &blobs,
            council: council.council(),
            qualified: council.qualified(),
            committee_size: council.params().committee_size,
            parent_mix_hash: previous_mix(chain.config(), &base.header),
            reveals: Some(&Registered { keys: &self.keys, view, number }),
            now: now(),
        };
        let author = match verify_content(header, &context) {
            Ok(author) => author,
            Err(HeaderError::Future { timestamp, .. }) => {
                let wait = now().until(WallTime::from_secs(timestamp)).max(Duration::from_millis(10));
                return Err(Unfit::Early { wait });
            }
            Err(error) => return Err(Unfit::invalid("header", error)),
        };
        votes::check(chain, author, number, &header.vote).map_err(|problem| match problem {
            VoteProblem::Chain(error) => Unfit::Failed(error.into()),
            VoteProblem::Refused(refusal) => Unfit::invalid("vote", refusal),
        })?;
        chain
            .with_schedule(|schedule| verify_data(&header.governance, number, schedule))
            .map_err(|error| Unfit::invalid("governance", error))?;
        Ok(author)
    }

    /// Checks the committed seals of a block up to the one after the head, by the engine's rule for them: by those of the
    /// reference anybody in the council may have sealed it, by the others the committee that decides.
    pub(super) fn seals(&self, header: &Header, hash: B256) -> Result<(), Unfit> {
        let council = self.council(header.number)?;
        let extra = IstanbulExtra::decode(&header.extra).map_err(|error| Unfit::invalid("extra", error))?;
        let sealed = self.engine.sealed(header, hash, extra.round());
        let mut signers = Vec::new();
        // Whatever the first seal is of nobody over, the seals are not over.
        for Sealed { digest, round } in sealed.map_err(|detail| Unfit::invalid("extra", detail))? {
            let voters = match round {
                None => council.council().as_slice().to_vec(),
                Some(round) => {
                    self.engine.members(&council, round).map_err(|error| Unfit::invalid("committee", error))?
                }
            };
            signers = distinct(&extra.committed_seals, digest, &voters);
            if !signers.is_empty() || extra.committed_seals.is_empty() {
                break;
            }
        }
        if signers.len() < extra.committed_seals.len() {
            return Err(Unfit::invalid("committed seals", "a seal of nobody who votes, or a second one"));
        }
        let needed = match self.engine {
            EngineKind::Istanbul => quorum::import(council.voting_size()),
            _ => quorum::live(self.engine.voting_size(&council)),
        };
        if signers.len() >= needed as usize {
            return Ok(());
        }
        Err(Unfit::invalid("committed seals", format_args!("{} where {needed} are needed", signers.len())))
    }

    /// Checks the transactions of a block and executes it. What it does must be what the header says.
    pub(super) fn execute(
        &self,
        header: &Header,
        author: Address,
        transactions: &[SharedTx],
        base: &Base,
    ) -> Result<BlockResult, Unfit> {
        let list_root = self.council(header.number)?.params().list_root();
        self.body(header, transactions)?;
        let root = list_root.root(&finalise::encoded(transactions));
        if root != header.transactions_root {
            return Err(differs("transactions root", header.transactions_root, root));
        }
        let result = match finalise::execute(&self.chain, header, author, transactions, (&base.header, &base.state)) {
            Ok(result) => result,
            Err(ExecuteError::Transaction { source: klay_vm::TxError::State(error), .. }) => {
                return Err(ExecuteError::State(error).into());
            }
            Err(error @ ExecuteError::Transaction { .. }) => return Err(Unfit::invalid("transaction", error)),
            Err(error) => return Err(error.into()),
        };
        if result.gas_used != header.gas_used {
            return Err(differs("gas used", header.gas_used, result.gas_used));
        }
        if result.bloom != header.logs_bloom {
            return Err(Unfit::invalid("bloom", "it is not that of the receipts"));
        }
        let receipts = list_root.root(&finalise::encoded_receipts(&result.receipts));
        if receipts != header.receipts_root {
            return Err(differs("receipts root", header.receipts_root, receipts));
        }
        let state = result.state.root();
        if state != header.state_root {
            return Err(differs("state root", header.state_root, state));
        }
        Ok(result)
    }

    fn body(&self, header: &Header, transactions: &[SharedTx]) -> Result<(), Unfit> {
        let size: usize = header.encode().len() + transactions.iter().map(|tx| tx.encoded().len()).sum::<usize>() + 10;
        if self.chain.rules_at(header.number).has(Fork::Osaka) && size > MAX_BLOCK_SIZE {
            return Err(differs("size", MAX_BLOCK_SIZE, size));
        }
        if let Some(base_fee) = header.base_fee
            && let Some(tx) = transactions.iter().find(|tx| tx.view().fee_cap < base_fee)
        {
            return Err(differs("price", base_fee, tx.view().fee_cap));
        }
        let blobs = finalise::blob_gas(transactions);
        if blobs != header.blob_gas_used.unwrap_or_default() {
            return Err(differs("blob gas", header.blob_gas_used.unwrap_or_default(), blobs));
        }
        Ok(())
    }

    /// The validators of a block; of the block after the head for those beyond it.
    fn council(&self, number: u64) -> Result<std::sync::Arc<BlockCouncil>, ExecuteError> {
        let next = self.chain.head().number().saturating_add(1);
        Ok(self.chain.council_at(number.min(next))?)
    }
}

/// Who made the seals, up to the first that is of nobody among `voters`, or a second one.
fn distinct(seals: &[[u8; 65]], digest: B256, voters: &[Address]) -> Vec<Address> {
    let mut signers = Vec::with_capacity(seals.len().min(voters.len()));
    for seal in seals {
        match seal::seal_author(digest, seal).filter(|signer| voters.contains(signer)) {
            Some(signer) if !signers.contains(&signer) => signers.push(signer),
            _ => break,
        }
    }
    signers
}

/// BLS keys as they are registered behind the parent.
struct Registered<'a> {
    keys: &'a ProposerKeys,
    view: View<'a>,
    number: u64,
}

impl Reveals for Registered<'_> {
    fn verify(&self, author: Address, _message: B256, reveal: &[u8]) -> bool {
        self.keys.key_of(author, self.view).is_ok_and(|key| key.reveals(self.number, reveal))
    }
}

fn differs(rule: &'static str, expected: impl std::fmt::Display, got: impl std::fmt::Display) -> Unfit {
    Unfit::invalid(rule, format_args!("the header says {expected}, it is {got}"))
}

fn now() -> WallTime {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    WallTime::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(super) mod tests {
    use std::sync::Arc;

    use klay_consensus::{simplex, types::Slot};
    use klay_core::{PublicKey, crypto::sign_digest, genesis::Genesis, storage::Memory};

    use super::*;
    use crate::{chain::ChainOptions, metrics::Metrics};

    pub(in crate::driver) const SECRETS: [[u8; 32]; 4] = [[1; 32], [2; 32], [3; 32], [4; 32]];

    pub(in crate::driver) fn address(secret: &[u8; 32]) -> Address {
        PublicKey::from_secret(secret).unwrap().address()
    }

    /// A chain whose council has four members and its committees three.
    pub(in crate::driver) fn chain() -> Chain {
        let text = include_str!("../../tests/vectors/council-4/genesis.json");
        let mut genesis: serde_json::Value = serde_json::from_str(text).unwrap();
        let extra = IstanbulExtra::genesis(SECRETS.iter().map(address).collect()).encode();
        genesis["extraData"] = alloy_primitives::hex::encode_prefixed(extra).into();
        let genesis: Genesis = serde_json::from_value(genesis).unwrap();
        Chain::open(Arc::new(Memory::new()), &genesis, ChainOptions::default(), &Metrics::default()).unwrap()
    }

    pub(in crate::driver) fn seal_of(secret: &[u8; 32], digest: B256) -> [u8; 65] {
        let signature = sign_digest(secret, digest).unwrap();
        let (r, s) = (signature.r.to_be_bytes::<32>(), signature.s.to_be_bytes::<32>());
        [&r[..], &s, &[signature.v.to()]].concat().try_into().unwrap()
    }

    /// Block 1 with the seals of these.
    fn sealed(engine: EngineKind, view: u64, secrets: &[[u8; 32]]) -> (Header, B256) {
        let hash = B256::repeat_byte(9);
        let mut extra = IstanbulExtra::genesis(Vec::new());
        extra.vanity[23..31].copy_from_slice(&view.to_be_bytes());
        let mut header = Header { number: 1, extra: extra.encode().into(), ..Header::default() };
        let digest = match engine {
            EngineKind::Simplex => simplex::final_digest(hash, Slot::new(view)),
            _ => engine.sealed(&header, hash, 0).unwrap()[0].digest,
        };
        extra.committed_seals = secrets.iter().map(|secret| seal_of(secret, digest)).collect();
        header.extra = extra.encode().into();
        (header, hash)
    }

    #[test]
    fn seals_are_of_those_who_vote_as_the_engine_says() {
        let chain = chain();
        let committee = chain.council_at(1).unwrap().committee(0).unwrap();
        let (inside, outside): (Vec<_>, Vec<_>) =
            SECRETS.iter().partition(|secret| committee.contains(&address(secret)));
        assert_eq!((inside.len(), outside.len()), (3, 1));
        let with_a_stranger = [inside[0], inside[1], outside[0]];
        // The reference's quorum for a committee of three is one, of the whole council. Justified rounds have one set
        // for every round: all four, of whom three decide.
        for (engine, one_is_enough, all_vote) in [
            (EngineKind::Istanbul, true, true),
            (EngineKind::Justified, false, true),
            (EngineKind::Simplex, false, false),
        ] {
            let judge = Judge::new(chain.clone(), engine);
            let verdict = |secrets: &[[u8; 32]]| {
                let (header, hash) = sealed(engine, 1, secrets);
                judge.seals(&header, hash)
            };
            assert!(verdict(&inside).is_ok(), "{engine:?}");
            assert!(verdict(&[]).is_err(), "{engine:?}");
            assert_eq!(verdict(&inside[..1]).is_ok(), one_is_enough, "{engine:?}");
            assert!(verdict(&[inside[0], inside[0], inside[1]]).is_err(), "{engine:?}");
            assert_eq!(verdict(&with_a_stranger).is_ok(), all_vote, "{engine:?}");
        }
    }

    /// A header has the low 8 bits of a round.
    #[test]
    fn seals_of_late_rounds_are_found() {
        let chain = chain();
        let council = chain.council_at(1).unwrap();
        for (engine, rounds) in
            [(EngineKind::Justified, &[0, 255, 256, 300, 16_000][..]), (EngineKind::Simplex, &[0, 256, 300, 4_000])]
        {
            let judge = Judge::new(chain.clone(), engine);
            for round in rounds {
                let verdict = |low: u8| {
                    let (mut header, hash) = sealed(engine, 1, &[]);
                    let mut extra = IstanbulExtra::decode(&header.extra).unwrap();
                    extra.vanity[31] = low;
                    let low_round = engine.sealed(&header, hash, *round as u8).unwrap();
                    let Sealed { digest, round } = low_round[*round as usize >> 8];
                    let members = engine.members(&council, round.unwrap()).unwrap();
                    let signers = SECRETS.iter().filter(|secret| members.contains(&address(secret)));
                    extra.committed_seals = signers.map(|secret| seal_of(secret, digest)).collect();
                    header.extra = extra.encode().into();
                    let found = engine.decided_in(&header, hash, council.council());
                    judge.seals(&header, hash).is_ok() && found == round
                };
                assert!(verdict(*round as u8), "{engine:?}, {round}");
                assert!(!verdict((*round as u8).wrapping_add(1)), "{engine:?}, {round}");
            }
        }
    }

    #[test]
    fn a_proposal_has_no_seals_or_those_that_the_reference_lets_pass() {
        for engine in [EngineKind::Istanbul, EngineKind::Justified, EngineKind::Simplex] {
            let judge = Judge::new(chain(), engine);
            let verdict = |(header, hash): (Header, B256)| judge.uncommitted(&header, hash);
            assert!(verdict(sealed(engine, 1, &[])).is_ok(), "{engine:?}");
            let whole = verdict(sealed(engine, 1, &SECRETS[..3]));
            assert_eq!(whole.is_ok(), engine == EngineKind::Istanbul, "{engine:?}");
            assert!(verdict(sealed(engine, 1, &[SECRETS[0], [9; 32]])).is_err(), "{engine:?}");
            let (mut header, hash) = sealed(engine, 1, &[]);
            header.extra = [&header.extra[..32], &[0xc4, 0xc0, 0x80, 0xc1, 0x01]].concat().into();
            assert!(verdict((header, hash)).is_err(), "{engine:?}: one byte is no seal");
        }
    }

    #[test]
    fn a_view_of_another_height_decides_nothing() {
        let judge = Judge::new(chain(), EngineKind::Simplex);
        let (header, hash) = sealed(EngineKind::Simplex, (1 << 32) + 1, &SECRETS[..3]);
        assert!(matches!(judge.seals(&header, hash), Err(Unfit::Invalid { rule: "extra", .. })));
    }
}
