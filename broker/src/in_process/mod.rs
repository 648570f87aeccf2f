//! The broker of an installation that is one process: everything is handed over in memory.
//!
//! Nothing here outlives the process. What must be done after a commit has its row in the database (the outbox,
//! the ledger of deliveries), and the relay finds it again after a crash.

mod bus;
mod jobs;

use std::sync::Arc;

use async_trait::async_trait;
use hubbub_core::broker::{
    BrokerError, Bus, BusMessage, BusSubscription, Consumer, Job, JobClass, JobHandler, Jobs,
};

/// [`Bus`] and [`Jobs`] inside one process.
#[derive(Default)]
pub struct InProcess {
    bus: bus::LocalBus,
    jobs: jobs::LocalJobs,
}

impl InProcess {
    /// A broker with no subscriber and no job.
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
