//! `klay tx`: transactions, one a line.

mod decode;

use super::Outcome;

/// Decode, sign and send transactions.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Tx {
    /// Show raw transactions as JSON, one line each.
    ///
    /// Takes the form of the node (Ethereum's types behind 0x78) and Ethereum's own. Signers are recovered under the
    /// chain id that the signatures carry. A bad line gives {"error", "offset"} and exit code 1 at the end.
    #[command(after_help = "Example:\n  $ echo 0x38f864... | klay tx decode\n  {\"type\":\"TxTypeCancel\",\"typeInt\":56,...}")]
    Decode {
        /// A raw transaction in hex; `-` or nothing reads lines from standard input.
        #[arg(value_name = "HEX|-")]
        input: Option<String>,
    },
}

impl Tx {
    pub(crate) fn run(self) -> Outcome {
        match self {
            Self::Decode { input } => super::lines::answer(input.as_deref(), decode::decode),
        }
    }
}
