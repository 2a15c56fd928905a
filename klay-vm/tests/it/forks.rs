//! Rules that change from fork to fork and that no public suite covers.
//!
//! Source: spec 40, sections 1.2, 1.4, 1.5, 1.7, 1.8 and 1.11.

use crate::kit::*;
use klay_core::{Address, B256, Fork, U256};

/// Gas of BALANCE of `address`.
fn balance_price(kit: &mut Kit, address: Address, list: Vec<(Address, Vec<B256>)>) -> u64 {
    let contract = kit.deploy(&asm().measured(0, |asm| asm.address(address).op(&[0x31, 0x50])).stop());
    let nonce = kit.block.nonce(user(1)).unwrap();
    kit.execute(with_access_list(nonce, contract, list, 1)).unwrap();
    let gas: u64 = kit.storage(contract, 0).to();
    gas - 3 - 2
}

#[test]
fn access_lists_are_paid_from_eth_tx_type_and_warm_from_cancun() {
    let other = user(50);
    for (fork, price) in [(Fork::EthTxType, 700), (Fork::Kore, 2600), (Fork::Shanghai, 2600), (Fork::Cancun, 100)] {
        let mut kit = Kit::up_to(fork);
        assert_eq!(balance_price(&mut kit, other, vec![(other, vec![])]), price, "{fork:?}");
        let last = kit.block.receipts().last().unwrap();
        let without = {
            let mut kit = Kit::up_to(fork);
            balance_price(&mut kit, other, vec![]);
            kit.block.receipts().last().unwrap().gas_used
        };
        // 2400 for the entry, less what it saves.
        let saved = if price == 100 { 2500 } else { 0 };
        assert_eq!(last.gas_used, without + 2400 - saved, "{fork:?}");
    }
    let mut kit = Kit::up_to(Fork::London);
    let refused = kit.execute(with_access_list(0, other, vec![], 1)).unwrap_err();
    assert_eq!(refused.to_string(), "transaction type not supported");
}

#[test]
fn who_takes_part_is_warm() {
    let proposer = Address::repeat_byte(0xc0);
    let rewardbase = Address::repeat_byte(0xbb);
    let price = |fork, address| balance_price(&mut Kit::up_to(fork), address, vec![]);
    assert_eq!(price(Fork::Kore, user(1)), 100, "the sender");
    assert_eq!((price(Fork::Kore, proposer), price(Fork::Shanghai, proposer)), (2600, 100));
    assert_eq!(price(Fork::Osaka, rewardbase), 2600);
    assert_eq!((price(Fork::Kore, number(0x0a)), price(Fork::Kore, number(0x0b))), (100, 100));
    assert_eq!((price(Fork::Kore, number(0x0c)), price(Fork::Prague, number(0x0c))), (2600, 100));
    assert_eq!((price(Fork::Prague, number(0x100)), price(Fork::Osaka, number(0x100))), (2600, 100));
    assert_eq!(price(Fork::Kore, number(0x3fe)), 100);
    // The fee payer.
    let mut kit = Kit::up_to(Fork::Osaka);
    let contract = kit.deploy(&asm().measured(0, |asm| asm.address(user(3)).op(&[0x31, 0x50])).stop());
    let body = kit.request(1, execution(contract, &[]), 1_000_000);
    kit.execute(sponsored(body, &[1], user(3), &[3], None)).unwrap();
    assert_eq!(kit.storage(contract, 0), U256::from(100 + 3 + 2));
}

#[test]
fn the_hash_of_nothing_and_its_price() {
    let nothing = hash(&[]);
    let cases = [
        (Fork::Genesis, U256::from_be_bytes(nothing.0), 400),
        (Fork::Istanbul, U256::from_be_bytes(nothing.0), 700),
        (Fork::Kore, U256::from_be_bytes(nothing.0), 2600),
        (Fork::Cancun, U256::ZERO, 400),
        (Fork::Osaka, U256::ZERO, 400),
    ];
    for (fork, expected, price) in cases {
        let mut kit = Kit::up_to(fork);
        let hash = kit.deploy(&asm().address(user(50)).op(&[0x3f]).store(0).stop());
        let cost = kit.deploy(&asm().measured(0, |asm| asm.address(user(50)).op(&[0x3f, 0x50])).stop());
        kit.call(hash, &[]);
        kit.call(cost, &[]);
        assert_eq!(kit.storage(hash, 0), expected, "{fork:?}");
        assert_eq!(kit.storage(cost, 0), U256::from(price + 3 + 2), "{fork:?}");
    }
}

#[test]
fn asking_for_a_hash_does_not_warm_since_cancun() {
    for (fork, balance) in [(Fork::Shanghai, 100), (Fork::Cancun, 2600)] {
        let mut kit = Kit::up_to(fork);
        let code = asm().address(user(50)).op(&[0x3f, 0x50]);
        let contract = kit.deploy(&code.measured(0, |asm| asm.address(user(50)).op(&[0x31, 0x50])).stop());
        kit.call(contract, &[]);
        assert_eq!(kit.storage(contract, 0), U256::from(balance + 3 + 2), "{fork:?}");
    }
}

#[test]
fn code_that_begins_with_ef_is_kept_between_kore_and_prague_although_the_creation_fails() {
    let init = {
        let mut code = vec![0xef; 8];
        code.extend([0; 8]);
        // A log as well, which stays.
        let log = asm().push(U256::ZERO).push(U256::ZERO).op(&[0xa0]).0;
        let len = u16::try_from(code.len()).unwrap().to_be_bytes();
        let at = u8::try_from(log.len() + 12).unwrap();
        [log, vec![0x61, len[0], len[1], 0x80, 0x60, at, 0x60, 0, 0x39, 0x60, 0, 0xf3], code].concat()
    };
    let cases = [
        (Fork::Magma, 0x01, true, true),
        (Fork::Kore, 0x02, true, true),
        (Fork::Kaia, 0x02, true, true),
        (Fork::Prague, 0x02, false, false),
    ];
    for (fork, status, stored, keeps_log) in cases {
        let mut kit = Kit::up_to(fork);
        let tx = kit.legacy(1, None, 0, &init, 1_000_000);
        let receipt = kit.execute(tx).unwrap().receipt;
        assert_eq!(receipt.status.0, status, "{fork:?}");
        assert_eq!(!kit.block.code(created(1, 0)).unwrap().is_empty(), stored, "{fork:?}");
        assert_eq!(receipt.logs.len(), usize::from(keeps_log), "{fork:?}");
        assert_eq!(receipt.gas_used == 1_000_000, !stored, "{fork:?}: the rest of the gas stays");
    }
    // By instruction: zero is pushed, the gas comes back, the contract is there.
    let mut kit = Kit::up_to(Fork::Kore);
    let code = asm().memory(&init).push(U256::from(init.len())).push(U256::ZERO).push(U256::ZERO).op(&[0xf0]);
    let contract = kit.deploy(&code.store(0).op(&[0x3d]).store(1).stop());
    let receipt = kit.call(contract, &[]).receipt;
    assert_eq!((receipt.status.0, receipt.logs.len()), (0x01, 1));
    assert_eq!((kit.storage(contract, 0), kit.storage(contract, 1)), (U256::ZERO, U256::ZERO));
    assert!(!kit.block.code(contract.create(1)).unwrap().is_empty());
    assert!(receipt.gas_used < 500_000);
}

#[test]
fn the_block_as_instructions_see_it() {
    let code = asm().op(&[0x44]).store(0).op(&[0x45]).store(1).op(&[0x41]).store(2).op(&[0x3a]).store(3).stop();
    for fork in [Fork::Istanbul, Fork::Magma, Fork::Kore, Fork::Osaka] {
        let mut kit = Kit::up_to(fork);
        let contract = kit.deploy(&code);
        kit.call(contract, &[]);
        let parent = B256::repeat_byte(0x77);
        let random = if fork >= Fork::Kore { U256::from_be_bytes(parent.0) } else { U256::ONE };
        assert_eq!(kit.storage(contract, 0), random, "{fork:?}");
        assert_eq!(kit.storage(contract, 1), U256::ZERO, "gas limit");
        assert_eq!(kit.storage(contract, 2), U256::from_be_slice(&[0xc0; 20]));
        assert_eq!(kit.storage(contract, 3), U256::from(PRICE));
    }
    let code = asm().op(&[0x48]).store(0).stop();
    for (fork, fee) in [(Fork::London, 0), (Fork::Magma, PRICE)] {
        let mut kit = Kit::up_to(fork);
        let contract = kit.deploy(&code);
        kit.call(contract, &[]);
        assert_eq!(kit.storage(contract, 0), U256::from(fee), "{fork:?}");
    }
    let code = asm().op(&[0x4a]).store(0).stop();
    for (fork, fee) in [(Fork::Cancun, 0), (Fork::Prague, 0), (Fork::Osaka, 8 * PRICE)] {
        let mut kit = Kit::up_to(fork);
        let contract = kit.deploy(&code);
        kit.call(contract, &[]);
        assert_eq!(kit.storage(contract, 0), U256::from(fee), "{fork:?}");
    }
}

#[test]
fn instructions_appear_with_their_forks() {
    let cases: [(&[u8], Fork, Fork); 7] = [
        (&[0x46], Fork::Genesis, Fork::Istanbul),
        (&[0x48], Fork::Istanbul, Fork::London),
        (&[0x5f], Fork::Kore, Fork::Shanghai),
        (&[0x60, 0, 0x5c], Fork::Shanghai, Fork::Cancun),
        (&[0x60, 0, 0x49], Fork::Shanghai, Fork::Cancun),
        (&[0x4a], Fork::Shanghai, Fork::Cancun),
        (&[0x60, 0, 0x1e], Fork::Prague, Fork::Osaka),
    ];
    for (code, before, since) in cases {
        let status = |fork| {
            let mut kit = Kit::up_to(fork);
            let contract = kit.deploy(code);
            kit.call(contract, &[]).receipt.status.0
        };
        assert_eq!((status(before), status(since)), (0x02, 0x01), "{code:02x?}");
    }
}

#[test]
fn refunds_are_a_half_before_kore_and_a_fifth_since() {
    // CALLDATASIZE PUSH1 at JUMPI; PUSH1 1 PUSH1 0 SSTORE STOP; JUMPDEST PUSH1 0 PUSH1 0 SSTORE STOP
    let set_or_clear = [0x36, 0x60, 0x0a, 0x57, 0x60, 1, 0x60, 0, 0x55, 0x00, 0x5b, 0x60, 0, 0x60, 0, 0x55, 0x00];
    for (fork, quotient, refund) in [(Fork::Magma, 2, 15_000), (Fork::Kore, 5, 4800)] {
        let mut kit = Kit::up_to(fork);
        let contract = kit.deploy(&set_or_clear);
        kit.call(contract, &[]);
        assert_eq!(kit.storage(contract, 0), U256::ONE);
        let receipt = kit.call(contract, &[1]).receipt;
        assert_eq!(kit.storage(contract, 0), U256::ZERO);
        // One byte of input; CALLDATASIZE 2, PUSH1 3, JUMPI 10, JUMPDEST 1, two PUSH1 6, and SSTORE of a clean slot.
        let before: u64 = 21_000 + 100 + 22 + 5000;
        assert_eq!(receipt.gas_used, before - (before / quotient).min(refund), "{fork:?}");
    }
}
