//! An account as the 2010-04-01 API shows it.

use serde::Serialize;
use utoipa::ToSchema;

use crate::{entities::account, secrets::Secret, sid::AccountSid};

/// An account: the tenant.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Account)]
pub struct AccountView {
    #[schema(value_type = String)]
    sid: AccountSid,
    friendly_name: String,
    /// Null in lists, and for a caller with an API key.
    auth_token: Option<String>,
    /// Its parent; itself when it has none.
    #[schema(value_type = String)]
    owner_account_sid: AccountSid,
    /// `active`, `suspended` or `closed`.
    status: String,
    /// Always `Full`.
    #[serde(rename = "type")]
    kind: &'static str,
    date_created: String,
    date_updated: String,
    subresource_uris: AccountUris,
    uri: String,
}

/// Where the account's resources are.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct AccountUris {
    keys: String,
}

/// The account in its REST JSON, with its auth token when the caller may see it.
#[must_use]
pub fn view(account: &account::Model, auth_token: Option<&Secret>) -> AccountView {
    let path = format!("/2010-04-01/Accounts/{}", account.id);
    AccountView {
        sid: account.id,
        friendly_name: account.friendly_name.clone(),
        auth_token: auth_token.map(|token| token.expose().to_owned()),
        owner_account_sid: account.owner_id,
        status: account.status.clone(),
        kind: "Full",
        date_created: account.date_created.to_rfc2822_text(),
        date_updated: account.date_updated.to_rfc2822_text(),
        subresource_uris: AccountUris {
            keys: format!("{path}/Keys.json"),
        },
        uri: format!("{path}.json"),
    }
}
