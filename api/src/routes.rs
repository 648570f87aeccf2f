//! What is served. The same walk mounts the handlers and writes the OpenAPI document, so neither can have what the
//! other lacks.

use actix_web::{
    HttpRequest, HttpResponse,
    dev::HttpServiceFactory,
    http::{Method, header},
    middleware::from_fn,
    web::{self, ServiceConfig},
};
use hubbub_core::ErrorCode;
use utoipa::__dev::{SchemaReferences, Tags};

use crate::{
    access_tokens, accounts, attribute_indexes, audiences, audit_events, auth_tokens, bindings, broadcasts,
    call, campaigns, channel_webhooks, channels, credentials, demo, docs, door, events, invites, keys,
    members, messages, openapi, operations, operator_pools, providers, recipient_status,
    refusal::{Refusal, Result},
    roles, sdk, services,
    state::ApiState,
    user_bindings, user_channels, users, webhook_deliveries, webhook_endpoints,
};

/// Something that a documented handler can be added to.
pub(crate) trait Register {
    /// Adds a handler.
    fn add<H>(&mut self, handler: H)
    where
        H: HttpServiceFactory + utoipa::Path + SchemaReferences + for<'t> Tags<'t> + 'static;
}

impl Register for ServiceConfig {
    fn add<H>(&mut self, handler: H)
    where
        H: HttpServiceFactory + utoipa::Path + SchemaReferences + for<'t> Tags<'t> + 'static,
    {
        self.service(handler);
    }
}

/// Everything.
pub(crate) fn all(to: &mut impl Register) {
    services::routes(to);
    roles::routes(to);
    users::routes(to);
    user_channels::routes(to);
    user_bindings::routes(to);
    channels::routes(to);
    members::routes(to);
    invites::routes(to);
    channel_webhooks::routes(to);
    messages::routes(to);
    operator_pools::routes(to);
    attribute_indexes::routes(to);
    audiences::routes(to);
    campaigns::routes(to);
    broadcasts::routes(to);
    bindings::routes(to);
    credentials::routes(to);
    access_tokens::routes(to);
    webhook_endpoints::routes(to);
    webhook_deliveries::routes(to);
    providers::routes(to);
    recipient_status::routes(to);
    events::routes(to);
    audit_events::routes(to);
    accounts::routes(to);
    keys::routes(to);
    auth_tokens::routes(to);
    operations::routes(to);
    docs::routes(to);
    sdk::routes(to);
    demo::routes(to);
}

/// What every process serves.
fn everywhere(to: &mut impl Register) {
    operations::routes(to);
    sdk::routes(to);
    demo::routes(to);
}

/// Mounts the REST door. It answers every path that nothing before it took, so it comes last.
pub fn configure(config: &mut ServiceConfig, state: ApiState) {
    mount(config, state, all);
}

/// Mounts only `/healthz`, `/readyz`, `/metrics`, the SDK and the demo, for a process without the `api` role. It comes
/// last too.
pub fn configure_operations(config: &mut ServiceConfig, state: ApiState) {
    mount(config, state, everywhere);
}

fn mount(config: &mut ServiceConfig, state: ApiState, routes: fn(&mut ServiceConfig)) {
    config.service(
        web::scope("")
            .app_data(state)
            .wrap(from_fn(door::pass))
            .configure(routes)
            .default_service(web::to(unserved)),
    );
}

/// Answers what no handler takes: 405 when it is the method that is wrong, otherwise 404.
async fn unserved(request: HttpRequest) -> Result<HttpResponse> {
    let known = request
        .match_pattern()
        .map(|pattern| openapi::methods_of(&pattern));
    match known {
        Some(methods) if !methods.is_empty() => {
            let mut answer =
                actix_web::ResponseError::error_response(&Refusal::from(ErrorCode::MethodNotAllowed));
            let allowed: Vec<&str> = methods.iter().map(Method::as_str).collect();
            if let Ok(allowed) = header::HeaderValue::from_str(&allowed.join(", ")) {
                answer.headers_mut().insert(header::ALLOW, allowed);
            }
            Ok(answer)
        }
        _ => Err(call::missing(request.uri().path()).into()),
    }
}
