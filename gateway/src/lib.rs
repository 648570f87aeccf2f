//! The real-time gateway: client apps connect with access tokens and speak Socket.IO.
//!
//! [`engine_io`] and [`socket_io`] are the protocols and know nothing of chat. [`hub`] holds the connected clients
//! and delivers every channel's events to them in order, without gaps, once. [`verbs`] is what clients may ask for.

mod chat;
mod client;
pub mod engine_io;
pub mod hub;
mod limits;
pub mod socket_io;
mod token_life;
pub mod verbs;

use std::{sync::Arc, time::Duration};

use actix_web::web;
use hubbub_core::{Core, broker::BrokerError};

pub use crate::limits::{SocketLimits, VerbRate};
use crate::{
    hub::Hub,
    socket_io::{EngineServer, Namespace, SocketIoConfig},
};

/// How long giving the lease back may take.
const RESIGNING: Duration = Duration::from_secs(1);

/// What the operator chose.
#[derive(Debug, Clone)]
pub struct GatewayConfig {
    /// How much may wait for one socket, in bytes, before it is cut off.
    pub socket_queue: usize,
    /// How much may wait for all sockets together, in bytes of memory, before the slowest are cut off.
    pub socket_queue_total: usize,
    /// How many sockets may be open.
    pub socket_limits: SocketLimits,
    /// How many verbs a second a socket may ask for; `None` is no limit.
    pub socket_rate: Option<VerbRate>,
    /// The most members a channel may have for typing to be told in it.
    pub typing_channel_limit: u32,
}

/// The gateway of this process.
#[derive(Clone)]
pub struct Gateway {
    hub: Arc<Hub>,
    server: EngineServer,
}

impl Gateway {
    /// Starts it. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// When the bus cannot be subscribed to.
    pub async fn start(core: Arc<Core>, config: GatewayConfig) -> Result<Self, BrokerError> {
        let hub = Hub::start(Arc::clone(&core), &config).await?;
        let mut socket_io = SocketIoConfig::default();
        socket_io.engine.queue_limit = config.socket_queue;
        socket_io.engine.total_limit = config.socket_queue_total;
        socket_io.engine.trust_forwarded = true;
        // No verb takes any.
        socket_io.max_attachment_bytes = socket_io.engine.max_payload;
        let chat: Arc<dyn Namespace> = Arc::new(chat::Chat::new(core, Arc::clone(&hub)));
        let server = socket_io::server(socket_io, [("/", chat)]);
        Ok(Self { hub, server })
    }

    /// The endpoint, for [`engine_io::listen`](engine_io::listen()), which gives it the port's WebSockets.
    #[must_use]
    pub fn endpoint(&self) -> EngineServer {
        self.server.clone()
    }

    /// Mounts the polling routes of `/socket.io/`.
    pub fn configure(&self, config: &mut web::ServiceConfig) {
        self.server.configure(config);
    }

    /// How many sessions are open.
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.server.sessions()
    }

    /// How many sockets have been let in.
    #[must_use]
    pub fn clients(&self) -> usize {
        self.hub.clients()
    }

    /// How many bytes of memory wait for clients to read.
    #[must_use]
    pub fn waiting_bytes(&self) -> usize {
        self.server.waiting_bytes()
    }

    /// How many sessions were cut off because their clients did not read.
    #[must_use]
    pub fn cut_off(&self) -> u64 {
        self.server.cut_off()
    }

    /// How many messages were written to WebSockets.
    #[must_use]
    pub fn messages_written(&self) -> u64 {
        self.server.messages_written()
    }

    /// With how many calls into the kernel: under load, one takes many messages.
    #[must_use]
    pub fn writes(&self) -> u64 {
        self.server.writes()
    }

    /// Ends every session at the transport, so that clients come back elsewhere, and waits for that, at most this
    /// long.
    pub async fn shutdown(&self, bound: Duration) {
        self.server.shutdown(bound).await;
        // The lease runs out by itself where the database does not answer.
        let _ = tokio::time::timeout(RESIGNING, self.hub.resign_presence()).await;
    }
}
