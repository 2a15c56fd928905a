//! `klay tx`: transactions, one a line.

mod decode;
mod send;
mod sign;

use klay_core::Address;

use super::Outcome;

/// Decode, sign and send transactions.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Tx {
    /// Show raw transactions as JSON, one line each.
    ///
    /// Takes the form of the node (Ethereum's types behind 0x78) and Ethereum's own. Signers are recovered under the
    /// chain id that the signatures carry. A bad line gives {"error", "offset"} and exit code 1 at the end.
    #[command(
        after_help = "Example:\n  $ echo 0x38f864... | klay tx decode\n  {\"type\":\"TxTypeCancel\",\"typeInt\":56,...}"
    )]
    Decode {
        /// A raw transaction in hex; `-` or nothing reads lines from standard input.
        #[arg(value_name = "HEX|-")]
        input: Option<String>,
    },
    /// Sign as the sender, one transaction a line; writes raw hex.
    ///
    /// Builds the transaction from JSON or adds signatures to raw hex (multisig: one key after the other). Fee delegated
    /// types are written with placeholders for what the fee payer still has to add.
    #[command(
        after_help = "Example:\n  $ klay tx sign --chain-id 1337 --key-env ALICE '{\"typeInt\":8,\"from\":\"0x...\",\"to\":\"0x...\",\n      \"value\":\"0x1\",\"gas\":\"0x5208\",\"gasPrice\":\"0x5d21dba00\",\"nonce\":\"0x0\"}'\n  0x08f8..."
    )]
    Sign(sign::Signing),
    /// Sign as the fee payer, one transaction a line; writes raw hex.
    #[command(
        after_help = "Example:\n  $ klay tx sign-as-fee-payer --chain-id 1337 --key-env BOB 0x09f8...\n  0x09f8..."
    )]
    SignAsFeePayer {
        #[command(flatten)]
        signing: sign::Signing,
        /// The account that pays; by default the one in the transaction, or that of the key.
        #[arg(long, value_name = "ADDRESS")]
        fee_payer: Option<Address>,
    },
    /// Send raw transactions to a node, one line each; writes their hashes.
    #[command(after_help = "Example:\n  $ klay tx send --rpc http://127.0.0.1:8551 0x08f8...\n  0x8faa...")]
    Send(send::Sending),
}

impl Tx {
    pub(crate) fn run(self) -> Outcome {
        match self {
            Self::Decode { input } => super::lines::answer(input.as_deref(), decode::decode),
            Self::Sign(signing) => signing.sign(),
            Self::SignAsFeePayer { signing, fee_payer } => signing.sign_as_fee_payer(fee_payer),
            Self::Send(sending) => sending.run(),
        }
    }
}
