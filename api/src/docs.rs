//! The documentation: the OpenAPI document, and a page that shows it without any other host.

use actix_web::{HttpResponse, get, http::header};

use crate::{openapi, routes::Register};

pub(crate) fn routes(to: &mut impl Register) {
    to.add(document);
    to.add(page);
}

/// This document.
#[utoipa::path(
    tag = "Operations",
    operation_id = "FetchOpenApi",
    security(()),
    responses((status = 200, description = "OK", body = Object))
)]
#[get("/openapi.json")]
async fn document() -> HttpResponse {
    HttpResponse::Ok()
        .content_type("application/json")
        .body(openapi::openapi_json())
}

/// A page that shows this document.
#[utoipa::path(
    tag = "Operations",
    operation_id = "FetchDocs",
    security(()),
    responses((status = 200, description = "OK", body = String, content_type = "text/html"))
)]
#[get("/docs")]
async fn page() -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/html; charset=utf-8")
        .insert_header((
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; \
             base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        ))
        .body(include_str!("docs.html"))
}
