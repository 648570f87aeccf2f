//! The three promises that a broker makes to the rest of the house, without naming a broker.
//!
//! [`Bus`] carries events to gateways: fast, at most once, healed from the database when something is missed.
//! [`Jobs`] carries work to workers: durable, at least once, every job idempotent by its id.
//! [`Asks`] carries questions to workers and their replies back, while somebody waits.
//! `hubbub-broker` implements them over RabbitMQ and in process.

mod asks;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::mpsc;
use uuid::Uuid;

pub use asks::{Answerer, AskClass, AskError, Asks};

/// The number of routing buckets that channels and users hash into.
pub const BUCKETS: usize = 256;

/// What went wrong between us and the broker. The caller keeps the outbox row and the relay tries again.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// The broker cannot be reached, or the connection is being rebuilt.
    #[error("broker unavailable: {0}")]
    Unavailable(String),
    /// The broker did not confirm: it may or may not have the message, so the same id must be sent again.
    #[error("broker did not confirm: {0}")]
    Unconfirmed(String),
}

/// A broker, by its promises.
#[derive(Clone)]
pub struct Broker {
    /// Fan-out to gateways.
    pub bus: Arc<dyn Bus>,
    /// Work queues.
    pub jobs: Arc<dyn Jobs>,
    /// Questions to workers.
    pub asks: Arc<dyn Asks>,
}

impl<B: Bus + Jobs + Asks + 'static> From<Arc<B>> for Broker {
    fn from(broker: Arc<B>) -> Self {
        Self {
            bus: Arc::clone(&broker) as _,
            jobs: Arc::clone(&broker) as _,
            asks: broker,
        }
    }
}

/// A batch of events for one bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BusMessage {
    /// The process that published it; a process ignores its own, which it has delivered already.
    pub origin: Uuid,
    /// Which of the [`BUCKETS`] it is routed by; `None` goes to every gateway (control messages).
    pub bucket: Option<u8>,
    /// Hashes of the topics (channels, users) inside, so that a gateway can drop the payload undecoded.
    pub topics: Vec<u64>,
    /// The encoded events; only `events` in core reads them.
    pub payload: Bytes,
}

/// What a subscription hears.
#[derive(Debug)]
pub enum BusSignal {
    /// A message for one of the bound buckets, or for everybody.
    Message(BusMessage),
    /// The link was down and is up again, bindings restored: whatever was published meanwhile is lost to
    /// this subscriber, who must heal from the database.
    Reconnected,
}

/// The fan-out to gateways.
#[async_trait]
pub trait Bus: Send + Sync {
    /// Publishes the messages and returns when the broker has taken all of them.
    ///
    /// # Errors
    /// [`BrokerError`] when any is not known to be taken.
    async fn publish(&self, messages: Vec<BusMessage>) -> Result<(), BrokerError>;

    /// Opens this process's subscription, with no bucket bound. It survives restarts of the broker.
    ///
    /// # Errors
    /// [`BrokerError::Unavailable`] when the broker cannot be reached for the first time.
    async fn subscribe(&self) -> Result<BusSubscription, BrokerError>;

    /// Whether a broker link is up at this moment (`/readyz`, metrics).
    fn is_connected(&self) -> bool;

    /// Whether other processes hear what is published here. In process nobody else does, and what is committed
    /// needs no outbox.
    fn crosses_processes(&self) -> bool {
        true
    }
}

/// A gateway's ear on the bus.
pub struct BusSubscription {
    /// Binds and unbinds buckets.
    pub binder: Arc<dyn BucketBinder>,
    /// What arrives. The producer waits when it is full.
    pub signals: mpsc::Receiver<BusSignal>,
}

/// Chooses what a subscription hears.
#[async_trait]
pub trait BucketBinder: Send + Sync {
    /// From the return of this call on, messages of `bucket` arrive. Idempotent. While the broker is away the
    /// wish is kept, carried out on reconnect, and the call returns `Unavailable`.
    async fn bind(&self, bucket: u8) -> Result<(), BrokerError>;
    /// Messages of `bucket` need not arrive any more. Idempotent.
    async fn unbind(&self, bucket: u8) -> Result<(), BrokerError>;
}

/// The kinds of work; each has its own queues, so that one kind cannot hold up another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum JobClass {
    /// Webhook deliveries that have just been recorded and are due now.
    Webhook,
    /// Portions of campaigns' recipients.
    Campaign,
}

impl JobClass {
    /// Every class, for declaring queues.
    pub const ALL: [Self; 2] = [Self::Webhook, Self::Campaign];

    /// The name in routing keys: `webhook`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Campaign => "campaign",
        }
    }

    /// How many queues the class is spread over.
    #[must_use]
    pub fn shards(self) -> u8 {
        match self {
            Self::Webhook => 8,
            Self::Campaign => 2,
        }
    }
}

/// A piece of work: a versioned payload of ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// The same on every delivery of this job.
    pub id: Uuid,
    /// Which queues it goes through.
    pub class: JobClass,
    /// Jobs with equal keys share a shard (usually a hash of the service).
    pub shard_key: u64,
    /// 0 on the first delivery, one more after each [`Outcome::RetryIn`].
    pub attempt: u32,
    /// JSON, under 1 MiB.
    pub payload: Bytes,
}

/// What a worker made of a job. The runner alone acknowledges.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Finished: forget it.
    Done,
    /// Try again after about this long (the nearest rung of the delay ladder that is not shorter).
    RetryIn(Duration),
    /// Give up and keep it where an operator can look at it.
    DeadLetter(String),
}

/// A worker for one class.
#[async_trait]
pub trait JobHandler: Send + Sync {
    /// Does the work. May be called twice with the same job.
    async fn run(&self, job: Job) -> Outcome;
}

/// The work queues.
#[async_trait]
pub trait Jobs: Send + Sync {
    /// Hands the jobs over and returns when the broker holds all of them.
    ///
    /// # Errors
    /// [`BrokerError`] when any is not known to be held.
    async fn enqueue(&self, jobs: Vec<Job>) -> Result<(), BrokerError>;

    /// Starts consuming every shard of `class`, at most `prefetch` jobs at a time per shard, until the returned
    /// guard is stopped. Survives restarts of the broker.
    ///
    /// # Errors
    /// [`BrokerError::Unavailable`] when the broker cannot be reached for the first time.
    async fn consume(
        &self,
        class: JobClass,
        prefetch: u16,
        handler: Arc<dyn JobHandler>,
    ) -> Result<Box<dyn Consumer>, BrokerError>;
}

/// A running consumer.
#[async_trait]
pub trait Consumer: Send + Sync {
    /// Takes no further job, waits for those in hand, then returns.
    async fn stop(self: Box<Self>);
}
