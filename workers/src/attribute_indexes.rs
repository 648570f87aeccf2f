//! Builds declared indexes and sweeps what is left of those that were taken down.

use std::{sync::Arc, time::Duration};

use hubbub_core::{
    Core,
    attribute_indexes::{Next, Rounds},
};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// How often it looks for something to do.
const INTERVAL: Duration = Duration::from_millis(500);
/// How often it looks whether the writers that it waits for have ended.
const SOON: Duration = Duration::from_millis(20);

/// Works until stopped.
pub(super) async fn run(core: Arc<Core>, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut rounds = Rounds::default();
    let mut away = false;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        // As long as there is something to do it goes on.
        while !stop.is_cancelled() {
            match rounds.go(&core.db).await {
                Ok(Next::Now) => away = false,
                Ok(Next::Soon) => tokio::time::sleep(SOON).await,
                Ok(Next::Later) => {
                    away = false;
                    break;
                }
                Err(error) => {
                    if !away {
                        tracing::warn!(?error, "declared indexes could not be worked on; trying again");
                    }
                    away = true;
                    break;
                }
            }
        }
    }
}
