//! Group commit: sends of many callers are stored by one transaction with set-based SQL.
//!
//! While a batch is on its way to the disk the next one gathers, so that the number of commits follows the disk and
//! not the senders. An item that is refused fails alone; a batch that fails as a whole is tried again one by one.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use sea_orm::DbBackend;
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use super::{
    Sent,
    at_once::{AtOnce, Names},
    batch::Batch,
    origins::Origins,
};
use crate::{
    audit::{self, Actor, Edit},
    ctx::{BaseUrl, Origin},
    db::{Db, TRANSACTION_LIMIT, WRITERS},
    entities::{message, service},
    error::{Error, ErrorCode, Result},
    events::{
        Event, outbox,
        publisher::{Committed, Due, Publisher},
    },
    input::ChannelRef,
    sid::{AccountSid, EventSid, ServiceSid},
    timestamp::Timestamp,
    webhooks::{self, Told, hooks::ChannelHooks},
};

/// The most sends in one transaction.
const BATCH: usize = 64;
/// The most sends that wait for a writer; more are refused with 20503.
const QUEUE: usize = 8192;

/// A send whose fields have been checked.
pub struct SendRequest {
    pub(super) account: AccountSid,
    pub(super) service: ServiceSid,
    /// The service as it was when the call began: it says who wants webhooks.
    pub(super) settings: Arc<service::Model>,
    pub(super) channel: ChannelRef,
    pub(super) author: String,
    /// The user who sends and must be a member with the right to; backends need not be.
    pub(super) sender: Option<String>,
    /// Whether a pre-event may have changed it.
    pub(super) was_asked: bool,
    pub(super) body: Option<String>,
    pub(super) attributes: String,
    pub(super) client_id: Option<String>,
    pub(super) last_updated_by: Option<String>,
    pub(super) date_created: Option<Timestamp>,
    pub(super) date_updated: Option<Timestamp>,
    pub(super) origin: Origin,
    /// The backend that sends, for the audit log.
    pub(super) actor: Option<Actor>,
    pub(super) reply: oneshot::Sender<Result<Sent>>,
}

/// Takes sends. Cheap to clone.
#[derive(Clone)]
pub struct MessageWriter {
    lanes: Arc<[mpsc::Sender<SendRequest>]>,
    figures: Arc<Figures>,
    origins: Arc<Origins>,
}

/// What the writers have done since the start.
#[derive(Default)]
struct Figures {
    stored: AtomicU64,
    commits: AtomicU64,
}

impl MessageWriter {
    /// Starts the writers: one for SQLite; two for Postgres, so that services in different lanes commit side by side.
    pub(crate) fn start(db: &Db, publisher: &Publisher, base: &BaseUrl) -> Self {
        let lanes = if db.backend() == DbBackend::Postgres {
            WRITERS
        } else {
            1
        };
        let figures = Arc::new(Figures::default());
        let origins = Arc::new(Origins::default());
        let start_lane = |_| {
            let (sender, receiver) = mpsc::channel(QUEUE);
            let lane = Lane {
                db: db.clone(),
                publisher: publisher.clone(),
                base: base.clone(),
                figures: Arc::clone(&figures),
                origins: Arc::clone(&origins),
                names: Names::default(),
            };
            tokio::spawn(lane.run(receiver));
            sender
        };
        Self {
            lanes: (0..lanes).map(start_lane).collect(),
            figures,
            origins,
        }
    }

    /// The socket that sent a message, if this process stored it lately.
    #[must_use]
    pub fn socket_of(&self, arrival: EventSid) -> Option<Uuid> {
        self.origins.socket_of(arrival)
    }

    /// How many messages were stored since the start.
    #[must_use]
    pub fn stored(&self) -> u64 {
        self.figures.stored.load(Ordering::Relaxed)
    }

    /// How many transactions that took.
    #[must_use]
    pub fn commits(&self) -> u64 {
        self.figures.commits.load(Ordering::Relaxed)
    }

    /// Queues the send in its service's lane: one lane keeps the order of submission, however channels are addressed.
    pub(super) fn submit(&self, request: SendRequest) -> Result<()> {
        let mut hasher = DefaultHasher::new();
        request.service.hash(&mut hasher);
        #[expect(clippy::cast_possible_truncation, reason = "only the remainder matters")]
        let lane = hasher.finish() as usize % self.lanes.len();
        self.lanes[lane]
            .try_send(request)
            .map_err(|_| Error::new(ErrorCode::Unavailable))
    }
}

/// One writer.
struct Lane {
    db: Db,
    publisher: Publisher,
    /// Of URLs in webhooks.
    base: BaseUrl,
    figures: Arc<Figures>,
    origins: Arc<Origins>,
    names: Names,
}

impl Lane {
    async fn run(mut self, mut queue: mpsc::Receiver<SendRequest>) {
        let mut batch = Vec::with_capacity(BATCH);
        while queue.recv_many(&mut batch, BATCH).await > 0 {
            let requests: Vec<SendRequest> = batch
                .drain(..)
                .filter(|request| !request.reply.is_closed())
                .collect();
            let others = if self.db.backend() == DbBackend::Postgres {
                self.at_once(requests).await
            } else {
                Some(requests)
            };
            let is_away = match others {
                Some(others) => self.batched(others).await.is_none(),
                None => true,
            };
            if is_away {
                // Those who came meanwhile have waited as long as those who were tried: they are not tried in their turn.
                while let Ok(request) = queue.try_recv() {
                    let _ = request.reply.send(Err(Error::new(ErrorCode::Unavailable)));
                }
            }
        }
    }

    /// Stores what one statement can store, and answers it; gives back the others, in their order. `None` when the
    /// database is away, which everybody has been told.
    async fn at_once(&self, requests: Vec<SendRequest>) -> Option<Vec<SendRequest>> {
        match within(2 * TRANSACTION_LIMIT, self.store_at_once(&requests)).await {
            Ok(sent) => {
                let mut others = Vec::new();
                for (request, sent) in requests.into_iter().zip(sent) {
                    match sent {
                        Some(sent) => drop(request.reply.send(Ok(sent))),
                        None => others.push(request),
                    }
                }
                Some(others)
            }
            Err(error) if error.code() == ErrorCode::Unavailable => {
                tracing::error!(?error, sends = requests.len(), "sends were not stored");
                answer_all(requests, || Error::new(ErrorCode::Unavailable));
                None
            }
            Err(error) => {
                tracing::debug!(
                    ?error,
                    sends = requests.len(),
                    "sends could not be stored at once"
                );
                Some(requests)
            }
        }
    }

    /// Stores with one statement; answers what was stored, in the order of the requests.
    async fn store_at_once(&self, requests: &[SendRequest]) -> Result<Vec<Option<Sent>>> {
        let mut sent: Vec<Option<Sent>> = requests.iter().map(|_| None).collect();
        let at_once = AtOnce::of(requests, &self.names);
        if at_once.is_empty() {
            return Ok(sent);
        }
        let publisher = &self.publisher;
        let outbox = if publisher.needs_outbox() {
            let arrivals = at_once
                .arrivals()
                .map(|(request, channel, id)| (request.account, request.service, channel, id));
            Some((Uuid::now_v7(), outbox::of_arrivals(publisher.node(), arrivals)?))
        } else {
            None
        };
        let row = outbox.as_ref().map(|(row, _)| *row);
        // It is committed, and may be read, before it is known here what was stored.
        self.origins.note_all(
            at_once
                .arrivals()
                .map(|(request, _, id)| (EventSid(id.0), request.origin.connection)),
        );
        let is_alone = at_once.arrivals().all(|(request, ..)| !leaves_rows(request));
        let (messages, deliveries) = if is_alone {
            (at_once.store(self.db.sends(), outbox).await?, Vec::new())
        } else {
            self.store_with_rows(requests, at_once, outbox).await?
        };
        let mut events = Vec::with_capacity(messages.len());
        for (place, message) in messages {
            let request = &requests[place];
            events.push(Arc::new(Event::message_added(
                request.account,
                message.clone(),
                request.origin.connection,
            )));
            sent[place] = Some(Sent {
                message,
                replayed: false,
            });
        }
        self.count(&events);
        publisher.committed(Committed {
            events,
            outbox: row,
            deliveries,
        });
        Ok(sent)
    }

    /// Stores with one statement, and with it what webhooks and the audit log are to have.
    async fn store_with_rows(
        &self,
        requests: &[SendRequest],
        at_once: AtOnce<'_>,
        outbox: Option<(Uuid, String)>,
    ) -> Result<(Vec<(usize, message::Model)>, Vec<Due>)> {
        let began = Instant::now();
        let tx = self.db.begin_sends().await?;
        let messages = at_once.store(&tx, outbox).await?;
        let events: Vec<(&SendRequest, Event)> = messages
            .iter()
            .map(|(place, message)| {
                let request = &requests[*place];
                let connection = request.origin.connection;
                let event = Event::message_added(request.account, message.clone(), connection);
                (request, event)
            })
            .collect();
        let told: Vec<Told<'_>> = events
            .iter()
            .map(|(request, event)| Told {
                service: &request.settings,
                origin: &request.origin,
                event,
            })
            .collect();
        let deliveries = webhooks::record(&tx, &self.base, &ChannelHooks::default(), &told).await?;
        let mut entries = Vec::new();
        for (place, message) in &messages {
            let request = &requests[*place];
            if let Some(actor) = request.actor {
                let (account, service) = (request.account, Some(request.service));
                entries.push(audit::entry(actor, account, service, Edit::Created(message))?);
            }
        }
        audit::store(&tx, &entries).await?;
        if began.elapsed() > TRANSACTION_LIMIT {
            return Err(Error::new(ErrorCode::Unavailable));
        }
        tx.commit().await?;
        Ok((messages, deliveries))
    }

    fn count(&self, events: &[Arc<Event>]) {
        self.figures
            .stored
            .fetch_add(events.len() as u64, Ordering::Relaxed);
        self.figures.commits.fetch_add(1, Ordering::Relaxed);
    }

    /// Stores a batch and answers it. `None` when the database is away.
    async fn batched(&mut self, requests: Vec<SendRequest>) -> Option<()> {
        match within(3 * TRANSACTION_LIMIT, self.store(&requests)).await {
            Ok(results) => answer(requests, results),
            Err(error) if requests.len() == 1 || error.code() == ErrorCode::Unavailable => {
                tracing::error!(?error, sends = requests.len(), "sends were not stored");
                let code = error.code();
                answer_all(requests, || Error::new(code));
                return (code != ErrorCode::Unavailable).then_some(());
            }
            Err(error) => {
                tracing::warn!(
                    ?error,
                    sends = requests.len(),
                    "a batch was refused as a whole; storing its sends one by one"
                );
                self.one_by_one(requests).await;
            }
        }
        Some(())
    }

    async fn one_by_one(&mut self, requests: Vec<SendRequest>) {
        for request in requests {
            let result = match within(3 * TRANSACTION_LIMIT, self.store(std::slice::from_ref(&request))).await
            {
                Ok(mut results) => results
                    .pop()
                    .unwrap_or_else(|| Err(Error::new(ErrorCode::Internal))),
                Err(error) => {
                    tracing::error!(?error, "a send was not stored");
                    Err(error)
                }
            };
            let _ = request.reply.send(result);
        }
    }

    /// Stores the batch and answers one result for each request, in order.
    async fn store(&mut self, requests: &[SendRequest]) -> Result<Vec<Result<Sent>>> {
        if requests.is_empty() {
            return Ok(Vec::new());
        }
        let began = Instant::now();
        let tx = self.db.begin().await?;
        let mut batch = Batch::load(&tx, requests).await?;
        let results: Vec<Result<Sent>> = requests.iter().map(|request| batch.place(request)).collect();
        for (request, sent) in requests.iter().zip(&results) {
            if let (ChannelRef::Name(name), Ok(sent)) = (&request.channel, sent) {
                self.names.learn(request.service, name, sent.message.channel_id);
            }
        }
        if batch.is_empty() {
            tx.rollback().await?;
            return Ok(results);
        }
        let publisher = &self.publisher;
        let (events, deliveries) = batch.write(&tx, &self.base).await?;
        let row = if publisher.needs_outbox() {
            Some(outbox::push(&tx, publisher.node(), &events).await?)
        } else {
            None
        };
        if began.elapsed() > TRANSACTION_LIMIT {
            return Err(Error::new(ErrorCode::Unavailable));
        }
        self.origins.note(&events);
        tx.commit().await?;
        let events: Vec<Arc<Event>> = events.into_iter().map(Arc::new).collect();
        self.count(&events);
        publisher.committed(Committed {
            events,
            outbox: row,
            deliveries,
        });
        Ok(results)
    }
}

/// Whether the send has more to leave in the database than its message: something for webhooks, or for the audit log.
fn leaves_rows(request: &SendRequest) -> bool {
    let service = &request.settings;
    request.actor.is_some()
        || service.webhook_endpoints > 0
        || (request.origin.webhooks && service.post_webhook_url.is_some())
}

/// Gives up on a database whose answers do not come, long after it should have given up itself: a network may swallow
/// them without a word. What becomes of the transaction is not known then; who repeats its send with the same client id
/// gets the truth.
async fn within<T>(limit: Duration, storing: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::time::timeout(limit, storing)
        .await
        .unwrap_or_else(|_| Err(Error::new(ErrorCode::Unavailable)))
}

fn answer(requests: Vec<SendRequest>, results: Vec<Result<Sent>>) {
    for (request, result) in requests.into_iter().zip(results) {
        let _ = request.reply.send(result);
    }
}

fn answer_all(requests: Vec<SendRequest>, error: impl Fn() -> Error) {
    for request in requests {
        let _ = request.reply.send(Err(error()));
    }
}
