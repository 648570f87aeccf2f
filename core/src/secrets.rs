//! Secrets at rest: sealed with ChaCha20-Poly1305 under the master key, the key's id in the record.

use std::fmt;

use base64::{Engine, prelude::BASE64_STANDARD};
use chacha20poly1305::{
    ChaCha20Poly1305, KeyInit, Nonce,
    aead::{Aead, Payload},
};
use ed25519_dalek::SigningKey;
use hmac::{Hmac, Mac};
use rand::Rng;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::error::{Error, Result};

/// A text that must not be printed: `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps the text.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// 32 random lower-case hex digits: auth tokens and API key secrets.
    #[must_use]
    pub fn random_hex() -> Self {
        Self(hex::encode(random_bytes::<16>()))
    }

    /// A Standard Webhooks secret: `whsec_` and 32 random bytes in base64.
    #[must_use]
    pub fn random_webhook() -> Self {
        Self(format!("whsec_{}", BASE64_STANDARD.encode(random_bytes::<32>())))
    }

    /// A Standard Webhooks key pair for ed25519: `whsk_` and, in base64, the 32 bytes of the private and the 32 bytes of
    /// the public key.
    #[must_use]
    pub fn random_ed25519() -> Self {
        let pair = SigningKey::from_bytes(&random_bytes()).to_keypair_bytes();
        Self(format!("whsk_{}", BASE64_STANDARD.encode(pair)))
    }

    /// The text itself, for the moment of its use.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Compares in constant time.
    #[must_use]
    pub fn matches(&self, given: &str) -> bool {
        self.0.as_bytes().ct_eq(given.as_bytes()).into()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Random bytes from the operating system's generator.
#[must_use]
pub fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    rand::rng().fill_bytes(&mut bytes);
    bytes
}

/// The master key, ready to seal and open.
#[derive(Clone)]
pub struct Vault {
    cipher: ChaCha20Poly1305,
    deriver: Hmac<Sha256>,
    key_id: [u8; 4],
}

impl Vault {
    /// The length of the master key in bytes.
    pub const KEY_BYTES: usize = 32;

    /// A vault under this master key.
    #[must_use]
    pub fn new(master_key: [u8; Self::KEY_BYTES]) -> Self {
        let digest = Sha256::digest(master_key);
        // HMAC pads its key to a block of the hash with zeros.
        let mut block = [0; 64];
        block[..Self::KEY_BYTES].copy_from_slice(&master_key);
        Self {
            cipher: ChaCha20Poly1305::new(&master_key.into()),
            deriver: Hmac::<Sha256>::new(&block.into()),
            key_id: [digest[0], digest[1], digest[2], digest[3]],
        }
    }

    /// A key for one purpose, the same for every vault under this master key.
    #[must_use]
    pub fn derive(&self, purpose: &str) -> [u8; 16] {
        let mut mac = self.deriver.clone();
        mac.update(purpose.as_bytes());
        let digest: [u8; 32] = mac.finalize().into_bytes().into();
        let mut key = [0; 16];
        key.copy_from_slice(&digest[..16]);
        key
    }

    /// Seals `secret` for the record named by `context` (opening needs the same context, so that a sealed
    /// value cannot be moved to another record). Layout: version 1, key id (4), nonce (12), ciphertext.
    ///
    /// # Errors
    /// Never in practice; the cipher's own refusal of enormous inputs is passed on as internal.
    pub fn seal(&self, secret: &Secret, context: &str) -> Result<Vec<u8>> {
        let nonce = random_bytes::<12>();
        let sealed = self
            .cipher
            .encrypt(
                &Nonce::from(nonce),
                Payload {
                    msg: secret.expose().as_bytes(),
                    aad: context.as_bytes(),
                },
            )
            .map_err(|_| Error::internal("sealing failed"))?;
        let mut record = Vec::with_capacity(17 + sealed.len());
        record.push(1);
        record.extend_from_slice(&self.key_id);
        record.extend_from_slice(&nonce);
        record.extend_from_slice(&sealed);
        Ok(record)
    }

    /// Opens what [`Self::seal`] made.
    ///
    /// # Errors
    /// Internal, when the record was sealed under another master key, for another context, or was damaged.
    pub fn open(&self, record: &[u8], context: &str) -> Result<Secret> {
        let (Some(1), Some(key_id), Some(nonce), Some(sealed)) = (
            record.first(),
            record.get(1..5),
            record.get(5..17),
            record.get(17..),
        ) else {
            return Err(Error::internal("a sealed secret has an unknown format"));
        };
        if key_id != self.key_id {
            return Err(Error::internal(
                "a secret was sealed under another master key: HUBBUB_MASTER_KEY must be the one the database was filled with",
            ));
        }
        let nonce: [u8; 12] = nonce
            .try_into()
            .map_err(|_| Error::internal("a sealed secret has no nonce"))?;
        let open = self
            .cipher
            .decrypt(
                &Nonce::from(nonce),
                Payload {
                    msg: sealed,
                    aad: context.as_bytes(),
                },
            )
            .map_err(|_| Error::internal("a sealed secret cannot be opened"))?;
        String::from_utf8(open).map(Secret).map_err(Error::internal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_secret_opens_only_under_its_key_and_for_its_record() {
        let vault = Vault::new([7; 32]);
        let secret = Secret::random_hex();
        let sealed = vault.seal(&secret, "AC1").unwrap();
        assert_eq!(vault.open(&sealed, "AC1").unwrap(), secret);
        assert!(vault.open(&sealed, "AC2").is_err());
        assert!(Vault::new([8; 32]).open(&sealed, "AC1").is_err());
        assert!(
            !sealed
                .windows(8)
                .any(|window| secret.expose().as_bytes().starts_with(window))
        );
    }

    #[test]
    fn a_secret_is_not_printed() {
        assert_eq!(format!("{:?}", Secret::new("hush")), "Secret(…)");
    }
}
