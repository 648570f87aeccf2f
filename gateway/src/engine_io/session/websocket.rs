//! The session's side of a WebSocket: the upgrade, and handing out what waits.

use std::{
    mem,
    task::{Context, Poll},
    time::Instant,
};

use super::{
    CloseReason, Phase, Session, Transport, WRITE,
    polling::{NOOP_DELAY, NOOP_PAUSE},
    wake,
};
use crate::engine_io::{gather::wake_at, queue::Chunk};

/// What a WebSocket gets when it asks for output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine_io) enum Fill {
    /// Frames were written.
    Data,
    /// Nothing waits, or nothing that may not wait for more; the task will be woken.
    Idle,
    /// Everything was handed out and the session is over.
    Over(CloseReason),
}

impl Session {
    /// Claims a polling session for an upgrade. False when it is no longer to be had.
    pub(in crate::engine_io) fn begin_upgrade(&self) -> bool {
        let mut state = self.state.lock();
        let claimed = matches!(state.phase, Phase::Open) && state.transport == Transport::Polling;
        if claimed {
            state.transport = Transport::Upgrading;
            state.heartbeat.pause();
        }
        claimed
    }

    /// The probe is about to be answered: a parked GET is let go soon. One that comes later waits longer, so that polling
    /// on does not become a busy loop.
    pub(in crate::engine_io) fn probed(&self) {
        let mut state = self.state.lock();
        let wait = if state.is_parked { NOOP_DELAY } else { NOOP_PAUSE };
        let at = Instant::now() + wait;
        state.noop_at = Some(at);
        self.schedule_locked(&mut state, at);
    }

    /// The WebSocket failed the upgrade; the session goes on polling, and may die of silence again.
    pub(in crate::engine_io) fn abandon_upgrade(&self) {
        let now = Instant::now();
        let mut state = self.state.lock();
        if state.transport == Transport::Upgrading {
            state.transport = Transport::Polling;
            state.noop_at = None;
            state.heartbeat.resume(now);
            self.schedule_locked(&mut state, now);
        }
    }

    /// The WebSocket is the transport from now on. False when the session has ended meanwhile.
    pub(in crate::engine_io) fn complete_upgrade(&self, binary_as_text: bool) -> bool {
        let now = Instant::now();
        let mut state = self.state.lock();
        if !matches!(state.phase, Phase::Open) || state.transport != Transport::Upgrading {
            return false;
        }
        state.transport = Transport::WebSocket;
        state.binary_as_text = binary_as_text;
        state.noop_at = None;
        let pinged = if state.heartbeat.resume(now) {
            self.push_ping(&mut state)
        } else {
            Ok(())
        };
        wake(state.output.take());
        self.schedule_locked(&mut state, now);
        drop(state);
        if let Err(reason) = pinged {
            self.close(reason);
        }
        true
    }

    /// Writes about [`WRITE`] bytes of waiting frames, or leaves the waker. What is not urgent waits for more
    /// until `gather`, once.
    pub(in crate::engine_io) fn fill_frames(
        &self,
        cx: &Context<'_>,
        gather: Option<Instant>,
        chunk: &mut Chunk,
    ) -> Fill {
        let mut state = self.state.lock();
        let is_open = matches!(state.phase, Phase::Open);
        let has_gathered = mem::take(&mut state.is_gathering);
        if let Some(due) = gather
            && !has_gathered
            && is_open
            && !state.queue.is_empty()
            && state.queue.may_gather(WRITE)
        {
            state.is_gathering = true;
            state.output = Some(cx.waker().clone());
            wake_at(due, cx.waker());
            return Fill::Idle;
        }
        chunk.is_excused |= has_gathered;
        let binary_as_text = state.binary_as_text;
        let before = chunk.bytes.len();
        state.queue.drain_frames(WRITE, binary_as_text, chunk);
        if chunk.bytes.len() > before {
            return Fill::Data;
        }
        match state.phase {
            Phase::Open => {
                state.output = Some(cx.waker().clone());
                Fill::Idle
            }
            Phase::Closing { reason, .. } => Fill::Over(reason),
            Phase::Closed => Fill::Over(CloseReason::TransportClose),
        }
    }

    /// The kernel took so many messages with one call.
    pub(in crate::engine_io) fn count_write(&self, messages: usize) {
        self.registry.written().count(messages);
    }

    /// Takes back what the kernel did not take of a chunk.
    pub(in crate::engine_io) fn put_back(&self, chunk: &mut Chunk, written: usize) {
        let mut state = self.state.lock();
        state.queue.put_back(chunk, written);
        match state.phase {
            Phase::Open => {}
            Phase::Closing { reason, .. } if reason.flushes() => {}
            Phase::Closing { .. } => state.queue.forget_unsent(),
            Phase::Closed => state.queue.clear(),
        }
    }

    /// Ready when the session is over; leaves the waker otherwise.
    pub(in crate::engine_io) fn poll_over(&self, cx: &Context<'_>) -> Poll<CloseReason> {
        let mut state = self.state.lock();
        match state.phase {
            Phase::Open => {
                state.watcher = Some(cx.waker().clone());
                Poll::Pending
            }
            Phase::Closing { reason, .. } => Poll::Ready(reason),
            Phase::Closed => Poll::Ready(CloseReason::TransportClose),
        }
    }

    /// The WebSocket is gone, and with it the session.
    pub(in crate::engine_io) fn websocket_gone(&self) {
        self.close(CloseReason::TransportClose);
        let mut state = self.state.lock();
        state.input.set(0);
        self.finish_locked(&mut state);
    }
}
