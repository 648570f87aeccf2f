//! Readers that wait for the next event. However many they are, one task a process looks for all of them, and only
//! while somebody waits: at once when this process commits something that they wait for, and every [`PACE`] for what
//! others commit.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use sea_orm::Value;
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};

use super::horizon::{Horizon, Reach};
use crate::{db::Db, draining::Draining, error::Result, events::Event, sid::ServiceSid, sql::Sql};

/// How long an event of another process may go unnoticed.
const PACE: Duration = Duration::from_millis(200);
/// What rings within this time is looked for at once.
const SOON: Duration = Duration::from_millis(10);
/// The services that one statement looks at.
const SERVICES: usize = 500;

/// The readers of a process.
#[derive(Clone)]
pub struct Readers(Arc<Shared>);

struct Shared {
    db: Db,
    horizon: Horizon,
    /// How many wait: commits look at nothing else while it is 0.
    count: AtomicUsize,
    waiting: Mutex<Waiting>,
    rung: Notify,
}

#[derive(Default)]
struct Waiting {
    services: HashMap<ServiceSid, Bell>,
    watched: bool,
}

/// The bell of a service: the place of its newest event that is known of.
struct Bell {
    readers: usize,
    newest: watch::Sender<i64>,
}

/// A reader's place beside the bell.
pub(super) struct Seat {
    shared: Arc<Shared>,
    service: ServiceSid,
    newest: watch::Receiver<i64>,
}

impl Readers {
    pub(crate) fn new(db: &Db) -> Self {
        Self(Arc::new(Shared {
            db: db.clone(),
            horizon: Horizon::default(),
            count: AtomicUsize::new(0),
            waiting: Mutex::default(),
            rung: Notify::new(),
        }))
    }

    /// How many wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.0.count.load(Ordering::Relaxed)
    }

    /// Hears what this process has committed.
    pub(crate) fn committed(&self, events: &[Arc<Event>]) {
        if self.waiting() == 0 {
            return;
        }
        let awaited = {
            let waiting = self.0.waiting.lock();
            events
                .iter()
                .any(|event| event.seq.is_some() && waiting.services.contains_key(&event.service))
        };
        if awaited {
            self.0.rung.notify_one();
        }
    }

    /// How far the stream reaches; see [`Horizon::reach`].
    pub(super) async fn reach(&self) -> Result<Reach> {
        self.0.horizon.reach(self.0.db.reader()).await
    }

    /// The last place that nothing can appear before any more: for walks of the platform's own.
    ///
    /// # Errors
    /// Whatever the database refuses.
    pub(crate) async fn safe_place(&self) -> Result<i64> {
        Ok(self.reach().await?.safe)
    }

    /// How far the stream reaches when those who write have ended; see [`Horizon::settled`].
    pub(super) async fn settled(&self) -> Result<Reach> {
        self.0.horizon.settled(self.0.db.reader()).await
    }

    /// Takes a seat, which must be done before the first look: what is committed after the look then rings.
    pub(super) fn take_seat(&self, service: ServiceSid) -> Seat {
        let mut waiting = self.0.waiting.lock();
        let bell = waiting.services.entry(service).or_insert_with(|| Bell {
            readers: 0,
            newest: watch::Sender::new(0),
        });
        bell.readers += 1;
        let newest = bell.newest.subscribe();
        self.0.count.fetch_add(1, Ordering::Relaxed);
        if !waiting.watched {
            waiting.watched = true;
            tokio::spawn(Arc::clone(&self.0).watch());
        }
        Seat {
            shared: Arc::clone(&self.0),
            service,
            newest,
        }
    }
}

impl Seat {
    /// Waits until the service has an event behind `place`; false when the deadline passed or the process ends.
    pub(super) async fn rings(&mut self, place: i64, deadline: Instant, draining: &Draining) -> bool {
        tokio::select! {
            rung = self.newest.wait_for(|newest| *newest > place) => rung.is_ok(),
            () = draining.begun() => false,
            () = tokio::time::sleep_until(deadline) => false,
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.shared.count.fetch_sub(1, Ordering::Relaxed);
        let mut waiting = self.shared.waiting.lock();
        if let Some(bell) = waiting.services.get_mut(&self.service) {
            bell.readers -= 1;
            if bell.readers == 0 {
                waiting.services.remove(&self.service);
            }
        }
    }
}

impl Shared {
    /// Looks for all who wait, until nobody does.
    async fn watch(self: Arc<Self>) {
        let mut told = 0;
        // What had been given when somebody rang.
        let mut awaited = 0;
        let mut rung = true;
        loop {
            match self.horizon.reach(self.db.reader()).await {
                Ok(reach) => {
                    if rung {
                        awaited = reach.given;
                    }
                    if reach.safe > told && self.tell(reach.safe).await {
                        told = reach.safe;
                    }
                }
                Err(error) => tracing::debug!(?error, "readers of the event stream wait for the database"),
            }
            if self.is_deserted() {
                return;
            }
            let pause = if told < awaited { SOON } else { PACE };
            rung = tokio::time::timeout(pause, self.rung.notified()).await.is_ok();
            if rung {
                tokio::time::sleep(SOON).await;
            }
        }
    }

    /// Whether nobody waits any more; the next one then starts a new watch.
    fn is_deserted(&self) -> bool {
        let mut waiting = self.waiting.lock();
        waiting.watched = !waiting.services.is_empty();
        !waiting.watched
    }

    /// Rings for every service that has something new up to this place. Who took a seat after the look at the horizon
    /// is asked for as well, so nobody falls between two looks.
    async fn tell(&self, safe: i64) -> bool {
        let services: Vec<ServiceSid> = self.waiting.lock().services.keys().copied().collect();
        for portion in services.chunks(SERVICES) {
            let newest = match newest(&self.db, portion, safe).await {
                Ok(newest) => newest,
                Err(error) => {
                    tracing::debug!(?error, "readers of the event stream wait for the database");
                    return false;
                }
            };
            let waiting = self.waiting.lock();
            for (service, place) in newest {
                if let Some(bell) = waiting.services.get(&service) {
                    bell.newest.send_if_modified(|known| {
                        let is_new = *known < place;
                        *known = place.max(*known);
                        is_new
                    });
                }
            }
        }
        true
    }
}

/// The place of each service's newest event up to `safe`, if it has one.
async fn newest(db: &Db, services: &[ServiceSid], safe: i64) -> Result<Vec<(ServiceSid, i64)>> {
    let mut sql = Sql::new("WITH asked (service_id) AS (VALUES ");
    sql.rows(services.iter().map(|service| [Value::from(*service)]));
    sql.push(") SELECT a.service_id");
    for (table, name) in [("messages", "message"), ("channel_events", "other")] {
        sql.push(&format!(
            ", (SELECT t.position FROM {table} t WHERE t.service_id = a.service_id AND t.position <= "
        ))
        .bind(safe)
        .push(&format!(" ORDER BY t.position DESC LIMIT 1) AS {name}"));
    }
    sql.push(" FROM asked a");
    let mut newest = Vec::new();
    for row in sql.all(db.reader()).await? {
        let message: Option<i64> = row.try_get("", "message")?;
        let other: Option<i64> = row.try_get("", "other")?;
        if let Some(place) = message.max(other) {
            newest.push((row.try_get("", "service_id")?, place));
        }
    }
    Ok(newest)
}
