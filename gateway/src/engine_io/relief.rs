//! Making room when all that waits has become too much.

use std::{cmp::Reverse, sync::Arc, time::Instant};

use super::{ledger::Ledger, session::Session};

/// Drops volatile messages, then cuts clients off until a quarter of the room is free: those first that have kept us
/// waiting longest, in whole seconds, then those for whom most waits. Who reads has nothing to fear: what is sent to it
/// is gone in a moment.
pub(super) fn relieve(ledger: &Ledger, sessions: Vec<Arc<Session>>) {
    let before = ledger.bytes();
    for session in &sessions {
        session.drop_volatile();
    }
    if ledger.is_relieved() {
        return;
    }
    let now = Instant::now();
    let mut waiting: Vec<_> = sessions
        .into_iter()
        .filter_map(|session| {
            let waiting = session.waiting()?;
            let seconds = now.saturating_duration_since(waiting.since).as_secs();
            Some(((seconds, waiting.bytes), session))
        })
        .collect();
    waiting.sort_unstable_by_key(|(rank, _)| Reverse(*rank));
    let mut cut = 0;
    for (_, session) in waiting {
        session.cut_off();
        cut += 1;
        if ledger.is_relieved() {
            break;
        }
    }
    tracing::warn!(
        before,
        after = ledger.bytes(),
        cut,
        "too much waited for clients that do not read; the slowest were cut off"
    );
}
