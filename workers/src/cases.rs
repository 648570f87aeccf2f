//! Wakes snoozed cases when their time has come.

use std::{sync::Arc, time::Duration};

use hubbub_core::{Core, desk};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// How often it looks.
const INTERVAL: Duration = Duration::from_millis(500);

/// Wakes until stopped.
pub(super) async fn run(core: Arc<Core>, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        if let Err(error) = desk::wake_due(&core).await {
            tracing::debug!(?error, "snoozed cases could not be woken; trying again");
        }
    }
}
