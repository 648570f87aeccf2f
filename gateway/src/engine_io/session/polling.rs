//! The session's side of HTTP long-polling.

use std::{
    future::{Future, poll_fn},
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use super::{CloseReason, Phase, Session, State, Transport, wake};
use crate::engine_io::{payload::PayloadWriter, queue::MAX_POLLING_PACKETS, request::Refusal};

const CLOSE: &str = "1";
const NOOP: &str = "6";

/// A client that has not seen the probe's answer keeps polling; this keeps that from becoming a busy loop.
pub(super) const NOOP_PAUSE: Duration = Duration::from_millis(100);

/// How long a GET is kept after the probe, for it may have overtaken the end of the upgrade.
pub(super) const NOOP_DELAY: Duration = Duration::from_millis(20);

impl Session {
    /// Waits for output and gives the body of one GET. Dropping the future means that the client has gone
    /// away, which ends the session.
    pub(in crate::engine_io) async fn poll(self: Arc<Self>) -> Result<String, Refusal> {
        self.check_deadlines();
        let mut parked = self.park()?;
        let body = poll_fn(|cx| parked.session.poll_output(cx)).await;
        parked.answered = true;
        // It crossed the WebSocket's last step on another connection, and is as late as if it had come after it: clients
        // wait for their last GET before they take that step.
        if body == NOOP && self.state.lock().transport == Transport::WebSocket {
            return Err(Refusal::BadRequest);
        }
        Ok(body)
    }

    fn park(self: &Arc<Self>) -> Result<ParkedGet, Refusal> {
        let mut state = self.state.lock();
        match state.phase {
            Phase::Closed => return Err(Refusal::UnknownSid),
            Phase::Open if state.transport == Transport::WebSocket => return Err(Refusal::BadRequest),
            // Also a sign that the parked one is dead: there is no other for a client that went away unseen.
            _ if state.is_parked => {
                drop(state);
                self.close(CloseReason::ProtocolError);
                return Err(Refusal::BadRequest);
            }
            Phase::Open | Phase::Closing { .. } => {}
        }
        state.is_parked = true;
        if let Some(at) = state.noop_at {
            self.schedule_locked(&mut state, at);
        }
        Ok(ParkedGet {
            session: Arc::clone(self),
            answered: false,
        })
    }

    fn poll_output(&self, cx: &mut Context<'_>) -> Poll<String> {
        let mut state = self.state.lock();
        match self.take_body(&mut state) {
            Some(body) => {
                state.is_parked = false;
                state.is_released = false;
                Poll::Ready(body)
            }
            None => {
                state.output = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    fn take_body(&self, state: &mut State) -> Option<String> {
        match state.phase {
            Phase::Closed => return Some(CLOSE.into()),
            Phase::Closing {
                reason: CloseReason::ClientClose,
                ..
            } => {
                self.finish_locked(state);
                return Some(NOOP.into());
            }
            // The output is the WebSocket's now.
            _ if state.transport == Transport::WebSocket => return Some(NOOP.into()),
            Phase::Open | Phase::Closing { .. } => {}
        }
        let is_held = state.holds > 0 && !state.is_released;
        let mut payload = PayloadWriter::default();
        if is_held {
            wake(state.poster.take());
        } else {
            state.queue.drain_payload(&mut payload);
        }
        if matches!(state.phase, Phase::Closing { .. })
            && !is_held
            && state.queue.is_empty()
            && payload.packets() < MAX_POLLING_PACKETS
        {
            payload.packet().push_str(CLOSE);
            self.finish_locked(state);
        }
        let now = Instant::now();
        if payload.packets() == 0 && state.noop_at.is_some_and(|at| at <= now) {
            payload.packet().push_str(NOOP);
            state.noop_at = Some(now + NOOP_PAUSE);
        }
        (payload.packets() > 0).then(|| payload.finish())
    }

    /// Admits a POST.
    pub(in crate::engine_io) fn begin_post(self: &Arc<Self>) -> Result<PostGuard, Refusal> {
        self.check_deadlines();
        let mut state = self.state.lock();
        match state.phase {
            Phase::Open if state.transport == Transport::WebSocket => Err(Refusal::BadRequest),
            Phase::Open if state.is_posting => {
                drop(state);
                self.close(CloseReason::ProtocolError);
                Err(Refusal::BadRequest)
            }
            Phase::Open => {
                state.is_posting = true;
                Ok(PostGuard {
                    session: Arc::clone(self),
                })
            }
            Phase::Closing { .. } | Phase::Closed => Err(Refusal::UnknownSid),
        }
    }

    /// Keeps what is sent from now on until the POST that causes it has been answered.
    pub(in crate::engine_io) fn hold_output(self: &Arc<Self>) -> OutputHold {
        self.state.lock().holds += 1;
        OutputHold {
            session: Arc::clone(self),
        }
    }

    /// Ready when the session is over, for the POST whose body is being read.
    pub(in crate::engine_io) fn over(&self) -> impl Future<Output = ()> + Unpin {
        poll_fn(|cx| {
            let mut state = self.state.lock();
            if !matches!(state.phase, Phase::Open) {
                return Poll::Ready(());
            }
            state.poster = Some(cx.waker().clone());
            Poll::Pending
        })
    }

    /// Ready when a GET waits for output that is held back.
    pub(in crate::engine_io) fn output_wanted(&self) -> impl Future<Output = ()> + Unpin {
        poll_fn(|cx| {
            let mut state = self.state.lock();
            if state.get_waits() {
                return Poll::Ready(());
            }
            state.poster = Some(cx.waker().clone());
            Poll::Pending
        })
    }
}

impl State {
    /// A GET is parked although there is something for it.
    fn get_waits(&self) -> bool {
        self.is_parked && (!self.queue.is_empty() || !matches!(self.phase, Phase::Open))
    }
}

struct ParkedGet {
    session: Arc<Session>,
    answered: bool,
}

impl Drop for ParkedGet {
    fn drop(&mut self) {
        if !self.answered {
            self.session.state.lock().is_parked = false;
            self.session.close(CloseReason::TransportClose);
        }
    }
}

/// As long as it lives, another POST to the session is a violation.
pub(in crate::engine_io) struct PostGuard {
    session: Arc<Session>,
}

impl Drop for PostGuard {
    fn drop(&mut self) {
        let mut state = self.session.state.lock();
        state.is_posting = false;
        state.poster = None;
        state.input.set(0);
        state.input_since = None;
    }
}

/// As long as it lives, GETs do not get what is queued. It lives until the answer to a POST is written, so
/// that a client never hears of the effects of a POST before it knows that the POST was taken.
///
/// python-engineio needs that order: told to disconnect while a POST of its own is still unanswered, which is
/// what an application does that got the ack it was waiting for, it forgets to say so, and waits for a GET
/// that has no reason to be answered before the next ping.
pub(in crate::engine_io) struct OutputHold {
    session: Arc<Session>,
}

impl Drop for OutputHold {
    fn drop(&mut self) {
        let mut state = self.session.state.lock();
        state.holds -= 1;
        if state.holds == 0 {
            state.is_released = state.get_waits();
            wake(state.output.take());
        }
    }
}
