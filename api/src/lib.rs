//! The REST control plane: Twilio Chat v2 on the wire, with JSON bodies beside forms.
//!
//! A handler extracts, calls one domain function of `hubbub-core`, and renders. It reaches a tenant only through
//! [`call::Call`], which exists once the caller is authenticated.

mod access_tokens;
mod accounts;
mod answer;
mod asked;
mod attribute_indexes;
mod audiences;
mod audit_events;
mod auth_tokens;
mod base_url;
mod batch;
mod bindings;
mod broadcasts;
mod call;
mod campaigns;
mod channel_webhooks;
mod channels;
mod credentials;
mod demo;
mod docs;
mod door;
mod events;
mod invites;
mod keys;
mod legacy;
mod members;
mod messages;
mod metrics;
mod openapi;
mod operations;
mod operator_pools;
mod paging;
mod params;
mod providers;
mod rate_limits;
mod recipient_status;
mod refusal;
mod roles;
mod routes;
mod sdk;
mod services;
mod state;
mod user_bindings;
mod user_channels;
mod users;
mod webhook_deliveries;
mod webhook_endpoints;

pub use metrics::Metrics;
pub use openapi::{openapi, openapi_json};
pub use rate_limits::{Rate, RateLimits};
pub use routes::{configure, configure_operations};
pub use state::ApiState;

#[cfg(fuzzing)]
pub use params::fuzz as fuzz_parameters;
