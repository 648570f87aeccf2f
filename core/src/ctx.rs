//! Who calls, on which tenant, with which handles. Domain functions take a context and nothing else of the world.

use std::{fmt, sync::Arc, time::Duration};

use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use url::Url;
use uuid::Uuid;

use crate::{
    broker::{Bus, Jobs},
    db::Db,
    entities::service,
    error::{Error, ErrorCode, Result},
    events::{cursor::CursorKey, publisher::Publisher},
    input::{Identity, SYSTEM},
    messages::writer::MessageWriter,
    secrets::Vault,
    sid::{AccountSid, ApiKeySid, ServiceSid},
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
    /// The guard in front of outbound calls, asked when a webhook URL is saved.
    pub vet_url: VetUrl,
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
    /// What the operator chose.
    pub settings: Settings,
    /// This process, on the bus.
    pub node: Uuid,
    /// Takes what was committed to gateways and workers.
    pub publisher: Publisher,
    /// The group commit of sends.
    pub writer: MessageWriter,
}

impl Core {
    /// Starts the process's publisher and writers. Must be called inside a tokio runtime.
    #[must_use]
    pub fn start(
        node: Uuid,
        db: Db,
        vault: Vault,
        bus: Arc<dyn Bus>,
        jobs: Arc<dyn Jobs>,
        settings: Settings,
    ) -> Arc<Self> {
        let publisher = Publisher::start(db.clone(), Arc::clone(&bus), Arc::clone(&jobs), node);
        let writer = MessageWriter::start(&db, &publisher);
        Arc::new(Self {
            cursors: CursorKey::new(&vault),
            db,
            vault,
            bus,
            jobs,
            settings,
            node,
            publisher,
            writer,
        })
    }
}

/// Who calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// A backend with account credentials: bypasses roles, never rules.
    Account {
        /// Its account.
        account: AccountSid,
        /// The API key, when it was one.
        key: Option<ApiKeySid>,
        /// Whether it asked for post-event webhooks (`X-Twilio-Webhook-Enabled: true`).
        webhooks: bool,
    },
    /// A user with an access token.
    User {
        /// The account of its service.
        account: AccountSid,
        /// The one service that its token opens.
        service: ServiceSid,
        /// Who.
        identity: Identity,
        /// The socket, which gets its own messages by the ack and not as events.
        connection: Option<Uuid>,
    },
}

impl Caller {
    /// The account on whose behalf the call is made.
    #[must_use]
    pub fn account(&self) -> AccountSid {
        match self {
            Self::Account { account, .. } | Self::User { account, .. } => *account,
        }
    }

    /// The user, unless a backend calls.
    #[must_use]
    pub fn identity(&self) -> Option<&Identity> {
        match self {
            Self::Account { .. } => None,
            Self::User { identity, .. } => Some(identity),
        }
    }

    /// Passes for backends only.
    ///
    /// # Errors
    /// 20006 for users.
    pub fn backend_only(&self) -> Result<()> {
        match self {
            Self::Account { .. } => Ok(()),
            Self::User { .. } => Err(Error::with(
                ErrorCode::AccessDenied,
                "Access denied: this needs account credentials, an access token does not do",
            )),
        }
    }

    /// The name under which the action goes down in events: the identity, or `system`.
    #[must_use]
    pub fn actor(&self) -> &str {
        self.identity().map_or(SYSTEM, Identity::as_str)
    }

    /// Where the action comes from, for webhooks.
    #[must_use]
    pub fn origin(&self) -> Origin {
        match self {
            Self::Account { webhooks, .. } => Origin {
                client: None,
                webhooks: *webhooks,
                connection: None,
            },
            Self::User {
                identity, connection, ..
            } => Origin {
                client: Some(identity.as_str().to_owned()),
                webhooks: true,
                connection: *connection,
            },
        }
    }
}

/// Where an action comes from, as far as what follows it needs to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The user (`Source=SDK`); `None` for a backend (`Source=API`).
    pub client: Option<String>,
    /// Whether post-event webhooks follow.
    pub webhooks: bool,
    /// The socket that is not to hear of its own message.
    pub connection: Option<Uuid>,
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
    /// 20404 when the caller's account has no such service, or a user's token is for another one.
    pub async fn enter(core: &Arc<Core>, caller: Caller, service: ServiceSid) -> Result<Self> {
        if let Caller::User { service: own, .. } = &caller
            && *own != service
        {
            return Err(Error::not_found(format_args!("/Services/{service}")));
        }
        let row = service::Entity::find()
            .filter(service::Column::AccountId.eq(caller.account()))
            .filter(service::Column::Id.eq(service))
            .one(core.db.reader())
            .await?
            .ok_or_else(|| Error::not_found(format_args!("/Services/{service}")))?;
        Ok(Self {
            core: Arc::clone(core),
            caller,
            service: Arc::new(row),
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

    /// `20404` for a path below this service.
    #[must_use]
    pub fn not_found(&self, path: impl fmt::Display) -> Error {
        Error::not_found(format_args!("/Services/{}/{path}", self.scope()))
    }
}
