//! WebSocket connections. We own the socket, not a framework's body stream: one task a connection, one write
//! for everything that waits, and the means to cut a slow reader off.

pub(super) mod accept;
pub(super) mod frame;
#[cfg(fuzzing)]
pub(super) mod fuzzing;
mod link;

use std::{
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll},
};

use futures_util::future::BoxFuture;
use tokio::time::timeout;

use self::{
    frame::{FrameError, Incoming},
    link::{Link, LinkError},
};
use super::{
    close::CloseReason,
    packet::{Message, Packet},
    session::{Fill, SMALL_INPUT, Session},
};

/// Policy violation: a WebSocket for a session that has one already.
const NOT_WANTED: u16 = 1008;

/// So many messages of one client are taken before others get their turn.
const MOST_IN_A_TURN: usize = 128;

/// Serves a WebSocket whose session was opened with it.
async fn serve(link: Link, session: Arc<Session>) {
    let mut connection = Connection {
        session,
        settling: None,
        said_close: false,
        held_input: 0,
    };
    connection.run(link).await;
}

/// Lets a WebSocket take a polling session over, then serves it.
async fn serve_upgrade(mut link: Link, session: Arc<Session>, binary_as_text: bool) {
    if !session.begin_upgrade() {
        return link.close(None, NOT_WANTED).await;
    }
    let attempt = UpgradeAttempt { session: &session };
    let probe = timeout(session.config().upgrade_timeout, probe(&mut link, &session)).await;
    if matches!(probe, Ok(true)) && session.complete_upgrade(binary_as_text) {
        drop(attempt);
        return serve(link, session).await;
    }
    drop(attempt);
    link.close(None, NOT_WANTED).await;
}

/// Puts the session back on polling if the upgrade did not succeed, also when its task is dropped.
struct UpgradeAttempt<'a> {
    session: &'a Session,
}

impl Drop for UpgradeAttempt<'_> {
    fn drop(&mut self) {
        self.session.abandon_upgrade();
    }
}

/// `2probe`, `3probe`, `5`, and nothing else.
async fn probe(link: &mut Link, session: &Session) -> bool {
    if !expect(link, session, "2probe").await {
        return false;
    }
    // First, so that a GET which comes after the answer is known to.
    session.probed();
    link.send_text("3probe").await.is_ok() && expect(link, session, "5").await
}

async fn expect(link: &mut Link, session: &Session, wanted: &str) -> bool {
    poll_fn(|cx| {
        if session.poll_over(cx).is_ready() {
            return Poll::Ready(false);
        }
        link.poll_next(cx)
            .map(|next| matches!(next, Ok(Incoming::Text(text)) if text == wanted))
    })
    .await
}

/// A session on its WebSocket. Dropping it ends the session.
struct Connection {
    session: Arc<Session>,
    /// Set while the application has too much to do to take more.
    settling: Option<BoxFuture<'static, ()>>,
    said_close: bool,
    /// What the session knows of an unfinished message.
    held_input: usize,
}

impl Connection {
    async fn run(&mut self, mut link: Link) {
        let reason = poll_fn(|cx| self.poll_until_over(cx, &mut link)).await;
        match reason.websocket_code() {
            _ if self.said_close => link.close(None, 1000).await,
            Some(code) => link.close(Some(&self.session), code).await,
            None if reason == CloseReason::TransportClose => drop(link),
            None => link.abort(),
        }
    }

    fn poll_until_over(&mut self, cx: &mut Context<'_>, link: &mut Link) -> Poll<CloseReason> {
        // Input first, so that the answers it brings forth go out with this turn.
        let mut taken = 0;
        while self.poll_ready_for_input(cx) {
            if taken == MOST_IN_A_TURN {
                cx.waker().wake_by_ref();
                break;
            }
            taken += 1;
            match link.poll_next(cx) {
                Poll::Ready(Ok(incoming)) => self.receive(incoming),
                Poll::Ready(Err(error)) => self.session.close(reason_of(&error)),
                Poll::Pending => break,
            }
        }
        self.count_input(link);
        match link.poll_flush(cx, &self.session) {
            Poll::Ready(Ok(Fill::Over(reason))) => Poll::Ready(reason),
            Poll::Ready(Ok(Fill::Idle | Fill::Data)) => Poll::Pending,
            Poll::Ready(Err(_)) => {
                self.session.close(CloseReason::TransportClose);
                Poll::Ready(CloseReason::TransportClose)
            }
            Poll::Pending => self.session.poll_over(cx),
        }
    }

    fn count_input(&mut self, link: &Link) {
        let held = Some(link.held()).filter(|held| *held >= SMALL_INPUT).unwrap_or(0);
        if held != self.held_input {
            self.held_input = held;
            self.session.hold_input(held);
        }
    }

    /// False while the application works its backlog off, and when the session is over.
    fn poll_ready_for_input(&mut self, cx: &mut Context<'_>) -> bool {
        if let Some(settling) = &mut self.settling {
            if settling.as_mut().poll(cx).is_pending() {
                return false;
            }
            self.settling = None;
        }
        self.session.is_open()
    }

    fn receive(&mut self, incoming: Incoming) {
        let packet = match incoming {
            Incoming::Text(text) => Packet::decode(&text).map_err(|_| CloseReason::ProtocolError),
            Incoming::Binary(bytes) => Ok(Packet::Message(Message::Binary(bytes))),
            Incoming::Close => {
                self.said_close = true;
                return self.session.close(CloseReason::TransportClose);
            }
            Incoming::Ping(_) | Incoming::Pong => return,
        };
        if let Err(reason) = packet.and_then(|packet| self.session.receive(packet)) {
            return self.session.close(reason);
        }
        if let Some(handler) = self.session.handler()
            && handler.backlog() > self.session.config().backlog_limit
        {
            self.settling = Some(handler.settled());
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.session.websocket_gone();
    }
}

fn reason_of(error: &LinkError) -> CloseReason {
    match error {
        LinkError::Frame(FrameError::TooLarge) => CloseReason::PayloadTooLarge,
        LinkError::Frame(FrameError::Protocol | FrameError::NotUtf8) => CloseReason::ProtocolError,
        LinkError::Io(_) => CloseReason::TransportClose,
    }
}
