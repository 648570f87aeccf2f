//! The configuration: flags, then environment, then a TOML file, then defaults; checked before anything starts.
//! A wrong value stops the start with the variable's name, what was wrong and what would be right.

mod options;
mod parse;

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use hubbub_api::RateLimits;
use hubbub_core::{BaseUrl, Secret, WebhookSettings, sid::AccountSid};
use hubbub_gateway::{SocketLimits, VerbRate};

pub(crate) use options::Options;

/// What a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Roles {
    pub(crate) api: bool,
    pub(crate) gateway: bool,
    pub(crate) workers: bool,
}

impl Roles {
    /// A whole installation.
    pub(crate) const ALL: Self = Self {
        api: true,
        gateway: true,
        workers: true,
    };
}

/// What is logged unless asked otherwise: libraries that repeat what we say ourselves are kept quiet.
const DEFAULT_LOG: &str = "info,lapin=off,actix_server=warn,sea_orm_migration=warn";

/// Where the truth is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Database {
    /// A file in the data folder.
    Embedded,
    /// `postgres://…`
    Postgres(String),
}

/// The checked configuration.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    pub(crate) listen: SocketAddr,
    pub(crate) public_url: Option<BaseUrl>,
    pub(crate) roles: Roles,
    pub(crate) data_dir: PathBuf,
    pub(crate) database: Database,
    pub(crate) amqp_url: Option<String>,
    pub(crate) master_key: Option<[u8; 32]>,
    /// The first account.
    pub(crate) account: Option<(AccountSid, Secret)>,
    pub(crate) webhook_allow_private: bool,
    pub(crate) event_retention: Duration,
    pub(crate) audit_retention: Duration,
    pub(crate) webhooks: WebhookSettings,
    pub(crate) limit_ceiling: i32,
    /// Members.
    pub(crate) presence_channel_limit: u32,
    pub(crate) rate_limits: RateLimits,
    /// Rows.
    pub(crate) scan_budget: usize,
    /// Whether `/demo` is served.
    pub(crate) demo: bool,
    /// Bytes.
    pub(crate) socket_queue: usize,
    /// Bytes.
    pub(crate) socket_queue_total: usize,
    pub(crate) socket_limits: SocketLimits,
    pub(crate) socket_rate: Option<VerbRate>,
    /// Members.
    pub(crate) typing_channel_limit: u32,
    /// How long balancers are given.
    pub(crate) drain_delay: Option<Duration>,
    pub(crate) log: String,
}

impl Config {
    /// Reads and checks everything.
    pub(crate) fn read(options: Options) -> anyhow::Result<Self> {
        let options = options.with_file()?;
        let given = options.clone();
        let account_sid = parse::some(
            given.account_sid.as_deref(),
            "HUBBUB_ACCOUNT_SID",
            parse::account_sid,
        )?;
        let auth_token = parse::some(
            given.auth_token.as_deref(),
            "HUBBUB_AUTH_TOKEN",
            parse::auth_token,
        )?;
        let database_url = parse::some(
            given.database_url.as_deref(),
            "HUBBUB_DATABASE_URL",
            parse::postgres_url,
        )?;
        let database = database_url.map_or(Database::Embedded, Database::Postgres);
        let demo_default = if database == Database::Embedded {
            "true"
        } else {
            "false"
        };
        let config = Self {
            listen: parse::or(
                given.listen.as_deref(),
                "HUBBUB_LISTEN",
                "127.0.0.1:8080",
                parse::listen,
            )?,
            public_url: parse::some(
                given.public_url.as_deref(),
                "HUBBUB_PUBLIC_URL",
                parse::public_url,
            )?,
            roles: parse::or(
                given.roles.as_deref(),
                "HUBBUB_ROLES",
                "api,gateway,workers",
                parse::roles,
            )?,
            data_dir: given
                .data_dir
                .filter(|path| !path.is_empty())
                .unwrap_or_else(|| "./hubbub-data".to_owned())
                .into(),
            database,
            amqp_url: parse::some(given.amqp_url.as_deref(), "HUBBUB_AMQP_URL", parse::amqp_url)?,
            master_key: parse::some(
                given.master_key.as_deref(),
                "HUBBUB_MASTER_KEY",
                parse::master_key,
            )?,
            account: account_sid.zip(auth_token.clone()),
            webhook_allow_private: parse::or(
                given.webhook_allow_private.as_deref(),
                "HUBBUB_WEBHOOK_ALLOW_PRIVATE",
                "false",
                parse::boolean,
            )?,
            event_retention: parse::or(
                given.event_retention.as_deref(),
                "HUBBUB_EVENT_RETENTION",
                "7d",
                parse::duration,
            )?,
            audit_retention: parse::or(
                given.audit_retention.as_deref(),
                "HUBBUB_AUDIT_RETENTION",
                "90d",
                parse::duration,
            )?,
            webhooks: WebhookSettings {
                retry_ladder: parse::or(
                    given.webhook_retry_ladder.as_deref(),
                    "HUBBUB_WEBHOOK_RETRY_LADDER",
                    "5s,5m,30m,2h,5h,10h,14h,20h,24h",
                    parse::ladder,
                )?,
                disable_after: parse::or(
                    given.webhook_disable_after.as_deref(),
                    "HUBBUB_WEBHOOK_DISABLE_AFTER",
                    "5d",
                    parse::duration,
                )?,
                retention: parse::or(
                    given.webhook_retention.as_deref(),
                    "HUBBUB_WEBHOOK_RETENTION",
                    "7d",
                    parse::duration,
                )?,
            },
            limit_ceiling: parse::or(
                given.limit_ceiling.as_deref(),
                "HUBBUB_LIMIT_CEILING",
                "100000",
                parse::ceiling,
            )?,
            presence_channel_limit: parse::or(
                given.presence_channel_limit.as_deref(),
                "HUBBUB_PRESENCE_CHANNEL_LIMIT",
                "100",
                parse::members,
            )?,
            rate_limits: RateLimits {
                account: parse::some(
                    given.rate_limit_account.as_deref(),
                    "HUBBUB_RATE_LIMIT_ACCOUNT",
                    parse::rate,
                )?,
                key: parse::some(
                    given.rate_limit_key.as_deref(),
                    "HUBBUB_RATE_LIMIT_KEY",
                    parse::rate,
                )?,
            },
            scan_budget: parse::or(
                given.scan_budget.as_deref(),
                "HUBBUB_SCAN_BUDGET",
                "10000",
                parse::rows,
            )?,
            demo: parse::or(given.demo.as_deref(), "HUBBUB_DEMO", demo_default, parse::boolean)?,
            socket_queue: parse::or(
                given.socket_queue.as_deref(),
                "HUBBUB_SOCKET_QUEUE",
                "1MiB",
                parse::size,
            )?,
            socket_queue_total: parse::or(
                given.socket_queue_total.as_deref(),
                "HUBBUB_SOCKET_QUEUE_TOTAL",
                "256MiB",
                parse::size,
            )?,
            socket_limits: SocketLimits {
                per_user: Some(parse::or(
                    given.sockets_per_user.as_deref(),
                    "HUBBUB_SOCKETS_PER_USER",
                    "1000",
                    parse::sockets,
                )?),
                per_account: parse::some(
                    given.sockets_per_account.as_deref(),
                    "HUBBUB_SOCKETS_PER_ACCOUNT",
                    parse::sockets,
                )?,
            },
            socket_rate: parse::some(
                given.socket_rate.as_deref(),
                "HUBBUB_SOCKET_RATE",
                parse::verb_rate,
            )?,
            typing_channel_limit: parse::or(
                given.typing_channel_limit.as_deref(),
                "HUBBUB_TYPING_CHANNEL_LIMIT",
                "100",
                parse::members,
            )?,
            drain_delay: parse::some(given.drain_delay.as_deref(), "HUBBUB_DRAIN_DELAY", parse::delay)?,
            log: parse::or(given.log.as_deref(), "HUBBUB_LOG", DEFAULT_LOG, parse::log)?,
        };
        match (account_sid, auth_token) {
            (Some(_), None) => anyhow::bail!("HUBBUB_AUTH_TOKEN is missing: it goes with HUBBUB_ACCOUNT_SID"),
            (None, Some(_)) => anyhow::bail!("HUBBUB_ACCOUNT_SID is missing: it goes with HUBBUB_AUTH_TOKEN"),
            _ => config.check_together(),
        }
    }

    /// What no setting alone can get wrong.
    fn check_together(self) -> anyhow::Result<Self> {
        let embedded = self.database == Database::Embedded;
        if !embedded && self.master_key.is_none() {
            anyhow::bail!(
                "HUBBUB_MASTER_KEY is missing: with Postgres every node needs the same 32 bytes in base64, for \
                 example from `openssl rand -base64 32`"
            );
        }
        if self.amqp_url.is_none() && self.roles != Roles::ALL {
            anyhow::bail!(
                "HUBBUB_ROLES names only a part: without HUBBUB_AMQP_URL one process must have all of \
                 api,gateway,workers"
            );
        }
        if self.amqp_url.is_some() && embedded {
            anyhow::bail!(
                "HUBBUB_DATABASE_URL is missing: with HUBBUB_AMQP_URL several processes share one database, which \
                 must be postgres://…"
            );
        }
        Ok(self)
    }
}
