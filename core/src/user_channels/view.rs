//! A user's place in a channel as REST answers show it.

use serde::Serialize;
use utoipa::ToSchema;

use super::UserChannel;
use crate::{
    ctx::BaseUrl,
    sid::{AccountSid, ChannelSid, MemberSid, ServiceSid, UserSid},
};

/// A user's place in a channel.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = UserChannel)]
pub struct UserChannelView {
    #[schema(value_type = String)]
    account_sid: AccountSid,
    #[schema(value_type = String)]
    service_sid: ServiceSid,
    #[schema(value_type = String)]
    channel_sid: ChannelSid,
    #[schema(value_type = String)]
    user_sid: UserSid,
    /// Null while the user is only invited.
    #[schema(value_type = Option<String>)]
    member_sid: Option<MemberSid>,
    /// `joined` or `invited`.
    status: &'static str,
    last_consumed_message_index: Option<i64>,
    /// Null until a read horizon was set.
    unread_messages_count: Option<i64>,
    /// `default` or `muted`.
    notification_level: String,
    links: UserChannelLinks,
    url: String,
}

/// Where the channel and the membership are.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct UserChannelLinks {
    channel: String,
    /// Null while the user is only invited.
    member: Option<String>,
}

/// The user's place in the channel in its REST JSON.
#[must_use]
pub fn view(place: &UserChannel, user: UserSid, account: AccountSid, base: &BaseUrl) -> UserChannelView {
    let channel = &place.channel;
    let service = format!("{base}/v2/Services/{}", channel.service_id);
    let link = format!("{service}/Channels/{}", channel.id);
    let member_sid = place.member().map(|member| member.id);
    UserChannelView {
        account_sid: account,
        service_sid: channel.service_id,
        channel_sid: channel.id,
        user_sid: user,
        member_sid,
        status: place.status(),
        last_consumed_message_index: place.last_consumed_message_index(),
        unread_messages_count: place.unread,
        notification_level: place.notification_level().to_owned(),
        links: UserChannelLinks {
            member: member_sid.map(|member| format!("{link}/Members/{member}")),
            channel: link,
        },
        url: format!("{service}/Users/{user}/Channels/{}", channel.id),
    }
}
