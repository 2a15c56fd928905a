//! Precompiled contracts for contracts of either machine version, and the reserved range.
//!
//! Source: spec 40, sections 1.9, 2.2, 2.3.

use crate::kit::*;
use klay_accounts::AccountKey;
use klay_core::{Address, Fork, U256, block::Status, hex};

/// A contract that calls `target` and stores gas used (slot 0), success (1), size of the answer (2), its first word (3).
fn caller(op: u8, target: Address, input: &[u8]) -> Vec<u8> {
    let asm = asm().memory(input).op(&[0x5a]);
    let asm = match op {
        0xf1 => asm.call(target, 0, input.len()),
        op => asm.call_by(op, target, input.len()),
    };
    // gas ok -> ok stored, then the gas difference
    let asm = asm.store(1).op(&[0x5a, 0x90, 0x03]).store(0);
    asm.op(&[0x3d]).store(2).push(U256::from(0x200)).op(&[0x51]).store(3).stop()
}

struct Answer {
    ok: bool,
    size: u64,
    word: U256,
}

fn ask(kit: &mut Kit, contract: Address) -> Answer {
    let done = kit.call(contract, &[]);
    assert_eq!(done.receipt.status, Status::SUCCESS);
    Answer {
        ok: kit.storage(contract, 1) == U256::ONE,
        size: kit.storage(contract, 2).to(),
        word: kit.storage(contract, 3),
    }
}

#[test]
fn contracts_from_before_istanbul_keep_their_precompiles_for_ever() {
    let mut kit = Kit::up_to(Fork::Genesis);
    let old_fee_payer = kit.deploy(&caller(0xf1, number(0x0a), b""));
    let old_log = kit.deploy(&caller(0xf1, number(0x09), b"Hello"));
    let old_new_place = kit.deploy(&caller(0xf1, number(0x3fe), b""));
    for fork in [Fork::Istanbul, Fork::Cancun, Fork::Osaka] {
        kit = kit.next_block(fork);
        let answer = ask(&mut kit, old_fee_payer);
        assert!(answer.ok && answer.size == 20, "{fork:?}");
        let answer = ask(&mut kit, old_log);
        assert!(answer.ok && answer.size == 0, "{fork:?}");
        assert!(!ask(&mut kit, old_new_place).ok, "{fork:?}: nothing is at 0x3fe for version 0");
    }
}

#[test]
fn contracts_since_istanbul_find_them_at_the_end_of_the_range() {
    let mut kit = Kit::up_to(Fork::Istanbul);
    let fee_payer = kit.deploy(&caller(0xf1, number(0x3fe), b""));
    let log = kit.deploy(&caller(0xf1, number(0x3fd), b"Hello"));
    let old_place = kit.deploy(&caller(0xf1, number(0x0a), b""));
    let blake = kit.deploy(&caller(0xf1, number(0x09), b"Hello"));
    let answer = ask(&mut kit, fee_payer);
    // 20 bytes, not a word: they stand at the left.
    assert!(answer.ok && answer.size == 20);
    assert_eq!(answer.word, U256::from_be_slice(user(1).as_slice()) << 96);
    assert!(ask(&mut kit, log).ok);
    assert!(!ask(&mut kit, old_place).ok);
    assert!(!ask(&mut kit, blake).ok, "blake2F with another length than 213");
}

#[test]
fn the_fee_payer_is_known_at_any_depth() {
    let mut kit = Kit::up_to(Fork::Osaka);
    let inner = kit.deploy(&caller(0xf1, number(0x3fe), b""));
    let middle = kit.deploy(&asm().call(inner, 0, 0).stop());
    let outer = kit.deploy(&asm().call(middle, 0, 0).stop());
    let body = kit.request(2, execution(outer, &[]), 2_000_000);
    let done = kit.execute(sponsored(body, &[2], user(3), &[3], None)).unwrap();
    assert_eq!(done.receipt.status, Status::SUCCESS);
    assert_eq!(kit.storage(inner, 3), U256::from_be_slice(user(3).as_slice()) << 96);
}

#[test]
fn a_delegate_call_asks_two_accounts() {
    // A library of version 1 delegates to 0x3fe: whether it may is up to it, what runs up to its caller.
    let mut kit = Kit::up_to(Fork::Genesis);
    let old = kit.deploy(&asm().op(&[0x36, 0x60, 0, 0x60, 0, 0x37]).call(created(9, 1), 0, 0).stop());
    kit = kit.next_block(Fork::Istanbul);
    let library = kit.deploy(&caller(0xf4, number(0x3fe), b""));
    assert_eq!(library, created(9, 1));
    // Called by a user: both sets have it.
    let answer = ask(&mut kit, library);
    assert!(answer.ok && answer.size == 20);
    // Called by an old contract: the empty code of the address runs.
    assert_eq!(kit.call(old, &[]).receipt.status, Status::SUCCESS);
    assert_eq!(kit.storage(library, 1), U256::ONE);
    assert_eq!(kit.storage(library, 2), U256::ZERO);
}

#[test]
fn a_call_to_a_reserved_address_fails_and_gives_the_gas_back() {
    let mut kit = Kit::up_to(Fork::Osaka);
    for (target, value) in [(number(0x200), 0), (number(0x200), 1), (number(0x04), 1)] {
        let code = asm().measured(0, |asm| asm.call(target, value, 0).store(1)).stop();
        let contract = kit.deploy(&code);
        kit.send(
            1,
            klay_core::tx::payload::ContractExecution {
                to: contract,
                value: U256::from(10),
                input: Default::default(),
            },
        )
        .unwrap();
        assert_eq!(kit.storage(contract, 1), U256::ZERO);
        // 100 or 2600 for the access, 9000 for value and 25000 for an account that is not there are paid; the
        // forwarded gas and the stipend come back.
        let used: u64 = kit.storage(contract, 0).to();
        assert!(used < 45_000, "{target} {value}: {used}");
    }
}

#[test]
fn other_calls_to_a_reserved_address_succeed_without_doing_anything() {
    let mut kit = Kit::up_to(Fork::Osaka);
    for op in [0xf4, 0xfa] {
        let contract = kit.deploy(&caller(op, number(0x200), b"data"));
        let answer = ask(&mut kit, contract);
        assert!(answer.ok && answer.size == 0, "{op:#x}");
    }
}

/// Account 0x..0123456789 with this key, and a valid signature over 32 zero bytes. Source: spec 40, section 2.3.
const VECTOR_ACCOUNT: u64 = 0x01_2345_6789;
const VECTOR_SIGNATURE: [u8; 65] = hex!(
    "db38e383310a432f1cec0bfbd765fe67c9932b02295b1f2062a785eec288b2f962d578d163a8b13c9cee127e0b24c01d1906979ac3bc6a763bf95c50999ca97c01"
);

#[test]
fn validate_sender_answers_one_byte_and_never_fails() {
    let mut input = number(VECTOR_ACCOUNT).to_vec();
    input.extend([0; 32]);
    input.extend(VECTOR_SIGNATURE);
    let mut kit = Kit::up_to(Fork::Osaka);
    let contract = kit.deploy(&caller(0xf1, number(0x3ff), &input));
    let short = kit.deploy(&caller(0xf1, number(0x3ff), &input[..40]));
    for contract in [contract, short] {
        let answer = ask(&mut kit, contract);
        assert!(answer.ok && answer.size == 1);
        assert_eq!(answer.word, U256::ZERO, "no such account, or no such input");
    }
    // An account that has the key by itself.
    let digest = hash(b"message");
    let signature = klay_core::crypto::sign_digest(&[4; 32], digest).unwrap();
    let mut input = user(4).to_vec();
    input.extend(digest);
    input.extend(signature.r.to_be_bytes::<32>());
    input.extend(signature.s.to_be_bytes::<32>());
    input.push(u8::try_from(signature.v).unwrap());
    let contract = kit.deploy(&caller(0xf1, number(0x3ff), &input));
    assert_eq!(ask(&mut kit, contract).word, U256::ONE << 248);
    // With another key the same signature is worth nothing.
    kit.send(4, update(&public(5))).unwrap();
    assert_eq!(ask(&mut kit, contract).word, U256::ZERO);
    let body = kit.request(4, update(&AccountKey::Public(key(4).public_key())), 100_000);
    kit.execute(signed(body, &[5])).unwrap();
    assert_eq!(ask(&mut kit, contract).word, U256::ONE << 248);
}
