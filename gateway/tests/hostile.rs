//! Clients that do not read, do not finish what they say, or say far too much at once; and a drain.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a failed test says it best"
)]

mod support;

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use hubbub_gateway::{
    engine_io::{CloseReason, EngineConfig},
    socket_io::{
        self, IncomingEvent, Namespace, Outgoing, Refusal, Socket, SocketHandler, SocketIoConfig,
        encode_open_event,
    },
};
use serde_json::value::RawValue;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_tungstenite::tungstenite::Message;

use self::support::{TestServer, WebSocket, until};

/// Everybody who was let in, in order, and what was asked.
#[derive(Default)]
struct Room {
    sockets: Mutex<Vec<Socket>>,
    heard: AtomicUsize,
}

impl Room {
    fn socket(&self, place: usize) -> Socket {
        self.sockets.lock().unwrap()[place].clone()
    }

    /// Sends one text to everybody, with an ending of each one's own.
    fn tell(&self, number: usize, length: usize) {
        let sockets = self.sockets.lock().unwrap().clone();
        let json = format!("{{\"number\":{number},\"text\":\"{}\"}}", "x".repeat(length));
        let head = sockets[0].share(encode_open_event("/", "said", &json).unwrap());
        for (place, socket) in sockets.iter().enumerate() {
            socket.send(Outgoing::shared(head.clone()).with_tail(format!(",\"for\":{place}}}]")));
        }
    }
}

struct Application(Arc<Room>);

#[async_trait]
impl Namespace for Application {
    async fn connect(
        &self,
        socket: Socket,
        auth: Option<Box<RawValue>>,
    ) -> Result<Arc<dyn SocketHandler>, Refusal> {
        if auth.is_some() {
            // Whoever is put out while it is being let in.
            socket.disconnect();
        }
        self.0.sockets.lock().unwrap().push(socket);
        Ok(Arc::new(Handler(Arc::clone(&self.0))))
    }
}

struct Handler(Arc<Room>);

#[async_trait]
impl SocketHandler for Handler {
    async fn event(&self, event: IncomingEvent) {
        self.0.heard.fetch_add(1, Ordering::SeqCst);
        if let Some(ack) = event.ack {
            ack.send(&"yes");
        }
    }

    fn disconnected(&self, _: CloseReason) {}
}

fn spawn(change: impl FnOnce(&mut SocketIoConfig)) -> (TestServer, Arc<Room>) {
    let room = Arc::new(Room::default());
    let mut config = SocketIoConfig {
        engine: EngineConfig {
            path: "/socket.io".into(),
            ..EngineConfig::default()
        },
        ..SocketIoConfig::default()
    };
    change(&mut config);
    let application: Arc<dyn Namespace> = Arc::new(Application(Arc::clone(&room)));
    let server = TestServer::spawn("/socket.io", socket_io::server(config, [("/", application)]));
    (server, room)
}

async fn joined(server: &TestServer) -> WebSocket {
    let mut socket = server.websocket().await;
    socket.send("40").await;
    assert!(socket.text().await.starts_with("40{"));
    socket
}

#[actix_web::test]
async fn what_waits_for_all_together_is_bounded_and_who_reads_loses_nothing() {
    const DEAF: usize = 30;
    const MESSAGES: usize = 1_000;
    const LIMIT: usize = 1_000_000;
    let (server, room) = spawn(|config| config.engine.total_limit = LIMIT);
    let mut reader = joined(&server).await;
    let mut deaf = Vec::new();
    for _ in 0..DEAF {
        deaf.push(joined(&server).await);
    }
    let read = actix_web::rt::spawn(async move {
        for number in 0..MESSAGES {
            let text = reader.text().await;
            assert!(
                text.starts_with(&format!("42[\"said\",{{\"number\":{number},")),
                "{text}"
            );
            assert!(text.ends_with(",\"for\":0}]"));
        }
        reader
    });
    let first = room.socket(0);
    for number in 0..MESSAGES {
        room.tell(number, 2_000);
        let waiting = server.endpoint.waiting_bytes();
        assert!(waiting < LIMIT + 10_000, "{waiting} bytes wait");
        until(|| first.queued_bytes() == 0).await;
    }
    let mut reader = read.await.unwrap();
    reader.send(r#"421["still there?"]"#).await;
    assert_eq!(reader.text().await, r#"431["yes"]"#);
    assert!(server.endpoint.cut_off() >= 1, "somebody had to go");
    let open = server.endpoint.sessions();
    assert_eq!(open as u64, 1 + DEAF as u64 - server.endpoint.cut_off());
    // Without the bound each of them might keep a mebibyte.
    drop(deaf);
    until(|| server.endpoint.sessions() == 1).await;
    assert_eq!(server.endpoint.waiting_bytes(), 0);
}

#[actix_web::test]
async fn a_slow_reader_gets_every_byte_in_order() {
    const MESSAGES: usize = 1_500;
    let (server, room) = spawn(|config| config.engine.queue_limit = 100_000_000);
    let mut socket = joined(&server).await;
    for number in 0..MESSAGES {
        room.tell(number, number * 7919 % 6_000);
    }
    assert!(room.socket(0).queued_bytes() > 1_000_000, "it has to be slow");
    let mut pongs = 0;
    for number in 0..MESSAGES {
        if number % 100 == 0 {
            socket.send_raw(Message::Ping(vec![7; 100].into())).await;
        }
        let text = loop {
            match socket.next().await {
                Some(Message::Text(text)) => break text,
                Some(Message::Pong(payload)) if *payload == [7; 100] => pongs += 1,
                other => panic!("unexpected: {other:?}"),
            }
        };
        assert!(
            text.starts_with(&format!("42[\"said\",{{\"number\":{number},")),
            "{text}"
        );
        assert!(text.ends_with(",\"for\":0}]"));
        assert!(text.len() > number * 7919 % 6_000);
    }
    until(|| server.endpoint.waiting_bytes() == 0).await;
    assert!(pongs > 0);
}

/// A WebSocket that has said the beginning of a long message.
async fn unfinished(server: &TestServer, bytes: usize) -> TcpStream {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let request = format!(
        "GET {} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: aHViYnViLWJlbmNoLi4uLg==\r\n\r\n",
        server.uri("EIO=4&transport=websocket")
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        assert_ne!(stream.read_buf(&mut head).await.unwrap(), 0);
    }
    let mut frame = vec![0x81, 0xff];
    frame.extend_from_slice(&900_000_u64.to_be_bytes());
    frame.extend_from_slice(&[0; 4]);
    frame.resize(frame.len() + bytes, b'x');
    // It may be cut off before it has said that much.
    let _ = stream.write_all(&frame).await;
    stream
}

#[actix_web::test]
async fn what_clients_do_not_finish_saying_is_bounded_too() {
    const LIMIT: usize = 2_000_000;
    let (server, _) = spawn(|config| config.engine.total_limit = LIMIT);
    let mut honest = joined(&server).await;
    let announced = unfinished(&server, 10).await;
    assert!(server.endpoint.waiting_bytes() < 200_000, "announced is not held");
    drop(announced);
    let mut unread = Vec::new();
    for _ in 0..20 {
        unread.push(unfinished(&server, 500_000).await);
    }
    until(|| server.endpoint.cut_off() >= 10).await;
    until(|| server.endpoint.waiting_bytes() <= LIMIT).await;
    honest.send(r#"421["still there?"]"#).await;
    assert_eq!(honest.text().await, r#"431["yes"]"#);
}

#[actix_web::test]
async fn bodies_that_do_not_end_are_bounded_too() {
    const LIMIT: usize = 2_000_000;
    let (server, _) = spawn(|config| config.engine.total_limit = LIMIT);
    let honest = server.open().await;
    let mut bodies = Vec::new();
    for _ in 0..20 {
        let session = server.open().await;
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        let head = format!(
            "POST {} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 900000\r\n\r\n",
            server.uri(&session.query())
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let _ = stream.write_all(&vec![b'4'; 500_000]).await;
        bodies.push(stream);
    }
    until(|| server.endpoint.cut_off() >= 10).await;
    until(|| server.endpoint.waiting_bytes() <= LIMIT).await;
    assert_eq!(honest.post("40").await.body, "ok");
    assert!(honest.body().await.starts_with("40{"));
    drop(bodies);
    until(|| server.endpoint.waiting_bytes() == 0).await;
}

#[actix_web::test]
async fn packets_whose_attachments_do_not_come_are_bounded_too() {
    const LIMIT: usize = 2_000_000;
    let (server, _) = spawn(|config| config.engine.total_limit = LIMIT);
    let mut honest = joined(&server).await;
    let mut waiting = Vec::new();
    for number in 0..20 {
        let mut socket = server.websocket().await;
        // Nobody has to be let in for that.
        if number % 2 == 0 {
            socket.send("40").await;
        }
        socket
            .send(&format!(r#"452-["m","{}"]"#, "x".repeat(200_000)))
            .await;
        let _ = socket.try_send_binary(&[0; 300_000]).await;
        waiting.push(socket);
    }
    until(|| server.endpoint.cut_off() >= 10).await;
    until(|| server.endpoint.waiting_bytes() <= LIMIT).await;
    honest.send(r#"421["still there?"]"#).await;
    assert_eq!(honest.text().await, r#"431["yes"]"#);
    drop(waiting);
    until(|| server.endpoint.waiting_bytes() == 0).await;
    honest.send(r#"452-1["m"]"#).await;
    honest.send_binary(&[0; 100]).await;
    until(|| server.endpoint.waiting_bytes() > 100).await;
    honest.send_binary(&[0; 100]).await;
    assert_eq!(honest.text().await, r#"431["yes"]"#);
    assert_eq!(server.endpoint.waiting_bytes(), 0);
}

#[actix_web::test]
async fn one_body_of_thousands_of_packets_is_worked_off_whole() {
    const PACKETS: usize = 20_000;
    let (server, room) = spawn(|_| {});
    let session = server.open().await;
    session.post("40").await;
    session.body().await;
    let body = vec![r#"42["hey",{"a":[1,2]}]"#; PACKETS].join("\u{1e}");
    assert_eq!(session.post(&body).await.body, "ok");
    until(|| room.heard.load(Ordering::SeqCst) == PACKETS).await;
}

#[actix_web::test]
async fn a_deeply_nested_event_costs_nothing_and_breaks_nothing() {
    let (server, room) = spawn(|_| {});
    let mut socket = joined(&server).await;
    let deep = format!("{}{}", "[".repeat(400_000), "]".repeat(400_000));
    socket.send(&format!("421[\"deep\",{deep}]")).await;
    assert_eq!(socket.text().await, r#"431["yes"]"#);
    assert_eq!(room.heard.load(Ordering::SeqCst), 1);
    socket.send(&format!("451-[\"deep\",{deep}]")).await;
    assert_eq!(socket.closed().await, Some(1002));
}

#[actix_web::test]
async fn who_is_put_out_while_being_let_in_is_told_and_is_no_ghost() {
    let (server, room) = spawn(|config| config.connect_timeout = Duration::from_millis(200));
    let mut socket = server.websocket().await;
    socket.send(r#"40{"banned":true}"#).await;
    assert!(socket.text().await.starts_with("40{"));
    assert_eq!(socket.text().await, "41");
    assert!(!room.socket(0).is_connected());
    assert_eq!(
        socket.closed().await,
        Some(1008),
        "unless it joins something else"
    );
}

#[actix_web::test]
async fn a_drain_sends_clients_away_one_after_the_other() {
    const SESSIONS: usize = 300;
    let (server, _) = spawn(|_| {});
    for _ in 0..SESSIONS {
        server.open().await;
    }
    let shutdown = {
        let endpoint = server.endpoint.clone();
        actix_web::rt::spawn(async move { endpoint.shutdown(Duration::from_secs(1)).await })
    };
    let seen = Arc::new(Mutex::new(BTreeSet::new()));
    until(|| {
        let open = server.endpoint.sessions();
        seen.lock().unwrap().insert(open);
        open < SESSIONS
    })
    .await;
    let refused = server.handshake("EIO=4&transport=polling").await;
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")));
    until(|| {
        let open = server.endpoint.sessions();
        seen.lock().unwrap().insert(open);
        open == 0
    })
    .await;
    let steps = seen.lock().unwrap().len();
    assert!(steps >= 6, "{SESSIONS} in {steps} steps");
    shutdown.await.unwrap();
}
