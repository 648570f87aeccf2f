//! The set-based statements of one group commit of read horizons.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
    time::Instant,
};

use sea_orm::{ConnectionTrait, DatabaseTransaction, FromQueryResult};

use super::{Report, Stored};
use crate::{
    campaigns::outcomes::{self, Reading},
    change::advance,
    channels::{self, ChannelKey},
    ctx::{BaseUrl, Origin},
    db::{Db, TRANSACTION_LIMIT},
    desk::CaseTurn,
    entities::{channel, member},
    error::{Error, ErrorCode, Result},
    events::{
        Event, EventKind, Resource, log, outbox,
        publisher::{Committed, Due, Publisher},
    },
    input::ChannelRef,
    messages,
    sid::{ChannelSid, EventSid, OperatorPoolSid, ServiceSid},
    sql::Sql,
    timestamp::Timestamp,
    webhooks::{self, Told, hooks::ChannelHooks},
};

/// A member, as reports name it.
type MemberKey<'r> = (ServiceSid, ChannelSid, &'r str);

/// How far a member had read when it was looked at, and how far there is to read.
#[derive(Debug, Clone, Copy)]
struct Standing {
    horizon: Option<i64>,
    newest: i64,
    place: Place,
}

/// Whose horizon a report moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// The member's own.
    Member,
    /// The one that all operators of the channel's pool have together.
    Operator,
    /// Nobody's.
    None,
}

impl Standing {
    /// Where a report of this index would move the horizon to; `None` when it moves nothing.
    fn target(self, index: i64) -> Option<i64> {
        let index = index.min(self.newest);
        (index >= 0 && self.horizon.is_none_or(|horizon| horizon < index)).then_some(index)
    }
}

/// Stores what moves a horizon; answers what became of each report, in order.
pub(super) async fn store(
    db: &Db,
    publisher: &Publisher,
    base: &BaseUrl,
    reports: &[Report],
) -> Result<Vec<Result<Stored>>> {
    let names = reports.iter().filter_map(|report| match &report.key.channel {
        ChannelRef::Name(name) => Some((report.key.service, name.as_str())),
        ChannelRef::Sid(_) => None,
    });
    let names = channels::by_names(db.reader(), names).await?;
    let members: Vec<Option<MemberKey<'_>>> = reports
        .iter()
        .map(|report| {
            let channel = match &report.key.channel {
                ChannelRef::Sid(id) => *id,
                ChannelRef::Name(name) => *names.get(&(report.key.service, name.clone()))?,
            };
            Some((report.key.service, channel, report.key.identity.as_str()))
        })
        .collect();
    // Most reports move nothing: those need no lock.
    let asked: BTreeSet<MemberKey<'_>> = members.iter().flatten().copied().collect();
    let mut standings = look(db.reader(), &asked).await?;
    let mut movers: Vec<(&Report, MemberKey<'_>)> = Vec::new();
    for (report, member) in reports.iter().zip(&members) {
        if let Some(member) = member
            && let Some(standing) = standings.get(member)
            && standing.place != Place::None
            && standing.target(report.index).is_some()
        {
            movers.push((report, *member));
        }
    }
    let mut moved = BTreeSet::new();
    if !movers.is_empty() {
        let now = advance_all(db, publisher, base, &movers).await?;
        for member in movers.iter().map(|(_, member)| *member) {
            match now.get(&member) {
                Some(standing) => {
                    standings.insert(member, *standing);
                    moved.insert(member);
                }
                // It left in between.
                None => {
                    standings
                        .entry(member)
                        .and_modify(|standing| standing.place = Place::None);
                }
            }
        }
    }
    let answer = |(report, member): (&Report, &Option<MemberKey<'_>>)| {
        let missing = || {
            let Report { key, .. } = report;
            Error::not_found(format_args!("/Services/{}/Channels/{}", key.service, key.channel))
        };
        let member = member.as_ref().ok_or_else(missing)?;
        let standing = standings.get(member).ok_or_else(missing)?;
        if standing.place == Place::None {
            return Err(ErrorCode::NotAMember.into());
        }
        Ok(Stored {
            channel: member.1,
            horizon: standing.horizon,
            moved: moved.contains(member),
        })
    };
    Ok(reports.iter().zip(&members).map(answer).collect())
}

/// How many messages lie behind each report's horizon now.
pub(super) async fn unread(
    db: &Db,
    reports: &[Report],
    stored: &[Result<Stored>],
) -> Result<Vec<Option<i64>>> {
    let horizons: Vec<Option<_>> = reports
        .iter()
        .zip(stored)
        .map(|(report, stored)| {
            let stored = stored.as_ref().ok()?;
            Some((report.key.service, stored.channel, stored.horizon?))
        })
        .collect();
    let known: Vec<_> = horizons.iter().copied().flatten().collect();
    let mut counts = messages::unread(db.reader(), &known).await?.into_iter();
    Ok(horizons
        .iter()
        .map(|horizon| horizon.and_then(|_| counts.next().flatten()))
        .collect())
}

/// Where these members stand; what belongs to no channel is not in it.
async fn look<'r>(
    db: &impl ConnectionTrait,
    members: &BTreeSet<MemberKey<'r>>,
) -> Result<HashMap<MemberKey<'r>, Standing>> {
    if members.is_empty() {
        return Ok(HashMap::new());
    }
    let mut sql = Sql::new("WITH asked (place, service_id, channel_id, identity) AS (VALUES ");
    sql.rows(
        (0_i64..)
            .zip(members)
            .map(|(place, (service, channel, identity))| {
                [place.into(), service.into(), channel.into(), (*identity).into()]
            }),
    );
    sql.push(
        ") SELECT a.place, c.next_index - 1 AS newest, m.joined_seq, m.last_consumed_message_index AS horizon, \
         o.identity AS operator, c.pool_read_index \
         FROM asked a JOIN channels c ON c.service_id = a.service_id AND c.id = a.channel_id AND c.deleted_at IS NULL \
         LEFT JOIN members m ON m.service_id = a.service_id AND m.channel_id = a.channel_id \
         AND m.identity = a.identity \
         LEFT JOIN operators o ON o.service_id = a.service_id AND o.pool_id = c.pool_id AND o.identity = a.identity",
    );
    let asked: Vec<MemberKey<'r>> = members.iter().copied().collect();
    let mut standings = HashMap::new();
    for row in sql.all(db).await? {
        let place: i64 = row.try_get("", "place")?;
        let Some(key) = usize::try_from(place).ok().and_then(|place| asked.get(place)) else {
            continue;
        };
        let place = if row.try_get::<Option<i64>>("", "joined_seq")?.is_some() {
            Place::Member
        } else if row.try_get::<Option<String>>("", "operator")?.is_some() {
            Place::Operator
        } else {
            Place::None
        };
        let standing = Standing {
            horizon: match place {
                Place::Operator => row.try_get("", "pool_read_index")?,
                Place::Member | Place::None => row.try_get("", "horizon")?,
            },
            newest: row.try_get("", "newest")?,
            place,
        };
        standings.insert(*key, standing);
    }
    Ok(standings)
}

/// Moves horizons in one transaction: each member's furthest report makes one event of its channel. Answers where the
/// members stand then; who is gone meanwhile is not in it.
async fn advance_all<'r>(
    db: &Db,
    publisher: &Publisher,
    base: &BaseUrl,
    movers: &[(&'r Report, MemberKey<'r>)],
) -> Result<HashMap<MemberKey<'r>, Standing>> {
    let began = Instant::now();
    let tx = db.begin().await?;
    let keys: BTreeSet<ChannelKey> = movers
        .iter()
        .map(|(_, (service, channel, _))| (*service, *channel))
        .collect();
    let keys: Vec<ChannelKey> = keys.into_iter().collect();
    let mut channels = channels::lock_all(&tx, &keys).await?;
    let mut members = load(&tx, movers).await?;
    let operators = operators(&tx, movers, &channels, &members).await?;
    let mut attended: BTreeSet<ChannelKey> = BTreeSet::new();
    let mut furthest: HashMap<MemberKey<'r>, i64> = HashMap::new();
    for (report, member) in movers {
        let index = furthest.entry(*member).or_insert(report.index);
        *index = report.index.max(*index);
    }
    let mut standings = HashMap::new();
    let mut rows: Vec<(&'r Report, member::Model)> = Vec::new();
    let mut events = Vec::new();
    for (report, key) in movers {
        let Some(index) = furthest.remove(key) else {
            continue;
        };
        let Some(channel) = channels.get_mut(&(key.0, key.1)) else {
            continue;
        };
        let Some(mut row) = members.remove(&(key.0, key.1, key.2.to_owned())) else {
            if operators.contains(key) {
                let mut standing = Standing {
                    horizon: channel.pool_read_index,
                    newest: channel.next_index - 1,
                    place: Place::Operator,
                };
                if let Some(target) = standing.target(index) {
                    standing.horizon = Some(target);
                    channel.pool_read_index = Some(target);
                    attended.insert((key.0, key.1));
                }
                standings.insert(*key, standing);
            }
            continue;
        };
        let mut standing = Standing {
            horizon: row.last_consumed_message_index,
            newest: channel.next_index - 1,
            place: Place::Member,
        };
        if let Some(target) = standing.target(index) {
            standing.horizon = Some(target);
            row.last_consumed_message_index = Some(target);
            row.last_consumption_timestamp = Some(Timestamp::now());
            events.push(event(report, &row, channel));
            rows.push((report, row));
        }
        standings.insert(*key, standing);
    }
    if rows.is_empty() && attended.is_empty() {
        tx.rollback().await?;
        return Ok(standings);
    }
    if !attended.is_empty() {
        write_attended(&tx, attended.iter().filter_map(|key| channels.get(key))).await?;
    }
    if rows.is_empty() {
        // Nobody is told of it.
        tx.commit().await?;
        return Ok(standings);
    }
    write(&tx, &rows).await?;
    outcomes::read(&tx, &readings(&channels, &rows)).await?;
    log::append(&tx, &events).await?;
    let touched: BTreeSet<ChannelKey> = rows
        .iter()
        .map(|(_, row)| (row.service_id, row.channel_id))
        .collect();
    channels::move_counters(&tx, touched.iter().filter_map(|key| channels.get(key))).await?;
    let mut hooks = ChannelHooks::default();
    hooks
        .read(&tx, touched.iter().filter_map(|key| channels.get(key)))
        .await?;
    let deliveries = record_webhooks(&tx, base, &hooks, &rows, &events).await?;
    let outbox = if publisher.needs_outbox() {
        Some(outbox::push(&tx, publisher.node(), &events).await?)
    } else {
        None
    };
    if began.elapsed() > TRANSACTION_LIMIT {
        return Err(Error::new(ErrorCode::Unavailable));
    }
    tx.commit().await?;
    publisher.committed(Committed {
        events: events.into_iter().map(Arc::new).collect(),
        outbox,
        deliveries,
    });
    Ok(standings)
}

fn event(report: &Report, row: &member::Model, channel: &mut channel::Model) -> Event {
    advance(channel, Timestamp::now());
    Event {
        id: EventSid::generate(),
        kind: EventKind::MemberUpdated,
        account: report.account,
        service: row.service_id,
        channel: Some(row.channel_id),
        seq: Some(channel.last_seq),
        identity: row.identity.clone(),
        at: channel.last_event_at,
        pool: channel.pool_id,
        turn: CaseTurn::default(),
        resource: Resource::Member {
            member: Box::new(row.clone()),
            channel: None,
        },
        connection: report.connection,
    }
}

async fn load(
    tx: &DatabaseTransaction,
    movers: &[(&Report, MemberKey<'_>)],
) -> Result<HashMap<(ServiceSid, ChannelSid, String), member::Model>> {
    let mut sql = Sql::new("SELECT * FROM members WHERE (service_id, channel_id, identity) IN ");
    sql.values(
        movers
            .iter()
            .map(|(_, (service, channel, identity))| [service.into(), channel.into(), (*identity).into()]),
    );
    sql.all(tx)
        .await?
        .iter()
        .map(|row| {
            let row = member::Model::from_query_result(row, "")?;
            Ok(((row.service_id, row.channel_id, row.identity.clone()), row))
        })
        .collect()
}

/// Those of the others who are operators of the channel's pool.
async fn operators<'r>(
    tx: &DatabaseTransaction,
    movers: &[(&'r Report, MemberKey<'r>)],
    channels: &HashMap<ChannelKey, channel::Model>,
    members: &HashMap<(ServiceSid, ChannelSid, String), member::Model>,
) -> Result<HashSet<MemberKey<'r>>> {
    let asked: Vec<(MemberKey<'r>, OperatorPoolSid)> = movers
        .iter()
        .map(|(_, key)| *key)
        .filter(|key| !members.contains_key(&(key.0, key.1, key.2.to_owned())))
        .filter_map(|key| Some((key, channels.get(&(key.0, key.1))?.pool_id?)))
        .collect();
    if asked.is_empty() {
        return Ok(HashSet::new());
    }
    let mut sql = Sql::new(
        "SELECT service_id, pool_id, identity FROM operators WHERE (service_id, pool_id, identity) IN ",
    );
    sql.values(
        asked
            .iter()
            .map(|((service, _, identity), pool)| [service.into(), pool.into(), (*identity).into()]),
    );
    let mut known: HashSet<(ServiceSid, OperatorPoolSid, String)> = HashSet::new();
    for row in sql.all(tx).await? {
        known.insert((
            row.try_get("", "service_id")?,
            row.try_get("", "pool_id")?,
            row.try_get("", "identity")?,
        ));
    }
    let is_one =
        |(key, pool): &(MemberKey<'r>, OperatorPoolSid)| known.contains(&(key.0, *pool, key.2.to_owned()));
    Ok(asked.into_iter().filter(is_one).map(|(key, _)| key).collect())
}

/// Writes how far the pools of locked channels have read.
async fn write_attended<'c>(
    tx: &DatabaseTransaction,
    channels: impl Iterator<Item = &'c channel::Model>,
) -> Result<()> {
    let mut sql = Sql::new("WITH attended (service_id, id, horizon) AS (VALUES ");
    sql.rows(channels.map(|channel| {
        [
            channel.service_id.into(),
            channel.id.into(),
            channel.pool_read_index.into(),
        ]
    }));
    sql.push(
        ") UPDATE channels SET pool_read_index = attended.horizon FROM attended \
         WHERE channels.service_id = attended.service_id AND channels.id = attended.id",
    );
    sql.execute(tx).await?;
    Ok(())
}

async fn write(tx: &DatabaseTransaction, rows: &[(&Report, member::Model)]) -> Result<()> {
    let mut sql = Sql::new("WITH moved (service_id, channel_id, id, horizon, moment) AS (VALUES ");
    sql.rows(rows.iter().map(|(_, row)| {
        [
            row.service_id.into(),
            row.channel_id.into(),
            row.id.into(),
            row.last_consumed_message_index.into(),
            row.last_consumption_timestamp.into(),
        ]
    }));
    sql.push(
        ") UPDATE members SET last_consumed_message_index = moved.horizon, last_consumption_timestamp = moved.moment \
         FROM moved WHERE members.service_id = moved.service_id AND members.channel_id = moved.channel_id \
         AND members.id = moved.id",
    );
    sql.execute(tx).await?;
    Ok(())
}

/// What may be the reading of campaigns' messages.
fn readings(
    channels: &HashMap<ChannelKey, channel::Model>,
    rows: &[(&Report, member::Model)],
) -> Vec<Reading> {
    let reading = |(_, row): &(&Report, member::Model)| {
        Reading::of(channels.get(&(row.service_id, row.channel_id))?, row)
    };
    rows.iter().filter_map(reading).collect()
}

/// Every report is a user's, so all of them ask for webhooks.
async fn record_webhooks(
    tx: &DatabaseTransaction,
    base: &BaseUrl,
    hooks: &ChannelHooks,
    rows: &[(&Report, member::Model)],
    events: &[Event],
) -> Result<Vec<Due>> {
    let origins: Vec<Origin> = events
        .iter()
        .map(|event| Origin {
            client: Some(event.identity.clone()),
            webhooks: true,
            connection: event.connection,
        })
        .collect();
    let told: Vec<Told<'_>> = rows
        .iter()
        .zip(events)
        .zip(&origins)
        .map(|(((report, _), event), origin)| Told {
            service: &report.settings,
            origin,
            event,
        })
        .collect();
    webhooks::record(tx, base, hooks, &told).await
}
