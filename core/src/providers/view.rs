//! A provider as REST answers show it: without its secret.

use serde::Serialize;
use utoipa::ToSchema;

use super::Kind;
use crate::{
    ctx::BaseUrl,
    entities::provider,
    sid::{AccountSid, ServiceSid},
};

/// What a service sends SMS or e-mail through.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Provider)]
pub struct ProviderView {
    /// `sms` or `email`.
    kind: String,
    #[schema(value_type = String)]
    account_sid: AccountSid,
    #[schema(value_type = String)]
    service_sid: ServiceSid,
    /// Who sends: a number or a name, or a mailbox.
    from: String,
    /// `sms`: the full address of the `Messages.json`.
    provider_url: Option<String>,
    /// `sms`: the account at the provider.
    provider_account_sid: Option<String>,
    /// Whether it has an `AuthToken`, which is never shown.
    has_auth_token: bool,
    /// `email`: the SMTP server.
    host: Option<String>,
    /// `email`: its port.
    port: Option<i32>,
    /// `email`: the name there.
    username: Option<String>,
    /// Whether it has a `Password`, which is never shown.
    has_password: bool,
    /// `email`: `none`, `starttls` or `tls`.
    tls: Option<String>,
    /// `email`: after how many seconds users are told of messages that they missed.
    notice_delay: Option<i32>,
    /// `email`: the subject of such a notice; null for our own.
    notice_subject: Option<String>,
    /// `email`: its text; null for our own.
    notice_body: Option<String>,
    date_created: String,
    date_updated: String,
    url: String,
}

/// The provider in its REST JSON.
#[must_use]
pub fn view(provider: &provider::Model, base: &BaseUrl) -> ProviderView {
    let is = |kind: Kind| provider.kind == kind.name();
    ProviderView {
        kind: provider.kind.clone(),
        account_sid: provider.account_id,
        service_sid: provider.service_id,
        from: provider.sender.clone(),
        provider_url: provider.url.clone(),
        provider_account_sid: provider.login.clone().filter(|_| is(Kind::Sms)),
        has_auth_token: is(Kind::Sms) && provider.secret.is_some(),
        host: provider.host.clone(),
        port: provider.port,
        username: provider.login.clone().filter(|_| is(Kind::Email)),
        has_password: is(Kind::Email) && provider.secret.is_some(),
        tls: provider.tls.clone(),
        notice_delay: provider.notice_delay,
        notice_subject: provider.notice_subject.clone(),
        notice_body: provider.notice_body.clone(),
        date_created: provider.date_created.to_seconds_text(),
        date_updated: provider.date_updated.to_seconds_text(),
        url: format!(
            "{base}/v2/Services/{}/Providers/{}",
            provider.service_id, provider.kind
        ),
    }
}
