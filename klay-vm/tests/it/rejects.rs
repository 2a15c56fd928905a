//! Transactions that the reference client refuses when it validates them, with its errors by name.
//!
//! Source: spec 10, section 3.2; `aux.rejects` of the shared transactions.

use crate::common;
use std::sync::Arc;

use klay_accounts::KeyError;
use klay_core::{Address, Fork, Rules, U256, block::Header, storage::Memory};
use klay_feedeleg::{KlaytnTx, RecoveredKlaytnTx};
use klay_vm::{BlockContext, BlockExecutor, State, TxError};
use serde_json::Value;

fn header() -> Header {
    Header { block_score: U256::ONE, number: 1, timestamp: 1, ..Header::default() }
}

/// What the executor says of a transaction whose parties have funds and the nonce it names.
fn refusal(raw: &[u8]) -> TxError {
    let tx = RecoveredKlaytnTx::recover(KlaytnTx::decode(raw).unwrap(), 1).unwrap();
    let rules = Rules::up_to(Fork::EthTxType);
    let context = BlockContext::new(1, rules, &header(), Address::repeat_byte(0xc0));
    let mut block = BlockExecutor::new(State::empty(Arc::new(Memory::new())), context);
    for address in [tx.sender(), tx.payer()] {
        block.set_balance(address, U256::from(10).pow(U256::from(27))).unwrap();
        block.set_nonce(address, tx.view().nonce).unwrap();
    }
    block.execute(&tx).unwrap_err()
}

fn is_named(name: &str, error: &TxError) -> bool {
    match name {
        "deploy with a recipient" => matches!(error, TxError::DeployWithRecipient),
        "deploy with humanReadable = true and no recipient" => matches!(error, TxError::HumanReadable),
        "deploy with codeFormat 1" => matches!(error, TxError::CodeFormat),
        "account update to AccountKeyNil" => matches!(error, TxError::Key(KeyError::AccountKeyNilUninitializable)),
        "value transfer to reserved address 0x3ff" => matches!(error, TxError::ReservedAddress),
        "empty fee payer signature list (accepted by the decoder)" => matches!(error, TxError::FeePayer(_)),
        _ => false,
    }
}

fn check(cases: &Value) -> usize {
    let cases = cases.as_array().unwrap().iter();
    let cases: Vec<_> = cases.filter(|case| case["failsAt"].as_str().unwrap().starts_with("validate")).collect();
    for case in &cases {
        let name = case["name"].as_str().unwrap();
        let error = refusal(&common::bytes(&case["raw"]));
        assert!(is_named(name, &error), "{name}: {error:?}");
        assert!(error.to_string().contains(case["error"].as_str().unwrap()), "{name}: {error}");
    }
    cases.len()
}

#[test]
fn what_fails_at_validation_is_refused_by_name() {
    assert_eq!(check(&common::vector("rejects.json")["cases"]), 6);
    if let Some(file) = common::shared("transactions.json") {
        assert!(check(&file["aux"]["rejects"]["cases"]) >= 6);
    }
}
