//! Tells the going of users whose gateways died, also when no gateway is left to do so.

use std::{sync::Arc, time::Duration};

use hubbub_core::{Core, presence};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// How often it looks.
const INTERVAL: Duration = Duration::from_secs(1);

/// Sweeps until stopped.
pub(super) async fn run(core: Arc<Core>, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        if let Err(error) = presence::sweep(&core).await {
            tracing::debug!(?error, "dead gateways could not be looked for; trying again");
        }
    }
}
