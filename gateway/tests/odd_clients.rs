//! What unusual, careless and hostile clients may do beyond what the conformance suites try.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a failed test says it best"
)]

#[path = "../examples/conformance/echo.rs"]
#[allow(dead_code, reason = "each suite uses its endpoint")]
mod echo;
mod support;

use std::{borrow::Cow, sync::Arc, time::Duration};

use async_trait::async_trait;
use hubbub_gateway::{
    engine_io::{
        CloseReason, EngineConfig, EngineServer, EngineService, Message, Origins, Outgoing, Session,
        SessionHandler, Sid,
    },
    socket_io::{self, IncomingEvent, Namespace, Refusal, Socket, SocketHandler, SocketIoConfig},
};
use serde_json::value::RawValue;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use self::support::{TestServer, until};

const PATIENCE: Duration = Duration::from_secs(10);

fn engine() -> TestServer {
    TestServer::spawn("/engine.io", echo::engine_io())
}

fn sockets() -> TestServer {
    TestServer::spawn("/socket.io", echo::socket_io())
}

/// Writes exactly this to a connection of its own.
async fn raw(server: &TestServer, request: String) -> TcpStream {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

/// The head of the answer.
async fn head(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).to_ascii_lowercase();
        if let Some((head, _)) = text.split_once("\r\n\r\n") {
            return head.to_owned();
        }
        let read = timeout(PATIENCE, stream.read_buf(&mut bytes))
            .await
            .expect("an answer");
        assert_ne!(read.unwrap(), 0, "{text}");
    }
}

/// A request to become a WebSocket.
fn upgrade(server: &TestServer, query: &str, headers: &str) -> String {
    format!(
        "GET {} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n",
        server.uri(query)
    )
}

#[actix_web::test]
async fn two_posts_at_once_end_the_session() {
    let server = engine();
    let session = server.open().await;
    let uri = server.uri(&session.query());
    let unfinished = format!("POST {uri} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n4h");
    let mut first = raw(&server, unfinished).await;
    // The second comes when the first is being read: until then it is an ordinary one.
    while session.post("4x").await.status == 200 {}
    assert_eq!(session.get().await.status, 400);
    until(|| server.endpoint.sessions() == 0).await;
    first.write_all(b"ello1234").await.unwrap();
    let refused = head(&mut first).await;
    assert!(refused.starts_with("http/1.1 400"), "{refused}");
}

#[actix_web::test]
async fn what_a_session_does_not_understand_leaves_it_alone() {
    let server = engine();
    let session = server.open().await;
    let other_version = session.query().replace("EIO=4", "EIO=3");
    let refused = server.handshake(&other_version).await;
    assert_eq!(
        (refused.status, refused.body.as_str()),
        (400, r#"{"code":3,"message":"Bad request"}"#)
    );
    for method in ["PUT", "DELETE", "PATCH"] {
        let uri = server.uri(&session.query());
        let refused = server.request(method, &uri, "", "4x").await;
        assert!(
            (400..500).contains(&refused.status),
            "{method}: {}",
            refused.status
        );
    }
    let uri = server.uri(&session.query().replace("polling", "websocket"));
    assert_eq!(
        server.request("GET", &uri, "", "").await.status,
        400,
        "no upgrade"
    );
    session.post("4still here").await;
    assert_eq!(session.body().await, "4still here");
}

#[actix_web::test]
async fn what_applications_and_old_clients_add_to_the_query_is_no_matter() {
    let server = engine();
    for query in [
        "foo=bar&t=Pabc123&transport=polling&b64=1&EIO=4",
        "transport=polling&x=%F0%9F%99%82&&=&EIO=4&EIO=4",
    ] {
        assert_eq!(server.handshake(query).await.status, 200, "{query}");
    }
    let session = server.open().await;
    session.post("4a").await;
    let uri = server.uri(&format!("t=Pabc124&b64=1&{}", session.query()));
    assert_eq!(server.request("GET", &uri, "", "").await.body, "4a");
}

#[actix_web::test]
async fn compression_is_not_negotiated() {
    let server = engine();
    let offer = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n";
    let mut stream = raw(&server, upgrade(&server, "EIO=4&transport=websocket", offer)).await;
    let head = head(&mut stream).await;
    assert!(head.starts_with("http/1.1 101"), "{head}");
    assert!(!head.contains("sec-websocket-extensions"), "{head}");
}

struct Echo;

impl EngineService for Echo {
    fn open(&self, session: &Arc<Session>) -> Result<Arc<dyn SessionHandler>, Cow<'static, str>> {
        if session.handshake().query("door").as_deref() == Some("shut") {
            return Err("not today".into());
        }
        Ok(Arc::new(EchoHandler(Arc::clone(session))))
    }
}

struct EchoHandler(Arc<Session>);

impl SessionHandler for EchoHandler {
    fn message(&self, message: Message) {
        if let Message::Text(text) = message {
            self.0.send(Outgoing::packet(format!("4{text}").into()));
        }
    }

    fn closed(&self, _: CloseReason) {}
}

fn configured(change: impl FnOnce(&mut EngineConfig)) -> TestServer {
    let mut config = EngineConfig::default();
    change(&mut config);
    TestServer::spawn("/engine.io", EngineServer::new(config, Arc::new(Echo)))
}

#[actix_web::test]
async fn an_upgrade_that_stops_half_way_is_given_up_and_the_session_polls_on() {
    let server = configured(|config| config.upgrade_timeout = Duration::from_millis(50));
    for said in [&["2probe"][..], &[]] {
        let session = server.open().await;
        let mut socket = session.websocket().await;
        for packet in said {
            socket.send(packet).await;
            assert_eq!(socket.text().await, "3probe");
        }
        socket.closed().await;
        session.post("4still here").await;
        assert_eq!(session.body().await, "4still here");
        let mut again = session.upgrade().await;
        again.send("4at last").await;
        assert_eq!(again.text().await, "4at last");
    }
}

#[actix_web::test]
async fn a_get_that_overtakes_the_end_of_the_upgrade_is_as_late_as_one_after_it() {
    let server = engine();
    for _ in 0..20 {
        let session = server.open().await;
        let mut socket = session.websocket().await;
        socket.send("2probe").await;
        assert_eq!(socket.text().await, "3probe");
        let get = session.start_get().await;
        socket.send("5").await;
        assert_eq!(get.response().await.status, 400);
        socket.send("4hello").await;
        assert_eq!(socket.text().await, "4hello");
    }
}

#[actix_web::test]
async fn an_upgrade_that_goes_wrong_after_the_probe_is_given_up() {
    let server = configured(|_| {});
    for wrong in ["4hello", "2", "3", "6", "5x", "1"] {
        let session = server.open().await;
        let mut socket = session.websocket().await;
        socket.send("2probe").await;
        assert_eq!(socket.text().await, "3probe");
        socket.send(wrong).await;
        socket.closed().await;
        session.post("4still here").await;
        assert_eq!(session.body().await, "4still here", "{wrong}");
    }
}

#[actix_web::test]
async fn an_application_may_refuse_and_says_why() {
    let server = configured(|_| {});
    let refused = server.handshake("EIO=4&transport=polling&door=shut").await;
    assert_eq!(
        (refused.status, refused.body.as_str()),
        (403, r#"{"code":4,"message":"not today"}"#)
    );
    let shut = server.try_websocket("EIO=4&transport=websocket&door=shut").await;
    assert!(shut.is_none());
    assert_eq!(server.endpoint.sessions(), 0);
}

#[actix_web::test]
async fn websockets_of_unlisted_pages_are_refused() {
    let server = configured(|config| config.origins = Origins::Only(vec!["https://chat.example".into()]));
    for (origin, status) in [
        ("Origin: https://evil.example\r\n", "403"),
        ("Origin: null\r\n", "403"),
        ("Origin: https://chat.example\r\n", "101"),
        // Not a page.
        ("", "101"),
    ] {
        let mut stream = raw(&server, upgrade(&server, "EIO=4&transport=websocket", origin)).await;
        let head = head(&mut stream).await;
        assert!(
            head.starts_with(&format!("http/1.1 {status}")),
            "{origin}: {head}"
        );
    }
}

#[actix_web::test]
async fn answers_that_nobody_asked_for_are_ignored() {
    let server = sockets();
    let mut socket = server.websocket().await;
    socket.send("40").await;
    for packet in ["40", "42"] {
        assert!(socket.text().await.starts_with(packet));
    }
    socket.send(r#"4399["who asked?"]"#).await;
    socket.send(r#"461-98[{"_placeholder":true,"num":0}]"#).await;
    socket.send_binary(&[1]).await;
    socket.send(r#"427["nobody handles this"]"#).await;
    socket.send(r#"42["message","on"]"#).await;
    assert_eq!(
        socket.text().await,
        r#"42["message-back","on"]"#,
        "and 7 is not answered"
    );
}

/// Lets everybody in, under the public id that it shows as `offset`; with recovery, when it shows a `pid`.
struct Recovering;

#[async_trait]
impl Namespace for Recovering {
    async fn connect(
        &self,
        socket: Socket,
        auth: Option<Box<RawValue>>,
    ) -> Result<Arc<dyn SocketHandler>, Refusal> {
        #[derive(serde::Deserialize)]
        struct Auth {
            pid: Option<String>,
            offset: String,
        }
        let auth = auth.and_then(|auth| serde_json::from_str::<Auth>(auth.get()).ok());
        if let Some(Auth {
            pid: Some(pid),
            offset,
        }) = auth
        {
            socket.offer_recovery(Sid::parse(&offset).unwrap(), pid);
            assert_eq!(socket.id(), offset);
        }
        Ok(Arc::new(Deaf))
    }
}

struct Deaf;

#[async_trait]
impl SocketHandler for Deaf {
    async fn event(&self, _: IncomingEvent) {}

    fn disconnected(&self, _: CloseReason) {}
}

#[actix_web::test]
async fn a_private_id_is_told_to_who_was_offered_recovery_and_to_nobody_else() {
    let namespaces: [(&str, Arc<dyn Namespace>); 2] =
        [("/", Arc::new(Recovering)), ("/n", Arc::new(Recovering))];
    let endpoint = socket_io::server(SocketIoConfig::default(), namespaces);
    let server = TestServer::spawn("/socket.io", endpoint);
    let sid = "AAAAAAAAAAAAAAAAAAAA";
    for namespace in ["", "/n,"] {
        let mut socket = server.websocket().await;
        socket
            .send(&format!(r#"40{namespace}{{"pid":"secret","offset":"{sid}"}}"#))
            .await;
        let expected = format!(r#"40{namespace}{{"sid":"{sid}","pid":"secret"}}"#);
        assert_eq!(socket.text().await, expected);
        let mut socket = server.websocket().await;
        socket.send(&format!("40{namespace}")).await;
        let reply = socket.text().await;
        assert!(!reply.contains("pid") && !reply.contains(sid), "{reply}");
    }
}
