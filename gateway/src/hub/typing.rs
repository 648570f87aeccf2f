//! Typing: told to the others at once, ended by the user's message or leave, by time or with its socket; never stored.

use std::{
    collections::HashMap,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use hubbub_core::{
    Timestamp,
    desk::CaseTurn,
    events::{Event, EventKind, Resource},
    input::ChannelRef,
    sid::{AccountSid, ChannelSid, EventSid, ServiceSid},
};
use parking_lot::{Mutex, MutexGuard};
use tokio::time::{Instant, MissedTickBehavior};
use uuid::Uuid;

use super::{Hub, RoomKey, UserKey, typists::Typists};
use crate::client::Client;

/// How often ends are looked for.
const INTERVAL: Duration = Duration::from_millis(250);
/// How long it is not asked again whether a user may type in a channel. Its leaving ends this at once.
const PASS: Duration = Duration::from_secs(5);

/// A user's permission to type in a channel.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pass {
    pub(crate) channel: ChannelSid,
    /// How long a sign lasts unless it is renewed.
    pub(crate) lasts: Duration,
    /// Whether anybody is told: not in channels above the limit.
    pub(crate) told: bool,
}

/// What this process knows of typing.
pub(crate) struct Typing {
    /// The most members a channel may have for typing to be told in it.
    pub(crate) channel_limit: u32,
    typists: Mutex<Typists>,
    /// Whether there are any: most messages are looked at in vain.
    busy: AtomicBool,
    passes: Mutex<HashMap<UserKey, Vec<Given>>>,
}

/// A pass, as long as it is good.
struct Given {
    channel: ChannelRef,
    pass: Pass,
    until: Instant,
}

/// The table of typists, locked. Taken before any other lock of the hub.
struct Locked<'a> {
    typists: MutexGuard<'a, Typists>,
    busy: &'a AtomicBool,
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        self.busy.store(!self.typists.is_empty(), Ordering::Release);
    }
}

impl Typing {
    pub(super) fn new(channel_limit: u32) -> Self {
        Self {
            channel_limit,
            typists: Mutex::default(),
            busy: AtomicBool::new(false),
            passes: Mutex::default(),
        }
    }

    fn lock(&self) -> Locked<'_> {
        Locked {
            typists: self.typists.lock(),
            busy: &self.busy,
        }
    }

    /// A permission that was given lately.
    pub(crate) fn pass(&self, service: ServiceSid, identity: &str, channel: &ChannelRef) -> Option<Pass> {
        let passes = self.passes.lock();
        let given = passes.get(&(service, identity.to_owned()))?;
        let given = given.iter().find(|given| given.channel == *channel)?;
        (given.until > Instant::now()).then_some(given.pass)
    }

    /// Remembers a permission for a while.
    pub(crate) fn give(&self, service: ServiceSid, identity: &str, channel: ChannelRef, pass: Pass) {
        let mut passes = self.passes.lock();
        let given = passes.entry((service, identity.to_owned())).or_default();
        given.retain(|given| given.channel != channel);
        given.push(Given {
            channel,
            pass,
            until: Instant::now() + PASS,
        });
    }

    fn sweep_passes(&self, now: Instant) {
        self.passes.lock().retain(|_, given| {
            given.retain(|given| given.until > now);
            !given.is_empty()
        });
    }
}

/// Looks for ends until the hub ends.
pub(super) async fn watch(hub: Weak<Hub>) {
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Some(hub) = hub.upgrade() else { return };
        hub.expire_typing(Instant::now());
    }
}

impl Hub {
    /// Takes a sign that a client types. The others are told of the first one; later ones only put the end off.
    pub(crate) fn types(&self, client: &Client, pass: Pass) {
        let (key, identity) = ((client.service, pass.channel), client.identity.as_str());
        let told = self
            .typing
            .lock()
            .typists
            .renew(key, identity, client.id, pass.lasts, Instant::now());
        if !told {
            let sign = Signal {
                key,
                account: client.account,
                identity,
            };
            self.core.publisher.volatile(sign.started(client.id, pass.lasts));
        }
    }

    /// A client is over: where it typed, everybody is told that it has ended.
    pub(super) fn stops_typing(&self, client: &Client) {
        let identity = client.identity.as_str();
        for key in self.typing.lock().typists.leave(identity, client.id) {
            let sign = Signal {
                key,
                account: client.account,
                identity,
            };
            self.core.publisher.volatile(sign.ended(Some(client.id)));
        }
    }

    /// Takes what this process or another tells of typing, and tells the room what is new in it.
    pub(super) fn hear_typing(&self, key: RoomKey, event: &Arc<Event>) {
        let Some(socket) = event.connection else { return };
        let mut locked = self.typing.lock();
        let Some(room) = self.room(key) else { return };
        let news = match &event.resource {
            Resource::Typing { lasts_ms } if event.kind == EventKind::TypingStarted => locked.typists.begin(
                key,
                (event.account, &event.identity),
                socket,
                Duration::from_millis(*lasts_ms),
                Instant::now(),
            ),
            _ => locked.typists.end(key, &event.identity, socket),
        };
        if news {
            room.lock().tell(Arc::clone(event), self.watermark());
        }
    }

    /// What was said or done in a room ends typing: a message that of its author, a leave that of who has left.
    pub(super) fn typing_is_over(&self, key: RoomKey, event: &Event) {
        if event.kind == EventKind::MemberLeft {
            self.typing.passes.lock().retain(|(service, identity), _| {
                *service != key.0 || event.subject() != Some(identity.as_str())
            });
        } else if event.kind == EventKind::ChannelRemoved {
            self.typing.passes.lock().retain(|_, given| {
                given.retain(|given| given.pass.channel != key.1);
                !given.is_empty()
            });
        }
        if !self.typing.busy.load(Ordering::Acquire) {
            return;
        }
        let identity = match event.kind {
            EventKind::MessageAdded => &event.identity,
            EventKind::MemberLeft => event.subject().unwrap_or_default(),
            EventKind::ChannelRemoved => return self.typing.lock().typists.forget_room(key),
            _ => return,
        };
        let mut locked = self.typing.lock();
        if locked.typists.end_all(key, identity) {
            self.tell_end(Signal {
                key,
                account: event.account,
                identity,
            });
        }
    }

    fn expire_typing(&self, now: Instant) {
        self.typing.sweep_passes(now);
        let mut locked = self.typing.lock();
        for expired in locked.typists.expire(now) {
            let sign = Signal {
                key: expired.key,
                account: expired.account,
                identity: &expired.identity,
            };
            match expired.own {
                Some(socket) => self.core.publisher.volatile(sign.ended(Some(socket))),
                None => self.tell_end(sign),
            }
        }
    }

    /// Tells this process's own clients. The table must be locked, so that nothing overtakes it.
    fn tell_end(&self, sign: Signal<'_>) {
        if let Some(room) = self.room(sign.key) {
            room.lock().tell(Arc::new(sign.ended(None)), self.watermark());
        }
    }
}

/// Who types where, to be told.
#[derive(Clone, Copy)]
struct Signal<'a> {
    key: RoomKey,
    account: AccountSid,
    identity: &'a str,
}

impl Signal<'_> {
    fn started(self, socket: Uuid, lasts: Duration) -> Event {
        let lasts_ms = u64::try_from(lasts.as_millis()).unwrap_or(u64::MAX);
        self.event(EventKind::TypingStarted, lasts_ms, Some(socket))
    }

    fn ended(self, socket: Option<Uuid>) -> Event {
        self.event(EventKind::TypingEnded, 0, socket)
    }

    fn event(self, kind: EventKind, lasts_ms: u64, socket: Option<Uuid>) -> Event {
        Event {
            id: EventSid::generate(),
            kind,
            account: self.account,
            service: self.key.0,
            channel: Some(self.key.1),
            seq: None,
            identity: self.identity.to_owned(),
            at: Timestamp::now(),
            pool: None,
            turn: CaseTurn::default(),
            resource: Resource::Typing { lasts_ms },
            connection: socket,
        }
    }
}
