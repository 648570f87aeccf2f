//! Two gateways, each with a process's core of its own, on one database and one bus that can fail.

use std::{
    env, fs,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use hubbub_broker::InProcess;
use hubbub_core::{
    AccountCtx, AdminCtx, Caller, Core, Ctx, Secret, Settings, Vault, WebhookSettings, access_tokens,
    accounts,
    api_keys::{self, NewKey},
    broker::{Asks, Broker, BrokerError, Bus, BusMessage, BusSignal, BusSubscription, Jobs},
    db::Db,
    entities::api_key,
    input::Identity,
    query::Limits,
    services,
    sid::{AccountSid, ServiceSid},
};
use hubbub_gateway::{Gateway, GatewayConfig, SocketLimits};
use parking_lot::Mutex;
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::support::TestServer;

/// Signals that wait for a gateway.
const WAITING: usize = 1024;

/// A bus between the processes. While it is down, what is published on it is lost.
#[derive(Default)]
pub(crate) struct FailingBus {
    bus: Arc<InProcess>,
    is_down: AtomicBool,
    ears: Mutex<Vec<mpsc::Sender<BusSignal>>>,
}

impl FailingBus {
    pub(crate) fn fails(&self) {
        self.is_down.store(true, Ordering::SeqCst);
    }

    /// It is up again, and says so.
    pub(crate) async fn comes_back(&self) {
        if self.is_down.swap(false, Ordering::SeqCst) {
            let ears = self.ears.lock().clone();
            for ear in ears {
                ear.send(BusSignal::Reconnected).await.unwrap();
            }
        }
    }
}

#[async_trait]
impl Bus for FailingBus {
    async fn publish(&self, messages: Vec<BusMessage>) -> Result<(), BrokerError> {
        if self.is_down.load(Ordering::SeqCst) {
            return Err(BrokerError::Unavailable("it is down".to_owned()));
        }
        self.bus.publish(messages).await
    }

    async fn subscribe(&self) -> Result<BusSubscription, BrokerError> {
        let mut inner = self.bus.subscribe().await?;
        let (ear, signals) = mpsc::channel(WAITING);
        self.ears.lock().push(ear.clone());
        tokio::spawn(async move {
            while let Some(signal) = inner.signals.recv().await {
                if ear.send(signal).await.is_err() {
                    return;
                }
            }
        });
        Ok(BusSubscription {
            binder: inner.binder,
            signals,
        })
    }

    fn is_connected(&self) -> bool {
        !self.is_down.load(Ordering::SeqCst)
    }
}

/// A process with a gateway.
pub(crate) struct Node {
    core: Arc<Core>,
    server: TestServer,
}

pub(crate) struct World {
    pub(crate) nodes: [Node; 2],
    pub(crate) bus: Arc<FailingBus>,
    account: AccountSid,
    key: api_key::Model,
    secret: Secret,
    folder: PathBuf,
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

impl World {
    pub(crate) async fn new() -> Self {
        let folder = env::temp_dir().join(format!("hubbub_recovery_{}", Uuid::new_v4().simple()));
        fs::create_dir(&folder).unwrap();
        let db = Db::sqlite(&folder.join("hubbub.db")).await.unwrap();
        hubbub_migrations::up(db.writer()).await.unwrap();
        let bus = Arc::new(FailingBus::default());
        let nodes = [node(&db, &bus).await, node(&db, &bus).await];
        let (account, token) = (AccountSid::generate(), Secret::random_hex());
        let core = &nodes[0].core;
        accounts::create(core.db.writer(), &core.vault, "acme", account, &token)
            .await
            .unwrap();
        let admin = AdminCtx::enter(core, backend(account), None).await.unwrap();
        let (key, secret) = api_keys::create(&admin, NewKey::default()).await.unwrap();
        Self {
            nodes,
            bus,
            account,
            key,
            secret,
            folder,
        }
    }

    /// A service that nobody has used.
    pub(crate) async fn service(&self) -> ServiceSid {
        let whole = AccountCtx::enter(&self.nodes[0].core, backend(self.account)).unwrap();
        services::create(&whole, "recovery").await.unwrap().id
    }

    /// What a backend does at this node.
    pub(crate) async fn backend(&self, node: usize, service: ServiceSid) -> Ctx {
        Ctx::enter(&self.nodes[node].core, backend(self.account), service)
            .await
            .unwrap()
    }

    pub(crate) fn token(&self, service: ServiceSid, identity: &Identity) -> String {
        access_tokens::mint(
            &self.key,
            &self.secret,
            service,
            identity,
            Duration::from_secs(3600),
        )
        .unwrap()
        .0
    }

    pub(crate) fn url(&self, node: usize) -> String {
        let server = &self.nodes[node].server;
        format!(
            "ws://{}{}",
            server.address,
            server.uri("EIO=4&transport=websocket")
        )
    }
}

fn backend(account: AccountSid) -> Caller {
    Caller::Account {
        account,
        key: None,
        webhooks: false,
        request: None,
    }
}

async fn node(db: &Db, bus: &Arc<FailingBus>) -> Node {
    let broker = Broker {
        bus: Arc::clone(bus) as Arc<dyn Bus>,
        jobs: Arc::clone(&bus.bus) as Arc<dyn Jobs>,
        asks: Arc::clone(&bus.bus) as Arc<dyn Asks>,
    };
    let settings = Settings {
        public_url: None,
        event_retention: Duration::from_secs(3600),
        audit_retention: Duration::from_secs(3600),
        webhooks: WebhookSettings::default(),
        limit_ceiling: 100_000,
        presence_channel_limit: 100,
        lists: Limits::default(),
        vet_url: Arc::new(|_| Ok(())),
    };
    let core = Core::start(Uuid::new_v4(), db.clone(), Vault::new([7; 32]), broker, settings);
    let config = GatewayConfig {
        socket_queue: 1 << 20,
        socket_queue_total: 1 << 28,
        socket_limits: SocketLimits::default(),
        socket_rate: None,
        typing_channel_limit: 100,
    };
    let gateway = Gateway::start(Arc::clone(&core), config).await.unwrap();
    let server = TestServer::spawn("/socket.io", gateway.endpoint());
    Node { core, server }
}
