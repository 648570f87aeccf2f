//! A user's channels with the latest activity first: what a client shows.

use std::{cmp::Reverse, collections::HashMap};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use sea_orm::{FromQueryResult, QueryResult};

use super::{Place, UserChannel, load};
use crate::{
    channels::SLACK,
    ctx::Ctx,
    entities::message,
    error::{Error, Result},
    input::UserRef,
    sid::{ChannelSid, MessageSid},
    sql::Sql,
    timestamp::Timestamp,
    users,
};

/// When something was last said in a channel: what the list is ordered by.
const ACTIVITY: &str = "COALESCE(c.last_message_at, c.date_created)";
/// A user with fewer channels than this has them sorted.
const FEW: i32 = 1_000;
/// How many channels of the service a walk passes at most.
const STEPS: i64 = 10_000;
/// How many more channels of the user than the page has are looked at, since the list that is walked is not exact.
const SPARE: usize = 250;

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
    let from = page_token
        .map(|token| {
            decode(token)
                .ok_or_else(|| Error::parameter("page_token", "is unknown: take it from next_page_token"))
        })
        .transpose()?;
    let most = usize::try_from(limit).unwrap_or(usize::MAX).saturating_add(1);
    let walked = match standing {
        Standing::Joined => walk(ctx, identity, from, most).await?,
        Standing::Invited => None,
    };
    let mut places = match walked {
        Some(places) => places,
        None => sorted(ctx, identity, standing, from, most).await?,
    };
    let more = places.len() == most;
    if more {
        places.pop();
    }
    let next_page_token = places.last().filter(|_| more).map(|spot| encode(*spot));
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

/// Where a channel stands in the list.
type Spot = (ChannelSid, Timestamp);

/// The first spots behind `from`, by way of the user's places: it costs as much as the user has channels.
async fn sorted(
    ctx: &Ctx,
    identity: &str,
    standing: Standing,
    from: Option<Spot>,
    most: usize,
) -> Result<Vec<Spot>> {
    let mut sql = Sql::new("SELECT c.id AS channel_id, ");
    sql.push(ACTIVITY)
        .push(" AS activity FROM channels c WHERE c.deleted_at IS NULL AND c.service_id = ")
        .bind(ctx.scope())
        .push(" AND ");
    sql.one_of(ctx.core.db.backend(), "c.id", |sql| {
        sql.push("SELECT p.channel_id FROM ").push(match standing {
            Standing::Joined => "members",
            Standing::Invited => "invites",
        });
        sql.push(" p WHERE p.service_id = ")
            .bind(ctx.scope())
            .push(" AND p.identity = ")
            .bind(identity);
    });
    if let Some((channel, activity)) = from {
        sql.push(" AND (").push(ACTIVITY).push(", c.id) < (");
        sql.bind(activity).push(", ").bind(channel).push(")");
    }
    sql.push(" ORDER BY activity DESC, c.id DESC LIMIT ")
        .bind(count(most));
    sql.all(ctx.reader()).await?.iter().map(spot).collect()
}

/// The same by way of the service's channels that were active last: it costs as much as lies between the user's own.
/// `None` when it has few channels, or few of those.
async fn walk(ctx: &Ctx, identity: &str, from: Option<Spot>, most: usize) -> Result<Option<Vec<Spot>>> {
    let user = UserRef::Identity(identity.to_owned());
    let joined = users::find(ctx.reader(), ctx.scope(), &user)
        .await?
        .map_or(0, |user| user.joined_channels_count);
    if joined < FEW {
        return Ok(None);
    }
    let looked_at = most + SPARE;
    let mut sql = Sql::new("SELECT w.channel_id, w.listed_at, (SELECT ");
    sql.push(ACTIVITY)
        .push(" FROM channels c WHERE c.id = w.channel_id AND c.service_id = ")
        .bind(ctx.scope());
    sql.push(") AS activity FROM (SELECT s.channel_id, s.listed_at FROM (SELECT id AS channel_id, listed_at");
    steps(&mut sql, ctx, from);
    // Said in this way, Postgres looks for each membership, or takes them all and looks there, but keeps the order.
    sql.push(" LIMIT ")
        .bind(STEPS)
        .push(") s WHERE (EXISTS (SELECT 1 FROM members m WHERE m.service_id = ");
    sql.bind(ctx.scope()).push(" AND m.identity = ").bind(identity);
    sql.push(" AND m.channel_id = s.channel_id)) IS TRUE ORDER BY s.listed_at DESC LIMIT ")
        .bind(count(looked_at))
        .push(") w");
    let rows = sql.all(ctx.reader()).await?;
    let end: Option<Timestamp> = if rows.len() == looked_at {
        let listed = rows.iter().map(|row| row.try_get("", "listed_at"));
        listed.collect::<Result<Vec<_>, _>>()?.into_iter().min()
    } else {
        end_of_walk(ctx, from).await?
    };
    // What was not looked at is listed there at the latest, and may have been active a little later.
    let certain = |(_, activity): &Spot| end.is_none_or(|end| *activity >= end.plus(SLACK));
    let mut spots: Vec<Spot> = rows.iter().map(spot).collect::<Result<_>>()?;
    let place = |(channel, activity): Spot| (activity, channel);
    spots.retain(|spot| certain(spot) && from.is_none_or(|from| place(*spot) < place(from)));
    spots.sort_unstable_by_key(|spot| Reverse(place(*spot)));
    spots.truncate(most);
    Ok((end.is_none() || spots.len() == most).then_some(spots))
}

/// Where a walk of all its steps ends; `None` when it comes to the end of the list before.
async fn end_of_walk(ctx: &Ctx, from: Option<Spot>) -> Result<Option<Timestamp>> {
    let mut sql = Sql::new("SELECT listed_at");
    steps(&mut sql, ctx, from);
    sql.push(" LIMIT 1 OFFSET ").bind(STEPS - 1);
    let rows = sql.all(ctx.reader()).await?;
    Ok(rows.first().map(|row| row.try_get("", "listed_at")).transpose()?)
}

fn steps(sql: &mut Sql, ctx: &Ctx, from: Option<Spot>) {
    sql.push(" FROM channels WHERE deleted_at IS NULL AND service_id = ")
        .bind(ctx.scope());
    if let Some((_, activity)) = from {
        sql.push(" AND listed_at <= ").bind(activity);
    }
    sql.push(" ORDER BY listed_at DESC");
}

fn count(rows: usize) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}

fn spot(row: &QueryResult) -> Result<Spot> {
    Ok((row.try_get("", "channel_id")?, row.try_get("", "activity")?))
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

fn encode((channel, activity): Spot) -> String {
    let mut bytes = activity.0.to_be_bytes().to_vec();
    bytes.extend_from_slice(channel.0.as_bytes());
    format!("PT{}", BASE64_URL_SAFE_NO_PAD.encode(bytes))
}

fn decode(token: &str) -> Option<Spot> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(token.strip_prefix("PT")?).ok()?;
    let (activity, channel) = bytes.split_first_chunk::<8>()?;
    Some((
        ChannelSid(uuid::Uuid::from_slice(channel).ok()?),
        Timestamp(i64::from_be_bytes(*activity)),
    ))
}
