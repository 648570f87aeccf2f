//! A credential as REST answers show it: without its secrets.

use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    ctx::BaseUrl,
    entities::credential,
    sid::{AccountSid, CredentialSid},
};

/// A credential of a push service.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Credential)]
pub struct CredentialView {
    #[schema(value_type = String)]
    sid: CredentialSid,
    #[schema(value_type = String)]
    account_sid: AccountSid,
    friendly_name: Option<String>,
    /// `gcm`, `apn` or `fcm`.
    #[serde(rename = "type")]
    kind: String,
    /// `True` or `False`: whether Apple's test servers are meant. `False` for other types.
    sandbox: &'static str,
    date_created: String,
    date_updated: String,
    url: String,
}

/// The credential in its REST JSON.
#[must_use]
pub fn view(credential: &credential::Model, base: &BaseUrl) -> CredentialView {
    CredentialView {
        sid: credential.id,
        account_sid: credential.account_id,
        friendly_name: credential.friendly_name.clone(),
        kind: credential.kind.clone(),
        sandbox: if credential.sandbox { "True" } else { "False" },
        date_created: credential.date_created.to_seconds_text(),
        date_updated: credential.date_updated.to_seconds_text(),
        url: format!("{base}/v2/Credentials/{}", credential.id),
    }
}
