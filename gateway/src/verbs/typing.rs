//! Typing: told to the others at once, ended by the user's message or by time, never stored.

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
    time::Duration,
};

use hubbub_core::{
    channels,
    entities::service,
    events::{Event, EventKind, publisher::Publisher},
    sid::{AccountSid, ChannelSid, ServiceSid},
};
use parking_lot::Mutex;
use serde_json::json;
use tokio::time::{Instant, MissedTickBehavior};

use super::{Answer, Args, Session, data};

/// How often the ends of typing are looked for.
const INTERVAL: Duration = Duration::from_millis(250);

#[derive(Clone, PartialEq, Eq, Hash)]
struct Typist {
    account: AccountSid,
    service: ServiceSid,
    channel: ChannelSid,
    identity: String,
}

/// Who types where, of this process's clients, and until when.
pub(crate) struct Typing {
    typists: Mutex<HashMap<Typist, Instant>>,
    publisher: Publisher,
}

impl Typing {
    /// Starts watching for ends. Must be called inside a tokio runtime.
    pub(crate) fn start(publisher: Publisher) -> Arc<Self> {
        let typing = Arc::new(Self {
            typists: Mutex::new(HashMap::new()),
            publisher,
        });
        tokio::spawn(watch(Arc::downgrade(&typing)));
        typing
    }

    /// The first sign of typing is told; later ones only put the end off.
    fn begin(&self, typist: &Typist, timeout: Duration) {
        let until = Instant::now() + timeout;
        if self.typists.lock().insert(typist.clone(), until).is_none() {
            self.tell(EventKind::TypingStarted, typist);
        }
    }

    fn end(&self, typist: &Typist) {
        if self.typists.lock().remove(typist).is_some() {
            self.tell(EventKind::TypingEnded, typist);
        }
    }

    fn tell(&self, kind: EventKind, typist: &Typist) {
        self.publisher.volatile(Event::typing(
            kind,
            typist.account,
            typist.service,
            typist.channel,
            &typist.identity,
        ));
    }
}

async fn watch(typing: Weak<Typing>) {
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Some(typing) = typing.upgrade() else { return };
        let now = Instant::now();
        let over: Vec<Typist> = {
            let mut typists = typing.typists.lock();
            let over: Vec<Typist> = typists
                .iter()
                .filter(|(_, until)| **until <= now)
                .map(|(typist, _)| typist.clone())
                .collect();
            for typist in &over {
                typists.remove(typist);
            }
            over
        };
        for typist in over {
            typing.tell(EventKind::TypingEnded, &typist);
        }
    }
}

fn timeout(service: &service::Model) -> Duration {
    Duration::from_secs(u64::try_from(service.typing_indicator_timeout).unwrap_or(5))
}

impl Session {
    fn typist(&self, channel: ChannelSid) -> Typist {
        Typist {
            account: self.client.account,
            service: self.client.service,
            channel,
            identity: self.identity().to_owned(),
        }
    }

    pub(super) async fn typing(&self, args: &Args) -> Answer {
        let ctx = self.fresh().await?;
        let access = channels::access(&ctx, ctx.reader(), &args.channel()?).await?;
        access.membership()?;
        access.require(hubbub_core::permissions::Permission::SendMessage)?;
        self.hub
            .typing
            .begin(&self.typist(access.channel.id), timeout(&ctx.service));
        data(&json!({}))
    }

    pub(super) fn stop_typing(&self, channel: ChannelSid) {
        self.hub.typing.end(&self.typist(channel));
    }
}
