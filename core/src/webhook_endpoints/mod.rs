//! Webhook endpoints of a service: beside Twilio's webhooks, and of our own kind. They are told of every durable event
//! that they subscribe to, whatever door it came through, and asked before actions.

mod actions;
mod headers;
mod keys;
mod settings;
mod trial;
mod view;

use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect, Select};

pub use actions::{Made, create, delete, get, list, update};
pub use headers::headers;
pub use keys::secrets;
pub use settings::EndpointSettings;
pub use trial::{Outcome, Trial, test};
pub(crate) use view::view_without_secrets;
pub use view::{WebhookEndpointView, view};

use crate::{
    entities::webhook_endpoint,
    error::Result,
    sid::{ServiceSid, WebhookEndpointSid},
    timestamp::Timestamp,
};

/// It is told and asked.
pub const ENABLED: &str = "enabled";
/// What it would be told waits; it is not asked.
pub const PAUSED: &str = "paused";
/// It is neither told nor asked.
pub const DISABLED: &str = "disabled";

/// Twilio's parameters as a form.
pub const FORM: &str = "form";
/// The event's envelope.
pub const JSON: &str = "json";

/// Without an answer the action goes on.
pub const OPEN: &str = "open";
/// Without an answer the action is refused.
pub const CLOSED: &str = "closed";

/// Standard Webhooks' `v1`: a secret that both sides know.
pub const HMAC: &str = "hmac-sha256";
/// Standard Webhooks' `v1a`: only we can sign, everybody can verify.
pub const ED25519: &str = "ed25519";

fn scoped(service: ServiceSid) -> Select<webhook_endpoint::Entity> {
    webhook_endpoint::Entity::find().filter(webhook_endpoint::Column::ServiceId.eq(service))
}

/// The service's endpoint of this SID, if there is one: for what the platform does by itself.
///
/// # Errors
/// Whatever the database refuses.
pub async fn find(
    db: &impl ConnectionTrait,
    service: ServiceSid,
    id: WebhookEndpointSid,
) -> Result<Option<webhook_endpoint::Model>> {
    Ok(scoped(service)
        .filter(webhook_endpoint::Column::Id.eq(id))
        .one(db)
        .await?)
}

/// When the service's endpoint of this SID last changed, if there is one.
///
/// # Errors
/// Whatever the database refuses.
pub async fn changed_at(
    db: &impl ConnectionTrait,
    service: ServiceSid,
    id: WebhookEndpointSid,
) -> Result<Option<Timestamp>> {
    Ok(scoped(service)
        .filter(webhook_endpoint::Column::Id.eq(id))
        .select_only()
        .column(webhook_endpoint::Column::DateUpdated)
        .into_tuple()
        .one(db)
        .await?)
}

/// Whether the endpoint subscribes to the event of this name: `onMessageSent`, `onMessageSend`.
#[must_use]
pub fn subscribes(endpoint: &webhook_endpoint::Model, event: &str) -> bool {
    endpoint
        .events
        .as_array()
        .is_some_and(|names| names.iter().any(|name| name.as_str() == Some(event)))
}
