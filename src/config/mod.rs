//! The configuration: flags, then environment, then a TOML file, then defaults; checked before anything starts.
//! A wrong value stops the start with the variable's name, what was wrong and what would be right.

mod options;
mod parse;

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use hubbub_core::{BaseUrl, Secret, sid::AccountSid};

pub(crate) use options::Options;

/// What a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Roles {
    pub(crate) api: bool,
    pub(crate) gateway: bool,
    pub(crate) workers: bool,
}

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
    /// Bytes.
    pub(crate) socket_queue: usize,
    pub(crate) log: String,
}

impl Config {
    /// Reads and checks everything.
    pub(crate) fn read(options: Options) -> anyhow::Result<Self> {
        let options = options.with_file()?;
        let roles = parse::or(
            options.roles.as_deref(),
            "HUBBUB_ROLES",
            "api,gateway,workers",
            parse::roles,
        )?;
        let database = match options.database_url.as_deref() {
            None => Database::Embedded,
            Some(url) => Database::Postgres(parse::one(url, "HUBBUB_DATABASE_URL", parse::postgres_url)?),
        };
        let amqp_url = parse::some(options.amqp_url.as_deref(), "HUBBUB_AMQP_URL", parse::amqp_url)?;
        let master_key = parse::some(
            options.master_key.as_deref(),
            "HUBBUB_MASTER_KEY",
            parse::master_key,
        )?;
        if database != Database::Embedded && master_key.is_none() {
            anyhow::bail!(
                "HUBBUB_MASTER_KEY is missing: with Postgres every node needs the same 32 bytes in base64, for example from `openssl rand -base64 32`"
            );
        }
        let whole = Roles {
            api: true,
            gateway: true,
            workers: true,
        };
        if amqp_url.is_none() && roles != whole {
            anyhow::bail!(
                "HUBBUB_ROLES names only a part: without HUBBUB_AMQP_URL one process must have all of api,gateway,workers"
            );
        }
        if amqp_url.is_some() && database == Database::Embedded {
            anyhow::bail!(
                "HUBBUB_DATABASE_URL is missing: with HUBBUB_AMQP_URL several processes share one database, which must be postgres://…"
            );
        }
        let account = match (options.account_sid.as_deref(), options.auth_token.as_deref()) {
            (None, None) => None,
            (Some(sid), Some(token)) => Some((
                parse::one(sid, "HUBBUB_ACCOUNT_SID", parse::account_sid)?,
                parse::one(token, "HUBBUB_AUTH_TOKEN", parse::auth_token)?,
            )),
            (Some(_), None) => anyhow::bail!("HUBBUB_AUTH_TOKEN is missing: it goes with HUBBUB_ACCOUNT_SID"),
            (None, Some(_)) => anyhow::bail!("HUBBUB_ACCOUNT_SID is missing: it goes with HUBBUB_AUTH_TOKEN"),
        };
        Ok(Self {
            listen: parse::or(
                options.listen.as_deref(),
                "HUBBUB_LISTEN",
                "127.0.0.1:8080",
                parse::listen,
            )?,
            public_url: parse::some(
                options.public_url.as_deref(),
                "HUBBUB_PUBLIC_URL",
                parse::public_url,
            )?,
            roles,
            data_dir: options
                .data_dir
                .unwrap_or_else(|| "./hubbub-data".to_owned())
                .into(),
            database,
            amqp_url,
            master_key,
            account,
            webhook_allow_private: parse::or(
                options.webhook_allow_private.as_deref(),
                "HUBBUB_WEBHOOK_ALLOW_PRIVATE",
                "false",
                parse::boolean,
            )?,
            event_retention: parse::or(
                options.event_retention.as_deref(),
                "HUBBUB_EVENT_RETENTION",
                "7d",
                parse::duration,
            )?,
            socket_queue: parse::or(
                options.socket_queue.as_deref(),
                "HUBBUB_SOCKET_QUEUE",
                "1MiB",
                parse::size,
            )?,
            log: parse::or(options.log.as_deref(), "HUBBUB_LOG", "info,lapin=off,actix_server=warn,sea_orm_migration=warn", parse::log)?,
        })
    }
}
