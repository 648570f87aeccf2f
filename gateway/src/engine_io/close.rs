//! Why a session or a socket ended.

use std::fmt;

/// Why a session, or one namespace of it, ended. The first reason is the one that is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseReason {
    /// The client said so with a close packet.
    ClientClose,
    /// The client left the namespace (`41`); the session goes on.
    ClientDisconnect,
    /// We put the client out of the namespace (`41`); official clients do not come back by themselves.
    ServerDisconnect,
    /// The connection ended without a goodbye.
    TransportClose,
    /// No answer to a ping in time.
    PingTimeout,
    /// The client broke the protocol.
    ProtocolError,
    /// A message over `max_payload`.
    PayloadTooLarge,
    /// The outbound queue passed its limit: the client reads too slowly.
    SlowConsumer,
    /// The client went on asking for far more than it may.
    Flooding,
    /// The client joined no namespace in time.
    ConnectTimeout,
    /// We ended the transport; clients come back.
    ServerClose,
    /// The server is going down; clients come back elsewhere.
    ServerShutdown,
}

impl CloseReason {
    /// A short, stable name for logs and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ClientClose => "client_close",
            Self::ClientDisconnect => "client_disconnect",
            Self::ServerDisconnect => "server_disconnect",
            Self::TransportClose => "transport_close",
            Self::PingTimeout => "ping_timeout",
            Self::ProtocolError => "protocol_error",
            Self::PayloadTooLarge => "payload_too_large",
            Self::SlowConsumer => "slow_consumer",
            Self::Flooding => "flooding",
            Self::ConnectTimeout => "connect_timeout",
            Self::ServerClose => "server_close",
            Self::ServerShutdown => "server_shutdown",
        }
    }

    /// Whether the client still deserves what is queued for it, and a goodbye.
    pub(super) fn flushes(self) -> bool {
        matches!(
            self,
            Self::ServerClose | Self::ServerShutdown | Self::ConnectTimeout
        )
    }

    /// The WebSocket close code to say goodbye with; `None` when the peer is gone or does not read.
    pub(super) fn websocket_code(self) -> Option<u16> {
        match self {
            Self::ClientClose | Self::ClientDisconnect | Self::ServerDisconnect | Self::ServerClose => {
                Some(1000)
            }
            Self::ServerShutdown => Some(1001),
            Self::ProtocolError => Some(1002),
            Self::ConnectTimeout | Self::Flooding => Some(1008),
            Self::PayloadTooLarge => Some(1009),
            Self::TransportClose | Self::PingTimeout | Self::SlowConsumer => None,
        }
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
