//! Work queues in memory: bounded, sharded like those of the real broker, emptied by a crash.

use std::{panic::AssertUnwindSafe, sync::Arc};

use async_trait::async_trait;
use futures_util::FutureExt;
use hubbub_core::broker::{BrokerError, Consumer, Job, JobClass, JobHandler, Outcome};
use tokio::sync::{Mutex, Semaphore, mpsc};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Jobs that one shard holds before [`LocalJobs::enqueue`] refuses more.
const CAPACITY: usize = 4096;

/// One queue. Several consumers may share it; each waits its turn for the receiver.
#[derive(Clone)]
struct Shard {
    sender: mpsc::Sender<Job>,
    receiver: Arc<Mutex<mpsc::Receiver<Job>>>,
}

/// All shards of all classes, in the order of [`JobClass::ALL`].
pub(super) struct LocalJobs {
    shards: Vec<(JobClass, Vec<Shard>)>,
}

impl Default for LocalJobs {
    fn default() -> Self {
        let shard = |_| {
            let (sender, receiver) = mpsc::channel(CAPACITY);
            Shard {
                sender,
                receiver: Arc::new(Mutex::new(receiver)),
            }
        };
        let class = |class: JobClass| (class, (0..class.shards()).map(shard).collect());
        Self {
            shards: JobClass::ALL.into_iter().map(class).collect(),
        }
    }
}

impl LocalJobs {
    fn of(&self, class: JobClass) -> &[Shard] {
        self.shards
            .iter()
            .find(|(it, _)| *it == class)
            .map_or(&[], |(_, shards)| shards)
    }

    /// Queues the jobs. A full queue refuses at once: the rows that the jobs stand for are still in the database.
    pub(super) fn enqueue(&self, jobs: Vec<Job>) -> Result<(), BrokerError> {
        for job in jobs {
            let shards = self.of(job.class);
            let class = job.class.name();
            usize::try_from(job.shard_key % u64::from(job.class.shards()))
                .ok()
                .and_then(|index| shards.get(index))
                .ok_or_else(|| BrokerError::Unavailable(format!("no queue for {class} jobs")))?
                .sender
                .try_send(job)
                .map_err(|_| BrokerError::Unavailable(format!("the queue for {class} jobs is full")))?;
        }
        Ok(())
    }

    /// Starts one loop per shard.
    pub(super) fn consume(
        &self,
        class: JobClass,
        prefetch: u16,
        handler: &Arc<dyn JobHandler>,
    ) -> Box<dyn Consumer> {
        let consumer = LocalConsumer {
            stopping: CancellationToken::new(),
            tasks: TaskTracker::new(),
        };
        for shard in self.of(class) {
            let lane = Lane {
                shard: shard.clone(),
                handler: handler.clone(),
                slots: Arc::new(Semaphore::new(usize::from(prefetch.max(1)))),
                tasks: consumer.tasks.clone(),
            };
            let stopping = consumer.stopping.clone();
            consumer
                .tasks
                .spawn(async move { stopping.run_until_cancelled(lane.run()).await });
        }
        Box::new(consumer)
    }
}

/// One consumer of one shard.
struct Lane {
    shard: Shard,
    handler: Arc<dyn JobHandler>,
    slots: Arc<Semaphore>,
    tasks: TaskTracker,
}

impl Lane {
    async fn run(self) {
        loop {
            // The slot first, so that a job which is taken is also started.
            let Ok(slot) = self.slots.clone().acquire_owned().await else {
                return;
            };
            let Some(job) = self.shard.receiver.lock().await.recv().await else {
                return;
            };
            let (handler, retries) = (self.handler.clone(), self.shard.sender.clone());
            self.tasks.spawn(async move {
                work(&*handler, job, retries).await;
                drop(slot);
            });
        }
    }
}

/// Runs one job and carries its outcome out.
async fn work(handler: &dyn JobHandler, job: Job, retries: mpsc::Sender<Job>) {
    let (id, class) = (job.id, job.class.name());
    let again = Job {
        attempt: job.attempt.saturating_add(1),
        ..job.clone()
    };
    match AssertUnwindSafe(handler.run(job)).catch_unwind().await {
        Ok(Outcome::Done) => {}
        Ok(Outcome::RetryIn(delay)) => {
            // Not tracked: stopping a consumer does not wait for retries that are not due.
            tokio::spawn(async move {
                tokio::time::sleep(delay).await;
                let _ = retries.send(again).await;
            });
        }
        Ok(Outcome::DeadLetter(reason)) => {
            tracing::error!(job.id = %id, job.class = class, reason, "{class} job {id} is given up");
        }
        Err(_) => {
            tracing::error!(job.id = %id, job.class = class, "{class} job {id} panicked and is given up");
        }
    }
}

struct LocalConsumer {
    stopping: CancellationToken,
    tasks: TaskTracker,
}

#[async_trait]
impl Consumer for LocalConsumer {
    async fn stop(self: Box<Self>) {
        self.stopping.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

impl Drop for LocalConsumer {
    fn drop(&mut self) {
        self.stopping.cancel();
    }
}
