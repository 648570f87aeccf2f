//! Takes targets in hand, renews what is in hand and lets go, one thing after the other: a target that is let go and
//! taken again must not lose its new lease to the end of the old one.

use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, Instant},
};

use hubbub_core::{
    Core,
    webhooks::leases::{self, LEASE},
};
use tokio::sync::mpsc;
use uuid::Uuid;

use super::conductor::News;

/// How often leases are renewed.
const RENEWAL: Duration = Duration::from_secs(3);
/// How much earlier than the database we take a lease to have run out.
const MARGIN: Duration = Duration::from_secs(1);
/// How long nobody else can take a target where there is nobody else.
const FOR_GOOD: Duration = Duration::from_secs(365 * 24 * 3600);

/// What the conductor asks for.
pub(super) enum Wish {
    /// To have these in hand.
    Take(Vec<Uuid>),
    /// To let go of these.
    Release(Vec<Uuid>),
}

/// Carries wishes out until nobody has any more.
pub(super) async fn run(
    core: Arc<Core>,
    mut wishes: mpsc::UnboundedReceiver<Wish>,
    news: mpsc::UnboundedSender<News>,
) {
    let needed = leases::needed(core.db.backend());
    let mut renewals = tokio::time::interval(RENEWAL);
    renewals.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let news = news.downgrade();
    loop {
        tokio::select! {
            wish = wishes.recv() => match wish {
                None => return,
                Some(Wish::Take(targets)) => {
                    let asked = Instant::now();
                    let told = if needed {
                        take(&core, &targets).await.map(|targets| News::Leased {
                            targets,
                            until: asked + LEASE - MARGIN,
                        })
                    } else {
                        Some(News::Leased { targets, until: asked + FOR_GOOD })
                    };
                    if let (Some(told), Some(news)) = (told, news.upgrade()) {
                        let _ = news.send(told);
                    }
                }
                Some(Wish::Release(targets)) => {
                    if needed && let Err(error) = leases::release(core.db.writer(), core.node, &targets).await {
                        tracing::debug!(?error, "leases of webhook targets were not given back; they run out");
                    }
                }
            },
            _ = renewals.tick(), if needed => {
                let asked = Instant::now();
                match leases::renew(core.db.writer(), core.node).await {
                    Ok(targets) => {
                        if let Some(news) = news.upgrade() {
                            let _ = news.send(News::Renewed { targets, until: asked + LEASE - MARGIN });
                        }
                    }
                    Err(error) => tracing::warn!(?error, "leases of webhook targets could not be renewed; trying again"),
                }
            }
        }
    }
}

async fn take(core: &Core, targets: &[Uuid]) -> Option<Vec<Uuid>> {
    // Asked for several times while it waited.
    let targets: Vec<Uuid> = targets
        .iter()
        .copied()
        .collect::<HashSet<_>>()
        .into_iter()
        .collect();
    match leases::take(core.db.writer(), core.node, &targets).await {
        Ok(taken) => Some(taken.into_iter().collect()),
        Err(error) => {
            tracing::warn!(?error, "webhook targets could not be leased; trying again");
            None
        }
    }
}
