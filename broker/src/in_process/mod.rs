//! The broker of an installation that is one process: everything is handed over in memory.
//!
//! Nothing here outlives the process. What must be done after a commit has its row in the database (the outbox,
//! the ledger of deliveries), and the relay finds it again after a crash.

mod asks;
mod bus;
mod jobs;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use hubbub_core::broker::{
    Answerer, AskClass, AskError, Asks, BrokerError, Bus, BusMessage, BusSubscription, Consumer, Job,
    JobClass, JobHandler, Jobs,
};

/// [`Bus`], [`Jobs`] and [`Asks`] inside one process.
#[derive(Default)]
pub struct InProcess {
    asks: asks::LocalAsks,
    bus: bus::LocalBus,
    jobs: jobs::LocalJobs,
}

impl InProcess {
    /// A broker with no subscriber, no job and no question.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

#[async_trait]
impl Bus for InProcess {
    async fn publish(&self, messages: Vec<BusMessage>) -> Result<(), BrokerError> {
        self.bus.publish(messages).await;
        Ok(())
    }

    async fn subscribe(&self) -> Result<BusSubscription, BrokerError> {
        Ok(self.bus.subscribe())
    }

    fn is_connected(&self) -> bool {
        true
    }

    fn crosses_processes(&self) -> bool {
        false
    }
}

#[async_trait]
impl Jobs for InProcess {
    async fn enqueue(&self, jobs: Vec<Job>) -> Result<(), BrokerError> {
        self.jobs.enqueue(jobs)
    }

    async fn consume(
        &self,
        class: JobClass,
        prefetch: u16,
        handler: Arc<dyn JobHandler>,
    ) -> Result<Box<dyn Consumer>, BrokerError> {
        Ok(self.jobs.consume(class, prefetch, &handler))
    }
}

#[async_trait]
impl Asks for InProcess {
    async fn ask(&self, class: AskClass, question: Bytes, patience: Duration) -> Result<Bytes, AskError> {
        self.asks.ask(class, question, patience).await
    }

    async fn answer(
        &self,
        class: AskClass,
        at_once: u16,
        answerer: Arc<dyn Answerer>,
    ) -> Result<Box<dyn Consumer>, BrokerError> {
        Ok(self.asks.answer(class, at_once, &answerer))
    }
}
