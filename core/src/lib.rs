//! The heart of Hubbub: identifiers, errors, entities, queries, rules, domain functions and events.
//! It knows neither HTTP nor sockets nor a broker; the doors (`api`, `gateway`, `workers`) parse, call and render.

pub mod access_tokens;
pub mod accounts;
pub mod api_keys;
pub mod attribute_indexes;
pub mod attributes;
pub mod audit;
pub mod bindings;
pub mod broker;
mod change;
pub mod channel_webhooks;
pub mod channels;
mod coalesce;
pub mod credentials;
pub mod ctx;
pub mod db;
pub mod demo;
pub mod draining;
pub mod entities;
pub mod error;
pub mod events;
pub mod filter;
pub mod idempotency;
pub mod input;
pub mod invites;
pub mod members;
pub mod messages;
pub mod paging;
pub mod permissions;
pub mod presence;
pub mod query;
pub mod roles;
pub mod secrets;
pub mod services;
pub mod sid;
mod sql;
pub mod timestamp;
pub mod topic;
pub mod user_channels;
pub mod users;
pub mod webhook_endpoints;
pub mod webhooks;

pub use ctx::{AccountCtx, AdminCtx, BackendCtx, BaseUrl, Caller, Core, Ctx, Settings, WebhookSettings};
pub use error::{Error, ErrorCode, Result};
pub use secrets::{Secret, Vault};
pub use timestamp::Timestamp;
