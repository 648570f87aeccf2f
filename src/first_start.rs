//! The first account: given by the configuration, or made up and printed once.

use hubbub_core::{Error, Secret, accounts, error::ErrorCode, sid::AccountSid};

use crate::{
    config::Config,
    store::{Store, write_once},
};

/// The name of the first account.
const NAME: &str = "First account";
/// The file in the data folder that keeps credentials which were made up.
const FILE: &str = "account.env";

/// Makes sure that there is an account.
#[expect(
    clippy::print_stdout,
    reason = "the credentials are what the first start prints"
)]
pub(crate) async fn ensure_account(config: &Config, store: &Store) -> anyhow::Result<()> {
    if let Some((sid, token)) = &config.account {
        return ensure_given(store, *sid, token).await;
    }
    if !accounts::all(store.db.reader()).await?.is_empty() {
        return Ok(());
    }
    let (sid, token) = (AccountSid::generate(), Secret::random_hex());
    accounts::create(store.db.writer(), &store.vault, NAME, sid, &token).await?;
    let path = config.data_dir.join(FILE);
    let text = format!("HUBBUB_ACCOUNT_SID={sid}\nHUBBUB_AUTH_TOKEN={}\n", token.expose());
    write_once(&path, &text)?;
    println!("first account, shown this once and kept in {}:", path.display());
    println!("  account SID  {sid}");
    println!("  auth token   {}", token.expose());
    Ok(())
}

/// The first node makes it, the others find it.
async fn ensure_given(store: &Store, sid: AccountSid, token: &Secret) -> anyhow::Result<()> {
    let made = accounts::create(store.db.writer(), &store.vault, NAME, sid, token).await;
    match made {
        Ok(_) => Ok(()),
        Err(error) if error.code() == ErrorCode::Conflict => {
            let account = accounts::find(store.db.reader(), sid)
                .await?
                .ok_or_else(|| Error::internal("the account vanished"))?;
            let kept = accounts::auth_token(&store.vault, &account)
                .map_err(|error| anyhow::anyhow!("HUBBUB_MASTER_KEY does not fit the database: {error:?}"))?;
            let secondary = accounts::secondary_auth_token(&store.vault, &account)?;
            if kept.matches(token.expose())
                || secondary.is_some_and(|secondary| secondary.matches(token.expose()))
            {
                return Ok(());
            }
            // The configuration may be behind a rotation, which must not keep nodes from starting. It makes no token
            // good again.
            if let Some(moment) = account.auth_token_promoted_at {
                tracing::warn!(
                    "HUBBUB_AUTH_TOKEN is not the token of account {sid}, which was rotated at {moment:?}; starting with the one in the database"
                );
            } else {
                anyhow::bail!("HUBBUB_AUTH_TOKEN is not the token that account {sid} has in the database");
            }
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}
