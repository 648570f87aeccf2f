//! `hubbub token`: an access token for trying things out.

use anyhow::Context as _;
use clap::Args;
use hubbub_core::{access_tokens, api_keys, input::Identity, services, sid::ServiceSid};

use crate::{config::Config, store::Store};

/// Whose token, and for how long.
#[derive(Args)]
pub(crate) struct Arguments {
    /// The service instance, IS…
    #[arg(long)]
    service: String,
    /// The user.
    #[arg(long)]
    identity: String,
    /// Seconds, at most 86400.
    #[arg(long, default_value_t = 3600)]
    ttl: u64,
}

/// Runs the subcommand.
#[expect(clippy::print_stdout, reason = "the answer of the command")]
pub(crate) async fn run(config: &Config, arguments: &Arguments) -> anyhow::Result<()> {
    let service: ServiceSid = arguments.service.parse().context("--service")?;
    let identity = Identity::parse(&arguments.identity).context("--identity")?;
    let life = access_tokens::life(Some(arguments.ttl)).context("--ttl")?;
    let store = Store::open(config).await?;
    let account = services::account_of(store.db.reader(), service)
        .await
        .context("--service")?;
    let (key, secret) = api_keys::for_tokens(&store.db, &store.vault, account, None).await?;
    let (token, _) = access_tokens::mint(&key, &secret, service, &identity, life)?;
    println!("{token}");
    store.db.close().await;
    Ok(())
}
