//! The rows, one entity a table. Keys begin with the tenant.

pub mod account;
pub mod api_key;
pub mod attribute_element;
pub mod attribute_entry;
pub mod attribute_index;
pub mod attribute_leftover;
pub mod audit_event;
pub mod binding;
pub mod channel;
pub mod channel_event;
pub mod channel_webhook;
pub mod credential;
pub mod idempotency_key;
pub mod invite;
pub mod member;
pub mod message;
pub mod outbox;
pub mod role;
pub mod service;
pub mod user;
pub mod webhook_attempt;
pub mod webhook_delivery;
pub mod webhook_endpoint;
