//! The outbox: what must still be published, written in the transaction of the change itself. The process that
//! committed publishes at once and clears the row; rows left behind by a crash or a broker outage are swept.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, FromQueryResult, IntoActiveModel,
    QueryFilter,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Event, log, publisher};
use crate::{
    broker::BrokerError,
    ctx::Core,
    entities::outbox,
    error::{Error, Result},
    messages,
    sid::{AccountSid, ChannelSid, MessageSid, ServiceSid},
    sql::Sql,
    timestamp::Timestamp,
};

/// The most rows one sweep takes.
const SWEEP_ROWS: i64 = 200;
/// How many events of the log are read at once.
const READ_AT_ONCE: u64 = 500;
/// How many arrivals are looked up at once.
const LOOKED_UP_AT_ONCE: usize = 500;

#[derive(Serialize, Deserialize)]
struct Entry {
    /// The process that committed and has told its own sockets.
    node: Uuid,
    items: Vec<Item>,
}

#[derive(Serialize, Deserialize)]
enum Item {
    /// An event that can be read back from the log.
    #[serde(rename = "l")]
    Logged(AccountSid, ServiceSid, ChannelSid, i64),
    /// The arrival of a message, which has no `seq` before the row is written.
    #[serde(rename = "m")]
    Arrival(AccountSid, ServiceSid, ChannelSid, MessageSid),
    /// An event that is kept nowhere else.
    #[serde(rename = "e")]
    Inline(Box<Event>),
}

/// The payload of a row that stands for messages which are stored by the same statement. Those that are not stored after
/// all are passed over.
///
/// # Errors
/// When it cannot be written down.
pub(crate) fn of_arrivals(
    node: Uuid,
    arrivals: impl Iterator<Item = (AccountSid, ServiceSid, ChannelSid, MessageSid)>,
) -> Result<String> {
    let items = arrivals
        .map(|(account, service, channel, message)| Item::Arrival(account, service, channel, message))
        .collect();
    serde_json::to_string(&Entry { node, items }).map_err(Error::internal)
}

/// Writes one row for all `events`; answers its id.
///
/// # Errors
/// Whatever the database refuses.
pub async fn push(db: &impl ConnectionTrait, node: Uuid, events: &[Event]) -> Result<Uuid> {
    let items = events
        .iter()
        .map(|event| match (event.channel, event.seq) {
            (Some(channel), Some(seq)) => Item::Logged(event.account, event.service, channel, seq),
            _ => Item::Inline(Box::new(event.clone())),
        })
        .collect();
    let payload = serde_json::to_string(&Entry { node, items }).map_err(Error::internal)?;
    let row = outbox::Model {
        id: Uuid::now_v7(),
        payload,
        created_at: Timestamp::now(),
    };
    let id = row.id;
    row.into_active_model().insert(db).await?;
    Ok(id)
}

/// Clears rows whose events the broker has taken.
///
/// # Errors
/// Whatever the database refuses.
pub async fn clear(db: &impl ConnectionTrait, ids: &[Uuid]) -> Result<()> {
    if !ids.is_empty() {
        outbox::Entity::delete_many()
            .filter(outbox::Column::Id.is_in(ids.iter().copied()))
            .exec(db)
            .await?;
    }
    Ok(())
}

/// Publishes rows that are older than `age` and clears them; answers how many. One sweeper works at a time.
///
/// # Errors
/// When the database or the broker is away; the rows stay.
pub async fn sweep(core: &Core, age: Duration) -> Result<usize> {
    let tx = core.db.begin().await?;
    let mut sql = Sql::new("SELECT id, payload, created_at FROM outbox WHERE created_at < ");
    sql.bind(Timestamp::now().minus(age))
        .push(" ORDER BY id LIMIT ")
        .bind(SWEEP_ROWS);
    if tx.get_database_backend() == DbBackend::Postgres {
        sql.push(" FOR UPDATE SKIP LOCKED");
    }
    let rows = sql.all(&tx).await?;
    let mut ids = Vec::with_capacity(rows.len());
    let mut entries = Vec::with_capacity(rows.len());
    for row in &rows {
        let row = outbox::Model::from_query_result(row, "")?;
        ids.push(row.id);
        match serde_json::from_str::<Entry>(&row.payload) {
            Ok(entry) => entries.push(entry),
            // It must not hold up the rows behind it. What is in the log, gateways find there themselves.
            Err(error) => tracing::error!(%error, row = %row.id, "dropped an outbox row of another version"),
        }
    }
    let by_node = resolve(&tx, entries).await?;
    for (node, events) in by_node {
        core.bus
            .publish(publisher::encode(node, &events))
            .await
            .map_err(away)?;
    }
    clear(&tx, &ids).await?;
    tx.commit().await?;
    Ok(ids.len())
}

/// Turns entries into events, each process's in the order of its entries. The log is read once a channel.
async fn resolve(db: &impl ConnectionTrait, mut entries: Vec<Entry>) -> Result<HashMap<Uuid, Vec<Event>>> {
    number(db, &mut entries).await?;
    let mut spans: BTreeMap<(ServiceSid, ChannelSid), (AccountSid, i64, i64)> = BTreeMap::new();
    for item in entries.iter().flat_map(|entry| &entry.items) {
        if let Item::Logged(account, service, channel, seq) = item {
            let (_, first, last) = spans
                .entry((*service, *channel))
                .or_insert((*account, *seq, *seq));
            (*first, *last) = ((*first).min(*seq), (*last).max(*seq));
        }
    }
    let mut logged: HashMap<(ServiceSid, ChannelSid, i64), Event> = HashMap::new();
    for ((service, channel), (account, first, last)) in spans {
        let mut stretch = log::Stretch {
            account,
            service,
            channel,
            after: first - 1,
            until: last,
        };
        while stretch.after < last {
            let events = log::read(db, stretch, READ_AT_ONCE).await?;
            let Some(seq) = events.last().and_then(|event| event.seq) else {
                break;
            };
            stretch.after = seq;
            logged.extend(
                events
                    .into_iter()
                    .filter_map(|event| Some(((service, channel, event.seq?), event))),
            );
        }
    }
    let mut by_node: HashMap<Uuid, Vec<Event>> = HashMap::new();
    for entry in entries {
        let events = by_node.entry(entry.node).or_default();
        events.extend(entry.items.into_iter().filter_map(|item| match item {
            Item::Inline(event) => Some(*event),
            Item::Logged(_, service, channel, seq) => logged.remove(&(service, channel, seq)),
            Item::Arrival(..) => None,
        }));
    }
    Ok(by_node)
}

/// Gives arrivals the `seq` that they got.
async fn number(db: &impl ConnectionTrait, entries: &mut [Entry]) -> Result<()> {
    let arrivals = entries.iter().flat_map(|entry| &entry.items);
    let arrivals: Vec<(ServiceSid, ChannelSid, MessageSid)> = arrivals
        .filter_map(|item| match item {
            Item::Arrival(_, service, channel, message) => Some((*service, *channel, *message)),
            _ => None,
        })
        .collect();
    let mut numbers: HashMap<MessageSid, i64> = HashMap::with_capacity(arrivals.len());
    for portion in arrivals.chunks(LOOKED_UP_AT_ONCE) {
        for (message, seq) in messages::seqs(db, portion).await? {
            numbers.insert(message, seq);
        }
    }
    for item in entries.iter_mut().flat_map(|entry| &mut entry.items) {
        if let Item::Arrival(account, service, channel, message) = item
            && let Some(seq) = numbers.get(message)
        {
            *item = Item::Logged(*account, *service, *channel, *seq);
        }
    }
    Ok(())
}

fn away(error: BrokerError) -> Error {
    Error::unavailable(error)
}
