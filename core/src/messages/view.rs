//! A message as REST answers, acks and events show it.

use serde::Serialize;
use utoipa::ToSchema;

use super::Sent;
use crate::{
    ctx::BaseUrl,
    entities::message,
    sid::{AccountSid, ChannelSid, MessageSid, ServiceSid},
};

/// A message.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Message)]
pub struct MessageView {
    #[schema(value_type = String)]
    sid: MessageSid,
    #[schema(value_type = String)]
    account_sid: AccountSid,
    attributes: String,
    #[schema(value_type = String)]
    service_sid: ServiceSid,
    /// The channel's SID.
    #[schema(value_type = String)]
    to: ChannelSid,
    #[schema(value_type = String)]
    channel_sid: ChannelSid,
    date_created: String,
    date_updated: String,
    last_updated_by: Option<String>,
    was_edited: bool,
    /// The author: an identity, or `system`.
    from: String,
    body: Option<String>,
    /// Its place in the channel, from 0; may skip numbers.
    index: i64,
    /// `text` or `media`.
    #[serde(rename = "type")]
    kind: &'static str,
    #[schema(value_type = Option<Object>)]
    media: Option<()>,
    /// The sender's own id, when it gave one.
    client_id: Option<String>,
    url: String,
}

/// The answer to a send.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct SentView {
    #[serde(flatten)]
    message: MessageView,
    /// Present and true when the message had been sent before with the same client id.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    replayed: Option<bool>,
}

/// The message in its REST JSON.
#[must_use]
pub fn view(message: &message::Model, account: AccountSid, base: &BaseUrl) -> MessageView {
    MessageView {
        sid: message.id,
        account_sid: account,
        attributes: message.attributes.clone(),
        service_sid: message.service_id,
        to: message.channel_id,
        channel_sid: message.channel_id,
        date_created: message.date_created.to_seconds_text(),
        date_updated: message.date_updated.to_seconds_text(),
        last_updated_by: message.last_updated_by.clone(),
        was_edited: message.was_edited,
        from: message.author.clone(),
        body: message.body.clone(),
        index: message.idx,
        kind: "text",
        media: None,
        client_id: message.client_id.clone(),
        url: format!(
            "{base}/v2/Services/{}/Channels/{}/Messages/{}",
            message.service_id, message.channel_id, message.id
        ),
    }
}

/// The answer to a send, in REST JSON: `replayed` is left out of a first answer.
#[must_use]
pub fn sent_view(sent: &Sent, account: AccountSid, base: &BaseUrl) -> SentView {
    SentView {
        message: view(&sent.message, account, base),
        replayed: sent.replayed.then_some(true),
    }
}
