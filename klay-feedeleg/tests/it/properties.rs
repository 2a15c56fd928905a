//! Every payload under every fee mode, random: round trips, and bytes that are no transaction.

use alloy_eips::{
    eip2930::{AccessList, AccessListItem},
    eip7702::{Authorization, SignedAuthorization},
};
use alloy_primitives::{Address, B256, Bytes, U256};
use klay_core::{
    Body, FeeRatio, Payload, Signature, Signatures,
    codec::{DecodeErrorKind, Reader},
    crypto::SECP256K1_N,
    tx::{
        DynamicPrice, EncodedKey, EthereumFields, EthereumKind, EthereumTx, LegacyTx,
        payload::{
            AccountUpdate, Cancel, ChainDataAnchoring, ContractDeploy, ContractExecution, ValueTransfer,
            ValueTransferMemo,
        },
    },
};
use klay_feedeleg::{Fee, FeePayer, HashedKlaytnTx, KlaytnTx, PartialTx};
use proptest::{collection::vec, option, prelude::*};

fn address() -> impl Strategy<Value = Address> {
    prop_oneof![Just(Address::ZERO), any::<[u8; 20]>().prop_map(Address::from)]
}

fn number() -> impl Strategy<Value = U256> {
    (any::<[u64; 4]>(), 0usize..=256).prop_map(
        |(limbs, shift)| {
            if shift == 256 { U256::ZERO } else { U256::from_limbs(limbs) >> shift }
        },
    )
}

fn input() -> impl Strategy<Value = Bytes> {
    prop_oneof![
        Just(Bytes::new()),
        vec(any::<u8>(), 1..3).prop_map(Bytes::from),
        vec(any::<u8>(), 0..300).prop_map(Bytes::from)
    ]
}

fn scalar() -> impl Strategy<Value = U256> {
    number().prop_map(|n| (n % (SECP256K1_N - U256::from(1))) + U256::from(1))
}

fn signatures(chain_id: u64) -> impl Strategy<Value = Signatures> {
    let one = (any::<bool>(), scalar(), scalar())
        .prop_map(move |(odd, r, s)| Signature { v: U256::from(u8::from(odd)), r, s }.with_chain_id(chain_id));
    vec(one, 1..4).prop_map(Signatures::new)
}

fn payload() -> impl Strategy<Value = Payload> {
    let keys = prop_oneof![
        Just("80"),
        Just("01c0"),
        Just("03c0"),
        Just("02a10307cf958089a49031755d774b59221417a84b857a834e29a80f7c7fd21e7ea857"),
        Just("05c98201c08203c08201c0"),
    ];
    prop_oneof![
        (address(), number()).prop_map(|(to, value)| ValueTransfer { to, value }.into()),
        (address(), number(), input()).prop_map(|(to, value, input)| ValueTransferMemo { to, value, input }.into()),
        keys.prop_map(|key| AccountUpdate { key: EncodedKey::decode(&hex::decode(key).unwrap()).unwrap() }.into()),
        (option::of(address()), number(), input(), any::<bool>(), any::<u8>()).prop_map(
            |(to, value, input, human_readable, code_format)| {
                ContractDeploy { to, value, input, human_readable, code_format }.into()
            }
        ),
        (address(), number(), input()).prop_map(|(to, value, input)| ContractExecution { to, value, input }.into()),
        Just(Cancel.into()),
        input().prop_map(|input| ChainDataAnchoring { input }.into()),
    ]
}

fn fee(chain_id: u64) -> impl Strategy<Value = Fee> {
    let payer = (address(), option::of(any::<u8>()), option::of(signatures(chain_id)));
    prop_oneof![
        Just(Fee::SENDER),
        payer.prop_map(|(address, ratio, signatures)| Fee::Payer(FeePayer {
            address,
            ratio: ratio.map(FeeRatio::new_unchecked),
            signatures: signatures.unwrap_or_default(),
        })),
    ]
}

fn klaytn() -> impl Strategy<Value = KlaytnTx> {
    any::<u32>().prop_flat_map(|chain_id| {
        let chain_id = u64::from(chain_id);
        let common = (any::<u64>(), number(), any::<u64>(), address(), payload());
        (common, fee(chain_id), signatures(chain_id)).prop_map(|(common, fee, signatures)| {
            let (nonce, gas_price, gas_limit, from, payload) = common;
            let mut tx = Body { nonce, gas_price, gas_limit, from, payload }.paid_by(fee);
            tx.signatures = signatures;
            KlaytnTx::Klaytn(tx)
        })
    })
}

fn legacy() -> impl Strategy<Value = KlaytnTx> {
    let common = (any::<u64>(), number(), any::<u64>(), option::of(address()), number(), input());
    (common, signatures(8217)).prop_map(|((nonce, gas_price, gas_limit, to, value, input), signatures)| {
        KlaytnTx::Legacy(LegacyTx { nonce, gas_price, gas_limit, to, value, input, signature: signatures[0] })
    })
}

fn ethereum() -> impl Strategy<Value = KlaytnTx> {
    let hashes = || vec(any::<[u8; 32]>().prop_map(B256::from), 0..3);
    let item = (address(), hashes()).prop_map(|(address, storage_keys)| AccessListItem { address, storage_keys });
    let price = || (number(), number()).prop_map(|(tip, cap)| DynamicPrice { tip, cap });
    let tuple = (number(), address(), any::<u64>(), any::<u8>(), number(), number()).prop_map(
        |(chain_id, address, nonce, parity, r, s)| {
            SignedAuthorization::new_unchecked(Authorization { chain_id, address, nonce }, parity, r, s)
        },
    );
    let kind = prop_oneof![
        number().prop_map(|gas_price| EthereumKind::AccessList { gas_price }),
        price().prop_map(EthereumKind::DynamicFee),
        (price(), number(), hashes()).prop_map(|(price, max_fee_per_blob_gas, versioned_hashes)| {
            EthereumKind::Blob { price, max_fee_per_blob_gas, versioned_hashes }
        }),
        (price(), vec(tuple, 0..3)).prop_map(|(price, authorizations)| EthereumKind::SetCode { price, authorizations }),
    ];
    let common = (number(), any::<u64>(), any::<u64>(), address(), any::<bool>(), number(), input());
    (common, vec(item, 0..3), kind, any::<bool>(), scalar(), scalar()).prop_map(
        |((chain_id, nonce, gas_limit, to, create, value, input), items, kind, odd, r, s)| {
            let may_create = matches!(kind, EthereumKind::AccessList { .. } | EthereumKind::DynamicFee(_));
            let to = (!create || !may_create).then_some(to);
            let access_list = AccessList(items);
            KlaytnTx::Ethereum(EthereumTx {
                fields: EthereumFields { chain_id, nonce, gas_limit, to, value, input, access_list, kind },
                signature: Signature { v: U256::from(u8::from(odd)), r, s },
                sidecar: None,
            })
        },
    )
}

fn any_tx() -> impl Strategy<Value = KlaytnTx> {
    prop_oneof![4 => klaytn(), 1 => legacy(), 2 => ethereum()]
}

/// Whatever decodes must be the canonical encoding of what it decodes to.
fn check_canonical(bytes: &[u8]) -> Result<(), TestCaseError> {
    match KlaytnTx::decode(bytes) {
        Ok(tx) => {
            prop_assert_eq!(tx.encode_network(), bytes);
            let hashed = HashedKlaytnTx::decode(bytes).unwrap();
            prop_assert_eq!((hashed.hash(), hashed.sender_hash()), (tx.hash(), tx.sender_hash()));
        }
        Err(error) => {
            prop_assert!(!error.field.is_empty());
            prop_assert!(error.offset <= bytes.len());
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn decoding_undoes_encoding(tx in any_tx()) {
        let raw = tx.encode();
        prop_assert_eq!(KlaytnTx::decode(&raw), Ok(tx.clone()));
        prop_assert_eq!(KlaytnTx::decode_any(&raw), Ok(tx.clone()));
        if !tx.tx_type().is_klaytn() {
            prop_assert_eq!(KlaytnTx::decode_ethereum(&tx.encode_ethereum()), Ok(tx.clone()));
        }
        let hashed = HashedKlaytnTx::decode(&raw).unwrap();
        prop_assert_eq!(&hashed, &HashedKlaytnTx::new(tx.clone()));
        prop_assert_eq!(hashed.hash(), tx.hash());
        prop_assert_eq!(hashed.sender_hash(), tx.sender_hash());
        let view = tx.view();
        prop_assert_eq!(view.tx_type.is_fee_delegated(), view.fee_payer.is_some());
    }

    #[test]
    fn recovery_from_bytes_is_recovery_from_values(tx in klaytn()) {
        let chain_id = tx.view().chain_id.unwrap();
        let keys = tx.recover_senders(chain_id).and_then(|keys| Ok((keys, tx.recover_payers(chain_id)?)));
        let recovered = HashedKlaytnTx::new(tx).recover(chain_id);
        match (keys, recovered) {
            (Ok((senders, payers)), Ok(recovered)) => {
                prop_assert_eq!(recovered.auth(), &klay_core::tx::SenderAuth::Keys(senders));
                prop_assert_eq!(recovered.payer_keys(), &payers[..]);
            }
            (Err(one), Err(two)) => prop_assert_eq!(one, two),
            (one, two) => prop_assert!(false, "{one:?} and {two:?}"),
        }
    }

    #[test]
    fn transactions_splice(txs in vec(any_tx(), 0..5)) {
        let list: Vec<u8> = txs.iter().flat_map(|tx| tx.encode()).collect();
        let mut reader = Reader::new(&list);
        for tx in &txs {
            let hashed = HashedKlaytnTx::decode_item(&mut reader).unwrap();
            prop_assert_eq!(hashed.tx(), tx);
        }
        prop_assert!(reader.is_empty());
    }

    #[test]
    fn flipped_bits_never_give_another_encoding(tx in any_tx(), at: prop::sample::Index, bit in 0u8..8) {
        let mut raw = tx.encode();
        let at = at.index(raw.len());
        raw[at] ^= 1 << bit;
        check_canonical(&raw)?;
        let _ = PartialTx::decode(&raw);
    }

    #[test]
    fn truncated_and_padded_bytes_are_refused(tx in any_tx(), at: prop::sample::Index, byte: u8) {
        let raw = tx.encode();
        let cut = at.index(raw.len());
        let error = KlaytnTx::decode(&raw[..cut]).unwrap_err();
        prop_assert!(error.offset <= cut, "{}", error);
        let padded = [&raw[..], &[byte]].concat();
        let error = KlaytnTx::decode(&padded).unwrap_err();
        prop_assert_eq!(error.kind, DecodeErrorKind::Trailing { count: 1 });
        prop_assert_eq!(error.offset, raw.len());
    }

    #[test]
    fn random_bytes_never_panic(bytes in vec(any::<u8>(), 0..200), lead in 0u8..0x80) {
        check_canonical(&bytes)?;
        let typed = [&[lead], &bytes[..]].concat();
        check_canonical(&typed)?;
        let _ = KlaytnTx::decode_any(&typed);
        let _ = KlaytnTx::decode_ethereum(&typed);
        let _ = PartialTx::decode(&typed);
    }

    #[test]
    fn partial_forms_round_trip(tx in klaytn()) {
        let KlaytnTx::Klaytn(tx) = tx else { return Ok(()) };
        let partial = PartialTx::from(tx);
        prop_assert_eq!(PartialTx::decode(&partial.encode()), Ok(partial.clone()));
        let without = PartialTx::decode(&partial.encode_without_payer()).unwrap();
        prop_assert_eq!(without.sender_signatures(), partial.sender_signatures());
        prop_assert_eq!(without.payer(), None);
    }
}
