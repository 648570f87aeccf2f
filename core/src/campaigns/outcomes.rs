//! What becomes of messages after they were sent: delivered, read, answered. A recipient only goes forward.
//!
//! Recipients are locked in the order of their places, then the counts of their portions by their keys, as the engine
//! does ([`super::engine`]); whoever holds channels holds them before.

use std::collections::BTreeMap;

use sea_orm::{ConnectionTrait, DatabaseTransaction, DbBackend};

use super::{
    PORTION,
    engine::{DELIVERED, PENDING, READ, REPLIED, SENT},
};
use crate::{
    db::Db,
    entities::{channel, member},
    error::Result,
    sid::{CampaignSid, ChannelSid, MessageSid, ServiceSid},
    sql::{Sql, portions},
    timestamp::Timestamp,
};

/// A campaign's message that reached one of a user's devices.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Delivery {
    /// The service.
    pub service: ServiceSid,
    /// The channel.
    pub channel: ChannelSid,
    /// The message.
    pub message: MessageSid,
    /// Who has it.
    pub identity: String,
}

/// A user's message in a channel that a campaign went into.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) service: ServiceSid,
    pub(crate) channel: ChannelSid,
    pub(crate) campaign: CampaignSid,
    pub(crate) identity: String,
}

/// How far a user has read in a channel that a campaign went into.
#[derive(Debug, Clone)]
pub(crate) struct Reading {
    service: ServiceSid,
    channel: ChannelSid,
    identity: String,
    index: i64,
}

impl Reading {
    /// How far this member has read; `None` when no campaign went into the channel, so that most need no question.
    pub(crate) fn of(channel: &channel::Model, member: &member::Model) -> Option<Self> {
        channel.campaign_id?;
        Some(Self {
            service: member.service_id,
            channel: member.channel_id,
            identity: member.identity.clone(),
            index: member.last_consumed_message_index?,
        })
    }
}

/// A recipient that goes on.
struct Hit {
    service: ServiceSid,
    campaign: CampaignSid,
    place: i64,
    from: String,
}

/// Writes down what was delivered. Answers what is to be told again in a moment: of a message for all, its recipients
/// are written down a little later than it is sent.
///
/// # Errors
/// Whatever the database refuses; nothing is written then.
pub async fn delivered(db: &Db, deliveries: &[Delivery]) -> Result<Vec<Delivery>> {
    let mut early = Vec::new();
    for portion in portions(deliveries) {
        let tx = db.begin().await?;
        let mut sql = Sql::new("WITH ");
        sql.table(
            db.backend(),
            "told",
            [
                ("nr", "bigint"),
                ("service_id", "uuid"),
                ("channel_id", "uuid"),
                ("message_id", "uuid"),
                ("identity", "text"),
            ],
            (0_i64..).zip(portion).map(|(number, it)| {
                [
                    number.into(),
                    it.service.into(),
                    it.channel.into(),
                    it.message.into(),
                    it.identity.as_str().into(),
                ]
            }),
        );
        sql.push(
            " SELECT t.nr, r.service_id, r.campaign_id, r.place, r.status FROM told t JOIN campaign_recipients r \
             ON r.service_id = t.service_id AND r.identity = t.identity AND r.channel_id = t.channel_id \
             WHERE r.status = ",
        )
        .bind(SENT)
        .push(" AND r.message_id = t.message_id OR r.status = ")
        .bind(PENDING)
        .push(" ORDER BY r.service_id, r.campaign_id, r.place");
        locking(&mut sql, db.backend());
        let mut hits = Vec::new();
        for row in sql.all(&tx).await? {
            let hit = hit(&row)?;
            if hit.from == PENDING {
                let number: i64 = row.try_get("", "nr")?;
                early.extend(
                    usize::try_from(number)
                        .ok()
                        .and_then(|number| portion.get(number).cloned()),
                );
            } else {
                hits.push(hit);
            }
        }
        go_on(&tx, &hits, DELIVERED).await?;
        tx.commit().await?;
    }
    Ok(early)
}

/// Writes down who answered, in the transaction that stores the answers. The channels are locked.
///
/// # Errors
/// Whatever the database refuses.
pub(crate) async fn replied(tx: &DatabaseTransaction, replies: &[Reply]) -> Result<()> {
    let backend = tx.get_database_backend();
    for portion in portions(replies) {
        let mut sql = Sql::new("WITH ");
        sql.table(
            backend,
            "told",
            [
                ("service_id", "uuid"),
                ("channel_id", "uuid"),
                ("campaign_id", "uuid"),
                ("identity", "text"),
            ],
            portion.iter().map(|it| {
                [
                    it.service.into(),
                    it.channel.into(),
                    it.campaign.into(),
                    it.identity.as_str().into(),
                ]
            }),
        );
        sql.push(
            " SELECT r.service_id, r.campaign_id, r.place, r.status FROM told t JOIN campaign_recipients r \
             ON r.service_id = t.service_id AND r.identity = t.identity AND r.campaign_id = t.campaign_id \
             AND r.channel_id = t.channel_id WHERE r.status IN (",
        )
        .list([SENT.into(), DELIVERED.into(), READ.into()])
        .push(") ORDER BY r.service_id, r.campaign_id, r.place");
        locking(&mut sql, backend);
        let hits: Vec<Hit> = sql.all(tx).await?.iter().map(hit).collect::<Result<_>>()?;
        go_on(tx, &hits, REPLIED).await?;
    }
    Ok(())
}

/// Writes down who has read, in the transaction that moves the horizons. The channels are locked.
///
/// # Errors
/// Whatever the database refuses.
pub(crate) async fn read(tx: &DatabaseTransaction, readings: &[Reading]) -> Result<()> {
    let backend = tx.get_database_backend();
    for portion in portions(readings) {
        let mut sql = Sql::new("WITH ");
        sql.table(
            backend,
            "told",
            [
                ("service_id", "uuid"),
                ("channel_id", "uuid"),
                ("identity", "text"),
                ("idx", "bigint"),
            ],
            portion.iter().map(|it| {
                [
                    it.service.into(),
                    it.channel.into(),
                    it.identity.as_str().into(),
                    it.index.into(),
                ]
            }),
        );
        sql.push(
            " SELECT r.service_id, r.campaign_id, r.place, r.status FROM told t JOIN campaign_recipients r \
             ON r.service_id = t.service_id AND r.identity = t.identity AND r.channel_id = t.channel_id \
             AND r.message_index <= t.idx WHERE r.status IN (",
        )
        .list([SENT.into(), DELIVERED.into()])
        .push(") ORDER BY r.service_id, r.campaign_id, r.place");
        locking(&mut sql, backend);
        let hits: Vec<Hit> = sql.all(tx).await?.iter().map(hit).collect::<Result<_>>()?;
        go_on(tx, &hits, READ).await?;
    }
    Ok(())
}

fn locking(sql: &mut Sql, backend: DbBackend) {
    if backend == DbBackend::Postgres {
        sql.push(" FOR UPDATE OF r");
    }
}

fn hit(row: &sea_orm::QueryResult) -> Result<Hit> {
    Ok(Hit {
        service: row.try_get("", "service_id")?,
        campaign: row.try_get("", "campaign_id")?,
        place: row.try_get("", "place")?,
        from: row.try_get("", "status")?,
    })
}

/// Gives locked recipients their new status, and moves the counts of their portions.
async fn go_on(tx: &DatabaseTransaction, hits: &[Hit], status: &'static str) -> Result<()> {
    if hits.is_empty() {
        return Ok(());
    }
    let backend = tx.get_database_backend();
    let now = Timestamp::now();
    let mut sql = Sql::new("WITH ");
    sql.table(
        backend,
        "hit",
        [
            ("service_id", "uuid"),
            ("campaign_id", "uuid"),
            ("place", "bigint"),
        ],
        hits.iter()
            .map(|hit| [hit.service.into(), hit.campaign.into(), hit.place.into()]),
    );
    sql.push(" UPDATE campaign_recipients SET status = ")
        .bind(status)
        .push(", date_updated = ")
        .bind(now);
    sql.push(
        " FROM hit WHERE campaign_recipients.service_id = hit.service_id \
         AND campaign_recipients.campaign_id = hit.campaign_id AND campaign_recipients.place = hit.place",
    );
    sql.execute(tx).await?;
    let mut moved: BTreeMap<(ServiceSid, CampaignSid, i32), [i32; 4]> = BTreeMap::new();
    for hit in hits {
        let number = i32::try_from(hit.place / PORTION).unwrap_or(i32::MAX);
        let counts = moved.entry((hit.service, hit.campaign, number)).or_default();
        for (name, by) in [(hit.from.as_str(), -1), (status, 1)] {
            let column = [SENT, DELIVERED, READ, REPLIED]
                .iter()
                .position(|column| *column == name);
            if let Some(count) = column.and_then(|column| counts.get_mut(column)) {
                *count += by;
            }
        }
    }
    for ((service, campaign, number), [sent, delivered, read, replied]) in moved {
        let mut sql = Sql::new("UPDATE campaign_portions SET sent = sent + ");
        sql.bind(sent).push(", delivered = delivered + ").bind(delivered);
        sql.push(", read_count = read_count + ").bind(read);
        sql.push(", replied = replied + ").bind(replied);
        sql.push(", date_updated = ").bind(now);
        sql.push(" WHERE service_id = ").bind(service);
        sql.push(" AND campaign_id = ").bind(campaign);
        sql.push(" AND number = ").bind(number);
        sql.execute(tx).await?;
    }
    Ok(())
}
