//! A case as the desk shows it.

use serde::Serialize;
use utoipa::ToSchema;

use super::Case;
use crate::{
    channels::{self, ChannelView},
    ctx::BaseUrl,
    messages::{self, MessageView},
    sid::AccountSid,
};

/// A channel of a desk: the channel itself, and what its operators have not attended to.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = DeskChannel)]
pub struct CaseView {
    #[serde(flatten)]
    channel: ChannelView,
    /// How many messages the pool's operators have not attended to.
    unread_messages_count: i64,
    /// The last message that they have; null while they have none.
    last_consumed_message_index: Option<i64>,
    /// The channel's last message.
    last_message: Option<MessageView>,
}

/// The case in its REST JSON.
#[must_use]
pub fn view(case: &Case, account: AccountSid, base: &BaseUrl) -> CaseView {
    CaseView {
        channel: channels::view(&case.channel, account, base),
        unread_messages_count: case.unread,
        last_consumed_message_index: case.channel.pool_read_index.filter(|index| *index >= 0),
        last_message: case
            .last_message
            .as_ref()
            .map(|message| messages::view(message, account, base)),
    }
}
