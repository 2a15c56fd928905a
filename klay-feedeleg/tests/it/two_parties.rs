//! Two parties sign one transaction: the forms between them, combining signatures, requests, policies and sponsors.

use crate::common;
use crate::common::{Key, bytes, signers, text, transaction};
use alloy_primitives::{Address, Bytes, U256};
use klay_core::{
    Body, FeeMode, FeeRatio, Payload, Sign, Signature, Signatures, Tx, TxEnvelope,
    tx::{
        SignTxError,
        payload::{Cancel, ValueTransfer},
    },
    units,
};
use klay_feedeleg::{
    CombineError, Fee, FeePayer, HashedKlaytnTx, Incomplete, KlaytnTx, LocalSponsor, PartialTx, Policy, Refusal,
    Requested, Sponsor, SponsorError, Sponsored, combine,
    combine::PLACEHOLDER,
    policy::{AllowAll, AllowList, Budget, GasCap},
};

const CHAIN: u64 = 1001;

fn body(from: &Key, payload: impl Into<Payload>) -> Body {
    Body { nonce: 3, gas_price: units::ston(25), gas_limit: 50_000, from: from.address(), payload: payload.into() }
}

fn transfer(from: &Key) -> Body {
    body(from, ValueTransfer { to: Address::repeat_byte(9), value: U256::from(5) })
}

#[test]
fn the_forms_of_existing_sdks_are_read_and_completed() {
    for set in common::sets() {
        for case in set["aux"]["partialForms"]["cases"].as_array().unwrap() {
            let vectors = set["vectors"].as_array().unwrap();
            let base = vectors.iter().find(|vector| vector["name"] == case["base"]).unwrap();
            let KlaytnTx::Klaytn(whole) = transaction(base) else { panic!("a delegated transaction") };
            let form = |name: &str| PartialTx::decode(&bytes(&case[name])).unwrap();
            let by_payer = form("onlyFeePayerSigned_caver");
            assert_eq!(by_payer.payer(), whole.fee.payer());
            assert!(by_payer.sender_signatures().is_empty());
            assert_eq!(by_payer.clone().into_tx(), Err(Incomplete::SenderSignature));
            assert_eq!(by_payer.encode(), bytes(&case["onlyFeePayerSigned_caver"]));
            for name in ["onlySenderSigned_caver", "onlySenderSigned_zeroFeePayer_caver", "onlySenderSigned_ext"] {
                let by_sender = form(name);
                assert_eq!((by_sender.payer(), by_sender.payer_signatures().len()), (None, 0), "{name}");
                assert_eq!(by_sender.sender_signatures(), &whole.signatures, "{name}");
                assert_eq!(by_sender.clone().into_tx(), Err(Incomplete::Payer), "{name}");
                assert_eq!(by_sender.encode(), bytes(&case["onlySenderSigned_caver"]), "{name}");
                assert_eq!(by_sender.encode_without_payer(), bytes(&case["onlySenderSigned_ext"]), "{name}");
                for combined in [by_sender.clone().combine(&by_payer), by_payer.clone().combine(&by_sender)] {
                    assert_eq!(combined.unwrap().into_tx().as_ref(), Ok(&whole), "{name}");
                }
            }
        }
    }
}

#[test]
fn a_node_refuses_what_is_not_signed_by_both() {
    for set in common::sets() {
        for case in set["aux"]["partialForms"]["cases"].as_array().unwrap() {
            let decode = |name: &str| KlaytnTx::decode(&bytes(&case[name]));
            let empty = decode("onlySenderSigned_caver").unwrap_err().to_string();
            assert!(empty.contains("input string too short") && empty.contains("feePayer"), "{empty}");
            let short = decode("onlySenderSigned_ext").unwrap_err().to_string();
            assert!(short.contains("too few elements"), "{short}");
            let unsigned = decode("onlyFeePayerSigned_caver").unwrap_err().to_string();
            assert!(unsigned.contains("invalid transaction v, r, s values"), "{unsigned}");
            // A fee payer of 20 zero bytes is an address like any other; recovery is the first to notice.
            let zero = decode("onlySenderSigned_zeroFeePayer_caver").unwrap();
            assert!(zero.recover_senders(1).is_ok());
            assert_eq!(zero.recover_payers(1).unwrap_err().to_string(), "invalid transaction v, r, s values");
        }
    }
}

#[test]
fn whole_transactions_pass_through_unchanged() {
    let set = common::compact();
    for vector in set["vectors"].as_array().unwrap() {
        if let KlaytnTx::Klaytn(tx @ Tx { fee: Fee::Payer(_), .. }) = transaction(vector) {
            let partial = PartialTx::decode(&tx.encode()).unwrap();
            assert_eq!(partial.encode(), tx.encode(), "{}", text(&vector["name"]));
            assert_eq!(PartialTx::from(tx.clone()), partial);
            assert_eq!(partial.into_tx(), Ok(tx));
        }
    }
}

#[test]
fn either_party_may_sign_first() {
    let (sender, payer) = (Key::from_seed(1), Key::from_seed(2));
    for ratio in [None, Some(FeeRatio::new(30).unwrap())] {
        let start = PartialTx::new(transfer(&sender), ratio);
        let hop = |tx: PartialTx| PartialTx::decode(&tx.encode()).unwrap();
        let sender_first = hop(start.clone().sign_as_sender(CHAIN, &[&sender]).unwrap())
            .with_payer(payer.address())
            .sign_as_payer(CHAIN, &[&payer])
            .unwrap();
        let payer_first = hop(start.with_payer(payer.address()).sign_as_payer(CHAIN, &[&payer]).unwrap())
            .sign_as_sender(CHAIN, &[&sender])
            .unwrap();
        assert_eq!(sender_first, payer_first);
        let tx = KlaytnTx::Klaytn(sender_first.into_tx().unwrap());
        let recovered = HashedKlaytnTx::decode(&tx.encode()).unwrap().recover(CHAIN).unwrap();
        assert_eq!(tx.recover_senders(CHAIN).unwrap()[0].address(), sender.address());
        assert_eq!(recovered.payer_keys()[0].address(), payer.address());
    }
}

#[test]
fn another_fee_mode_is_another_signing_hash() {
    let sender = Key::from_seed(1);
    let with = |fee: Fee| transfer(&sender).paid_by(fee).signing_hash(CHAIN);
    let payer = Address::repeat_byte(4);
    let hashes = [
        with(Fee::SENDER),
        with(FeePayer::new(payer).into()),
        with(FeePayer::with_ratio(payer, FeeRatio::new(30).unwrap()).into()),
        with(FeePayer::with_ratio(payer, FeeRatio::new(31).unwrap()).into()),
    ];
    for (i, hash) in hashes.iter().enumerate() {
        assert!(hashes[..i].iter().all(|other| other != hash));
    }
    // The sender does not sign the payer's address.
    assert_eq!(hashes[1], with(FeePayer::new(Address::repeat_byte(5)).into()));
}

#[test]
fn signatures_are_combined_in_first_seen_order_and_once() {
    let keys: Vec<Key> = (1..=4).map(Key::from_seed).collect();
    let by = |range: &[usize]| {
        let signers: Vec<&dyn Sign> = range.iter().map(|i| &keys[*i] as &dyn Sign).collect();
        PartialTx::new(transfer(&keys[0]), None).sign_as_sender(CHAIN, &signers).unwrap()
    };
    let combined = by(&[2, 0]).combine(&by(&[0, 1])).unwrap().combine(&by(&[2, 3])).unwrap();
    let expected = by(&[2, 0, 1, 3]);
    assert_eq!(combined, expected);
    let placeholder = Signatures::new(vec![PLACEHOLDER]);
    assert_eq!(combine::merge(&placeholder, combined.sender_signatures()).unwrap(), *expected.sender_signatures());
    assert_eq!(by(&[1]).sign_as_sender(CHAIN, &[&keys[1]]).unwrap(), by(&[1]));
}

#[test]
fn whole_transactions_are_combined_too() {
    let (one, two, payer) = (Key::from_seed(1), Key::from_seed(2), Key::from_seed(3));
    let by = |key: &Key| transfer(&one).paid_by(Fee::SENDER).sign(CHAIN, &[key]).unwrap();
    let both = combine(by(&one), &by(&two)).unwrap();
    assert_eq!(both, transfer(&one).paid_by(Fee::SENDER).sign(CHAIN, &[&one, &two]).unwrap());
    let other = body(&one, Cancel).paid_by(Fee::SENDER).sign(CHAIN, &[&one]).unwrap();
    assert_eq!(combine(by(&one), &other), Err(CombineError::Different));
    let delegated = transfer(&one).paid_by(FeePayer::new(payer.address()).into());
    assert_eq!(combine(by(&one), &delegated), Err(CombineError::DifferentPayer));
}

#[test]
fn signing_refuses_no_keys_and_more_than_ten() {
    let keys: Vec<Key> = (1..=11).map(Key::from_seed).collect();
    let sender = &keys[0];
    let sign = |keys: &[Key]| transfer(sender).paid_by(Fee::SENDER).sign(CHAIN, &signers(keys));
    assert_eq!(sign(&[]).unwrap_err().to_string(), "slice is empty");
    let many = sign(&keys).unwrap_err();
    assert_eq!(many, SignTxError::TooMany { got: 11, max: 10 });
    assert!(many.to_string().starts_with("the number of keys exceeds the limit"));
    assert_eq!(sign(&keys[..10]).unwrap().signatures.len(), 10);

    let partial = |keys: &[Key]| PartialTx::new(transfer(sender), None).sign_as_sender(CHAIN, &signers(keys));
    assert_eq!(partial(&keys).unwrap_err(), SignTxError::TooMany { got: 11, max: 10 });
    let ten = partial(&keys[..10]).unwrap();
    assert!(ten.clone().sign_as_sender(CHAIN, &[&keys[10]]).is_err());
    let last = partial(&keys[10..]).unwrap();
    assert!(matches!(ten.combine(&last), Err(CombineError::TooMany(_))));
    let no_payer = PartialTx::new(transfer(sender), None).sign_as_payer(CHAIN, &[sender]).unwrap_err();
    assert_eq!(no_payer.to_string(), "fee payer is not set");
    let nobody = PartialTx::new(transfer(sender), None).with_payer(Address::ZERO).sign_as_payer(CHAIN, &[]);
    assert_eq!(nobody.unwrap_err().to_string(), "slice is empty");
}

#[test]
fn legacy_and_ethereum_transactions_take_one_signer() {
    let keys: Vec<Key> = (1..=2).map(Key::from_seed).collect();
    let set = common::compact();
    for vector in set["vectors"].as_array().unwrap() {
        let tx = transaction(vector);
        if tx.tx_type().is_klaytn() {
            continue;
        }
        let chain_id = common::u64(&vector["chainId"]);
        assert_eq!(tx.clone().sign(chain_id, &signers(&keys)), Err(SignTxError::NotSingle { got: 2 }));
        if tx.tx_type().is_ethereum() {
            let wrong = tx.clone().sign(chain_id + 1, &[&keys[0]]).unwrap_err();
            assert!(wrong.to_string().starts_with("invalid chain id for signer"));
        }
        let signed = tx.sign(chain_id, &[&keys[0]]).unwrap();
        assert_eq!(signed.sender(chain_id), Ok(keys[0].address()));
    }
}

#[test]
fn naming_another_payer_drops_the_signatures_of_the_first() {
    let (sender, payer) = (Key::from_seed(1), Key::from_seed(2));
    let signed = PartialTx::new(transfer(&sender), None)
        .with_payer(payer.address())
        .sign_as_payer(CHAIN, &[&payer])
        .unwrap()
        .sign_as_sender(CHAIN, &[&sender])
        .unwrap();
    assert_eq!(signed.clone().with_payer(payer.address()), signed);
    let renamed = signed.clone().with_payer(sender.address());
    assert_eq!(renamed.clone().into_tx(), Err(Incomplete::PayerSignature));
    assert_eq!(renamed.combine(&signed), Err(CombineError::DifferentPayer));
}

fn request(gas_limit: u64, ratio: Option<u8>) -> Requested {
    let sender = Key::from_seed(1);
    let body = Body { gas_limit, ..transfer(&sender) };
    Requested::sign(body, ratio.map(FeeRatio::new_unchecked), CHAIN, &[&sender]).unwrap()
}

fn sponsor<P: Policy>(policy: P) -> LocalSponsor<Key, P> {
    let payer = Key::from_seed(2);
    LocalSponsor::new(CHAIN, payer.address(), vec![payer], policy)
}

#[test]
fn a_request_needs_the_senders_signature_before_and_the_payers_after() {
    let unsigned = PartialTx::new(transfer(&Key::from_seed(1)), None);
    assert_eq!(Requested::try_from(unsigned.clone()), Err(Incomplete::SenderSignature));
    assert!(Requested::decode(&unsigned.encode()).is_err());
    let request = request(50_000, None);
    assert_eq!(Sponsored::try_from(request.clone().into_partial()), Err(Incomplete::Payer));
    let sponsored = sponsor(AllowAll).sponsor_now(Requested::decode(&request.encode()).unwrap()).unwrap();
    let tx = KlaytnTx::decode(&sponsored.encode()).unwrap();
    assert_eq!(tx, TxEnvelope::Klaytn(sponsored.as_tx().clone()));
    assert_eq!(tx.recover_payers(CHAIN).unwrap()[0].address(), Key::from_seed(2).address());
}

#[test]
fn a_sponsor_may_be_asked_asynchronously() {
    let sponsor: Box<dyn Sponsor> = Box::new(sponsor(AllowAll));
    let sponsored = futures::executor::block_on(sponsor.sponsor(request(50_000, Some(30)))).unwrap();
    assert_eq!(sponsored.into_tx().fee.bits(), 2);
}

#[test]
fn policies_refuse_and_say_why() {
    let (sender, to) = (Key::from_seed(1).address(), Address::repeat_byte(9));
    let refuse = |policy: Box<dyn Policy>, error: Option<Refusal>| {
        let got = sponsor(policy).sponsor_now(request(50_000, None)).map(|_| ());
        assert_eq!(got, error.map_or(Ok(()), |refusal| Err(SponsorError::Refused(refusal))));
    };
    refuse(Box::new(AllowList::senders([sender])), None);
    refuse(Box::new(AllowList::senders([to])), Some(Refusal::Sender(sender)));
    refuse(Box::new(AllowList::recipients([to])), None);
    refuse(Box::new(AllowList::recipients([sender])), Some(Refusal::Recipient(Some(to))));
    let cap = |gas_limit, gas_price| Box::new(GasCap { gas_limit, gas_price });
    refuse(cap(50_000, units::ston(25)), None);
    refuse(cap(49_999, units::ston(25)), Some(Refusal::Gas { got: 50_000, max: 49_999 }));
    let (got, max) = (units::ston(25), units::ston(24));
    refuse(cap(50_000, max), Some(Refusal::GasPrice { got, max }));
    let all: Vec<Box<dyn Policy>> = vec![Box::new(AllowAll), cap(50_000, max)];
    refuse(Box::new(all), Some(Refusal::GasPrice { got, max }));
}

#[test]
fn a_budget_counts_the_payers_share_of_the_most_a_request_can_cost() {
    let cost = units::ston(25) * U256::from(50_000);
    let sponsor = sponsor((AllowAll, Budget::new(cost + cost * U256::from(30) / U256::from(100))));
    let left = || sponsor.policy().1.left();
    sponsor.sponsor_now(request(50_000, None)).unwrap();
    assert_eq!(left(), cost * U256::from(30) / U256::from(100));
    let too_much = sponsor.sponsor_now(request(50_000, None)).unwrap_err();
    assert_eq!(too_much, SponsorError::Refused(Refusal::Budget { got: cost, left: left() }));
    sponsor.sponsor_now(request(50_000, Some(30))).unwrap();
    assert_eq!(left(), U256::ZERO);
    sponsor.policy().1.add(U256::from(1));
    assert_eq!(left(), U256::from(1));
}

#[test]
fn what_was_reserved_is_released_when_nothing_comes_of_it() {
    let budget = U256::MAX;
    let without_keys = LocalSponsor::<Key, _>::new(CHAIN, Address::ZERO, vec![], (Budget::new(budget), AllowAll));
    assert!(matches!(without_keys.sponsor_now(request(50_000, None)), Err(SponsorError::Sign(_))));
    assert_eq!(without_keys.policy().0.left(), budget);
    let request = request(50_000, None);
    let pair = (Budget::new(budget), Budget::new(U256::ZERO));
    assert!(pair.reserve(&request).is_err());
    assert_eq!(pair.0.left(), budget);
    let list = vec![Budget::new(budget), Budget::new(U256::ZERO)];
    assert!(list.reserve(&request).is_err());
    assert_eq!(list[0].left(), budget);
}

#[test]
fn a_sponsor_pays_only_for_valid_signatures_of_its_chain_and_shares_in_range() {
    let sender = Key::from_seed(1);
    let other_chain = Requested::sign(transfer(&sender), None, CHAIN + 1, &[&sender]).unwrap();
    let error = sponsor(AllowAll).sponsor_now(other_chain).unwrap_err();
    assert_eq!(error.to_string(), "invalid sender: invalid chain id for signer");
    for ratio in [0, 100, 255] {
        let error = sponsor(AllowAll).sponsor_now(request(50_000, Some(ratio))).unwrap_err();
        assert_eq!(error, SponsorError::Refused(Refusal::Ratio(ratio)));
    }
}

#[test]
fn a_cost_beyond_256_bits_is_no_number() {
    let sender = Key::from_seed(1);
    let body = Body { gas_price: U256::MAX, gas_limit: 2, ..transfer(&sender) };
    let request = Requested::sign(body, None, CHAIN, &[&sender]).unwrap();
    assert_eq!(request.max_cost(), None);
    assert!(Budget::new(U256::from(1)).check(&request).is_err());
}

#[test]
fn a_fee_payers_v_may_be_mirrored_below_the_chain_id() {
    let (sender, payer) = (Key::from_seed(1), Key::from_seed(2));
    let mut tx = request(50_000, None).sponsor(payer.address(), CHAIN, &[&payer]).unwrap().into_tx();
    let Fee::Payer(fee) = &mut tx.fee else { panic!("delegated") };
    let Signature { v, r, s } = fee.signatures[0];
    let odd = v - U256::from(35 + 2 * CHAIN);
    fee.signatures = vec![Signature { v: U256::from(2 * CHAIN - 19) - odd, r, s }].into();
    let tx = KlaytnTx::Klaytn(tx);
    assert_eq!(tx.recover_payers(CHAIN).unwrap()[0].address(), payer.address());
    assert_eq!(tx.recover_senders(CHAIN).unwrap()[0].address(), sender.address());
}

#[test]
fn partial_decoding_is_as_strict_as_a_node_otherwise() {
    let raw = request(50_000, Some(30)).encode();
    assert!(PartialTx::decode(&raw).is_ok());
    for cut in 0..raw.len() {
        assert!(PartialTx::decode(&raw[..cut]).is_err());
    }
    let longer = [&raw[..], &[0]].concat();
    assert!(PartialTx::decode(&longer).unwrap_err().to_string().contains("more than one value"));
    let basic = transfer(&Key::from_seed(1)).paid_by(Fee::SENDER).sign(CHAIN, &[&Key::from_seed(1)]).unwrap();
    assert_eq!(PartialTx::decode(&basic.encode()).unwrap_err().to_string(), "undefined tx type (type, byte 0)");
    assert!(PartialTx::decode(&Bytes::new()).is_err());
}
