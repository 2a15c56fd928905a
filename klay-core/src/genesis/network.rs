//! Genesis of the two public networks.
//!
//! The files under `data/` are the code of the contracts that exist at genesis, byte by byte: CypressCredit at 0x0
//! and the two networks' AddressBook at 0x400.

use alloy_primitives::{Address, Bytes, U256, address, uint};

use super::{Genesis, GenesisAccount};
use crate::config::Network;

/// The AddressBook contract.
const ADDRESS_BOOK: Address = address!("0000000000000000000000000000000000000400");

const CYPRESS_VALIDATORS: [Address; 19] = [
    address!("56e3a565e31f8fb0ba0b12c03355518c64372120"),
    address!("386ca3cb8bb13f48d1a6adc1fb8df09e7bb7f9c8"),
    address!("f8c9c61c5e7f2b6219d1c28b94e5cb3cdc802594"),
    address!("bca8ffa45cc8e30bbc0522cdf1a1e0ebf540dfe2"),
    address!("f113ec8c22765d485309cf1d025d1b975245b9f8"),
    address!("0b59cae1f03534209fdb9ddf5ea65b310cd7060c"),
    address!("ec6c1cede510be308f0fdbbc8dbdf238829bdb34"),
    address!("45ed4bf508ca2061a8b4a16e278ea85a8f87a70b"),
    address!("a2ba8f7798649a778a1fd66d3035904949fec555"),
    address!("e3d92072d8b9a59a0427485a1b5f459271df457c"),
    address!("1782834bf8847e235f21f2c1f13fca4d5dff6621"),
    address!("e783fc94fddaeebef7293d6c5864cff280f121e1"),
    address!("56e8c1463c341abf8b168c3079ea41ce8a387e18"),
    address!("e93a890fb7ec5e993b1a7fd77b0d13a0763eff3d"),
    address!("16c192585a0ab24b552783b4bf7d8dc9f6855c35"),
    address!("ed6ee8a1877f9582858dbe2509abb0ac33e5f24e"),
    address!("2bdd279522b8a0843831fbb94cfbb24a913597c5"),
    address!("f6623192aa096e192024ecb381b04c58df9a6075"),
    address!("52d41ca72af615a1ac3301b0a93efa222ecc7541"),
];

const BAOBAB_VALIDATORS: [Address; 4] = [
    address!("99fb17d324fa0e07f23b49d09028ac0919414db6"),
    address!("b74ff9dea397fe9e231df545eb53fe2adf776cb2"),
    address!("571e53df607be97431a5bbefca1dffe5aef56f4d"),
    address!("5cb1a7dccbd0dc446e3640898ede8820368554c8"),
];

impl Genesis {
    /// The genesis of a public network, governance field included.
    pub fn of_network(network: Network) -> Self {
        match network {
            Network::Cypress => Self::cypress(),
            Network::Baobab => Self::baobab(),
        }
    }

    /// The genesis of Cypress.
    pub fn cypress() -> Self {
        let two_billion = uint!(2_000_000_000_000_000_000_000_000_000_U256);
        public(
            Network::Cypress,
            1_561_380_305,
            &CYPRESS_VALIDATORS,
            [
                (Address::ZERO, contract(include_bytes!("data/cypress_credit.bin"))),
                (ADDRESS_BOOK, contract(include_bytes!("data/cypress_address_book.bin"))),
                (
                    address!("22835801c15abee19f408c78cad1da41cbb6f0da"),
                    holder(uint!(3_999_999_000_000_000_000_000_000_000_U256)),
                ),
                (address!("24f55a6f46f126aa7209c882c275fedb6c108164"), holder(two_billion)),
                (address!("79bf6868cb4f7d3dd43d915690f3556669afcf4e"), holder(two_billion)),
                (address!("ba411543b06dca2fcc3730b2b09f40c5bb5cddd5"), holder(two_billion)),
                (
                    address!("854ca8508c8be2bb1f3c244045786410cb7d5d0a"),
                    holder(uint!(1_000_000_000_000_000_000_000_U256)),
                ),
            ],
        )
    }

    /// The genesis of Baobab.
    pub fn baobab() -> Self {
        public(
            Network::Baobab,
            1_561_536_072,
            &BAOBAB_VALIDATORS,
            [
                (ADDRESS_BOOK, contract(include_bytes!("data/baobab_address_book.bin"))),
                (
                    address!("4937a6f664630547f6b0c3c235c4f03a64ca36b1"),
                    holder(uint!(100_000_000_000_000_000_000_000_000_000_000_000_000_000_000_000_000_U256)),
                ),
            ],
        )
    }
}

fn public<const N: usize>(
    network: Network,
    timestamp: u64,
    validators: &[Address],
    alloc: [(Address, GenesisAccount); N],
) -> Genesis {
    let genesis = Genesis {
        timestamp,
        alloc: alloc.into_iter().collect(),
        ..Genesis::new(network.config(), validators.to_vec())
    };
    genesis.prepared().expect("the built-in configuration is complete and its governing node a validator")
}

fn contract(code: &'static [u8]) -> GenesisAccount {
    GenesisAccount { code: Bytes::from_static(code), ..GenesisAccount::default() }
}

fn holder(balance: U256) -> GenesisAccount {
    GenesisAccount { balance, ..GenesisAccount::default() }
}
