//! The endpoint as the binary sees it.

use std::{borrow::Cow, collections::HashMap, sync::Arc, time::Duration};

use bytestring::ByteString;
use tokio::runtime::Handle;

use super::{connection::Connection, namespace::Namespace};
use crate::engine_io::{EngineConfig, EngineServer, EngineService, Session, SessionHandler};

/// Settings of one Socket.IO endpoint.
#[derive(Debug, Clone)]
pub struct SocketIoConfig {
    /// The transport below; its path is `/socket.io` unless changed.
    pub engine: EngineConfig,
    /// How long a client may take to join its first namespace.
    pub connect_timeout: Duration,
    /// Most bytes of all attachments of one packet.
    pub max_attachment_bytes: usize,
    /// How long a client may take to send the attachments it announced.
    pub attachment_timeout: Duration,
}

impl Default for SocketIoConfig {
    fn default() -> Self {
        Self {
            engine: EngineConfig {
                path: "/socket.io".into(),
                ..EngineConfig::default()
            },
            connect_timeout: Duration::from_secs(10),
            max_attachment_bytes: 4_000_000,
            attachment_timeout: Duration::from_secs(30),
        }
    }
}

/// What all connections of an endpoint share.
pub(super) struct Shared {
    pub(super) config: SocketIoConfig,
    pub(super) namespaces: HashMap<ByteString, Arc<dyn Namespace>>,
    pub(super) runtime: Handle,
}

/// Makes an endpoint that serves these namespaces and no others.
///
/// # Panics
/// Outside a Tokio runtime; see [`EngineServer::new`].
#[must_use]
pub fn server<N>(config: SocketIoConfig, namespaces: N) -> EngineServer
where
    N: IntoIterator<Item = (&'static str, Arc<dyn Namespace>)>,
{
    let engine = config.engine.clone();
    let namespaces = namespaces
        .into_iter()
        .map(|(name, it)| (ByteString::from_static(name), it))
        .collect();
    let shared = Shared {
        config,
        namespaces,
        runtime: Handle::current(),
    };
    EngineServer::new(engine, Arc::new(Connections(Arc::new(shared))))
}

struct Connections(Arc<Shared>);

impl EngineService for Connections {
    fn open(&self, session: &Arc<Session>) -> Result<Arc<dyn SessionHandler>, Cow<'static, str>> {
        Ok(Connection::new(Arc::clone(&self.0), Arc::clone(session)))
    }
}
