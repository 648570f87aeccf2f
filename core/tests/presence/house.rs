//! Gateways that exist in name only, and an ear for what is told.

use std::{mem, sync::Arc, time::Duration};

use hubbub_broker::InProcess;
use hubbub_core::{
    BackendCtx, Core, Timestamp, Vault,
    entities::user,
    events::{
        Event, EventKind, Resource,
        publisher::{Control, EventSink},
    },
    input::UserRef,
    presence::{self, Arrival, Noted, Tenure, Who},
    services::{self, UpdateService},
    sid::{AccountSid, EventSid, ServiceSid},
    users,
};
use parking_lot::Mutex;
use uuid::Uuid;

use crate::stage::Stage;

/// Everything that one process tells.
#[derive(Default)]
pub(crate) struct Ear(Mutex<Vec<Arc<Event>>>);

impl EventSink for Ear {
    fn deliver(&self, events: &[Arc<Event>]) {
        self.0.lock().extend_from_slice(events);
    }

    fn control(&self, _: &Control) {}
}

/// A gateway, with a process of its own.
pub(crate) struct Gateway {
    pub(crate) core: Arc<Core>,
    pub(crate) tenure: Tenure,
    ear: Arc<Ear>,
}

impl Gateway {
    pub(crate) fn of(stage: &Stage) -> Self {
        let broker = Arc::new(InProcess::new());
        let (db, settings) = (stage.core.db.clone(), stage.core.settings.clone());
        let node = Uuid::new_v4();
        let core = Core::start(node, db, Vault::new([7; 32]), broker.into(), settings);
        let ear = Arc::new(Ear::default());
        core.publisher.attach(ear.clone());
        Self {
            core,
            tenure: Tenure::default(),
            ear,
        }
    }

    pub(crate) async fn note(&mut self, here: &[Who], gone: &[Who]) -> Noted {
        let here: Vec<Arrival> = here
            .iter()
            .map(|who| Arrival {
                who: who.clone(),
                connection: None,
            })
            .collect();
        presence::note(&self.core, &mut self.tenure, &here, gone)
            .await
            .unwrap()
    }

    /// What was told since the last call: who, and whether it is online. Waits for the publisher to have done so.
    pub(crate) async fn told(&self) -> Vec<(String, bool)> {
        self.heard()
            .await
            .iter()
            .map(|event| {
                let Resource::User(news) = &event.resource else {
                    panic!("{event:?}");
                };
                assert!(news.of_presence && event.seq.is_none());
                (news.user.identity.clone(), news.user.online)
            })
            .collect()
    }

    pub(crate) async fn heard(&self) -> Vec<Arc<Event>> {
        // The publisher keeps the order: behind a last event all others are there.
        let last = Event {
            id: EventSid::generate(),
            kind: EventKind::TypingEnded,
            account: AccountSid::generate(),
            service: ServiceSid::generate(),
            channel: None,
            seq: None,
            identity: "nobody".to_owned(),
            at: Timestamp::now(),
            pool: None,
            turn: hubbub_core::desk::CaseTurn::default(),
            resource: Resource::Typing { lasts_ms: 0 },
            connection: None,
        };
        let id = last.id;
        self.core.publisher.volatile(last);
        let all = async {
            loop {
                {
                    let mut heard = self.ear.0.lock();
                    if heard.last().is_some_and(|event| event.id == id) {
                        heard.pop();
                        return mem::take(&mut *heard);
                    }
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), all).await.unwrap()
    }
}

impl Stage {
    /// The service tells who is online, or not any more.
    pub(crate) async fn tells(&self, reachability: bool) {
        let ctx = BackendCtx::enter(&self.core, self.ctx.caller.clone()).unwrap();
        let update = UpdateService {
            reachability_enabled: Some(reachability),
            ..UpdateService::default()
        };
        services::update(&ctx, self.ctx.scope(), update).await.unwrap();
    }

    /// Makes the users.
    pub(crate) async fn people(&self, names: &[&str]) -> Vec<Who> {
        for name in names {
            self.user(name, "{}").await;
        }
        names.iter().map(|name| self.who(name)).collect()
    }

    pub(crate) fn who(&self, name: &str) -> Who {
        (self.ctx.scope(), name.to_owned())
    }

    pub(crate) async fn row(&self, name: &str) -> user::Model {
        users::get(&self.ctx, &UserRef::Identity(name.to_owned()))
            .await
            .unwrap()
    }
}
