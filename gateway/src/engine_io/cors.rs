//! What browsers want to hear before they hand an answer to a page.

use actix_web::{
    HttpResponseBuilder,
    http::header::{self, HeaderMap},
};

use super::config::Origins;

/// Adds the headers for the page that asked. The origin is echoed, because `*` does not go with credentials.
pub(super) fn allow(origins: &Origins, request: &HeaderMap, response: &mut HttpResponseBuilder) {
    let Some(origin) = request.get(header::ORIGIN) else {
        return;
    };
    response.insert_header((header::VARY, "Origin"));
    if origin.to_str().is_ok_and(|origin| origins.allow(Some(origin))) {
        response
            .insert_header((header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone()))
            .insert_header((header::ACCESS_CONTROL_ALLOW_CREDENTIALS, "true"));
    }
}

/// Adds what only a preflight is answered with.
pub(super) fn allow_preflight(request: &HeaderMap, response: &mut HttpResponseBuilder) {
    response
        .insert_header((header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST"))
        .insert_header((header::ACCESS_CONTROL_MAX_AGE, "600"));
    if let Some(headers) = request.get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
        response.insert_header((header::ACCESS_CONTROL_ALLOW_HEADERS, headers.clone()));
    }
}
