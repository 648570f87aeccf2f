//! What a user, or a backend on its behalf, does about its place in a channel.

use super::{Place, UserChannel, get};
use crate::{
    ctx::Ctx,
    entities::user,
    error::{Error, ErrorCode, Result},
    input::{ChannelRef, MemberRef, UserRef},
    invites,
    members::{self, UpdateMember},
    timestamp::Timestamp,
};

/// What to change of a user's place in a channel; `None` leaves it as it is.
#[derive(Debug, Clone, Default)]
pub struct UpdateUserChannel {
    /// `default` or `muted`.
    pub notification_level: Option<String>,
    /// The read horizon; `Some(None)` clears it.
    pub last_consumed_message_index: Option<Option<i64>>,
    /// When it was set.
    pub last_consumption_timestamp: Option<Timestamp>,
}

/// Changes a user's place in a channel that it has joined.
///
/// # Errors
/// 20404 when there is no such user, or it has no place in such a channel; 50400 when it is only invited; 20006 when a
/// user asks for another's; the code of the field that is wrong.
pub async fn update(
    ctx: &Ctx,
    user: &UserRef,
    channel: &ChannelRef,
    update: UpdateUserChannel,
) -> Result<(user::Model, UserChannel)> {
    let (_, place) = get(ctx, user, channel).await?;
    let Place::Joined(member) = place.place else {
        return Err(Error::with(
            ErrorCode::NotAMember,
            "User is not a member of the channel: it is invited and has to join first",
        ));
    };
    let update = UpdateMember {
        notification_level: update.notification_level,
        last_consumed_message_index: update.last_consumed_message_index,
        last_consumption_timestamp: update.last_consumption_timestamp,
        ..UpdateMember::default()
    };
    let found = place.channel.id.into();
    members::update(ctx, &found, &MemberRef::Sid(member.id), update).await?;
    get(ctx, user, channel).await
}

/// Ends a user's place in a channel: its membership, or its invite.
///
/// # Errors
/// 20404 when there is no such user, or it has no place in such a channel; 20006 when a user asks for another's; 50107
/// when its role does not allow it to leave.
pub async fn leave(ctx: &Ctx, user: &UserRef, channel: &ChannelRef) -> Result<()> {
    let (_, UserChannel { channel, place, .. }) = get(ctx, user, channel).await?;
    let channel = channel.id.into();
    match place {
        Place::Joined(member) => members::delete(ctx, &channel, &MemberRef::Sid(member.id)).await,
        Place::Invited(invite) => invites::delete(ctx, &channel, invite.id).await,
    }
}
