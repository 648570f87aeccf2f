//! A channel as REST answers and events show it.

use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    ctx::BaseUrl,
    entities::channel,
    sid::{AccountSid, ChannelSid, OperatorPoolSid, ServiceSid},
    timestamp::Timestamp,
};

/// A channel.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Channel)]
pub struct ChannelView {
    #[schema(value_type = String)]
    sid: ChannelSid,
    #[schema(value_type = String)]
    account_sid: AccountSid,
    #[schema(value_type = String)]
    service_sid: ServiceSid,
    friendly_name: Option<String>,
    unique_name: Option<String>,
    attributes: String,
    /// `public` or `private`.
    #[serde(rename = "type")]
    kind: String,
    date_created: String,
    date_updated: String,
    created_by: String,
    members_count: i32,
    messages_count: i32,
    url: String,
    /// `open`, `snoozed` or `closed`; null while it never was a case.
    state: Option<String>,
    /// The operator who attends to it.
    assignee: Option<String>,
    /// The pool whose operators reach it.
    #[schema(value_type = Option<String>)]
    pool_sid: Option<OperatorPoolSid>,
    date_snoozed_until: Option<String>,
    links: ChannelLinks,
}

/// Where the channel's resources are.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct ChannelLinks {
    members: String,
    messages: String,
    invites: String,
    webhooks: String,
    last_message: Option<String>,
}

/// The channel in its REST JSON.
#[must_use]
pub fn view(channel: &channel::Model, account: AccountSid, base: &BaseUrl) -> ChannelView {
    let url = format!(
        "{base}/v2/Services/{}/Channels/{}",
        channel.service_id, channel.id
    );
    ChannelView {
        sid: channel.id,
        account_sid: account,
        service_sid: channel.service_id,
        friendly_name: channel.friendly_name.clone(),
        unique_name: channel.unique_name.clone(),
        attributes: channel.attributes.clone(),
        kind: channel.kind.clone(),
        date_created: channel.date_created.to_seconds_text(),
        date_updated: channel.date_updated.to_seconds_text(),
        created_by: channel.created_by.clone(),
        members_count: channel.members_count,
        messages_count: channel.messages_count,
        state: channel.case_state.clone(),
        assignee: channel.assignee.clone(),
        pool_sid: channel.pool_id,
        date_snoozed_until: channel.snoozed_until.map(Timestamp::to_seconds_text),
        links: ChannelLinks {
            members: format!("{url}/Members"),
            messages: format!("{url}/Messages"),
            invites: format!("{url}/Invites"),
            webhooks: format!("{url}/Webhooks"),
            last_message: channel.last_message_id.map(|id| format!("{url}/Messages/{id}")),
        },
        url,
    }
}
