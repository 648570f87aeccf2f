//! A user's channels with the latest activity first: what a client shows.

use std::collections::HashMap;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use sea_orm::FromQueryResult;

use super::{Place, UserChannel, load};
use crate::{
    ctx::Ctx,
    entities::message,
    error::{Error, Result},
    sid::{ChannelSid, MessageSid},
    sql::Sql,
    timestamp::Timestamp,
};

/// Which of a user's channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Those that it is a member of.
    Joined,
    /// Those that it is invited to.
    Invited,
}

/// One page of a user's channels.
#[derive(Debug, Clone)]
pub struct LatestChannels {
    /// The channels, latest activity first, each with its last message as far as the user may read it.
    pub channels: Vec<(UserChannel, Option<message::Model>)>,
    /// Leads to those behind them.
    pub next_page_token: Option<String>,
}

/// The channels of `identity` with this standing, latest activity first.
///
/// # Errors
/// 20001 when the page token is unknown.
pub async fn latest(
    ctx: &Ctx,
    identity: &str,
    standing: Standing,
    limit: u64,
    page_token: Option<&str>,
) -> Result<LatestChannels> {
    let mut sql =
        Sql::new("SELECT c.id AS channel_id, COALESCE(c.last_message_at, c.date_created) AS activity FROM ");
    sql.push(match standing {
        Standing::Joined => "members",
        Standing::Invited => "invites",
    });
    sql.push(
        " p JOIN channels c ON c.service_id = p.service_id AND c.id = p.channel_id \
         WHERE c.deleted_at IS NULL AND p.service_id = ",
    );
    sql.bind(ctx.scope()).push(" AND p.identity = ").bind(identity);
    if let Some(token) = page_token {
        let (activity, channel) = decode(token)
            .ok_or_else(|| Error::parameter("page_token", "is unknown: take it from next_page_token"))?;
        sql.push(" AND (COALESCE(c.last_message_at, c.date_created), c.id) < (");
        sql.bind(activity).push(", ").bind(channel).push(")");
    }
    sql.push(" ORDER BY activity DESC, c.id DESC LIMIT ")
        .bind(i64::try_from(limit + 1).unwrap_or(i64::MAX));
    let mut places: Vec<(ChannelSid, Timestamp)> = sql
        .all(ctx.reader())
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
    let mut last_messages = last_messages(ctx, &channels).await?;
    Ok(LatestChannels {
        channels: channels
            .into_iter()
            .map(|place| {
                let last = last_messages.remove(&place.channel.id);
                (place, last)
            })
            .collect(),
        next_page_token,
    })
}

/// The last message of a channel, as far as the user may read it.
///
/// # Errors
/// Whatever the database refuses.
pub async fn last_message(ctx: &Ctx, place: &UserChannel) -> Result<Option<message::Model>> {
    Ok(last_messages(ctx, std::slice::from_ref(place))
        .await?
        .remove(&place.channel.id))
}

/// Who is only invited to a channel does not get to read what is said in it.
async fn last_messages(ctx: &Ctx, places: &[UserChannel]) -> Result<HashMap<ChannelSid, message::Model>> {
    let last: Vec<(ChannelSid, MessageSid)> = places
        .iter()
        .filter(|place| matches!(place.place, Place::Joined(_)))
        .filter_map(|place| Some((place.channel.id, place.channel.last_message_id?)))
        .collect();
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
