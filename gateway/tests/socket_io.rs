//! What the public Socket.IO v5 conformance suite checks, and what it leaves out.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a failed test says it best"
)]

#[path = "../examples/conformance/echo.rs"]
#[allow(dead_code, reason = "the other endpoint has a suite of its own")]
mod echo;
mod support;

use std::time::{Duration, Instant};

use self::support::{TestServer, WebSocket, until};

const PLACEHOLDERS: &str = r#"{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}"#;

fn server() -> TestServer {
    TestServer::spawn("/socket.io", echo::socket_io())
}

/// Checks the reply to a CONNECT and gives the id in it.
fn accepted(reply: &str, prefix: &str) -> String {
    let reply: serde_json::Value = serde_json::from_str(reply.strip_prefix(prefix).unwrap()).unwrap();
    let fields = reply.as_object().unwrap();
    assert_eq!(fields.len(), 1);
    fields["sid"].as_str().unwrap().to_owned()
}

/// A WebSocket that has joined the root namespace.
async fn joined(server: &TestServer) -> WebSocket {
    let mut socket = server.websocket().await;
    socket.send("40").await;
    accepted(&socket.text().await, "40");
    assert_eq!(socket.text().await, r#"42["auth",{}]"#);
    socket
}

#[actix_web::test]
async fn a_client_is_let_in_and_its_auth_arrives() {
    let server = server();
    for (connect, accept, auth) in [
        ("40", "40", r#"42["auth",{}]"#),
        (r#"40{"token":"123"}"#, "40", r#"42["auth",{"token":"123"}]"#),
        ("40/custom,", "40/custom,", r#"42/custom,["auth",{}]"#),
        ("40/custom", "40/custom,", r#"42/custom,["auth",{}]"#),
        (
            r#"40/custom,{"token":"abc"}"#,
            "40/custom,",
            r#"42/custom,["auth",{"token":"abc"}]"#,
        ),
    ] {
        let mut socket = server.websocket().await;
        socket.send(connect).await;
        accepted(&socket.text().await, accept);
        assert_eq!(socket.text().await, auth);
    }
}

#[actix_web::test]
async fn the_public_id_is_not_the_secret_one_and_each_namespace_has_its_own() {
    let server = server();
    let session = server.open().await;
    session.post("40\u{1e}40/custom,").await;
    let replies = session.body().await;
    let packets: Vec<_> = replies.split('\u{1e}').collect();
    let root = accepted(packets[0], "40");
    let custom = accepted(packets[2], "40/custom,");
    assert_ne!(root, custom);
    assert_ne!(root, session.sid);
    assert_ne!(custom, session.sid);
}

#[actix_web::test]
async fn an_unknown_namespace_is_refused_and_the_connection_stays() {
    let server = server();
    let mut socket = server.websocket().await;
    socket.send("40/random").await;
    assert_eq!(
        socket.text().await,
        r#"44/random,{"message":"Invalid namespace"}"#
    );
    // Sent before the refusal was read: ignored.
    socket.send(r#"42/random,["message"]"#).await;
    socket.send("40").await;
    accepted(&socket.text().await, "40");
}

#[actix_web::test]
async fn what_is_no_connect_at_first_closes_the_connection() {
    let server = server();
    for packet in [
        "4abc",
        r#"42["message"]"#,
        "41",
        "43[]",
        r#"42/custom,["message"]"#,
    ] {
        let mut socket = server.websocket().await;
        socket.send(packet).await;
        assert_eq!(socket.closed().await, Some(1002), "{packet}");
    }
    until(|| server.endpoint.sessions() == 0).await;
}

#[actix_web::test]
async fn a_client_that_joins_nothing_is_hung_up_on() {
    let server = server();
    let start = Instant::now();
    let mut socket = server.websocket().await;
    // It answers pings, so only the connect time-out can end it.
    let code = loop {
        match socket.next().await {
            Some(tokio_tungstenite::tungstenite::Message::Close(frame)) => {
                break frame.map(|f| u16::from(f.code));
            }
            Some(_) => socket.send("3").await,
            None => break None,
        }
    };
    assert_eq!(code, Some(1008));
    let lived = start.elapsed();
    assert!(
        lived >= Duration::from_millis(950) && lived < Duration::from_secs(2),
        "{lived:?}"
    );
}

#[actix_web::test]
async fn leaving_a_namespace_leaves_the_connection() {
    let server = server();
    let mut socket = joined(&server).await;
    socket.send("41").await;
    assert_eq!(socket.text().await, "2");
    socket.send("3").await;
    socket.send(r#"42["message","late"]"#).await;
    assert_eq!(socket.text().await, "2", "late events are ignored");
}

#[actix_web::test]
async fn leaving_one_namespace_leaves_the_others() {
    let server = server();
    let mut socket = joined(&server).await;
    socket.send("40/custom").await;
    socket.text().await;
    socket.text().await;
    socket.send("41/custom").await;
    socket.send(r#"42["message","message to main namespace"]"#).await;
    assert_eq!(
        socket.text().await,
        r#"42["message-back","message to main namespace"]"#
    );
}

#[actix_web::test]
async fn joining_twice_closes_the_connection() {
    let server = server();
    let mut socket = joined(&server).await;
    socket.send("40").await;
    assert_eq!(socket.closed().await, Some(1002));
}

#[actix_web::test]
async fn events_come_back_byte_for_byte() {
    let server = server();
    let mut socket = joined(&server).await;
    socket.send(r#"42["message",1,"2",{"3":[true]}]"#).await;
    assert_eq!(socket.text().await, r#"42["message-back",1,"2",{"3":[true]}]"#);
    socket.send(&format!(r#"452-["message",{PLACEHOLDERS}]"#)).await;
    socket.send_binary(&[1, 2, 3]).await;
    socket.send_binary(&[4, 5, 6]).await;
    assert_eq!(
        socket.text().await,
        format!(r#"452-["message-back",{PLACEHOLDERS}]"#)
    );
    assert_eq!(socket.binary().await, [1, 2, 3]);
    assert_eq!(socket.binary().await, [4, 5, 6]);
}

#[actix_web::test]
async fn acks_come_back_byte_for_byte() {
    let server = server();
    let mut socket = joined(&server).await;
    socket
        .send(r#"42456["message-with-ack",1,"2",{"3":[false]}]"#)
        .await;
    assert_eq!(socket.text().await, r#"43456[1,"2",{"3":[false]}]"#);
    socket
        .send(&format!(r#"452-789["message-with-ack",{PLACEHOLDERS}]"#))
        .await;
    socket.send_binary(&[1, 2, 3]).await;
    socket.send_binary(&[4, 5, 6]).await;
    assert_eq!(socket.text().await, format!("462-789[{PLACEHOLDERS}]"));
    assert_eq!(socket.binary().await, [1, 2, 3]);
    assert_eq!(socket.binary().await, [4, 5, 6]);
}

#[actix_web::test]
async fn attachments_may_come_in_posts_of_their_own() {
    let server = server();
    let session = server.open().await;
    session.post("40").await;
    session.body().await;
    session.post(&format!(r#"452-["message",{PLACEHOLDERS}]"#)).await;
    session.post("bAQID").await;
    session.post("bBAUG").await;
    let back = session.body().await;
    assert_eq!(
        back,
        format!("452-[\"message-back\",{PLACEHOLDERS}]\u{1e}bAQID\u{1e}bBAUG")
    );
}

#[actix_web::test]
async fn what_breaks_the_protocol_closes_the_connection() {
    let server = server();
    for packet in [
        "4abc",
        "42{}",
        r#"42abc["message-with-ack"]"#,
        "47",
        "42[]",
        "450-[\"m\"]",
        r#"44{"message":"x"}"#,
    ] {
        let mut socket = joined(&server).await;
        socket.send(packet).await;
        assert_eq!(socket.closed().await, Some(1002), "{packet}");
    }
    let mut socket = joined(&server).await;
    socket.send_binary(b"unannounced").await;
    assert_eq!(socket.closed().await, Some(1002));
    let mut socket = joined(&server).await;
    socket
        .send(r#"451-["message",{"_placeholder":true,"num":0}]"#)
        .await;
    socket.send(r#"42["message"]"#).await;
    assert_eq!(socket.closed().await, Some(1002));
    until(|| server.endpoint.sessions() == 0).await;
}

#[actix_web::test]
async fn a_broken_packet_in_a_post_closes_the_session() {
    let server = server();
    let session = server.open().await;
    session.post("40").await;
    session.body().await;
    session.post("42{}").await;
    assert_eq!(session.get().await.status, 400);
}

#[actix_web::test]
async fn a_burst_over_polling_arrives_whole_and_in_order() {
    let server = server();
    let session = server.open().await;
    session.post("40").await;
    session.body().await;
    let events: Vec<_> = (0..100)
        .map(|n| format!("42{n}[\"message-with-ack\",{n}]"))
        .collect();
    session.post(&events.join("\u{1e}")).await;
    let mut acks = Vec::new();
    while acks.len() < 100 {
        let body = session.body().await;
        let packets: Vec<_> = body.split('\u{1e}').map(str::to_owned).collect();
        assert!(packets.len() <= 16);
        acks.extend(packets.into_iter().filter(|packet| packet != "2"));
    }
    let expected: Vec<_> = (0..100).map(|n| format!("43{n}[{n}]")).collect();
    assert_eq!(acks, expected);
}

#[actix_web::test]
async fn a_joined_session_survives_the_upgrade() {
    let server = server();
    let session = server.open().await;
    session.post("40").await;
    session.body().await;
    let mut socket = session.upgrade().await;
    socket.send(r#"421["message-with-ack","x"]"#).await;
    assert_eq!(socket.text().await, r#"431["x"]"#);
}
