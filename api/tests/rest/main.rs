//! The REST door from outside: in through HTTP, down to a real SQLite file.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod accounts;
mod attribute_indexes;
mod audit_events;
mod bodies;
mod channels;
mod keys;
mod lists;
mod members;
mod messages;
mod operations;
mod refusals;
mod services;
mod support;
mod users;
mod webhook_deliveries;
