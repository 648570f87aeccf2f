//! How sockets end, and what a server does not put up with.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a failed test says it best"
)]

mod support;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use hubbub_gateway::{
    engine_io::{CloseReason, EngineConfig, Origins},
    socket_io::{self, IncomingEvent, Namespace, Refusal, Socket, SocketHandler, SocketIoConfig},
};
use serde_json::{json, value::RawValue};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use self::support::{TestServer, WebSocket, until};

/// What happened to the sockets of a server, in order.
type Story = UnboundedReceiver<String>;

struct Application(UnboundedSender<String>);

#[async_trait]
impl Namespace for Application {
    async fn connect(
        &self,
        socket: Socket,
        auth: Option<Box<RawValue>>,
    ) -> Result<Arc<dyn SocketHandler>, Refusal> {
        if auth.is_some_and(|auth| auth.get().contains("wrong")) {
            return Err(Refusal::new("no").with_data(json!({"code": 20103})));
        }
        assert!(!socket.emit("too early", &1));
        Ok(Arc::new(Handler {
            socket,
            story: self.0.clone(),
        }))
    }
}

struct Handler {
    socket: Socket,
    story: UnboundedSender<String>,
}

impl Handler {
    fn tell(&self, what: impl Into<String>) {
        let _ = self.story.send(what.into());
    }
}

#[async_trait]
impl SocketHandler for Handler {
    async fn connected(&self) {
        self.tell("connected");
    }

    async fn event(&self, event: IncomingEvent) {
        self.tell(&*event.name);
        match &*event.name {
            "flood" => while self.socket.emit("flood", &"x".repeat(10_000)) {},
            "kick" => {
                self.socket.disconnect();
                assert!(!self.socket.emit("too late", &1));
            }
            "hang up" => {
                self.socket.emit("bye", &1);
                self.socket.close_transport();
            }
            "panic" => panic!("as asked"),
            "later" => {
                let ack = event.ack.unwrap();
                tokio::spawn(async move {
                    tokio::task::yield_now().await;
                    ack.send(&"here it is")
                });
            }
            "answer early" => {
                event.ack.unwrap().send(&1);
                tokio::time::sleep(Duration::from_millis(300)).await;
            }
            "pause" => tokio::time::sleep(Duration::from_millis(50)).await,
            _ => {}
        }
    }

    fn disconnected(&self, reason: CloseReason) {
        assert!(!self.socket.is_connected());
        self.tell(format!("disconnected: {reason}"));
    }
}

fn spawn(change: impl FnOnce(&mut SocketIoConfig)) -> (TestServer, Story) {
    let (sender, story) = unbounded_channel();
    let mut config = SocketIoConfig {
        engine: EngineConfig {
            path: "/socket.io".into(),
            queue_limit: 200_000,
            ..EngineConfig::default()
        },
        ..SocketIoConfig::default()
    };
    change(&mut config);
    let application: Arc<dyn Namespace> = Arc::new(Application(sender));
    (
        TestServer::spawn("/socket.io", socket_io::server(config, [("/", application)])),
        story,
    )
}

async fn joined(server: &TestServer, story: &mut Story) -> WebSocket {
    let mut socket = server.websocket().await;
    socket.send("40").await;
    assert!(socket.text().await.starts_with("40{"));
    assert_eq!(story.recv().await.unwrap(), "connected");
    socket
}

async fn expect(story: &mut Story, chapters: &[&str]) {
    for chapter in chapters {
        assert_eq!(story.recv().await.unwrap(), *chapter);
    }
    tokio::task::yield_now().await;
    assert!(story.is_empty(), "nothing happens twice");
}

#[actix_web::test]
async fn a_refused_client_is_told_why() {
    let (server, _) = spawn(|_| {});
    let mut socket = server.websocket().await;
    socket.send(r#"40{"token":"wrong"}"#).await;
    assert_eq!(socket.text().await, r#"44{"message":"no","data":{"code":20103}}"#);
}

#[actix_web::test]
async fn a_client_that_does_not_read_is_cut_off() {
    let (server, mut story) = spawn(|_| {});
    let mut socket = joined(&server, &mut story).await;
    socket.send(r#"42["flood"]"#).await;
    expect(&mut story, &["flood", "disconnected: slow_consumer"]).await;
    assert_eq!(server.endpoint.sessions(), 0);
    assert_eq!(socket.closed().await, None, "at the transport, without a goodbye");
}

#[actix_web::test]
async fn a_polling_client_that_does_not_poll_is_cut_off() {
    let (server, mut story) = spawn(|_| {});
    let session = server.open().await;
    session.post("40").await;
    session.post(r#"42["flood"]"#).await;
    expect(&mut story, &["connected", "flood", "disconnected: slow_consumer"]).await;
    assert_eq!(session.get().await.status, 400);
}

#[actix_web::test]
async fn what_a_client_said_last_is_heard_and_the_end_is_told_once() {
    let (server, mut story) = spawn(|_| {});
    let mut socket = joined(&server, &mut story).await;
    for packet in [r#"42["pause"]"#, r#"42["last words"]"#, "1"] {
        socket.send(packet).await;
    }
    expect(&mut story, &["pause", "last words", "disconnected: client_close"]).await;

    let mut socket = joined(&server, &mut story).await;
    socket.send("41").await;
    expect(&mut story, &["disconnected: client_disconnect"]).await;
    drop(socket);

    let socket = joined(&server, &mut story).await;
    drop(socket);
    expect(&mut story, &["disconnected: transport_close"]).await;
    until(|| server.endpoint.sessions() == 0).await;
}

#[actix_web::test]
async fn a_client_knows_that_a_post_was_taken_before_it_gets_the_ack() {
    let (server, _story) = spawn(|_| {});
    let session = server.open().await;
    session.post("40").await;
    assert!(session.body().await.starts_with("40{"));
    let get = session.start_get().await;
    let post = session.start_post(r#"421["answer early"]"#).await;
    assert_eq!(get.response().await.body, "431[1]");
    assert!(post.has_answer());
    // The same when the poll comes later.
    let post = session.start_post(r#"422["answer early"]"#).await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(session.body().await, "432[1]");
    assert!(post.has_answer());
}

#[actix_web::test]
async fn a_client_that_is_slowed_down_still_gets_its_polls() {
    let (server, _story) = spawn(|config| {
        config.engine.backlog_limit = 1;
        config.engine.post_wait = Duration::from_millis(10);
    });
    let session = server.open().await;
    session.post("40").await;
    assert!(session.body().await.starts_with("40{"));
    let get = session.start_get().await;
    let post = session.start_post(r#"421["answer early"]"#).await;
    assert_eq!(get.response().await.body, "431[1]");
    assert!(!post.has_answer());
}

#[actix_web::test]
async fn a_client_that_is_put_out_has_to_join_again_or_leave() {
    let (server, mut story) = spawn(|config| config.connect_timeout = Duration::from_millis(100));
    let mut socket = joined(&server, &mut story).await;
    socket.send(r#"42["kick"]"#).await;
    socket.send(r#"42["late"]"#).await;
    assert_eq!(socket.text().await, "41");
    expect(&mut story, &["kick", "disconnected: server_disconnect"]).await;
    socket.send("40").await;
    assert!(socket.text().await.starts_with("40{"));
    assert_eq!(story.recv().await.unwrap(), "connected");
    socket.send(r#"42["kick"]"#).await;
    assert_eq!(socket.text().await, "41");
    assert_eq!(socket.closed().await, Some(1008));
}

#[actix_web::test]
async fn hanging_up_lets_the_client_have_what_is_queued() {
    let (server, mut story) = spawn(|_| {});
    let mut socket = joined(&server, &mut story).await;
    socket.send(r#"42["hang up"]"#).await;
    assert_eq!(socket.text().await, r#"42["bye",1]"#);
    assert_eq!(socket.closed().await, Some(1000));
    expect(&mut story, &["hang up", "disconnected: server_close"]).await;

    let session = server.open().await;
    session.post("40").await;
    session.body().await;
    session.post(r#"42["hang up"]"#).await;
    assert_eq!(session.body().await, "42[\"bye\",1]\u{1e}1");
    assert_eq!(session.get().await.status, 400);
}

#[actix_web::test]
async fn a_panicking_handler_takes_only_its_connection_down() {
    let (server, mut story) = spawn(|_| {});
    let mut other = joined(&server, &mut story).await;
    let mut socket = joined(&server, &mut story).await;
    socket.send(r#"42["panic"]"#).await;
    assert_eq!(socket.closed().await, Some(1000));
    expect(&mut story, &["panic", "disconnected: server_close"]).await;
    other.send(r#"421["later"]"#).await;
    assert_eq!(other.text().await, r#"431["here it is"]"#);
}

#[actix_web::test]
async fn attachments_are_limited_in_bytes_and_time() {
    let (server, mut story) = spawn(|config| {
        config.max_attachment_bytes = 10;
        config.attachment_timeout = Duration::from_millis(50);
    });
    let mut socket = joined(&server, &mut story).await;
    socket.send(r#"452-["m"]"#).await;
    socket.send_binary(&[0; 6]).await;
    socket.send_binary(&[0; 5]).await;
    assert_eq!(socket.closed().await, Some(1009));
    expect(&mut story, &["disconnected: payload_too_large"]).await;
    let mut socket = joined(&server, &mut story).await;
    socket.send(r#"452-["m"]"#).await;
    socket.send_binary(&[0; 6]).await;
    assert_eq!(socket.closed().await, Some(1002));
}

#[actix_web::test]
async fn a_shutdown_ends_every_transport_and_lets_nobody_in() {
    let (server, mut story) = spawn(|_| {});
    let mut socket = joined(&server, &mut story).await;
    let session = server.open().await;
    let parked = session.start_get().await;
    tokio::time::timeout(Duration::from_secs(5), async {
        let shutdown = server.endpoint.shutdown(Duration::from_secs(10));
        let (parked, code, ()) = tokio::join!(parked.response(), socket.closed(), shutdown);
        assert_eq!(parked.body, "1");
        assert_eq!(code, Some(1001), "and no 41 before it");
    })
    .await
    .expect("it does not wait longer than the clients");
    expect(&mut story, &["disconnected: server_shutdown"]).await;
    assert_eq!(server.handshake("EIO=4&transport=polling").await.status, 503);
    assert!(server.try_websocket("EIO=4&transport=websocket").await.is_none());
}

#[actix_web::test]
async fn sessions_are_limited_overall_and_by_address() {
    let (server, mut story) = spawn(|config| config.engine.max_sessions = Some(1));
    let socket = joined(&server, &mut story).await;
    assert_eq!(server.handshake("EIO=4&transport=polling").await.status, 503);
    drop(socket);
    until(|| server.endpoint.sessions() == 0).await;
    server.open().await;

    let (server, mut story) = spawn(|config| config.engine.max_sessions_per_peer = Some(1));
    let socket = joined(&server, &mut story).await;
    assert_eq!(server.handshake("EIO=4&transport=polling").await.status, 503);
    drop(socket);
    until(|| server.endpoint.sessions() == 0).await;
    server.open().await;
}

#[actix_web::test]
async fn pages_of_unlisted_origins_are_refused() {
    let origins = Origins::Only(vec!["https://chat.example".into()]);
    let (server, _) = spawn(|config| config.engine.origins = origins);
    let uri = server.uri("EIO=4&transport=polling");
    let listed = server
        .request("GET", &uri, "Origin: https://chat.example\r\n", "")
        .await;
    assert_eq!(listed.status, 200);
    let unlisted = server
        .request("GET", &uri, "Origin: https://evil.example\r\n", "")
        .await;
    assert_eq!(unlisted.status, 403);
    assert_eq!(unlisted.header("access-control-allow-origin"), None);
}
