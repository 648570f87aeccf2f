//! A user's channels with the latest activity first: what a client shows.

use std::{cmp::Reverse, collections::HashMap};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use sea_orm::{DbBackend, QueryResult};

use super::{Place, UserChannel, load};
use crate::{
    channels::SLACK,
    ctx::Ctx,
    entities::message,
    error::{Error, Result},
    input::UserRef,
    messages,
    sid::ChannelSid,
    sql::Sql,
    timestamp::Timestamp,
    users,
};

/// When something was last said in a channel: what the list is ordered by.
const ACTIVITY: &str = "COALESCE(c.last_message_at, c.date_created)";
/// A user with fewer channels than this has them sorted.
const FEW: i32 = 1_000;
/// How many channels of the service a walk passes before it looks at what it has.
const PORTION: usize = 500;
/// So many times as many it passes next.
const GROWTH: usize = 4;

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
    // So many channels are sorted at the cost of one step: Postgres sorts what it has to join, and SQLite's rows are
    // slow to hand over.
    let step_cost = match ctx.core.db.backend() {
        DbBackend::Postgres => 1,
        _ => 20,
    };
    let budget = usize::try_from(joined / step_cost)
        .unwrap_or(usize::MAX)
        .max(PORTION);
    let (mut walked, mut portion) = (0, PORTION);
    let mut last: Option<Step> = None;
    let mut own: Vec<Spot> = Vec::new();
    loop {
        let steps = steps(ctx, identity, from, last.as_ref(), portion).await?;
        let is_end = steps.len() < portion;
        walked += steps.len();
        own.extend(steps.iter().filter(|step| step.is_own).map(|step| step.spot));
        last = steps.last().copied().or(last);
        // What was not walked past is listed there at the latest, and may have been active a little later.
        let end = last.filter(|_| !is_end).map(|last| last.listed_at.plus(SLACK));
        let place = |(channel, activity): Spot| (activity, channel);
        let mut certain: Vec<Spot> = own
            .iter()
            .copied()
            .filter(|spot| end.is_none_or(|end| spot.1 >= end))
            .filter(|spot| from.is_none_or(|from| place(*spot) < place(from)))
            .collect();
        if is_end || certain.len() >= most {
            certain.sort_unstable_by_key(|spot| Reverse(place(*spot)));
            certain.truncate(most);
            return Ok(Some(certain));
        }
        // With as many of its own ahead as behind, the rest of the budget does not lead to the end of the page.
        if walked >= budget || own.len() * (budget / walked) < most {
            return Ok(None);
        }
        portion = (portion * GROWTH).min(budget - walked).max(1);
    }
}

/// A channel of the service that was walked past.
#[derive(Clone, Copy)]
struct Step {
    spot: Spot,
    listed_at: Timestamp,
    is_own: bool,
}

async fn steps(
    ctx: &Ctx,
    identity: &str,
    from: Option<Spot>,
    after: Option<&Step>,
    most: usize,
) -> Result<Vec<Step>> {
    // The query for the membership yields a value, which Postgres asks for step by step, as the index has them. A
    // condition it would turn into a table of all memberships.
    let mut sql = Sql::new("SELECT c.id AS channel_id, c.listed_at, ");
    sql.push(ACTIVITY)
        .push(" AS activity, (SELECT 1 FROM members m WHERE m.service_id = ")
        .bind(ctx.scope())
        .push(" AND m.identity = ")
        .bind(identity)
        .push(" AND m.channel_id = c.id LIMIT 1) AS own FROM channels c WHERE c.deleted_at IS NULL AND c.service_id = ")
        .bind(ctx.scope());
    if let Some(after) = after {
        sql.push(" AND (c.listed_at, c.id) < (");
        sql.bind(after.listed_at).push(", ").bind(after.spot.0).push(")");
    } else if let Some((_, activity)) = from {
        sql.push(" AND c.listed_at <= ").bind(activity);
    }
    sql.push(" ORDER BY c.listed_at DESC, c.id DESC LIMIT ")
        .bind(count(most));
    sql.all(ctx.reader())
        .await?
        .iter()
        .map(|row| {
            Ok(Step {
                spot: spot(row)?,
                listed_at: row.try_get("", "listed_at")?,
                is_own: row.try_get::<Option<i32>>("", "own")?.is_some(),
            })
        })
        .collect()
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
    let last: Vec<_> = places
        .iter()
        .filter(|place| matches!(place.place, Place::Joined(_)))
        .filter_map(|place| Some((place.channel.id, place.channel.last_message_id?)))
        .collect();
    messages::by_channel(ctx.reader(), ctx.scope(), &last).await
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
