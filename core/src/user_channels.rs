//! A user's own view of its channels: latest activity first, with what is unread.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use sea_orm::{ColumnTrait, EntityTrait, FromQueryResult, QueryFilter};
use std::collections::HashMap;

use crate::{
    ctx::Ctx,
    entities::{channel, member, message},
    error::{Error, Result},
    messages,
    sid::{ChannelSid, MessageSid},
    sql::Sql,
    timestamp::Timestamp,
};

/// A channel with the user's membership and what it has not read.
#[derive(Debug, Clone)]
pub struct UserChannel {
    /// The channel.
    pub channel: channel::Model,
    /// The user's membership.
    pub member: member::Model,
    /// Its latest message.
    pub last_message: Option<message::Model>,
    /// How many messages lie behind the horizon; `None` until a horizon was ever set.
    pub unread: Option<i64>,
}

/// One page of a user's channels.
#[derive(Debug, Clone)]
pub struct UserChannels {
    /// The channels, latest activity first.
    pub channels: Vec<UserChannel>,
    /// Leads to those behind them.
    pub next_page_token: Option<String>,
}

/// The channels that `identity` has joined, latest activity first.
///
/// # Errors
/// 20001 when the page token is unknown.
pub async fn list(ctx: &Ctx, identity: &str, limit: u64, page_token: Option<&str>) -> Result<UserChannels> {
    let db = ctx.reader();
    let mut sql = Sql::new(
        "SELECT m.id AS member_id, c.id AS channel_id, COALESCE(c.last_message_at, c.date_created) AS activity \
         FROM members m JOIN channels c ON c.service_id = m.service_id AND c.id = m.channel_id \
         WHERE c.deleted_at IS NULL AND m.service_id = ",
    );
    sql.bind(ctx.scope()).push(" AND m.identity = ").bind(identity);
    if let Some(token) = page_token {
        let (activity, channel) = decode(token)
            .ok_or_else(|| Error::parameter("page_token", "is unknown: take it from next_page_token"))?;
        sql.push(" AND (COALESCE(c.last_message_at, c.date_created), c.id) < (");
        sql.bind(activity).push(", ").bind(channel).push(")");
    }
    sql.push(" ORDER BY activity DESC, c.id DESC LIMIT ")
        .bind(i64::try_from(limit + 1).unwrap_or(i64::MAX));
    let mut places: Vec<(ChannelSid, Timestamp)> = sql
        .all(db)
        .await?
        .iter()
        .map(|row| Ok((row.try_get("", "channel_id")?, row.try_get("", "activity")?)))
        .collect::<Result<_>>()?;
    let more = places.len() as u64 > limit;
    if more {
        places.pop();
    }
    let next_page_token = places
        .last()
        .filter(|_| more)
        .map(|(channel, activity)| encode(*activity, *channel));
    let ids: Vec<ChannelSid> = places.iter().map(|(channel, _)| *channel).collect();
    let channels = load(ctx, identity, &ids).await?;
    Ok(UserChannels {
        channels,
        next_page_token,
    })
}

/// One channel of the user's, if it has joined it.
///
/// # Errors
/// Whatever the database refuses.
pub async fn find(ctx: &Ctx, identity: &str, channel: ChannelSid) -> Result<Option<UserChannel>> {
    Ok(load(ctx, identity, &[channel]).await?.pop())
}

async fn load(ctx: &Ctx, identity: &str, ids: &[ChannelSid]) -> Result<Vec<UserChannel>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let db = ctx.reader();
    let channels = channel::Entity::find()
        .filter(channel::Column::ServiceId.eq(ctx.scope()))
        .filter(channel::Column::Id.is_in(ids.iter().copied()))
        .filter(channel::Column::DeletedAt.is_null())
        .all(db)
        .await?;
    let members = member::Entity::find()
        .filter(member::Column::ServiceId.eq(ctx.scope()))
        .filter(member::Column::Identity.eq(identity))
        .filter(member::Column::ChannelId.is_in(ids.iter().copied()))
        .all(db)
        .await?;
    let last: Vec<(ChannelSid, MessageSid)> = channels
        .iter()
        .filter_map(|channel| channel.last_message_id.map(|message| (channel.id, message)))
        .collect();
    let mut last_messages = last_messages(ctx, &last).await?;
    let unread = unread(ctx, identity, ids).await?;
    let mut channels: HashMap<ChannelSid, channel::Model> = channels
        .into_iter()
        .map(|channel| (channel.id, channel))
        .collect();
    let mut members: HashMap<ChannelSid, member::Model> = members
        .into_iter()
        .map(|member| (member.channel_id, member))
        .collect();
    Ok(ids
        .iter()
        .filter_map(|id| {
            let (channel, member) = (channels.remove(id)?, members.remove(id)?);
            let unread = member
                .last_consumed_message_index
                .map(|_| unread.get(id).copied().unwrap_or(0));
            Some(UserChannel {
                channel,
                last_message: last_messages.remove(id),
                unread,
                member,
            })
        })
        .collect())
}

async fn last_messages(
    ctx: &Ctx,
    last: &[(ChannelSid, MessageSid)],
) -> Result<HashMap<ChannelSid, message::Model>> {
    if last.is_empty() {
        return Ok(HashMap::new());
    }
    let mut sql = Sql::new("SELECT * FROM messages WHERE (service_id, channel_id, id) IN ");
    sql.values(
        last.iter()
            .map(|(channel, message)| [ctx.scope().into(), channel.into(), message.into()]),
    );
    sql.all(ctx.reader())
        .await?
        .iter()
        .map(|row| message::Model::from_query_result(row, "").map(|message| (message.channel_id, message)))
        .collect::<Result<_, _>>()
        .map_err(Error::from)
}

/// The unread counts of these channels, in one query; channels with nothing unread are not in it.
async fn unread(ctx: &Ctx, identity: &str, ids: &[ChannelSid]) -> Result<HashMap<ChannelSid, i64>> {
    let mut sql = Sql::new(
        "SELECT m.channel_id, COUNT(*) AS unread FROM members m \
         JOIN messages i ON i.service_id = m.service_id AND i.channel_id = m.channel_id \
         AND i.idx > m.last_consumed_message_index AND i.removed_at IS NULL WHERE m.identity = ",
    );
    sql.bind(identity).push(" AND (m.service_id, m.channel_id) IN ");
    sql.values(ids.iter().map(|id| [ctx.scope().into(), id.into()]));
    sql.push(" GROUP BY m.channel_id");
    sql.all(ctx.reader())
        .await?
        .iter()
        .map(|row| Ok((row.try_get("", "channel_id")?, row.try_get("", "unread")?)))
        .collect()
}

/// How many messages the caller has not read in a channel where its horizon is `horizon`.
///
/// # Errors
/// Whatever the database refuses.
pub async fn unread_behind(ctx: &Ctx, member: &member::Model) -> Result<Option<i64>> {
    messages::unread(
        ctx.reader(),
        ctx.scope(),
        member.channel_id,
        member.last_consumed_message_index,
    )
    .await
}

fn encode(activity: Timestamp, channel: ChannelSid) -> String {
    let mut bytes = activity.0.to_be_bytes().to_vec();
    bytes.extend_from_slice(channel.0.as_bytes());
    format!("PT{}", BASE64_URL_SAFE_NO_PAD.encode(bytes))
}

fn decode(token: &str) -> Option<(Timestamp, ChannelSid)> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(token.strip_prefix("PT")?).ok()?;
    let (activity, channel) = bytes.split_first_chunk::<8>()?;
    Some((
        Timestamp(i64::from_be_bytes(*activity)),
        ChannelSid(uuid::Uuid::from_slice(channel).ok()?),
    ))
}
