//! What can be set, as it was given.

use anyhow::Context as _;
use clap::Args;
use serde::Deserialize;

macro_rules! options {
    ($($(#[doc = $doc:literal])+ $name:ident $flag:literal $variable:literal;)*) => {
        /// Settings as they were given; every one of them is optional.
        #[derive(Debug, Default, Clone, Args, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub(crate) struct Options {
            /// A TOML file with the settings below, by the names of their flags with underscores.
            #[arg(long, env = "HUBBUB_CONFIG", global = true, value_name = "FILE")]
            #[serde(skip)]
            config: Option<String>,
            $(
                $(#[doc = $doc])+
                #[arg(long = $flag, env = $variable, global = true, hide_env_values = true, value_name = "VALUE")]
                #[serde(default, deserialize_with = "scalar")]
                pub(crate) $name: Option<String>,
            )*
        }

        impl Options {
            fn or(self, file: Self) -> Self {
                Self { config: self.config, $($name: self.$name.or(file.$name),)* }
            }
        }
    };
}

options! {
    /// Address and port of all roles of this process [default: 127.0.0.1:8080].
    listen "listen" "HUBBUB_LISTEN";
    /// Base of every URL in answers [default: from the request's host].
    public_url "public-url" "HUBBUB_PUBLIC_URL";
    /// What this process does [default: api,gateway,workers].
    roles "roles" "HUBBUB_ROLES";
    /// The folder of the embedded database, the master key and the first account [default: ./hubbub-data].
    data_dir "data-dir" "HUBBUB_DATA_DIR";
    /// postgres://… [default: SQLite in the data folder].
    database_url "database-url" "HUBBUB_DATABASE_URL";
    /// amqp://… [default: in process].
    amqp_url "amqp-url" "HUBBUB_AMQP_URL";
    /// 32 bytes in base64 that seal all secrets [default: made and kept in the data folder].
    master_key "master-key" "HUBBUB_MASTER_KEY";
    /// SID of the first account [default: random].
    account_sid "account-sid" "HUBBUB_ACCOUNT_SID";
    /// Auth token of the first account [default: random].
    auth_token "auth-token" "HUBBUB_AUTH_TOKEN";
    /// Whether webhooks may go to private and loopback addresses [default: false].
    webhook_allow_private "webhook-allow-private" "HUBBUB_WEBHOOK_ALLOW_PRIVATE";
    /// How far back a cursor reaches: a number with s, m, h or d [default: 7d].
    event_retention "event-retention" "HUBBUB_EVENT_RETENTION";
    /// How long the audit log is kept: a number with s, m, h or d [default: 90d].
    audit_retention "audit-retention" "HUBBUB_AUDIT_RETENTION";
    /// How long each further attempt at a webhook endpoint waits: times with s, m, h or d and commas between them
    /// [default: 5s,5m,30m,2h,5h,10h,14h,20h,24h].
    webhook_retry_ladder "webhook-retry-ladder" "HUBBUB_WEBHOOK_RETRY_LADDER";
    /// How long a webhook endpoint may fail without one success before it is disabled: a number with s, m, h or d
    /// [default: 5d].
    webhook_disable_after "webhook-disable-after" "HUBBUB_WEBHOOK_DISABLE_AFTER";
    /// How long webhook deliveries that have ended are kept: a number with s, m, h or d [default: 7d].
    webhook_retention "webhook-retention" "HUBBUB_WEBHOOK_RETENTION";
    /// The most members a channel, or channels a user, may be given by a service's limits [default: 100000].
    limit_ceiling "limit-ceiling" "HUBBUB_LIMIT_CEILING";
    /// Who comes and goes is told to the members of channels up to this size; 0 for none [default: 100].
    presence_channel_limit "presence-channel-limit" "HUBBUB_PRESENCE_CHANNEL_LIMIT";
    /// Requests a second of one account, such as 100 or 0.5 [default: no limit].
    rate_limit_account "rate-limit-account" "HUBBUB_RATE_LIMIT_ACCOUNT";
    /// Requests a second of one API key, such as 100 or 0.5 [default: no limit].
    rate_limit_key "rate-limit-key" "HUBBUB_RATE_LIMIT_KEY";
    /// How many rows a list may read one by one when no index serves its filter [default: 10000].
    scan_budget "scan-budget" "HUBBUB_SCAN_BUDGET";
    /// Whether /demo is served, with tokens for a service of its own [default: true without a database URL].
    demo "demo" "HUBBUB_DEMO";
    /// Bytes of events that may wait for one socket, such as 1MiB [default: 1MiB].
    socket_queue "socket-queue" "HUBBUB_SOCKET_QUEUE";
    /// Bytes of memory that may wait for all sockets together, such as 256MiB [default: 256MiB].
    socket_queue_total "socket-queue-total" "HUBBUB_SOCKET_QUEUE_TOTAL";
    /// Sockets that a user may have open at one node [default: 1000].
    sockets_per_user "sockets-per-user" "HUBBUB_SOCKETS_PER_USER";
    /// Sockets that the users of an account may have open at one node [default: no limit].
    sockets_per_account "sockets-per-account" "HUBBUB_SOCKETS_PER_ACCOUNT";
    /// Verbs a second of one socket, such as 20 or 0.5 [default: no limit].
    socket_rate "socket-rate" "HUBBUB_SOCKET_RATE";
    /// The most members of a channel in which typing is told; 0 switches it off [default: 100].
    typing_channel_limit "typing-channel-limit" "HUBBUB_TYPING_CHANNEL_LIMIT";
    /// How long a process that was told to end still serves while /readyz sends balancers away, up to 60s [default: none].
    drain_delay "drain-delay" "HUBBUB_DRAIN_DELAY";
    /// What is logged, such as info or hubbub_gateway=debug [default: info].
    log "log" "HUBBUB_LOG";
}

impl Options {
    /// Fills what is not set from the file, if there is one. An empty variable is as good as none.
    pub(super) fn with_file(self) -> anyhow::Result<Self> {
        let Some(path) = self.config.clone().filter(|path| !path.is_empty()) else {
            return Ok(self);
        };
        let text =
            std::fs::read_to_string(&path).with_context(|| format!("HUBBUB_CONFIG: cannot read {path}"))?;
        let file: Self = toml::from_str(&text).with_context(|| format!("HUBBUB_CONFIG: {path} is wrong"))?;
        Ok(self.or(file))
    }
}

/// Numbers and booleans may stand without quotes in the file.
fn scalar<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(Some(match toml::Value::deserialize(deserializer)? {
        toml::Value::String(text) => text,
        toml::Value::Integer(number) => number.to_string(),
        toml::Value::Boolean(choice) => choice.to_string(),
        other => {
            return Err(serde::de::Error::custom(format!(
                "a {} is not a text, a number or a boolean",
                other.type_str()
            )));
        }
    }))
}
