//! `klay export`: blocks in the reference client's export format.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Parser;
use flate2::{Compression, write::GzEncoder};
use klay_node::{Chain, chain::ChainOptions, export::export, metrics::Metrics, node::Data};
use serde_json::json;

use crate::{cli::Outcome, import::data_folder};

/// Write blocks as the reference client exports them: RLP, one after the other.
#[derive(Debug, Parser)]
#[command(after_help = "Examples:\n  \
    klay export --data ./chain blocks.rlp.gz\n  \
    klay export --data ./chain --first 1000 --last 1999 - | sha256sum")]
pub(crate) struct Export {
    /// Folder of the chain's data
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// First block; an importer has block 0 from its genesis
    #[arg(long, value_name = "N", default_value_t = 1)]
    first: u64,
    /// Last block; the head if not given
    #[arg(long, value_name = "N")]
    last: Option<u64>,
    /// Where to write; packed with gzip if the name ends in `.gz`; `-` is standard output
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

impl Export {
    pub(crate) fn run(self) -> Outcome {
        let data = Data::Folder(data_folder(self.data.as_deref())?);
        if !data.exists() {
            return Err("there is no chain: --data says where it is".into());
        }
        let chain = Chain::open_stored(data.open()?, ChainOptions::default(), &Metrics::default())?;
        let last = self.last.unwrap_or_else(|| chain.head().number());
        let blocks = self.first..=last;
        if self.file == Path::new("-") {
            export(&chain, blocks, BufWriter::new(io::stdout().lock()))?;
            return Ok(ExitCode::SUCCESS);
        }
        let failed = |error: io::Error| format!("{}: {error}", self.file.display());
        let file = BufWriter::new(File::create(&self.file).map_err(failed)?);
        let written = if self.file.extension().is_some_and(|extension| extension == "gz") {
            let mut packed = GzEncoder::new(file, Compression::default());
            let written = export(&chain, blocks, &mut packed)?;
            packed.finish().and_then(|mut file| file.flush()).map_err(failed)?;
            written
        } else {
            export(&chain, blocks, file)?
        };
        println!("{}", json!({ "exported": written, "first": self.first, "last": last }));
        Ok(ExitCode::SUCCESS)
    }
}
