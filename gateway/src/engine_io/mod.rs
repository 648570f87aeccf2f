//! Engine.IO v4: sessions over HTTP long-polling and WebSocket.
//!
//! [`EngineServer`] is an endpoint, [`listen`](listen()) puts it on a port beside an actix application, and an
//! [`EngineService`] receives its sessions. Packets and payloads are pure codecs; a [`Session`] is the state
//! both transports share.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a failed test says it best"))]

mod close;
mod config;
mod cors;
#[cfg(fuzzing)]
pub mod fuzzing;
mod gather;
mod handshake;
mod heartbeat;
mod ledger;
mod listener;
mod outgoing;
pub mod packet;
pub mod payload;
mod polling;
mod queue;
mod registry;
mod relief;
mod request;
mod server;
mod session;
mod sid;
mod timers;
mod websocket;

pub use self::{
    close::CloseReason,
    config::{EngineConfig, Origins},
    handshake::Handshake,
    ledger::Shared,
    listener::listen,
    outgoing::{MAX_ATTACHMENTS, Outgoing},
    packet::Message,
    registry::EngineService,
    server::EngineServer,
    session::{Session, SessionHandler},
    sid::Sid,
};
