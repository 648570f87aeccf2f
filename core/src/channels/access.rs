//! What a caller may do in one channel. REST with account credentials may do everything; a user what its service
//! role and, as a member, its channel role allow.

use sea_orm::ConnectionTrait;

use crate::{
    ctx::{Caller, Ctx},
    entities::{channel, member},
    error::{Error, ErrorCode, Result},
    input::{ChannelRef, MemberRef},
    members,
    permissions::{Permission, Permissions},
    roles, users,
};

/// A caller's standing in a channel.
#[derive(Debug, Clone)]
pub struct Access {
    /// The channel.
    pub channel: channel::Model,
    /// The caller's membership, if it is a member.
    pub member: Option<member::Model>,
    /// The rights of a user; `None` for a backend, which has them all.
    rights: Option<Permissions>,
}

impl Access {
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

    /// Passes when the caller may see the channel itself: a backend, a member, or anybody when it is public.
    ///
    /// # Errors
    /// 50400.
    pub fn may_see(&self) -> Result<()> {
        if self.rights.is_none() || self.member.is_some() || self.channel.kind == super::PUBLIC {
            Ok(())
        } else {
            Err(ErrorCode::NotAMember.into())
        }
    }

    /// Passes when the caller may read what is said in it: a backend or a member.
    ///
    /// # Errors
    /// 50400.
    pub fn may_read(&self) -> Result<()> {
        if self.rights.is_none() || self.member.is_some() {
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
            rights: None,
        });
    };
    let own = MemberRef::Identity(identity.as_str().to_owned());
    let member = members::find(db, ctx.scope(), channel.id, &own).await?;
    let mut rights = users::rights(db, ctx.scope(), identity.as_str()).await?;
    if let Some(member) = &member {
        rights = rights.union(roles::permissions(db, ctx.scope(), member.role_id).await?);
    }
    Ok(Access {
        channel,
        member,
        rights: Some(rights),
    })
}
