//! Changing and deleting users.

use sea_orm::{ActiveModelTrait, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter};

use super::{Reach, UserNews, get, lock, rights};
use crate::{
    attribute_indexes::upkeep,
    audit::Edit,
    bindings,
    change::Change,
    channels,
    ctx::Ctx,
    entities::user,
    error::{Error, ErrorCode, Result},
    events::{EventKind, Resource, publisher::Control},
    input::{self, Identity, UserRef},
    invites, members, operator_pools,
    permissions::Permission,
    pre_events::{self, PreEvent},
    presence, roles,
    timestamp::Timestamp,
};

/// What to change of a user; `None` leaves it as it is.
#[derive(Debug, Clone, Default)]
pub struct UpdateUser {
    /// A role of type `deployment`.
    pub role_sid: Option<String>,
    /// Empty clears it.
    pub friendly_name: Option<String>,
    /// JSON text.
    pub attributes: Option<String>,
}

/// A backend may change everything of a user; a user what its role allows, its role never.
async fn may_update(ctx: &Ctx, change: &Change<'_>, user: &user::Model, update: &UpdateUser) -> Result<()> {
    let Some(identity) = ctx.caller.identity() else {
        return Ok(());
    };
    if update.role_sid.is_some() {
        return Err(ErrorCode::RoleNotSettable.into());
    }
    let rights = rights(&change.tx, ctx.scope(), identity.as_str()).await?;
    let own = identity.as_str() == user.identity;
    if rights.has(Permission::EditAnyUserInfo) || own && rights.has(Permission::EditOwnUserInfo) {
        return Ok(());
    }
    let lacking = if own {
        Permission::EditOwnUserInfo
    } else {
        Permission::EditAnyUserInfo
    };
    Err(Error::lacks(lacking.name()))
}

/// Changes a user.
///
/// # Errors
/// 20404; 50107 when the caller's role does not allow it; the code of the field that is wrong.
pub async fn update(ctx: &Ctx, user: &UserRef, mut update: UpdateUser) -> Result<user::Model> {
    if let Some(due) = pre_events::due(ctx, pre_events::USER_UPDATE).await? {
        let mut rehearsal = Change::begin(ctx).await?;
        let news = edit(ctx, &mut rehearsal, user, &update).await?;
        rehearsal.abandon().await?;
        let amendments = due.ask(ctx, PreEvent::user_update(ctx, &news)).await?;
        amendments.put("friendly_name", &mut update.friendly_name);
        amendments.put("attributes", &mut update.attributes);
    }
    let mut change = Change::begin(ctx).await?;
    let news = edit(ctx, &mut change, user, &update).await?;
    let row = news.user.clone();
    change.tell(EventKind::UserUpdated, Resource::User(Box::new(news)));
    change.commit().await?;
    Ok(row)
}

/// Changes a user within the change, and answers what there is to tell of it.
async fn edit(ctx: &Ctx, change: &mut Change<'_>, user: &UserRef, update: &UpdateUser) -> Result<UserNews> {
    let mut row = lock(&change.tx, ctx.scope(), user)
        .await?
        .ok_or_else(|| ctx.not_found(format_args!("Users/{user}")))?;
    may_update(ctx, change, &row, update).await?;
    let before = row.clone();
    if let Some(sid) = &update.role_sid {
        row.role_id = roles::of_kind(&change.tx, ctx.scope(), sid, roles::DEPLOYMENT)
            .await?
            .id;
    }
    if let Some(name) = &update.friendly_name {
        row.friendly_name = input::friendly_name(name)?;
    }
    if let Some(text) = &update.attributes {
        row.attributes = input::small_attributes(text)?;
    }
    row.date_updated = Timestamp::now();
    let row = row.into_active_model().reset_all().update(&change.tx).await?;
    if update.attributes.is_some() {
        upkeep::changed(&change.tx, &row).await?;
    }
    let reach = Reach::within(&change.tx, ctx, &[&row]).await?;
    let limit = ctx.core.settings.presence_channel_limit;
    let mut channels = presence::shared_channels(&change.tx, &[&row], limit).await?;
    let news = UserNews {
        notifiable: reach.notifiable(&row),
        channels: channels
            .remove(&(row.service_id, row.identity.clone()))
            .unwrap_or_default(),
        of_presence: false,
        user: row.clone(),
    };
    change.audit(Edit::Updated {
        before: &before,
        after: &row,
    })?;
    Ok(news)
}

/// How many memberships one transaction ends.
const LEAVES_AT_ONCE: usize = 50;

/// Deletes a user: its memberships end, each with its event, and so do its sockets. Its messages stay.
/// Memberships end in portions, so that a user of many channels does not hold them all locked; when it fails half
/// way, the user is still there and the call can be repeated.
///
/// # Errors
/// 20404.
pub async fn delete(ctx: &Ctx, user: &UserRef) -> Result<()> {
    ctx.backend_only()?;
    let row = get(ctx, user).await?;
    let mut joined = members::of_user(ctx.reader(), ctx.scope(), &row.identity).await?;
    // In the order of their SIDs: the order in which everybody locks channels.
    joined.sort_unstable_by_key(|member| member.channel_id);
    for portion in joined.chunks(LEAVES_AT_ONCE) {
        let mut change = Change::begin(ctx).await?;
        for member in portion {
            if let Some(mut channel) =
                channels::lock(&change.tx, ctx.scope(), &member.channel_id.into()).await?
            {
                members::end(&mut change, &mut channel, member).await?;
            }
        }
        change.commit().await?;
    }
    let mut change = Change::begin(ctx).await?;
    user::Entity::delete_many()
        .filter(user::Column::ServiceId.eq(ctx.scope()))
        .filter(user::Column::Id.eq(row.id))
        .exec(&change.tx)
        .await?;
    upkeep::removed(&change.tx, &row).await?;
    invites::delete_of_user(&change.tx, ctx.scope(), &row.identity).await?;
    bindings::delete_all_of_user(&change.tx, ctx.scope(), row.id).await?;
    presence::forget(&change.tx, ctx.scope(), Some(&row.identity)).await?;
    operator_pools::delete_of_user(ctx, &mut change, &row.identity).await?;
    if let Ok(identity) = Identity::parse(&row.identity) {
        change.control(Control::UserDeleted {
            service: ctx.scope(),
            identity,
        });
    }
    change.audit(Edit::Deleted(&row))?;
    change.commit().await
}
