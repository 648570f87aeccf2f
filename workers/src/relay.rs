//! The relay: publishes what a crash or a broker outage left in the outbox.

use std::{sync::Arc, time::Duration};

use hubbub_core::{Core, events::outbox};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// How often it looks.
const INTERVAL: Duration = Duration::from_millis(500);
/// Rows younger than this are still in the hands of the process that committed them.
const AGE: Duration = Duration::from_secs(3);

/// Sweeps until stopped.
pub(super) async fn run(core: Arc<Core>, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut away = false;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        if !core.bus.is_connected() {
            continue;
        }
        // As long as there are rows it goes on without waiting.
        loop {
            match outbox::sweep(&core, AGE).await {
                Ok(0) => {
                    away = false;
                    break;
                }
                Ok(rows) => tracing::info!(rows, "published {rows} rows that were left in the outbox"),
                Err(error) => {
                    if !away {
                        tracing::warn!(?error, "the outbox could not be swept; trying again");
                    }
                    away = true;
                    break;
                }
            }
            if stop.is_cancelled() {
                return;
            }
        }
    }
}
