//! Access tokens, before anything about them is believed: whatever is let in, jsonwebtoken lets in as well, and reads
//! the same of it.
//!
//! An input is a token; or the header and the claims of one on two lines, which is then signed. An `@` is a moment ten
//! minutes from now.

#![no_main]

use std::sync::LazyLock;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use hubbub_core::{Secret, Timestamp, access_tokens};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Validation, crypto};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

const SECRET: &str = "0123456789abcdef0123456789abcdef";
const DAY: i64 = 86_400;
const ALGORITHMS: [Algorithm; 3] = [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512];

static ENCODING: LazyLock<EncodingKey> = LazyLock::new(|| EncodingKey::from_secret(SECRET.as_bytes()));
static DECODING: LazyLock<DecodingKey> = LazyLock::new(|| DecodingKey::from_secret(SECRET.as_bytes()));

/// The token of a header and claims, signed by the algorithm that the header seems to name.
fn signed(header: &str, claims: &str) -> String {
    let [header_part, claims] = [header, claims].map(|part| BASE64_URL_SAFE_NO_PAD.encode(part));
    let algorithm = ALGORITHMS
        .into_iter()
        .find(|algorithm| header.contains(&format!("{algorithm:?}")))
        .unwrap_or(Algorithm::HS256);
    let message = format!("{header_part}.{claims}");
    let signature = crypto::sign(message.as_bytes(), &ENCODING, algorithm).expect("a signature");
    format!("{message}.{signature}")
}

fuzz_target!(|text: &str| {
    let now = Timestamp::now().unix_seconds();
    let token = match text.split_once('\n') {
        Some((header, claims)) => signed(header, &claims.replace('@', &(now + 600).to_string())),
        None => text.to_owned(),
    };
    let Ok((issued, expires, identity, _)) = access_tokens::read(&token, &Secret::new(SECRET), now) else {
        return;
    };
    assert!(now < expires && expires <= now + DAY + 60 && expires - issued <= DAY);
    // It has leeway at both ends, so the second that may pass meanwhile is no matter.
    let mut validation = Validation::new(Algorithm::HS256);
    validation.algorithms = ALGORITHMS.to_vec();
    validation.validate_nbf = true;
    validation.validate_aud = false;
    let theirs =
        jsonwebtoken::decode::<Value>(&token, &DECODING, &validation).expect("a token that is right");
    let claims = theirs.claims;
    assert_eq!(claims["exp"].as_f64().map(|exp| exp as i64), Some(expires));
    let named = &claims["grants"]["identity"];
    let named = named.as_str().map_or_else(|| named.to_string(), str::to_owned);
    assert_eq!(named, identity.as_str());
});
