//! What the public Engine.IO v4 conformance suite checks, and what it leaves out.

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

use serde_json::json;
use tokio::time::sleep_until;
use tokio_tungstenite::tungstenite::Message;

use self::support::{TestServer, sid_of, until};

const PING_INTERVAL: Duration = Duration::from_millis(300);
const PING_TIMEOUT: Duration = Duration::from_millis(200);

fn server() -> TestServer {
    TestServer::spawn("/engine.io", echo::engine_io())
}

fn check_open_packet(packet: &str, upgrades: &serde_json::Value) {
    let open: serde_json::Value = serde_json::from_str(packet.strip_prefix('0').unwrap()).unwrap();
    let expected = json!({
        "sid": open["sid"].as_str().unwrap(),
        "upgrades": upgrades,
        "pingInterval": 300,
        "pingTimeout": 200,
        "maxPayload": 1_000_000,
    });
    assert_eq!(open, expected);
}

#[actix_web::test]
async fn a_polling_handshake_opens_a_session() {
    let server = server();
    let response = server.handshake("EIO=4&transport=polling").await;
    assert_eq!(response.status, 200);
    assert_eq!(response.header("content-type"), Some("text/plain; charset=utf-8"));
    assert_eq!(response.header("cache-control"), Some("no-store"));
    check_open_packet(&response.body, &json!(["websocket"]));
    let without_slash = server
        .request("GET", "/engine.io?EIO=4&transport=polling", "", "")
        .await;
    assert_eq!(without_slash.status, 200);
    let longer = server
        .request("GET", "/engine.io/x?EIO=4&transport=polling", "", "")
        .await;
    assert_eq!(longer.status, 404);
}

#[actix_web::test]
async fn a_wrong_handshake_is_refused_with_its_code() {
    let server = server();
    for (query, code) in [
        ("transport=polling", 5),
        ("EIO=abc&transport=polling", 5),
        ("EIO=3&transport=polling", 5),
        ("EIO=4", 0),
        ("EIO=4&transport=abc", 0),
        ("EIO=4&transport=polling&sid=unknown", 1),
        ("EIO=4&transport=websocket", 3),
    ] {
        let response = server.handshake(query).await;
        assert_eq!(response.status, 400, "{query}");
        assert_eq!(response.header("content-type"), Some("application/json"));
        let body: serde_json::Value = serde_json::from_str(&response.body).unwrap();
        assert_eq!(body["code"], code, "{query}");
    }
    for method in ["POST", "PUT", "DELETE"] {
        let response = server
            .request(method, &server.uri("EIO=4&transport=polling"), "", "")
            .await;
        assert_eq!(response.status, 400, "{method}");
        assert_eq!(response.body, r#"{"code":2,"message":"Bad handshake method"}"#);
    }
}

#[actix_web::test]
async fn a_websocket_handshake_opens_a_session() {
    let server = server();
    let mut socket = server.try_websocket("EIO=4&transport=websocket").await.unwrap();
    check_open_packet(&socket.text().await, &json!([]));
    for query in [
        "transport=websocket",
        "EIO=abc&transport=websocket",
        "EIO=4",
        "EIO=4&transport=abc",
    ] {
        assert!(server.try_websocket(query).await.is_none(), "{query}");
    }
    assert!(
        server
            .try_websocket("EIO=4&transport=websocket&sid=AAAAAAAAAAAAAAAAAAAA")
            .await
            .is_none()
    );
}

#[actix_web::test]
async fn posted_packets_are_in_the_next_poll() {
    let server = server();
    let session = server.open().await;
    let response = session.post("4hello").await;
    assert_eq!((response.status, response.body.as_str()), (200, "ok"));
    assert_eq!(response.header("content-type"), Some("text/html"));
    assert_eq!(session.body().await, "4hello");
    session.post("4test1\u{1e}4test2\u{1e}4test3").await;
    assert_eq!(session.body().await, "4test1\u{1e}4test2\u{1e}4test3");
    session.post("4hello\u{1e}bAQIDBA==").await;
    assert_eq!(session.body().await, "4hello\u{1e}bAQIDBA==");
}

#[actix_web::test]
async fn a_parked_poll_is_answered_when_there_is_something() {
    let server = server();
    let session = server.open().await;
    let get = session.start_get().await;
    session.post("4hello").await;
    assert_eq!(get.response().await.body, "4hello");
}

#[actix_web::test]
async fn a_post_is_answered_before_the_poll_that_tells_of_its_effects() {
    let server = server();
    for _ in 0..100 {
        let session = server.open().await;
        let get = session.start_get().await;
        let post = session.start_post("4hello").await;
        assert_eq!(get.response().await.body, "4hello");
        assert!(post.has_answer());
    }
}

#[actix_web::test]
async fn a_poll_brings_sixteen_packets_at_most() {
    let server = server();
    let session = server.open().await;
    session.post(&["4x"; 40].join("\u{1e}")).await;
    let mut counts = Vec::new();
    for _ in 0..3 {
        counts.push(session.body().await.split('\u{1e}').count());
    }
    assert_eq!(counts, [16, 16, 8]);
}

#[actix_web::test]
async fn a_malformed_body_ends_the_session() {
    let server = server();
    for body in ["abc", "", "4a\u{1e}", "bx?"] {
        let session = server.open().await;
        assert_eq!(session.post(body).await.status, 400, "{body:?}");
        assert_eq!(session.get().await.status, 400, "{body:?}");
    }
    let session = server.open().await;
    let uri = server.uri(&session.query());
    let response = server
        .request("POST", &uri, "Content-Type: application/octet-stream\r\n", "4a")
        .await;
    assert_eq!(response.status, 400);
    assert_eq!(session.get().await.status, 400);
    assert_eq!(server.endpoint.sessions(), 0);
}

#[actix_web::test]
async fn a_body_over_the_limit_is_refused_and_the_session_stays() {
    let server = server();
    let session = server.open().await;
    let largest = format!("4{}", "x".repeat(999_999));
    assert_eq!(session.post(&format!("{largest}x")).await.status, 413);
    assert_eq!(session.post(&largest).await.status, 200);
    assert_eq!(session.body().await, largest);
}

#[actix_web::test]
async fn two_polls_at_once_end_the_session() {
    let server = server();
    let session = server.open().await;
    let first = session.start_get().await;
    let second = session.start_get().await;
    let (first, second) = tokio::join!(first.response(), second.response());
    // Two threads: which of them came first is not ours to say.
    let (parked, late) = if first.status == 200 {
        (first, second)
    } else {
        (second, first)
    };
    assert_eq!((parked.status, parked.body.as_str()), (200, "1"));
    assert_eq!(late.status, 400);
    assert_eq!(session.get().await.status, 400);
}

#[actix_web::test]
async fn an_aborted_poll_ends_the_session() {
    let server = server();
    let session = server.open().await;
    let get = session.start_get().await;
    tokio::time::sleep(Duration::from_millis(5)).await;
    drop(get);
    assert_eq!(session.get().await.status, 400);
    until(|| server.endpoint.sessions() == 0).await;
}

#[actix_web::test]
async fn a_websocket_echoes_text_and_binary() {
    let server = server();
    let mut socket = server.websocket().await;
    socket.send("4hello").await;
    assert_eq!(socket.text().await, "4hello");
    socket.send_binary(&[1, 2, 3, 4]).await;
    assert_eq!(socket.binary().await, [1, 2, 3, 4]);
    let long = format!("4{}", "x".repeat(999_999));
    socket.send(&long).await;
    assert_eq!(socket.text().await, long);
    socket.send_raw(Message::Ping(b"are you there"[..].into())).await;
    assert_eq!(
        socket.next().await,
        Some(Message::Pong(b"are you there"[..].into()))
    );
}

#[actix_web::test]
async fn a_client_that_asked_for_base64_gets_it_on_a_websocket_too() {
    let server = server();
    let mut socket = server
        .try_websocket("EIO=4&transport=websocket&b64=1")
        .await
        .unwrap();
    socket.text().await;
    socket.send("bAQIDBA==").await;
    assert_eq!(socket.text().await, "bAQIDBA==");
}

#[actix_web::test]
async fn what_breaks_the_protocol_ends_a_websocket() {
    let server = server();
    for packet in ["abc", "", "2", "2probe", "5", "0{}"] {
        let mut socket = server.websocket().await;
        socket.send(packet).await;
        assert_eq!(socket.closed().await, Some(1002), "{packet}");
    }
    let mut socket = server.websocket().await;
    socket.send(&"4".repeat(1_000_001)).await;
    assert_eq!(socket.closed().await, Some(1009));
    until(|| server.endpoint.sessions() == 0).await;
}

#[actix_web::test]
async fn a_polling_client_that_answers_pings_lives() {
    let server = server();
    let session = server.open().await;
    for _ in 0..3 {
        assert_eq!(session.body().await, "2");
        assert_eq!(session.post("3").await.status, 200);
    }
}

#[actix_web::test]
async fn a_polling_client_that_does_not_answer_pings_is_dropped_on_time() {
    let server = server();
    let before = Instant::now();
    let session = server.open().await;
    let opened = Instant::now();
    sleep_until((before + PING_INTERVAL).into()).await;
    assert_eq!(session.body().await, "2", "still there for its ping");
    sleep_until((opened + PING_INTERVAL + PING_TIMEOUT).into()).await;
    assert_eq!(session.get().await.status, 400);
}

#[actix_web::test]
async fn a_silent_client_is_forgotten_without_another_request() {
    let server = server();
    let _polling = server.open().await;
    let _websocket = server.websocket().await;
    assert_eq!(server.endpoint.sessions(), 2);
    until(|| server.endpoint.sessions() == 0).await;
}

#[actix_web::test]
async fn a_websocket_client_that_answers_pings_lives() {
    let server = server();
    let mut socket = server.websocket().await;
    for _ in 0..3 {
        assert_eq!(socket.text().await, "2");
        socket.send("3").await;
    }
}

#[actix_web::test]
async fn a_websocket_client_that_does_not_answer_pings_is_dropped() {
    let server = server();
    let start = Instant::now();
    let mut socket = server.websocket().await;
    assert_eq!(socket.text().await, "2");
    assert_eq!(socket.closed().await, None);
    let lived = start.elapsed();
    assert!(lived >= PING_INTERVAL + PING_TIMEOUT, "{lived:?}");
}

#[actix_web::test]
async fn a_polling_client_may_close() {
    let server = server();
    let session = server.open().await;
    let get = session.start_get().await;
    assert_eq!(session.post("1").await.body, "ok");
    assert_eq!(get.response().await.body, "6");
    assert_eq!(session.get().await.status, 400);
}

#[actix_web::test]
async fn a_poll_that_comes_just_after_the_close_is_answered_once() {
    let server = server();
    let session = server.open().await;
    assert_eq!(session.post("1").await.body, "ok");
    assert_eq!(session.body().await, "6");
    assert_eq!(session.get().await.status, 400);
}

#[actix_web::test]
async fn a_websocket_client_may_close() {
    let server = server();
    let mut socket = server.websocket().await;
    socket.send("1").await;
    assert_eq!(socket.closed().await, Some(1000));
    let mut socket = server.websocket().await;
    socket.send_raw(Message::Close(None)).await;
    socket.closed().await;
    until(|| server.endpoint.sessions() == 0).await;
}

#[actix_web::test]
async fn a_websocket_takes_a_polling_session_over() {
    let server = server();
    let session = server.open().await;
    let mut socket = session.websocket().await;
    socket.send("2probe").await;
    assert_eq!(socket.text().await, "3probe");
    // Clients may poll on until they have seen the answer.
    assert_eq!(session.body().await, "6");
    assert_eq!(session.body().await, "6");
    assert_eq!(session.post("6").await.status, 200);
    socket.send("5").await;
    socket.send("4hello").await;
    assert_eq!(socket.text().await, "4hello");
    assert_eq!(session.get().await.status, 400);
    assert_eq!(session.post("4x").await.status, 400);
    socket.send("4still here").await;
    assert_eq!(socket.text().await, "4still here");
}

#[actix_web::test]
async fn a_parked_poll_is_let_go_for_the_upgrade_and_nothing_is_lost() {
    let server = server();
    let session = server.open().await;
    let parked = session.start_get().await;
    let mut socket = session.websocket().await;
    socket.send("2probe").await;
    assert_eq!(socket.text().await, "3probe");
    assert_eq!(parked.response().await.body, "6");
    session.post("4during the upgrade").await;
    socket.send("5").await;
    assert_eq!(socket.text().await, "4during the upgrade");
}

#[actix_web::test]
async fn a_second_websocket_is_accepted_and_closed() {
    let server = server();
    let session = server.open().await;
    let mut socket = session.upgrade().await;
    let mut second = session.websocket().await;
    second.closed().await;
    socket.send("4hello").await;
    assert_eq!(socket.text().await, "4hello");

    let session = server.open().await;
    let mut first = session.websocket().await;
    first.send("2probe").await;
    first.text().await;
    session.websocket().await.closed().await;
    first.send("5").await;
    first.send("4hello").await;
    assert_eq!(first.text().await, "4hello");
}

#[actix_web::test]
async fn a_failed_upgrade_leaves_the_session_on_polling_and_mortal() {
    let server = server();
    for wrong in ["4hello", "2", "2probex"] {
        let session = server.open().await;
        let mut socket = session.websocket().await;
        socket.send(wrong).await;
        socket.closed().await;
        session.post("4hello").await;
        assert_eq!(session.body().await, "4hello", "{wrong}");
    }
    let session = server.open().await;
    let mut socket = session.websocket().await;
    socket.send("2probe").await;
    socket.text().await;
    drop(socket);
    until(|| server.endpoint.sessions() == 0).await;
}

#[actix_web::test]
async fn pages_of_other_origins_are_served_with_credentials() {
    let server = server();
    let origin = "Origin: https://chat.example\r\n";
    let uri = server.uri("EIO=4&transport=polling");
    let opened = server.request("GET", &uri, origin, "").await;
    let refused = server
        .request("GET", &server.uri("EIO=4&transport=x"), origin, "")
        .await;
    for response in [&opened, &refused] {
        assert_eq!(
            response.header("access-control-allow-origin"),
            Some("https://chat.example")
        );
        assert_eq!(response.header("access-control-allow-credentials"), Some("true"));
        assert_eq!(response.header("vary"), Some("origin"));
    }
    assert!(!sid_of(&opened.body).is_empty());
    let headers = format!("{origin}Access-Control-Request-Headers: x-token\r\n");
    let preflight = server.request("OPTIONS", &uri, &headers, "").await;
    assert_eq!(preflight.status, 204);
    assert_eq!(preflight.header("access-control-allow-headers"), Some("x-token"));
    assert!(preflight.header("access-control-allow-methods").is_some());
}
