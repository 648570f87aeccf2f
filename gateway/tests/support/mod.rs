//! A server on a port of its own, and clients that say exactly what a test wants said.

#![allow(dead_code, reason = "each suite uses its part")]

use std::{
    mem::MaybeUninit,
    net::{SocketAddr, TcpListener},
    time::{Duration, Instant},
};

use actix_server::{Server, ServerHandle};
use actix_web::{App, rt};
use futures_util::{SinkExt as _, StreamExt as _};
use hubbub_gateway::engine_io::{EngineServer, listen};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async, tungstenite::Message};

/// Longer than anything takes that is not broken.
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) struct TestServer {
    pub(crate) address: SocketAddr,
    pub(crate) endpoint: EngineServer,
    path: String,
    handle: ServerHandle,
}

impl TestServer {
    /// Serves one endpoint with two workers, as requests of a session meet on different threads in earnest.
    pub(crate) fn spawn(path: &str, endpoint: EngineServer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let app = {
            let endpoint = endpoint.clone();
            move || App::new().configure(|config| endpoint.configure(config))
        };
        let builder = Server::build().workers(2).disable_signals();
        let server = listen(builder, listener, std::slice::from_ref(&endpoint), app)
            .unwrap()
            .run();
        let handle = server.handle();
        rt::spawn(server);
        Self {
            address,
            endpoint,
            path: path.to_owned(),
            handle,
        }
    }

    pub(crate) fn uri(&self, query: &str) -> String {
        format!("{}/?{query}", self.path)
    }

    pub(crate) async fn request(&self, method: &str, uri: &str, headers: &str, body: &str) -> Response {
        let request = self.send(method, uri, headers, body).await;
        request.response().await
    }

    /// Sends a request, to be answered later or never.
    pub(crate) async fn send(&self, method: &str, uri: &str, headers: &str, body: &str) -> Request {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let length = body.len();
        let request = format!(
            "{method} {uri} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        Request(stream)
    }

    pub(crate) async fn handshake(&self, query: &str) -> Response {
        self.request("GET", &self.uri(query), "", "").await
    }

    /// A polling session.
    pub(crate) async fn open(&self) -> Polling<'_> {
        let response = self.handshake("EIO=4&transport=polling").await;
        assert_eq!(response.status, 200, "{}", response.body);
        Polling {
            server: self,
            sid: sid_of(&response.body),
        }
    }

    /// A WebSocket with that query; `None` when it is refused with an HTTP answer.
    pub(crate) async fn try_websocket(&self, query: &str) -> Option<WebSocket> {
        let url = format!("ws://{}{}", self.address, self.uri(query));
        connect_async(url).await.ok().map(|(stream, _)| WebSocket(stream))
    }

    /// A WebSocket session whose open packet has been read.
    pub(crate) async fn websocket(&self) -> WebSocket {
        let mut socket = self.try_websocket("EIO=4&transport=websocket").await.unwrap();
        let open = socket.text().await;
        assert!(open.starts_with("0{"), "{open}");
        socket
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        drop(self.handle.stop(false));
    }
}

/// The sid in an open packet.
pub(crate) fn sid_of(open_packet: &str) -> String {
    let open: serde_json::Value = serde_json::from_str(&open_packet[1..]).unwrap();
    open["sid"].as_str().unwrap().to_owned()
}

pub(crate) struct Request(TcpStream);

impl Request {
    /// Whether the answer, or the start of it, is here already.
    pub(crate) fn has_answer(&self) -> bool {
        socket2::SockRef::from(&self.0)
            .peek(&mut [MaybeUninit::uninit()])
            .is_ok_and(|read| read > 0)
    }

    pub(crate) async fn response(mut self) -> Response {
        let mut bytes = Vec::new();
        while !is_complete(&bytes) {
            let read = timeout(PATIENCE, self.0.read_buf(&mut bytes))
                .await
                .expect("an answer")
                .unwrap();
            assert_ne!(read, 0, "no answer");
        }
        let text = String::from_utf8(bytes).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let status = head[9..12].parse().unwrap();
        Response {
            status,
            head: head.to_ascii_lowercase(),
            body: body.to_owned(),
        }
    }
}

/// Whether the head and the body it announces have arrived.
fn is_complete(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes).to_ascii_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    body.len() >= length.unwrap_or(0)
}

#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: String,
}

impl Response {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

pub(crate) struct Polling<'a> {
    server: &'a TestServer,
    pub(crate) sid: String,
}

impl<'a> Polling<'a> {
    /// The session of this id.
    pub(crate) fn of(server: &'a TestServer, sid: String) -> Self {
        Self { server, sid }
    }
}

impl Polling<'_> {
    pub(crate) fn query(&self) -> String {
        format!("EIO=4&transport=polling&sid={}", self.sid)
    }

    fn uri(&self) -> String {
        self.server.uri(&self.query())
    }

    pub(crate) async fn get(&self) -> Response {
        self.start_get().await.response().await
    }

    pub(crate) async fn start_get(&self) -> Request {
        self.server.send("GET", &self.uri(), "", "").await
    }

    pub(crate) async fn post(&self, body: &str) -> Response {
        self.start_post(body).await.response().await
    }

    pub(crate) async fn start_post(&self, body: &str) -> Request {
        let headers = "Content-Type: text/plain;charset=UTF-8\r\n";
        self.server.send("POST", &self.uri(), headers, body).await
    }

    /// The body of the next GET, which must be a 200.
    pub(crate) async fn body(&self) -> String {
        let response = self.get().await;
        assert_eq!(response.status, 200, "{}", response.body);
        response.body
    }

    pub(crate) async fn websocket(&self) -> WebSocket {
        self.server
            .try_websocket(&format!("EIO=4&transport=websocket&sid={}", self.sid))
            .await
            .unwrap()
    }

    /// A WebSocket that has taken the session over.
    pub(crate) async fn upgrade(&self) -> WebSocket {
        let mut socket = self.websocket().await;
        socket.send("2probe").await;
        assert_eq!(socket.text().await, "3probe");
        socket.send("5").await;
        socket
    }
}

pub(crate) struct WebSocket(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl WebSocket {
    pub(crate) async fn send(&mut self, text: &str) {
        self.0.send(Message::text(text)).await.unwrap();
    }

    pub(crate) async fn send_binary(&mut self, bytes: &[u8]) {
        self.0.send(Message::binary(bytes.to_vec())).await.unwrap();
    }

    /// Sends to a server that may have had enough.
    pub(crate) async fn try_send_binary(&mut self, bytes: &[u8]) -> bool {
        self.0.send(Message::binary(bytes.to_vec())).await.is_ok()
    }

    pub(crate) async fn send_raw(&mut self, message: Message) {
        self.0.send(message).await.unwrap();
    }

    /// The next message of whatever kind; `None` when the connection is over.
    pub(crate) async fn next(&mut self) -> Option<Message> {
        match timeout(PATIENCE, self.0.next()).await.expect("a message") {
            Some(Ok(message)) => Some(message),
            Some(Err(_)) | None => None,
        }
    }

    pub(crate) async fn text(&mut self) -> String {
        match self.next().await {
            Some(Message::Text(text)) => text.to_string(),
            other => panic!("expected text, got {other:?}"),
        }
    }

    pub(crate) async fn binary(&mut self) -> Vec<u8> {
        match self.next().await {
            Some(Message::Binary(bytes)) => bytes.to_vec(),
            other => panic!("expected binary, got {other:?}"),
        }
    }

    /// Waits for the connection to end, and gives the code it was closed with, if any.
    pub(crate) async fn closed(&mut self) -> Option<u16> {
        let mut code = None;
        while let Some(message) = self.next().await {
            if let Message::Close(frame) = message {
                code = frame.map(|frame| frame.code.into());
            }
        }
        code
    }
}

/// Waits until it is so.
pub(crate) async fn until(condition: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "it did not come true");
        tokio::task::yield_now().await;
    }
}
