use klay_core::{
    Address, B256, Bloom, Bytes, Fork, U256,
    block::{Header, IstanbulExtra, ListRoot, Log, LogPosition, Receipt, Status, base_fee, bloom, extra::SEAL_LEN},
    codec::Reader,
    config::{ForkSchedule, Kip71Config},
    governance::{GovParams, GovernanceData, ParamName, ParamValue, Vote, VoteAction},
    keccak256,
};
use proptest::{collection::vec, prelude::*};

fn bytes(max: usize) -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..max).prop_map(Bytes::from)
}

fn extra() -> impl Strategy<Value = IstanbulExtra> {
    (any::<[u8; 32]>(), vec(any::<[u8; 20]>(), 0..6), any::<bool>(), vec(any::<[u8; SEAL_LEN]>(), 0..6)).prop_map(
        |(vanity, validators, sealed, committed_seals)| IstanbulExtra {
            vanity,
            validators: validators.into_iter().map(Address::from).collect(),
            seal: if sealed { vec![vanity[0]; SEAL_LEN] } else { Vec::new() },
            committed_seals,
        },
    )
}

prop_compose! {
    fn header()(
        words in any::<[[u8; 32]; 4]>(),
        numbers in any::<[u64; 5]>(),
        timestamp_fos: u8,
        extra in prop_oneof![extra().prop_map(|extra| Bytes::from(extra.encode())), bytes(60)],
        governance in bytes(80),
        vote in bytes(80),
        base_fee: [u8; 32],
        reveal in bytes(100),
        mix in bytes(40),
        fields in prop::sample::select(vec![14, 15, 17, 19]),
    ) -> Header {
        Header {
            parent_hash: words[0].into(),
            rewardbase: Address::from_slice(&words[1][..20]),
            state_root: words[1].into(),
            transactions_root: words[2].into(),
            receipts_root: words[3].into(),
            logs_bloom: Bloom::repeat_byte(timestamp_fos),
            block_score: U256::from(numbers[0]),
            number: numbers[1],
            gas_used: numbers[2],
            timestamp: numbers[3],
            timestamp_fos,
            extra,
            governance,
            vote,
            base_fee: (fields > 14).then_some(U256::from_be_bytes(base_fee)),
            random_reveal: (fields > 15).then_some(reveal),
            mix_hash: (fields > 15).then_some(mix),
            blob_gas_used: (fields > 17).then_some(numbers[4]),
            excess_blob_gas: (fields > 17).then_some(numbers[0]),
        }
    }
}

fn log() -> impl Strategy<Value = Log> {
    (any::<[u8; 20]>(), vec(any::<[u8; 32]>(), 0..5), bytes(80)).prop_map(|(address, topics, data)| {
        Log::new_unchecked(Address::from(address), topics.into_iter().map(B256::from).collect(), data)
    })
}

prop_compose! {
    fn receipt()(
        status: u8,
        gas_used: u64,
        logs in vec(log(), 0..5),
        tx_hash: [u8; 32],
        contract in proptest::option::of(1u8..),
    ) -> Receipt {
        Receipt {
            contract_address: contract.map(Address::repeat_byte),
            ..Receipt::new(Status(status), gas_used, logs, tx_hash.into())
        }
    }
}

fn action() -> impl Strategy<Value = VoteAction> {
    let validators = vec(any::<[u8; 20]>(), 0..4).prop_map(|list| list.into_iter().map(Address::from).collect());
    prop_oneof![
        (any::<bool>(), validators).prop_map(|(add, list)| {
            if add { VoteAction::AddValidator(list) } else { VoteAction::RemoveValidator(list) }
        }),
        param().prop_map(|(name, value)| VoteAction::Param(name, value)),
    ]
}

fn param() -> impl Strategy<Value = (ParamName, ParamValue)> {
    let value = prop_oneof![
        // 2^53 is where numbers in a governance field stop being exact.
        (0u64..1 << 53).prop_map(ParamValue::U64),
        (0u64..3).prop_map(ParamValue::U64),
        any::<[u8; 32]>().prop_map(|bytes| ParamValue::Big(U256::from_be_bytes(bytes))),
        any::<[u8; 20]>().prop_map(|bytes| ParamValue::Address(Address::from(bytes))),
        any::<bool>().prop_map(ParamValue::Bool),
        (0u8..=100).prop_map(|part| ParamValue::Text(format!("{part}/{}", 100 - part))),
        (0u8..=100).prop_map(|part| ParamValue::Text(format!("{part}/{}/0", 100 - part))),
        prop_oneof!["none", "single"].prop_map(ParamValue::Text),
    ];
    (prop::sample::select(ParamName::ALL.to_vec()), value)
        .prop_filter("allowed", |(name, value)| name.check(value).is_ok())
}

/// Every prefix of an encoding is refused, and so is one byte more.
fn strict<T>(encoded: &[u8], decode: impl Fn(&[u8]) -> Result<T, klay_core::DecodeError>) {
    for cut in [0, 1, encoded.len() / 2, encoded.len() - 1] {
        assert!(decode(&encoded[..cut]).is_err());
    }
    assert!(decode(&[encoded, &[0x80]].concat()).is_err());
}

fn whole<T>(
    encoded: &[u8],
    decode: impl Fn(&mut Reader<'_>) -> Result<T, klay_core::DecodeError>,
) -> Result<T, klay_core::DecodeError> {
    let mut reader = Reader::new(encoded);
    let value = decode(&mut reader)?;
    reader.end("input")?;
    Ok(value)
}

proptest! {
    #[test]
    fn headers_decode_to_what_was_encoded(header in header()) {
        let encoded = header.encode();
        prop_assert_eq!(&Header::decode_all(&encoded).unwrap(), &header);
        prop_assert_eq!(header.hash(), keccak256(header.hash_preimage()));
        strict(&encoded, Header::decode_all);
        #[cfg(feature = "serde")]
        {
            let json = serde_json::to_string(&header).unwrap();
            prop_assert_eq!(serde_json::from_str::<Header>(&json).unwrap(), header);
        }
    }

    #[test]
    fn extra_decodes_to_what_was_encoded(extra in extra()) {
        let encoded = extra.encode();
        prop_assert_eq!(IstanbulExtra::decode(&encoded).unwrap(), extra);
        strict(&encoded, IstanbulExtra::decode);
    }

    #[test]
    fn a_changed_byte_changes_what_is_decoded_or_is_refused(header in header(), at: prop::sample::Index, to: u8) {
        let encoded = header.encode();
        let mut changed = encoded.clone();
        let at = at.index(encoded.len());
        changed[at] = to;
        if let Ok(other) = Header::decode_all(&changed) {
            prop_assert_eq!(other.encode(), changed);
        }
    }

    #[test]
    fn receipts_decode_to_what_was_encoded(receipt in receipt(), number: u64, index in 0u64..1 << 40) {
        let consensus = receipt.encode_consensus();
        let decoded = whole(&consensus, Receipt::decode_consensus).unwrap();
        let bare = Receipt { tx_hash: B256::ZERO, contract_address: None, ..receipt.clone() };
        prop_assert_eq!(decoded, bare);
        strict(&consensus, |bytes| whole(bytes, Receipt::decode_consensus));

        let position =
            LogPosition { block_number: number, block_hash: B256::ZERO, tx_index: 3, first_log_index: index };
        let stored = receipt.encode_storage(&position);
        let (decoded, found) = whole(&stored, Receipt::decode_storage).unwrap();
        prop_assert_eq!(found, (!receipt.logs.is_empty()).then_some(position));
        prop_assert_eq!(decoded, receipt);
        strict(&stored, |bytes| whole(bytes, Receipt::decode_storage));
    }

    #[test]
    fn blooms_hold_every_item_and_only_grow(logs in vec(log(), 1..5)) {
        let all = bloom::of_logs(&logs);
        for log in &logs {
            prop_assert!(bloom::may_contain(&all, log.address));
            prop_assert!(log.topics().iter().all(|topic| bloom::may_contain(&all, topic)));
        }
        let each: Vec<Bloom> = logs.iter().map(|log| bloom::of_logs(std::slice::from_ref(log))).collect();
        prop_assert_eq!(bloom::union(&each), all);
    }

    #[test]
    fn list_roots_depend_on_every_item_and_its_place(items in vec(vec(any::<u8>(), 1..40), 2..20)) {
        for derivation in [ListRoot::Original, ListRoot::Simple] {
            let root = derivation.root(&items);
            let mut swapped = items.clone();
            swapped.swap(0, 1);
            prop_assert_eq!(derivation.root(&swapped) == root, swapped == items);
            let mut changed = items.clone();
            changed[1][0] ^= 1;
            prop_assert_ne!(derivation.root(&changed), root);
        }
    }

    #[test]
    fn the_base_fee_is_even_and_within_even_bounds(
        fee: u64, gas: u64, bounds in any::<[u32; 2]>(), target in 1u64.., cap: u64, denominator: u64,
    ) {
        let [lower, upper] = bounds.map(u64::from);
        let params = Kip71Config {
            lower_bound_base_fee: lower.min(upper),
            upper_bound_base_fee: lower.max(upper) + 2,
            gas_target: target,
            max_block_gas_used_for_base_fee: cap,
            base_fee_denominator: denominator,
        };
        let parent = Header { number: 1, gas_used: gas, base_fee: Some(U256::from(fee)), ..Header::default() };
        let next: u64 = base_fee::next(&parent, &params).unwrap().to();
        prop_assert_eq!(next % 2, 0);
        prop_assert!(next >= params.lower_bound_base_fee && next <= params.upper_bound_base_fee);
    }

    #[test]
    fn votes_decode_to_what_was_encoded(voter: [u8; 20], action in action()) {
        let vote = Vote { voter: voter.into(), action };
        let is_fixed = matches!(&vote.action, VoteAction::Param(name, _) if !name.is_votable());
        match Vote::decode(&vote.encode()) {
            Ok(decoded) => prop_assert_eq!(decoded, vote),
            Err(error) => prop_assert!(is_fixed, "{error}"),
        }
    }

    #[test]
    fn governance_data_decode_to_what_was_encoded(items in vec(param(), 0..8)) {
        let mut data = GovernanceData::default();
        let mut params = GovParams::default();
        for (name, value) in items {
            params.set(name, &value).unwrap();
            prop_assert_eq!(params.value(name), value.clone());
            data.set(name, value).unwrap();
        }
        prop_assert_eq!(GovernanceData::decode(&data.encode()).unwrap(), data);
    }

    #[test]
    fn decoders_survive_any_bytes(bytes in vec(any::<u8>(), 0..200)) {
        let _ = Header::decode_all(&bytes);
        let _ = IstanbulExtra::decode(&bytes);
        let _ = whole(&bytes, Receipt::decode_consensus);
        let _ = whole(&bytes, Receipt::decode_storage);
        let _ = Vote::decode(&bytes);
        let _ = GovernanceData::decode(&bytes);
        let mut string = Vec::new();
        klay_core::codec::put_bytes(&bytes, &mut string);
        let _ = GovernanceData::decode(&string);
    }

    #[test]
    fn a_fork_is_active_exactly_from_its_block(blocks in any::<[Option<u16>; 11]>(), number: u16) {
        let schedule = Fork::SCHEDULED.into_iter().zip(blocks).fold(ForkSchedule::default(), |schedule, (fork, block)| {
            block.map_or(schedule, |block| schedule.with(fork, u64::from(block)))
        });
        let rules = schedule.rules(u64::from(number));
        for (fork, block) in Fork::SCHEDULED.into_iter().zip(blocks) {
            prop_assert_eq!(rules.has(fork), block.is_some_and(|block| block <= number));
        }
        prop_assert_eq!(schedule.check_compatible(&schedule, u64::MAX), Ok(()));
    }
}
