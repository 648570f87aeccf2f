//! Sends that somebody is asked about first, and those behind them, keep the order in which they came.

use tokio::sync::oneshot;

/// The sends of a client that wait for their turn.
#[derive(Default)]
pub(super) struct Turns {
    /// Closed when the latest of them has been submitted.
    last: Option<oneshot::Receiver<()>>,
}

impl Turns {
    /// A place behind all of them.
    pub(super) fn take(&mut self) -> Turn {
        let (done, last) = oneshot::channel();
        let before = self.last.replace(last);
        Turn { before, done }
    }

    /// Whether nobody waits.
    pub(super) fn are_over(&mut self) -> bool {
        let waits = self
            .last
            .as_mut()
            .is_some_and(|last| matches!(last.try_recv(), Err(oneshot::error::TryRecvError::Empty)));
        if !waits {
            self.last = None;
        }
        !waits
    }
}

/// The place of a send among those of its client. Dropped when the send has been submitted.
pub(crate) struct Turn {
    before: Option<oneshot::Receiver<()>>,
    #[expect(dead_code, reason = "whoever comes next sees it go")]
    done: oneshot::Sender<()>,
}

impl Turn {
    /// Waits until every send before has been submitted.
    pub(crate) async fn comes(&mut self) {
        if let Some(before) = self.before.take() {
            let _ = before.await;
        }
    }
}
