//! What a caller may do in one channel. REST with account credentials may do everything; a user what its service
//! role and, as a member, its channel role allow; an operator of the channel's pool what its creator may.

use sea_orm::ConnectionTrait;

use crate::{
    ctx::{Caller, Ctx},
    entities::{channel, invite, member},
    error::{Error, ErrorCode, Result},
    input::{ChannelRef, MemberRef},
    invites, members, operator_pools,
    permissions::{Permission, Permissions},
    roles,
    sid::RoleSid,
    users,
};

/// A caller's standing in a channel.
#[derive(Debug, Clone)]
pub struct Access {
    /// The channel.
    pub channel: channel::Model,
    /// The caller's membership, if it is a member.
    pub member: Option<member::Model>,
    /// The caller's invite, if it is no member and invited to become one.
    pub invite: Option<invite::Model>,
    /// Whether the caller is an operator of the channel's pool.
    pub operator: bool,
    /// The rights of a user; `None` for a backend, which has them all.
    rights: Option<Permissions>,
}

impl Access {
    /// The standing of a user who is about to make the channel.
    pub(super) fn of_creator(channel: channel::Model, rights: Permissions) -> Self {
        Self {
            channel,
            member: None,
            invite: None,
            operator: false,
            rights: Some(rights),
        }
    }

    /// Passes when the caller has the right.
    ///
    /// # Errors
    /// 50400 when only members can have it and the caller is none, otherwise 50107 with the permission's name.
    pub fn require(&self, permission: Permission) -> Result<()> {
        match self.rights {
            None => Ok(()),
            Some(rights) if rights.has(permission) => Ok(()),
            Some(_)
                if self.member.is_none()
                    && !self.operator
                    && permission.scope() == crate::permissions::PermissionScope::Channel =>
            {
                Err(ErrorCode::NotAMember.into())
            }
            Some(_) => Err(Error::lacks(permission.name())),
        }
    }

    /// Passes when the caller has either right; the first is named when it has neither.
    ///
    /// # Errors
    /// As [`Access::require`].
    pub fn require_either(&self, first: Permission, second: Permission) -> Result<()> {
        self.require(first)
            .or_else(|refusal| self.require(second).map_err(|_| refusal))
    }

    /// The caller's membership.
    ///
    /// # Errors
    /// 50400 when it is not a member.
    pub fn membership(&self) -> Result<&member::Model> {
        self.member.as_ref().ok_or_else(|| ErrorCode::NotAMember.into())
    }

    /// Passes when the caller may see the channel itself: a backend, a member, an operator of its pool, who is invited,
    /// or anybody when it is public.
    ///
    /// # Errors
    /// 50400.
    pub fn may_see(&self) -> Result<()> {
        if self.invite.is_some() || self.channel.kind == super::PUBLIC {
            Ok(())
        } else {
            self.may_read()
        }
    }

    /// Passes when the caller may give a membership this role: it allows nothing that neither the caller may nor the
    /// service's default role allows. So nobody gets more rights by an alias or a friend.
    ///
    /// # Errors
    /// 50205.
    pub(crate) async fn may_give(&self, ctx: &Ctx, db: &impl ConnectionTrait, role: RoleSid) -> Result<()> {
        let Some(rights) = self.rights else {
            return Ok(());
        };
        let default = ctx.service.default_channel_role_id;
        let free = roles::permissions(db, ctx.scope(), default).await?;
        let given = roles::permissions(db, ctx.scope(), role).await?;
        if rights.union(free).union(given) == rights.union(free) {
            Ok(())
        } else {
            Err(Error::with(
                ErrorCode::RoleNotSettable,
                format!("User may not set a role: RoleSid {role} allows more than the user itself may do"),
            ))
        }
    }

    /// Passes when the caller may change the channel's case: a backend, or an operator of its pool.
    ///
    /// # Errors
    /// 50400 when it is no member either, otherwise 50107.
    pub fn may_attend(&self) -> Result<()> {
        if self.rights.is_none() || self.operator {
            return Ok(());
        }
        self.membership()?;
        Err(Error::with(
            ErrorCode::NotAuthorized,
            "User not authorized for command: only operators of the channel's pool may change its case",
        ))
    }

    /// Passes when the caller may read what is said in it: a backend, a member or an operator of its pool.
    ///
    /// # Errors
    /// 50400.
    pub fn may_read(&self) -> Result<()> {
        if self.rights.is_none() || self.member.is_some() || self.operator {
            Ok(())
        } else {
            Err(ErrorCode::NotAMember.into())
        }
    }
}

/// The caller's standing in the channel.
///
/// # Errors
/// 20404 when there is no such channel.
pub async fn access(ctx: &Ctx, db: &impl ConnectionTrait, channel: &ChannelRef) -> Result<Access> {
    let found = super::find(db, ctx.scope(), channel)
        .await?
        .ok_or_else(|| super::missing(ctx, channel))?;
    of(ctx, db, found).await
}

/// Locks the channel and answers the caller's standing in it.
///
/// # Errors
/// 20404 when there is no such channel.
pub(crate) async fn lock_access(
    ctx: &Ctx,
    db: &impl ConnectionTrait,
    channel: &ChannelRef,
) -> Result<Access> {
    let locked = super::lock(db, ctx.scope(), channel)
        .await?
        .ok_or_else(|| super::missing(ctx, channel))?;
    of(ctx, db, locked).await
}

async fn of(ctx: &Ctx, db: &impl ConnectionTrait, channel: channel::Model) -> Result<Access> {
    let Caller::User { identity, .. } = &ctx.caller else {
        return Ok(Access {
            channel,
            member: None,
            invite: None,
            operator: false,
            rights: None,
        });
    };
    let own = MemberRef::Identity(identity.as_str().to_owned());
    let member = members::find(db, ctx.scope(), channel.id, &own).await?;
    let invite = match &member {
        Some(_) => None,
        None => invites::find(db, ctx.scope(), channel.id, identity.as_str()).await?,
    };
    let mut rights = users::rights(db, ctx.scope(), identity.as_str()).await?;
    if let Some(member) = &member {
        rights = rights.union(roles::permissions(db, ctx.scope(), member.role_id).await?);
    }
    let operator = match channel.pool_id {
        Some(pool) => operator_pools::is_operator(db, ctx.scope(), pool, identity.as_str()).await?,
        None => false,
    };
    if operator {
        // What whoever made a channel may do in it.
        let role = ctx.service.default_channel_creator_role_id;
        rights = rights.union(roles::permissions(db, ctx.scope(), role).await?);
    }
    Ok(Access {
        channel,
        member,
        invite,
        operator,
        rights: Some(rights),
    })
}
