//! What a session keeps in memory while its client does not read, or does not finish what it says.

use std::time::Instant;

use super::{CloseReason, Phase, Session, State};
use crate::engine_io::ledger::Charge;

/// Less than this of an unfinished message is not worth counting.
pub(in crate::engine_io) const SMALL_INPUT: usize = 4 * 1024;

/// What can be freed by cutting a session off.
#[derive(Debug, Clone, Copy)]
pub(in crate::engine_io) struct Waiting {
    /// Since when the client has taken nothing, or has been sending one message.
    pub(in crate::engine_io) since: Instant,
    /// The memory that is the session's own.
    pub(in crate::engine_io) bytes: usize,
}

impl Session {
    /// What waits, be it only for a goodbye; `None` when nothing does.
    pub(in crate::engine_io) fn waiting(&self) -> Option<Waiting> {
        let state = self.state.lock();
        let since = [state.queue.waits_since(), state.input_since, state.parts_since];
        Some(Waiting {
            since: since.into_iter().flatten().min()?,
            bytes: state.queue.held() + state.input.bytes() + state.parts.bytes(),
        })
    }

    /// Drops what may be dropped.
    pub(in crate::engine_io) fn drop_volatile(&self) {
        self.state.lock().queue.drop_volatile();
    }

    /// Ends the session for the sake of the others; its client comes back. If it is over, its client gets no more of
    /// what was left.
    pub(in crate::engine_io) fn cut_off(&self) {
        self.close(CloseReason::SlowConsumer);
        self.state.lock().queue.clear();
    }

    /// Takes note of how much of an unfinished message, or body, the transport keeps.
    pub(in crate::engine_io) fn hold_input(&self, bytes: usize) {
        self.hold(bytes, |state| (&mut state.input, &mut state.input_since));
    }

    /// Takes note of how much the handler keeps of a message that is not complete without others: nobody knows when
    /// they come.
    pub(crate) fn hold_parts(&self, bytes: usize) {
        self.hold(bytes, |state| (&mut state.parts, &mut state.parts_since));
    }

    fn hold(&self, bytes: usize, part: impl FnOnce(&mut State) -> (&mut Charge, &mut Option<Instant>)) {
        {
            let mut state = self.state.lock();
            if !matches!(state.phase, Phase::Open) {
                return;
            }
            let (charge, held_since) = part(&mut state);
            charge.set(bytes);
            *held_since = match (bytes, *held_since) {
                (0, _) => None,
                (_, since) => since.or_else(|| Some(Instant::now())),
            };
        }
        self.registry.relieve();
    }
}
