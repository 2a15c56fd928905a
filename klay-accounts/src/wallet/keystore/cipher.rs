//! One encrypted key.

use aes::Aes128;
use alloy_primitives::hex;
use ctr::{
    Ctr128BE,
    cipher::{KeyIvInit, StreamCipher},
};
use klay_core::keccak256;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::{
    KeystoreError,
    kdf::{Kdf, KdfParams},
};

/// Longest ciphertext and salt that are read, in bytes. Keys have 32.
const MAX_LEN: usize = 1024;

/// A key under AES-128-CTR with a key derived from a password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cipher {
    ciphertext: Vec<u8>,
    iv: [u8; 16],
    kdf: Kdf,
    salt: Vec<u8>,
    mac: [u8; 32],
}

#[derive(Serialize, Deserialize)]
struct Form {
    cipher: String,
    ciphertext: String,
    cipherparams: CipherParams,
    kdf: String,
    kdfparams: Value,
    mac: String,
}

#[derive(Serialize, Deserialize)]
struct CipherParams {
    iv: String,
}

impl Cipher {
    /// Reads a cipher object.
    pub(super) fn from_value(value: &Value) -> Result<Self, KeystoreError> {
        let form = Form::deserialize(value).map_err(|_| KeystoreError::Shape("cipher object"))?;
        if form.cipher != "aes-128-ctr" {
            return Err(KeystoreError::Cipher);
        }
        let params = KdfParams::from_value(&form.kdf, &form.kdfparams)?;
        Ok(Self {
            ciphertext: bytes(&form.ciphertext).ok_or(KeystoreError::Shape("ciphertext"))?,
            iv: fixed(&form.cipherparams.iv).ok_or(KeystoreError::Shape("iv is not of 16 bytes"))?,
            kdf: params.kdf,
            salt: bytes(&params.salt).ok_or(KeystoreError::Shape("salt"))?,
            mac: fixed(&form.mac).ok_or(KeystoreError::Shape("mac is not of 32 bytes"))?,
        })
    }

    /// Encrypts `secret` under a salt and an initialisation vector of its own.
    pub(super) fn encrypt(
        secret: &[u8; 32],
        password: &[u8],
        kdf: Kdf,
        entropy: &mut impl FnMut(&mut [u8]),
    ) -> Result<Self, KeystoreError> {
        let (mut salt, mut iv) = ([0; 32], [0; 16]);
        entropy(&mut salt);
        entropy(&mut iv);
        let derived = kdf.derive(password, &salt)?;
        let mut ciphertext = secret.to_vec();
        apply(&derived, &iv, &mut ciphertext);
        let mac = mac(&derived, &ciphertext);
        Ok(Self { ciphertext, iv, kdf, salt: salt.to_vec(), mac })
    }

    /// Checks the password, then decrypts.
    pub(super) fn decrypt(&self, password: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeystoreError> {
        let derived = self.kdf.derive(password, &self.salt)?;
        if !bool::from(mac(&derived, &self.ciphertext).ct_eq(&self.mac)) {
            return Err(KeystoreError::Mac);
        }
        let mut plain = Zeroizing::new(self.ciphertext.clone());
        apply(&derived, &self.iv, &mut plain);
        Ok(plain)
    }
}

impl Serialize for Cipher {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (kdf, kdfparams) = self.kdf.to_form(hex::encode(&self.salt));
        Form {
            cipher: "aes-128-ctr".to_owned(),
            ciphertext: hex::encode(&self.ciphertext),
            cipherparams: CipherParams { iv: hex::encode(self.iv) },
            kdf: kdf.to_owned(),
            kdfparams,
            mac: hex::encode(self.mac),
        }
        .serialize(serializer)
    }
}

/// Keccak-256 of the second half of the derived key and the ciphertext.
fn mac(derived: &[u8; 32], ciphertext: &[u8]) -> [u8; 32] {
    let mut covered = Zeroizing::new(derived[16..].to_vec());
    covered.extend_from_slice(ciphertext);
    keccak256(&*covered).0
}

fn apply(derived: &[u8; 32], iv: &[u8; 16], data: &mut [u8]) {
    let mut key = Zeroizing::new([0; 16]);
    key.copy_from_slice(&derived[..16]);
    Ctr128BE::<Aes128>::new((&*key).into(), iv.into()).apply_keystream(data);
}

fn bytes(text: &str) -> Option<Vec<u8>> {
    if text.len() > 2 * MAX_LEN + 2 {
        return None;
    }
    hex::decode(text).ok()
}

fn fixed<const N: usize>(text: &str) -> Option<[u8; N]> {
    bytes(text)?.try_into().ok()
}
