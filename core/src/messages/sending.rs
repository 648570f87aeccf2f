//! Sending messages: whoever is to be asked is asked, then the group commit takes them.

use std::sync::Arc;

use futures_util::future::join_all;
use sha2::{Digest, Sha256};
use tokio::sync::oneshot;

use super::writer::SendRequest;
use crate::{
    channels,
    ctx::{Caller, Ctx},
    entities::message,
    error::{Error, ErrorCode, Result},
    input::{self, ChannelRef, SYSTEM},
    permissions::{Permission, Permissions},
    pre_events::{self, Due, PreEvent},
    sid::ChannelSid,
    sql::Sql,
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
pub async fn send(ctx: &Ctx, channel: ChannelRef, new: NewMessage) -> Result<Sent> {
    let vetted = match interceptors(ctx).await? {
        None => Vetted::unasked(channel, new),
        Some(due) => vet(ctx, due, &channel, new).await?,
    };
    submit(ctx, &vetted)?
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
    let channel: ChannelRef = channels::access(ctx, ctx.reader(), channel)
        .await?
        .channel
        .id
        .into();
    let keyed = new
        .into_iter()
        .enumerate()
        .map(|(place, new)| -> Result<NewMessage> {
            let mut new = new?;
            if let (None, Some(key)) = (&new.client_id, key) {
                new.client_id = Some(format!("{}:{place}", hex::encode(Sha256::digest(key))));
            }
            Ok(new)
        });
    let vetted: Vec<Result<Vetted>> = match interceptors(ctx).await? {
        None => keyed
            .map(|new| Ok(Vetted::unasked(channel.clone(), new?)))
            .collect(),
        Some(due) => {
            let (due, channel) = (&due, &channel);
            join_all(keyed.map(|new| async move { vet(ctx, due.clone(), channel, new?).await })).await
        }
    };
    let submitted: Vec<_> = vetted
        .into_iter()
        .map(|vetted: Result<Vetted>| submit(ctx, &vetted?))
        .collect();
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

/// A message that may be submitted as far as those know who are asked before.
#[derive(Debug, Clone)]
pub struct Vetted {
    channel: ChannelRef,
    new: NewMessage,
    /// The author that a pre-event has put in the user's place.
    author: Option<String>,
    /// Whether somebody was asked, and may have changed it.
    was_asked: bool,
}

impl Vetted {
    /// Nobody is to be asked.
    #[must_use]
    pub fn unasked(channel: ChannelRef, new: NewMessage) -> Self {
        Self {
            channel,
            new,
            author: None,
            was_asked: false,
        }
    }
}

/// Who is to be asked before the caller sends a message; `None` when it is nobody. Then it is answered from memory.
///
/// # Errors
/// Whatever the database refuses.
pub async fn interceptors(ctx: &Ctx) -> Result<Option<Due>> {
    pre_events::due(ctx, pre_events::MESSAGE_SEND).await
}

/// Asks them, once it is known that the caller may send the message.
///
/// # Errors
/// As [`send`], and those of a pre-event: 50056 when it is rejected, 50076 when there must be an answer and is none.
pub async fn vet(ctx: &Ctx, due: Due, channel: &ChannelRef, new: NewMessage) -> Result<Vetted> {
    let (reply, _) = oneshot::channel();
    let mut vetted = Vetted::unasked(channel.clone(), new);
    let request = prepare(ctx, &vetted, reply)?;
    let id = may_send(ctx, channel).await?;
    vetted.channel = id.into();
    vetted.was_asked = true;
    if let Some(client_id) = &request.client_id
        && super::is_sent(ctx.reader(), ctx.scope(), id, &request.author, client_id).await?
    {
        // A repeat: they were asked the first time.
        return Ok(vetted);
    }
    let said = (
        request.author.as_str(),
        request.body.as_deref(),
        request.attributes.as_str(),
    );
    let event = PreEvent::message_send(ctx, id, said, Timestamp::now());
    drop(request);
    let amendments = due.ask(ctx, event).await?;
    amendments.put("body", &mut vetted.new.body);
    amendments.put("attributes", &mut vetted.new.attributes);
    amendments.put("author", &mut vetted.author);
    Ok(vetted)
}

/// The channel, when the caller may send to it. One short statement: many may be asked about at once.
async fn may_send(ctx: &Ctx, channel: &ChannelRef) -> Result<ChannelSid> {
    let Some(sender) = ctx.caller.identity() else {
        let access = channels::access(ctx, ctx.reader(), channel).await?;
        return Ok(access.channel.id);
    };
    let mut sql = Sql::new(
        "SELECT c.id, (r.permissions | s.permissions) AS permissions FROM channels c \
         LEFT JOIN members m ON m.service_id = c.service_id AND m.channel_id = c.id AND m.identity = ",
    );
    sql.bind(sender.as_str()).push(
        " LEFT JOIN roles r ON r.service_id = m.service_id AND r.id = m.role_id \
         LEFT JOIN users u ON u.service_id = m.service_id AND u.identity = m.identity \
         LEFT JOIN roles s ON s.service_id = u.service_id AND s.id = u.role_id \
         WHERE c.deleted_at IS NULL AND c.service_id = ",
    );
    sql.bind(ctx.scope());
    match channel {
        ChannelRef::Sid(id) => sql.push(" AND c.id = ").bind(*id),
        ChannelRef::Name(name) => sql.push(" AND c.unique_name = ").bind(name.as_str()),
    };
    let rows = sql.all(ctx.reader()).await?;
    let row = rows.first().ok_or_else(|| channels::missing(ctx, channel))?;
    let rights: Option<Permissions> = row.try_get("", "permissions")?;
    if !rights.ok_or(ErrorCode::NotAMember)?.has(Permission::SendMessage) {
        return Err(Error::lacks(Permission::SendMessage.name()));
    }
    Ok(row.try_get("", "id")?)
}

/// Takes a message for sending and answers with where its result will arrive. Messages that are submitted one after
/// the other to one channel are stored in that order.
///
/// # Errors
/// The code of the field that is wrong; 20006 when the caller may only read; 20503 when too many are waiting.
pub fn submit(ctx: &Ctx, vetted: &Vetted) -> Result<oneshot::Receiver<Result<Sent>>> {
    let (reply, answer) = oneshot::channel();
    ctx.core.writer.submit(prepare(ctx, vetted, reply)?)?;
    Ok(answer)
}

/// The send with its fields checked.
fn prepare(ctx: &Ctx, vetted: &Vetted, reply: oneshot::Sender<Result<Sent>>) -> Result<SendRequest> {
    ctx.caller.may_write()?;
    let new = &vetted.new;
    if let Some(media) = &new.media_sid
        && !media.is_empty()
    {
        return Err(Error::with(
            ErrorCode::MediaNotFound,
            format!("MediaSid {media} not found"),
        ));
    }
    let author = match (&vetted.author, &ctx.caller, &new.from) {
        (Some(author), ..) => input::author("author", author, ErrorCode::AuthorTooLong)?,
        (None, Caller::User { identity, .. }, _) => identity.as_str().to_owned(),
        (None, Caller::Account { .. }, Some(from)) => input::author("From", from, ErrorCode::AuthorTooLong)?,
        (None, Caller::Account { .. }, None) => SYSTEM.to_owned(),
    };
    let editor = |text: &String| input::author("LastUpdatedBy", text, ErrorCode::LastUpdatedByTooLong);
    Ok(SendRequest {
        account: ctx.account(),
        service: ctx.scope(),
        settings: Arc::clone(&ctx.service),
        channel: vetted.channel.clone(),
        author,
        sender: ctx.caller.identity().map(|identity| identity.as_str().to_owned()),
        was_asked: vetted.was_asked,
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
    })
}
