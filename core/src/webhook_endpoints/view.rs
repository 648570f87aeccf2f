//! An endpoint as REST answers show it.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::{headers, keys};
use crate::{
    ctx::{BaseUrl, Core},
    entities::webhook_endpoint,
    error::Result,
    secrets::Secret,
    sid::{AccountSid, ServiceSid, WebhookEndpointSid},
    timestamp::Timestamp,
};

/// A webhook endpoint.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = WebhookEndpoint)]
pub struct WebhookEndpointView {
    #[schema(value_type = String)]
    sid: WebhookEndpointSid,
    #[schema(value_type = String)]
    account_sid: AccountSid,
    #[schema(value_type = String)]
    service_sid: ServiceSid,
    /// Where it calls.
    endpoint_url: String,
    /// The events that it is told of or asked about.
    #[schema(value_type = Vec<String>)]
    events: Value,
    /// `form`: Twilio's parameters; `json`: the event's envelope.
    format: String,
    /// Whether an event of a channel waits until the one before it is delivered or dead.
    ordered: bool,
    /// The names of the headers of its own; the values are never shown.
    header_names: Vec<String>,
    /// Whether an action goes on (`open`) or is refused (`closed`) when a pre-event gets no answer.
    failure_policy: String,
    /// How long a call may take, in milliseconds.
    timeout_ms: i32,
    /// Whether its answers to pre-events are noted and not obeyed.
    shadow: bool,
    /// Whether it is asked before REST actions too.
    pre_events_on_rest: bool,
    /// `enabled`; `paused`: its events wait; `disabled`: it hears of nothing.
    status: String,
    /// Why it is disabled.
    disabled_reason: Option<String>,
    /// Since when nothing could be delivered to it.
    failing_since: Option<String>,
    /// Why the last attempt failed.
    last_failure: Option<String>,
    /// When it will be disabled unless something is delivered to it before.
    disables_at: Option<String>,
    /// Which Standard Webhooks signature its calls carry: `hmac-sha256` (`v1`) or `ed25519` (`v1a`).
    signing: String,
    /// The Standard Webhooks secret, `whsec_…`: in the answer that made it, and never again.
    secret: Option<String>,
    /// What verifies `ed25519` signatures: `whpk_…`.
    public_key: Option<String>,
    /// Until when the secret before the last rotation signs too.
    previous_secret_until: Option<String>,
    date_created: String,
    date_updated: String,
    url: String,
}

/// The endpoint in its REST JSON, with its secret when that was just made.
///
/// # Errors
/// When its secrets were sealed under another master key.
pub fn view(
    core: &Core,
    endpoint: &webhook_endpoint::Model,
    fresh: Option<&Secret>,
    base: &BaseUrl,
) -> Result<WebhookEndpointView> {
    let public_key = keys::public_key(core, endpoint)?;
    Ok(WebhookEndpointView {
        header_names: headers::headers(&core.vault, endpoint)?.into_keys().collect(),
        // Nobody but us signs with ed25519.
        secret: fresh
            .filter(|_| public_key.is_none())
            .map(|secret| secret.expose().to_owned()),
        public_key,
        disables_at: endpoint
            .failing_since
            .map(|since| since.plus(core.settings.webhooks.disable_after).to_seconds_text()),
        ..view_without_secrets(endpoint, base)
    })
}

/// The endpoint without what is made of its secrets, for the audit log.
pub(crate) fn view_without_secrets(
    endpoint: &webhook_endpoint::Model,
    base: &BaseUrl,
) -> WebhookEndpointView {
    let live = endpoint
        .previous_secret_until
        .filter(|until| *until > Timestamp::now());
    WebhookEndpointView {
        sid: endpoint.id,
        account_sid: endpoint.account_id,
        service_sid: endpoint.service_id,
        endpoint_url: endpoint.url.clone(),
        events: endpoint.events.clone(),
        format: endpoint.format.clone(),
        ordered: endpoint.ordered,
        header_names: Vec::new(),
        failure_policy: endpoint.failure_policy.clone(),
        timeout_ms: endpoint.timeout_ms,
        shadow: endpoint.shadow,
        pre_events_on_rest: endpoint.pre_events_on_rest,
        status: endpoint.status.clone(),
        disabled_reason: endpoint.disabled_reason.clone(),
        failing_since: endpoint.failing_since.map(Timestamp::to_seconds_text),
        last_failure: endpoint.last_failure.clone(),
        disables_at: None,
        signing: endpoint.signing.clone(),
        secret: None,
        public_key: None,
        previous_secret_until: live.map(Timestamp::to_seconds_text),
        date_created: endpoint.date_created.to_seconds_text(),
        date_updated: endpoint.date_updated.to_seconds_text(),
        url: format!(
            "{base}/v2/Services/{}/WebhookEndpoints/{}",
            endpoint.service_id, endpoint.id
        ),
    }
}
