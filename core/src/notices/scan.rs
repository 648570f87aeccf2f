//! Walking through a service's messages: who has missed them.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use sea_orm::{ConnectionTrait, Value};

use crate::{
    ctx::Core,
    entities::provider,
    error::Result,
    sid::{ChannelSid, ServiceSid},
    sql::Sql,
    timestamp::Timestamp,
};

/// How many messages are looked at in one go.
const MESSAGES: i64 = 200;
/// In larger channels nobody is told of anything: they are not conversations.
const MEMBERS: i64 = 1000;
/// How many members one go looks at, so that its transaction stays short.
const MEMBERS_AT_ONCE: i64 = 5000;

struct Message {
    place: i64,
    channel: ChannelSid,
    index: i64,
    seq: i64,
    author: String,
    removed: bool,
}

/// How far a walk has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Walked {
    /// To this place, and there may be more.
    On(i64),
    /// There is nothing behind it that is old enough.
    Through,
    /// Another process has the service in hand.
    Lost,
}

/// Looks through the next messages of a service that are older than its delay, from behind `place` up to `reach`, and
/// writes down who has missed them.
///
/// # Errors
/// Whatever the database refuses; the same messages are looked through again then.
pub async fn scan(core: &Core, provider: &provider::Model, place: i64, reach: i64) -> Result<Walked> {
    let service = provider.service_id;
    let delay = u64::try_from(provider.notice_delay.unwrap_or_default()).unwrap_or_default();
    let until = Timestamp::now().minus(Duration::from_secs(delay));
    if reach <= place {
        return Ok(Walked::Through);
    }
    let mut messages = behind(core, service, (place, reach), until).await?;
    if messages.is_empty() {
        return Ok(Walked::Through);
    }
    let sizes = sizes(core, service, &messages).await?;
    let taken = portion(&messages, &sizes);
    messages.truncate(taken);
    let Some(last) = messages.last().map(|message| message.place) else {
        return Ok(Walked::Through);
    };
    messages.retain(|message| {
        !message.removed && sizes.get(&message.channel).is_some_and(|size| *size <= MEMBERS)
    });
    let tx = core.db.begin().await?;
    note(&tx, service, &messages).await?;
    let mut sql = Sql::new("UPDATE notice_cursors SET place = ");
    sql.bind(last)
        .push(" WHERE service_id = ")
        .bind(service)
        .push(" AND place = ")
        .bind(place)
        .push(" AND node = ")
        .bind(core.node);
    if sql.execute(&tx).await?.rows_affected() == 0 {
        // Somebody else has it in hand by now.
        tx.rollback().await?;
        return Ok(Walked::Lost);
    }
    tx.commit().await?;
    Ok(Walked::On(last))
}

/// The next messages, up to the first that is too young.
async fn behind(
    core: &Core,
    service: ServiceSid,
    (place, reach): (i64, i64),
    until: Timestamp,
) -> Result<Vec<Message>> {
    let mut sql = Sql::new(
        "SELECT position, channel_id, idx, seq, author, removed_at, committed_at FROM messages WHERE service_id = ",
    );
    sql.bind(service).push(" AND position > ").bind(place);
    sql.push(" AND position <= ").bind(reach);
    sql.push(" ORDER BY position LIMIT ").bind(MESSAGES);
    let mut messages = Vec::new();
    for row in sql.all(core.db.reader()).await? {
        let committed_at: Timestamp = row.try_get("", "committed_at")?;
        if committed_at > until {
            break;
        }
        let removed_at: Option<Timestamp> = row.try_get("", "removed_at")?;
        messages.push(Message {
            place: row.try_get("", "position")?,
            channel: row.try_get("", "channel_id")?,
            index: row.try_get("", "idx")?,
            seq: row.try_get("", "seq")?,
            author: row.try_get("", "author")?,
            removed: removed_at.is_some(),
        });
    }
    Ok(messages)
}

/// How many members the messages' channels have; those that are gone are not in it.
async fn sizes(core: &Core, service: ServiceSid, messages: &[Message]) -> Result<HashMap<ChannelSid, i64>> {
    let channels: HashSet<ChannelSid> = messages.iter().map(|message| message.channel).collect();
    let mut sql =
        Sql::new("SELECT id, members_count FROM channels WHERE deleted_at IS NULL AND service_id = ");
    sql.bind(service).push(" AND id IN (");
    sql.list(channels.into_iter().map(Value::from)).push(")");
    let mut sizes = HashMap::new();
    for row in sql.all(core.db.reader()).await? {
        let members: i32 = row.try_get("", "members_count")?;
        sizes.insert(row.try_get("", "id")?, i64::from(members));
    }
    Ok(sizes)
}

/// How many of the messages are looked at now: one at least.
fn portion(messages: &[Message], sizes: &HashMap<ChannelSid, i64>) -> usize {
    let mut seen = HashSet::new();
    let mut members = 0;
    for (number, message) in messages.iter().enumerate() {
        if seen.insert(message.channel) {
            let size = sizes.get(&message.channel).copied().unwrap_or(0);
            members += if size <= MEMBERS { size } else { 0 };
            if members > MEMBERS_AT_ONCE && number > 0 {
                return number;
            }
        }
    }
    messages.len()
}

async fn note(tx: &impl ConnectionTrait, service: ServiceSid, messages: &[Message]) -> Result<()> {
    if messages.is_empty() {
        return Ok(());
    }
    let now = Timestamp::now();
    let mut sql = Sql::new("WITH missed(channel_id, idx, seq, author) AS (VALUES ");
    sql.rows(messages.iter().map(|message| {
        [
            message.channel.into(),
            message.index.into(),
            message.seq.into(),
            message.author.as_str().into(),
        ]
    }));
    sql.push(
        ") INSERT INTO notices AS n (service_id, channel_id, identity, message_index, status, attempts, due_at, \
         date_created, date_updated) \
         SELECT m.service_id, m.channel_id, m.identity, MIN(w.idx), 'waiting', 0, ",
    );
    sql.bind(now).push(", ").bind(now).push(", ").bind(now);
    sql.push(
        " FROM missed w JOIN members m ON m.channel_id = w.channel_id \
         JOIN users u ON u.service_id = m.service_id AND u.identity = m.identity WHERE m.service_id = ",
    )
    .bind(service);
    // The attributes are read properly before anything is sent; this leaves out those who cannot be written to.
    sql.push(
        " AND m.identity <> w.author AND m.notification_level <> 'muted' AND m.joined_seq < w.seq \
         AND COALESCE(m.last_consumed_message_index, -1) < w.idx AND u.attributes LIKE '%\"email\"%' \
         GROUP BY m.service_id, m.channel_id, m.identity \
         ON CONFLICT (service_id, channel_id, identity) DO UPDATE SET message_index = excluded.message_index, \
         status = 'waiting', attempts = 0, error = NULL, due_at = excluded.due_at, \
         date_updated = excluded.date_updated \
         WHERE n.message_index <= COALESCE((SELECT r.last_consumed_message_index FROM members r \
         WHERE r.service_id = n.service_id AND r.channel_id = n.channel_id AND r.identity = n.identity), -1)",
    );
    sql.execute(tx).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_go_looks_at_so_many_members_and_one_message_at_least() {
        let channels: Vec<ChannelSid> = (0..8).map(|_| ChannelSid::generate()).collect();
        let messages: Vec<Message> = (0_i64..)
            .zip(&channels)
            .map(|(place, channel)| Message {
                place,
                channel: *channel,
                index: 0,
                seq: 1,
                author: "a".to_owned(),
                removed: false,
            })
            .collect();
        let all = |size: i64| channels.iter().map(|channel| (*channel, size)).collect();
        assert_eq!(portion(&messages, &all(10)), 8);
        assert_eq!(portion(&messages, &all(1000)), 5);
        assert_eq!(
            portion(&messages, &all(50_000)),
            8,
            "larger channels are not looked at"
        );
    }
}
