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
    let mut change = Change::begin(ctx).await?;
    let access = channels::lock_access(ctx, &change.tx, channel).await?;
    let invite = access.invite.ok_or_else(|| missing(ctx, channel, identity))?;
    let mut row = access.channel;
    let joining = Joining {
        new: NewMember::new(identity.clone()),
        role: invite.role_id,
    };
    let member = members::begin(ctx, &mut change, &mut row, joining).await?;
    change.commit().await?;
    Ok(member)
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
