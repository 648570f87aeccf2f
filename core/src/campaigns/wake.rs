//! Waking the engine.

use std::sync::Arc;

use tokio::sync::Notify;

/// Wakes this process's engine, when it has one. It looks by itself now and then, so a call that is lost costs a
/// moment and nothing else.
#[derive(Debug, Clone, Default)]
pub struct Wake(Arc<Notify>);

impl Wake {
    /// There is something to do.
    pub fn wake(&self) {
        self.0.notify_one();
    }

    /// Waits until there is, or was since the last time.
    pub async fn woken(&self) {
        self.0.notified().await;
    }
}
