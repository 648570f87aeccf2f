//! Standard Webhooks signatures, version `v1` (HMAC-SHA256). See <https://www.standardwebhooks.com>.

use std::fmt;

use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose::STANDARD},
};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Names one event at one endpoint: the same over all attempts.
pub const ID_HEADER: &str = "webhook-id";
/// Unix seconds of this attempt.
pub const TIMESTAMP_HEADER: &str = "webhook-timestamp";
/// What [`sign`] returns.
pub const SIGNATURE_HEADER: &str = "webhook-signature";

const PREFIX: &str = "whsec_";
/// Secrets in the field come with and without padding.
const SECRET_BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A signing secret, decoded. Its debug form does not show it.
#[derive(Clone)]
pub struct Secret(Hmac<Sha256>);

/// The text is not `whsec_` and base64 of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a webhook secret is whsec_ followed by base64")]
pub struct InvalidSecret;

impl Secret {
    /// Reads `whsec_…`.
    ///
    /// # Errors
    /// [`InvalidSecret`] when it is anything else.
    pub fn parse(text: &str) -> Result<Self, InvalidSecret> {
        let encoded = text.strip_prefix(PREFIX).ok_or(InvalidSecret)?;
        let key = SECRET_BASE64.decode(encoded).map_err(|_| InvalidSecret)?;
        if key.is_empty() {
            return Err(InvalidSecret);
        }
        Hmac::new_from_slice(&key).map(Self).map_err(|_| InvalidSecret)
    }

    fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> String {
        let mut mac = self.0.clone();
        mac.update(format!("{id}.{timestamp}.").as_bytes());
        mac.update(body);
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
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
    fn a_secret_is_parsed_with_care_and_not_shown() {
        assert!(
            Secret::parse("whsec_bmV3IHNlY3JldA").is_ok(),
            "padding is optional"
        );
        for wrong in [
            "",
            "whsec_",
            "bmV3IHNlY3JldA==",
            "whsec_?",
            "whsk_bmV3IHNlY3JldA==",
        ] {
            assert_eq!(Secret::parse(wrong).err(), Some(InvalidSecret), "{wrong}");
        }
        assert_eq!(format!("{:?}", Secret::parse(SECRET).unwrap()), "Secret(…)");
    }
}
