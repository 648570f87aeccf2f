//! A user's own view of its channels: those that it is a member of or invited to, with what is unread.

mod actions;
mod latest;
mod list;
mod view;

use std::collections::HashMap;

use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};

pub use actions::{UpdateUserChannel, leave, update};
pub use latest::{LatestChannels, Standing, last_message, latest};
pub(crate) use list::PLACES;
pub use list::{list, search};
pub use view::{UserChannelView, view};

use crate::{
    channels,
    ctx::Ctx,
    entities::{channel, invite, member, user},
    error::Result,
    input::{ChannelRef, UserRef},
    members::DEFAULT_NOTIFICATIONS,
    messages,
    sid::ChannelSid,
    users,
};

/// What a user is to a channel.
#[derive(Debug, Clone)]
pub enum Place {
    /// A member.
    Joined(member::Model),
    /// Invited to become one.
    Invited(invite::Model),
}

/// A channel with the user's place in it and what it has not read.
#[derive(Debug, Clone)]
pub struct UserChannel {
    /// The channel.
    pub channel: channel::Model,
    /// The user's place in it.
    pub place: Place,
    /// How many messages lie behind the horizon; `None` until a horizon was ever set.
    pub unread: Option<i64>,
}

impl UserChannel {
    /// The user's membership, if it is a member.
    #[must_use]
    pub fn member(&self) -> Option<&member::Model> {
        match &self.place {
            Place::Joined(member) => Some(member),
            Place::Invited(_) => None,
        }
    }

    /// `joined` or `invited`.
    #[must_use]
    pub fn status(&self) -> &'static str {
        match self.place {
            Place::Joined(_) => "joined",
            Place::Invited(_) => "invited",
        }
    }

    /// `default` or `muted`.
    #[must_use]
    pub fn notification_level(&self) -> &str {
        self.member()
            .map_or(DEFAULT_NOTIFICATIONS, |member| &member.notification_level)
    }

    /// The read horizon.
    #[must_use]
    pub fn last_consumed_message_index(&self) -> Option<i64> {
        self.member()?.last_consumed_message_index
    }
}

/// One channel of the user's, if it has joined it or is invited to it.
///
/// # Errors
/// Whatever the database refuses.
pub async fn find(ctx: &Ctx, identity: &str, channel: ChannelSid) -> Result<Option<UserChannel>> {
    Ok(load(ctx, identity, &[channel]).await?.pop())
}

/// One channel of a user's. Of channels that the user is neither a member of nor invited to, public ones included,
/// nothing is told.
///
/// # Errors
/// 20404 when there is no such user, or it has no place in such a channel; 20006 when a user asks for another's.
pub async fn get(ctx: &Ctx, user: &UserRef, channel: &ChannelRef) -> Result<(user::Model, UserChannel)> {
    let owner = users::own(ctx, user).await?;
    let place = match channels::find(ctx.reader(), ctx.scope(), channel).await? {
        Some(row) => find(ctx, &owner.identity, row.id).await?,
        None => None,
    };
    match place {
        Some(place) => Ok((owner, place)),
        None => Err(ctx.not_found(format_args!("Users/{user}/Channels/{channel}"))),
    }
}

/// These channels in their order, without those that the user has no place in (any more).
pub(crate) async fn load(ctx: &Ctx, identity: &str, ids: &[ChannelSid]) -> Result<Vec<UserChannel>> {
    let mut found = places(ctx, identity, ids).await?;
    let mut horizons = Vec::new();
    let mut read = Vec::new();
    for place in &mut found {
        if let Some(horizon) = place.last_consumed_message_index() {
            horizons.push((ctx.scope(), place.channel.id, horizon));
            read.push(place);
        }
    }
    let unread = messages::unread(ctx.reader(), &horizons).await?;
    for (place, unread) in read.into_iter().zip(unread) {
        place.unread = unread;
    }
    Ok(found)
}

/// The same without what is unread, which takes longest to tell.
pub(crate) async fn places(ctx: &Ctx, identity: &str, ids: &[ChannelSid]) -> Result<Vec<UserChannel>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let db = ctx.reader();
    let channels = channel::Entity::find()
        .filter(channel::Column::ServiceId.eq(ctx.scope()))
        .filter(channel::Column::Id.is_in(ids.iter().copied()))
        .filter(channel::Column::DeletedAt.is_null())
        .all(db)
        .await?;
    let members = member::Entity::find()
        .filter(member::Column::ServiceId.eq(ctx.scope()))
        .filter(member::Column::Identity.eq(identity))
        .filter(member::Column::ChannelId.is_in(ids.iter().copied()))
        .all(db)
        .await?;
    let mut places: HashMap<ChannelSid, Place> = members
        .into_iter()
        .map(|member| (member.channel_id, Place::Joined(member)))
        .collect();
    if places.len() < ids.len() {
        let invites = invite::Entity::find()
            .filter(invite::Column::ServiceId.eq(ctx.scope()))
            .filter(invite::Column::Identity.eq(identity))
            .filter(invite::Column::ChannelId.is_in(ids.iter().copied()))
            .all(db)
            .await?;
        for invite in invites {
            places.entry(invite.channel_id).or_insert(Place::Invited(invite));
        }
    }
    let mut channels: HashMap<ChannelSid, channel::Model> = channels
        .into_iter()
        .map(|channel| (channel.id, channel))
        .collect();
    Ok(ids
        .iter()
        .filter_map(|id| {
            Some(UserChannel {
                channel: channels.remove(id)?,
                place: places.remove(id)?,
                unread: None,
            })
        })
        .collect())
}
