//! `Idempotency-Key`: a repeat of a POST is answered like the first. (Messages keep their keys themselves.)

use std::{fmt, sync::Arc};

use actix_web::{
    HttpMessage, HttpRequest, HttpResponse, ResponseError,
    body::{BoxBody, MessageBody, to_bytes},
    dev::ServiceResponse,
    http::StatusCode,
};
use hubbub_core::{
    Caller, Core,
    idempotency::{self, Claim, Key},
};
use serde_json::Value;

use crate::refusal::Refusal;

/// Sends are idempotent by themselves: the key is the message's client id, for as long as the message lives.
const OWN_KEYS: &str = "/Messages";

/// A key that this request has to itself until it is answered.
struct Claimed {
    core: Arc<Core>,
    key: Key,
}

/// The answer to the first request with this key, in place of the handler's.
struct Replayed {
    status: u16,
    answer: String,
}

/// Claims the request's key, if it has one that counts here.
///
/// # Errors
/// The first answer, when there is one; 20409 when the key was used for another request, or is in use.
pub(super) async fn claim(
    request: &HttpRequest,
    core: &Arc<Core>,
    caller: &Caller,
    key: Option<&str>,
    body: &str,
) -> Result<(), actix_web::Error> {
    let Some(key) = key else { return Ok(()) };
    let pattern = request.match_pattern().unwrap_or_default();
    if request.method() != actix_web::http::Method::POST || pattern.ends_with(OWN_KEYS) {
        return Ok(());
    }
    let key = Key::new(caller, key).map_err(Refusal::from)?;
    let asked = format!("{}\n{body}", request.uri().path());
    match idempotency::claim(core, &key, &asked)
        .await
        .map_err(Refusal::from)?
    {
        Claim::Mine => {
            request.extensions_mut().insert(Claimed {
                core: Arc::clone(core),
                key,
            });
            Ok(())
        }
        Claim::Replay { status, answer } => Err(Replayed { status, answer }.into()),
    }
}

/// Keeps the answer of a request that has claimed its key, or gives the key back when the request failed.
pub(crate) async fn settle(response: ServiceResponse<BoxBody>) -> ServiceResponse<BoxBody> {
    let claimed = response.request().extensions_mut().remove::<Claimed>();
    let Some(Claimed { core, key }) = claimed else {
        return response;
    };
    let status = response.status();
    if !status.is_success() {
        if let Err(error) = idempotency::release(&core, &key).await {
            tracing::warn!(
                ?error,
                "an idempotency key could not be given back; it is free again in a minute"
            );
        }
        return response;
    }
    let (request, response) = response.into_parts();
    let (head, body) = response.into_parts();
    let bytes = to_bytes(body).await.unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    if let Err(error) = idempotency::keep(&core, &key, status.as_u16(), &text).await {
        tracing::warn!(
            ?error,
            "an answer could not be kept for repeats of its idempotency key"
        );
    }
    ServiceResponse::new(request, head.set_body(bytes.boxed()))
}

impl ResponseError for Replayed {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::OK)
    }

    fn error_response(&self) -> HttpResponse {
        let mut answer: Value = serde_json::from_str(&self.answer).unwrap_or(Value::Null);
        if let Value::Object(fields) = &mut answer {
            fields.insert("replayed".to_owned(), Value::Bool(true));
        }
        HttpResponse::build(self.status_code()).json(answer)
    }
}

impl fmt::Display for Replayed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("answered like the first request with this key")
    }
}

impl fmt::Debug for Replayed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
