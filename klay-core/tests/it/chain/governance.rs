use klay_core::{
    Address, Bytes, U256, address as addr,
    block::Header,
    config::ChainConfig,
    governance::{
        DataRefusal, GovParams, GovernanceData, ParamName, ParamSchedule, ParamValue, Ratio, ScheduleError, Vote,
        VoteAction, VoteContext, VoteError, VoteRefusal, previous_epoch_start, verify_data, verify_vote,
    },
    hex,
};
use serde_json::Value;

use super::{bytes, list, shared, vector};

fn shown(value: &ParamValue) -> Value {
    match value {
        ParamValue::U64(value) => Value::from(*value),
        ParamValue::Bool(value) => Value::from(*value),
        other => Value::from(other.to_string()),
    }
}

fn items(data: &GovernanceData) -> Value {
    data.iter().map(|(name, value)| (name.name().to_owned(), shown(value))).collect::<serde_json::Map<_, _>>().into()
}

fn check(file: &Value) {
    for case in list(&file["votes"]) {
        let raw = bytes(&case["raw"]);
        let vote = Vote::decode(&raw).unwrap();
        assert_eq!(vote.encode(), raw);
        assert_eq!(vote.voter, super::address(&case["voter"]));
        assert_eq!(vote.action.key(), case["name"].as_str().unwrap());
        assert_eq!(vote.action.value_bytes(), bytes(&case["valueRaw"]));
        let value = match &vote.action {
            VoteAction::Param(_, value) => shown(value),
            VoteAction::AddValidator(list) | VoteAction::RemoveValidator(list) => {
                list.iter().map(|address| Value::from(hex::encode_prefixed(address))).collect()
            }
        };
        assert_eq!(value, case["value"]);
    }
    for case in list(&file["governance"]) {
        let data = GovernanceData::decode(&bytes(&case["raw"])).unwrap();
        assert_eq!(items(&data), case["items"]);
        assert_eq!(GovernanceData::decode(&data.encode()).unwrap(), data);
    }
    let mut schedule = ParamSchedule::new(&ChainConfig::cypress()).unwrap();
    schedule.record(&genesis_header()).unwrap();
    for step in list(&file["schedule"]) {
        let json = serde_json::to_string(&step["items"]).unwrap();
        let mut field = Vec::new();
        klay_core::codec::put_bytes(json.as_bytes(), &mut field);
        let number = step["ratified"].as_u64().unwrap();
        schedule.record(&Header { number, governance: field.into(), ..Header::default() }).unwrap();
    }
    let (epoch, kore) = (file["epoch"].as_u64().unwrap(), file["koreBlock"].as_u64().unwrap());
    for case in list(&file["effective"]) {
        let number = case["block"].as_u64().unwrap();
        let bound = previous_epoch_start(number, epoch, number >= kore);
        assert_eq!(bound, case["governanceBlockUpperBound"].as_u64().unwrap(), "block {number}");
        let params = schedule.at(number);
        let expected = case["params"].as_object().unwrap();
        assert_eq!(expected.len(), ParamName::ALL.len());
        for (name, value) in expected {
            let name = ParamName::from_name(name).unwrap();
            assert_eq!(shown(&params.value(name)), *value, "{name} at block {number}");
        }
    }
}

fn genesis_header() -> Header {
    let data = GovernanceData::of_genesis(&ChainConfig::cypress()).unwrap();
    Header { governance: data.encode().into(), ..Header::default() }
}

#[test]
fn votes_fields_and_effective_parameters_reproduce() {
    check(&vector("governance.json"));
    let Some(file) = shared("chain-governance.json") else { return };
    check(&file);
}

#[test]
fn the_genesis_field_is_encoded_twice() {
    let data = GovernanceData::of_genesis(&ChainConfig::cypress()).unwrap();
    let expected = vector("genesis.json")["cypress"]["governanceJson"].clone();
    assert_eq!(data.to_json(), expected.as_str().unwrap());
    let content = data.encode();
    assert_eq!(&content[..3], [0xb9, 0x01, 0xc1]);
    let header = Header { governance: content.clone().into(), ..Header::default() }.encode();
    let mut wrapped = vec![0xb9, 0x01, 0xc4];
    wrapped.extend(content);
    assert!(header.windows(wrapped.len()).any(|window| window == wrapped));
}

#[test]
fn the_genesis_field_grows_with_the_forks_active_at_genesis() {
    let count = |config: &ChainConfig| GovernanceData::of_genesis(config).unwrap().iter().count();
    let mut config = ChainConfig::all_forks(1);
    assert_eq!(count(&config), 10 + 3 + 5 + 2);
    config.governance.as_mut().unwrap().gov_param_contract = Address::repeat_byte(1);
    assert_eq!(count(&config), 10 + 3 + 5 + 3);
    config.governance.as_mut().unwrap().kip71 = None;
    assert_eq!(count(&config), 10 + 3 + 3);
    config.forks = Default::default();
    assert_eq!(count(&config), 10 + 3);
    config.governance = None;
    assert_eq!(count(&config), 3);
}

#[test]
fn a_value_of_odd_length_is_one_address_made_of_its_last_bytes() {
    let text = b"0x16c192585a0ab24b552783b4bf7d8dccf6855c35";
    let action = VoteAction::read("governance.removevalidator", text).unwrap();
    let nobody = addr!("3833623462663764386463636636383535633335");
    assert_eq!(action, VoteAction::RemoveValidator(vec![nobody]));
    let short = VoteAction::read("governance.addvalidator", &[1, 2]).unwrap();
    assert_eq!(short, VoteAction::AddValidator(vec![addr!("0000000000000000000000000000000000000102")]));
    assert_eq!(VoteAction::read("governance.addvalidator", &[]).unwrap(), VoteAction::AddValidator(vec![]));
}

#[test]
fn values_are_checked_by_their_parameter() {
    use ParamName as P;
    let accepted: [(P, &[u8]); 12] = [
        (P::DeriveShaImpl, &[]),
        (P::DeriveShaImpl, &[2]),
        (P::UnitPrice, &[0, 0, 0, 0, 0, 0, 0, 1]),
        (P::CommitteeSize, &[1]),
        (P::Ratio, b"100/0/0"),
        (P::Ratio, b"+34/054/12"),
        (P::Kip82Ratio, b"0/100"),
        (P::MintingAmount, b"9600000000000000000"),
        (P::GoverningNode, &[7; 20]),
        (P::DeferredTxFee, &[0]),
        (P::DeferredTxFee, &[1]),
        (P::GovernanceMode, b"single"),
    ];
    for (name, value) in accepted {
        assert!(name.read(value).is_ok(), "{name} {value:?}");
    }
    let refused: [(P, &[u8]); 17] = [
        (P::DeriveShaImpl, &[3]),
        (P::UnitPrice, &[0; 9]),
        (P::CommitteeSize, &[]),
        (P::BaseFeeDenominator, &[0]),
        (P::Policy, &[3]),
        (P::Ratio, b"100/0"),
        (P::Ratio, b"50/50/0/0"),
        (P::Ratio, b"120/-20/0"),
        (P::Ratio, b"33/33/33"),
        (P::Kip82Ratio, b"20/ 80"),
        (P::MintingAmount, b""),
        (P::MintingAmount, b"1e18"),
        (P::MintingAmount, b"0x10"),
        (P::GoverningNode, &[7; 21]),
        (P::DeferredTxFee, &[]),
        (P::DeferredTxFee, &[2]),
        (P::GovernanceMode, b"ballot"),
    ];
    for (name, value) in refused {
        assert!(name.read(value).is_err(), "{name} {value:?}");
    }
}

#[test]
fn names_are_case_sensitive_and_some_are_fixed() {
    assert!(matches!(VoteAction::read("governance.unitPrice", &[1]), Err(VoteError::UnknownKey { .. })));
    assert!(matches!(VoteAction::read("istanbul.timeout", &[1]), Err(VoteError::UnknownKey { .. })));
    for name in ParamName::ALL {
        let result = VoteAction::read(name.name(), &GovParams::default().value(name).to_bytes());
        assert_eq!(matches!(result, Err(VoteError::Forbidden { .. })), !name.is_votable(), "{name}");
        assert_eq!(ParamName::from_name(name.name()), Some(name));
    }
    let mut sorted = ParamName::ALL.map(ParamName::name);
    sorted.sort_unstable();
    assert_eq!(sorted, ParamName::ALL.map(ParamName::name));
}

#[test]
fn votes_that_are_not_three_elements_are_refused() {
    let good = Vote { voter: Address::ZERO, action: VoteAction::AddValidator(vec![Address::ZERO]) }.encode();
    for cut in 0..good.len() {
        assert!(Vote::decode(&good[..cut]).is_err());
    }
    assert!(Vote::decode(&[&good[..], &[0x80]].concat()).is_err());
}

fn context<'a>(council: &'a [Address], params: &'a GovParams) -> VoteContext<'a> {
    VoteContext { author: council[0], council, previous_council: council, params }
}

#[test]
fn the_voter_is_the_proposer_and_in_the_council() {
    let council = [Address::repeat_byte(1), Address::repeat_byte(2)];
    let params = GovParams::default();
    let vote = |voter| {
        let action = VoteAction::Param(ParamName::UnitPrice, ParamValue::U64(1));
        Vote { voter, action }.encode()
    };
    let verify = |field: &[u8]| verify_vote(field, &context(&council, &params), |_| None);
    assert_eq!(verify(&[]), Ok(None));
    assert!(verify(&vote(council[0])).unwrap().is_some());
    let (voter, author) = (council[1], council[0]);
    assert_eq!(verify(&vote(voter)), Err(VoteRefusal::NotTheAuthor { voter, author }));
    let voter = Address::repeat_byte(3);
    assert_eq!(verify(&vote(voter)), Err(VoteRefusal::NotInCouncil { voter }));
    assert!(matches!(verify(&[0xc0]), Err(VoteRefusal::Invalid(_))));
}

#[test]
fn votes_must_fit_the_parameters_in_force() {
    let (me, node) = (Address::repeat_byte(1), Address::repeat_byte(2));
    let council = [me];
    let mut params = GovParams { governing_node: node, ..GovParams::default() };
    let check = |action: VoteAction, params: &GovParams, contract| {
        verify_vote(&Vote { voter: me, action }.encode(), &context(&council, params), |_| contract).map(drop)
    };
    let number = |name, value| VoteAction::Param(name, ParamValue::U64(value));
    let lower = |value| number(ParamName::LowerBoundBaseFee, value);
    let upper = |value| number(ParamName::UpperBoundBaseFee, value);
    assert_eq!(check(lower(750_000_000_000), &params, None), Ok(()));
    assert!(matches!(check(lower(750_000_000_001), &params, None), Err(VoteRefusal::LowerBound { .. })));
    assert_eq!(check(upper(25_000_000_000), &params, None), Ok(()));
    assert!(matches!(check(upper(24_999_999_999), &params, None), Err(VoteRefusal::UpperBound { .. })));

    let contract = || VoteAction::Param(ParamName::GovParamContract, ParamValue::Address(node));
    assert_eq!(check(contract(), &params, Some(true)), Ok(()));
    assert_eq!(check(contract(), &params, Some(false)), Err(VoteRefusal::NoContract { address: node }));
    assert_eq!(check(contract(), &params, None), Err(VoteRefusal::NoAccount { address: node }));

    let new_node = || VoteAction::Param(ParamName::GoverningNode, ParamValue::Address(me));
    let remove = || VoteAction::RemoveValidator(vec![me, node]);
    assert_eq!(check(new_node(), &params, None), Ok(()));
    assert_eq!(check(remove(), &params, None), Ok(()));
    params.set(ParamName::GovernanceMode, &ParamValue::Text("single".to_owned())).unwrap();
    // The node in force must be in the council, not the one that is proposed.
    assert_eq!(check(new_node(), &params, None), Err(VoteRefusal::GoverningNodeNotInCouncil { node }));
    assert_eq!(check(remove(), &params, None), Err(VoteRefusal::GoverningNodeIsFixed { node }));
    params.governing_node = me;
    assert_eq!(check(new_node(), &params, None), Ok(()));
}

fn chain(epoch: u64, kore: Option<u64>) -> ParamSchedule {
    let mut config = ChainConfig::new(9).with_genesis_defaults();
    config.istanbul.as_mut().unwrap().epoch = epoch;
    if let Some(kore) = kore {
        config.forks = config.forks.with(klay_core::Fork::Kore, kore);
    }
    ParamSchedule::new(&config).unwrap()
}

fn vote_in(number: u64, name: ParamName, value: ParamValue) -> Header {
    let vote = Vote { voter: Address::ZERO, action: VoteAction::Param(name, value) };
    Header { number, vote: vote.encode().into(), ..Header::default() }
}

#[test]
fn an_epoch_block_ratifies_the_votes_of_the_epoch_before() {
    let mut schedule = chain(10, None);
    schedule.record(&vote_in(3, ParamName::UnitPrice, ParamValue::U64(1))).unwrap();
    schedule.record(&vote_in(9, ParamName::UnitPrice, ParamValue::U64(2))).unwrap();
    schedule.record(&vote_in(10, ParamName::UnitPrice, ParamValue::U64(3))).unwrap();
    let validators = Vote { voter: Address::ZERO, action: VoteAction::AddValidator(vec![]) }.encode();
    schedule.record(&Header { number: 8, vote: validators.into(), ..Header::default() }).unwrap();
    assert_eq!(schedule.expected_at(10).to_json(), r#"{"governance.unitprice":2}"#);
    assert_eq!(schedule.expected_at(20).to_json(), r#"{"governance.unitprice":3}"#);

    let field = |json: &str| {
        let mut out = Vec::new();
        klay_core::codec::put_bytes(json.as_bytes(), &mut out);
        out
    };
    let good = field(r#"{ "governance.unitprice" : 2 }"#);
    assert_eq!(verify_data(&good, 10, &schedule), Ok(()));
    assert!(matches!(verify_data(&[], 10, &schedule), Err(DataRefusal::Mismatch { .. })));
    assert!(matches!(verify_data(&good, 11, &schedule), Err(DataRefusal::BetweenEpochs { number: 11 })));
    assert!(matches!(verify_data(&good, 30, &schedule), Err(DataRefusal::Mismatch { .. })));
    for bad in [r#"{"governance.unitprice":2,"x":1}"#, r#"{"governance.unitprice":"2"}"#, "[]", ""] {
        assert!(matches!(verify_data(&field(bad), 10, &schedule), Err(DataRefusal::Invalid(_))), "{bad}");
    }
    assert_eq!(verify_data(&[], 30, &schedule), Ok(()));
}

#[test]
fn a_set_is_effective_one_epoch_after_it_is_ratified_and_one_block_earlier_from_kore() {
    let mut ratified = Header { number: 20, ..Header::default() };
    let mut data = GovernanceData::default();
    data.set(ParamName::UnitPrice, ParamValue::U64(5)).unwrap();
    ratified.governance = Bytes::from(data.encode());
    let first = |mut schedule: ParamSchedule| {
        schedule.record(&ratified).unwrap();
        (0..100).find(|number| schedule.at(*number).unit_price == 5)
    };
    assert_eq!(first(chain(10, None)), Some(31));
    assert_eq!(first(chain(10, Some(0))), Some(30));
    assert_eq!(first(chain(10, Some(30))), Some(30));
    assert_eq!(first(chain(10, Some(31))), Some(31));
}

#[test]
fn a_rewound_schedule_forgets() {
    let mut schedule = chain(10, None);
    schedule.record(&vote_in(3, ParamName::UnitPrice, ParamValue::U64(1))).unwrap();
    schedule.record(&vote_in(5, ParamName::UnitPrice, ParamValue::U64(2))).unwrap();
    schedule.rewind(4);
    assert_eq!(schedule.expected_at(10).to_json(), r#"{"governance.unitprice":1}"#);
    assert_eq!(schedule.votes(..).count(), 1);
}

#[test]
fn an_epoch_is_needed() {
    assert_eq!(ParamSchedule::new(&ChainConfig::new(1)).unwrap_err(), ScheduleError::ZeroEpoch);
    let mut schedule = chain(10, None);
    let broken = |number| Header { number, governance: Bytes::from_static(&[0x80, 0x80]), ..Header::default() };
    assert!(schedule.record(&broken(0)).is_ok());
    assert!(matches!(schedule.record(&broken(10)), Err(ScheduleError::Data { number: 10, .. })));
}

#[test]
fn a_contract_overrides_what_it_says_properly() {
    let names = ["governance.unitprice", "istanbul.epoch", "nonsense", "reward.ratio", "reward.useginicoeff"];
    let values: [&[u8]; 5] = [&[7], &[0, 9], &[1], b"1/2/3", &[1]];
    let params = GovParams::default().with_contract(&names, &values);
    assert_eq!((params.unit_price, params.epoch, params.use_gini_coeff), (7, 9, true));
    assert_eq!(params.ratio, Ratio::parse("100/0/0").unwrap());
    assert_eq!(GovParams::default().with_contract(&names, &values[..4]), GovParams::default());
}

#[test]
fn the_contract_is_named_by_headers_and_acts_from_kore() {
    let mut schedule = chain(10, Some(40));
    let mut data = GovernanceData::default();
    data.set(ParamName::GovParamContract, ParamValue::Address(Address::repeat_byte(4))).unwrap();
    schedule.record(&Header { number: 10, governance: data.encode().into(), ..Header::default() }).unwrap();
    assert_eq!(schedule.contract_at(39), None);
    assert_eq!(schedule.contract_at(40), Some(Address::repeat_byte(4)));
}

#[test]
fn the_configuration_counts_less_than_headers_and_only_in_part_on_public_networks() {
    let mut config = ChainConfig::cypress();
    let reward = config.governance.as_mut().unwrap().reward.as_mut().unwrap();
    reward.kip82_ratio = Some("50/50".to_owned());
    reward.minting_amount = U256::from(3);
    let params = GovParams::from_config(&config);
    assert_eq!((params.kip82_ratio.as_str(), params.minting_amount), ("20/80", U256::from(3)));
    config.chain_id = 8218;
    assert_eq!(GovParams::from_config(&config).kip82_ratio.as_str(), "50/50");
    config.governance.as_mut().unwrap().governance_mode = "ballot".to_owned();
    assert_eq!(GovParams::from_config(&config).governance_mode.as_str(), "none");
}
