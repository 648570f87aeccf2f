//! Read horizons as users report them: only ever forward, gathered before they reach the database, answered when they
//! are committed.
//!
//! A member's first report is stored at once. Those that follow within [`WINDOW`] wait for its end, and the furthest of
//! them is stored for all. What is due, of however many members and channels, goes into one transaction.

mod batch;
mod windows;

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
    time::Duration,
};

use sea_orm::DbBackend;
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep_until},
};
use uuid::Uuid;

use self::windows::Windows;
use super::consumed_index;
use crate::{
    ctx::{BaseUrl, Ctx},
    db::Db,
    entities::service,
    error::{Error, ErrorCode, Result},
    events::publisher::Publisher,
    input::ChannelRef,
    sid::{AccountSid, ChannelSid, ServiceSid},
};

/// How often a member's horizon in a channel is stored at most.
const WINDOW: Duration = Duration::from_millis(500);
/// The most reports in one transaction.
const BATCH: usize = 128;
/// The most reports that have not been looked at yet; more are refused with 20503.
const QUEUE: usize = 8192;

/// Where a member's read horizon stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Horizon {
    /// The last message that it has read; `None` until it was ever set.
    pub index: Option<i64>,
    /// How many messages lie behind it.
    pub unread: Option<i64>,
}

/// Whose horizon, where.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    service: ServiceSid,
    identity: String,
    channel: ChannelRef,
}

/// A report whose fields have been checked.
struct Report {
    account: AccountSid,
    /// The service as it was when the call began: it says who wants webhooks.
    settings: Arc<service::Model>,
    key: Key,
    index: i64,
    connection: Option<Uuid>,
    reply: oneshot::Sender<Result<Horizon>>,
}

/// What became of a report.
struct Stored {
    channel: ChannelSid,
    horizon: Option<i64>,
    /// Whether it moved the horizon.
    moved: bool,
}

enum Order {
    Report(Report),
    /// Somebody waits for the reports of this user.
    Hurry(ServiceSid, String),
}

/// Takes the calling user's report of how far it has read; answers where its result will arrive. An index behind the
/// newest message means the newest one.
///
/// # Errors
/// 20403 outside of user calls; 20006 when the caller may only read; 50406 when the index is negative; 20503 when too
/// many are waiting. The result: 20404 when there is no such channel, 50400 when the caller is not a member.
pub fn report(ctx: &Ctx, channel: ChannelRef, index: i64) -> Result<oneshot::Receiver<Result<Horizon>>> {
    ctx.caller.may_write()?;
    let identity = ctx.caller.identity().ok_or(ErrorCode::Forbidden)?;
    let (reply, answer) = oneshot::channel();
    let report = Report {
        account: ctx.account(),
        settings: Arc::clone(&ctx.service),
        key: Key {
            service: ctx.scope(),
            identity: identity.as_str().to_owned(),
            channel,
        },
        index: consumed_index(index)?,
        connection: ctx.caller.origin().connection,
        reply,
    };
    ctx.core
        .horizons
        .lane(ctx.scope())
        .try_send(Order::Report(report))
        .map_err(|_| Error::new(ErrorCode::Unavailable))?;
    Ok(answer)
}

/// Has what the calling user reported stored now: something waits for it.
pub fn hurry(ctx: &Ctx) {
    if let Some(identity) = ctx.caller.identity() {
        let order = Order::Hurry(ctx.scope(), identity.as_str().to_owned());
        // A full queue is worked off at once anyway.
        let _ = ctx.core.horizons.lane(ctx.scope()).try_send(order);
    }
}

/// Takes reports. Cheap to clone.
#[derive(Clone)]
pub struct HorizonWriter {
    lanes: Arc<[mpsc::Sender<Order>]>,
}

impl HorizonWriter {
    /// Starts the writers, as many as the database has use for.
    pub(crate) fn start(db: &Db, publisher: &Publisher, base: &BaseUrl) -> Self {
        let lanes = if db.backend() == DbBackend::Postgres { 2 } else { 1 };
        let start_lane = |_| {
            let (sender, receiver) = mpsc::channel(QUEUE);
            let lane = Lane {
                db: db.clone(),
                publisher: publisher.clone(),
                base: base.clone(),
                windows: Windows::new(WINDOW),
            };
            tokio::spawn(lane.run(receiver));
            sender
        };
        Self {
            lanes: (0..lanes).map(start_lane).collect(),
        }
    }

    fn lane(&self, service: ServiceSid) -> &mpsc::Sender<Order> {
        let mut hasher = DefaultHasher::new();
        service.hash(&mut hasher);
        #[expect(clippy::cast_possible_truncation, reason = "only the remainder matters")]
        let lane = hasher.finish() as usize % self.lanes.len();
        &self.lanes[lane]
    }
}

/// One writer.
struct Lane {
    db: Db,
    publisher: Publisher,
    /// Of URLs in webhooks.
    base: BaseUrl,
    windows: Windows<Report>,
}

impl Lane {
    async fn run(mut self, mut queue: mpsc::Receiver<Order>) {
        let mut orders = Vec::with_capacity(BATCH);
        loop {
            let end = self.windows.next_end();
            let open = tokio::select! {
                count = queue.recv_many(&mut orders, BATCH) => count > 0,
                () = until(end) => true,
            };
            let now = Instant::now();
            let mut due = self.windows.due(now);
            for order in orders.drain(..) {
                match order {
                    Order::Report(report) => due.extend(self.windows.take(report)),
                    Order::Hurry(service, identity) => {
                        let of_user = |key: &Key| key.service == service && key.identity == identity;
                        due.extend(self.windows.hurry(of_user));
                    }
                }
            }
            if !open {
                due.extend(self.windows.hurry(|_| true));
            }
            while !due.is_empty() {
                let rest = due.split_off(due.len().min(BATCH));
                self.settle(due).await;
                due = rest;
            }
            if !open {
                return;
            }
        }
    }

    /// Stores the reports and answers them; those that fail as a whole for a reason of one of them, one by one.
    async fn settle(&mut self, reports: Vec<Report>) {
        match self.store(&reports).await {
            Ok(answers) => {
                for (report, answer) in reports.into_iter().zip(answers) {
                    let _ = report.reply.send(answer);
                }
            }
            Err(error) if reports.len() == 1 || error.code() == ErrorCode::Unavailable => {
                tracing::error!(?error, reports = reports.len(), "read horizons were not stored");
                for report in reports {
                    let _ = report.reply.send(Err(Error::new(error.code())));
                }
            }
            Err(error) => {
                tracing::warn!(
                    ?error,
                    reports = reports.len(),
                    "a batch was refused as a whole; storing its read horizons one by one"
                );
                for report in reports {
                    let answer = match self.store(std::slice::from_ref(&report)).await {
                        Ok(mut answers) => answers.pop(),
                        Err(error) => Some(Err(Error::new(error.code()))),
                    };
                    let _ = report
                        .reply
                        .send(answer.unwrap_or_else(|| Err(ErrorCode::Internal.into())));
                }
            }
        }
    }

    async fn store(&mut self, reports: &[Report]) -> Result<Vec<Result<Horizon>>> {
        let stored = batch::store(&self.db, &self.publisher, &self.base, reports).await?;
        let now = Instant::now();
        for (report, stored) in reports.iter().zip(&stored) {
            if let Ok(Stored {
                moved: true,
                horizon: Some(horizon),
                ..
            }) = stored
            {
                self.windows.open(report.key.clone(), *horizon, now);
            }
        }
        let unread = batch::unread(&self.db, reports, &stored).await?;
        Ok(stored
            .into_iter()
            .zip(unread)
            .map(|(stored, unread)| {
                stored.map(|stored| Horizon {
                    index: stored.horizon,
                    unread,
                })
            })
            .collect())
    }
}

async fn until(end: Option<Instant>) {
    match end {
        Some(end) => sleep_until(end).await,
        None => std::future::pending().await,
    }
}
