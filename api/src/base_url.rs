//! The absolute base of the URLs in an answer: the operator's setting, else what the request says of itself.

use actix_web::{HttpRequest, http::header::HeaderName};
use hubbub_core::BaseUrl;

use crate::state::ApiState;

/// The base of the URLs in the answer to this request.
pub(crate) fn of(state: &ApiState, request: &HttpRequest) -> BaseUrl {
    if let Some(public) = &state.core().settings.public_url {
        return public.clone();
    }
    let first = |name: &'static str| {
        let value = request.headers().get(HeaderName::from_static(name))?;
        let first = value.to_str().ok()?.split(',').next()?.trim();
        (!first.is_empty()).then_some(first)
    };
    let Some(host) = first("x-forwarded-host").or_else(|| first("host")) else {
        return state.fallback_base().clone();
    };
    let scheme = match first("x-forwarded-proto") {
        Some(scheme) if scheme.eq_ignore_ascii_case("https") => "https",
        _ => "http",
    };
    BaseUrl::new(&format!("{scheme}://{host}"))
}
