//! What every answer goes through: its id, its measure, its place in the log, and the headers for browsers.

use std::time::Instant;

use actix_web::{
    Error, HttpResponse,
    body::{BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{
        Method, StatusCode,
        header::{self, HeaderMap, HeaderName, HeaderValue},
    },
    middleware::Next,
};
use uuid::Uuid;

use crate::{call, refusal::Refusal, state::ApiState};

const REQUEST_ID: HeaderName = HeaderName::from_static("twilio-request-id");
const REQUEST_DURATION: HeaderName = HeaderName::from_static("twilio-request-duration");

/// Passes a request on and finishes its answer.
pub(crate) async fn pass(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let began = Instant::now();
    let id = format!("RQ{}", Uuid::new_v4().simple());
    let method = request.method().clone();
    if method == Method::HEAD {
        // A HEAD is a GET whose answer the server sends without its body.
        request.head_mut().method = Method::GET;
    }
    let mut response = if method == Method::OPTIONS {
        request.into_response(HttpResponse::NoContent().finish())
    } else {
        call::settle(next.call(request).await?.map_into_boxed_body()).await
    };
    let refusal = response
        .response()
        .error()
        .and_then(|error| error.as_error::<Refusal>());
    if let Some(refusal) = refusal {
        let path = response.request().path();
        if refusal.error().code().status() < 500 {
            tracing::debug!(request_id = %id, %method, path, "refused: {refusal:?}");
        } else {
            tracing::error!(request_id = %id, %method, path, "failed: {refusal:?}");
            let message = format!("{}: {id}", refusal.error().code().message());
            let answer = refusal.render(&message);
            response = response.into_response(answer);
        }
    }
    finish(response.headers_mut(), &id, began, &method);
    measure(&response, &method, began);
    Ok(response)
}

fn finish(headers: &mut HeaderMap, id: &str, began: Instant, method: &Method) {
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(REQUEST_ID, id);
    }
    if let Ok(duration) = HeaderValue::from_str(&format!("{:.3}", began.elapsed().as_secs_f64())) {
        headers.insert(REQUEST_DURATION, duration);
    }
    let fixed = |text| HeaderValue::from_static(text);
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, fixed("*"));
    headers.insert(
        header::ACCESS_CONTROL_EXPOSE_HEADERS,
        fixed("ETag, Twilio-Request-Id, Twilio-Request-Duration"),
    );
    if method == Method::OPTIONS {
        headers.insert(
            header::ACCESS_CONTROL_ALLOW_METHODS,
            fixed("GET, POST, PUT, DELETE, OPTIONS"),
        );
        headers.insert(
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            fixed("Accept, Authorization, Content-Type, Idempotency-Key, X-Twilio-Webhook-Enabled"),
        );
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, fixed("86400"));
    }
}

fn measure(response: &ServiceResponse<BoxBody>, method: &Method, began: Instant) {
    let request = response.request();
    let Some(state) = request.app_data::<ApiState>() else {
        return;
    };
    // Neither a path nor a method that somebody made up becomes a label.
    let route = match request.match_pattern() {
        Some(route) if response.status() != StatusCode::METHOD_NOT_ALLOWED => route,
        _ => "other".to_owned(),
    };
    let method = match *method {
        Method::GET | Method::HEAD | Method::POST | Method::PUT | Method::DELETE | Method::OPTIONS => {
            method.as_str()
        }
        _ => "other",
    };
    state
        .metrics()
        .answered(method, &route, response.status().as_u16(), began.elapsed());
}
