//! The two endpoints that the conformance suites talk to.

use std::{borrow::Cow, sync::Arc, time::Duration};

use async_trait::async_trait;
use hubbub_gateway::{
    engine_io::{
        CloseReason, EngineConfig, EngineServer, EngineService, Message, Outgoing, Session, SessionHandler,
    },
    socket_io::{self, IncomingEvent, Namespace, Refusal, Socket, SocketHandler, SocketIoConfig},
};
use serde_json::value::RawValue;
use tokio::time::sleep;

/// How long the suite has to read that it was let in.
const APART: Duration = Duration::from_millis(25);

fn timings(path: &str) -> EngineConfig {
    EngineConfig {
        path: path.into(),
        ping_interval: Duration::from_millis(300),
        ping_timeout: Duration::from_millis(200),
        max_payload: 1_000_000,
        ..EngineConfig::default()
    }
}

/// Sends every message back, text as text and binary as binary.
pub(crate) fn engine_io() -> EngineServer {
    EngineServer::new(timings("/engine.io"), Arc::new(EngineEcho))
}

/// Namespaces `/` and `/custom`; both tell the auth they were given, the first also answers events.
pub(crate) fn socket_io() -> EngineServer {
    socket_io_with(SocketIoConfig {
        engine: timings("/socket.io"),
        connect_timeout: Duration::from_secs(1),
        ..SocketIoConfig::default()
    })
}

/// The same with other settings.
pub(crate) fn socket_io_with(config: SocketIoConfig) -> EngineServer {
    let namespaces: [(&str, Arc<dyn Namespace>); 2] = [
        ("/", Arc::new(Echo { answers: true })),
        ("/custom", Arc::new(Echo { answers: false })),
    ];
    socket_io::server(config, namespaces)
}

/// Sends every Engine.IO message back.
struct EngineEcho;

impl EngineService for EngineEcho {
    fn open(&self, session: &Arc<Session>) -> Result<Arc<dyn SessionHandler>, Cow<'static, str>> {
        Ok(Arc::new(EngineEchoHandler(Arc::clone(session))))
    }
}

struct EngineEchoHandler(Arc<Session>);

impl SessionHandler for EngineEchoHandler {
    fn message(&self, message: Message) {
        self.0.send(match message {
            Message::Text(text) => Outgoing::packet(format!("4{text}").into()),
            Message::Binary(bytes) => Outgoing::binary(bytes),
        });
    }

    fn closed(&self, _: CloseReason) {}
}

/// Tells each client the auth it came with and, in the root namespace, answers events.
struct Echo {
    answers: bool,
}

#[async_trait]
impl Namespace for Echo {
    async fn connect(
        &self,
        socket: Socket,
        auth: Option<Box<RawValue>>,
    ) -> Result<Arc<dyn SocketHandler>, Refusal> {
        Ok(Arc::new(EchoSocket {
            socket,
            auth,
            answers: self.answers,
        }))
    }
}

struct EchoSocket {
    socket: Socket,
    auth: Option<Box<RawValue>>,
    answers: bool,
}

#[async_trait]
impl SocketHandler for EchoSocket {
    async fn connected(&self) {
        // The suite listens for one packet after the other: what comes with the same read as the one before is lost to it.
        sleep(APART).await;
        match &self.auth {
            Some(auth) => self.socket.emit("auth", auth),
            None => self.socket.emit("auth", &serde_json::json!({})),
        };
    }

    async fn event(&self, event: IncomingEvent) {
        if !self.answers {
            return;
        }
        let args = event.args.join(",");
        match (&*event.name, event.ack) {
            ("message", _) => self
                .socket
                .emit_binary("message-back", &args, event.attachments.into()),
            ("message-with-ack", Some(ack)) => ack.send_binary(&args, event.attachments.into()),
            _ => return,
        };
    }

    fn disconnected(&self, _: CloseReason) {}
}
