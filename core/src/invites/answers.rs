//! What the invited user makes of an invite.

use super::{missing, remove};
use crate::{
    change::Change,
    channels,
    ctx::{Caller, Ctx},
    entities::member,
    error::{ErrorCode, Result},
    input::{ChannelRef, Identity},
    members::{self, Joining, NewMember},
    pre_events::{self, PreEvent},
};

fn invited(ctx: &Ctx) -> Result<&Identity> {
    match &ctx.caller {
        Caller::User { identity, .. } => Ok(identity),
        Caller::Account { .. } => Err(ErrorCode::Forbidden.into()),
    }
}

/// The calling user becomes a member, with the role that its invite gives.
///
/// # Errors
/// 20404 when there is no such channel, or the user is not invited to it; 50403 and 50208 at the limits. Outside of
/// user calls: 20403.
pub async fn accept(ctx: &Ctx, channel: &ChannelRef) -> Result<member::Model> {
    let identity = invited(ctx)?;
    let mut new = NewMember::new(identity.clone());
    if let Some(due) = pre_events::due(ctx, pre_events::MEMBER_ADD).await? {
        let mut rehearsal = Change::begin(ctx).await?;
        let member = take_up(ctx, &mut rehearsal, channel, new.clone()).await?;
        rehearsal.abandon().await?;
        due.ask(ctx, PreEvent::member_add(ctx, &member))
            .await?
            .put("attributes", &mut new.attributes);
    }
    let mut change = Change::begin(ctx).await?;
    let member = take_up(ctx, &mut change, channel, new).await?;
    change.commit().await?;
    Ok(member)
}

async fn take_up(
    ctx: &Ctx,
    change: &mut Change<'_>,
    channel: &ChannelRef,
    new: NewMember,
) -> Result<member::Model> {
    let access = channels::lock_access(ctx, &change.tx, channel).await?;
    let invite = access
        .invite
        .ok_or_else(|| missing(ctx, channel, &new.identity))?;
    let joining = Joining {
        new,
        role: invite.role_id,
    };
    let mut row = access.channel;
    members::begin(ctx, change, &mut row, joining).await
}

/// The calling user does not want to become a member: its invite is gone. Nobody is told.
///
/// # Errors
/// 50602 when it is a member already; 20404 when there is no such channel, or the user is not invited to it. Outside
/// of user calls: 20403.
pub async fn decline(ctx: &Ctx, channel: &ChannelRef) -> Result<()> {
    let identity = invited(ctx)?;
    let change = Change::begin(ctx).await?;
    let access = channels::lock_access(ctx, &change.tx, channel).await?;
    if access.member.is_some() {
        return Err(ErrorCode::InviteNotDeclinable.into());
    }
    let invite = access.invite.ok_or_else(|| missing(ctx, channel, identity))?;
    remove(&change.tx, &invite).await?;
    change.commit().await
}
