//! Taking campaigns in hand that nobody holds, and keeping the leases on them.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use hubbub_core::{Result, campaigns::engine::runs, sid::CampaignSid};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{holder::Holder, work::Work};

/// How often it looks for campaigns.
const INTERVAL: Duration = Duration::from_millis(500);
/// How often leases are renewed.
const RENEW: Duration = Duration::from_millis(1200);
/// How many campaigns a process holds.
const MOST: usize = 256;

struct Held {
    lost: CancellationToken,
    task: JoinHandle<()>,
}

/// Works until stopped.
pub(super) async fn run(work: Arc<Work>, stop: CancellationToken) {
    let mut conductor = Conductor {
        work,
        held: HashMap::new(),
        renewed: Instant::now(),
    };
    let mut away = match runs::succeed(conductor.work.core.db.writer()).await {
        Ok(()) => false,
        Err(error) => {
            tracing::warn!(
                ?error,
                "leases of a process before this one run out by themselves"
            );
            true
        }
    };
    while !stop.is_cancelled() {
        match conductor.round().await {
            Ok(()) => away = false,
            Err(error) => {
                if !away {
                    tracing::warn!(?error, "campaigns could not be looked for; trying again");
                }
                away = true;
            }
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = conductor.work.core.campaigns.woken() => {}
            () = tokio::time::sleep(INTERVAL) => {}
        }
    }
    for held in conductor.held.values() {
        held.lost.cancel();
    }
    for held in conductor.held.into_values() {
        let _ = held.task.await;
    }
}

struct Conductor {
    work: Arc<Work>,
    held: HashMap<CampaignSid, Held>,
    renewed: Instant,
}

impl Conductor {
    async fn round(&mut self) -> Result<()> {
        self.held.retain(|_, held| !held.task.is_finished());
        let core = Arc::clone(&self.work.core);
        let db = core.db.writer();
        if self.renewed.elapsed() >= RENEW && !self.held.is_empty() {
            let kept = match runs::renew(db, core.node, self.held.keys().copied()).await {
                Ok(kept) => kept,
                // Somebody else has them by now.
                Err(_) if self.renewed.elapsed() > runs::LEASE => Default::default(),
                Err(error) => return Err(error),
            };
            self.renewed = Instant::now();
            for (campaign, held) in &self.held {
                // One that ended by itself has let go.
                if !kept.contains(campaign) {
                    held.lost.cancel();
                }
            }
        }
        let room = MOST.saturating_sub(self.held.len());
        let keys = runs::unheld(core.db.reader(), i64::try_from(room).unwrap_or(0)).await?;
        let taken = runs::take(db, core.node, &keys).await?;
        if self.held.is_empty() {
            self.renewed = Instant::now();
        }
        for key in keys {
            if taken.contains(&key.campaign) && !self.held.contains_key(&key.campaign) {
                let lost = CancellationToken::new();
                let holder = Holder::new(Arc::clone(&self.work), key);
                let task = tokio::spawn(holder.run(lost.clone()));
                self.held.insert(key.campaign, Held { lost, task });
            }
        }
        Ok(())
    }
}
