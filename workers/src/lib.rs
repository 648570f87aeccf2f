//! The workers: what must happen after a change and may take its time. They alone call addresses that tenants chose.

mod attribute_indexes;
mod calls;
mod campaigns;
mod cases;
mod notices;
pub mod outbound;
mod post;
mod pre_events;
mod presence;
mod relay;
mod retention;
pub mod signing;
mod trials;
mod webhooks;

use std::sync::Arc;

use hubbub_core::{
    Core,
    broker::{AskClass, BrokerError, Consumer, JobClass},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{outbound::Client, post::Post, pre_events::Interceptor, trials::Tester};

/// How many webhook jobs a process takes from each shard at a time. A job only says that something is due.
const PREFETCH: u16 = 32;

/// The workers of this process.
pub struct Workers {
    stop: CancellationToken,
    /// Stops the engine of campaigns, which ends by itself then.
    halt: CancellationToken,
    tasks: TaskTracker,
    consumer: Box<dyn Consumer>,
    campaigns: Box<dyn Consumer>,
    trials: Box<dyn Consumer>,
    answers: Box<dyn Consumer>,
    provider_trials: Box<dyn Consumer>,
}

impl Workers {
    /// Starts them. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// When the work queues cannot be consumed.
    pub async fn start(core: Arc<Core>, client: Client) -> Result<Self, BrokerError> {
        let stop = CancellationToken::new();
        let halt = stop.child_token();
        let tasks = TaskTracker::new();
        if core.bus.crosses_processes() {
            tasks.spawn(relay::run(Arc::clone(&core), stop.clone()));
            tasks.spawn(presence::run(Arc::clone(&core), stop.clone()));
        }
        tasks.spawn(retention::run(Arc::clone(&core), stop.clone()));
        tasks.spawn(attribute_indexes::run(Arc::clone(&core), stop.clone()));
        tasks.spawn(cases::run(Arc::clone(&core), stop.clone()));
        let (jobs, asks) = (Arc::clone(&core.jobs), Arc::clone(&core.asks));
        let tester = Tester::new(Arc::clone(&core), client.clone());
        let interceptor = Interceptor::new(Arc::clone(&core), client.clone());
        let post = Post::new(&core, &client);
        tasks.spawn(notices::run(Arc::clone(&post), stop.clone()));
        let ear = webhooks::start(&core, client, &tasks, &stop);
        let consumer = jobs.consume(JobClass::Webhook, PREFETCH, ear).await?;
        let hand = campaigns::start(&core, &post, &tasks, &halt);
        let campaigns = jobs
            .consume(JobClass::Campaign, campaigns::PREFETCH, hand)
            .await?;
        let trials = asks.answer(AskClass::Trial, trials::AT_ONCE, tester).await?;
        let answers = asks
            .answer(AskClass::PreEvent, pre_events::AT_ONCE, interceptor)
            .await?;
        let provider_trials = asks
            .answer(AskClass::Provider, post::AT_ONCE, post::Tester::new(&post))
            .await?;
        Ok(Self {
            stop,
            halt,
            tasks,
            consumer,
            campaigns,
            trials,
            answers,
            provider_trials,
        })
    }

    /// Takes no further work and waits for what is in hand.
    pub async fn stop(self) {
        // Portions of campaigns end between two slices.
        self.halt.cancel();
        tokio::join!(
            self.consumer.stop(),
            self.campaigns.stop(),
            self.trials.stop(),
            self.answers.stop(),
            self.provider_trials.stop()
        );
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}
