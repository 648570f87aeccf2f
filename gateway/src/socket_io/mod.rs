//! Socket.IO v5 on top of Engine.IO: namespaces, events, acks.
//!
//! [`server()`] makes an endpoint of [`Namespace`]s. Each client that is let in becomes a [`Socket`], to which
//! the application sends, and a [`SocketHandler`], by which it receives.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a failed test says it best"))]

mod attachments;
mod connection;
mod encode;
#[cfg(fuzzing)]
pub mod fuzzing;
mod namespace;
pub mod packet;
mod placeholders;
mod server;
mod socket;

pub use self::{
    encode::{encode_event, encode_open_event},
    namespace::{IncomingEvent, Namespace, Refusal, SocketHandler},
    server::{SocketIoConfig, server},
    socket::{AckSender, Socket},
};
pub use crate::engine_io::{CloseReason, EngineServer, Handshake, Outgoing, Shared, Sid};
