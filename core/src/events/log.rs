//! The log of durable channel events: appended in the change's own transaction, read by `seq`.

use std::collections::HashMap;

use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, QueryFilter, QueryOrder, QuerySelect,
};

use super::{Event, EventKind, Resource};
use crate::{
    desk::{self, CaseTurn},
    entities::{channel_event, message},
    error::{Error, Result},
    sid::{AccountSid, ChannelSid, OperatorPoolSid, ServiceSid},
    sql::{LONG, Sql},
    timestamp::Timestamp,
};

/// Where arrivals of messages are recorded.
pub(crate) const MESSAGES: &str = "messages";
/// Where everything else is.
pub(crate) const OTHERS: &str = "channel_events";

/// How many rows one statement inserts.
const ROWS: usize = 500;
/// How many channels one question looks back at: it must end before the database loses patience.
const CHANNELS: usize = 200;

/// Records the events. Arrivals of messages are not recorded here: the message's row is their record.
///
/// # Errors
/// Whatever the database refuses.
pub async fn append(db: &impl ConnectionTrait, events: &[Event]) -> Result<()> {
    let rows = events.iter().filter_map(row).collect::<Result<Vec<_>>>()?;
    let backend = db.get_database_backend();
    for portion in rows.chunks(ROWS) {
        let mut sql = Sql::new("WITH ");
        sql.table(
            backend,
            "said",
            [
                ("service_id", "uuid"),
                ("channel_id", "uuid"),
                ("seq", "bigint"),
                ("id", "uuid"),
                ("kind", "text"),
                ("identity", "text"),
                ("subject", "text"),
                ("payload", LONG),
                ("committed_at", "bigint"),
            ],
            portion.iter().map(|row| {
                [
                    row.service_id.into(),
                    row.channel_id.into(),
                    row.seq.into(),
                    row.id.into(),
                    row.kind.as_str().into(),
                    row.identity.as_str().into(),
                    row.subject.as_deref().into(),
                    row.payload.as_str().into(),
                    row.committed_at.into(),
                ]
            }),
        );
        sql.push(
            " INSERT INTO channel_events (service_id, channel_id, seq, id, kind, identity, subject, payload, \
             committed_at) SELECT service_id, channel_id, seq, id, kind, identity, subject, payload, committed_at \
             FROM said",
        );
        sql.execute(db).await?;
    }
    Ok(())
}

fn row(event: &Event) -> Option<Result<channel_event::Model>> {
    let (channel_id, seq) = (event.channel?, event.seq?);
    let payload = match serde_json::to_string(&event.resource) {
        Ok(payload) => payload,
        Err(error) => return Some(Err(Error::internal(error))),
    };
    Some(Ok(channel_event::Model {
        service_id: event.service,
        channel_id,
        seq,
        id: event.id,
        kind: event.kind.name().to_owned(),
        identity: event.identity.clone(),
        subject: event.subject().map(str::to_owned).or_else(|| event.attachment()),
        payload,
        committed_at: event.at,
    }))
}

/// A stretch of one channel's log.
#[derive(Debug, Clone, Copy)]
pub struct Stretch {
    /// The tenant.
    pub account: AccountSid,
    /// The service.
    pub service: ServiceSid,
    /// The channel.
    pub channel: ChannelSid,
    /// Events after this `seq` …
    pub after: i64,
    /// … up to and including this one.
    pub until: i64,
}

/// Reads at most `limit` events of the stretch, ascending. Removed messages are in it, without what they said: who was
/// away when a message was removed does not get to read it.
///
/// # Errors
/// Whatever the database refuses.
pub async fn read(db: &impl ConnectionTrait, stretch: Stretch, limit: u64) -> Result<Vec<Event>> {
    let messages = message::Entity::find()
        .filter(message::Column::ServiceId.eq(stretch.service))
        .filter(message::Column::ChannelId.eq(stretch.channel))
        .filter(message::Column::Seq.gt(stretch.after))
        .filter(message::Column::Seq.lte(stretch.until))
        .order_by_asc(message::Column::Seq)
        .limit(limit)
        .all(db)
        .await?;
    let others = channel_event::Entity::find()
        .filter(channel_event::Column::ServiceId.eq(stretch.service))
        .filter(channel_event::Column::ChannelId.eq(stretch.channel))
        .filter(channel_event::Column::Seq.gt(stretch.after))
        .filter(channel_event::Column::Seq.lte(stretch.until))
        .order_by_asc(channel_event::Column::Seq)
        .limit(limit)
        .all(db)
        .await?;
    let mut events: Vec<Event> = messages
        .into_iter()
        .map(|message| arrival(stretch.account, message))
        .collect();
    for row in others {
        events.push(from_row(stretch.account, row)?);
    }
    events.sort_unstable_by_key(|event| event.seq);
    events.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    Ok(events)
}

/// Reads the events of many stretches of one service with one question to each table; those of a channel come one after
/// the other, ascending. Since `seq` has no holes, the caller knows how many there are at most.
///
/// # Errors
/// Whatever the database refuses.
pub async fn read_all(db: &impl ConnectionTrait, stretches: &[Stretch]) -> Result<Vec<Event>> {
    let &[Stretch { account, service, .. }, ..] = stretches else {
        return Ok(Vec::new());
    };
    if let [stretch] = stretches {
        return read(
            db,
            *stretch,
            u64::try_from(stretch.until - stretch.after).unwrap_or(0),
        )
        .await;
    }
    let mut events = Vec::new();
    for row in within(stretches, MESSAGES).all(db).await? {
        events.push(arrival(account, message::Model::from_query_result(&row, "")?));
    }
    for row in within(stretches, OTHERS).all(db).await? {
        events.push(from_row(
            account,
            channel_event::Model::from_query_result(&row, "")?,
        )?);
    }
    debug_assert!(events.iter().all(|event| event.service == service));
    put_in_order(stretches, &mut events);
    Ok(events)
}

/// Puts the events of stretches of one service in their order, those of a channel one after the other, each once.
pub(crate) fn put_in_order(stretches: &[Stretch], events: &mut Vec<Event>) {
    let mut places: HashMap<ChannelSid, usize> = HashMap::new();
    for (place, stretch) in stretches.iter().enumerate() {
        places.entry(stretch.channel).or_insert(place);
    }
    let place = |event: &Event| event.channel.and_then(|channel| places.get(&channel).copied());
    events.sort_unstable_by_key(|event| (place(event), event.seq));
    events.dedup_by_key(|event| (event.channel, event.seq));
}

/// The rows of a table that lie in these stretches.
fn within(stretches: &[Stretch], table: &str) -> Sql {
    let mut sql = Sql::new("WITH asked (service_id, channel_id, after_seq, until_seq) AS (VALUES ");
    sql.rows(stretches.iter().map(|stretch| {
        [
            stretch.service.into(),
            stretch.channel.into(),
            stretch.after.into(),
            stretch.until.into(),
        ]
    }));
    sql.push(") SELECT t.* FROM asked a JOIN ").push(table);
    sql.push(
        " t ON t.service_id = a.service_id AND t.channel_id = a.channel_id \
         AND t.seq > a.after_seq AND t.seq <= a.until_seq",
    );
    sql
}

/// The `seq` of each channel's last event that was committed at `moment` or before; 0 when there is none. Walks back
/// from the newest event of each, so it costs what was missed since and no more.
///
/// # Errors
/// Whatever the database refuses.
pub async fn seqs_at(
    db: &impl ConnectionTrait,
    service: ServiceSid,
    channels: &[ChannelSid],
    moment: Timestamp,
) -> Result<HashMap<ChannelSid, i64>> {
    let mut seqs = HashMap::with_capacity(channels.len());
    for portion in channels.chunks(CHANNELS) {
        let mut sql = Sql::new("WITH asked (channel_id) AS (VALUES ");
        sql.rows(portion.iter().map(|channel| [channel.into()]));
        sql.push(") SELECT a.channel_id");
        for (table, name) in [(MESSAGES, "message"), (OTHERS, "other")] {
            sql.push(&format!(", (SELECT t.seq FROM {table} t WHERE t.service_id = "))
                .bind(service);
            sql.push(" AND t.channel_id = a.channel_id AND t.committed_at <= ")
                .bind(moment);
            sql.push(&format!(" ORDER BY t.seq DESC LIMIT 1) AS {name}"));
        }
        sql.push(" FROM asked a");
        for row in sql.all(db).await? {
            let message: Option<i64> = row.try_get("", "message")?;
            let other: Option<i64> = row.try_get("", "other")?;
            seqs.insert(row.try_get("", "channel_id")?, message.max(other).unwrap_or(0));
        }
    }
    Ok(seqs)
}

/// A join or a leave of one user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MembershipChange {
    /// The channel.
    pub channel: ChannelSid,
    /// Where in its order.
    pub seq: i64,
    /// Joined, or left.
    pub joined: bool,
}

/// How these pools came to channels and went after `moment`, by channel and `seq`; of these channels only, when any are
/// given.
///
/// # Errors
/// Whatever the database refuses.
pub async fn attachments(
    db: &impl ConnectionTrait,
    service: ServiceSid,
    pools: &[OperatorPoolSid],
    channels: Option<&[ChannelSid]>,
    moment: Timestamp,
) -> Result<Vec<(OperatorPoolSid, MembershipChange)>> {
    if pools.is_empty() {
        return Ok(Vec::new());
    }
    let mut sql = Sql::new("SELECT channel_id, seq, subject FROM channel_events WHERE service_id = ");
    sql.bind(service).push(" AND kind IN (");
    sql.list([
        EventKind::ChannelUpdated.name().into(),
        EventKind::ChannelRemoved.name().into(),
    ]);
    sql.push(") AND committed_at > ").bind(moment);
    sql.push(" AND subject IS NOT NULL AND subject IN (").list(
        pools
            .iter()
            .flat_map(|pool| [true, false].map(|attached| desk::turn_subject(*pool, attached).into())),
    );
    sql.push(")");
    if let Some(channels) = channels {
        sql.push(" AND channel_id IN (")
            .list(channels.iter().map(Into::into))
            .push(")");
    }
    sql.push(" ORDER BY channel_id, seq");
    let mut found = Vec::new();
    for row in sql.all(db).await? {
        let subject: String = row.try_get("", "subject")?;
        let Some((pool, joined)) = desk::read_turn_subject(&subject) else {
            continue;
        };
        let change = MembershipChange {
            channel: row.try_get("", "channel_id")?,
            seq: row.try_get("", "seq")?,
            joined,
        };
        found.push((pool, change));
    }
    Ok(found)
}

/// The joins of these users after `moment`, as the stretches that hold them.
///
/// # Errors
/// Whatever the database refuses.
pub async fn joins(
    db: &impl ConnectionTrait,
    users: &[(AccountSid, ServiceSid, String)],
    moment: Timestamp,
) -> Result<Vec<(String, Stretch)>> {
    if users.is_empty() {
        return Ok(Vec::new());
    }
    let accounts: HashMap<ServiceSid, AccountSid> = users
        .iter()
        .map(|(account, service, _)| (*service, *account))
        .collect();
    let mut sql = Sql::new("SELECT service_id, channel_id, seq, subject FROM channel_events WHERE kind = ");
    sql.bind(EventKind::MemberJoined.name())
        .push(" AND subject IS NOT NULL AND committed_at > ")
        .bind(moment);
    sql.push(" AND (service_id, subject) IN ");
    sql.values(
        users
            .iter()
            .map(|(_, service, identity)| [service.into(), identity.as_str().into()]),
    );
    let mut joins = Vec::new();
    for row in sql.all(db).await? {
        let service: ServiceSid = row.try_get("", "service_id")?;
        let Some(account) = accounts.get(&service).copied() else {
            continue;
        };
        let seq: i64 = row.try_get("", "seq")?;
        let channel = row.try_get("", "channel_id")?;
        joins.push((
            row.try_get("", "subject")?,
            Stretch {
                account,
                service,
                channel,
                after: seq - 1,
                until: seq,
            },
        ));
    }
    Ok(joins)
}

/// The arrival of a message, without what it said when it was removed.
pub(crate) fn arrival(account: AccountSid, mut message: message::Model) -> Event {
    if message.removed_at.is_some() {
        forget_content(&mut message);
    }
    Event::message_added(account, message, None)
}

fn forget_content(message: &mut message::Model) {
    message.body = None;
    "{}".clone_into(&mut message.attributes);
}

/// The event that a row of the log holds.
///
/// # Errors
/// When another version wrote it in a form that this one does not know.
pub(crate) fn from_row(account: AccountSid, row: channel_event::Model) -> Result<Event> {
    let kind = EventKind::parse(&row.kind)
        .ok_or_else(|| Error::internal(format!("the event log has an unknown kind '{}'", row.kind)))?;
    let mut resource: Resource = serde_json::from_str(&row.payload).map_err(Error::internal)?;
    if let (EventKind::MessageRemoved, Resource::Message(message)) = (kind, &mut resource) {
        forget_content(message);
    }
    let turned = row
        .subject
        .as_deref()
        .filter(|_| matches!(kind, EventKind::ChannelUpdated | EventKind::ChannelRemoved))
        .and_then(desk::read_turn_subject);
    Ok(Event {
        id: row.id,
        kind,
        account,
        service: row.service_id,
        channel: Some(row.channel_id),
        seq: Some(row.seq),
        identity: row.identity,
        at: row.committed_at,
        pool: turned.map(|(pool, _)| pool),
        turn: CaseTurn {
            attached: turned.map(|(_, attached)| attached),
            state: false,
        },
        resource,
        connection: None,
    })
}
