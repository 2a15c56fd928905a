//! What an implementation easily gets wrong about transactions, one test a fact.
//!
//! Source: spec 10, section 12.

use crate::common::Key;
use alloy_primitives::{Address, Bytes, U256};
use klay_core::{
    Body, FeeRatio, Payload, Role, Rules, Sign, Signature, TxType,
    codec::Reader,
    config::Fork,
    crypto::SECP256K1_N,
    keccak256,
    tx::{
        DynamicPrice, EthereumFields, EthereumKind, EthereumTx, LegacyTx, Tx, gas,
        payload::{
            AccountUpdate, Cancel, ChainDataAnchoring, ContractDeploy, ContractExecution, EncodedKey, ValueTransfer,
            ValueTransferMemo,
        },
    },
};
use klay_feedeleg::{Fee, FeePayer, KlaytnTx};

const PAYER: Address = Address::repeat_byte(0x77);

fn body(payload: impl Into<Payload>) -> Body {
    let from = Key::from_seed(1).address();
    Body { nonce: 1, gas_price: U256::from(25), gas_limit: 100_000, from, payload: payload.into() }
}

fn sign(tx: Tx<Fee>) -> Tx<Fee> {
    tx.sign(1, &[&Key::from_seed(1)]).unwrap()
}

fn deploy() -> ContractDeploy {
    ContractDeploy { code_format: 9, ..ContractDeploy::new(Bytes::from_static(&[0x60]), U256::ZERO) }
}

fn payloads() -> [Payload; 7] {
    let (to, value, input) = (Address::repeat_byte(9), U256::from(1), Bytes::from_static(b"input"));
    [
        ValueTransfer { to, value }.into(),
        ValueTransferMemo { to, value, input: input.clone() }.into(),
        AccountUpdate { key: EncodedKey::decode(&[1, 0xc0]).unwrap() }.into(),
        deploy().into(),
        ContractExecution { to, value, input: input.clone() }.into(),
        Cancel.into(),
        ChainDataAnchoring { input }.into(),
    ]
}

fn fees() -> [Fee; 3] {
    let ratio = FeeRatio::new(30).unwrap();
    [Fee::SENDER, FeePayer::new(PAYER).into(), FeePayer::with_ratio(PAYER, ratio).into()]
}

fn ethereum(kind: EthereumKind) -> EthereumTx {
    EthereumTx::unsigned(EthereumFields {
        chain_id: U256::from(1),
        nonce: 0,
        gas_limit: 21_000,
        to: Some(PAYER),
        value: U256::ZERO,
        input: Bytes::new(),
        access_list: Default::default(),
        kind,
    })
}

#[test]
fn the_ethereum_envelope_is_in_the_wire_form_but_in_no_hash() {
    let tx = ethereum(EthereumKind::DynamicFee(DynamicPrice::default())).sign(1, &[&Key::from_seed(1)]).unwrap();
    assert_eq!(tx.encode()[..2], [0x78, 0x02]);
    assert_eq!(tx.fields.preimage()[0], 0x02);
    let tx = KlaytnTx::Ethereum(tx);
    assert_eq!(tx.hash(), keccak256(&tx.encode()[1..]));
    assert_eq!(tx.sender_hash(), tx.hash());
}

#[test]
fn the_signing_preimage_holds_rlp_in_a_string_and_the_wire_form_is_flat() {
    let tx = sign(body(Cancel).paid_by(Fee::SENDER));
    let preimage = tx.sender_preimage(1);
    let mut outer = Reader::new(&preimage);
    let mut list = outer.list("preimage").unwrap();
    let inner = list.bytes("a string").unwrap();
    assert_eq!((list.u64("chain id").unwrap(), list.u64("").unwrap(), list.u64("").unwrap()), (1, 0, 0));
    let mut inner = Reader::new(inner).list("a list").unwrap();
    assert_eq!(inner.u64("type").unwrap(), 0x38);
    assert_eq!(tx.encode()[0], 0x38);
    assert_eq!(Reader::new(&tx.encode()[1..]).list("flat").unwrap().u64("nonce").unwrap(), 1);
}

#[test]
fn ratio_is_encoded_before_code_format() {
    let items = |payload: Payload| {
        let tx = sign(body(payload).paid_by(fees()[2].clone()));
        let raw = tx.encode();
        let mut list = Reader::new(&raw[1..]).list("fields").unwrap();
        let items: Vec<_> = std::iter::from_fn(|| list.item("field").ok().map(|item| item.payload.to_vec())).collect();
        let preimage = tx.sender_preimage(1);
        let inner = Reader::new(&preimage).list("preimage").unwrap().bytes("inner").unwrap();
        let mut inner = Reader::new(inner).list("inner").unwrap();
        inner.item("type").unwrap();
        for item in &items[..items.len() - 3] {
            assert_eq!(inner.item("field").unwrap().payload, &item[..]);
        }
        inner.end("inner").unwrap();
        items
    };
    let deployed = items(deploy().into());
    let before_signatures = deployed.len() - 3;
    assert_eq!(deployed[before_signatures - 2..before_signatures], [vec![30], vec![9]]);
    for payload in payloads().into_iter().filter(|payload| !matches!(payload, Payload::ContractDeploy(_))) {
        let items = items(payload);
        assert_eq!(items[items.len() - 4], [30]);
    }
}

#[test]
fn one_signature_is_a_list_in_a_list() {
    let raw = sign(body(Cancel).paid_by(Fee::SENDER)).encode();
    let mut list = Reader::new(&raw[1..]).list("fields").unwrap();
    for _ in 0..4 {
        list.item("field").unwrap();
    }
    let mut signatures = list.list("signatures").unwrap();
    assert_eq!(signatures.list("signature").unwrap().u64("v").unwrap() & !1, 36);
    assert!(signatures.is_empty());
}

#[test]
fn a_key_is_rlp_inside_an_rlp_string_and_a_missing_role_is_a_string_too() {
    let update = |key: &[u8]| AccountUpdate { key: EncodedKey::decode(key).unwrap() };
    let raw = sign(body(update(&[1, 0xc0])).paid_by(Fee::SENDER)).encode();
    assert!(raw.windows(3).any(|window| window == [0x82, 0x01, 0xc0]));
    let roles = [0x05, 0xc5, 0x81, 0x80, 0x82, 0x03, 0xc0];
    assert_eq!(update(&roles).key.as_bytes(), roles);
    assert!(EncodedKey::decode(&[0x05, 0xc1, 0x80]).is_err());
}

#[test]
fn keys_of_another_shape_make_a_transaction_undecodable() {
    let decode = |key: &str| EncodedKey::decode(&hex::decode(key).unwrap());
    let off_curve = "02a102ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff";
    let three_deep = "05c98805c68505c38201c0";
    for key in
        ["", "06c0", "01c000", "0180", "8080", "00", "8100", "c0", "02a0", "04c0", "04c201c1c0", off_curve, three_deep]
    {
        let error = decode(key).unwrap_err();
        assert!(error.to_string().starts_with("key is not serializable"), "{key}: {error}");
    }
    for key in ["80", "01c0", "03c0", "04c201c0", "05c0"] {
        decode(key).unwrap();
    }
    // A role-based key among the roles of another decodes; installing it is refused later.
    decode("05c68505c38201c0").unwrap();
}

#[test]
fn the_sender_hash_keeps_the_type_byte_and_drops_only_the_payers_pair() {
    for fee in fees() {
        let tx = sign(body(Cancel).paid_by(fee));
        assert_eq!(tx.encode_unpaid()[0], tx.encode()[0]);
        assert_eq!(tx.sender_hash() == tx.hash(), tx.fee == Fee::SENDER);
        assert_eq!(tx.sender_hash(), keccak256(tx.encode_unpaid()));
    }
}

#[test]
fn delegation_adds_10000_and_with_ratio_15000() {
    for (fee, extra) in fees().into_iter().zip([0, 10_000, 15_000]) {
        let tx = KlaytnTx::Klaytn(body(Cancel).paid_by(fee));
        assert_eq!(gas::intrinsic(&tx.view(), Rules::none()).unwrap(), 21_000 + extra);
        assert_eq!(gas::floor(&tx.view()).unwrap(), 21_000 + extra);
    }
}

#[test]
fn data_gas_changes_at_istanbul_for_legacy_only_and_at_prague_for_all() {
    let input = Bytes::from_static(&[0, 1]);
    let legacy = KlaytnTx::Legacy(LegacyTx {
        nonce: 0,
        gas_price: U256::ZERO,
        gas_limit: 0,
        to: Some(PAYER),
        value: U256::ZERO,
        input: input.clone(),
        signature: Signature::default(),
    });
    let memo = ValueTransferMemo { to: PAYER, value: U256::ZERO, input };
    let memo = KlaytnTx::Klaytn(body(memo).paid_by(Fee::SENDER));
    let gas = |tx: &KlaytnTx, fork| gas::intrinsic(&tx.view(), Rules::up_to(fork)).unwrap() - 21_000;
    assert_eq!([Fork::Genesis, Fork::Istanbul, Fork::Prague].map(|fork| gas(&legacy, fork)), [72, 200, 20]);
    assert_eq!([Fork::Genesis, Fork::Istanbul, Fork::Prague].map(|fork| gas(&memo, fork)), [200, 200, 20]);
}

#[test]
fn the_floor_of_a_creation_starts_at_21000_for_ethereum_and_53000_for_klaytn() {
    let mut create = ethereum(EthereumKind::AccessList { gas_price: U256::ZERO });
    create.fields.to = None;
    let create = KlaytnTx::Ethereum(create);
    assert_eq!(gas::floor(&create.view()), Ok(21_000));
    assert_eq!(gas::intrinsic(&create.view(), Rules::up_to(Fork::Prague)), Ok(53_000));
    let deploy = KlaytnTx::Klaytn(body(deploy()).paid_by(Fee::SENDER));
    assert_eq!(gas::floor(&deploy.view()), Ok(53_040));
}

#[test]
fn asking_for_a_readable_address_costs_four_billion_gas() {
    let readable = ContractDeploy { human_readable: true, ..deploy() };
    let gas = |payload: ContractDeploy| {
        let tx = KlaytnTx::Klaytn(body(payload).paid_by(Fee::SENDER));
        gas::intrinsic(&tx.view(), Rules::none()).unwrap()
    };
    assert_eq!(gas(readable) - gas(deploy()), 4_000_000_000);
}

#[test]
fn from_kaia_on_a_single_price_is_paid_in_full_and_before_only_the_base_fee() {
    let tx = KlaytnTx::Klaytn(body(Cancel).paid_by(Fee::SENDER));
    let price = |fork| tx.view().effective_gas_price(Some(U256::from(20)), Rules::up_to(fork));
    assert_eq!((price(Fork::Magma), price(Fork::Kaia)), (U256::from(20), U256::from(25)));
    assert_eq!(tx.view().effective_gas_price(None, Rules::none()), U256::from(25));
}

#[test]
fn prepayment_and_refund_are_split_separately() {
    let fee = &fees()[2];
    use klay_core::FeeMode;
    let (paid, back) = (fee.split(U256::from(199)), fee.split(U256::from(99)));
    let whole = fee.split(U256::from(100));
    assert_eq!(paid.payer - back.payer, whole.payer);
    let (paid, back) = (fee.split(U256::from(199)), fee.split(U256::from(98)));
    assert_eq!(paid.payer - back.payer, U256::from(30));
    assert_eq!(fee.split(U256::from(101)).payer, U256::from(30));
    let (paid, back) = (fee.split(U256::from(107)), fee.split(U256::from(3)));
    assert_eq!((paid.payer - back.payer, fee.split(U256::from(104)).payer), (U256::from(32), U256::from(31)));
}

#[test]
fn a_ratio_out_of_range_decodes() {
    for percent in [0, 100, 255] {
        let fee = FeePayer::with_ratio(PAYER, FeeRatio::new_unchecked(percent)).into();
        let tx = KlaytnTx::Klaytn(sign(body(Cancel).paid_by(fee)));
        let ratio = KlaytnTx::decode(&tx.encode()).unwrap().view().fee_ratio.unwrap();
        assert_eq!((ratio.percent(), ratio.is_in_range()), (percent, false));
        assert!(FeeRatio::new(percent).is_err());
    }
}

#[test]
fn an_account_update_is_signed_in_a_role_of_its_own() {
    for payload in payloads() {
        let is_update = matches!(payload, Payload::AccountUpdate(_));
        let tx = KlaytnTx::Klaytn(body(payload).paid_by(fees()[1].clone()));
        assert_eq!(tx.view().role, if is_update { Role::AccountUpdate } else { Role::Transaction });
    }
}

#[test]
fn from_is_written_down_and_does_not_follow_from_the_signature() {
    let mut tx = body(Cancel).paid_by(Fee::SENDER);
    tx.body.from = PAYER;
    let tx = KlaytnTx::Klaytn(sign(tx));
    assert_eq!(tx.sender(1), Ok(PAYER));
    assert_eq!(tx.recover_senders(1).unwrap()[0], Key::from_seed(1).public_key());
}

#[test]
fn high_s_decodes_and_is_refused_by_recovery() {
    let mut tx = sign(body(Cancel).paid_by(Fee::SENDER));
    let Signature { v, r, s } = tx.signatures[0];
    let v = if v == U256::from(37) { U256::from(38) } else { U256::from(37) };
    tx.signatures = vec![Signature { v, r, s: SECP256K1_N - s }].into();
    let tx = KlaytnTx::decode(&tx.encode()).unwrap();
    assert_eq!(tx.recover_senders(1).unwrap_err().to_string(), "invalid transaction v, r, s values");
}

#[test]
fn signatures_of_the_payer_are_not_looked_at_while_decoding() {
    let nonsense = Signature { v: U256::MAX, r: U256::ZERO, s: U256::MAX };
    for signatures in [vec![], vec![nonsense]] {
        let fee = FeePayer { signatures: signatures.into(), ..FeePayer::new(PAYER) };
        let tx = KlaytnTx::Klaytn(sign(body(Cancel).paid_by(fee.into())));
        assert_eq!(KlaytnTx::decode(&tx.encode()), Ok(tx));
    }
}

#[test]
fn a_short_r_or_s_is_normal() {
    let tiny = Signature { v: U256::from(37), r: U256::from(5), s: U256::from(6) };
    let mut tx = body(Cancel).paid_by(Fee::SENDER);
    tx.signatures = vec![tiny].into();
    assert!(tx.encode().ends_with(&[0xc4, 0xc3, 37, 5, 6]));
    let tx = KlaytnTx::Klaytn(tx);
    assert_eq!(KlaytnTx::decode(&tx.encode()), Ok(tx.clone()));
    #[cfg(feature = "serde")]
    assert_eq!(tx.rpc_fields()["signatures"], serde_json::json!([{"V": "0x25", "R": "0x5", "S": "0x6"}]));
}

#[test]
fn the_zero_address_is_a_recipient_on_the_wire_and_none_in_reports() {
    let tx = KlaytnTx::Klaytn(body(ValueTransfer { to: Address::ZERO, value: U256::ZERO }).paid_by(Fee::SENDER));
    let view = tx.view();
    assert_eq!((view.to, view.is_creation(), view.reports_no_recipient()), (Some(Address::ZERO), false, true));
    let mut to_zero = ethereum(EthereumKind::AccessList { gas_price: U256::ZERO });
    to_zero.fields.to = Some(Address::ZERO);
    assert!(!KlaytnTx::Ethereum(to_zero).view().reports_no_recipient());
    for payload in payloads() {
        let expected = payload_has_no_recipient(&payload);
        let tx = KlaytnTx::Klaytn(body(payload).paid_by(Fee::SENDER));
        assert_eq!(tx.view().reports_no_recipient(), expected);
    }
}

const fn payload_has_no_recipient(payload: &Payload) -> bool {
    use Payload::{AccountUpdate, Cancel, ChainDataAnchoring, ContractDeploy};
    matches!(payload, AccountUpdate(_) | Cancel(_) | ChainDataAnchoring(_) | ContractDeploy(_))
}

#[test]
fn the_methods_for_ethereums_raw_form_cannot_carry_klaytn_types() {
    let klaytn = sign(body(Cancel).paid_by(Fee::SENDER)).encode();
    let enveloped = ethereum(EthereumKind::DynamicFee(DynamicPrice::default()));
    let enveloped = enveloped.sign(1, &[&Key::from_seed(1)]).unwrap().encode();
    for raw in [klaytn, enveloped] {
        assert!(KlaytnTx::decode(&raw).is_ok());
        let error = KlaytnTx::decode_ethereum(&raw).unwrap_err().to_string();
        assert!(error.starts_with("undefined tx type"), "{error}");
    }
}

#[test]
fn forms_that_only_the_go_decoder_takes_are_refused() {
    let legacy = hex::decode(concat!(
        "f8668204d219830f4240947b65b75d204abed71587c9e519a89277766ee1d00a843132333425a0b2a5a15550ec298dc7dddde3774429ed75",
        "f864c82caeb5ee24399649ad731be9a029da1014d16f2011b3307f7bbe1035b6e699a4204fc416c763def6cefd976567"
    ))
    .unwrap();
    assert_eq!(KlaytnTx::decode(&legacy).unwrap().tx_type(), TxType::LEGACY);
    let error = KlaytnTx::decode(&[&[0x80], &legacy[..]].concat()).unwrap_err();
    assert_eq!(error.to_string(), "undefined tx type (type, byte 0)");
    let typed = ethereum(EthereumKind::AccessList { gas_price: U256::ZERO }).sign(1, &[&Key::from_seed(1)]).unwrap();
    let raw = [&[0x82], &typed.encode()[..]].concat();
    assert!(KlaytnTx::decode(&raw).is_err());
}

#[test]
fn v_of_0_and_1_is_no_signature_of_a_klaytn_type_and_27_belongs_to_no_chain() {
    let mut tx = sign(body(Cancel).paid_by(Fee::SENDER));
    let Signature { r, s, .. } = tx.signatures[0];
    for (v, decodes) in [(0, false), (1, false), (2, true), (26, true), (27, true), (28, true), (29, true), (35, true)]
    {
        tx.signatures = vec![Signature { v: U256::from(v), r, s }].into();
        let tx = KlaytnTx::Klaytn(tx.clone());
        assert_eq!(KlaytnTx::decode(&tx.encode()).is_ok(), decodes, "{v}");
        assert_eq!(tx.recover_senders(1).unwrap_err().to_string(), "invalid chain id for signer", "{v}");
    }
    assert_eq!(KlaytnTx::Klaytn(tx).view().chain_id, Some(0));
}

#[test]
fn prices_beyond_128_bits_are_carried() {
    let price = DynamicPrice { tip: U256::MAX, cap: U256::MAX };
    let tx = ethereum(EthereumKind::DynamicFee(price)).sign(1, &[&Key::from_seed(1)]).unwrap();
    let tx = KlaytnTx::Ethereum(tx);
    let decoded = KlaytnTx::decode(&tx.encode()).unwrap();
    assert_eq!(decoded.view().fee_cap, U256::MAX);
    let price = decoded.view().effective_gas_price(Some(U256::from(1)), Rules::up_to(Fork::Kaia));
    assert_eq!(price, U256::MAX);
}
