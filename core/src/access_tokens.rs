//! Access tokens of users: JWTs in Twilio's format, signed with an API key's secret, minted anywhere.

use std::time::Duration;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    api_keys,
    ctx::{Core, KeyScope},
    entities::api_key,
    error::{Error, ErrorCode, Result},
    input::Identity,
    secrets::Secret,
    sid::{AccountSid, ApiKeySid, ServiceSid},
    timestamp::Timestamp,
};

/// The longest life of a token.
pub const MAX_LIFE: Duration = Duration::from_secs(24 * 3600);
/// The life of a token when none is asked for.
pub const DEFAULT_LIFE: Duration = Duration::from_secs(3600);
/// How far the clocks of token makers may be off.
const LEEWAY_SECONDS: i64 = 60;

/// What a valid token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessToken {
    /// The account of its service.
    pub account: AccountSid,
    /// The key that signed it, whose scope is the token's.
    pub key: KeyScope,
    /// When that key ends, and every token of it.
    pub key_expires: Option<Timestamp>,
    /// The service it opens.
    pub service: ServiceSid,
    /// The user.
    pub identity: Identity,
    /// When it began: `iat`, `nbf`, or now.
    pub issued: Timestamp,
    /// When it ends.
    pub expires: Timestamp,
}

#[derive(Deserialize)]
struct Claims {
    iss: Option<String>,
    sub: Option<String>,
    exp: Option<Value>,
    nbf: Option<Value>,
    iat: Option<Value>,
    grants: Option<Grants>,
}

#[derive(Deserialize)]
struct Grants {
    identity: Option<Value>,
    chat: Option<ChatGrant>,
    /// What older libraries call it.
    ip_messaging: Option<ChatGrant>,
}

#[derive(Deserialize)]
struct ChatGrant {
    service_sid: Option<String>,
}

/// Checks a token: form (20101), algorithm (20107), key and account (20103), signature (20107), the account's status
/// (20005), expiry (20104), beginning (20105), life (20157), grants and service (20106).
///
/// # Errors
/// One of those, or whatever the database refuses.
pub async fn verify(core: &Core, token: &str) -> Result<AccessToken> {
    let (header, claims) = parse(token).ok_or(ErrorCode::TokenInvalid)?;
    let algorithm = algorithm(&header)?;
    let issuer = || Error::new(ErrorCode::TokenIssuer);
    let key: ApiKeySid = claims
        .iss
        .as_deref()
        .and_then(|iss| iss.parse().ok())
        .ok_or_else(issuer)?;
    let account: AccountSid = claims
        .sub
        .as_deref()
        .and_then(|sub| sub.parse().ok())
        .ok_or_else(issuer)?;
    let known = core
        .lookups
        .key(key)
        .await?
        .filter(|known| known.key.account_id == account)
        .ok_or_else(issuer)?;
    let row = &known.key;
    if row.has_expired(Timestamp::now()) {
        return Err(Error::with(
            ErrorCode::TokenIssuer,
            format!("Invalid access token issuer: the API key {key} has expired (DateExpires)"),
        ));
    }
    check_signature(token, algorithm, &api_keys::secret(&core.vault, row)?)?;
    if !known.active {
        return Err(ErrorCode::AccountNotActive.into());
    }

    let (issued, expires) = life_of(&claims, Timestamp::now().unix_seconds())?;
    let (identity, service) = granted(claims.grants)?;
    if row.service_id.is_some_and(|only| only != service) {
        return Err(Error::with(
            ErrorCode::TokenGrants,
            format!(
                "Invalid access token grants: the API key {key} signs for another service only (ServiceSid)"
            ),
        ));
    }
    if core.lookups.service(account, service).await?.is_none() {
        return Err(Error::with(
            ErrorCode::TokenGrants,
            format!("Invalid access token grants: the service {service} does not exist"),
        ));
    }
    core.key_use.note(account, key);
    Ok(AccessToken {
        account,
        key: row.scope(),
        key_expires: row.date_expires,
        service,
        identity,
        issued: Timestamp::from_unix_seconds(issued),
        expires: Timestamp::from_unix_seconds(expires),
    })
}

fn algorithm(header: &Value) -> Result<Algorithm> {
    match header.get("alg").and_then(Value::as_str) {
        Some("HS256") => Ok(Algorithm::HS256),
        Some("HS384") => Ok(Algorithm::HS384),
        Some("HS512") => Ok(Algorithm::HS512),
        _ => Err(ErrorCode::TokenSignature.into()),
    }
}

/// When a token began and when it ends, in seconds since 1970; it has begun, has not ended and does not last too long.
fn life_of(claims: &Claims, now: i64) -> Result<(i64, i64)> {
    let expires = claims
        .exp
        .as_ref()
        .and_then(seconds)
        .ok_or(ErrorCode::TokenExpired)?;
    if expires <= now {
        return Err(ErrorCode::TokenExpired.into());
    }
    let begins = claims.nbf.as_ref().and_then(seconds);
    if begins.is_some_and(|begins| begins > now + LEEWAY_SECONDS) {
        return Err(ErrorCode::TokenNotYetValid.into());
    }
    let issued = claims.iat.as_ref().and_then(seconds).or(begins).unwrap_or(now);
    let max_life = i64::try_from(MAX_LIFE.as_secs()).unwrap_or(i64::MAX);
    let too_long = expires.saturating_sub(issued) > max_life;
    if too_long || expires.saturating_sub(now) > max_life + LEEWAY_SECONDS {
        return Err(ErrorCode::TokenLifetime.into());
    }
    Ok((issued, expires))
}

/// Who a token speaks for, and the service it opens.
fn granted(grants: Option<Grants>) -> Result<(Identity, ServiceSid)> {
    let grants = grants.ok_or(ErrorCode::TokenGrants)?;
    let identity = match grants.identity {
        Some(Value::String(identity)) => identity,
        Some(Value::Number(identity)) => identity.to_string(),
        _ => {
            return Err(Error::with(
                ErrorCode::TokenGrants,
                "Invalid access token grants: grants.identity is missing",
            ));
        }
    };
    let identity = Identity::parse(&identity).map_err(|error| {
        Error::with(
            ErrorCode::TokenGrants,
            format!("Invalid access token grants: {}", error.message()),
        )
    })?;
    let service: ServiceSid = grants
        .chat
        .or(grants.ip_messaging)
        .and_then(|chat| chat.service_sid)
        .and_then(|sid| sid.parse().ok())
        .ok_or_else(|| {
            Error::with(
                ErrorCode::TokenGrants,
                "Invalid access token grants: grants.chat.service_sid is missing",
            )
        })?;
    Ok((identity, service))
}

fn parse(token: &str) -> Option<(Value, Claims)> {
    let mut parts = token.split('.');
    let (header, claims, _signature, None) = (parts.next()?, parts.next()?, parts.next()?, parts.next())
    else {
        return None;
    };
    let bytes = |part: &str| BASE64_URL_SAFE_NO_PAD.decode(part.trim_end_matches('=')).ok();
    Some((
        serde_json::from_slice(&bytes(header)?).ok()?,
        serde_json::from_slice(&bytes(claims)?).ok()?,
    ))
}

/// For the fuzz target: a token's beginning and end, its user and service, when everything about it is right that can be
/// known without the database.
///
/// # Errors
/// As [`verify`].
#[cfg(fuzzing)]
pub fn read(token: &str, secret: &Secret, now: i64) -> Result<(i64, i64, Identity, ServiceSid)> {
    let (header, claims) = parse(token).ok_or(ErrorCode::TokenInvalid)?;
    check_signature(token, algorithm(&header)?, secret)?;
    let (issued, expires) = life_of(&claims, now)?;
    let (identity, service) = granted(claims.grants)?;
    Ok((issued, expires, identity, service))
}

fn check_signature(token: &str, algorithm: Algorithm, secret: &Secret) -> Result<()> {
    let mut validation = Validation::new(algorithm);
    // The claims are checked above, each with its own code.
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.validate_aud = false;
    jsonwebtoken::decode::<Value>(
        token,
        &DecodingKey::from_secret(secret.expose().as_bytes()),
        &validation,
    )
    .map(|_| ())
    .map_err(|_| ErrorCode::TokenSignature.into())
}

/// A NumericDate, which may have a fraction.
fn seconds(value: &Value) -> Option<i64> {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "out of range saturates, which is far in the future or past"
    )]
    value
        .as_i64()
        .or_else(|| value.as_f64().map(|seconds| seconds as i64))
}

/// Mints a token for `identity`, valid for `life` from now, or as long as the key that signs it.
///
/// # Errors
/// Internal, when signing fails.
pub fn mint(
    key: &api_key::Model,
    secret: &Secret,
    service: ServiceSid,
    identity: &Identity,
    life: Duration,
) -> Result<(String, Timestamp)> {
    let (account, end, key) = (key.account_id, key.date_expires, key.id);
    let now = Timestamp::now().unix_seconds();
    let asked = now + i64::try_from(life.as_secs()).unwrap_or(0);
    let expires = end.map_or(asked, |end| asked.min(end.unix_seconds()));
    let mut header = Header::new(Algorithm::HS256);
    header.cty = Some("twilio-fpa;v=1".to_owned());
    let claims = json!({
        "jti": format!("{key}-{now}"),
        "iss": key,
        "sub": account,
        "nbf": now,
        "exp": expires,
        "grants": { "identity": identity, "chat": { "service_sid": service } },
    });
    let token = jsonwebtoken::encode(
        &header,
        &claims,
        &EncodingKey::from_secret(secret.expose().as_bytes()),
    )
    .map_err(Error::internal)?;
    Ok((token, Timestamp::from_unix_seconds(expires)))
}

/// A token's life in seconds, as given: 1 second to 24 hours.
///
/// # Errors
/// 20001 naming `Ttl`.
pub fn life(ttl_seconds: Option<u64>) -> Result<Duration> {
    match ttl_seconds {
        None => Ok(DEFAULT_LIFE),
        Some(seconds) if (1..=MAX_LIFE.as_secs()).contains(&seconds) => Ok(Duration::from_secs(seconds)),
        Some(_) => Err(Error::parameter(
            "Ttl",
            "must be a whole number of seconds, 1 to 86400",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn life(claims: Value) -> Result<(i64, i64), u32> {
        let claims = serde_json::from_value(claims).unwrap();
        life_of(&claims, NOW).map_err(|error| error.code().code())
    }

    #[test]
    fn a_life_is_in_bounds_however_far_its_ends_are() {
        let (soon, far, day) = (NOW + 60, 9e18, 86_400);
        assert_eq!(life(json!({ "exp": soon })), Ok((NOW, soon)));
        assert_eq!(
            life(json!({ "exp": soon, "iat": soon - day })),
            Ok((soon - day, soon))
        );
        assert_eq!(life(json!({ "exp": soon, "iat": soon - day - 1 })), Err(20157));
        for began in [json!(i64::MIN), json!(-far), json!(-1e300), json!(0)] {
            assert_eq!(life(json!({ "exp": soon, "iat": began })), Err(20157), "{began}");
            assert_eq!(life(json!({ "exp": far, "nbf": began })), Err(20157), "{began}");
        }
        for end in [json!(far), json!(1e300), json!(i64::MAX), json!(u64::MAX)] {
            assert_eq!(life(json!({ "exp": end, "iat": NOW })), Err(20157), "{end}");
            assert_eq!(life(json!({ "exp": end, "iat": end })), Err(20157), "{end}");
        }
        for end in [json!(NOW), json!(-far), json!("1900000000"), json!(null)] {
            assert_eq!(life(json!({ "exp": end })), Err(20104), "{end}");
        }
        assert_eq!(life(json!({ "exp": soon, "nbf": far })), Err(20105));
    }
}
