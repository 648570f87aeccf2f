//! Editing and removing messages.

use sea_orm::{ActiveModelTrait, ColumnTrait, ConnectionTrait, IntoActiveModel, QueryFilter, QueryOrder};

use super::{missing, scoped};
use crate::{
    attribute_indexes::upkeep,
    audit::Edit,
    change::Change,
    channels::{self, Access},
    ctx::Ctx,
    entities::message,
    error::{ErrorCode, Result},
    events::{EventKind, Resource},
    input::{self, ChannelRef},
    permissions::Permission,
    pre_events::{self, PreEvent},
    sid::MessageSid,
    timestamp::Timestamp,
};

/// What to change of a message; `None` leaves it as it is.
#[derive(Debug, Clone, Default)]
pub struct UpdateMessage {
    /// The text.
    pub body: Option<String>,
    /// JSON text.
    pub attributes: Option<String>,
    /// For imports.
    pub date_created: Option<Timestamp>,
    /// For imports.
    pub date_updated: Option<Timestamp>,
    /// For imports; the caller otherwise.
    pub last_updated_by: Option<String>,
    /// For imports.
    pub from: Option<String>,
}

/// Edits a message.
///
/// # Errors
/// 20404; 20161 when a user changes nothing; 50107 when the caller's roles do not allow it; the code of the field that
/// is wrong.
pub async fn update(
    ctx: &Ctx,
    channel: &ChannelRef,
    id: MessageSid,
    update: UpdateMessage,
) -> Result<message::Model> {
    let is_change = update.body.is_some() || update.attributes.is_some();
    ctx.require_change(is_change, "Body or Attributes")?;
    let mut amended = update.clone();
    if let Some(due) = pre_events::due(ctx, pre_events::MESSAGE_UPDATE).await? {
        let mut rehearsal = Change::begin(ctx).await?;
        let row = edit(ctx, &mut rehearsal, channel, id, &update, &update).await?;
        rehearsal.abandon().await?;
        let amendments = due.ask(ctx, PreEvent::message_update(ctx, &row)).await?;
        amendments.put("body", &mut amended.body);
        amendments.put("attributes", &mut amended.attributes);
    }
    let mut change = Change::begin(ctx).await?;
    let row = edit(ctx, &mut change, channel, id, &update, &amended).await?;
    change.commit().await?;
    Ok(row)
}

/// Passes when the caller may edit what it asks for.
fn may_edit(ctx: &Ctx, access: &Access, message: &message::Model, asked: &UpdateMessage) -> Result<()> {
    let own = ctx
        .caller
        .identity()
        .is_some_and(|identity| identity.as_str() == message.author);
    for (is_asked, own_right, any_right) in [
        (
            asked.body.is_some(),
            Permission::EditOwnMessage,
            Permission::EditAnyMessage,
        ),
        (
            asked.attributes.is_some(),
            Permission::EditOwnMessageAttributes,
            Permission::EditAnyMessageAttributes,
        ),
    ] {
        match (is_asked, own) {
            (false, _) => {}
            (true, true) => access.require_either(own_right, any_right)?,
            (true, false) => access.require(any_right)?,
        }
    }
    Ok(())
}

/// Edits a message within the change: the caller's rights are for what it `asked`, the rules for what that has become.
async fn edit(
    ctx: &Ctx,
    change: &mut Change<'_>,
    channel: &ChannelRef,
    id: MessageSid,
    asked: &UpdateMessage,
    update: &UpdateMessage,
) -> Result<message::Model> {
    let access = channels::lock_access(ctx, &change.tx, channel).await?;
    access.may_read()?;
    let mut row = super::find(&change.tx, ctx.scope(), access.channel.id, id)
        .await?
        .ok_or_else(|| missing(ctx, channel, id))?;
    let before = row.clone();
    may_edit(ctx, &access, &row, asked)?;
    if let Some(body) = &update.body {
        row.body = Some(input::body(body)?);
    }
    if let Some(text) = &update.attributes {
        row.attributes = input::attributes(text)?;
    }
    if let Some(from) = ctx.imported(update.from.as_ref()) {
        row.author = input::author("From", from, ErrorCode::AuthorTooLong)?;
    }
    if let Some(date) = ctx.imported(update.date_created) {
        row.date_created = date;
    }
    row.last_updated_by = Some(match ctx.imported(update.last_updated_by.as_ref()) {
        Some(editor) => input::author("LastUpdatedBy", editor, ErrorCode::LastUpdatedByTooLong)?,
        None => ctx.caller.actor().to_owned(),
    });
    row.was_edited = true;
    row.date_updated = ctx.imported(update.date_updated).unwrap_or_else(Timestamp::now);
    let row = row.into_active_model().reset_all().update(&change.tx).await?;
    if update.attributes.is_some() {
        upkeep::changed(&change.tx, &row).await?;
    }
    let mut channel = access.channel;
    change
        .record(&mut channel, EventKind::MessageUpdated, |_| {
            Resource::Message(Box::new(row.clone()))
        })
        .await?;
    channels::store(&change.tx, &channel).await?;
    change.audit(Edit::Updated {
        before: &before,
        after: &row,
    })?;
    Ok(row)
}

/// Removes a message. Its row stays, unseen, as the record of its arrival until the event log is trimmed; its
/// client id is free again.
///
/// # Errors
/// 20404; 50107 when the caller's roles do not allow it.
pub async fn remove(ctx: &Ctx, channel: &ChannelRef, id: MessageSid) -> Result<()> {
    if let Some(due) = pre_events::due(ctx, pre_events::MESSAGE_REMOVE).await? {
        ctx.caller.may_write()?;
        let access = channels::access(ctx, ctx.reader(), channel).await?;
        let row = removable(ctx, ctx.reader(), channel, &access, id).await?;
        due.ask(ctx, PreEvent::message_remove(ctx, &row)).await?;
    }
    let mut change = Change::begin(ctx).await?;
    let access = channels::lock_access(ctx, &change.tx, channel).await?;
    let mut row = removable(ctx, &change.tx, channel, &access, id).await?;
    change.audit(Edit::Deleted(&row))?;
    let mut channel = access.channel;
    let shown = row.clone();
    change
        .record(&mut channel, EventKind::MessageRemoved, |_| {
            Resource::Message(Box::new(shown))
        })
        .await?;
    row.removed_at = Some(channel.last_event_at);
    row.client_id = None;
    let row = row.into_active_model().reset_all().update(&change.tx).await?;
    upkeep::removed(&change.tx, &row).await?;
    channel.messages_count -= 1;
    if channel.last_message_id == Some(row.id) {
        let before = scoped(ctx.scope(), channel.id)
            .filter(message::Column::Idx.lt(row.idx))
            .order_by_desc(message::Column::Idx)
            .one(&change.tx)
            .await?;
        channel.last_message_id = before.as_ref().map(|message| message.id);
        channel.last_message_at = before.map(|message| message.date_created);
        channels::relist(&mut channel);
    }
    channels::store(&change.tx, &channel).await?;
    change.commit().await
}

/// The message, when the caller may remove it.
async fn removable(
    ctx: &Ctx,
    db: &impl ConnectionTrait,
    channel: &ChannelRef,
    access: &Access,
    id: MessageSid,
) -> Result<message::Model> {
    access.may_read()?;
    let row = super::find(db, ctx.scope(), access.channel.id, id)
        .await?
        .ok_or_else(|| missing(ctx, channel, id))?;
    if ctx
        .caller
        .identity()
        .is_some_and(|identity| identity.as_str() == row.author)
    {
        access.require_either(Permission::DeleteOwnMessage, Permission::DeleteAnyMessage)?;
    } else {
        access.require(Permission::DeleteAnyMessage)?;
    }
    Ok(row)
}
