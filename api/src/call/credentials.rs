//! Who calls: `Authorization: Basic` with an account SID and its token, or an API key SID and its secret; or
//! `Authorization: Bearer` with a user's access token.

use actix_web::{
    HttpMessage, HttpRequest,
    http::header::{self, HeaderMap, HeaderName},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use hubbub_core::{
    Caller, Core, Error, ErrorCode, Result, access_tokens,
    accounts::{self, Authenticated},
    sid::RequestSid,
};

const WEBHOOKS: HeaderName = HeaderName::from_static("x-twilio-webhook-enabled");

/// The caller: a backend with Basic credentials, or a user with an access token as Bearer.
///
/// # Errors
/// 20003 without valid credentials, 20005 when the account may not call; for tokens the codes of the gateway.
pub(super) async fn authenticate(core: &Core, request: &HttpRequest) -> Result<Caller> {
    let headers = request.headers();
    if let Some(token) = bearer(headers) {
        let token = access_tokens::verify(core, token).await?;
        return Ok(Caller::User {
            account: token.account,
            service: token.service,
            identity: token.identity,
            key: token.key,
            connection: None,
        });
    }
    let (user, password) = basic(headers)?;
    let Authenticated { account, key } = accounts::authenticate(core, &user, &password).await?;
    let webhooks = headers
        .get(WEBHOOKS)
        .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"true"));
    Ok(Caller::Account {
        account,
        key,
        webhooks,
        request: request.extensions().get::<RequestSid>().copied(),
    })
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers
        .get(header::AUTHORIZATION)?
        .to_str()
        .ok()?
        .split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn basic(headers: &HeaderMap) -> Result<(String, String)> {
    let refused = |why: &'static str| Error::with(ErrorCode::Unauthenticated, why);
    let given = headers.get(header::AUTHORIZATION).ok_or_else(|| {
        refused("Authenticate: Basic credentials are missing (account SID and auth token, or API key SID and secret)")
    })?;
    let (scheme, encoded) = given
        .to_str()
        .ok()
        .and_then(|text| text.split_once(' '))
        .unwrap_or_default();
    let decoded = scheme
        .eq_ignore_ascii_case("basic")
        .then(|| BASE64_STANDARD.decode(encoded.trim()).ok())
        .flatten()
        .and_then(|bytes| String::from_utf8(bytes).ok());
    decoded
        .as_deref()
        .and_then(|pair| pair.split_once(':'))
        .map(|(user, password)| (user.to_owned(), password.to_owned()))
        .ok_or_else(|| {
            refused("Authenticate: the Authorization header is not in the form of Basic credentials")
        })
}

/// A header's text.
///
/// # Errors
/// 20001 naming the header when it is not UTF-8.
pub(super) fn header_text(headers: &HeaderMap, name: &'static str) -> Result<Option<String>> {
    let Some(value) = headers.get(HeaderName::from_static(name)) else {
        return Ok(None);
    };
    match std::str::from_utf8(value.as_bytes()) {
        Ok(text) => Ok(Some(text.to_owned())),
        Err(_) => Err(Error::parameter(name, "is not UTF-8")),
    }
}
