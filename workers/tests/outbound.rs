//! The guarded client against a server that does what receivers do at their worst.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use bytes::Bytes;
use hubbub_workers::outbound::{
    BODY_LIMIT, Call, CallError, Client, DEADLINE, Lookup, Policy, Refused, Reply,
};
use reqwest::{
    Method, Url,
    header::{HeaderMap, HeaderValue},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};

const PUBLIC: Policy = Policy { allow_private: false };
const PRIVATE: Policy = Policy { allow_private: true };

/// Resolves every name to the same addresses and counts how often it is asked.
#[derive(Clone, Default)]
struct Fixed {
    addresses: Vec<IpAddr>,
    asked: Arc<AtomicUsize>,
}

#[async_trait]
impl Lookup for Fixed {
    async fn lookup(&self, _: &str) -> io::Result<Vec<IpAddr>> {
        self.asked.fetch_add(1, SeqCst);
        Ok(self.addresses.clone())
    }
}

/// A name that changes its mind: each question gets the next answer, and the last one for ever.
#[derive(Default)]
struct Rebound {
    answers: Vec<Vec<IpAddr>>,
    asked: AtomicUsize,
}

#[async_trait]
impl Lookup for Rebound {
    async fn lookup(&self, _: &str) -> io::Result<Vec<IpAddr>> {
        let turn = self.asked.fetch_add(1, SeqCst).min(self.answers.len() - 1);
        Ok(self.answers[turn].clone())
    }
}

fn client(policy: Policy, addresses: &[IpAddr]) -> (Client, Fixed) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let lookup = Fixed {
        addresses: addresses.to_vec(),
        ..Fixed::default()
    };
    (
        Client::with_lookup(policy, Arc::new(lookup.clone())).unwrap(),
        lookup,
    )
}

fn local_client() -> Client {
    client(PRIVATE, &[Ipv4Addr::LOCALHOST.into()]).0
}

/// What a receiver does with a request once it has been read.
enum Answer {
    /// Sends these bytes and closes.
    Raw(Vec<u8>),
    /// Sends these bytes, then nothing more.
    RawThenSilence(&'static str),
    /// A body without an end.
    Endless,
    /// Closes without a word.
    HangUp,
}

/// A receiver that answers every request alike, and reports the requests.
async fn receiver(answer: Answer) -> (SocketAddr, mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, requests) = mpsc::unbounded_channel();
    let answer = Arc::new(answer);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, answer.clone(), sender.clone()));
        }
    });
    (address, requests)
}

async fn serve(
    mut stream: TcpStream,
    answer: Arc<Answer>,
    requests: mpsc::UnboundedSender<String>,
) -> io::Result<()> {
    let mut request = vec![0; 16 * 1024];
    let length = stream.read(&mut request).await?;
    let _ = requests.send(String::from_utf8_lossy(&request[..length]).into_owned());
    match &*answer {
        Answer::Raw(bytes) => stream.write_all(bytes).await,
        Answer::RawThenSilence(text) => {
            stream.write_all(text.as_bytes()).await?;
            std::future::pending().await
        }
        Answer::Endless => {
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
            loop {
                stream.write_all(&[b'x'; 4096]).await?;
            }
        }
        Answer::HangUp => Ok(()),
    }
}

fn raw(text: &str) -> Answer {
    Answer::Raw(text.into())
}

fn get(url: impl AsRef<str>) -> Call {
    Call {
        method: Method::GET,
        url: Url::parse(url.as_ref()).unwrap(),
        headers: HeaderMap::new(),
        body: Bytes::new(),
        deadline: DEADLINE,
    }
}

#[tokio::test]
async fn a_call_sends_what_it_is_given_and_reads_the_reply() {
    let answer =
        "HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n\r\nbusy";
    let (address, mut requests) = receiver(raw(answer)).await;
    let mut headers = HeaderMap::new();
    headers.insert("x-twilio-signature", HeaderValue::from_static("abc="));
    let call = Call {
        method: Method::POST,
        headers,
        body: Bytes::from_static(b"A=1"),
        ..get(format!("http://receiver:{}/hook?x=%20y", address.port()))
    };
    let reply = local_client().call(call).await.unwrap();
    let expected = Reply {
        status: 503,
        content_type: Some("text/plain".into()),
        retry_after: Some("7".into()),
        body_start: Bytes::from_static(b"busy"),
        truncated: false,
    };
    assert_eq!(reply, expected);

    let request = requests.recv().await.unwrap();
    assert!(request.starts_with("POST /hook?x=%20y HTTP/1.1\r\n"), "{request}");
    assert!(request.contains("X-Twilio-Signature: abc=\r\n"), "{request}");
    assert!(
        request.contains(&format!("Host: receiver:{}\r\n", address.port())),
        "{request}"
    );
    assert!(!request.to_lowercase().contains("accept-encoding"), "{request}");
    assert!(request.ends_with("\r\n\r\nA=1"), "{request}");
}

#[tokio::test]
async fn a_redirect_is_a_reply_and_not_followed() {
    let (inner, mut inner_requests) = receiver(raw("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")).await;
    let redirect = format!("HTTP/1.1 302 Found\r\nLocation: http://{inner}/\r\nContent-Length: 0\r\n\r\n");
    let (address, _requests) = receiver(raw(&redirect)).await;
    assert_eq!(
        local_client()
            .call(get(format!("http://{address}/")))
            .await
            .unwrap()
            .status,
        302
    );
    assert!(inner_requests.try_recv().is_err());
}

#[tokio::test]
async fn the_deadline_covers_the_body() {
    let slow = Answer::RawThenSilence("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
    let (address, _requests) = receiver(slow).await;
    let call = Call {
        deadline: Duration::from_millis(200),
        ..get(format!("http://{address}/"))
    };
    let start = Instant::now();
    let error = local_client().call(call).await.unwrap_err();
    assert!(matches!(error, CallError::Timeout), "{error:?}");
    assert!(error.counts_as_timeout());
    assert!(start.elapsed() < Duration::from_secs(2));
}

#[tokio::test]
async fn a_body_without_end_is_cut_off() {
    let (address, _requests) = receiver(Answer::Endless).await;
    let reply = local_client()
        .call(get(format!("http://{address}/")))
        .await
        .unwrap();
    assert_eq!(
        (reply.status, reply.body_start.len(), reply.truncated),
        (200, BODY_LIMIT, true)
    );
}

#[tokio::test]
async fn a_body_of_just_the_limit_is_whole() {
    let mut answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {BODY_LIMIT}\r\n\r\n").into_bytes();
    answer.resize(answer.len() + BODY_LIMIT, b'x');
    let (address, _requests) = receiver(Answer::Raw(answer)).await;
    let reply = local_client()
        .call(get(format!("http://{address}/")))
        .await
        .unwrap();
    assert_eq!((reply.body_start.len(), reply.truncated), (BODY_LIMIT, false));
}

#[tokio::test]
async fn a_compressed_body_is_left_as_it_is() {
    let answer = "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nzip";
    let (address, _requests) = receiver(raw(answer)).await;
    let reply = local_client()
        .call(get(format!("http://{address}/")))
        .await
        .unwrap();
    assert_eq!(reply.body_start, "zip");
}

#[tokio::test]
async fn a_name_with_any_closed_address_is_refused() {
    let (address, mut requests) = receiver(raw("HTTP/1.1 200 OK\r\n\r\n")).await;
    for bad in [
        "127.0.0.1",
        "169.254.169.254",
        "::1",
        "::ffff:10.0.0.1",
        "fd00:ec2::254",
    ] {
        let bad: IpAddr = bad.parse().unwrap();
        let (client, lookup) = client(PUBLIC, &[[93, 184, 215, 14].into(), bad]);
        let error = client
            .call(get(format!("http://rebound.example:{}/", address.port())))
            .await
            .unwrap_err();
        assert!(
            matches!(&error, CallError::Refused(Refused::Address(it)) if *it == bad.to_canonical()),
            "{error:?}"
        );
        assert!(!error.counts_as_timeout());
        assert_eq!(error.to_string(), "destination not allowed");
        assert_eq!(
            lookup.asked.load(SeqCst),
            1,
            "resolved once, and not again to connect"
        );
    }
    assert!(requests.try_recv().is_err(), "nobody was called");
}

#[tokio::test]
async fn a_name_that_changes_its_mind_gains_nothing() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let ok = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    let (open, mut calls) = receiver(raw(ok)).await;
    let allowed: IpAddr = open.ip();
    for blocked in [
        "169.254.169.254",
        "0.0.0.0",
        "::ffff:169.254.170.2",
        "fe80::1",
        "64:ff9b::7f00:1",
    ] {
        let blocked: IpAddr = blocked.parse().unwrap();
        let lookup = Arc::new(Rebound {
            answers: vec![
                vec![allowed],
                vec![blocked],
                vec![allowed, blocked],
                vec![blocked, allowed],
            ],
            ..Rebound::default()
        });
        let client = Client::with_lookup(PRIVATE, lookup.clone()).unwrap();
        let call = || get(format!("http://rebound.example:{}/", open.port()));
        // What was vetted is what is called: nobody asks a second time in between.
        assert_eq!(client.call(call()).await.unwrap().status, 200);
        assert_eq!(lookup.asked.load(SeqCst), 1);
        assert!(calls.recv().await.is_some());
        for asked in 2..=5 {
            let error = client.call(call()).await.unwrap_err();
            assert!(
                matches!(error, CallError::Refused(Refused::Address(_))),
                "{error:?}"
            );
            assert_eq!(lookup.asked.load(SeqCst), asked);
        }
        assert!(calls.try_recv().is_err(), "nobody was called");
    }
}

#[tokio::test]
async fn the_metadata_service_is_refused_in_private_mode_too() {
    let (client, _) = client(PRIVATE, &[[169, 254, 169, 254].into()]);
    let error = client.call(get("http://innocent.example/")).await.unwrap_err();
    assert!(
        matches!(error, CallError::Refused(Refused::Address(_))),
        "{error:?}"
    );
}

#[tokio::test]
async fn an_ip_literal_is_vetted_without_the_resolver() {
    let (address, mut requests) = receiver(raw("HTTP/1.1 200 OK\r\n\r\n")).await;
    let (client, lookup) = client(PUBLIC, &[]);
    for host in ["127.0.0.1", "0x7f.1", "[::ffff:127.0.0.1]", "[::1]", "2130706433"] {
        let error = client
            .call(get(format!("http://{host}:{}/", address.port())))
            .await
            .unwrap_err();
        assert!(
            matches!(error, CallError::Refused(Refused::Address(_))),
            "{host}: {error:?}"
        );
    }
    assert_eq!(lookup.asked.load(SeqCst), 0);
    assert!(requests.try_recv().is_err());
}

#[tokio::test]
async fn a_connection_that_fails_counts_as_a_timeout() {
    let (hangs_up, _requests) = receiver(Answer::HangUp).await;
    let (no_http, _requests) = receiver(raw("SSH-2.0-OpenSSH_9.2\r\n")).await;
    let closed = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    for address in [hangs_up, no_http, closed] {
        let error = local_client()
            .call(get(format!("http://{address}/")))
            .await
            .unwrap_err();
        if address == closed {
            assert!(matches!(error, CallError::Unreached(_)), "{error:?}");
        } else {
            assert!(matches!(error, CallError::Connection(_)), "{error:?}");
        }
        assert!(error.counts_as_timeout());
    }
    let (nameless, _) = client(PUBLIC, &[]);
    let error = nameless.call(get("https://gone.example/")).await.unwrap_err();
    assert!(matches!(error, CallError::Unreached(_)), "{error:?}");
}

#[tokio::test]
async fn a_server_without_tls_fails_an_https_call() {
    let (address, _requests) = receiver(raw("HTTP/1.1 400 Bad Request\r\n\r\n")).await;
    let error = local_client()
        .call(get(format!("https://{address}/")))
        .await
        .unwrap_err();
    assert!(matches!(error, CallError::Tls(_)), "{error:?}");
    assert!(error.counts_as_timeout());
}

#[tokio::test]
async fn the_systems_resolver_is_vetted_as_well() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (address, _requests) = receiver(raw("HTTP/1.1 204 No Content\r\n\r\n")).await;
    let url = format!("http://localhost:{}/", address.port());
    let open = Client::new(PRIVATE).unwrap();
    assert_eq!(open.call(get(&url)).await.unwrap().status, 204);
    let error = Client::new(PUBLIC).unwrap().call(get(&url)).await.unwrap_err();
    assert!(matches!(error, CallError::Refused(Refused::Name(_))), "{error:?}");
}
