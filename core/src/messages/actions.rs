//! Sending, editing and removing messages.

use std::sync::Arc;

use sea_orm::{ActiveModelTrait, ColumnTrait, IntoActiveModel, QueryFilter, QueryOrder};
use sha2::{Digest, Sha256};
use tokio::sync::oneshot;

use super::{missing, scoped, writer::SendRequest};
use crate::{
    attribute_indexes::upkeep,
    audit::Edit,
    change::Change,
    channels,
    ctx::{Caller, Ctx},
    entities::message,
    error::{Error, ErrorCode, Result},
    events::{EventKind, Resource},
    input::{self, ChannelRef, SYSTEM},
    permissions::Permission,
    sid::MessageSid,
    timestamp::Timestamp,
};

/// A message to send.
#[derive(Debug, Clone, Default)]
pub struct NewMessage {
    /// The text.
    pub body: Option<String>,
    /// JSON text.
    pub attributes: Option<String>,
    /// The author, for backends; a user is always the author of what it sends.
    pub from: Option<String>,
    /// The sender's own id: a repeat answers with the first message.
    pub client_id: Option<String>,
    /// A media file.
    pub media_sid: Option<String>,
    /// For imports.
    pub date_created: Option<Timestamp>,
    /// For imports.
    pub date_updated: Option<Timestamp>,
    /// For imports.
    pub last_updated_by: Option<String>,
}

/// A message that is stored.
#[derive(Debug, Clone)]
pub struct Sent {
    /// The message.
    pub message: message::Model,
    /// Whether it had been sent before with the same client id.
    pub replayed: bool,
}

/// Sends a message and waits until it is committed.
///
/// # Errors
/// 20404 when there is no such channel; 50400 or 50107 when the caller may not send to it; 20409 when the client id
/// was used for another body; the code of the field that is wrong; 20503 when the database is away.
pub async fn send(ctx: &Ctx, channel: ChannelRef, new: &NewMessage) -> Result<Sent> {
    submit(ctx, channel, new)?
        .await
        .map_err(|_| Error::new(ErrorCode::Unavailable))?
}

/// Sends many messages to one channel, in their order, and waits until they are committed; what cannot be sent fails
/// alone. With a `key`, messages without an id of their own get one made of the key and their place, so that a repeat
/// of the whole sends nothing twice.
///
/// # Errors
/// 20404 when there is no such channel; each answer as [`send`].
pub async fn send_all(
    ctx: &Ctx,
    channel: &ChannelRef,
    new: Vec<Result<NewMessage>>,
    key: Option<&str>,
) -> Result<Vec<Result<Sent>>> {
    let channel = channels::access(ctx, ctx.reader(), channel).await?.channel.id;
    let mut submitted = Vec::with_capacity(new.len());
    for (place, new) in new.into_iter().enumerate() {
        submitted.push(new.and_then(|mut new| {
            if let (None, Some(key)) = (&new.client_id, key) {
                new.client_id = Some(format!("{}:{place}", hex::encode(Sha256::digest(key))));
            }
            submit(ctx, channel.into(), &new)
        }));
    }
    let mut sent = Vec::with_capacity(submitted.len());
    for answer in submitted {
        sent.push(match answer {
            Ok(answer) => answer
                .await
                .unwrap_or_else(|_| Err(Error::new(ErrorCode::Unavailable))),
            Err(refusal) => Err(refusal),
        });
    }
    Ok(sent)
}

/// Takes a message for sending and answers with where its result will arrive. Messages that are submitted one after
/// the other to one channel are stored in that order.
///
/// # Errors
/// The code of the field that is wrong; 20006 when the caller may only read; 20503 when too many are waiting.
pub fn submit(ctx: &Ctx, channel: ChannelRef, new: &NewMessage) -> Result<oneshot::Receiver<Result<Sent>>> {
    ctx.caller.may_write()?;
    if let Some(media) = &new.media_sid
        && !media.is_empty()
    {
        return Err(Error::with(
            ErrorCode::MediaNotFound,
            format!("MediaSid {media} not found"),
        ));
    }
    let author = match (&ctx.caller, &new.from) {
        (Caller::User { identity, .. }, _) => identity.as_str().to_owned(),
        (Caller::Account { .. }, Some(from)) => input::author("From", from, ErrorCode::AuthorTooLong)?,
        (Caller::Account { .. }, None) => SYSTEM.to_owned(),
    };
    let editor = |text: &String| input::author("LastUpdatedBy", text, ErrorCode::LastUpdatedByTooLong);
    let (reply, answer) = oneshot::channel();
    ctx.core.writer.submit(SendRequest {
        account: ctx.account(),
        service: ctx.scope(),
        settings: Arc::clone(&ctx.service),
        channel,
        author,
        checked: ctx.caller.identity().is_some(),
        body: new.body.as_deref().map(input::body).transpose()?,
        attributes: input::attributes(new.attributes.as_deref().unwrap_or_default())?,
        client_id: new
            .client_id
            .as_deref()
            .map(|id| input::client_id("client_id (Idempotency-Key)", id))
            .transpose()?,
        last_updated_by: ctx
            .imported(new.last_updated_by.as_ref())
            .map(editor)
            .transpose()?,
        date_created: ctx.imported(new.date_created),
        date_updated: ctx.imported(new.date_updated),
        origin: ctx.caller.origin(),
        actor: ctx.caller.backend(),
        reply,
    })?;
    Ok(answer)
}

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
    let mut change = Change::begin(ctx).await?;
    let access = channels::lock_access(ctx, &change.tx, channel).await?;
    access.may_read()?;
    let mut row = super::find(&change.tx, ctx.scope(), access.channel.id, id)
        .await?
        .ok_or_else(|| missing(ctx, channel, id))?;
    let before = row.clone();
    let own = ctx
        .caller
        .identity()
        .is_some_and(|identity| identity.as_str() == row.author);
    if update.body.is_some() {
        if own {
            access.require_either(Permission::EditOwnMessage, Permission::EditAnyMessage)?;
        } else {
            access.require(Permission::EditAnyMessage)?;
        }
    }
    if update.attributes.is_some() {
        if own {
            access.require_either(
                Permission::EditOwnMessageAttributes,
                Permission::EditAnyMessageAttributes,
            )?;
        } else {
            access.require(Permission::EditAnyMessageAttributes)?;
        }
    }
    if let Some(body) = &update.body {
        row.body = Some(input::body(body)?);
    }
    if let Some(text) = &update.attributes {
        row.attributes = input::attributes(text)?;
    }
    if let Some(from) = &ctx.imported(update.from) {
        row.author = input::author("From", from, ErrorCode::AuthorTooLong)?;
    }
    if let Some(date) = ctx.imported(update.date_created) {
        row.date_created = date;
    }
    row.last_updated_by = Some(match &ctx.imported(update.last_updated_by) {
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
    change.commit().await?;
    Ok(row)
}

/// Removes a message. Its row stays, unseen, as the record of its arrival until the event log is trimmed; its
/// client id is free again.
///
/// # Errors
/// 20404; 50107 when the caller's roles do not allow it.
pub async fn remove(ctx: &Ctx, channel: &ChannelRef, id: MessageSid) -> Result<()> {
    let mut change = Change::begin(ctx).await?;
    let access = channels::lock_access(ctx, &change.tx, channel).await?;
    access.may_read()?;
    let mut row = super::find(&change.tx, ctx.scope(), access.channel.id, id)
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
