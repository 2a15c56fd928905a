//! Where secret keys come from: a keystore file, an environment variable or standard input, never an argument.

use std::{env, error::Error, fs, io::Read, path::PathBuf};

use klay_accounts::wallet::{Keyring, Keystore, SecretKey};
use klay_core::{Address, Role, Sign};
use zeroize::Zeroizing;

/// Environment variable with the password of a keystore.
const PASSWORD: &str = "KLAY_PASSWORD";

/// Most bytes that are read as keys or as a keystore file.
const MAX_BYTES: u64 = 1024 * 1024;

/// The keys to sign with.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub(super) struct KeySource {
    /// A keystore file of version 3 or 4; its password is in KLAY_PASSWORD or in the file of --password-file.
    #[arg(long, value_name = "FILE")]
    keystore: Option<PathBuf>,
    /// Names of environment variables that hold a secret key in hex each; several for a multisig.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    key_env: Vec<String>,
    /// Read secret keys in hex from standard input, one line each; the transaction is then an argument.
    #[arg(long)]
    key_stdin: bool,
}

/// Keys at hand.
pub(super) enum Keys {
    /// Of an account, by role.
    Ring(Box<Keyring>),
    /// As given, for whatever role.
    Plain(Vec<SecretKey>),
}

impl KeySource {
    /// Whether standard input holds keys.
    pub(super) const fn takes_stdin(&self) -> bool {
        self.key_stdin
    }

    /// Reads the keys.
    pub(super) fn read(&self, password_file: Option<&PathBuf>) -> Result<Keys, Box<dyn Error>> {
        if let Some(path) = &self.keystore {
            let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
            let ring = Keystore::from_json(&text)?.decrypt(password(password_file)?.as_bytes())?;
            return Ok(Keys::Ring(Box::new(ring)));
        }
        if self.key_stdin {
            let mut text = Zeroizing::new(String::new());
            std::io::stdin().lock().take(MAX_BYTES).read_to_string(&mut text)?;
            return keys(text.lines().map(str::trim).filter(|line| !line.is_empty()));
        }
        let texts = self
            .key_env
            .iter()
            .map(|name| env::var(name).map(Zeroizing::new).map_err(|error| format!("{name}: {error}")))
            .collect::<Result<Vec<_>, _>>()?;
        keys(texts.iter().map(|text| text.trim()))
    }
}

impl Keys {
    /// The signers for `role`.
    pub(super) fn signers(&self, role: Role) -> Result<Vec<&dyn Sign>, Box<dyn Error>> {
        let list = match self {
            Self::Ring(ring) => ring.keys(role)?,
            Self::Plain(list) => list,
        };
        Ok(list.iter().map(|key| key as &dyn Sign).collect())
    }

    /// The account that the keys belong to, as far as they say: that of the keyring, or of a single key.
    pub(super) fn address(&self) -> Option<Address> {
        match self {
            Self::Ring(ring) => Some(ring.address()),
            Self::Plain(list) => match list.as_slice() {
                [key] => Some(key.address()),
                _ => None,
            },
        }
    }
}

fn keys<'a>(texts: impl Iterator<Item = &'a str>) -> Result<Keys, Box<dyn Error>> {
    let list = texts.map(|text| text.parse::<SecretKey>()).collect::<Result<Vec<_>, _>>()?;
    if list.is_empty() {
        return Err("no secret key given".into());
    }
    Ok(Keys::Plain(list))
}

fn password(file: Option<&PathBuf>) -> Result<Zeroizing<String>, Box<dyn Error>> {
    let text = match file {
        Some(path) => fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?,
        None => env::var(PASSWORD).map_err(|error| format!("{PASSWORD}: {error}"))?,
    };
    let text = Zeroizing::new(text);
    Ok(Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned()))
}
