//! Messages of a channel. Sends go through the group commit in [`writer`]; edits and removals are single changes.

mod actions;
mod at_once;
mod batch;
mod origins;
pub(crate) mod rows;
mod sending;
mod view;
pub mod writer;

use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select};

pub use actions::{UpdateMessage, remove, update};
pub(crate) use rows::{by_channel, seqs};
pub use sending::{NewMessage, Sent, Vetted, interceptors, send, send_all, submit, vet};
pub use view::{MessageView, SentView, sent_view, view};

use crate::{
    channels::{self, Access},
    ctx::Ctx,
    entities::message,
    error::{Error, ErrorCode, Result},
    input::ChannelRef,
    paging::{self, Key, Order, Page, PageRequest},
    query::{self, Asked, Bounds, Listing},
    sid::{ChannelSid, MessageSid, ServiceSid},
    sql::Sql,
};

fn scoped(service: ServiceSid, channel: ChannelSid) -> Select<message::Entity> {
    message::Entity::find()
        .filter(message::Column::ServiceId.eq(service))
        .filter(message::Column::ChannelId.eq(channel))
        .filter(message::Column::RemovedAt.is_null())
}

async fn readable(ctx: &Ctx, channel: &ChannelRef) -> Result<Access> {
    let access = channels::access(ctx, ctx.reader(), channel).await?;
    access.may_read()?;
    Ok(access)
}

/// The message, if there is one.
///
/// # Errors
/// Whatever the database refuses.
pub async fn find(
    db: &impl ConnectionTrait,
    service: ServiceSid,
    channel: ChannelSid,
    id: MessageSid,
) -> Result<Option<message::Model>> {
    Ok(scoped(service, channel)
        .filter(message::Column::Id.eq(id))
        .one(db)
        .await?)
}

/// Whether the author has sent a message with this id of its own.
async fn is_sent(
    db: &impl ConnectionTrait,
    service: ServiceSid,
    channel: ChannelSid,
    author: &str,
    client_id: &str,
) -> Result<bool> {
    let known = message::Entity::find()
        .filter(message::Column::ServiceId.eq(service))
        .filter(message::Column::ChannelId.eq(channel))
        .filter(message::Column::Author.eq(author))
        .filter(message::Column::ClientId.eq(client_id))
        .one(db)
        .await?;
    Ok(known.is_some())
}

fn missing(ctx: &Ctx, channel: &ChannelRef, id: MessageSid) -> Error {
    ctx.not_found(format_args!("Channels/{channel}/Messages/{id}"))
}

/// The message.
///
/// # Errors
/// 20404 when there is no such channel or message; 50400 when the caller may not read it.
pub async fn get(ctx: &Ctx, channel: &ChannelRef, id: MessageSid) -> Result<message::Model> {
    let access = readable(ctx, channel).await?;
    find(ctx.reader(), ctx.scope(), access.channel.id, id)
        .await?
        .ok_or_else(|| missing(ctx, channel, id))
}

/// The channel's messages by index.
///
/// # Errors
/// 20404 when there is no such channel; 50400 when the caller may not read it.
pub async fn list(
    ctx: &Ctx,
    channel: &ChannelRef,
    order: Order,
    request: &PageRequest,
) -> Result<Page<message::Model>> {
    let access = readable(ctx, channel).await?;
    let select = scoped(ctx.scope(), access.channel.id);
    let page = paging::fetch(
        ctx.reader(),
        select,
        message::Column::Idx,
        order,
        request,
        |row: &message::Model| Key::Index(row.idx),
    )
    .await?;
    ctx.core.deliveries.note_all(ctx, &page.items);
    Ok(page)
}

/// The channel's messages as they are asked for; `order` counts when no `Sort` is given.
///
/// # Errors
/// As [`list`] and [`query::run`].
pub async fn search(
    ctx: &Ctx,
    channel: &ChannelRef,
    order: Option<Order>,
    asked: &Asked,
    request: &PageRequest,
) -> Result<Listing<message::Model>> {
    if asked.is_nothing() {
        return Ok(list(ctx, channel, order.unwrap_or_default(), request)
            .await?
            .into());
    }
    let asked = match (order, &asked.sort) {
        (Some(_), Some(_)) => {
            return Err(Error::parameter(
                "Sort",
                "and Order do not go together: leave one out",
            ));
        }
        (Some(Order::Descending), None) => &Asked {
            sort: Some("[{\"index\": -1}]".to_owned()),
            ..asked.clone()
        },
        _ => asked,
    };
    let access = readable(ctx, channel).await?;
    let bounds = Bounds::default().in_channel(access.channel.id);
    query::run(ctx, &bounds, asked, request).await
}

/// Where a stretch of history lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Anchor {
    /// The newest messages.
    End,
    /// Those before this index.
    Before(i64),
    /// Those after this index.
    After(i64),
    /// Half of them up to and including this index, half behind it.
    Around(i64),
}

/// A stretch of history, ascending.
#[derive(Debug, Clone)]
pub struct History {
    /// The messages.
    pub messages: Vec<message::Model>,
    /// Whether there are older ones.
    pub has_before: bool,
    /// Whether there are newer ones.
    pub has_after: bool,
}

/// Reads at most `limit` messages at the anchor.
///
/// # Errors
/// 20404 when there is no such channel; 50400 when the caller may not read it.
pub async fn history(ctx: &Ctx, channel: &ChannelRef, anchor: Anchor, limit: u64) -> Result<History> {
    let access = readable(ctx, channel).await?;
    let db = ctx.reader();
    let all = || scoped(ctx.scope(), access.channel.id);
    // One more than asked for tells whether there is more on that side; the other side needs a look of its own.
    let backward = |before: Option<i64>, limit: u64| {
        let select = before.map_or_else(all, |before| all().filter(message::Column::Idx.lt(before)));
        select
            .order_by_desc(message::Column::Idx)
            .limit(limit + 1)
            .all(db)
    };
    let forward = |after: i64, limit: u64| {
        all()
            .filter(message::Column::Idx.gt(after))
            .order_by_asc(message::Column::Idx)
            .limit(limit + 1)
            .all(db)
    };
    let (mut before, mut after, has_before, has_after);
    match anchor {
        Anchor::End => {
            before = backward(None, limit).await?;
            has_before = cut(&mut before, limit);
            (after, has_after) = (Vec::new(), false);
        }
        Anchor::Before(index) => {
            before = backward(Some(index), limit).await?;
            has_before = cut(&mut before, limit);
            (after, has_after) = (Vec::new(), !forward(index - 1, 0).await?.is_empty());
        }
        Anchor::After(index) => {
            after = forward(index, limit).await?;
            has_after = cut(&mut after, limit);
            (before, has_before) = (Vec::new(), !backward(Some(index + 1), 0).await?.is_empty());
        }
        Anchor::Around(index) => {
            // The side that has less leaves its room to the other.
            before = backward(Some(index + 1), limit).await?;
            after = forward(index, limit).await?;
            let half = limit.div_ceil(2);
            let behind = (after.len() as u64).min(limit - half.min(before.len() as u64));
            let ahead = limit - behind;
            has_before = cut(&mut before, ahead);
            has_after = cut(&mut after, behind);
        }
    }
    before.reverse();
    before.append(&mut after);
    ctx.core.deliveries.note_all(ctx, &before);
    Ok(History {
        messages: before,
        has_before,
        has_after,
    })
}

fn cut(rows: &mut Vec<message::Model>, limit: u64) -> bool {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = rows.len() > limit;
    rows.truncate(limit);
    more
}

/// How many messages lie behind each of these horizons, in their order and in one query; `None` where there is no such
/// channel.
///
/// Nothing is counted but what was removed: every index up to the channel's next one was given to a message, so what
/// lies behind a horizon is the distance less the removed ones, which an index of their own leads to.
///
/// # Errors
/// Whatever the database refuses.
pub async fn unread(
    db: &impl ConnectionTrait,
    horizons: &[(ServiceSid, ChannelSid, i64)],
) -> Result<Vec<Option<i64>>> {
    let mut counts = vec![None; horizons.len()];
    if horizons.is_empty() {
        return Ok(counts);
    }
    let mut sql = Sql::new("WITH asked (place, service_id, channel_id, horizon) AS (VALUES ");
    sql.rows(
        (0_i64..)
            .zip(horizons)
            .map(|(place, (service, channel, horizon))| {
                [place.into(), service.into(), channel.into(), (*horizon).into()]
            }),
    );
    sql.push(
        ") SELECT a.place, CASE WHEN c.next_index - 1 <= a.horizon THEN 0 ELSE c.next_index - 1 - a.horizon - \
         (SELECT COUNT(*) FROM messages r WHERE r.service_id = a.service_id AND r.channel_id = a.channel_id \
         AND r.idx > a.horizon AND r.removed_at IS NOT NULL) END AS unread \
         FROM asked a JOIN channels c ON c.service_id = a.service_id AND c.id = a.channel_id",
    );
    for row in sql.all(db).await? {
        let place: i64 = row.try_get("", "place")?;
        if let Some(count) = usize::try_from(place)
            .ok()
            .and_then(|place| counts.get_mut(place))
        {
            *count = Some(row.try_get("", "unread")?);
        }
    }
    Ok(counts)
}

/// An index as it is given to a verb.
///
/// # Errors
/// 50516 when it is negative.
pub fn index(value: i64) -> Result<i64> {
    if value < 0 {
        Err(ErrorCode::MessageIndexFormat.into())
    } else {
        Ok(value)
    }
}
