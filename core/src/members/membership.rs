//! Adding members, alone or many at once, and removing them.

use std::collections::HashMap;

use futures_util::future::join_all;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter};

use super::{
    find,
    joining::{Joining, NewMember, begin, begin_all, count_joined, with_channel},
    missing,
};
use crate::{
    attribute_indexes::upkeep,
    audit::Edit,
    change::Change,
    channels::{self, Access},
    ctx::{Caller, Ctx},
    entities::{channel, member},
    error::{ErrorCode, Result},
    events::EventKind,
    input::{ChannelRef, MemberRef},
    permissions::Permission,
    pre_events::{self, PreEvent},
    roles,
    sid::RoleSid,
};

/// Makes a user a member; the user springs up when it is new.
///
/// # Errors
/// 50404 when it is one already; 50403 and 50208 at the limits; 50107 when the caller's roles do not allow it, 50205 when
/// the role allows more than the caller may.
pub async fn create(ctx: &Ctx, channel: &ChannelRef, mut new: NewMember) -> Result<member::Model> {
    if let Some(due) = pre_events::due(ctx, pre_events::MEMBER_ADD).await? {
        let mut rehearsal = Change::begin(ctx).await?;
        let member = add(ctx, &mut rehearsal, channel, new.clone()).await?;
        rehearsal.abandon().await?;
        due.ask(ctx, PreEvent::member_add(ctx, &member))
            .await?
            .put("attributes", &mut new.attributes);
    }
    let mut change = Change::begin(ctx).await?;
    let member = add(ctx, &mut change, channel, new).await?;
    change.commit().await?;
    Ok(member)
}

async fn add(
    ctx: &Ctx,
    change: &mut Change<'_>,
    channel: &ChannelRef,
    new: NewMember,
) -> Result<member::Model> {
    let access = channels::lock_access(ctx, &change.tx, channel).await?;
    let joining = Roles::default().admit(ctx, change, &access, new).await?;
    let mut channel = access.channel;
    let member = begin(ctx, change, &mut channel, joining).await?;
    change.audit(Edit::Created(&member))?;
    Ok(member)
}

/// Makes many users members of one channel, in one transaction; who cannot be one fails alone. The answers are in the
/// order of `new`.
///
/// # Errors
/// 20404 when there is no such channel; each answer as [`create`].
pub async fn create_all(
    ctx: &Ctx,
    channel: &ChannelRef,
    mut new: Vec<Result<NewMember>>,
) -> Result<Vec<Result<member::Model>>> {
    if let Some(due) = pre_events::due(ctx, pre_events::MEMBER_ADD).await? {
        let asked: Vec<_> = new.iter().map(|new| new.as_ref().ok().cloned()).collect();
        let mut rehearsal = Change::begin(ctx).await?;
        let copies = new.into_iter().zip(&asked).map(|(new, asked)| match asked {
            Some(asked) => Ok(asked.clone()),
            None => new,
        });
        let members = add_all(ctx, &mut rehearsal, channel, copies.collect()).await?;
        rehearsal.abandon().await?;
        let (due, ctx) = (&due, ctx);
        let answers = members.into_iter().zip(asked).map(|(member, asked)| async move {
            let (member, Some(mut asked)) = (member?, asked) else {
                return Err(ErrorCode::Internal.into());
            };
            due.clone()
                .ask(ctx, PreEvent::member_add(ctx, &member))
                .await?
                .put("attributes", &mut asked.attributes);
            Ok(asked)
        });
        new = join_all(answers).await;
    }
    let mut change = Change::begin(ctx).await?;
    let members = add_all(ctx, &mut change, channel, new).await?;
    change.commit().await?;
    Ok(members)
}

async fn add_all(
    ctx: &Ctx,
    change: &mut Change<'_>,
    channel: &ChannelRef,
    new: Vec<Result<NewMember>>,
) -> Result<Vec<Result<member::Model>>> {
    let access = channels::lock_access(ctx, &change.tx, channel).await?;
    let mut roles = Roles::default();
    let mut admitted = Vec::with_capacity(new.len());
    for new in new {
        admitted.push(match new {
            Ok(new) => roles.admit(ctx, change, &access, new).await,
            Err(refusal) => Err(refusal),
        });
    }
    let mut channel = access.channel;
    let members = begin_all(ctx, change, &mut channel, admitted).await?;
    for member in members.iter().flatten() {
        change.audit(Edit::Created(member))?;
    }
    Ok(members)
}

/// Roles that were looked up for members to be.
#[derive(Default)]
pub(crate) struct Roles(HashMap<String, Result<RoleSid, (ErrorCode, String)>>);

impl Roles {
    /// Checks that the caller may add this member, and finds its role.
    ///
    /// # Errors
    /// As [`create`].
    pub(crate) async fn admit(
        &mut self,
        ctx: &Ctx,
        change: &Change<'_>,
        access: &Access,
        new: NewMember,
    ) -> Result<Joining> {
        if ctx.caller.identity() == Some(&new.identity) {
            access.may_see()?;
            if let Some(invite) = &access.invite
                && new.role_sid.is_none()
            {
                let role = invite.role_id;
                return Ok(Joining { new, role });
            }
            access.require(Permission::JoinChannel)?;
        } else {
            access.require(Permission::AddMember)?;
        }
        let role = self.of(ctx, change, &access.channel, &new).await?;
        if new.role_sid.is_some() {
            access.may_give(ctx, &change.tx, role).await?;
        }
        Ok(Joining { new, role })
    }

    /// The role of a member to be: the one that is asked for, the creator's, or the default one.
    ///
    /// # Errors
    /// 50100 or 50101.
    pub(crate) async fn of(
        &mut self,
        ctx: &Ctx,
        change: &Change<'_>,
        channel: &channel::Model,
        new: &NewMember,
    ) -> Result<RoleSid> {
        let Some(sid) = &new.role_sid else {
            return Ok(if channel.created_by == new.identity.as_str() {
                ctx.service.default_channel_creator_role_id
            } else {
                ctx.service.default_channel_role_id
            });
        };
        if !self.0.contains_key(sid) {
            let found = roles::of_kind(&change.tx, ctx.scope(), sid, roles::CHANNEL).await;
            let known = match found {
                Ok(role) => Ok(role.id),
                Err(error) if error.code().status() < 500 => Err((error.code(), error.message().to_owned())),
                Err(error) => return Err(error),
            };
            self.0.insert(sid.clone(), known);
        }
        match &self.0[sid] {
            Ok(role) => Ok(*role),
            Err((code, message)) => Err(crate::Error::with(*code, message.clone())),
        }
    }
}

/// The calling user joins a public channel, or one that it is invited to.
///
/// # Errors
/// As [`create`], and 50400 when the channel is private and the user not invited. Outside of user calls: 20403.
pub async fn join(ctx: &Ctx, channel: &ChannelRef) -> Result<member::Model> {
    let Caller::User { identity, .. } = &ctx.caller else {
        return Err(ErrorCode::Forbidden.into());
    };
    create(ctx, channel, NewMember::new(identity.clone())).await
}

/// Ends a membership of a locked channel, counts it on both sides, records the leave and stores the channel.
///
/// # Errors
/// Whatever the database refuses.
pub(crate) async fn end(
    change: &mut Change<'_>,
    channel: &mut channel::Model,
    member: &member::Model,
) -> Result<()> {
    let gone = member::Entity::delete_many()
        .filter(member::Column::ServiceId.eq(member.service_id))
        .filter(member::Column::ChannelId.eq(member.channel_id))
        .filter(member::Column::Id.eq(member.id))
        .exec(&change.tx)
        .await?;
    if gone.rows_affected == 0 {
        return Ok(());
    }
    upkeep::removed(&change.tx, member).await?;
    channel.members_count -= 1;
    count_joined(change, member.service_id, [member.identity.as_str()], -1).await?;
    change
        .record(channel, EventKind::MemberLeft, |channel| {
            with_channel(member, channel)
        })
        .await?;
    channels::store(&change.tx, channel).await?;
    Ok(())
}

/// Removes a member, or lets the calling user leave.
///
/// # Errors
/// 20404; 50107 when the caller's roles do not allow it.
pub async fn delete(ctx: &Ctx, channel: &ChannelRef, member: &MemberRef) -> Result<()> {
    if let Some(due) = pre_events::due(ctx, pre_events::MEMBER_REMOVE).await? {
        ctx.caller.may_write()?;
        let access = channels::access(ctx, ctx.reader(), channel).await?;
        let found = removable(ctx, ctx.reader(), channel, &access, member).await?;
        due.ask(ctx, PreEvent::member_remove(ctx, &found)).await?;
    }
    let mut change = Change::begin(ctx).await?;
    let access = channels::lock_access(ctx, &change.tx, channel).await?;
    let found = removable(ctx, &change.tx, channel, &access, member).await?;
    let mut channel = access.channel;
    end(&mut change, &mut channel, &found).await?;
    change.audit(Edit::Deleted(&found))?;
    change.commit().await
}

/// The member, when the caller may remove it.
async fn removable(
    ctx: &Ctx,
    db: &impl ConnectionTrait,
    channel: &ChannelRef,
    access: &Access,
    member: &MemberRef,
) -> Result<member::Model> {
    let found = find(db, ctx.scope(), access.channel.id, member).await?;
    let own = found.as_ref().is_some_and(|found| {
        ctx.caller
            .identity()
            .is_some_and(|own| own.as_str() == found.identity)
    });
    access.require(if own {
        Permission::LeaveChannel
    } else {
        Permission::RemoveMember
    })?;
    found.ok_or_else(|| missing(ctx, channel, member))
}

/// The calling user leaves.
///
/// # Errors
/// 20404; 50400 when it is not a member; 50107 when its role does not allow it. Outside of user calls: 20403.
pub async fn leave(ctx: &Ctx, channel: &ChannelRef) -> Result<()> {
    let Caller::User { identity, .. } = &ctx.caller else {
        return Err(ErrorCode::Forbidden.into());
    };
    let own = MemberRef::Identity(identity.as_str().to_owned());
    channels::access(ctx, ctx.reader(), channel).await?.membership()?;
    delete(ctx, channel, &own).await
}
