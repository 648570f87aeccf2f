//! Invites: a user that is invited to a channel may see it and become a member of it, private or not.

mod answers;
mod view;

use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, DbErr, EntityTrait, IntoActiveModel, QueryFilter, Select,
};

pub use answers::{accept, decline};
pub use view::{InviteView, view};

use crate::{
    audit::Edit,
    change::Change,
    channels::{self, Access},
    ctx::Ctx,
    db::is_duplicate,
    entities::{channel, invite},
    error::{Error, ErrorCode, Result},
    events::{EventKind, Resource},
    input::{ChannelRef, Identity, MemberRef, UserRef},
    members,
    paging::{self, Key, Order, Page, PageRequest},
    permissions::Permission,
    roles,
    sid::{ChannelSid, InviteSid, ServiceSid},
    timestamp::Timestamp,
    users,
};

fn scoped(service: ServiceSid, channel: ChannelSid) -> Select<invite::Entity> {
    invite::Entity::find()
        .filter(invite::Column::ServiceId.eq(service))
        .filter(invite::Column::ChannelId.eq(channel))
}

/// The user's invite to the channel, if there is one.
///
/// # Errors
/// Whatever the database refuses.
pub async fn find(
    db: &impl ConnectionTrait,
    service: ServiceSid,
    channel: ChannelSid,
    identity: &str,
) -> Result<Option<invite::Model>> {
    // Without a limit, as for members.
    Ok(scoped(service, channel)
        .filter(invite::Column::Identity.eq(identity))
        .all(db)
        .await?
        .pop())
}

fn missing(ctx: &Ctx, channel: &ChannelRef, id: impl std::fmt::Display) -> Error {
    ctx.not_found(format_args!("Channels/{channel}/Invites/{id}"))
}

/// The invites of the channel that the caller may see: all of them, or its own when it is invited itself.
fn visible(ctx: &Ctx, access: &Access) -> Result<Select<invite::Entity>> {
    let all = scoped(ctx.scope(), access.channel.id);
    match &access.invite {
        Some(own) => Ok(all.filter(invite::Column::Id.eq(own.id))),
        None => access.may_read().map(|()| all),
    }
}

/// The channel's invite of this SID.
///
/// # Errors
/// 20404 when there is no such channel or invite; 50400 when the caller is neither a member nor invited.
pub async fn get(ctx: &Ctx, channel: &ChannelRef, id: InviteSid) -> Result<invite::Model> {
    let access = channels::access(ctx, ctx.reader(), channel).await?;
    visible(ctx, &access)?
        .filter(invite::Column::Id.eq(id))
        .one(ctx.reader())
        .await?
        .ok_or_else(|| missing(ctx, channel, id))
}

/// The channel's invites, oldest first; those of `identities` only, when any are given.
///
/// # Errors
/// 20404 when there is no such channel; 50400 when the caller is neither a member nor invited.
pub async fn list(
    ctx: &Ctx,
    channel: &ChannelRef,
    identities: &[String],
    request: &PageRequest,
) -> Result<Page<invite::Model>> {
    let access = channels::access(ctx, ctx.reader(), channel).await?;
    let mut select = visible(ctx, &access)?;
    if !identities.is_empty() {
        select = select.filter(invite::Column::Identity.is_in(identities));
    }
    paging::fetch(
        ctx.reader(),
        select,
        invite::Column::Id,
        Order::Ascending,
        request,
        |row: &invite::Model| Key::Uuid(row.id.0),
    )
    .await
}

/// An invite to make.
#[derive(Debug, Clone)]
pub struct NewInvite {
    /// Who: a user that exists.
    pub identity: Identity,
    /// The role that it will have: of type `channel`; the service's default otherwise.
    pub role_sid: Option<String>,
}

/// Invites a user, and tells it.
///
/// # Errors
/// 20404 when there is no such channel or user; 50404 when the user is a member, 50212 when it is invited already;
/// 50107 when the caller's roles do not allow it, 50205 when the role allows more than the caller may.
pub async fn create(ctx: &Ctx, channel: &ChannelRef, new: NewInvite) -> Result<invite::Model> {
    let mut change = Change::begin(ctx).await?;
    let access = channels::lock_access(ctx, &change.tx, channel).await?;
    access.require(Permission::InviteMember)?;
    let role_id = match &new.role_sid {
        Some(sid) => {
            let role = roles::of_kind(&change.tx, ctx.scope(), sid, roles::CHANNEL)
                .await?
                .id;
            access.may_give(ctx, &change.tx, role).await?;
            role
        }
        None => ctx.service.default_channel_role_id,
    };
    let channel_row = access.channel;
    let identity = new.identity.as_str();
    // Held, so that the user cannot be deleted while it is invited.
    users::lock(&change.tx, ctx.scope(), &UserRef::Identity(identity.to_owned()))
        .await?
        .ok_or_else(|| unknown_user(ctx, channel, identity))?;
    let member = MemberRef::Identity(identity.to_owned());
    if members::find(&change.tx, ctx.scope(), channel_row.id, &member)
        .await?
        .is_some()
    {
        return Err(ErrorCode::MemberExists.into());
    }
    if find(&change.tx, ctx.scope(), channel_row.id, identity)
        .await?
        .is_some()
    {
        return Err(ErrorCode::AlreadyInvited.into());
    }
    let now = Timestamp::now();
    let row = invite::Model {
        service_id: ctx.scope(),
        channel_id: channel_row.id,
        id: InviteSid::generate(),
        identity: identity.to_owned(),
        role_id,
        created_by: ctx.caller.actor().to_owned(),
        date_created: now,
        date_updated: now,
    };
    let row = row
        .into_active_model()
        .insert(&change.tx)
        .await
        .map_err(|error| {
            if is_duplicate(&error, &["uq_invites_identity", "invites.identity"]) {
                ErrorCode::AlreadyInvited.into()
            } else {
                Error::from(error)
            }
        })?;
    change.tell(
        EventKind::ChannelInvited,
        Resource::Invitation {
            channel: Box::new(channel_row),
            identity: row.identity.clone(),
        },
    );
    change.audit(Edit::Created(&row))?;
    change.commit().await?;
    Ok(row)
}

fn unknown_user(ctx: &Ctx, channel: &ChannelRef, identity: &str) -> Error {
    Error::with(
        ErrorCode::NotFound,
        format!(
            "The requested resource /Services/{}/Channels/{channel}/Invites was not found: there is no user with the \
             Identity '{identity}'; create the user first",
            ctx.scope()
        ),
    )
}

/// Takes an invite back. The invited user may do so too, and others who may invite. Nobody is told.
///
/// # Errors
/// 20404; 50107 when the caller's roles do not allow it.
pub async fn delete(ctx: &Ctx, channel: &ChannelRef, id: InviteSid) -> Result<()> {
    let mut change = Change::begin(ctx).await?;
    let access = channels::lock_access(ctx, &change.tx, channel).await?;
    if access.invite.as_ref().is_none_or(|own| own.id != id) {
        access.require(Permission::InviteMember)?;
    }
    let invite = scoped(ctx.scope(), access.channel.id)
        .filter(invite::Column::Id.eq(id))
        .one(&change.tx)
        .await?
        .ok_or_else(|| missing(ctx, channel, id))?;
    remove(&change.tx, &invite).await?;
    change.audit(Edit::Deleted(&invite))?;
    change.commit().await
}

async fn remove(db: &impl ConnectionTrait, invite: &invite::Model) -> Result<(), DbErr> {
    invite::Entity::delete_by_id((invite.service_id, invite.channel_id, invite.id))
        .exec(db)
        .await
        .map(|_| ())
}

/// Removes the invites of these users to a locked channel, as far as there are any: they become members.
///
/// # Errors
/// Whatever the database refuses.
pub(crate) async fn fulfil<'i>(
    db: &impl ConnectionTrait,
    channel: &channel::Model,
    identities: impl IntoIterator<Item = &'i str>,
) -> Result<(), DbErr> {
    invite::Entity::delete_many()
        .filter(invite::Column::ServiceId.eq(channel.service_id))
        .filter(invite::Column::ChannelId.eq(channel.id))
        .filter(invite::Column::Identity.is_in(identities))
        .exec(db)
        .await
        .map(|_| ())
}

/// Removes every invite to a channel.
///
/// # Errors
/// Whatever the database refuses.
pub(crate) async fn delete_of_channel(
    db: &impl ConnectionTrait,
    service: ServiceSid,
    channel: ChannelSid,
) -> Result<(), DbErr> {
    invite::Entity::delete_many()
        .filter(invite::Column::ServiceId.eq(service))
        .filter(invite::Column::ChannelId.eq(channel))
        .exec(db)
        .await
        .map(|_| ())
}

/// Removes every invite of a user.
///
/// # Errors
/// Whatever the database refuses.
pub(crate) async fn delete_of_user(
    db: &impl ConnectionTrait,
    service: ServiceSid,
    identity: &str,
) -> Result<(), DbErr> {
    invite::Entity::delete_many()
        .filter(invite::Column::ServiceId.eq(service))
        .filter(invite::Column::Identity.eq(identity))
        .exec(db)
        .await
        .map(|_| ())
}
