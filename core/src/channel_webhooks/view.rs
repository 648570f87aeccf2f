//! A channel's webhook as REST answers show it.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::configuration::{STUDIO, TRIGGER};
use crate::{
    ctx::BaseUrl,
    entities::channel_webhook,
    sid::{AccountSid, ChannelSid, ServiceSid, WebhookSid},
};

/// A webhook of one channel.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = ChannelWebhook)]
pub struct ChannelWebhookView {
    #[schema(value_type = String)]
    sid: WebhookSid,
    #[schema(value_type = String)]
    account_sid: AccountSid,
    #[schema(value_type = String)]
    service_sid: ServiceSid,
    #[schema(value_type = String)]
    channel_sid: ChannelSid,
    /// `webhook`, `trigger` or `studio`.
    #[serde(rename = "type")]
    kind: String,
    configuration: ChannelWebhookConfiguration,
    date_created: String,
    date_updated: String,
    url: String,
}

/// What it calls, and when: the parts that belong to its type.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct ChannelWebhookConfiguration {
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    method: Option<String>,
    /// Names of post-events; for a trigger its keywords.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<String>>, nullable = false)]
    filters: Option<Value>,
    /// The keywords of a trigger.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<String>>, nullable = false)]
    triggers: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    flow_sid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    retry_count: Option<i32>,
}

fn configuration(webhook: &channel_webhook::Model) -> ChannelWebhookConfiguration {
    let channel_webhook::Model {
        filters, triggers, ..
    } = webhook.clone();
    match webhook.kind.as_str() {
        STUDIO => ChannelWebhookConfiguration {
            url: None,
            method: None,
            filters,
            triggers: None,
            flow_sid: webhook.flow_sid.clone(),
            retry_count: None,
        },
        kind => ChannelWebhookConfiguration {
            url: webhook.url.clone(),
            method: Some(webhook.method.clone()),
            // Twilio shows the keywords of a trigger under `filters`.
            filters: if kind == TRIGGER {
                triggers.clone()
            } else {
                filters
            },
            triggers,
            flow_sid: None,
            retry_count: Some(webhook.retry_count),
        },
    }
}

/// The webhook in its REST JSON.
#[must_use]
pub fn view(webhook: &channel_webhook::Model, account: AccountSid, base: &BaseUrl) -> ChannelWebhookView {
    ChannelWebhookView {
        sid: webhook.id,
        account_sid: account,
        service_sid: webhook.service_id,
        channel_sid: webhook.channel_id,
        kind: webhook.kind.clone(),
        configuration: configuration(webhook),
        date_created: webhook.date_created.to_seconds_text(),
        date_updated: webhook.date_updated.to_seconds_text(),
        url: format!(
            "{base}/v2/Services/{}/Channels/{}/Webhooks/{}",
            webhook.service_id, webhook.channel_id, webhook.id
        ),
    }
}
