//! `hubbub account`: accounts by hand, beside a running server.

use clap::Subcommand;
use hubbub_core::{Secret, accounts, sid::AccountSid};
use serde_json::json;

use crate::{config::Config, store::Store};

/// What to do with accounts.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Make an account; prints its SID, auth token and name as JSON.
    Create {
        /// A name for people.
        #[arg(long)]
        name: String,
    },
    /// List the accounts.
    List,
}

/// Runs the subcommand.
#[expect(clippy::print_stdout, reason = "the answer of the command")]
pub(crate) async fn run(config: &Config, command: Command) -> anyhow::Result<()> {
    let store = Store::open(config).await?;
    match command {
        Command::Create { name } => {
            let token = Secret::random_hex();
            let account = accounts::create(
                store.db.writer(),
                &store.vault,
                &name,
                AccountSid::generate(),
                &token,
            )
            .await?;
            let shown = json!({
                "sid": account.id,
                "auth_token": token.expose(),
                "friendly_name": account.friendly_name,
            });
            println!("{shown}");
        }
        Command::List => {
            for account in accounts::all(store.db.reader()).await? {
                println!("{}  {:9}  {}", account.id, account.status, account.friendly_name);
            }
        }
    }
    store.db.close().await;
    Ok(())
}
