//! The desk of a pool: the channels that are attached to it, with what its operators have not attended to.

use std::{cmp::Reverse, collections::HashMap};

use sea_orm::FromQueryResult;

use super::{OPEN, SNOOZED};
use crate::{
    channels::SLACK,
    ctx::Ctx,
    entities::{channel, message},
    error::{Error, Result},
    messages, operator_pools,
    paging::{self, Key, Page, PageRequest, unknown_token},
    query::{self, Asked, Bounds, Listing},
    sid::{ChannelSid, OperatorPoolSid},
    sql::Sql,
    timestamp::Timestamp,
};

/// How many more channels than the page has are read at first: those at its end may have been active in the same second.
const MORE: usize = 20;
/// So many times as many the next time.
const GROWTH: usize = 4;

/// A channel of the desk.
#[derive(Debug, Clone)]
pub struct Case {
    /// The channel.
    pub channel: channel::Model,
    /// How many messages its operators have not attended to.
    pub unread: i64,
    /// Its last message.
    pub last_message: Option<message::Model>,
}

/// What is asked of a desk beside its page.
#[derive(Debug, Clone, Default)]
pub struct DeskAsked {
    /// `open` or `snoozed`; both otherwise.
    pub state: Option<String>,
    /// Those of this operator; empty: those of nobody.
    pub assignee: Option<String>,
    /// `Filter` and `Sort`; without either the latest activity is first.
    pub asked: Asked,
}

impl DeskAsked {
    /// The states that are asked for.
    fn states(&self) -> Result<&'static [&'static str]> {
        match self.state.as_deref() {
            None => Ok(&[OPEN, SNOOZED]),
            Some(OPEN) => Ok(&[OPEN]),
            Some(SNOOZED) => Ok(&[SNOOZED]),
            // Closing detaches the pool: there are none, and asking is no mistake.
            Some(super::CLOSED) => Ok(&[]),
            Some(_) => Err(Error::parameter("State", "must be open, snoozed or closed")),
        }
    }
}

/// A page of the desk.
///
/// # Errors
/// 20404 when there is no such pool; 20006 when a user asks who is no operator of it; 20001 naming what is wrong; as
/// [`query::run`].
pub async fn list(
    ctx: &Ctx,
    pool: OperatorPoolSid,
    asked: &DeskAsked,
    request: &PageRequest,
) -> Result<Listing<Case>> {
    operator_pools::joined(ctx, pool).await?;
    let states = asked.states()?;
    let found: Listing<channel::Model> = if states.is_empty() {
        paging::cut(request, Vec::new(), place).into()
    } else if asked.asked.is_nothing() {
        walk(ctx, pool, states, asked.assignee.as_deref(), request)
            .await?
            .into()
    } else {
        let mut bounds = Bounds::default()
            .with::<channel::Model>("pool_sid", [pool.to_string()])
            .with::<channel::Model>("state", states.iter().map(|state| (*state).to_owned()));
        bounds = match asked.assignee.as_deref() {
            None => bounds,
            Some("") => bounds.without::<channel::Model>("assignee"),
            Some(identity) => bounds.with::<channel::Model>("assignee", [identity.to_owned()]),
        };
        let latest_first = || "[{\"last_message_at\": -1}]".to_owned();
        let sort = asked.asked.sort.clone().or_else(|| Some(latest_first()));
        let asked = Asked {
            sort,
            ..asked.asked.clone()
        };
        query::run(ctx, &bounds, &asked, request).await?
    };
    let mut cases = cases(ctx, &found.page.items).await?.into_iter();
    // As many as there are channels, in their order.
    let page = found.page.map(|_| cases.next());
    Ok(Listing {
        page: Page {
            items: page.items.into_iter().flatten().collect(),
            next: page.next,
            previous: page.previous,
        },
        explain: found.explain,
    })
}

/// The channel as its pool's desk shows it.
///
/// # Errors
/// Whatever the database refuses.
pub async fn case_of(ctx: &Ctx, channel: &channel::Model) -> Result<Case> {
    let mut cases = cases(ctx, std::slice::from_ref(channel)).await?;
    cases.pop().ok_or_else(|| Error::internal("a case was lost"))
}

async fn cases(ctx: &Ctx, channels: &[channel::Model]) -> Result<Vec<Case>> {
    let horizons: Vec<_> = channels
        .iter()
        .map(|channel| {
            let horizon = channel.pool_read_index.unwrap_or(-1);
            (channel.service_id, channel.id, horizon)
        })
        .collect();
    let unread = messages::unread(ctx.reader(), &horizons).await?;
    let mut last = last_messages(ctx, channels).await?;
    Ok(channels
        .iter()
        .zip(unread)
        .map(|(channel, unread)| Case {
            unread: unread.unwrap_or(0),
            last_message: last.remove(&channel.id),
            channel: channel.clone(),
        })
        .collect())
}

async fn last_messages(
    ctx: &Ctx,
    channels: &[channel::Model],
) -> Result<HashMap<ChannelSid, message::Model>> {
    let last: Vec<_> = channels
        .iter()
        .filter_map(|channel| Some((channel.id, channel.last_message_id?)))
        .collect();
    messages::by_channel(ctx.reader(), ctx.scope(), &last).await
}

/// When something was last said, and the channel, by which those of one moment differ.
type Spot = (Timestamp, ChannelSid);

fn spot(channel: &channel::Model) -> Spot {
    (
        channel.last_message_at.unwrap_or(channel.date_created),
        channel.id,
    )
}

fn place(channel: &channel::Model) -> Key {
    let (activity, id) = spot(channel);
    Key::Place([&activity.0.to_be_bytes()[..], id.0.as_bytes()].concat())
}

fn marked(request: &PageRequest) -> Result<Option<Spot>> {
    let Some(token) = &request.token else {
        return Ok(None);
    };
    let read = |bytes: &[u8]| {
        let (activity, id) = bytes.split_first_chunk::<8>()?;
        let id = uuid::Uuid::from_slice(id).ok()?;
        Some((Timestamp(i64::from_be_bytes(*activity)), ChannelSid(id)))
    };
    token.place().and_then(read).map(Some).ok_or_else(unknown_token)
}

/// A page in the order of the latest activity. The index has it nearly: a channel is listed at its activity or up to a
/// second before. So a little more than the page is read, until its end is certain.
async fn walk(
    ctx: &Ctx,
    pool: OperatorPoolSid,
    states: &[&'static str],
    assignee: Option<&str>,
    request: &PageRequest,
) -> Result<Page<channel::Model>> {
    let backward = request.is_backward();
    let from = marked(request)?;
    let most = usize::try_from(request.size)
        .unwrap_or(usize::MAX)
        .saturating_add(1);
    let mut portion = most + MORE;
    loop {
        let mut found: Vec<channel::Model> = Vec::new();
        // Whatever was not read lies beyond this.
        let mut end: Option<Timestamp> = None;
        for state in states {
            let rows = stretch(ctx, (pool, state, assignee), from, backward, portion).await?;
            if let Some(last) = rows.last().filter(|_| rows.len() == portion) {
                let bound = if backward {
                    last.listed_at
                } else {
                    last.listed_at.plus(SLACK)
                };
                end = Some(match end {
                    None => bound,
                    Some(end) if backward => end.min(bound),
                    Some(end) => end.max(bound),
                });
            }
            found.extend(rows);
        }
        found.retain(|channel| {
            let own = spot(channel);
            let certain = end.is_none_or(|end| if backward { own.0 < end } else { own.0 >= end });
            let behind = from.is_none_or(|from| if backward { own > from } else { own < from });
            certain && behind
        });
        if end.is_none() || found.len() >= most {
            if backward {
                found.sort_unstable_by_key(spot);
            } else {
                found.sort_unstable_by_key(|channel| Reverse(spot(channel)));
            }
            found.truncate(most);
            return Ok(paging::cut(request, found, place));
        }
        portion = portion.saturating_mul(GROWTH);
    }
}

/// The first channels of one state along the index, from where the page begins.
async fn stretch(
    ctx: &Ctx,
    (pool, state, assignee): (OperatorPoolSid, &str, Option<&str>),
    from: Option<Spot>,
    backward: bool,
    most: usize,
) -> Result<Vec<channel::Model>> {
    let mut sql = Sql::new("SELECT c.* FROM channels c WHERE c.deleted_at IS NULL AND c.service_id = ");
    sql.bind(ctx.scope()).push(" AND c.pool_id = ").bind(pool);
    sql.push(" AND c.case_state = ").bind(state);
    match assignee {
        None => {}
        Some("") => {
            sql.push(" AND c.assignee IS NULL");
        }
        Some(identity) => {
            sql.push(" AND c.assignee = ").bind(identity);
        }
    }
    match from {
        Some((activity, _)) if backward => {
            sql.push(" AND c.listed_at > ").bind(activity.minus(SLACK));
        }
        Some((activity, _)) => {
            sql.push(" AND c.listed_at <= ").bind(activity);
        }
        None => {}
    }
    sql.push(if backward {
        " ORDER BY c.listed_at, c.id LIMIT "
    } else {
        " ORDER BY c.listed_at DESC, c.id DESC LIMIT "
    })
    .bind(i64::try_from(most).unwrap_or(i64::MAX));
    sql.all(ctx.reader())
        .await?
        .iter()
        .map(|row| channel::Model::from_query_result(row, ""))
        .collect::<Result<_, _>>()
        .map_err(Error::from)
}
