//! The broker of a cluster: RabbitMQ, 3.10 or later.
//!
//! Each purpose has a connection of its own: bus out, work out, questions, and one for each subscription and consumer. So an
//! alarm that blocks publishers leaves consumers alone, and a burst of jobs does not hold up real-time events.
//! Every connection belongs to one task that rebuilds it, and all that it declared, for ever (`link`).

mod answers;
mod asker;
mod consumer;
mod link;
mod publisher;
mod subscription;
mod topology;
mod wire;

use std::{
    sync::{Arc, OnceLock, atomic::AtomicU64},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use hubbub_core::broker::{
    Answerer, AskClass, AskError, Asks, BrokerError, Bus, BusMessage, BusSubscription, Consumer, Job,
    JobClass, JobHandler, Jobs,
};
use lapin::uri::AMQPUri;
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};
use tokio_util::sync::{CancellationToken, DropGuard};
use uuid::Uuid;

use self::{
    asker::Asker,
    link::{Dialer, Lost},
    publisher::{Content, Outgoing, Publisher, Role},
    subscription::Subscription,
    topology::Names,
};

/// Signals that a subscriber may leave unread before its queue at the broker grows.
const SIGNALS: usize = 1024;
/// How long the first link of a subscription or consumer is waited for before it is left to come up by itself.
const FIRST_LINK: Duration = Duration::from_secs(5);
/// Seconds. RabbitMQ proposes 60, which would leave a silently broken link unnoticed for two minutes.
const HEARTBEAT: u16 = 10;
/// Milliseconds for the TCP connection.
const CONNECT_TIMEOUT: u64 = 3_000;

/// What [`RabbitMq::connect`] does when the broker is away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// Fails.
    Eager,
    /// Returns at once; the links come up when the broker does.
    Lazy,
}

/// Settings beyond the address.
#[derive(Debug, Clone)]
pub struct Options {
    /// What to do when the broker is away at the start.
    pub start: Start,
    /// First word of the names of exchanges and queues: installations that share a virtual host differ in it.
    /// Short, without dots.
    pub prefix: String,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            start: Start::Eager,
            prefix: "hubbub".into(),
        }
    }
}

/// Why there is no broker to speak to.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The address is not an AMQP URL.
    #[error("not an AMQP URL: {0}")]
    InvalidUrl(String),
    /// The broker did not let us in ([`Start::Eager`] only).
    #[error("RabbitMQ cannot be reached: {0}")]
    Unreachable(String),
}

/// [`Bus`], [`Jobs`] and [`Asks`] over RabbitMQ. Dropping it ends its links; running consumers keep theirs until stopped.
pub struct RabbitMq {
    shared: Arc<Shared>,
}

/// What subscriptions and consumers share with the handle.
struct Shared {
    uri: AMQPUri,
    node: Uuid,
    names: Names,
    sessions: Arc<AtomicU64>,
    bus: Publisher,
    work: Publisher,
    /// Started when something is asked for the first time.
    asker: OnceLock<Asker>,
    stop: CancellationToken,
    _stop_when_dropped: DropGuard,
}

impl RabbitMq {
    /// Connects to the broker at `url` (`amqp://` or `amqps://`) on behalf of the process `node`, which must be
    /// unique among the processes that are alive. Needs a tokio runtime.
    ///
    /// # Errors
    /// [`ConnectError::InvalidUrl`], and with [`Start::Eager`] [`ConnectError::Unreachable`] when a first connection
    /// does not succeed within some seconds.
    pub async fn connect(url: &str, node: Uuid, options: Options) -> Result<Self, ConnectError> {
        let uri = parse(url)?;
        let names = Names::new(&options.prefix);
        if options.start == Start::Eager {
            let attempt = dialer(&uri, "start", node).attempt().await;
            attempt
                .map_err(|Lost(why)| ConnectError::Unreachable(why))?
                .close()
                .await;
        }
        let stop = CancellationToken::new();
        let publisher =
            |name, role| Publisher::start(dialer(&uri, name, node), names.clone(), role, stop.clone());
        let (bus, work) = (publisher("bus out", Role::Bus), publisher("work out", Role::Work));
        if options.start == Start::Eager
            && !(bus.wait_until_up(FIRST_LINK).await && work.wait_until_up(FIRST_LINK).await)
        {
            return Err(ConnectError::Unreachable(
                "the exchanges and queues cannot be declared".into(),
            ));
        }
        let sessions = Arc::default();
        let _stop_when_dropped = stop.clone().drop_guard();
        Ok(Self {
            shared: Arc::new(Shared {
                uri,
                node,
                names,
                sessions,
                bus,
                work,
                asker: OnceLock::new(),
                stop,
                _stop_when_dropped,
            }),
        })
    }
}

#[async_trait]
impl Bus for RabbitMq {
    async fn publish(&self, messages: Vec<BusMessage>) -> Result<(), BrokerError> {
        let outgoing = |message: BusMessage| Outgoing {
            exchange: self.shared.names.bus(),
            routing_key: topology::bucket_key(message.bucket),
            content: Content::Bus,
            body: wire::encode_bus(&message),
        };
        self.shared
            .bus
            .publish(messages.into_iter().map(outgoing).collect())
            .await
    }

    /// Waits some seconds for the link. When the broker is still away, the subscription is returned all the same
    /// and says [`Reconnected`](hubbub_core::broker::BusSignal::Reconnected) when it first hears.
    async fn subscribe(&self) -> Result<BusSubscription, BrokerError> {
        let shared = &self.shared;
        let (sender, signals) = mpsc::channel(SIGNALS);
        let (started, has_started) = oneshot::channel();
        let subscription = Subscription {
            dialer: dialer(&shared.uri, "bus in", shared.node),
            names: shared.names.clone(),
            node: shared.node,
            sessions: shared.sessions.clone(),
            signals: sender,
            started: Some(started),
        };
        let binder = Arc::new(subscription.start(shared.stop.clone()));
        // When the time is over the receiver is dropped, by which the task knows that nobody was told.
        let _ = timeout(FIRST_LINK, has_started).await;
        Ok(BusSubscription { binder, signals })
    }

    /// Whether both publishing links are up and the broker takes publishes.
    fn is_connected(&self) -> bool {
        self.shared.bus.is_up() && self.shared.work.is_up()
    }
}

#[async_trait]
impl Jobs for RabbitMq {
    async fn enqueue(&self, jobs: Vec<Job>) -> Result<(), BrokerError> {
        let outgoing = |job: Job| Outgoing {
            exchange: self.shared.names.work(),
            routing_key: topology::work_key(job.class, shard_of(&job)),
            content: Content::Job(Box::new(wire::job_properties(&job, None))),
            body: job.payload,
        };
        self.shared
            .work
            .publish(jobs.into_iter().map(outgoing).collect())
            .await
    }

    /// Waits some seconds for the link, and goes on trying in the background when the broker is still away.
    async fn consume(
        &self,
        class: JobClass,
        prefetch: u16,
        handler: Arc<dyn JobHandler>,
    ) -> Result<Box<dyn Consumer>, BrokerError> {
        let dialer = dialer(&self.shared.uri, "work in", self.shared.node);
        let (consumer, has_started) = consumer::start(self.shared.clone(), dialer, class, prefetch, handler);
        let _ = timeout(FIRST_LINK, has_started).await;
        Ok(Box::new(consumer))
    }
}

#[async_trait]
impl Asks for RabbitMq {
    async fn ask(&self, class: AskClass, question: Bytes, patience: Duration) -> Result<Bytes, AskError> {
        let asker = self.shared.asker.get_or_init(|| {
            let shared = &self.shared;
            let dialer = dialer(&shared.uri, "questions", shared.node);
            Asker::start(dialer, shared.names.clone(), shared.node, shared.stop.clone())
        });
        asker.ask(class, question, patience).await
    }

    /// Waits some seconds for the link, and goes on trying in the background when the broker is still away.
    async fn answer(
        &self,
        class: AskClass,
        at_once: u16,
        answerer: Arc<dyn Answerer>,
    ) -> Result<Box<dyn Consumer>, BrokerError> {
        let dialer = dialer(&self.shared.uri, "answers", self.shared.node);
        let (consumer, has_started) =
            answers::start(dialer, self.shared.names.clone(), class, at_once, answerer);
        let _ = timeout(FIRST_LINK, has_started).await;
        Ok(Box::new(consumer))
    }
}

/// The shard that a job goes to.
fn shard_of(job: &Job) -> u8 {
    // Always fits: the remainder is smaller than a u8.
    u8::try_from(job.shard_key % u64::from(job.class.shards().max(1))).unwrap_or_default()
}

fn dialer(uri: &AMQPUri, purpose: &str, node: Uuid) -> Dialer {
    Dialer::new(uri.clone(), format!("hubbub {node} {purpose}"))
}

/// Parses the address and fills in what RabbitMQ's defaults leave too slow.
fn parse(url: &str) -> Result<AMQPUri, ConnectError> {
    let mut uri: AMQPUri = url.parse().map_err(ConnectError::InvalidUrl)?;
    // By the letter `amqp://host/` names the virtual host "", which nobody has and nobody means.
    if uri.vhost.is_empty() {
        uri.vhost = "/".into();
    }
    uri.query.heartbeat.get_or_insert(HEARTBEAT);
    uri.query.connection_timeout.get_or_insert(CONNECT_TIMEOUT);
    Ok(uri)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn a_url_gets_a_virtual_host_and_a_quick_heartbeat() {
        for url in ["amqp://localhost", "amqp://localhost/", "amqp://localhost/%2f"] {
            let uri = parse(url).unwrap();
            assert_eq!(
                (uri.vhost.as_str(), uri.query.heartbeat),
                ("/", Some(HEARTBEAT)),
                "{url}"
            );
        }
        assert_eq!(
            parse("amqp://localhost/chat?heartbeat=3")
                .unwrap()
                .query
                .heartbeat,
            Some(3)
        );
        assert!(matches!(
            parse("http://localhost"),
            Err(ConnectError::InvalidUrl(_))
        ));
    }
}
