//! The event stream of a service, for backends: all that is durable in one order that is the same for whoever reads it,
//! whenever. Arrivals of messages are read from the messages, everything else from the log; both have a place in the
//! order of all events ([`horizon`]), and within a channel places follow `seq`.

mod horizon;
mod oldest;
mod position;
mod readers;

use std::time::Duration;

use sea_orm::{ConnectionTrait, FromQueryResult, QueryResult};
use tokio::time::Instant;

pub use readers::Readers;

use self::{horizon::Reach, position::Position};
use super::{Event, log};
use crate::{
    accounts,
    ctx::Ctx,
    entities::{channel_event, message},
    error::{Error, Result},
    sid::ServiceSid,
    sql::Sql,
    timestamp::Timestamp,
};

/// The most events of one answer.
pub const MAX_LIMIT: i64 = 500;
/// How many there are unless asked otherwise.
pub const LIMIT: i64 = 100;
/// The longest time to wait, in seconds.
pub const MAX_WAIT: i64 = 60;

/// What a reader asks for.
#[derive(Debug, Clone)]
pub struct Reading {
    after: Option<String>,
    limit: u64,
    wait: Duration,
}

impl Reading {
    /// The events `after` a position, or after the present one (`now`), or without it all that are kept; at most
    /// `limit`. When there is none yet, up to `wait` seconds are waited for it.
    ///
    /// # Errors
    /// 20001 naming the parameter that is out of its bounds.
    pub fn new(after: Option<String>, limit: Option<i64>, wait: Option<i64>) -> Result<Self> {
        let within = |field: &str, value: i64, least: i64, most: i64| match u64::try_from(value) {
            Ok(fits) if (least..=most).contains(&value) => Ok(fits),
            _ => Err(Error::parameter(
                field,
                &format!("must be a whole number from {least} to {most}"),
            )),
        };
        Ok(Self {
            after,
            limit: within("Limit", limit.unwrap_or(LIMIT), 1, MAX_LIMIT)?,
            wait: Duration::from_secs(within("Wait", wait.unwrap_or(0), 0, MAX_WAIT)?),
        })
    }
}

/// What a reader gets.
#[derive(Debug)]
pub struct StreamPage {
    /// The events, in order.
    pub events: Vec<Event>,
    /// The position to go on from.
    pub after: String,
    /// Whether nothing is missing between the position that was given and these events.
    pub complete: bool,
    /// Whether there are more already.
    pub has_more: bool,
}

/// Reads on in the stream.
///
/// # Errors
/// 20006 for users; 20001 naming `After` when it is no position of this service; 20003, 20005 or 20404 when the caller's
/// credentials or the service ended while it waited.
pub async fn read(ctx: &Ctx, reading: &Reading) -> Result<StreamPage> {
    ctx.backend_only()?;
    let core = &ctx.core;
    let deadline = Instant::now() + reading.wait;
    let mut seat = (!reading.wait.is_zero()).then(|| core.readers.take_seat(ctx.scope()));
    let mut looked_at = Timestamp::now();
    let mut reach = core.readers.settled().await?;
    let (from, complete) = begin(ctx, reading, reach).await?;
    loop {
        let (events, last) = page(ctx, from, reach.safe, reading.limit).await?;
        if events.is_empty()
            && let Some(seat) = &mut seat
            && seat.rings(reach.safe, deadline, &core.draining).await
        {
            // Whoever was let in a while ago may not be let in any more.
            accounts::confirm(core, &ctx.caller).await?;
            Ctx::enter(core, ctx.caller.clone(), ctx.scope()).await?;
            looked_at = Timestamp::now();
            reach = core.readers.reach().await?;
            continue;
        }
        let position = last.unwrap_or(Position {
            place: reach.safe.max(from),
            at: looked_at,
        });
        return Ok(StreamPage {
            events,
            after: core.cursors.seal_position(ctx.scope(), position),
            complete,
            has_more: last.is_some(),
        });
    }
}

/// Where the reading begins, and whether the reader misses nothing before that.
async fn begin(ctx: &Ctx, reading: &Reading, reach: Reach) -> Result<(i64, bool)> {
    let kept_since = Timestamp::now().minus(ctx.core.settings.event_retention);
    let oldest = || oldest::before(ctx.reader(), ctx.scope(), kept_since, reach.safe);
    let given = match reading.after.as_deref() {
        None => return Ok((oldest().await?, true)),
        Some("now") => return Ok((reach.safe, true)),
        Some(given) => given,
    };
    let position = ctx
        .core
        .cursors
        .open_position(given, ctx.scope())
        // A place that was never given is one of another database, such as the one that this was restored from.
        .filter(|position| position.place <= reach.given)
        .ok_or_else(|| {
            Error::parameter(
                "After",
                "is not a position of this service: give the `after` of an earlier answer, or now, or leave it out",
            )
        })?;
    if position.at >= kept_since {
        Ok((position.place, true))
    } else {
        Ok((position.place.max(oldest().await?), false))
    }
}

/// The events behind `from` up to `until`; and when there are more than `limit`, where the last of them stands.
async fn page(ctx: &Ctx, from: i64, until: i64, limit: u64) -> Result<(Vec<Event>, Option<Position>)> {
    if until <= from {
        return Ok((Vec::new(), None));
    }
    let account = ctx.account();
    let mut placed = Vec::new();
    for row in rows(ctx.reader(), "messages", ctx.scope(), (from, until), limit).await? {
        let event = log::arrival(account, message::Model::from_query_result(&row, "")?);
        placed.push((row.try_get::<i64>("", "position")?, event));
    }
    for row in rows(ctx.reader(), "channel_events", ctx.scope(), (from, until), limit).await? {
        let event = log::from_row(account, channel_event::Model::from_query_result(&row, "")?)?;
        placed.push((row.try_get::<i64>("", "position")?, event));
    }
    placed.sort_unstable_by_key(|(place, _)| *place);
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let has_more = placed.len() > limit;
    placed.truncate(limit);
    let last = placed.last().filter(|_| has_more).map(|(place, event)| Position {
        place: *place,
        at: event.at,
    });
    Ok((placed.into_iter().map(|(_, event)| event).collect(), last))
}

/// One more than `limit`, so that it can be told whether there are more.
async fn rows(
    db: &impl ConnectionTrait,
    table: &str,
    service: ServiceSid,
    (from, until): (i64, i64),
    limit: u64,
) -> Result<Vec<QueryResult>> {
    let mut sql = Sql::new("SELECT * FROM ");
    sql.push(table).push(" WHERE service_id = ").bind(service);
    sql.push(" AND position > ").bind(from);
    sql.push(" AND position <= ").bind(until);
    sql.push(" ORDER BY position LIMIT ")
        .bind(i64::try_from(limit).unwrap_or(i64::MAX - 1) + 1);
    Ok(sql.all(db).await?)
}
