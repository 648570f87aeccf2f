//! Taking the body in: at most one mebibyte, a form or JSON.

use std::time::Duration;

use actix_web::{
    dev::Payload,
    http::header::{self, HeaderMap},
    web::BytesMut,
};
use futures_util::StreamExt;
use hubbub_core::{Error, ErrorCode, Result};

use crate::params::Params;

/// The longest body of a request.
const LIMIT: usize = 1 << 20;
/// For the whole of it to arrive: more than a mebibyte takes on a bad line, and an end for whoever sends it by the byte.
const TIME: Duration = Duration::from_secs(20);
/// What is announced may never come: no more than this is made ready for it.
const AHEAD: usize = 64 * 1024;
/// How much of a refused body is still taken in, so that its sender gets to read the refusal.
const DISCARD: usize = 16 << 20;
/// For how long.
const DISCARD_TIME: Duration = Duration::from_secs(5);

/// Reads and parses the body.
///
/// # Errors
/// 20413 over the limit; 20001 when it does not arrive in time, is neither a form nor JSON, or cannot be parsed.
pub(super) async fn read(headers: &HeaderMap, payload: &mut Payload) -> Result<Params> {
    let announced = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > LIMIT) {
        return Err(too_large());
    }
    let mut bytes = BytesMut::with_capacity(announced.unwrap_or(0).min(AHEAD));
    let deadline = tokio::time::Instant::now() + TIME;
    while let Some(chunk) = tokio::time::timeout_at(deadline, payload.next())
        .await
        .map_err(|_| {
            Error::with(
                ErrorCode::InvalidParameter,
                format!("The body did not arrive within {} s", TIME.as_secs()),
            )
        })?
    {
        let chunk = chunk.map_err(|cause| {
            Error::with(
                ErrorCode::InvalidParameter,
                format!("The body could not be read: {cause}"),
            )
        })?;
        if bytes.len() + chunk.len() > LIMIT {
            return Err(too_large());
        }
        bytes.extend_from_slice(&chunk);
    }
    if bytes.is_empty() {
        return Ok(Params::default());
    }
    match super::streamed::media_type(headers).as_deref() {
        Some("application/x-www-form-urlencoded") => Params::from_form(&bytes),
        Some("application/json") => Params::from_json(&bytes),
        _ => Err(Error::with(
            ErrorCode::InvalidParameter,
            "Content-Type must be application/x-www-form-urlencoded or application/json",
        )),
    }
}

fn too_large() -> Error {
    Error::with(
        ErrorCode::TooLarge,
        format!("Request entity too large: at most {LIMIT} bytes are allowed"),
    )
}

/// Takes in what is left of a body that nobody will look at.
pub(super) async fn discard(payload: &mut Payload) {
    let drain = async {
        let mut left = DISCARD;
        while let Some(Ok(chunk)) = payload.next().await {
            match left.checked_sub(chunk.len()) {
                Some(rest) => left = rest,
                None => break,
            }
        }
    };
    // Whether it came to its end or not, the answer is the same.
    let _ = tokio::time::timeout(DISCARD_TIME, drain).await;
}
