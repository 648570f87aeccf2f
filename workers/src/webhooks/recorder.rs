//! Writes down what came of attempts, many in one transaction: while one is on its way to the disk the next gathers.

use std::{sync::Arc, time::Duration};

use hubbub_core::{Core, sid::DeliverySid, webhooks::outcomes};
use tokio::sync::mpsc;
use uuid::Uuid;

/// The most outcomes of one transaction.
const TOGETHER: usize = 256;
/// How often it tries before the attempts are made again.
const TRIES: u32 = 20;
/// How long it waits in between.
const PAUSE: Duration = Duration::from_millis(500);

/// An attempt's outcome, and the target to tell when it is written down.
pub(super) struct Entry {
    pub(super) target: Uuid,
    pub(super) outcome: outcomes::Outcome,
}

/// Writes until nobody brings any more; `done` hears what has been written, or given up.
pub(super) async fn run(
    core: Arc<Core>,
    mut entries: mpsc::UnboundedReceiver<Entry>,
    done: impl Fn(Vec<(Uuid, DeliverySid)>),
) {
    let mut batch = Vec::with_capacity(TOGETHER);
    while entries.recv_many(&mut batch, TOGETHER).await > 0 {
        let (targets, outcomes): (Vec<_>, Vec<_>) = batch
            .drain(..)
            .map(|entry| ((entry.target, entry.outcome.delivery()), entry.outcome))
            .unzip();
        for attempt in 1..=TRIES {
            match outcomes::record(&core.db, &outcomes).await {
                Ok(()) => break,
                Err(error) if attempt == 1 || attempt == TRIES => tracing::warn!(
                    ?error,
                    "{} attempts could not be written down; {}",
                    outcomes.len(),
                    if attempt == TRIES {
                        "they will be made again"
                    } else {
                        "trying again"
                    },
                ),
                Err(_) => {}
            }
            tokio::time::sleep(PAUSE).await;
        }
        done(targets);
    }
}
