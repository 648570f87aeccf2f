//! The envelope: an event as sockets, webhooks and the stream have it.

use serde::Serialize;
use utoipa::ToSchema;

use super::{Event, EventKind, Resource};
use crate::{
    campaigns::{self, CampaignView},
    channels::{self, ChannelView},
    ctx::BaseUrl,
    members::{self, MemberView},
    messages::{self, MessageView},
    sid::{ChannelSid, EventSid, ServiceSid},
    users::UserView,
};

/// Something that happened, with the resource that it happened to under the resource's own name.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Event)]
pub struct EventView {
    /// The same wherever the event is told.
    #[schema(value_type = String)]
    id: EventSid,
    /// Such as `messageAdded`.
    #[serde(rename = "type")]
    #[schema(value_type = String)]
    kind: EventKind,
    #[schema(value_type = String)]
    service_sid: ServiceSid,
    /// For what happens in a channel.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false, nullable = false)]
    channel_sid: Option<ChannelSid>,
    /// Its place in the channel's order, from 1, without holes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    seq: Option<i64>,
    /// Who did it: an identity, or `system`.
    identity: String,
    timestamp: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    message: Option<MessageView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    channel: Option<ChannelView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    member: Option<MemberView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    user: Option<UserView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    campaign: Option<CampaignView>,
}

impl Event {
    /// The envelope, under the event's own name or, for the member concerned, as `channelJoined` or `channelLeft` with
    /// the channel.
    #[must_use]
    pub fn view(&self, base: &BaseUrl, kind: EventKind) -> EventView {
        let mut envelope = EventView {
            id: self.id,
            kind,
            service_sid: self.service,
            channel_sid: self.channel,
            seq: self.seq,
            identity: self.identity.clone(),
            timestamp: self.at.to_millis_text(),
            message: None,
            channel: None,
            member: None,
            user: None,
            campaign: None,
        };
        let account = self.account;
        match &self.resource {
            Resource::Message(message) => envelope.message = Some(messages::view(message, account, base)),
            Resource::Channel(channel) => envelope.channel = Some(channels::view(channel, account, base)),
            Resource::Member { member, channel } => {
                if matches!(kind, EventKind::ChannelJoined | EventKind::ChannelLeft) {
                    envelope.channel = channel
                        .as_deref()
                        .map(|channel| channels::view(channel, account, base));
                }
                envelope.member = Some(members::view(member, account, base));
            }
            Resource::User(news) => envelope.user = Some(news.view(account, base)),
            Resource::Invitation { channel, .. } => {
                envelope.channel_sid = Some(channel.id);
                envelope.channel = Some(channels::view(channel, account, base));
            }
            Resource::Campaign { campaign, counts, .. } => {
                envelope.campaign = Some(campaigns::view(campaign, Some(counts), base));
            }
            Resource::Typing { .. } => {}
        }
        envelope
    }

    /// The envelope as JSON.
    #[must_use]
    pub fn render(&self, base: &BaseUrl, kind: EventKind) -> String {
        serde_json::to_string(&self.view(base, kind)).unwrap_or_else(|_| "{}".to_owned())
    }
}
