//! Consuming jobs: one connection, one channel and one loop per shard.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use async_trait::async_trait;
use futures_util::{
    FutureExt, StreamExt,
    future::{join_all, try_join_all},
};
use hubbub_core::broker::{Consumer as Guard, Job, JobClass, JobHandler, Outcome};
use lapin::{
    Channel, Connection, Consumer,
    message::Delivery,
    options::{
        BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicNackOptions, BasicQosOptions,
        BasicRejectOptions,
    },
    types::FieldTable,
};
use tokio::{
    sync::{Semaphore, oneshot},
    task::JoinHandle,
    time::timeout,
};
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};

use super::{
    Shared,
    link::{Dialer, Link, Lost},
    publisher::{Content, Outgoing},
    topology, wire,
};

/// The pause between attempts to hand a job to its next queue while the broker takes no publishes.
const HAND_OVER_PAUSE: Duration = Duration::from_millis(500);
const CANCEL_LIMIT: Duration = Duration::from_secs(1);

/// A running consumer of one class. Dropping it stops taking jobs without waiting for those in hand.
pub(super) struct WorkConsumer {
    stopping: DropGuard,
    task: JoinHandle<()>,
}

#[async_trait]
impl Guard for WorkConsumer {
    async fn stop(self: Box<Self>) {
        let Self { stopping, task } = *self;
        drop(stopping);
        if task.await.is_err() {
            tracing::error!("a consumer of jobs did not end well");
        }
    }
}

/// Consumes every shard of one class.
struct Work {
    shared: Arc<Shared>,
    class: JobClass,
    handler: Arc<dyn JobHandler>,
    /// The prefetch per shard. The slots outlive a session: jobs of a lost one still run while the next one begins.
    prefetch: u16,
    slots: Vec<Arc<Semaphore>>,
    in_hand: TaskTracker,
    stopping: CancellationToken,
}

/// Starts consuming; the receiver hears when the first session has begun.
pub(super) fn start(
    shared: Arc<Shared>,
    dialer: Dialer,
    class: JobClass,
    prefetch: u16,
    handler: Arc<dyn JobHandler>,
) -> (WorkConsumer, oneshot::Receiver<()>) {
    let (started, has_started) = oneshot::channel();
    let stopping = CancellationToken::new();
    let prefetch = prefetch.max(1);
    let work = Work {
        shared,
        class,
        handler,
        prefetch,
        slots: (0..class.shards())
            .map(|_| Arc::new(Semaphore::new(usize::from(prefetch))))
            .collect(),
        in_hand: TaskTracker::new(),
        stopping: stopping.clone(),
    };
    let task = tokio::spawn(Arc::new(work).run(dialer, started));
    (
        WorkConsumer {
            stopping: stopping.drop_guard(),
            task,
        },
        has_started,
    )
}

impl Work {
    async fn run(self: Arc<Self>, mut dialer: Dialer, started: oneshot::Sender<()>) {
        let mut started = Some(started);
        loop {
            let Some(mut link) = self.stopping.run_until_cancelled(dialer.dial()).await else {
                break;
            };
            match self.session(&mut link, &mut dialer, &mut started).await {
                Ok(()) => return link.close().await,
                Err(lost) => dialer.complain(&lost.0),
            }
            link.close().await;
        }
        self.drain().await;
    }

    /// Waits for the jobs in hand.
    async fn drain(&self) {
        self.in_hand.close();
        self.in_hand.wait().await;
    }

    /// Consumes over one connection until that is lost (`Err`) or, told to stop, the last
    /// job in hand is done (`Ok`).
    async fn session(
        self: &Arc<Self>,
        Link { connection, pulse }: &mut Link,
        dialer: &mut Dialer,
        started: &mut Option<oneshot::Sender<()>>,
    ) -> Result<(), Lost> {
        topology::declare_work(&connection.create_channel().await?, &self.shared.names).await?;
        let lanes = try_join_all((0..self.class.shards()).map(|shard| self.open(connection, shard))).await?;
        dialer.in_service();
        if let Some(started) = started.take() {
            let _ = started.send(());
        }
        let channels: Vec<_> = lanes.iter().map(|(channel, _)| channel.clone()).collect();
        let pumps = lanes
            .into_iter()
            .zip(&self.slots)
            .map(|((_, consumer), slots)| self.pump(consumer, slots));
        tokio::select! {
            lost = pulse.lost(connection, |_| {}) => Err(lost),
            lost = try_join_all(pumps) => Err(lost.err().unwrap_or_else(|| Lost("the consumers ended".into()))),
            () = self.stopping.cancelled() => {
                let cancels = channels.iter().map(|it| it.basic_cancel(TAG.into(), BasicCancelOptions::default()));
                let _ = timeout(CANCEL_LIMIT, join_all(cancels)).await;
                // The channels stay open for the acknowledgements of what is in hand.
                self.drain().await;
                Ok(())
            }
        }
    }

    async fn open(&self, connection: &Connection, shard: u8) -> Result<(Channel, Consumer), Lost> {
        let channel = connection.create_channel().await?;
        channel
            .basic_qos(self.prefetch, BasicQosOptions::default())
            .await?;
        let queue = self.shared.names.work_queue(self.class, shard);
        let (options, arguments) = (BasicConsumeOptions::default(), FieldTable::default());
        let consumer = channel
            .basic_consume(queue, TAG.into(), options, arguments)
            .await?;
        Ok((channel, consumer))
    }

    /// Starts each delivered job as soon as a slot is free.
    async fn pump(self: &Arc<Self>, mut consumer: Consumer, slots: &Arc<Semaphore>) -> Result<(), Lost> {
        while let Some(delivery) = consumer.next().await {
            let delivery = delivery?;
            let slot = slots
                .clone()
                .acquire_owned()
                .await
                .map_err(|_| Lost("no slots".into()))?;
            let work = self.clone();
            self.in_hand.spawn(async move {
                if let Err(error) = work.work(delivery).await {
                    // The channel is gone, and the broker delivers the job again.
                    tracing::debug!(%error, "an acknowledgement was not sent");
                }
                drop(slot);
            });
        }
        Err(Lost(format!("a queue for {} jobs is gone", self.class.name())))
    }

    /// Runs one job, carries its outcome out, then acknowledges: a crash at any point means another delivery.
    async fn work(&self, delivery: Delivery) -> lapin::Result<()> {
        let Delivery {
            properties,
            data,
            acker,
            ..
        } = delivery;
        let Some(job) = wire::decode_job(self.class, &properties, data) else {
            tracing::error!(
                "a {} job that this version cannot read is given up",
                self.class.name()
            );
            return acker
                .reject(BasicRejectOptions { requeue: false })
                .await
                .map(drop);
        };
        let Ok(outcome) = AssertUnwindSafe(self.handler.run(job.clone()))
            .catch_unwind()
            .await
        else {
            tracing::error!(job.id = %job.id, "{} job {} panicked", self.class.name(), job.id);
            // Back to the queue, which counts deliveries and gives up after some.
            return acker
                .nack(BasicNackOptions {
                    requeue: true,
                    ..BasicNackOptions::default()
                })
                .await
                .map(drop);
        };
        if let Some(next) = self.next(job, outcome) {
            loop {
                let Err(error) = self.shared.work.publish(vec![next()]).await else {
                    break;
                };
                if !acker.usable() || self.stopping.is_cancelled() {
                    tracing::warn!(%error, "a job could not be handed on and will be delivered again");
                    return Ok(());
                }
                tokio::time::sleep(HAND_OVER_PAUSE).await;
            }
        }
        acker.ack(BasicAckOptions::default()).await.map(drop)
    }

    /// The message in which the job lives on, if it does. A function, since it may have to be sent more than once.
    fn next(&self, mut job: Job, outcome: Outcome) -> Option<impl Fn() -> Outgoing + Send + Sync + use<>> {
        let (exchange, routing_key, reason) = match outcome {
            Outcome::Done => return None,
            Outcome::RetryIn(delay) => {
                job.attempt = job.attempt.saturating_add(1);
                (
                    self.shared.names.rung_for(delay),
                    topology::work_key(job.class, super::shard_of(&job)),
                    None,
                )
            }
            Outcome::DeadLetter(reason) => {
                tracing::error!(job.id = %job.id, reason, "{} job {} is given up", job.class.name(), job.id);
                (self.shared.names.dead(), job.class.name().into(), Some(reason))
            }
        };
        Some(move || Outgoing {
            exchange: exchange.clone(),
            routing_key: routing_key.clone(),
            content: Content::Job(Box::new(wire::job_properties(&job, reason.as_deref()))),
            body: job.payload.clone(),
        })
    }
}

/// Consumer tags need only differ on one channel.
const TAG: &str = "work";
