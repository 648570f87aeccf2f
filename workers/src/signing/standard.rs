//! Standard Webhooks signatures: `v1` (HMAC-SHA256) and `v1a` (ed25519). See <https://www.standardwebhooks.com>.

use std::fmt;

use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose::STANDARD},
};
use ed25519_dalek::{Signer, SigningKey};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Names one event at one endpoint: the same over all attempts.
pub const ID_HEADER: &str = "webhook-id";
/// Unix seconds of this attempt.
pub const TIMESTAMP_HEADER: &str = "webhook-timestamp";
/// What [`sign`] returns.
pub const SIGNATURE_HEADER: &str = "webhook-signature";

const HMAC_PREFIX: &str = "whsec_";
const ED25519_PREFIX: &str = "whsk_";
/// Secrets in the field come with and without padding.
const SECRET_BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A signing secret, decoded. Its debug form does not show it.
#[derive(Clone)]
pub struct Secret(Key);

#[derive(Clone)]
enum Key {
    Hmac(Hmac<Sha256>),
    Ed25519(Box<SigningKey>),
}

/// The text is neither `whsec_` and base64 of something, nor `whsk_` and base64 of an ed25519 key pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a webhook secret is whsec_ followed by base64, or whsk_ followed by an ed25519 key pair in base64")]
pub struct InvalidSecret;

impl Secret {
    /// Reads `whsec_…` or `whsk_…`.
    ///
    /// # Errors
    /// [`InvalidSecret`] when it is anything else.
    pub fn parse(text: &str) -> Result<Self, InvalidSecret> {
        let decode = |encoded: &str| SECRET_BASE64.decode(encoded).map_err(|_| InvalidSecret);
        if let Some(encoded) = text.strip_prefix(ED25519_PREFIX) {
            let pair = decode(encoded)?.try_into().map_err(|_| InvalidSecret)?;
            let key = SigningKey::from_keypair_bytes(&pair).map_err(|_| InvalidSecret)?;
            return Ok(Self(Key::Ed25519(Box::new(key))));
        }
        let key = decode(text.strip_prefix(HMAC_PREFIX).ok_or(InvalidSecret)?)?;
        if key.is_empty() {
            return Err(InvalidSecret);
        }
        let mac = Hmac::new_from_slice(&key).map_err(|_| InvalidSecret)?;
        Ok(Self(Key::Hmac(mac)))
    }

    fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> String {
        let head = format!("{id}.{timestamp}.");
        match &self.0 {
            Key::Hmac(mac) => {
                let mut mac = mac.clone();
                mac.update(head.as_bytes());
                mac.update(body);
                format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
            }
            Key::Ed25519(key) => {
                let signature = key.sign(&[head.as_bytes(), body].concat());
                format!("v1a,{}", STANDARD.encode(signature.to_bytes()))
            }
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// The value of `webhook-signature`: one signature for each secret, so that receivers can change over from the old to
/// the new one while both sign. `timestamp` is in Unix seconds; `id` must contain no dot and not be a tenant's choice;
/// `body` is what is sent, to the byte (for GET the raw query string).
#[must_use]
pub fn sign<'a>(
    secrets: impl IntoIterator<Item = &'a Secret>,
    id: &str,
    timestamp: i64,
    body: &[u8],
) -> String {
    debug_assert!(
        !id.contains('.'),
        "a dot in the id makes the signed text ambiguous"
    );
    let signatures: Vec<_> = secrets
        .into_iter()
        .map(|secret| secret.sign(id, timestamp, body))
        .collect();
    signatures.join(" ")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const BODY: &[u8] = br#"{"test": 2432232314}"#;
    const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

    #[test]
    fn the_known_answer_of_the_specification() {
        let secret = Secret::parse(SECRET).unwrap();
        assert_eq!(sign([&secret], ID, 1_614_265_330, BODY), SIGNATURE);
    }

    #[test]
    fn each_secret_signs() {
        let (old, new) = (
            Secret::parse(SECRET).unwrap(),
            Secret::parse("whsec_bmV3IHNlY3JldA==").unwrap(),
        );
        let value = sign([&new, &old], ID, 1_614_265_330, BODY);
        let signatures: Vec<_> = value.split(' ').collect();
        assert_eq!(signatures.len(), 2);
        assert_ne!(signatures[0], SIGNATURE);
        assert_eq!(signatures[1], SIGNATURE);
    }

    #[test]
    fn an_ed25519_key_signs_what_its_public_half_verifies() {
        let text = hubbub_core::Secret::random_ed25519();
        let secret = Secret::parse(text.expose()).unwrap();
        let value = sign([&secret], ID, 1_614_265_330, BODY);
        let signature = STANDARD.decode(value.strip_prefix("v1a,").unwrap()).unwrap();
        let signature = ed25519_dalek::Signature::from_slice(&signature).unwrap();
        let Key::Ed25519(key) = &secret.0 else {
            panic!("{text:?} is an ed25519 key");
        };
        let signed = [format!("{ID}.1614265330.").as_bytes(), BODY].concat();
        key.verifying_key().verify_strict(&signed, &signature).unwrap();
        for wrong in ["whsk_", "whsk_bmV3IHNlY3JldA==", &text.expose()[..60]] {
            assert_eq!(Secret::parse(wrong).err(), Some(InvalidSecret), "{wrong}");
        }
    }

    #[test]
    fn a_secret_is_parsed_with_care_and_not_shown() {
        assert!(
            Secret::parse("whsec_bmV3IHNlY3JldA").is_ok(),
            "padding is optional"
        );
        for wrong in ["", "whsec_", "bmV3IHNlY3JldA==", "whsec_?"] {
            assert_eq!(Secret::parse(wrong).err(), Some(InvalidSecret), "{wrong}");
        }
        assert_eq!(format!("{:?}", Secret::parse(SECRET).unwrap()), "Secret(…)");
    }
}
