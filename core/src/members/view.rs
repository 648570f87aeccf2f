//! A membership as REST answers and events show it.

use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    ctx::BaseUrl,
    entities::member,
    sid::{AccountSid, ChannelSid, MemberSid, RoleSid, ServiceSid},
    timestamp::Timestamp,
};

/// A membership.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Member)]
pub struct MemberView {
    #[schema(value_type = String)]
    sid: MemberSid,
    #[schema(value_type = String)]
    account_sid: AccountSid,
    #[schema(value_type = String)]
    channel_sid: ChannelSid,
    #[schema(value_type = String)]
    service_sid: ServiceSid,
    identity: String,
    date_created: String,
    date_updated: String,
    #[schema(value_type = String)]
    role_sid: RoleSid,
    last_consumed_message_index: Option<i64>,
    last_consumption_timestamp: Option<String>,
    url: String,
    attributes: String,
}

/// The membership in its REST JSON.
#[must_use]
pub fn view(member: &member::Model, account: AccountSid, base: &BaseUrl) -> MemberView {
    MemberView {
        sid: member.id,
        account_sid: account,
        channel_sid: member.channel_id,
        service_sid: member.service_id,
        identity: member.identity.clone(),
        date_created: member.date_created.to_seconds_text(),
        date_updated: member.date_updated.to_seconds_text(),
        role_sid: member.role_id,
        last_consumed_message_index: member.last_consumed_message_index,
        last_consumption_timestamp: member.last_consumption_timestamp.map(Timestamp::to_seconds_text),
        url: format!(
            "{base}/v2/Services/{}/Channels/{}/Members/{}",
            member.service_id, member.channel_id, member.id
        ),
        attributes: member.attributes.clone(),
    }
}
