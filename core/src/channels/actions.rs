//! Making, changing and deleting channels.

use sea_orm::{
    ActiveModelTrait, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter,
    sea_query::{Expr, ExprTrait, Query},
};

use super::{Access, PRIVATE, PUBLIC, lock_access, relist, store};
use crate::{
    attribute_indexes::upkeep,
    audit::Edit,
    change::Change,
    channel_webhooks,
    ctx::Ctx,
    db::is_duplicate,
    desk::{self, CaseUpdate},
    entities::{channel, member, user},
    error::{Error, ErrorCode, Result},
    events::{EventKind, Resource},
    input::{self, ChannelRef},
    invites,
    members::{self, Joining, NewMember, Roles},
    permissions::Permission,
    pre_events::{self, PreEvent},
    roles,
    sid::ChannelSid,
    timestamp::Timestamp,
    users,
};

/// A channel to make.
#[derive(Debug, Clone, Default)]
pub struct NewChannel {
    /// A name for people.
    pub friendly_name: Option<String>,
    /// A name to address it by.
    pub unique_name: Option<String>,
    /// JSON text.
    pub attributes: Option<String>,
    /// `public` (the default) or `private`.
    pub kind: Option<String>,
    /// For imports.
    pub date_created: Option<Timestamp>,
    /// For imports.
    pub date_updated: Option<Timestamp>,
    /// For imports; the caller otherwise.
    pub created_by: Option<String>,
}

fn taken(error: sea_orm::DbErr) -> Error {
    if is_duplicate(&error, &["uq_channels_unique_name", "channels.unique_name"]) {
        ErrorCode::UniqueNameTaken.into()
    } else {
        error.into()
    }
}

/// Makes a channel and announces it. A user who makes one becomes its first member, with the creator's role.
///
/// # Errors
/// 50307 when the service has a channel of that unique name; 50107 when the caller's role does not allow it; the code
/// of the field that is wrong.
pub async fn create(ctx: &Ctx, new: NewChannel) -> Result<channel::Model> {
    create_with(ctx, &new, Vec::new()).await
}

/// Makes a channel together with its members, or not at all.
///
/// # Errors
/// As [`create`], and as [`members::create`] for each member.
pub(super) async fn create_with(
    ctx: &Ctx,
    new: &NewChannel,
    others: Vec<NewMember>,
) -> Result<channel::Model> {
    if let Some(creator) = ctx.caller.identity() {
        // Makes the user when its token is the first that names it.
        users::log_in(ctx, creator).await?;
    }
    let mut amended = new.clone();
    if let Some(due) = pre_events::due(ctx, pre_events::CHANNEL_ADD).await? {
        let mut rehearsal = Change::begin(ctx).await?;
        let row = make(ctx, &mut rehearsal, new, others.clone()).await?;
        rehearsal.abandon().await?;
        let amendments = due.ask(ctx, PreEvent::channel_add(ctx, &row)).await?;
        amendments.put("friendly_name", &mut amended.friendly_name);
        amendments.put("unique_name", &mut amended.unique_name);
        amendments.put("attributes", &mut amended.attributes);
    }
    let mut change = Change::begin(ctx).await?;
    let row = make(ctx, &mut change, &amended, others).await?;
    change.commit().await?;
    Ok(row)
}

/// Makes a channel and its members within the change.
async fn make(
    ctx: &Ctx,
    change: &mut Change<'_>,
    new: &NewChannel,
    others: Vec<NewMember>,
) -> Result<channel::Model> {
    let mut row = new_row(ctx, new)?;
    let creator = ctx.caller.identity();
    let mut joining = Vec::with_capacity(others.len() + 1);
    if let Some(creator) = creator {
        let role = ctx.service.default_channel_creator_role_id;
        let rights = users::rights(&change.tx, ctx.scope(), creator.as_str()).await?;
        if !rights.has(Permission::CreateChannel) {
            return Err(Error::lacks(Permission::CreateChannel.name()));
        }
        let rights = rights.union(roles::permissions(&change.tx, ctx.scope(), role).await?);
        let access = Access::of_creator(row.clone(), rights);
        for other in others.iter().filter(|other| other.identity != *creator) {
            access.require(Permission::AddMember)?;
            if let Some(sid) = &other.role_sid {
                let given = roles::of_kind(&change.tx, ctx.scope(), sid, roles::CHANNEL).await?;
                access.may_give(ctx, &change.tx, given.id).await?;
            }
        }
        joining.push(Ok(Joining {
            new: NewMember::new(creator.clone()),
            role,
        }));
    }
    let mut roles = Roles::default();
    for new in others {
        if Some(&new.identity) != creator {
            let role = roles.of(ctx, change, &row, &new).await?;
            joining.push(Ok(Joining { new, role }));
        }
    }
    // Recorded first, so that the row goes in with its `last_seq`.
    change
        .record(&mut row, EventKind::ChannelAdded, |row| {
            Resource::Channel(Box::new(row.clone()))
        })
        .await?;
    let mut row = row.into_active_model().insert(&change.tx).await.map_err(taken)?;
    upkeep::added(&change.tx, [&row]).await?;
    if !joining.is_empty() {
        for joined in members::begin_all(ctx, change, &mut row, joining).await? {
            change.audit(Edit::Created(&joined?))?;
        }
    }
    change.audit(Edit::Created(&row))?;
    Ok(row)
}

/// The row of a channel to be.
pub(super) fn new_row(ctx: &Ctx, new: &NewChannel) -> Result<channel::Model> {
    let now = Timestamp::now();
    let kind = match new.kind.as_deref() {
        None | Some("" | PUBLIC) => PUBLIC,
        Some(PRIVATE) => PRIVATE,
        Some(_) => return Err(Error::parameter("Type", "must be public or private")),
    };
    let created_by = match ctx.imported(new.created_by.as_deref()) {
        Some(author) => input::author("CreatedBy", author, ErrorCode::AuthorTooLong)?,
        None => ctx.caller.actor().to_owned(),
    };
    let date_created = ctx.imported(new.date_created).unwrap_or(now);
    Ok(channel::Model {
        service_id: ctx.scope(),
        id: ChannelSid::generate(),
        unique_name: new.unique_name.as_deref().map_or(Ok(None), input::unique_name)?,
        friendly_name: new
            .friendly_name
            .as_deref()
            .map_or(Ok(None), input::friendly_name)?,
        attributes: input::attributes(new.attributes.as_deref().unwrap_or_default())?,
        kind: kind.to_owned(),
        created_by,
        members_count: 0,
        messages_count: 0,
        next_index: 0,
        last_seq: 0,
        last_event_at: now,
        last_message_id: None,
        last_message_at: None,
        listed_at: date_created,
        webhooks: 0,
        campaign_id: None,
        case_state: None,
        assignee: None,
        pool_id: None,
        snoozed_until: None,
        pool_read_index: None,
        pool_event_at: None,
        deleted_at: None,
        date_created,
        date_updated: ctx.imported(new.date_updated).unwrap_or(date_created),
    })
}

/// What to change of a channel; `None` leaves it as it is.
#[derive(Debug, Clone, Default)]
pub struct UpdateChannel {
    /// Empty clears it.
    pub friendly_name: Option<String>,
    /// Empty clears it.
    pub unique_name: Option<String>,
    /// JSON text.
    pub attributes: Option<String>,
    /// For imports.
    pub date_created: Option<Timestamp>,
    /// For imports.
    pub date_updated: Option<Timestamp>,
    /// For imports.
    pub created_by: Option<String>,
    /// Its case.
    pub case: CaseUpdate,
}

/// Changes a channel.
///
/// # Errors
/// 20404, 50307; 20161 when a user changes nothing; 50107 when the caller's roles do not allow it; the code of the field that is wrong.
pub async fn update(ctx: &Ctx, channel: &ChannelRef, update: UpdateChannel) -> Result<channel::Model> {
    let is_change = update.friendly_name.is_some()
        || update.unique_name.is_some()
        || update.attributes.is_some()
        || !update.case.is_nothing();
    ctx.require_change(is_change, "FriendlyName, UniqueName, Attributes or its case")?;
    let mut amended = update.clone();
    if let Some(due) = pre_events::due(ctx, pre_events::CHANNEL_UPDATE).await? {
        let mut rehearsal = Change::begin(ctx).await?;
        let row = edit(ctx, &mut rehearsal, channel, &update, &update).await?;
        rehearsal.abandon().await?;
        let amendments = due.ask(ctx, PreEvent::channel_update(ctx, &row)).await?;
        amendments.put("friendly_name", &mut amended.friendly_name);
        amendments.put("unique_name", &mut amended.unique_name);
        amendments.put("attributes", &mut amended.attributes);
    }
    let mut change = Change::begin(ctx).await?;
    let row = edit(ctx, &mut change, channel, &update, &amended).await?;
    change.commit().await?;
    Ok(row)
}

/// Changes a channel within the change: the caller's rights are for what it `asked`, the rules for what that has become.
async fn edit(
    ctx: &Ctx,
    change: &mut Change<'_>,
    channel: &ChannelRef,
    asked: &UpdateChannel,
    update: &UpdateChannel,
) -> Result<channel::Model> {
    let access = lock_access(ctx, &change.tx, channel).await?;
    if asked.friendly_name.is_some() || asked.unique_name.is_some() {
        access.require(Permission::EditChannelName)?;
    }
    if asked.attributes.is_some() {
        access.require(Permission::EditChannelAttributes)?;
    }
    if !asked.case.is_nothing() {
        access.may_attend()?;
    }
    let before = access.channel;
    let mut row = before.clone();
    if let Some(name) = &update.friendly_name {
        row.friendly_name = input::friendly_name(name)?;
    }
    if let Some(name) = &update.unique_name {
        row.unique_name = input::unique_name(name)?;
    }
    if let Some(text) = &update.attributes {
        row.attributes = input::attributes(text)?;
    }
    if let Some(author) = ctx.imported(update.created_by.as_ref()) {
        row.created_by = input::author("CreatedBy", author, ErrorCode::AuthorTooLong)?;
    }
    if let Some(date) = ctx.imported(update.date_created) {
        row.date_created = date;
        relist(&mut row);
    }
    desk::apply(ctx, &change.tx, &mut row, &update.case).await?;
    row.date_updated = ctx.imported(update.date_updated).unwrap_or_else(Timestamp::now);
    change.record_turn(&mut row, &before).await?;
    store(&change.tx, &row).await.map_err(taken)?;
    if update.attributes.is_some() {
        upkeep::changed(&change.tx, &row).await?;
    }
    change.audit(Edit::Updated {
        before: &before,
        after: &row,
    })?;
    Ok(row)
}

/// Deletes a channel. Its name is free at once and nothing of it can be reached any more; the rows stay until the
/// event log is trimmed, so that members who come back hear of its end.
///
/// # Errors
/// 20404; 50107 when the caller's roles do not allow it.
pub async fn delete(ctx: &Ctx, channel: &ChannelRef) -> Result<()> {
    if let Some(due) = pre_events::due(ctx, pre_events::CHANNEL_DESTROY).await? {
        ctx.caller.may_write()?;
        let access = super::access(ctx, ctx.reader(), channel).await?;
        access.require(Permission::DestroyChannel)?;
        due.ask(ctx, PreEvent::channel_destroy(ctx, &access.channel))
            .await?;
    }
    let mut change = Change::begin(ctx).await?;
    let access = lock_access(ctx, &change.tx, channel).await?;
    access.require(Permission::DestroyChannel)?;
    let before = access.channel;
    change.audit(Edit::Deleted(&before))?;
    let mut row = before.clone();
    // Its case ends with it: no desk lists it and no timer wakes it.
    row.pool_id = None;
    row.assignee = None;
    row.snoozed_until = None;
    change
        .record_as(EventKind::ChannelRemoved, &mut row, &before)
        .await?;
    row.unique_name = None;
    row.deleted_at = Some(row.last_event_at);
    store(&change.tx, &row).await?;
    upkeep::channel_removed(&change.tx, &row).await?;
    invites::delete_of_channel(&change.tx, ctx.scope(), row.id).await?;
    channel_webhooks::delete_of_channel(&change.tx, ctx.scope(), row.id).await?;
    user::Entity::update_many()
        .col_expr(
            user::Column::JoinedChannelsCount,
            Expr::col(user::Column::JoinedChannelsCount).sub(1),
        )
        .filter(user::Column::ServiceId.eq(ctx.scope()))
        .filter(
            user::Column::Identity.in_subquery(
                Query::select()
                    .column(member::Column::Identity)
                    .from(member::Entity)
                    .and_where(member::Column::ServiceId.eq(ctx.scope()))
                    .and_where(member::Column::ChannelId.eq(row.id))
                    .to_owned(),
            ),
        )
        .exec(&change.tx)
        .await?;
    change.commit().await
}
