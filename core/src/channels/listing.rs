//! Where lists of the latest activity find a channel.
//!
//! An index of the moment of the last message would change with every message, and with it, on Postgres, every other
//! index of the table. So a channel is listed at its activity or a little before, and moved when that is no longer true:
//! in a busy channel most messages move nothing. Who walks along the index looks a little further.

use std::time::Duration;

use crate::{entities::channel, timestamp::Timestamp};

/// How much earlier than its activity a channel may be listed.
pub(crate) const SLACK: Duration = Duration::from_secs(1);

/// When something was last said in the channel, or it was made.
pub(crate) fn activity(channel: &channel::Model) -> Timestamp {
    channel.last_message_at.unwrap_or(channel.date_created)
}

/// Lists the channel anew when its activity has moved away: whoever moves it calls this.
pub(crate) fn relist(channel: &mut channel::Model) {
    let activity = activity(channel);
    if activity < channel.listed_at || activity >= channel.listed_at.plus(SLACK) {
        channel.listed_at = activity;
    }
}
