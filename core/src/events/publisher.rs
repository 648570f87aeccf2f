//! What happens after a commit: the process's own sockets hear of it at once, then the bus and the work queues.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, OnceLock},
};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use uuid::Uuid;

use super::{Event, outbox, stream::Readers};
use crate::{
    broker::{Bus, BusMessage, Job, JobClass, Jobs},
    db::Db,
    error::{Error, Result},
    input::Identity,
    sid::{AccountSid, ApiKeySid, OperatorPoolSid, ServiceSid},
    timestamp::Timestamp,
    topic::Topic,
};

/// How many commits may wait for the broker before further ones are left to the sweeper.
const BACKLOG: usize = 4096;
/// How many commits are published together.
const BATCH: usize = 64;
/// How many events that go to every gateway go into one message.
const NEWS_AT_ONCE: usize = 32;
/// Events for more buckets than this go to every gateway: a message for each bucket would cost the broker more than
/// gateways are spared by it.
const BUCKETS_AT_ONCE: usize = 8;

/// What a commit leaves to be told.
#[derive(Debug, Default)]
pub struct Committed {
    /// The events, in order.
    pub events: Vec<Arc<Event>>,
    /// The outbox row that holds them until the broker does.
    pub outbox: Option<Uuid>,
    /// The targets for which webhook deliveries were recorded that are due.
    pub deliveries: Vec<Due>,
}

/// What every gateway must act on at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "control", rename_all = "snake_case")]
pub enum Control {
    /// A user is gone: end its sockets.
    UserDeleted {
        /// The service.
        service: ServiceSid,
        /// Who.
        identity: Identity,
    },
    /// A service is gone: end its sockets.
    ServiceDeleted {
        /// The service.
        service: ServiceSid,
    },
    /// An API key is gone: end the sockets whose tokens it signed.
    KeyDeleted {
        /// The account.
        account: AccountSid,
        /// The key.
        key: ApiKeySid,
    },
    /// An API key's end was set or moved: the tokens that it signed end then.
    KeyExpires {
        /// The account.
        account: AccountSid,
        /// The key.
        key: ApiKeySid,
        /// When; `None` when it has no end any more.
        at: Option<Timestamp>,
    },
    /// The operators of a pool are others than before, or the pool is gone.
    PoolChanged {
        /// The service.
        service: ServiceSid,
        /// The pool.
        pool: OperatorPoolSid,
    },
    /// An account may not call any more, or not for now: end its sockets.
    AccountEnded {
        /// The account.
        account: AccountSid,
    },
}

/// The gateway's side of the publisher: the local fan-out.
pub trait EventSink: Send + Sync {
    /// Delivers to this process's sockets. Must not block.
    fn deliver(&self, events: &[Arc<Event>]);
    /// Acts on a control message.
    fn control(&self, control: &Control);
}

/// A batch on the bus.
#[derive(Serialize, Deserialize)]
enum Payload<E> {
    #[serde(rename = "events")]
    Events(Vec<E>),
    #[serde(rename = "control")]
    Control(Control),
}

/// What a bus message holds.
#[derive(Debug)]
pub enum Told {
    /// Events, in order.
    Events(Vec<Arc<Event>>),
    /// A control message.
    Control(Control),
}

/// Encodes events for the bus: one message a bucket, the topics in its header. What members of several channels hear of
/// goes to every gateway instead, once, and so does what concerns very many buckets; a gateway sees by the topics whether
/// that concerns anybody there.
#[must_use]
pub fn encode<E: std::borrow::Borrow<Event>>(origin: Uuid, events: &[E]) -> Vec<BusMessage> {
    let mut buckets: BTreeMap<u8, (BTreeSet<u64>, Vec<&Event>)> = BTreeMap::new();
    let mut news: Vec<&Event> = Vec::new();
    for event in events {
        let event: &Event = event.borrow();
        if !event.audience().is_empty() {
            news.push(event);
            continue;
        }
        for topic in event.topics() {
            let (topics, batch) = buckets.entry(topic.bucket()).or_default();
            topics.insert(topic.0);
            if batch.last().is_none_or(|last| last.id != event.id) {
                batch.push(event);
            }
        }
    }
    if buckets.len() > BUCKETS_AT_ONCE {
        buckets.clear();
        let told = events.iter().map(std::borrow::Borrow::borrow);
        news = told.filter(|event: &&Event| !event.topics().is_empty()).collect();
    }
    let to_all = news.chunks(NEWS_AT_ONCE).map(|batch| {
        let topics = batch.iter().flat_map(|event| event.topics());
        let topics: BTreeSet<u64> = topics.map(|topic| topic.0).collect();
        (None, (topics, batch.to_vec()))
    });
    let by_bucket = buckets.into_iter().map(|(bucket, batch)| (Some(bucket), batch));
    by_bucket
        .chain(to_all)
        .filter_map(|(bucket, (topics, batch))| {
            let payload = serde_json::to_vec(&Payload::Events(batch)).ok()?;
            Some(BusMessage {
                origin,
                bucket,
                topics: topics.into_iter().collect(),
                payload: payload.into(),
            })
        })
        .collect()
}

/// Decodes a bus message.
///
/// # Errors
/// When another version wrote it in a form that this one does not know.
pub fn decode(payload: &Bytes) -> Result<Told> {
    match serde_json::from_slice::<Payload<Arc<Event>>>(payload).map_err(Error::internal)? {
        Payload::Events(events) => Ok(Told::Events(events)),
        Payload::Control(control) => Ok(Told::Control(control)),
    }
}

/// Targets of one service whose queues have something due: the payload of a webhook job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Due {
    /// The service.
    pub service: ServiceSid,
    /// The identifiers of its targets.
    pub targets: Vec<Uuid>,
}

/// Hands commits on, in order. Cheap to clone.
#[derive(Clone)]
pub struct Publisher {
    queue: mpsc::UnboundedSender<Work>,
    sink: Arc<OnceLock<Arc<dyn EventSink>>>,
    /// Whether other processes need to hear of what this one commits.
    shared: bool,
    node: Uuid,
}

enum Work {
    Committed(Committed),
    Volatile(Vec<Arc<Event>>),
    Control(Control),
}

impl Publisher {
    pub(crate) fn start(
        db: Db,
        bus: Arc<dyn Bus>,
        jobs: Arc<dyn Jobs>,
        node: Uuid,
        readers: Readers,
    ) -> Self {
        let shared = bus.crosses_processes();
        let (queue, mut incoming) = mpsc::unbounded_channel::<Work>();
        let (onward, backlog) = mpsc::channel::<Work>(BACKLOG);
        let sink = Arc::new(OnceLock::<Arc<dyn EventSink>>::new());
        let local = Arc::clone(&sink);
        tokio::spawn(async move {
            let mut batch = Vec::with_capacity(BATCH);
            while incoming.recv_many(&mut batch, BATCH).await > 0 {
                if let Some(sink) = local.get() {
                    tell(sink.as_ref(), &batch);
                }
                for work in batch.drain(..) {
                    if let Work::Committed(committed) = &work {
                        readers.committed(&committed.events);
                    }
                    // A full backlog means that the broker is away or slow: the outbox row and the deliveries' due
                    // times remain, and the sweepers in the workers take over.
                    let _ = onward.try_send(work);
                }
            }
        });
        tokio::spawn(
            Onward {
                db,
                bus,
                jobs,
                node,
                shared,
            }
            .run(backlog),
        );
        Self {
            queue,
            sink,
            shared,
            node,
        }
    }

    /// Connects the process's own sockets. Only the first call counts.
    pub fn attach(&self, sink: Arc<dyn EventSink>) {
        let _ = self.sink.set(sink);
    }

    /// Whether a change needs an outbox row: only when other processes are to hear of it.
    #[must_use]
    pub fn needs_outbox(&self) -> bool {
        self.shared
    }

    /// This process, on the bus.
    #[must_use]
    pub fn node(&self) -> Uuid {
        self.node
    }

    /// Hands on what was committed. Never blocks.
    pub fn committed(&self, committed: Committed) {
        let _ = self.queue.send(Work::Committed(committed));
    }

    /// Tells a volatile event, which nothing stores.
    pub fn volatile(&self, event: Event) {
        self.volatile_all(vec![event]);
    }

    /// Tells volatile events, in order.
    pub fn volatile_all(&self, events: Vec<Event>) {
        if !events.is_empty() {
            let events = events.into_iter().map(Arc::new).collect();
            let _ = self.queue.send(Work::Volatile(events));
        }
    }

    /// Tells every gateway.
    pub fn control(&self, control: Control) {
        let _ = self.queue.send(Work::Control(control));
    }
}

/// Tells this process's sockets what was committed, as much at once as there is: a socket that gets many events gets
/// them together.
fn tell(sink: &dyn EventSink, batch: &[Work]) {
    let mut events: Vec<Arc<Event>> = Vec::new();
    for work in batch {
        match work {
            Work::Committed(committed) => events.extend_from_slice(&committed.events),
            Work::Volatile(volatile) => events.extend_from_slice(volatile),
            Work::Control(control) => {
                sink.deliver(&std::mem::take(&mut events));
                sink.control(control);
            }
        }
    }
    sink.deliver(&events);
}

/// The second stage, which may wait for the broker.
struct Onward {
    db: Db,
    bus: Arc<dyn Bus>,
    jobs: Arc<dyn Jobs>,
    node: Uuid,
    shared: bool,
}

impl Onward {
    async fn run(self, mut backlog: mpsc::Receiver<Work>) {
        let mut batch = Vec::with_capacity(BATCH);
        while backlog.recv_many(&mut batch, BATCH).await > 0 {
            self.publish(std::mem::take(&mut batch)).await;
        }
    }

    async fn publish(&self, batch: Vec<Work>) {
        let mut events: Vec<Arc<Event>> = Vec::new();
        let mut rows = Vec::new();
        let mut jobs = Vec::new();
        let mut messages = Vec::new();
        for work in batch {
            match work {
                Work::Committed(committed) => {
                    events.extend(committed.events);
                    rows.extend(committed.outbox);
                    jobs.extend(
                        committed
                            .deliveries
                            .into_iter()
                            .filter_map(|due| webhook_job(&due)),
                    );
                }
                Work::Volatile(told) => events.extend(told),
                Work::Control(control) => {
                    if let Ok(payload) = serde_json::to_vec(&Payload::<&Event>::Control(control)) {
                        messages.push(BusMessage {
                            origin: self.node,
                            bucket: None,
                            topics: Vec::new(),
                            payload: payload.into(),
                        });
                    }
                }
            }
        }
        let telling = async {
            if !self.shared {
                return true;
            }
            messages.extend(encode(self.node, &events));
            match self.bus.publish(messages).await {
                Ok(()) => true,
                Err(error) => {
                    tracing::debug!(%error, "events wait in the outbox");
                    false
                }
            }
        };
        let working = async {
            if !jobs.is_empty()
                && let Err(error) = self.jobs.enqueue(jobs).await
            {
                tracing::debug!(%error, "webhook deliveries wait for the poller");
            }
        };
        let (told, ()) = futures_util::join!(telling, working);
        if told && let Err(error) = outbox::clear(self.db.writer(), &rows).await {
            tracing::warn!(
                ?error,
                "outbox rows could not be cleared; their events will be told again"
            );
        }
    }
}

fn webhook_job(due: &Due) -> Option<Job> {
    let payload = serde_json::to_vec(due).ok()?;
    Some(Job {
        id: Uuid::now_v7(),
        class: JobClass::Webhook,
        shard_key: Topic::user(due.service, "").0,
        attempt: 0,
        payload: payload.into(),
    })
}
