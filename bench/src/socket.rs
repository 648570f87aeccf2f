//! A user's socket: Socket.IO over a WebSocket, with acks. What it costs is kept small, as a run has thousands.

use std::{
    cell::RefCell,
    fmt, io,
    net::SocketAddr,
    ops::ControlFlow,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use memchr::memmem;
use tokio::{
    io::{AsyncRead as _, AsyncReadExt as _, AsyncWriteExt as _, ReadBuf},
    net::{
        TcpSocket, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::oneshot,
    task::JoinHandle,
    time::timeout,
};

use crate::{
    board::Ear,
    packet::{Json, Packet},
    websocket::{self, Frame},
};

/// How long it may take until a socket is let in.
const PATIENCE: Duration = Duration::from_secs(60);
/// How much is read at once.
const BUFFER: usize = 64 * 1024;
const PONG: &[u8] = b"3";
/// From so many loopback addresses connections are made.
const SOURCES: u32 = 8;

static NEXT_SOURCE: AtomicU32 = AtomicU32::new(0);

thread_local! {
    /// One buffer for all sockets of a thread: what is read is heard before the next socket's turn.
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; BUFFER]);
}

/// What makes something of the events that a socket gets.
pub(crate) trait Hears: Send + 'static {
    /// An event that was read at `now`.
    fn hear(&mut self, name: &[u8], json: Json<'_>, now: Instant);

    /// Everything that one read brought has been heard.
    fn rest(&mut self) {}
}

/// The server's word that a socket is not let in: the packet's JSON.
#[derive(Debug)]
pub(crate) struct Refusal(pub(crate) String);

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "refused: {}", self.0)
    }
}

impl std::error::Error for Refusal {}

/// A user's socket that was let in.
pub(crate) struct Socket<E = Ear> {
    line: Arc<Line>,
    reader: JoinHandle<E>,
}

/// Connects from one of several addresses in turn, with so small a receive buffer as is asked for: an address has no
/// more than some 28,000 ports, and those of the connections that a storm has ended are not free at once.
pub(crate) async fn dial(gateway: SocketAddr, receive_buffer: Option<u32>) -> anyhow::Result<TcpStream> {
    let socket = if gateway.is_ipv4() {
        TcpSocket::new_v4()
    } else {
        TcpSocket::new_v6()
    }?;
    if let Some(bytes) = receive_buffer {
        socket.set_recv_buffer_size(bytes)?;
    }
    if gateway.is_ipv4() {
        let turn = (NEXT_SOURCE.fetch_add(1, Ordering::Relaxed) % SOURCES) as u8;
        socket.set_reuseaddr(true)?;
        socket.bind(SocketAddr::from(([127, 0, 0, 2 + turn], 0)))?;
    }
    socket
        .connect(gateway)
        .await
        .with_context(|| format!("nothing listens at {gateway}"))
}

/// Has a connection let in, with `initialized` heard; answers its halves.
pub(crate) async fn let_in(
    stream: TcpStream,
    gateway: SocketAddr,
    token: &str,
    ear: &mut impl Hears,
) -> anyhow::Result<(OwnedReadHalf, OwnedWriteHalf)> {
    let opening = timeout(PATIENCE, greet(stream, gateway, token, None, ear))
        .await
        .context("a socket was not let in in time")??;
    Ok((opening.reader, opening.writer))
}

async fn greet(
    stream: TcpStream,
    gateway: SocketAddr,
    token: &str,
    cursor: Option<&str>,
    ear: &mut impl Hears,
) -> anyhow::Result<Opening> {
    let mut opening = Opening::start(stream, gateway).await?;
    opening
        .expect("an open packet", |packet| matches!(packet, Packet::Open))
        .await?;
    let auth = match cursor {
        None => format!("40{{\"token\":\"{token}\"}}"),
        Some(cursor) => format!("40{{\"token\":\"{token}\",\"cursor\":\"{cursor}\"}}"),
    };
    opening.say(auth.as_bytes()).await?;
    opening
        .expect("to be let in", |packet| matches!(packet, Packet::Connected))
        .await?;
    opening
        .expect("initialized", |packet| match packet {
            Packet::Event(b"initialized", json) => {
                ear.hear(b"initialized", *json, Instant::now());
                true
            }
            _ => false,
        })
        .await?;
    Ok(opening)
}

/// The half of a socket that speaks.
struct Line {
    writer: tokio::sync::Mutex<OwnedWriteHalf>,
    calls: Mutex<Vec<(u32, oneshot::Sender<Vec<u8>>)>>,
    next_call: AtomicU32,
}

/// The answer to a call.
pub(crate) struct Ack(Vec<u8>);

impl Ack {
    pub(crate) fn json(&self) -> Json<'_> {
        Json(&self.0)
    }
}

impl<E: Hears> Socket<E> {
    /// Connects with the token, and with the cursor if there is one; the events go to the ear.
    pub(crate) async fn connect(
        gateway: SocketAddr,
        token: &str,
        cursor: Option<&str>,
        mut ear: E,
    ) -> anyhow::Result<Self> {
        let stream = dial(gateway, None).await?;
        let greeting = greet(stream, gateway, token, cursor, &mut ear);
        let Opening { reader, writer, rest } = timeout(PATIENCE, greeting)
            .await
            .context("a socket was not let in in time")??;
        let line = Arc::new(Line {
            writer: tokio::sync::Mutex::new(writer),
            calls: Mutex::new(Vec::new()),
            next_call: AtomicU32::new(0),
        });
        let listening = Listening {
            reader,
            rest,
            ear,
            line: Arc::clone(&line),
        };
        Ok(Self {
            line,
            reader: tokio::spawn(listening.run()),
        })
    }

    /// Speaks a verb and waits for its ack. The argument is an object's JSON.
    pub(crate) async fn call(&self, verb: &str, argument: &str) -> anyhow::Result<Ack> {
        let number = self.line.next_call.fetch_add(1, Ordering::Relaxed);
        let (answer, answered) = oneshot::channel();
        self.line.calls().push((number, answer));
        self.line
            .say(format!("42{number}[\"{verb}\",{argument}]").as_bytes())
            .await?;
        answered
            .await
            .map(Ack)
            .context("the socket ended before the ack came")
    }

    /// Whether the connection is still up.
    pub(crate) fn is_connected(&self) -> bool {
        !self.reader.is_finished()
    }

    /// Ends the connection at the transport, as a lost network does; answers the ear.
    pub(crate) async fn drop_transport(self) -> anyhow::Result<E> {
        {
            let writer = self.line.writer.lock().await;
            let _ = socket2::SockRef::from(writer.as_ref()).shutdown(std::net::Shutdown::Both);
        }
        Ok(self.reader.await?)
    }

    /// Waits for the connection to end, for so long at most: the ear when it did, the socket when it is still up.
    pub(crate) async fn ends(mut self, within: Duration) -> anyhow::Result<ControlFlow<E, Self>> {
        match timeout(within, &mut self.reader).await {
            Ok(ear) => Ok(ControlFlow::Break(ear?)),
            Err(_) => Ok(ControlFlow::Continue(self)),
        }
    }
}

impl Line {
    fn calls(&self) -> std::sync::MutexGuard<'_, Vec<(u32, oneshot::Sender<Vec<u8>>)>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn say(&self, packet: &[u8]) -> io::Result<()> {
        let mut frame = Vec::with_capacity(packet.len() + 14);
        websocket::write_text(packet, &mut frame);
        self.writer.lock().await.write_all(&frame).await
    }

    fn acknowledge(&self, number: u32, json: Json<'_>) {
        let mut calls = self.calls();
        if let Some(at) = calls.iter().position(|(waiting, _)| *waiting == number) {
            let _ = calls.swap_remove(at).1.send(json.0.to_vec());
        }
    }
}

/// A connection that is not let in yet.
struct Opening {
    reader: OwnedReadHalf,
    writer: OwnedWriteHalf,
    /// What was read and not yet looked at.
    rest: Vec<u8>,
}

impl Opening {
    async fn start(stream: TcpStream, gateway: SocketAddr) -> anyhow::Result<Self> {
        stream.set_nodelay(true)?;
        let (reader, writer) = stream.into_split();
        let mut opening = Self {
            reader,
            writer,
            rest: Vec::new(),
        };
        let request = format!(
            "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: {gateway}\r\nConnection: Upgrade\r\n\
             Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: aHViYnViLWJlbmNoLi4uLg==\r\n\r\n"
        );
        opening.writer.write_all(request.as_bytes()).await?;
        let end = loop {
            if let Some(end) = memmem::find(&opening.rest, b"\r\n\r\n") {
                break end;
            }
            opening.read().await?;
        };
        if !opening.rest.starts_with(b"HTTP/1.1 101 ") {
            bail!("no WebSocket: {}", String::from_utf8_lossy(&opening.rest));
        }
        opening.rest.drain(..end + 4);
        Ok(opening)
    }

    async fn read(&mut self) -> anyhow::Result<()> {
        if self.reader.read_buf(&mut self.rest).await? == 0 {
            bail!("the server ended the connection");
        }
        Ok(())
    }

    async fn say(&mut self, packet: &[u8]) -> anyhow::Result<()> {
        let mut frame = Vec::new();
        websocket::write_text(packet, &mut frame);
        Ok(self.writer.write_all(&frame).await?)
    }

    async fn expect(&mut self, what: &str, mut fits: impl FnMut(&Packet<'_>) -> bool) -> anyhow::Result<()> {
        loop {
            if let Some((frame, size)) = websocket::read(&self.rest)? {
                let packet = match frame {
                    Frame::Text(text) => Packet::read(text),
                    Frame::Close => None,
                };
                match packet {
                    Some(packet) if fits(&packet) => {}
                    Some(Packet::Refused(why)) => {
                        return Err(Refusal(String::from_utf8_lossy(why).into_owned()).into());
                    }
                    other => bail!("expected {what}, got {other:?}"),
                }
                self.rest.drain(..size);
                return Ok(());
            }
            self.read().await?;
        }
    }
}

/// The half of a socket that listens.
struct Listening<E> {
    reader: OwnedReadHalf,
    /// The start of a frame whose end has not come yet.
    rest: Vec<u8>,
    ear: E,
    line: Arc<Line>,
}

/// What a read asks of the socket.
#[derive(Default)]
struct Asked {
    pong: bool,
    over: bool,
}

impl<E: Hears> Listening<E> {
    /// Listens until the connection ends.
    async fn run(mut self) -> E {
        let greeted = std::mem::take(&mut self.rest);
        let mut asked = self.take_in(&greeted);
        drop(greeted);
        loop {
            match asked {
                Ok(Asked { over: true, .. }) => break,
                Ok(Asked { pong: true, .. }) => {
                    if self.line.say(PONG).await.is_err() {
                        break;
                    }
                }
                Ok(_) => {}
                Err(error) => {
                    eprintln!("a socket ended: {error:#}");
                    break;
                }
            }
            asked = std::future::poll_fn(|context| self.poll_read(context)).await;
        }
        self.line.calls().clear();
        self.ear
    }

    fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<anyhow::Result<Asked>> {
        SCRATCH.with_borrow_mut(|scratch| {
            let mut buffer = ReadBuf::new(scratch);
            if ready!(Pin::new(&mut self.reader).poll_read(context, &mut buffer)).is_err()
                || buffer.filled().is_empty()
            {
                return Poll::Ready(Ok(Asked {
                    pong: false,
                    over: true,
                }));
            }
            Poll::Ready(self.take_in(buffer.filled()))
        })
    }

    fn take_in(&mut self, bytes: &[u8]) -> anyhow::Result<Asked> {
        let now = Instant::now();
        let mut asked = Asked::default();
        if self.rest.is_empty() {
            let used = self.hear(bytes, now, &mut asked)?;
            self.rest.extend_from_slice(&bytes[used..]);
        } else {
            let mut joined = std::mem::take(&mut self.rest);
            joined.extend_from_slice(bytes);
            let used = self.hear(&joined, now, &mut asked)?;
            joined.drain(..used);
            // An emptied buffer is given back: most sockets are idle most of the time.
            self.rest = if joined.is_empty() { Vec::new() } else { joined };
        }
        self.ear.rest();
        Ok(asked)
    }

    /// Hears every whole frame; answers how many bytes they were.
    fn hear(&mut self, bytes: &[u8], now: Instant, asked: &mut Asked) -> anyhow::Result<usize> {
        let mut used = 0;
        while let Some((frame, size)) = websocket::read(&bytes[used..])? {
            used += size;
            let Frame::Text(text) = frame else {
                asked.over = true;
                break;
            };
            match Packet::read(text) {
                Some(Packet::Event(name, json)) => self.ear.hear(name, json, now),
                Some(Packet::Ack(number, json)) => self.line.acknowledge(number, json),
                Some(Packet::Ping) => asked.pong = true,
                Some(Packet::Over) => asked.over = true,
                other => bail!("an unexpected packet: {other:?}"),
            }
        }
        Ok(used)
    }
}
