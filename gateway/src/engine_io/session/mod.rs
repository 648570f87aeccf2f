//! The state of one session, whichever transport carries it.
//!
//! Requests of one session arrive on different threads, so everything happens under one short lock that is
//! never held over an await or a call into the application.

mod polling;
mod waiting;
mod websocket;

use std::{
    fmt, mem,
    sync::{Arc, Weak},
    task::Waker,
    time::{Duration, Instant},
};

use bytestring::ByteString;
use futures_util::future::{BoxFuture, FutureExt as _, ready};
use parking_lot::Mutex;

pub(super) use self::{polling::OutputHold, waiting::SMALL_INPUT, websocket::Fill};
use super::{
    close::CloseReason,
    config::EngineConfig,
    handshake::Handshake,
    heartbeat::{Beat, Heartbeat},
    ledger::{Charge, Shared},
    outgoing::Outgoing,
    packet::{Message, Packet},
    queue::{OutboundQueue, Pushed},
    registry::Registry,
    sid::Sid,
};

const PING: ByteString = ByteString::from_static("2");

/// How long a session that its polling client has closed still answers one late GET, which the client may
/// have sent before it knew.
const CLIENT_CLOSE_GRACE: Duration = Duration::from_millis(100);

/// After this a closing WebSocket is forgotten, whatever its task does.
const WEBSOCKET_CLOSE_GRACE: Duration = Duration::from_secs(15);

/// About the size of one write to a WebSocket, in bytes.
pub(super) const WRITE: usize = 64 * 1024;

/// What runs on top of a session. No method may block.
pub trait SessionHandler: Send + Sync + 'static {
    /// A message arrived. Called in the order of arrival.
    fn message(&self, message: Message);

    /// The session is over. Called exactly once.
    fn closed(&self, reason: CloseReason);

    /// Bytes of messages that were taken but not worked off; reading pauses while it is over the limit.
    fn backlog(&self) -> usize {
        0
    }

    /// Resolves as soon as all messages handed over so far are worked off.
    fn settled(self: Arc<Self>) -> BoxFuture<'static, ()> {
        ready(()).boxed()
    }

    /// When the session is to be closed, and why, unless this changes before. After a change to an earlier
    /// time [`Session::schedule`] must be called.
    fn deadline(&self) -> Option<(Instant, CloseReason)> {
        None
    }
}

/// A client's session: survives the change from polling to WebSocket, ends once.
pub struct Session {
    sid: Sid,
    registry: Arc<Registry>,
    this: Weak<Session>,
    handshake: Handshake,
    state: Mutex<State>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Transport {
    Polling,
    /// Still polling, while a WebSocket proves itself.
    Upgrading,
    WebSocket,
}

enum Phase {
    Open,
    /// Over for the application; the client has yet to be told.
    Closing {
        reason: CloseReason,
        until: Instant,
    },
    Closed,
}

struct State {
    phase: Phase,
    transport: Transport,
    queue: OutboundQueue,
    /// What was received of a message that is not complete.
    input: Charge,
    input_since: Option<Instant>,
    /// What the handler keeps of a message that more belong to.
    parts: Charge,
    parts_since: Option<Instant>,
    heartbeat: Heartbeat,
    handler: Option<Arc<dyn SessionHandler>>,
    /// Wakes whoever waits for output: the parked GET or the idle WebSocket.
    output: Option<Waker>,
    /// The WebSocket lets events gather: it comes for them by itself, and is woken for what is more urgent.
    is_gathering: bool,
    /// Wakes a WebSocket that waits for something else, when the session ends.
    watcher: Option<Waker>,
    is_parked: bool,
    is_posting: bool,
    /// Wakes the POST that is being worked on, when a GET waits for what is held back, and when the session ends.
    poster: Option<Waker>,
    /// So many POSTs keep the output from the GETs: see [`OutputHold`].
    holds: usize,
    /// The parked GET was kept waiting once and is not again, or a client that posts all the time would starve.
    is_released: bool,
    binary_as_text: bool,
    /// During an upgrade, once the probe was answered: when a GET is to be answered with a noop.
    noop_at: Option<Instant>,
    /// When the live entry in the timers fires.
    scheduled: Option<Instant>,
}

impl Session {
    pub(super) fn new(registry: Arc<Registry>, handshake: Handshake, on_websocket: bool) -> Arc<Self> {
        let config = registry.config();
        let state = State {
            phase: Phase::Open,
            transport: if on_websocket {
                Transport::WebSocket
            } else {
                Transport::Polling
            },
            queue: OutboundQueue::new(registry.ledger()),
            input: Charge::new(registry.ledger()),
            input_since: None,
            parts: Charge::new(registry.ledger()),
            parts_since: None,
            heartbeat: Heartbeat::start(config.ping_interval, config.ping_timeout, Instant::now()),
            handler: None,
            output: None,
            is_gathering: false,
            watcher: None,
            is_parked: false,
            is_posting: false,
            poster: None,
            holds: 0,
            is_released: false,
            binary_as_text: false,
            noop_at: None,
            scheduled: None,
        };
        Arc::new_cyclic(|this| Self {
            sid: Sid::random(),
            registry,
            this: this.clone(),
            handshake,
            state: Mutex::new(state),
        })
    }

    /// The id by which the client finds its session; a secret.
    pub fn sid(&self) -> Sid {
        self.sid
    }

    /// The request that opened the session.
    pub fn handshake(&self) -> &Handshake {
        &self.handshake
    }

    /// The settings of the endpoint.
    pub fn config(&self) -> &EngineConfig {
        self.registry.config()
    }

    /// Whether messages may still be sent.
    pub fn is_open(&self) -> bool {
        matches!(self.state.lock().phase, Phase::Open)
    }

    /// How much waits to be sent, in bytes.
    pub fn queued_bytes(&self) -> usize {
        self.state.lock().queue.bytes()
    }

    /// Makes a text that many sessions of this endpoint send; its memory is counted once.
    pub fn share(&self, text: ByteString) -> Shared {
        self.registry.ledger().share(text)
    }

    /// Queues a message. False when it will not be sent: the session is over, the message was volatile and
    /// there was no room, or there was no room at all, which ends the session ([`CloseReason::SlowConsumer`]).
    pub fn send(&self, message: Outgoing) -> bool {
        self.send_all([message])
    }

    /// Queues several messages at once. False as in [`Self::send`] for any of them.
    pub fn send_all(&self, messages: impl IntoIterator<Item = Outgoing>) -> bool {
        let mut state = self.state.lock();
        if !matches!(state.phase, Phase::Open) {
            return false;
        }
        let (mut queued, mut all) = (false, true);
        for message in messages {
            if message.is_volatile() && self.registry.ledger().is_over() {
                all = false;
                continue;
            }
            match state.queue.push(message, self.config().queue_limit) {
                Pushed::Queued => queued = true,
                Pushed::Dropped => all = false,
                Pushed::Overflow => {
                    drop(state);
                    self.close(CloseReason::SlowConsumer);
                    return false;
                }
            }
        }
        if queued {
            let waits = state.is_gathering && state.queue.may_gather(WRITE);
            let waker = if waits { None } else { state.output.take() };
            drop(state);
            if let Some(waker) = waker {
                waker.wake();
            }
            self.registry.relieve();
        }
        all
    }

    /// Ends the session; only the first call counts. [`CloseReason::ServerClose`] lets the client have what
    /// is queued and a goodbye; most other reasons throw the queue away.
    pub fn close(&self, reason: CloseReason) {
        let mut state = self.state.lock();
        if !matches!(state.phase, Phase::Open) {
            return;
        }
        state.parts.set(0);
        if !reason.flushes() {
            state.input.set(0);
            // A goodbye must not come in the middle of a frame.
            match reason.websocket_code() {
                Some(_) => state.queue.forget_unsent(),
                None => state.queue.clear(),
            }
        }
        let grace = match (state.transport, reason) {
            (Transport::WebSocket, _) => Some(WEBSOCKET_CLOSE_GRACE),
            (_, CloseReason::ClientClose) => Some(CLIENT_CLOSE_GRACE),
            _ => reason.flushes().then_some(self.config().close_wait),
        };
        match grace {
            Some(grace) => {
                let until = Instant::now() + grace;
                state.phase = Phase::Closing { reason, until };
                self.schedule_locked(&mut state, until);
            }
            None => state.phase = Phase::Closed,
        }
        let handler = state.handler.take();
        let wakers = [state.output.take(), state.watcher.take(), state.poster.take()];
        drop(state);
        tracing::debug!(sid = ?self.sid, %reason, "session closed");
        self.registry.count_closed(self, reason);
        if grace.is_none() {
            self.registry.remove(self.sid);
        }
        wakers.into_iter().flatten().for_each(Waker::wake);
        if let Some(handler) = handler {
            handler.closed(reason);
        }
    }

    /// Asks for [`SessionHandler::deadline`] to be looked at no later than the given moment.
    pub fn schedule(&self, at: Instant) {
        self.schedule_locked(&mut self.state.lock(), at);
    }

    pub(super) fn set_handler(&self, handler: Arc<dyn SessionHandler>) {
        self.state.lock().handler = Some(handler);
    }

    pub(super) fn set_binary_as_text(&self, on: bool) {
        self.state.lock().binary_as_text = on;
    }

    /// The handler, as long as the session is open.
    pub(super) fn handler(&self) -> Option<Arc<dyn SessionHandler>> {
        self.state.lock().handler.clone()
    }

    /// Takes one packet from the client.
    ///
    /// # Errors
    /// The packet has no business here; the session must be closed.
    pub(super) fn receive(&self, packet: Packet) -> Result<(), CloseReason> {
        let handler = {
            let mut state = self.state.lock();
            match packet {
                Packet::Pong => state.heartbeat.pong(Instant::now()),
                _ => state.heartbeat.activity(Instant::now()),
            }
            state.handler.clone()
        };
        match packet {
            Packet::Message(message) => {
                if let Some(handler) = handler {
                    handler.message(message);
                }
            }
            Packet::Close => self.close(CloseReason::ClientClose),
            Packet::Pong | Packet::Noop => {}
            Packet::Ping(_) | Packet::Upgrade => return Err(CloseReason::ProtocolError),
        }
        Ok(())
    }

    /// Does what is due: deadlines are looked at on each request as well, because a client may come a moment
    /// after one and before the timer.
    pub(super) fn check_deadlines(&self) {
        self.advance(Instant::now());
    }

    /// The timer entry made for that moment fired.
    pub(super) fn on_timer(&self, at: Instant) {
        {
            let mut state = self.state.lock();
            if state.scheduled != Some(at) {
                return; // An earlier entry has taken its place.
            }
            state.scheduled = None;
        }
        if let Some(next) = self.advance(Instant::now()) {
            self.schedule(next);
        }
    }

    /// Does what is due and says when to look again.
    fn advance(&self, now: Instant) -> Option<Instant> {
        let handler = self.handler();
        // Asked outside the lock, for it is the application's.
        let deadline = handler.and_then(|handler| handler.deadline());
        if let Some((at, reason)) = deadline
            && at <= now
        {
            self.close(reason);
        }
        let mut state = self.state.lock();
        match state.phase {
            Phase::Closed => return None,
            Phase::Closing { until, .. } if now < until => return Some(until),
            Phase::Closing { .. } => {
                self.finish_locked(&mut state);
                return None;
            }
            Phase::Open => {}
        }
        let mut next = match self.beat(&mut state, now) {
            Ok(next) => next,
            Err(reason) => {
                drop(state);
                self.close(reason);
                return self.advance(now);
            }
        };
        if let Some(at) = state.noop_at
            && state.is_parked
        {
            if at <= now {
                wake(state.output.take());
            } else {
                next = next.min(at);
            }
        }
        Some(deadline.map_or(next, |(at, _)| next.min(at)))
    }

    fn beat(&self, state: &mut State, now: Instant) -> Result<Instant, CloseReason> {
        loop {
            match state.heartbeat.check(now) {
                Beat::Wait(until) => return Ok(until),
                Beat::Dead => return Err(CloseReason::PingTimeout),
                Beat::Ping => self.push_ping(state)?,
            }
        }
    }

    fn push_ping(&self, state: &mut State) -> Result<(), CloseReason> {
        match state
            .queue
            .push(Outgoing::packet(PING), self.config().queue_limit)
        {
            Pushed::Overflow => Err(CloseReason::SlowConsumer),
            Pushed::Queued | Pushed::Dropped => {
                wake(state.output.take());
                Ok(())
            }
        }
    }

    fn schedule_locked(&self, state: &mut State, at: Instant) {
        if state.scheduled.is_none_or(|scheduled| at < scheduled) {
            state.scheduled = Some(at);
            self.registry.timers().add(at, self.this.clone());
        }
    }

    /// The client has been told, or never will be.
    fn finish_locked(&self, state: &mut State) {
        state.queue.clear();
        if !matches!(mem::replace(&mut state.phase, Phase::Closed), Phase::Closed) {
            self.registry.remove(self.sid);
        }
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("sid", &self.sid)
            .finish_non_exhaustive()
    }
}

/// Waking under the lock is harmless: a waker only marks its task as ready.
fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}
