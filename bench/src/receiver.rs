//! A tenant's receiver of webhooks: takes what comes over connections that are kept, and answers 204, at once or late.

use std::{
    collections::HashSet,
    net::Ipv4Addr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use memchr::memmem;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use crate::board::Board;

const ANSWER: &[u8] = b"HTTP/1.1 204 No Content\r\n\r\n";

/// What has arrived.
pub(crate) struct Receiver {
    pub(crate) url: String,
    board: Option<Arc<Board>>,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    messages: HashSet<Vec<u8>>,
    again: u64,
}

impl Receiver {
    /// Begins to listen. It answers after `pause`, and writes what arrives on the board, if it has one.
    pub(crate) async fn listen(board: Option<Arc<Board>>, pause: Duration) -> anyhow::Result<Arc<Self>> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let receiver = Arc::new(Self {
            url: format!("http://{}/hook", listener.local_addr()?),
            board,
            seen: Mutex::default(),
        });
        let noting = Arc::clone(&receiver);
        accept(listener, pause, move |_, form| noting.note(form));
        Ok(receiver)
    }

    /// How many messages were told of.
    pub(crate) fn messages(&self) -> u64 {
        self.seen().messages.len() as u64
    }

    /// How many calls told of one that was known.
    pub(crate) fn again(&self) -> u64 {
        self.seen().again
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, form: &[u8]) {
        let now = Instant::now();
        if let Some(sid) = field(form, b"MessageSid=") {
            let mut seen = self.seen();
            if !seen.messages.insert(sid.to_vec()) {
                seen.again += 1;
                return;
            }
        }
        if let (Some(board), Some(body)) = (&self.board, field(form, b"Body=")) {
            board.arrived(body, now);
        }
    }
}

/// Takes every request that comes to the listener, has its head and its body noted, and answers after `pause`.
pub(crate) fn accept(
    listener: TcpListener,
    pause: Duration,
    note: impl Fn(&[u8], &[u8]) + Send + Sync + 'static,
) {
    let note = Arc::new(note);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let note = Arc::clone(&note);
            tokio::spawn(async move {
                // Whoever hangs up is done.
                let _ = serve(stream, pause, &*note).await;
            });
        }
    });
}

async fn serve(mut stream: TcpStream, pause: Duration, note: &impl Fn(&[u8], &[u8])) -> anyhow::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = Vec::new();
    loop {
        let (head, length) = loop {
            if let Some(end) = memmem::find(&buffer, b"\r\n\r\n") {
                break (end + 4, content_length(&buffer[..end])?);
            }
            if stream.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
        };
        while buffer.len() < head + length {
            if stream.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
        }
        note(&buffer[..head], &buffer[head..head + length]);
        buffer.drain(..head + length);
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
        stream.write_all(ANSWER).await?;
    }
}

/// The value of a form's field, which needs no decoding here.
pub(crate) fn field<'a>(form: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    form.split(|byte| *byte == b'&')
        .find_map(|pair| pair.strip_prefix(name))
}

fn content_length(head: &[u8]) -> anyhow::Result<usize> {
    std::str::from_utf8(head)?
        .split("\r\n")
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .map_or(Ok(0), |(_, value)| value.trim().parse())
        .context("a content-length that is no number")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_by_their_whole_names() {
        let form = b"EventType=x&Body=abc&MessageSid=IM1";
        assert_eq!(field(form, b"Body="), Some(&b"abc"[..]));
        assert_eq!(field(form, b"MessageSid="), Some(&b"IM1"[..]));
        assert_eq!(field(form, b"Sid="), None);
        assert_eq!(
            content_length(b"POST / HTTP/1.1\r\nContent-Length: 12").unwrap(),
            12
        );
        assert_eq!(content_length(b"GET / HTTP/1.1").unwrap(), 0);
    }
}
