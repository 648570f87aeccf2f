//! What every answer goes through: its id, its measure, its place in the log, and the headers for browsers.

use std::time::Instant;

use actix_web::{
    Error, HttpMessage, HttpResponse,
    body::{BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{
        Method, StatusCode,
        header::{self, HeaderMap, HeaderName, HeaderValue},
    },
    middleware::Next,
};
use hubbub_core::sid::RequestSid;
use tracing::Instrument;

use crate::{call, rate_limits::Allowance, refusal::Refusal, state::ApiState};

const REQUEST_ID: HeaderName = HeaderName::from_static("twilio-request-id");
const REQUEST_DURATION: HeaderName = HeaderName::from_static("twilio-request-duration");
/// The client's own id of a request.
const CLIENT_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The longest of those that is echoed and logged.
const CLIENT_REQUEST_ID_CHARACTERS: usize = 128;

/// Passes a request on and finishes its answer. Whatever is logged meanwhile has the request's id.
pub(crate) async fn pass(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let asked = Asked {
        began: Instant::now(),
        id: RequestSid::generate(),
        own_id: own_id(request.headers()),
        method: request.method().clone(),
    };
    let span = tracing::error_span!("request", id = %asked.id, client_id = tracing::field::Empty);
    if let Some(own_id) = asked.own_id.as_ref().and_then(|id| id.to_str().ok()) {
        span.record("client_id", own_id);
    }
    request.extensions_mut().insert(asked.id);
    if asked.method == Method::HEAD {
        // A HEAD is a GET whose answer the server sends without its body.
        request.head_mut().method = Method::GET;
    }
    async move {
        let mut response = if asked.method == Method::OPTIONS {
            request.into_response(HttpResponse::NoContent().finish())
        } else {
            call::settle(next.call(request).await?.map_into_boxed_body()).await
        };
        let refusal = response
            .response()
            .error()
            .and_then(|error| error.as_error::<Refusal>());
        if let Some(refusal) = refusal {
            let (method, path) = (&asked.method, response.request().path());
            if refusal.error().code().status() < 500 {
                tracing::debug!(%method, path, "refused: {refusal:?}");
            } else {
                tracing::error!(%method, path, "failed: {refusal:?}");
                let message = format!("{}: {}", refusal.error().code().message(), asked.id);
                let answer = refusal.render(&message);
                response = response.into_response(answer);
            }
        }
        asked.finish(&mut response);
        asked.measure(&response);
        Ok(response)
    }
    .instrument(span)
    .await
}

/// The client's own id, when it is short and printable.
fn own_id(headers: &HeaderMap) -> Option<HeaderValue> {
    let given = headers.get(CLIENT_REQUEST_ID)?;
    let text = given.to_str().ok()?;
    let fits = (1..=CLIENT_REQUEST_ID_CHARACTERS).contains(&text.len());
    (fits && text.bytes().all(|byte| (0x20..0x7f).contains(&byte))).then(|| given.clone())
}

/// What is known of a request before anything is done for it.
struct Asked {
    began: Instant,
    id: RequestSid,
    own_id: Option<HeaderValue>,
    method: Method,
}

impl Asked {
    fn finish(&self, response: &mut ServiceResponse<BoxBody>) {
        let allowance = response.request().extensions().get::<Allowance>().copied();
        let headers = response.headers_mut();
        if let Some(allowance) = allowance {
            allowance.tell(headers);
        }
        if let Ok(id) = HeaderValue::from_str(&self.id.to_string()) {
            headers.insert(REQUEST_ID, id);
        }
        if let Some(own_id) = &self.own_id {
            headers.insert(CLIENT_REQUEST_ID, own_id.clone());
        }
        if let Ok(duration) = HeaderValue::from_str(&format!("{:.3}", self.began.elapsed().as_secs_f64())) {
            headers.insert(REQUEST_DURATION, duration);
        }
        let fixed = |text| HeaderValue::from_static(text);
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, fixed("*"));
        headers.insert(
            header::ACCESS_CONTROL_EXPOSE_HEADERS,
            fixed(
                "ETag, Retry-After, Twilio-Request-Id, Twilio-Request-Duration, X-RateLimit-Limit, \
                 X-RateLimit-Remaining, X-RateLimit-Reset, X-Request-Id",
            ),
        );
        if self.method == Method::OPTIONS {
            headers.insert(
                header::ACCESS_CONTROL_ALLOW_METHODS,
                fixed("GET, POST, PUT, DELETE, OPTIONS"),
            );
            headers.insert(
                header::ACCESS_CONTROL_ALLOW_HEADERS,
                fixed(
                    "Accept, Authorization, Content-Type, Idempotency-Key, X-Request-Id, X-Twilio-Webhook-Enabled",
                ),
            );
            headers.insert(header::ACCESS_CONTROL_MAX_AGE, fixed("86400"));
        }
    }

    /// Counts the answer, and writes its line into the log.
    fn measure(&self, response: &ServiceResponse<BoxBody>) {
        let request = response.request();
        let status = response.status();
        let duration = self.began.elapsed();
        tracing::debug!(
            method = %self.method,
            path = request.path(),
            status = status.as_u16(),
            duration_ms = duration.as_micros() as f64 / 1000.0,
            "answered {}",
            status.as_u16()
        );
        let Some(state) = request.app_data::<ApiState>() else {
            return;
        };
        // Neither a path nor a method that somebody made up becomes a label.
        let route = match request.match_pattern() {
            Some(route) if status != StatusCode::METHOD_NOT_ALLOWED => route,
            _ => "other".to_owned(),
        };
        let method = match self.method {
            Method::GET | Method::HEAD | Method::POST | Method::PUT | Method::DELETE | Method::OPTIONS => {
                self.method.as_str()
            }
            _ => "other",
        };
        state
            .metrics()
            .answered(method, &route, status.as_u16(), duration);
    }
}
