//! One WebSocket connection: frames in, frames out, and no memory of its own while it idles.

use std::{
    cell::Cell,
    future::poll_fn,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use actix_web::rt::net::TcpStream;
use bytes::{Bytes, BytesMut};
use tokio::{
    io::{AsyncRead as _, AsyncReadExt as _, AsyncWrite as _, AsyncWriteExt as _, ReadBuf},
    time::timeout,
};

use super::frame::{self, FrameError, FrameReader, Incoming};
use crate::engine_io::{
    gather::LastWrite,
    queue::Chunk,
    session::{Fill, Session, WRITE},
};

/// Size of one read.
const READ: usize = 64 * 1024;

/// A write buffer that had to hold a giant message is not kept.
const MAX_RETAINED: usize = 4 * WRITE;

/// How long a peer may take to read our last words.
const GOODBYE: Duration = Duration::from_secs(5);

/// How long we wait for a peer to hang up after them.
const HANG_UP: Duration = Duration::from_secs(1);

thread_local! {
    // Shared by all connections of a thread: a buffer is needed only while one of them is being polled.
    static READ_BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    static WRITE_BUFFER: Cell<Chunk> = Cell::default();
}

#[derive(Debug, thiserror::Error)]
pub(super) enum LinkError {
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error(transparent)]
    Io(#[from] io::Error),
}

pub(super) struct Link {
    io: TcpStream,
    reader: FrameReader,
    /// The kernel took no more; it says when it does again.
    is_blocked: bool,
    last_write: LastWrite,
    /// The rest of a pong, which the kernel did not take.
    unsent: Vec<u8>,
    /// The payload of the latest ping; the earlier ones need no answer of their own (RFC 6455, 5.5.3).
    pong: Option<Bytes>,
}

impl Link {
    /// Takes a connection over, with what was read from it too early.
    pub(super) fn new(io: TcpStream, early: &[u8], max_payload: usize) -> Self {
        // Copied, because the buffer it lies in is far larger than what it holds.
        let early = BytesMut::from(early);
        Self {
            io,
            reader: FrameReader::new(early, max_payload),
            is_blocked: false,
            last_write: LastWrite::default(),
            unsent: Vec::new(),
            pong: None,
        }
    }

    /// The next message. Pings are taken note of, for the next [`Self::poll_flush`].
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Incoming, LinkError>> {
        loop {
            match self.reader.next()? {
                Some(Incoming::Ping(payload)) => self.pong = Some(payload),
                Some(Incoming::Pong) => {}
                Some(message) => return Poll::Ready(Ok(message)),
                None => ready!(self.poll_read(cx))?,
            }
        }
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut buffer = READ_BUFFER.take();
        buffer.resize(READ, 0);
        let mut read = ReadBuf::new(&mut buffer);
        let result = Pin::new(&mut self.io).poll_read(cx, &mut read);
        self.reader.extend(read.filled());
        let is_end = read.filled().is_empty();
        READ_BUFFER.set(buffer);
        match ready!(result) {
            Ok(()) if is_end => Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
            result => Poll::Ready(result),
        }
    }

    /// How many bytes of a message that is not complete are kept.
    pub(super) fn held(&self) -> usize {
        self.reader.held()
    }

    /// Writes what waits for this session, as much as possible with one call into the kernel. Ready with
    /// [`Fill::Idle`] when all is written or gathers, pending while the peer does not read.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>, session: &Session) -> Poll<io::Result<Fill>> {
        loop {
            let was_blocked = self.is_blocked;
            if was_blocked {
                ready!(self.io.poll_write_ready(cx))?;
                self.is_blocked = false;
            }
            let mut chunk = WRITE_BUFFER.take();
            chunk.is_excused = was_blocked;
            let written = self.poll_chunk(cx, session, &mut chunk);
            chunk.recycle(MAX_RETAINED);
            WRITE_BUFFER.set(chunk);
            if let Some(fill) = ready!(written)? {
                return Poll::Ready(Ok(fill));
            }
        }
    }

    /// Writes one chunk: the rest of a pong, messages, the next pong. What the kernel does not take goes back to the
    /// session's queue, as the messages it was. Ready with `None` when there may be more.
    fn poll_chunk(
        &mut self,
        cx: &mut Context<'_>,
        session: &Session,
        chunk: &mut Chunk,
    ) -> Poll<io::Result<Option<Fill>>> {
        chunk.bytes.extend_from_slice(&self.unsent);
        let fill = session.fill_frames(cx, self.last_write.gathers_until(), chunk);
        let messages_end = chunk.bytes.len();
        let waits_since = chunk.waits_for_its_turn_since();
        if let Some(payload) = &self.pong {
            frame::write_pong(payload, &mut chunk.bytes);
        }
        if chunk.bytes.is_empty() {
            return Poll::Ready(Ok(Some(fill)));
        }
        let written = match Pin::new(&mut self.io).poll_write(cx, &chunk.bytes) {
            Poll::Ready(Ok(0)) => Err(io::ErrorKind::WriteZero.into()),
            Poll::Ready(written) => written,
            Poll::Pending => Ok(0),
        }?;
        self.last_write.set(waits_since);
        self.is_blocked = written < chunk.bytes.len();
        self.unsent.drain(..written.min(self.unsent.len()));
        session.count_write(chunk.messages_within(written));
        if written < messages_end {
            session.put_back(chunk, written);
        } else if self.pong.take().is_some() {
            self.unsent = chunk.bytes[written..].to_vec();
        }
        if written == 0 {
            Poll::Pending
        } else {
            Poll::Ready(Ok(None))
        }
    }

    /// Writes one text frame now; only during an upgrade, when nothing else writes.
    pub(super) async fn send_text(&mut self, text: &str) -> io::Result<()> {
        let mut out = Vec::new();
        frame::write_text(&[text.as_bytes()], &mut out);
        self.io.write_all(&out).await
    }

    /// Lets the peer have what still waits for it, says goodbye and hangs up, all within a few seconds.
    pub(super) async fn close(mut self, session: Option<&Session>, code: u16) {
        let goodbye = async {
            if let Some(session) = session {
                // Not pending on more output, for the session is over.
                poll_fn(|cx| self.poll_flush(cx, session)).await?;
            }
            let mut out = Vec::new();
            frame::write_close(code, &mut out);
            self.io.write_all(&out).await?;
            self.io.shutdown().await
        };
        if matches!(timeout(GOODBYE, goodbye).await, Ok(Ok(()))) {
            // Hanging up on unread input would reset the connection and could destroy our last words.
            let mut rest = [0; 1024];
            let hung_up = async { while matches!(self.io.read(&mut rest).await, Ok(read) if read > 0) {} };
            let _ = timeout(HANG_UP, hung_up).await;
        } else {
            self.abort();
        }
    }

    /// Resets the connection, so that the kernel frees at once what the peer does not read.
    pub(super) fn abort(self) {
        if let Err(error) = socket2::SockRef::from(&self.io).set_linger(Some(Duration::ZERO)) {
            tracing::debug!(%error, "a connection could not be reset");
        }
    }
}
