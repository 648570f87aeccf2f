//! Retention: what has been kept long enough is forgotten.

use std::{sync::Arc, time::Duration};

use hubbub_core::{
    Core, audit, idempotency,
    webhooks::{leases, retention},
};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// How often it looks.
const INTERVAL: Duration = Duration::from_secs(600);

/// Forgets until stopped.
pub(super) async fn run(core: Arc<Core>, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        if let Err(error) = idempotency::forget(core.db.writer()).await {
            tracing::warn!(
                ?error,
                "old idempotency keys could not be forgotten; trying again"
            );
        }
        if let Err(error) = audit::forget(core.db.writer(), core.settings.audit_retention).await {
            tracing::warn!(
                ?error,
                "old entries of the audit log could not be forgotten; trying again"
            );
        }
        if let Err(error) = retention::forget(core.db.writer(), core.settings.webhooks.retention).await {
            tracing::warn!(
                ?error,
                "old webhook deliveries could not be forgotten; trying again"
            );
        }
        if let Err(error) = leases::forget(core.db.writer()).await {
            tracing::warn!(
                ?error,
                "leases of processes that are gone could not be forgotten; trying again"
            );
        }
    }
}
