//! Delivery of webhooks. The ledger in the database says what is due; a job from the broker only says that it is
//! worth looking now. Each service has a share of the attempts in flight, so that one whose endpoint hangs does not
//! hold up the others.

mod attempt;

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use hubbub_core::{
    Core,
    broker::{Job, JobHandler, Outcome},
    entities::webhook_delivery,
    events::publisher::WebhookJob,
    sid::ServiceSid,
    webhooks::ledger,
};
use parking_lot::Mutex;
use tokio::{sync::Notify, time::MissedTickBehavior};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{calls::Signer, outbound::Client};

/// How often the ledger is asked for what became due by time, or was left by a process that died.
const INTERVAL: Duration = Duration::from_millis(250);
/// The most attempts in flight.
const IN_FLIGHT: usize = 256;
/// The most attempts in flight for one service.
const SHARE: usize = 32;
/// How long a delivery stays in hand: longer than any attempt.
const LEASE: Duration = Duration::from_secs(20);
/// How many events of a channel are told in one go before others get their turn.
const RUN: usize = 100;
/// How many services one look finds.
const SERVICES: u32 = 200;

/// Gives out attempts.
pub(crate) struct Dispatcher {
    core: Arc<Core>,
    client: Client,
    /// Services that may have something due.
    wanted: Mutex<HashSet<ServiceSid>>,
    wake: Notify,
    in_flight: Mutex<HashMap<ServiceSid, usize>>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

#[async_trait]
impl JobHandler for Dispatcher {
    async fn run(&self, job: Job) -> Outcome {
        match serde_json::from_slice::<WebhookJob>(&job.payload) {
            Ok(job) => {
                self.want(job.service);
                Outcome::Done
            }
            Err(error) => Outcome::DeadLetter(format!("not a webhook job of this version: {error}")),
        }
    }
}

impl Dispatcher {
    pub(crate) fn start(
        core: Arc<Core>,
        client: Client,
        tasks: &TaskTracker,
        stop: &CancellationToken,
    ) -> Arc<Self> {
        let dispatcher = Arc::new(Self {
            core,
            client,
            wanted: Mutex::new(HashSet::new()),
            wake: Notify::new(),
            in_flight: Mutex::new(HashMap::new()),
            tasks: tasks.clone(),
            stop: stop.clone(),
        });
        tasks.spawn(Arc::clone(&dispatcher).run_until(stop.clone()));
        tasks.spawn(Arc::clone(&dispatcher).poll_until(stop.clone()));
        dispatcher
    }

    fn want(&self, service: ServiceSid) {
        self.wanted.lock().insert(service);
        self.wake.notify_one();
    }

    /// Finds services with deliveries that are due.
    async fn poll_until(self: Arc<Self>, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => {}
            }
            match ledger::due_services(self.core.db.reader(), SERVICES).await {
                Ok(services) => services.into_iter().for_each(|service| self.want(service)),
                Err(error) => {
                    tracing::warn!(?error, "the ledger of webhooks could not be read; trying again");
                }
            }
        }
    }

    /// Gives out the attempts of services that are wanted.
    async fn run_until(self: Arc<Self>, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.wake.notified() => {}
            }
            let services = std::mem::take(&mut *self.wanted.lock());
            for service in services {
                if stop.is_cancelled() {
                    return;
                }
                if let Err(error) = self.give_out(service).await {
                    tracing::warn!(?error, %service, "deliveries of service {service} could not be leased; trying again");
                }
            }
        }
    }

    async fn give_out(self: &Arc<Self>, service: ServiceSid) -> hubbub_core::Result<()> {
        let room = {
            let in_flight = self.in_flight.lock();
            let all: usize = in_flight.values().sum();
            let own = in_flight.get(&service).copied().unwrap_or(0);
            IN_FLIGHT.saturating_sub(all).min(SHARE.saturating_sub(own))
        };
        let Ok(limit @ 1..) = u32::try_from(room) else {
            return Ok(());
        };
        let claimed = ledger::claim(&self.core.db, service, limit, LEASE).await?;
        for delivery in claimed {
            *self.in_flight.lock().entry(service).or_insert(0) += 1;
            let dispatcher = Arc::clone(self);
            self.tasks.spawn(async move {
                if let Err(error) = dispatcher.deliver(delivery).await {
                    tracing::warn!(?error, %service, "an attempt could not be written down; it will be made again");
                }
                dispatcher.finished(service);
            });
        }
        Ok(())
    }

    /// Makes an attempt and, after a first one, those of the events that follow in the channel.
    async fn deliver(&self, mut delivery: webhook_delivery::Model) -> hubbub_core::Result<()> {
        let Some(signer) = Signer::of(&self.core, &delivery).await? else {
            return ledger::cancel(&self.core.db, &delivery).await;
        };
        for _ in 0..RUN {
            attempt::run(&self.core, &self.client, &signer, &delivery).await?;
            if delivery.attempts > 0 || self.stop.is_cancelled() {
                return Ok(());
            }
            match ledger::claim_next(&self.core.db, &delivery, LEASE).await? {
                Some(next) => delivery = next,
                None => return Ok(()),
            }
        }
        // The last one was leased and not attempted: whoever looks next may have it.
        ledger::give_back(&self.core.db, &delivery).await
    }

    /// There is room for another attempt, and the next event of the channel may follow.
    fn finished(&self, service: ServiceSid) {
        {
            let mut in_flight = self.in_flight.lock();
            if let Some(count) = in_flight.get_mut(&service) {
                *count -= 1;
                if *count == 0 {
                    in_flight.remove(&service);
                }
            }
        }
        self.want(service);
    }
}
