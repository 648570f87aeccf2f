//! Who is online, as far as this process knows: what the database is told of it, in portions, and when.
//!
//! A connect or disconnect only leaves a note that the user is to be looked at. A round compares those users' sockets
//! with what the database was told, and tells it the difference, many at once.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Weak},
    time::Duration,
};

use hubbub_core::{
    Result, Timestamp,
    events::Event,
    presence::{self, AT_ONCE, Arrival, GRACE, Noted, RENEWAL, Tenure, Who},
    sid::ServiceSid,
    topic::Topic,
};
use parking_lot::Mutex;
use tokio::{
    sync::Notify,
    time::{Instant, MissedTickBehavior},
};
use uuid::Uuid;

use super::Hub;

/// How long users gather after a round.
const PACE: Duration = Duration::from_millis(100);
/// How often it is looked for what became due.
const TICK: Duration = Duration::from_millis(500);
/// How often gateways are looked for whose leases ran out.
const SWEEP: Duration = Duration::from_secs(1);
/// Of how many users it is remembered when they last came or went.
const MOST_REMEMBERED: usize = 4096;

/// What the hub knows of presence.
#[derive(Default)]
pub(crate) struct Presence {
    /// Users whose sockets changed.
    due: Mutex<HashMap<Who, Due>>,
    /// Users who were deleted since the last round.
    deleted: Mutex<Vec<Topic>>,
    wake: Arc<Notify>,
    /// When users came or went, of whom that was told lately.
    latest: Mutex<HashMap<Topic, Timestamp>>,
    memory: tokio::sync::Mutex<Memory>,
}

/// When to look at a user.
struct Due {
    at: Instant,
    /// The socket with which it came, when that knows.
    connection: Option<Uuid>,
}

/// What the database was told.
#[derive(Default)]
struct Memory {
    tenure: Tenure,
    renewed: Option<Instant>,
    /// The users that have sockets here.
    noted: HashSet<Topic>,
    /// Which services tell who is online.
    telling: HashMap<ServiceSid, bool>,
    asked: Option<Instant>,
    resigned: bool,
}

fn topic(who: &Who) -> Topic {
    Topic::user(who.0, &who.1)
}

impl Presence {
    /// A user's first socket here; `connection` when it knows by itself that its user is online.
    pub(super) fn came(&self, who: Who, connection: Option<Uuid>) {
        let due = Due {
            at: Instant::now(),
            connection,
        };
        self.due.lock().insert(who, due);
        self.wake.notify_one();
    }

    /// The user's last socket here is gone. It may be back at once.
    pub(super) fn went(&self, who: Who) {
        let due = Due {
            at: Instant::now() + GRACE,
            connection: None,
        };
        self.due.lock().insert(who, due);
    }

    /// The user was deleted, and with it what the database was told. There may be another one of its name.
    pub(super) fn deleted(&self, service: ServiceSid, identity: &str) {
        self.deleted.lock().push(Topic::user(service, identity));
    }

    /// False for what later news of the user have overtaken on their way.
    pub(super) fn is_news(&self, event: &Event) -> bool {
        let user = Topic::user(event.service, event.addressee().unwrap_or_default());
        let mut latest = self.latest.lock();
        if latest.get(&user).is_some_and(|known| *known >= event.at) {
            return false;
        }
        if latest.len() >= MOST_REMEMBERED {
            latest.clear();
        }
        latest.insert(user, event.at);
        true
    }

    /// Wakes the rounds.
    pub(super) fn wake(&self) -> Arc<Notify> {
        Arc::clone(&self.wake)
    }

    /// Takes users who are to be looked at now.
    fn ripe(&self, now: Instant) -> Vec<(Who, Due)> {
        let mut ripe = Vec::new();
        self.due
            .lock()
            .extract_if(|_, due| due.at <= now)
            .take(AT_ONCE)
            .for_each(|entry| ripe.push(entry));
        ripe
    }

    /// Has these looked at, unless something newer is known of them.
    fn again(&self, users: impl IntoIterator<Item = (Who, Option<Uuid>)>, at: Instant) {
        let mut due = self.due.lock();
        for (who, connection) in users {
            due.entry(who).or_insert(Due { at, connection });
        }
    }
}

impl Memory {
    fn must_renew(&self) -> bool {
        !self.noted.is_empty() && self.renewed.is_none_or(|at| at.elapsed() >= RENEWAL)
    }
}

impl Hub {
    /// Makes rounds until the hub ends.
    pub(super) async fn keep_presence(hub: Weak<Self>, wake: Arc<Notify>) {
        let mut away = false;
        loop {
            let Some(hub) = hub.upgrade() else { return };
            match hub.presence_round().await {
                Ok(()) => away = false,
                Err(error) => {
                    if !away {
                        tracing::warn!(?error, "presence could not be noted; trying again");
                    }
                    away = true;
                }
            }
            drop(hub);
            tokio::time::sleep(if away { TICK } else { PACE }).await;
            let _ = tokio::time::timeout(TICK, wake.notified()).await;
        }
    }

    /// Sweeps up behind other gateways until the hub ends.
    pub(super) async fn sweep_presence(hub: Weak<Self>) {
        let mut ticks = tokio::time::interval(SWEEP);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut succeeded = false;
        loop {
            ticks.tick().await;
            let Some(hub) = hub.upgrade() else { return };
            let swept = async {
                if !succeeded && !hub.core.bus.crosses_processes() {
                    // There is no other process: whatever is left is of one that ended.
                    presence::succeed(&hub.core).await?;
                }
                succeeded = true;
                presence::sweep(&hub.core).await
            };
            if let Err(error) = swept.await {
                tracing::debug!(?error, "dead gateways could not be looked for; trying again");
            }
        }
    }

    /// This process is to end: its users go, unless they are at another gateway soon.
    pub(crate) async fn resign_presence(&self) {
        let mut memory = self.presence.memory.lock().await;
        memory.resigned = true;
        if let Err(error) = presence::resign(&self.core).await {
            tracing::debug!(?error, "the lease could not be given back; it runs out");
        }
    }

    async fn presence_round(&self) -> Result<()> {
        let mut memory = self.presence.memory.lock().await;
        for user in std::mem::take(&mut *self.presence.deleted.lock()) {
            memory.noted.remove(&user);
        }
        if memory.asked.is_none_or(|at| at.elapsed() >= RENEWAL) {
            self.ask_services(&mut memory).await?;
            memory.asked = Some(Instant::now());
        }
        loop {
            if memory.resigned {
                return Ok(());
            }
            let ripe = self.presence.ripe(Instant::now());
            if ripe.is_empty() && !memory.must_renew() {
                return Ok(());
            }
            let users: Vec<(Who, Option<Uuid>)> =
                ripe.into_iter().map(|(who, due)| (who, due.connection)).collect();
            if let Err(error) = self.note_presence(&mut memory, &users).await {
                self.presence.again(users, Instant::now());
                return Err(error);
            }
        }
    }

    /// Tells the database what has changed of these users.
    async fn note_presence(&self, memory: &mut Memory, users: &[(Who, Option<Uuid>)]) -> Result<()> {
        let mut unknown: Vec<ServiceSid> = users.iter().map(|(who, _)| who.0).collect();
        unknown.retain(|service| !memory.telling.contains_key(service));
        unknown.sort_unstable();
        unknown.dedup();
        let telling = presence::telling(&self.core.db, &unknown).await?;
        memory.telling.extend(
            unknown
                .into_iter()
                .map(|service| (service, telling.contains(&service))),
        );
        let (mut here, mut gone) = (Vec::new(), Vec::new());
        {
            let connected = self.users.lock();
            for (who, connection) in users {
                let telling = memory.telling.get(&who.0).copied().unwrap_or_default();
                match (
                    telling && connected.contains_key(who),
                    memory.noted.contains(&topic(who)),
                ) {
                    (true, false) => here.push(Arrival {
                        who: who.clone(),
                        connection: *connection,
                    }),
                    (false, true) => gone.push(who.clone()),
                    _ => {}
                }
            }
        }
        if here.is_empty() && gone.is_empty() && !memory.must_renew() {
            return Ok(());
        }
        let Noted { lapsed, busy } = presence::note(&self.core, &mut memory.tenure, &here, &gone).await?;
        memory.renewed = Some(Instant::now());
        if lapsed {
            tracing::warn!("the gateway's lease had run out; its users are noted anew");
            memory.noted.clear();
            let connected: Vec<Who> = self.users.lock().keys().cloned().collect();
            self.presence
                .again(connected.into_iter().map(|who| (who, None)), Instant::now());
        }
        let is_noted = |who: &Who| !busy.contains(who);
        for who in gone.iter().filter(|who| is_noted(who)) {
            memory.noted.remove(&topic(who));
        }
        for arrival in here.iter().filter(|arrival| is_noted(&arrival.who)) {
            memory.noted.insert(topic(&arrival.who));
        }
        let busy = users.iter().filter(|(who, _)| busy.contains(who)).cloned();
        self.presence.again(busy, Instant::now() + PACE);
        Ok(())
    }

    /// Looks which services tell who is online. Where that has changed, all their users here are looked at.
    async fn ask_services(&self, memory: &mut Memory) -> Result<()> {
        let services: HashSet<ServiceSid> = self.users.lock().keys().map(|(service, _)| *service).collect();
        let services: Vec<ServiceSid> = services.into_iter().collect();
        let telling = presence::telling(&self.core.db, &services).await?;
        let now: HashMap<ServiceSid, bool> = services
            .into_iter()
            .map(|service| (service, telling.contains(&service)))
            .collect();
        let before = std::mem::replace(&mut memory.telling, now);
        let changed = |service: &ServiceSid| {
            before
                .get(service)
                .is_some_and(|before| Some(before) != memory.telling.get(service))
        };
        let users: Vec<Who> = self
            .users
            .lock()
            .keys()
            .filter(|(service, _)| changed(service))
            .cloned()
            .collect();
        self.presence
            .again(users.into_iter().map(|who| (who, None)), Instant::now());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use hubbub_core::{
        events::{EventKind, Resource},
        sid::{AccountSid, ChannelSid, EventSid},
    };

    use super::*;

    #[test]
    fn a_user_that_comes_back_in_time_has_not_gone() {
        let presence = Presence::default();
        let who: Who = (ServiceSid::generate(), "alice".to_owned());
        presence.went(who.clone());
        assert!(presence.ripe(Instant::now()).is_empty(), "it has a grace time");
        presence.came(who.clone(), Some(Uuid::new_v4()));
        let ripe = presence.ripe(Instant::now());
        assert_eq!(ripe.len(), 1);
        assert!(ripe[0].1.connection.is_some());
        let later = Instant::now() + GRACE * 2;
        assert!(presence.ripe(later).is_empty(), "its going is forgotten");
    }

    #[test]
    fn a_round_takes_no_more_than_one_transaction_may_note() {
        let presence = Presence::default();
        let service = ServiceSid::generate();
        for number in 0..AT_ONCE + 10 {
            presence.came((service, number.to_string()), None);
        }
        let now = Instant::now();
        assert_eq!(presence.ripe(now).len(), AT_ONCE);
        assert_eq!(presence.ripe(now).len(), 10);
        assert!(presence.ripe(now).is_empty());
    }

    #[test]
    fn news_that_were_overtaken_are_none() {
        let presence = Presence::default();
        let service = ServiceSid::generate();
        let at = |seconds| Event {
            id: EventSid::generate(),
            kind: EventKind::UserUpdated,
            account: AccountSid::generate(),
            service,
            channel: None::<ChannelSid>,
            seq: None,
            identity: "alice".to_owned(),
            at: Timestamp::from_unix_seconds(seconds),
            pool: None,
            turn: hubbub_core::desk::CaseTurn::default(),
            resource: Resource::Typing { lasts_ms: 0 },
            connection: None,
        };
        assert!(presence.is_news(&at(10)));
        assert!(!presence.is_news(&at(9)));
        assert!(!presence.is_news(&at(10)));
        assert!(presence.is_news(&at(11)));
    }
}
