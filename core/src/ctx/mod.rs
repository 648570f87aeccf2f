//! Who calls, on which tenant, with which handles. Domain functions take a context and nothing else of the world.

mod account;
mod caller;
mod leases;
mod lookups;

use std::{fmt, sync::Arc, time::Duration};

use url::Url;
use uuid::Uuid;

pub use account::{AccountCtx, AdminCtx, BackendCtx};
pub use caller::{Caller, KeyScope, Origin};
pub use lookups::Lookups;

use crate::{
    api_keys::KeyUse,
    broker::{Asks, Broker, Bus, Jobs},
    campaigns::{Deliveries, Wake},
    connecting::Connecting,
    db::Db,
    draining::Draining,
    entities::service,
    error::{Error, ErrorCode, Result},
    events::{cursor::CursorKey, publisher::Publisher, stream::Readers},
    members::horizons::HorizonWriter,
    messages::writer::MessageWriter,
    pre_events::Recorder,
    query::Limits,
    secrets::Vault,
    sid::{AccountSid, ServiceSid},
};

/// The absolute base of every URL in answers, without a trailing slash: `https://chat.example.com`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct BaseUrl(Arc<str>);

impl BaseUrl {
    /// From an absolute URL; a trailing slash is dropped.
    #[must_use]
    pub fn new(url: &str) -> Self {
        Self(url.trim_end_matches('/').into())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Decides whether a tenant may have this URL called; the text says why not.
pub type VetUrl = Arc<dyn Fn(&Url) -> std::result::Result<(), String> + Send + Sync>;

/// What the operator chose.
#[derive(Clone)]
pub struct Settings {
    /// `HUBBUB_PUBLIC_URL`; unset: taken from each request's host.
    pub public_url: Option<BaseUrl>,
    /// `HUBBUB_EVENT_RETENTION`: how far back a cursor reaches.
    pub event_retention: Duration,
    /// `HUBBUB_AUDIT_RETENTION`: how long the audit log is kept.
    pub audit_retention: Duration,
    /// How webhooks are sent again, given up and forgotten.
    pub webhooks: WebhookSettings,
    /// `HUBBUB_LIMIT_CEILING`: the most members a channel, or channels a user, may be given by a service's settings.
    pub limit_ceiling: i32,
    /// `HUBBUB_PRESENCE_CHANNEL_LIMIT`: a user's coming, going and changes are not told by way of channels with more
    /// members than this.
    pub presence_channel_limit: u32,
    /// How lists with `Filter` and `Sort` find their pages.
    pub lists: Limits,
    /// The guard in front of outbound calls, asked when a webhook URL is saved.
    pub vet_url: VetUrl,
}

/// How webhooks are sent again, given up and forgotten.
#[derive(Debug, Clone)]
pub struct WebhookSettings {
    /// `HUBBUB_WEBHOOK_RETRY_LADDER`: how long each further attempt at a webhook endpoint waits.
    pub retry_ladder: Vec<Duration>,
    /// `HUBBUB_WEBHOOK_DISABLE_AFTER`: an endpoint that fails for so long without one success is disabled.
    pub disable_after: Duration,
    /// `HUBBUB_WEBHOOK_RETENTION`: how long the ledger keeps what has ended.
    pub retention: Duration,
}

impl Default for WebhookSettings {
    /// The ladder that Standard Webhooks recommends, five days, and a week.
    fn default() -> Self {
        const HOUR: u64 = 3600;
        const SECONDS: [u64; 9] = [
            5,
            300,
            1800,
            2 * HOUR,
            5 * HOUR,
            10 * HOUR,
            14 * HOUR,
            20 * HOUR,
            24 * HOUR,
        ];
        Self {
            retry_ladder: SECONDS.map(Duration::from_secs).to_vec(),
            disable_after: Duration::from_secs(5 * 24 * HOUR),
            retention: Duration::from_secs(7 * 24 * HOUR),
        }
    }
}

impl Settings {
    /// The base of URLs in what is made without a request that could tell one: `HUBBUB_PUBLIC_URL`, or none, which
    /// leaves paths.
    #[must_use]
    pub fn base(&self) -> BaseUrl {
        self.public_url.clone().unwrap_or_else(|| BaseUrl::new(""))
    }
}

/// The process's handles, shared by all doors.
pub struct Core {
    /// The database.
    pub db: Db,
    /// Seals and opens secrets.
    pub vault: Vault,
    /// Makes and reads clients' cursors.
    pub cursors: CursorKey,
    /// Fan-out to gateways.
    pub bus: Arc<dyn Bus>,
    /// Work queues.
    pub jobs: Arc<dyn Jobs>,
    /// Questions to workers.
    pub asks: Arc<dyn Asks>,
    /// What the operator chose.
    pub settings: Settings,
    /// This process, on the bus.
    pub node: Uuid,
    /// Takes what was committed to gateways and workers.
    pub publisher: Publisher,
    /// The group commit of sends.
    pub writer: MessageWriter,
    /// The group commit of read horizons.
    pub horizons: HorizonWriter,
    /// Wakes the engine of campaigns.
    pub campaigns: Wake,
    /// Notes what of campaigns' messages reaches somebody.
    pub deliveries: Deliveries,
    /// Writes calls about pre-events down.
    pub recorder: Recorder,
    /// Notes when keys are used.
    pub key_use: KeyUse,
    /// What calls are let in by.
    pub lookups: Lookups,
    /// What connecting clients ask.
    pub connecting: Connecting,
    /// Who waits for the next event of a service.
    pub readers: Readers,
    /// Whether the process is about to end.
    pub draining: Draining,
}

impl Core {
    /// Starts the process's publisher and writers. Must be called inside a tokio runtime.
    #[must_use]
    pub fn start(node: Uuid, db: Db, vault: Vault, broker: Broker, settings: Settings) -> Arc<Self> {
        let Broker { bus, jobs, asks } = broker;
        let readers = Readers::new(&db);
        let publisher = Publisher::start(
            db.clone(),
            Arc::clone(&bus),
            Arc::clone(&jobs),
            node,
            readers.clone(),
        );
        let writer = MessageWriter::start(&db, &publisher, &settings.base());
        Arc::new(Self {
            cursors: CursorKey::new(&vault),
            horizons: HorizonWriter::start(&db, &publisher, &settings.base()),
            campaigns: Wake::default(),
            deliveries: Deliveries::start(&db),
            recorder: Recorder::start(&db),
            key_use: KeyUse::new(&db),
            lookups: Lookups::new(&db),
            connecting: Connecting::new(&db),
            readers,
            draining: Draining::default(),
            db,
            vault,
            bus,
            jobs,
            asks,
            settings,
            node,
            publisher,
            writer,
        })
    }
}

/// A caller at work in one service. It exists only for a service of the caller's own account, so whatever starts
/// from it is inside the tenant.
#[derive(Clone)]
pub struct Ctx {
    /// The process's handles.
    pub core: Arc<Core>,
    /// Who calls.
    pub caller: Caller,
    /// The service, as it was when the call began.
    pub service: Arc<service::Model>,
}

impl Ctx {
    /// Enters the service.
    ///
    /// # Errors
    /// 20404 when the caller's account has no such service, or its token or key is for another one.
    pub async fn enter(core: &Arc<Core>, caller: Caller, service: ServiceSid) -> Result<Self> {
        if caller.only_service().is_some_and(|own| own != service) {
            return Err(Error::not_found(format_args!("/Services/{service}")));
        }
        let row = core
            .lookups
            .service(caller.account(), service)
            .await?
            .ok_or_else(|| Error::not_found(format_args!("/Services/{service}")))?;
        Ok(Self {
            core: Arc::clone(core),
            caller,
            service: row,
        })
    }

    /// The same with the service as it is now, from memory where it can be: for doors that stay in the service for long.
    ///
    /// # Errors
    /// Whatever the database refuses.
    pub async fn renewed(&self) -> Result<Self> {
        let hooks = self.core.lookups.hooks(self.account(), self.scope()).await?;
        let service = hooks.map_or_else(|| Arc::clone(&self.service), |hooks| Arc::clone(&hooks.service));
        Ok(Self {
            service,
            ..self.clone()
        })
    }

    /// The account.
    #[must_use]
    pub fn account(&self) -> AccountSid {
        self.service.account_id
    }

    /// The service's SID: the key that every query of the service begins with.
    #[must_use]
    pub fn scope(&self) -> ServiceSid {
        self.service.id
    }

    /// For queries outside a transaction.
    #[must_use]
    pub fn reader(&self) -> &sea_orm::DatabaseConnection {
        self.core.db.reader()
    }

    /// Passes for backends only.
    ///
    /// # Errors
    /// 20006 for users.
    pub fn backend_only(&self) -> Result<()> {
        self.caller.backend_only()
    }

    /// A field for imports, such as a date of long ago: only backends have those, so a user's is dropped.
    pub fn imported<T>(&self, field: Option<T>) -> Option<T> {
        field.filter(|_| self.caller.identity().is_none())
    }

    /// Refuses a user's update in which there is nothing that a user may change.
    ///
    /// # Errors
    /// 20161 naming what there could be.
    pub(crate) fn require_change(&self, is_change: bool, fields: &str) -> Result<()> {
        if is_change || self.caller.identity().is_none() {
            return Ok(());
        }
        Err(Error::with(
            ErrorCode::UpdateWithoutParameters,
            format!("Update without parameters: give {fields}"),
        ))
    }

    /// `20404` for a path below this service.
    #[must_use]
    pub fn not_found(&self, path: impl fmt::Display) -> Error {
        Error::not_found(format_args!("/Services/{}/{path}", self.scope()))
    }
}
