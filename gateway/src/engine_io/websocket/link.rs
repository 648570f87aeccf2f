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
use crate::engine_io::session::{Fill, Session};

/// Size of one read, and about the size of one write.
const CHUNK: usize = 64 * 1024;

/// A write buffer that had to hold a giant message is not kept.
const MAX_RETAINED: usize = 4 * CHUNK;

/// How long a peer may take to read our last words.
const GOODBYE: Duration = Duration::from_secs(5);

/// How long we wait for a peer to hang up after them.
const HANG_UP: Duration = Duration::from_secs(1);

thread_local! {
    // Shared by all connections of a thread: a buffer is needed only while one of them is being polled.
    static READ_BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    static WRITE_BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
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
    /// What the kernel did not take yet of the last chunk.
    unsent: Vec<u8>,
    sent: usize,
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
            unsent: Vec::new(),
            sent: 0,
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
        buffer.resize(CHUNK, 0);
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

    /// Writes what waits for this session, as much as possible with one call into the kernel. Ready with
    /// [`Fill::Idle`] when all is written, pending while the peer does not read.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>, session: &Session) -> Poll<io::Result<Fill>> {
        loop {
            ready!(self.poll_unsent(cx))?;
            let mut chunk = WRITE_BUFFER.take();
            chunk.clear();
            if let Some(payload) = self.pong.take() {
                frame::write_pong(&payload, &mut chunk);
            }
            let fill = session.fill_frames(cx, CHUNK, &mut chunk);
            let written = if chunk.is_empty() {
                Ok(())
            } else {
                self.write_some(cx, &chunk)
            };
            let is_done = chunk.is_empty();
            if chunk.capacity() <= MAX_RETAINED {
                WRITE_BUFFER.set(chunk);
            }
            written?;
            if is_done {
                return Poll::Ready(Ok(fill));
            }
        }
    }

    fn write_some(&mut self, cx: &mut Context<'_>, chunk: &[u8]) -> io::Result<()> {
        let written = match Pin::new(&mut self.io).poll_write(cx, chunk) {
            Poll::Ready(written) => written?,
            Poll::Pending => 0,
        };
        if written < chunk.len() {
            self.unsent = chunk[written..].to_vec();
            self.sent = 0;
        }
        Ok(())
    }

    fn poll_unsent(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.sent < self.unsent.len() {
            let written = ready!(Pin::new(&mut self.io).poll_write(cx, &self.unsent[self.sent..]))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.sent += written;
        }
        self.unsent = Vec::new();
        self.sent = 0;
        Poll::Ready(Ok(()))
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
