//! What other implementations of these protocols once fell for, replayed at a real server. Each test names the
//! advisories that it replays. A server that survives answers an honest client afterwards, and holds nothing any more.
//!
//! More of them are replayed where what they attack is tested: announced attachments that do not come and packets that
//! hold too much (CVE-2020-36049, CVE-2026-33151, CVE-2026-48804, CVE-2026-69185) in `limits.rs` and `hostile.rs`, bodies
//! that do not end (CVE-2020-36048) in `hostile.rs`, compression (CVE-2016-10542) in `odd_clients.rs`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a failed test says it best"
)]

#[path = "../examples/conformance/echo.rs"]
#[allow(dead_code, reason = "each suite uses its endpoint")]
mod echo;
mod support;

use std::time::Duration;

use hubbub_gateway::socket_io::SocketIoConfig;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use self::support::{TestServer, WebSocket, until};

const PATIENCE: Duration = Duration::from_secs(10);
/// The largest message that may be sent.
const LARGEST: usize = 1_000_000;

struct Victim {
    server: TestServer,
    honest: WebSocket,
}

impl Victim {
    async fn new() -> Self {
        let server = TestServer::spawn("/socket.io", echo::socket_io_with(SocketIoConfig::default()));
        let honest = joined(&server).await;
        Self { server, honest }
    }

    /// Says this on a WebSocket of its own, and gives the code that it is closed with.
    async fn closed_for(&self, packet: &str) -> Option<u16> {
        let mut socket = joined(&self.server).await;
        socket.send(packet).await;
        socket.closed().await
    }

    /// Posts this in a polling session of its own, which must be over by it.
    async fn refuses(&self, packet: &str) {
        let session = self.server.open().await;
        session.post("40").await;
        session.body().await;
        let posted = session.post(packet).await;
        // The packet is read when the body has been taken: the answer may be either.
        assert!(matches!(posted.status, 200 | 400), "{packet}");
        assert_eq!(session.get().await.status, 400, "{packet}");
    }

    /// The honest client is still served, and only it has a session.
    async fn ends_well(mut self) {
        let said = r#"42["message","still there?"]"#;
        self.honest.send(said).await;
        assert_eq!(self.honest.text().await, r#"42["message-back","still there?"]"#);
        until(|| self.server.endpoint.sessions() == 1).await;
        until(|| self.server.endpoint.waiting_bytes() == 0).await;
    }
}

/// A WebSocket that was let in.
async fn joined(server: &TestServer) -> WebSocket {
    let mut socket = server.websocket().await;
    socket.send("40").await;
    assert!(socket.text().await.starts_with("40{"));
    assert_eq!(socket.text().await, r#"42["auth",{}]"#);
    socket
}

/// A connection that was upgraded to a WebSocket, to say whatever bytes.
async fn upgraded(server: &TestServer) -> TcpStream {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream
        .write_all(upgrade(server, "EIO=4&transport=websocket", "").as_bytes())
        .await
        .unwrap();
    let head = answer(&mut stream).await;
    assert!(head.starts_with("HTTP/1.1 101"), "{head}");
    stream
}

fn upgrade(server: &TestServer, query: &str, headers: &str) -> String {
    format!(
        "GET {} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n",
        server.uri(query)
    )
}

/// The head of the answer; empty when there is none.
async fn answer(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, _)) = text.split_once("\r\n\r\n") {
            return head.to_owned();
        }
        let read = timeout(PATIENCE, stream.read_buf(&mut bytes))
            .await
            .expect("an answer, or the end");
        if !matches!(read, Ok(read) if read > 0) {
            return String::new();
        }
    }
}

/// Reads until the connection is over.
async fn end(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    let _ = timeout(PATIENCE, stream.read_to_end(&mut bytes))
        .await
        .expect("the end");
    bytes
}

/// A masked frame; the mask of zeroes leaves the payload as it is.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    assert!(payload.len() < 126);
    let mut frame = vec![first, 0x80 | u8::try_from(payload.len()).unwrap(), 0, 0, 0, 0];
    frame.extend_from_slice(payload);
    frame
}

/// CVE-2022-2421, GHSA-qm95-pgcg-qqfq: the index of an attachment was whatever the packet said, a method's name too.
#[actix_web::test]
async fn the_index_of_an_attachment_is_the_number_of_one() {
    let victim = Victim::new().await;
    for number in [
        r#""splice""#,
        r#""length""#,
        r#""__proto__""#,
        r#""0""#,
        "1",
        "-1",
        "0.5",
        "1e99",
        "null",
        "true",
        "[0]",
        r#"{"_placeholder":true,"num":0}"#,
        "18446744073709551616",
    ] {
        let packet = format!(r#"451-["message",{{"_placeholder":true,"num":{number}}}]"#);
        assert_eq!(victim.closed_for(&packet).await, Some(1002), "{number}");
        victim.refuses(&packet).await;
    }
    for hidden in [
        r#"451-["message",[[{"a":{"num":"splice","_placeholder":true}}]]]"#,
        r#"451-["message",{"_\u0070laceholder":true,"num":"splice"}]"#,
        r#"451-["message",{"num":0,"_placeholder":true,"num":7}]"#,
        r#"461-1[{"_placeholder":true,"num":"splice"}]"#,
    ] {
        assert_eq!(victim.closed_for(hidden).await, Some(1002), "{hidden}");
    }
    victim.ends_well().await;
}

/// CVE-2023-32695, GHSA-cqmj-92xf-r6r9: an event's name was called as what it was not. CVE-2024-38355,
/// GHSA-25hc-qcg6-38wj: one named `error` was thrown.
#[actix_web::test]
async fn the_name_of_an_event_is_a_text_and_means_nothing_to_the_server() {
    let victim = Victim::new().await;
    for packet in [
        r#"42[{"toString":"foo"}]"#,
        r#"42[["message"],1]"#,
        "42[null,1]",
        "42[true]",
        "42{\"length\":1}",
        r#"42/custom,[{"toString":"foo"}]"#,
        r#"451-[{"_placeholder":true,"num":0}]"#,
    ] {
        assert_eq!(victim.closed_for(packet).await, Some(1002), "{packet}");
        victim.refuses(packet).await;
    }
    for name in [
        "connect",
        "connect_error",
        "disconnect",
        "disconnecting",
        "newListener",
        "removeListener",
    ] {
        assert_eq!(
            victim.closed_for(&format!("42[\"{name}\"]")).await,
            Some(1002),
            "{name}"
        );
    }
    let mut socket = joined(&victim.server).await;
    for name in [
        "error",
        "toString",
        "__proto__",
        "constructor",
        "hasOwnProperty",
        "",
        "\\u0000",
    ] {
        socket.send(&format!("421[\"{name}\",{{\"__proto__\":1}}]")).await;
    }
    socket.send(r#"427["message-with-ack"]"#).await;
    assert_eq!(socket.text().await, "437[]", "and nothing before it");
    drop(socket);
    victim.ends_well().await;
}

/// CVE-2020-36049, GHSA-xfhh-g9f5-x4m4: reading numbers digit by digit into ever longer texts took all memory.
#[actix_web::test]
async fn long_numbers_take_neither_time_nor_memory() {
    let victim = Victim::new().await;
    let digits = "9".repeat(LARGEST - 100);
    for packet in [
        format!("42{digits}[\"message\"]"),
        format!("43{digits}[]"),
        format!("45{digits}-[\"message\"]"),
        format!("451-{digits}[\"message\"]"),
        format!("40{digits}"),
        format!("45{digits}"),
        format!("42/{digits},[\"message\"]"),
        format!("42/{digits}"),
    ] {
        assert_eq!(victim.closed_for(&packet).await, Some(1002), "{}", &packet[..8]);
        victim.refuses(&packet).await;
    }
    victim.ends_well().await;
}

/// CVE-2026-33151, GHSA-677m-j7p3-52f9, and CVE-2026-48804: a packet announced any number of attachments, which were
/// all kept.
#[actix_web::test]
async fn more_than_ten_attachments_are_refused_before_the_first_comes() {
    let victim = Victim::new().await;
    for count in [
        "11",
        "1000000",
        "4294967296",
        "18446744073709551616",
        "0",
        "00",
        "-1",
        "1e9",
    ] {
        for kind in [5, 6] {
            let packet = format!("4{kind}{count}-[\"message\"]");
            assert_eq!(victim.closed_for(&packet).await, Some(1002), "{packet}");
        }
        victim.refuses(&format!("45{count}-[\"message\"]")).await;
    }
    // One that was announced, and another.
    let mut socket = joined(&victim.server).await;
    socket
        .send(r#"451-["message",{"_placeholder":true,"num":0}]"#)
        .await;
    socket.send_binary(b"one").await;
    assert_eq!(
        socket.text().await,
        r#"451-["message-back",{"_placeholder":true,"num":0}]"#
    );
    assert_eq!(socket.binary().await, b"one");
    socket.send_binary(b"another").await;
    assert_eq!(socket.closed().await, Some(1002));
    victim.ends_well().await;
}

/// CVE-2023-31125, GHSA-q9mw-68c2-j6m5: a WebSocket that named no known transport; GHSA-gr94-w7qr-f4j3: one that named
/// what it was not.
#[actix_web::test]
async fn a_websocket_must_name_its_transport() {
    let victim = Victim::new().await;
    let sid = victim.server.open().await.sid;
    for query in [
        "",
        "EIO=4",
        "EIO=4&transport=",
        "EIO=4&transport=polling",
        "EIO=4&transport=webtransport",
        "EIO=4&transport=__proto__",
        "EIO=4&transport=constructor",
        "EIO=4&transport[]=websocket",
        "transport=websocket",
        "EIO=4&transport=websocket&sid=__proto__",
        "EIO=4&transport=websocket&sid=",
        "EIO=4&transport=websocket&sid=%00",
        "EIO=%FF&transport=%FF&sid=%FF",
    ] {
        let mut stream = TcpStream::connect(victim.server.address).await.unwrap();
        stream
            .write_all(upgrade(&victim.server, query, "").as_bytes())
            .await
            .unwrap();
        let head = answer(&mut stream).await;
        assert!(head.starts_with("HTTP/1.1 400"), "{query}: {head}");
    }
    // The session of somebody else, by a transport that takes over nothing.
    let query = format!("EIO=4&transport=webtransport&sid={sid}");
    let refused = victim.server.handshake(&query).await;
    assert_eq!(
        (refused.status, refused.body.as_str()),
        (400, r#"{"code":0,"message":"Transport unknown"}"#)
    );
    let session = support::Polling::of(&victim.server, sid);
    session.post("40").await;
    assert!(session.body().await.starts_with("40{"));
    session.post("1").await;
    victim.ends_well().await;
}

/// CVE-2022-41940, GHSA-r7qp-cfhv-p84w: a connection that was reset in the middle of its upgrade. CVE-2022-21676,
/// GHSA-273r-mgr4-v34f: an upgrade that was no valid one.
#[actix_web::test]
async fn an_upgrade_that_is_reset_or_wrong_harms_nobody() {
    let victim = Victim::new().await;
    let whole = upgrade(&victim.server, "EIO=4&transport=websocket", "");
    for length in [1, 20, whole.len() / 2, whole.len() - 1, whole.len()] {
        let mut stream = TcpStream::connect(victim.server.address).await.unwrap();
        stream.write_all(&whole.as_bytes()[..length]).await.unwrap();
        // Not closed, reset.
        socket2::SockRef::from(&stream)
            .set_linger(Some(Duration::ZERO))
            .unwrap();
    }
    for (right, wrong) in [
        ("Sec-WebSocket-Version: 13", "Sec-WebSocket-Version: 12"),
        ("Sec-WebSocket-Version: 13\r\n", ""),
        ("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", ""),
        ("Upgrade: websocket", "Upgrade: h2c"),
        ("GET", "POST"),
    ] {
        let mut stream = TcpStream::connect(victim.server.address).await.unwrap();
        stream
            .write_all(whole.replacen(right, wrong, 1).as_bytes())
            .await
            .unwrap();
        let head = answer(&mut stream).await;
        assert!(head.starts_with("HTTP/1.1 4"), "{wrong}: {head}");
    }
    victim.ends_well().await;
}

/// CVE-2026-59725, GHSA-r635-g3xr-vw7x: a POST of a type that is not taken was never answered. CVE-2020-36048,
/// GHSA-j4f2-536g-r55m: a large one of very many packets took all memory.
#[actix_web::test]
async fn every_post_is_answered_and_a_large_one_takes_no_more_than_it_is() {
    let victim = Victim::new().await;
    for content_type in [
        "application/octet-stream",
        "application/octet-stream; charset=UTF-8",
    ] {
        let session = victim.server.open().await;
        let headers = format!("Content-Type: {content_type}\r\n");
        let uri = victim.server.uri(&session.query());
        // The request has just its head; what it announces does not come.
        let mut stream = TcpStream::connect(victim.server.address).await.unwrap();
        let head =
            format!("POST {uri} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n{headers}\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let refused = answer(&mut stream).await;
        assert!(refused.starts_with("HTTP/1.1 400"), "{refused}");
        assert_eq!(session.get().await.status, 400);
    }
    let session = victim.server.open().await;
    let uri = victim.server.uri(&session.query());
    let mut stream = TcpStream::connect(victim.server.address).await.unwrap();
    let head = format!("POST {uri} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4000000000\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let refused = answer(&mut stream).await;
    assert!(refused.starts_with("HTTP/1.1 413"), "{refused}");
    drop(stream);
    // Half a million packets, none of which is one of Socket.IO; and as many separators.
    for body in ["4\u{1e}".repeat(LARGEST / 2 - 1) + "4", "\u{1e}".repeat(LARGEST)] {
        let session = victim.server.open().await;
        let posted = session.post(&body).await;
        assert!(matches!(posted.status, 200 | 400), "{}", posted.status);
        assert_eq!(session.get().await.status, 400);
    }
    session.post("1").await;
    victim.ends_well().await;
}

/// CVE-2024-37890, GHSA-3h5v-q93c-6h6q: a request with more headers than the parser took.
#[actix_web::test]
async fn a_request_of_very_many_headers_is_refused() {
    let victim = Victim::new().await;
    for count in [200, 5_000, 50_000] {
        let headers: String = (0..count).map(|number| format!("x-{number}: y\r\n")).collect();
        let mut stream = TcpStream::connect(victim.server.address).await.unwrap();
        let request = upgrade(&victim.server, "EIO=4&transport=websocket", &headers);
        // It may be refused before it has said all.
        let _ = stream.write_all(request.as_bytes()).await;
        let head = answer(&mut stream).await;
        assert!(
            head.is_empty() || head.starts_with("HTTP/1.1 4"),
            "{count}: {head}"
        );
    }
    victim.ends_well().await;
}

/// CVE-2026-48779, GHSA-96hv-2xvq-fx4p: a message of very many tiny fragments took far more memory than its bytes.
/// CVE-2026-48802: pongs that nobody asked for, each of which started something.
#[actix_web::test]
async fn tiny_fragments_and_pongs_take_no_memory() {
    const FRAGMENTS: usize = 200_000;
    let victim = Victim::new().await;
    let mut stream = upgraded(&victim.server).await;
    stream.write_all(&frame(0x81, b"40")).await.unwrap();
    let mut said = frame(0x01, br#"42["message",""#);
    for number in 0..FRAGMENTS {
        match number % 4 {
            0 => said.extend(frame(0x00, b"x")),
            1 => said.extend(frame(0x8a, b"unasked")),
            2 => said.extend(frame(0x00, b"")),
            _ => said.extend(frame(0x89, b"")),
        }
    }
    for piece in said.chunks(10_000) {
        stream.write_all(piece).await.unwrap();
        let waiting = victim.server.endpoint.waiting_bytes();
        assert!(waiting < 1_000_000, "{waiting} bytes are held");
    }
    let mut last = frame(0x80, br#""]"#);
    // As a packet of its own, the pong of Engine.IO means as little.
    (0..1_000).for_each(|_| last.extend(frame(0x81, b"3")));
    stream.write_all(&last).await.unwrap();
    let back = format!("42[\"message-back\",\"{}\"]", "x".repeat(FRAGMENTS / 4));
    let mut heard = Vec::new();
    // Pings may come behind it.
    while !String::from_utf8_lossy(&heard).contains(&back) {
        let read = timeout(PATIENCE, stream.read_buf(&mut heard))
            .await
            .expect("what was said");
        assert_ne!(read.unwrap(), 0, "{} bytes came back", heard.len());
    }
    drop(stream);
    victim.ends_well().await;
}

/// CVE-2026-42786 of another server: frames without an end, none of which is larger than a message may be.
#[actix_web::test]
async fn fragments_together_are_limited_like_a_message() {
    let victim = Victim::new().await;
    let mut stream = upgraded(&victim.server).await;
    let fragment = {
        let mut fragment = vec![0x00, 0x80 | 126, 0xff, 0xff, 0, 0, 0, 0];
        fragment.resize(fragment.len() + 0xffff, b'x');
        fragment
    };
    stream.write_all(&frame(0x01, b"4x")).await.unwrap();
    let mut sent = 0;
    // Until it has had enough, which is soon.
    while sent < 100 && stream.write_all(&fragment).await.is_ok() {
        sent += 1;
        let waiting = victim.server.endpoint.waiting_bytes();
        assert!(waiting < 4 * LARGEST, "{waiting} bytes are held");
    }
    let heard = end(&mut stream).await;
    let is_told = heard.windows(4).any(|frame| *frame == [0x88, 2, 0x03, 0xf1]);
    assert!(is_told || sent < 100, "1009, or a reset");
    victim.ends_well().await;
}
