//! Every instruction with its stack use, constant gas and computation cost, as rows; and the tables made of them.
//!
//! Source: spec 40, sections 1.3, 1.4, 1.13 and 3.2.

use super::Level;

/// What the instructions are under one level, by opcode.
#[derive(Debug, Clone, Copy)]
pub struct OpcodeTable {
    /// Whether the instruction exists.
    pub is_defined: [bool; 256],
    /// Fewest items that must be on the stack.
    pub min_stack: [u16; 256],
    /// Most items that may be on the stack.
    pub max_stack: [u16; 256],
    /// Gas that is taken before the computation cost is counted.
    pub constant_gas: [u16; 256],
    /// Gas that the interpreter takes ahead of an instruction. Differs from `constant_gas` where Klaytn counts a
    /// basic price among the dynamic gas.
    pub static_gas: [u16; 256],
    /// Computation cost; 0 where the instruction does not exist.
    pub cost: [u64; 256],
}

/// A value that changes at some levels: the last entry whose level is active counts.
type Steps = &'static [(Level, u32)];

/// One instruction, or a run of instructions that differ in nothing.
struct Row {
    first: u8,
    last: u8,
    pops: u16,
    pushes: u16,
    since: Level,
    gas: Steps,
    cost: Steps,
}

use Level::{Cancun as C, Genesis as G, Istanbul as I, Kore as K, London as L, Osaka as O, Shanghai as S};

const fn op(code: u8, pops: u16, pushes: u16, gas: Steps, cost: Steps) -> Row {
    Row { first: code, last: code, pops, pushes, since: G, gas, cost }
}

const fn run(first: u8, last: u8, pops: u16, pushes: u16, gas: Steps, cost: Steps) -> Row {
    Row { first, last, pops, pushes, since: G, gas, cost }
}

impl Row {
    const fn since(self, since: Level) -> Self {
        Self { since, ..self }
    }
}

const ZERO: Steps = &[(G, 0)];
const BASE: Steps = &[(G, 2)];
const VERY_LOW: Steps = &[(G, 3)];
const LOW: Steps = &[(G, 5)];
const MID: Steps = &[(G, 8)];
/// Accounts are read at this price; from Kore on it is the warm price and the rest is dynamic.
const CODE_READ: Steps = &[(G, 700), (K, 100)];

const ROWS: &[Row] = &[
    op(0x00, 0, 0, ZERO, ZERO),                                              // STOP
    op(0x01, 2, 1, VERY_LOW, &[(G, 150)]),                                   // ADD
    op(0x02, 2, 1, LOW, &[(G, 200)]),                                        // MUL
    op(0x03, 2, 1, VERY_LOW, &[(G, 219)]),                                   // SUB
    op(0x04, 2, 1, LOW, &[(G, 404)]),                                        // DIV
    op(0x05, 2, 1, LOW, &[(G, 739), (C, 360)]),                              // SDIV
    op(0x06, 2, 1, LOW, &[(G, 812), (C, 320)]),                              // MOD
    op(0x07, 2, 1, LOW, &[(G, 560)]),                                        // SMOD
    op(0x08, 3, 1, MID, &[(G, 3349), (I, 1410), (C, 360)]),                  // ADDMOD
    op(0x09, 3, 1, MID, &[(G, 4757), (I, 1760), (C, 700)]),                  // MULMOD
    op(0x0a, 2, 1, ZERO, &[(G, 5000), (C, 720)]),                            // EXP
    op(0x0b, 2, 1, LOW, &[(G, 481)]),                                        // SIGNEXTEND
    op(0x10, 2, 1, VERY_LOW, &[(G, 201)]),                                   // LT
    op(0x11, 2, 1, VERY_LOW, &[(G, 264)]),                                   // GT
    op(0x12, 2, 1, VERY_LOW, &[(G, 176)]),                                   // SLT
    op(0x13, 2, 1, VERY_LOW, &[(G, 222)]),                                   // SGT
    op(0x14, 2, 1, VERY_LOW, &[(G, 220)]),                                   // EQ
    op(0x15, 1, 1, VERY_LOW, &[(G, 165)]),                                   // ISZERO
    op(0x16, 2, 1, VERY_LOW, &[(G, 288)]),                                   // AND
    op(0x17, 2, 1, VERY_LOW, &[(G, 160)]),                                   // OR
    op(0x18, 2, 1, VERY_LOW, &[(G, 657), (I, 454)]),                         // XOR
    op(0x19, 1, 1, VERY_LOW, &[(G, 1289), (I, 364)]),                        // NOT
    op(0x1a, 2, 1, VERY_LOW, &[(G, 589)]),                                   // BYTE
    op(0x1b, 2, 1, VERY_LOW, &[(G, 1603), (I, 478)]),                        // SHL
    op(0x1c, 2, 1, VERY_LOW, &[(G, 1346), (I, 498)]),                        // SHR
    op(0x1d, 2, 1, VERY_LOW, &[(G, 1815), (I, 834)]),                        // SAR
    op(0x1e, 1, 1, LOW, ZERO).since(O),                                      // CLZ
    op(0x20, 2, 1, &[(G, 30)], &[(G, 2465), (C, 560)]),                      // SHA3
    op(0x30, 0, 1, BASE, &[(G, 284)]),                                       // ADDRESS
    op(0x31, 1, 1, &[(G, 400), (I, 700), (K, 100)], &[(G, 1407)]),           // BALANCE
    op(0x32, 0, 1, BASE, &[(G, 210)]),                                       // ORIGIN
    op(0x33, 0, 1, BASE, &[(G, 188)]),                                       // CALLER
    op(0x34, 0, 1, BASE, &[(G, 149)]),                                       // CALLVALUE
    op(0x35, 1, 1, VERY_LOW, &[(G, 596)]),                                   // CALLDATALOAD
    op(0x36, 0, 1, BASE, &[(G, 194)]),                                       // CALLDATASIZE
    op(0x37, 3, 0, VERY_LOW, &[(G, 100)]),                                   // CALLDATACOPY
    op(0x38, 0, 1, BASE, &[(G, 145)]),                                       // CODESIZE
    op(0x39, 3, 0, VERY_LOW, &[(G, 898)]),                                   // CODECOPY
    op(0x3a, 0, 1, BASE, &[(G, 131)]),                                       // GASPRICE
    op(0x3b, 1, 1, CODE_READ, &[(G, 1481)]),                                 // EXTCODESIZE
    op(0x3c, 4, 0, CODE_READ, &[(G, 1000)]),                                 // EXTCODECOPY
    op(0x3d, 0, 1, BASE, &[(G, 10)]),                                        // RETURNDATASIZE
    op(0x3e, 3, 0, VERY_LOW, &[(G, 40)]),                                    // RETURNDATACOPY
    op(0x3f, 1, 1, &[(G, 400), (I, 700), (K, 100), (C, 400)], &[(G, 1000)]), // EXTCODEHASH
    op(0x40, 1, 1, &[(G, 20)], &[(G, 500)]),                                 // BLOCKHASH
    op(0x41, 0, 1, BASE, &[(G, 189)]),                                       // COINBASE
    op(0x42, 0, 1, BASE, &[(G, 265)]),                                       // TIMESTAMP
    op(0x43, 0, 1, BASE, &[(G, 202)]),                                       // NUMBER
    op(0x44, 0, 1, BASE, &[(G, 180), (K, 1498)]),                            // DIFFICULTY, RANDOM
    op(0x45, 0, 1, BASE, &[(G, 166)]),                                       // GASLIMIT
    op(0x46, 0, 1, BASE, &[(G, 120)]).since(I),                              // CHAINID
    op(0x47, 0, 1, LOW, &[(G, 374)]).since(I),                               // SELFBALANCE
    op(0x48, 0, 1, BASE, &[(G, 198)]).since(L),                              // BASEFEE
    op(0x49, 1, 1, VERY_LOW, &[(G, 165)]).since(C),                          // BLOBHASH
    op(0x4a, 0, 1, BASE, &[(G, 120)]).since(C),                              // BLOBBASEFEE
    op(0x50, 1, 0, BASE, &[(G, 140)]),                                       // POP
    op(0x51, 1, 1, VERY_LOW, &[(G, 376)]),                                   // MLOAD
    op(0x52, 2, 0, VERY_LOW, &[(G, 288)]),                                   // MSTORE
    op(0x53, 2, 0, VERY_LOW, &[(G, 5142), (C, 230)]),                        // MSTORE8
    op(0x54, 1, 1, &[(G, 200), (I, 800), (K, 0)], &[(G, 835), (C, 2550)]),   // SLOAD
    op(0x55, 2, 0, ZERO, &[(G, 1548), (C, 2510)]),                           // SSTORE
    op(0x56, 1, 0, MID, &[(G, 253)]),                                        // JUMP
    op(0x57, 2, 0, &[(G, 10)], &[(G, 176)]),                                 // JUMPI
    op(0x58, 0, 1, BASE, &[(G, 147)]),                                       // PC
    op(0x59, 0, 1, BASE, &[(G, 137)]),                                       // MSIZE
    op(0x5a, 0, 1, BASE, &[(G, 230)]),                                       // GAS
    op(0x5b, 0, 0, &[(G, 1)], &[(G, 10)]),                                   // JUMPDEST
    op(0x5c, 1, 1, &[(G, 100)], &[(G, 220)]).since(C),                       // TLOAD
    op(0x5d, 2, 0, &[(G, 100)], &[(G, 280)]).since(C),                       // TSTORE
    op(0x5e, 3, 0, VERY_LOW, &[(G, 250)]).since(C),                          // MCOPY
    op(0x5f, 0, 1, BASE, &[(G, 80)]).since(S),                               // PUSH0
    run(0x60, 0x7f, 0, 1, VERY_LOW, &[(G, 120)]),                            // PUSH1 to PUSH32
    op(0xa0, 2, 0, ZERO, &[(G, 100)]),                                       // LOG0
    op(0xa1, 3, 0, ZERO, &[(G, 1000), (C, 500)]),                            // LOG1
    op(0xa2, 4, 0, ZERO, &[(G, 1000), (C, 500)]),                            // LOG2
    op(0xa3, 5, 0, ZERO, &[(G, 1000), (C, 500)]),                            // LOG3
    op(0xa4, 6, 0, ZERO, &[(G, 1000), (C, 500)]),                            // LOG4
    op(0xf0, 3, 1, &[(G, 32000)], &[(G, 2094)]),                             // CREATE
    op(0xf1, 7, 1, CODE_READ, &[(G, 5000)]),                                 // CALL
    op(0xf2, 7, 1, CODE_READ, &[(G, 4000)]),                                 // CALLCODE
    op(0xf3, 2, 0, ZERO, ZERO),                                              // RETURN
    op(0xf4, 6, 1, CODE_READ, &[(G, 696)]),                                  // DELEGATECALL
    op(0xf5, 4, 1, &[(G, 32000)], &[(G, 10000)]),                            // CREATE2
    op(0xfa, 6, 1, CODE_READ, &[(G, 10000)]),                                // STATICCALL
    op(0xfd, 2, 0, ZERO, ZERO),                                              // REVERT
    op(0xff, 1, 0, &[(G, 0), (K, 5000)], ZERO),                              // SELFDESTRUCT
];

const DUP_COST: [u32; 16] = [190, 190, 176, 142, 177, 165, 147, 157, 138, 174, 141, 144, 157, 143, 237, 149];
const SWAP_COST: [u32; 16] = [141, 156, 145, 135, 115, 146, 199, 130, 160, 134, 147, 128, 121, 114, 197, 128];

/// Basic prices that the interpreter takes up front and Klaytn counts as dynamic gas.
const UP_FRONT: &[(u8, Steps)] = &[
    (0x0a, &[(G, 10)]),                      // EXP
    (0x54, &[(G, 200), (I, 800), (K, 100)]), // SLOAD
    (0xa0, &[(G, 375)]),                     // LOG0 to LOG4
    (0xa1, &[(G, 375)]),
    (0xa2, &[(G, 375)]),
    (0xa3, &[(G, 375)]),
    (0xa4, &[(G, 375)]),
    (0xff, &[(G, 5000)]), // SELFDESTRUCT
];

/// Deepest stack.
const STACK_LIMIT: u16 = 1024;

const fn at(steps: Steps, level: Level) -> u32 {
    let mut value = 0;
    let mut i = 0;
    while i < steps.len() {
        if level.is_since(steps[i].0) {
            value = steps[i].1;
        }
        i += 1;
    }
    value
}

const fn build(level: Level) -> OpcodeTable {
    let mut table = OpcodeTable {
        is_defined: [false; 256],
        min_stack: [0; 256],
        max_stack: [STACK_LIMIT; 256],
        constant_gas: [0; 256],
        static_gas: [0; 256],
        cost: [0; 256],
    };
    let mut r = 0;
    while r < ROWS.len() {
        let row = &ROWS[r];
        let mut code = row.first as usize;
        while code <= row.last as usize {
            if level.is_since(row.since) {
                define(&mut table, code, row.pops, row.pushes, at(row.gas, level), at(row.cost, level));
            }
            code += 1;
        }
        r += 1;
    }
    let mut n = 0;
    while n < 16 {
        define(&mut table, 0x80 + n, n as u16 + 1, n as u16 + 2, 3, DUP_COST[n]);
        define(&mut table, 0x90 + n, n as u16 + 2, n as u16 + 2, 3, SWAP_COST[n]);
        n += 1;
    }
    let mut u = 0;
    while u < UP_FRONT.len() {
        table.static_gas[UP_FRONT[u].0 as usize] = at(UP_FRONT[u].1, level) as u16;
        u += 1;
    }
    table
}

const fn define(table: &mut OpcodeTable, code: usize, pops: u16, pushes: u16, gas: u32, cost: u32) {
    table.is_defined[code] = true;
    table.min_stack[code] = pops;
    table.max_stack[code] = STACK_LIMIT + pops - pushes;
    table.constant_gas[code] = gas as u16;
    table.static_gas[code] = gas as u16;
    table.cost[code] = cost as u64;
}

/// As [`build`], where the hash of code is as cheap as Ethereum has it.
const fn build_ethereum(level: Level) -> OpcodeTable {
    const EXTCODEHASH: usize = 0x3f;
    let mut table = build(level);
    if level.is_since(Level::Cancun) {
        table.constant_gas[EXTCODEHASH] = 100;
        table.static_gas[EXTCODEHASH] = 100;
    }
    table
}

const fn tables(ethereum: bool) -> [OpcodeTable; Level::ALL.len()] {
    let mut tables = [build(Level::ALL[0]); Level::ALL.len()];
    let mut n = 0;
    while n < tables.len() {
        let level = Level::ALL[n];
        tables[n] = if ethereum { build_ethereum(level) } else { build(level) };
        n += 1;
    }
    tables
}

static TABLES: [OpcodeTable; Level::ALL.len()] = tables(false);
static ETHEREUM_TABLES: [OpcodeTable; Level::ALL.len()] = tables(true);

pub(super) fn table(level: Level) -> &'static OpcodeTable {
    &TABLES[level as usize]
}

pub(super) fn ethereum_table(level: Level) -> &'static OpcodeTable {
    &ETHEREUM_TABLES[level as usize]
}

#[cfg(test)]
mod tests {
    use revm::interpreter::instructions::gas_table_spec;

    use super::*;

    /// Sum of the costs of `code`, taking no jumps.
    fn cost(level: Level, code: &[u8]) -> u64 {
        code.iter().map(|op| level.opcodes().cost[*op as usize]).sum()
    }

    #[test]
    fn costs_of_the_examples_in_the_specification() {
        // PUSH1, PUSH1, ADD, STOP; JUMPDEST, PUSH1, JUMP. Source: spec 40, section 3.2.
        assert_eq!(cost(Level::Osaka, &[0x60, 0x60, 0x01, 0x00]), 390);
        assert_eq!(cost(Level::Genesis, &[0x5b, 0x60, 0x56]), 383);
    }

    #[test]
    fn no_instruction_costs_more_per_gas_than_the_metering_bound_assumes() {
        for level in Level::ALL {
            let table = level.opcodes();
            let bound = level.computation_cost_limit() / level.unmetered_gas() + 1;
            for code in 0..256 {
                let gas = u64::from(table.static_gas[code]);
                // Instructions without constant gas cost at least 100 gas, or end the frame and cost nothing.
                let gas = if gas == 0 { 100 } else { gas };
                assert!(table.cost[code] <= gas * bound, "{level:?} {code:#04x}");
            }
        }
    }

    #[test]
    fn static_gas_differs_from_ethereum_where_klaytn_does() {
        for level in Level::ALL {
            let (ours, theirs) = (level.opcodes(), gas_table_spec(level.spec_id()));
            for (code, theirs) in theirs.into_iter().enumerate().filter(|(code, _)| ours.is_defined[*code]) {
                let expected = match code {
                    // Creation is paid before its data, and the hash of code has one price since Cancun.
                    0xf0 | 0xf5 => 32_000,
                    0x3f if level.is_since(Level::Cancun) => 400,
                    _ => theirs,
                };
                assert_eq!(ours.static_gas[code], expected, "{level:?} {code:#04x}");
                let expected = if code == 0x3f { theirs } else { expected };
                assert_eq!(level.ethereum_opcodes().static_gas[code], expected, "{level:?} {code:#04x}");
            }
        }
    }
}
