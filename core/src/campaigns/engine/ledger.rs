//! The recipients of one portion: who is to be sent to, and what became of them. What a slice writes down here it does
//! in the transaction that sends.

use sea_orm::{ConnectionTrait, DatabaseTransaction, DbBackend};

use super::Portion;
use crate::{
    campaigns::RUNNING,
    error::{Error, ErrorCode, Result},
    sid::{ChannelSid, MessageSid},
    sql::Sql,
    timestamp::Timestamp,
};

/// A recipient that is to be worked on.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) place: i64,
    pub(super) identity: String,
}

/// A recipient that was sent to.
#[derive(Debug)]
pub(super) struct Reached {
    pub(super) place: i64,
    pub(super) status: &'static str,
    pub(super) channel: ChannelSid,
    pub(super) message: MessageSid,
    pub(super) index: i64,
}

/// How many recipients changed their status, and to which.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Moved {
    pub(super) sent: i32,
    pub(super) read: i32,
    pub(super) replied: i32,
    pub(super) failed: i32,
    /// Became members of the channel of all and wait for its message. They are pending still.
    pub(super) joined: i32,
}

fn of_portion(sql: &mut Sql, portion: &Portion) {
    let (first, behind) = portion.places();
    sql.push(" service_id = ").bind(portion.key.service);
    sql.push(" AND campaign_id = ").bind(portion.key.campaign);
    sql.push(" AND place >= ").bind(first);
    sql.push(" AND place < ").bind(behind);
}

/// The portion's first recipients that are due, while the campaign runs. `which` narrows them further.
pub(super) async fn due(
    tx: &DatabaseTransaction,
    portion: &Portion,
    which: &str,
    most: usize,
) -> Result<Vec<Pending>> {
    let mut sql = Sql::new("SELECT place, identity FROM campaign_recipients WHERE");
    of_portion(&mut sql, portion);
    sql.push(" AND status = 'pending' AND (due_at IS NULL OR due_at <= ")
        .bind(Timestamp::now());
    sql.push(")").push(which);
    sql.push(" AND EXISTS (SELECT 1 FROM campaigns c WHERE c.service_id = ")
        .bind(portion.key.service);
    sql.push(" AND c.id = ").bind(portion.key.campaign);
    sql.push(" AND c.status = ").bind(RUNNING);
    sql.push(") ORDER BY place LIMIT ")
        .bind(i64::try_from(most).unwrap_or(i64::MAX));
    sql.all(tx)
        .await?
        .iter()
        .map(|row| {
            Ok(Pending {
                place: row.try_get("", "place")?,
                identity: row.try_get("", "identity")?,
            })
        })
        .collect()
}

/// Those were reached.
///
/// # Errors
/// 20409 when one of them is not pending any more: the slice must not be committed then.
pub(super) async fn reach(tx: &DatabaseTransaction, portion: &Portion, reached: &[Reached]) -> Result<()> {
    if reached.is_empty() {
        return Ok(());
    }
    let backend = tx.get_database_backend();
    let mut sql = Sql::new("WITH ");
    sql.table(
        backend,
        "reached",
        [
            ("place", "bigint"),
            ("status", "text"),
            ("channel_id", "uuid"),
            ("message_id", "uuid"),
            ("message_index", "bigint"),
        ],
        reached.iter().map(|it| {
            [
                it.place.into(),
                it.status.into(),
                it.channel.into(),
                it.message.into(),
                it.index.into(),
            ]
        }),
    );
    sql.push(
        " UPDATE campaign_recipients SET status = reached.status, channel_id = reached.channel_id, \
         message_id = reached.message_id, message_index = reached.message_index, due_at = NULL, date_updated = ",
    )
    .bind(Timestamp::now());
    sql.push(" FROM reached WHERE campaign_recipients.place = reached.place");
    still_pending(&mut sql, portion);
    all_of(sql.execute(tx).await?.rows_affected(), reached.len())
}

/// Those could not be sent to, each for its reason.
///
/// # Errors
/// As [`reach`].
pub(super) async fn fail(
    tx: &DatabaseTransaction,
    portion: &Portion,
    failed: &[(i64, String)],
) -> Result<()> {
    if failed.is_empty() {
        return Ok(());
    }
    let mut sql = Sql::new("WITH ");
    sql.table(
        tx.get_database_backend(),
        "failed",
        [("place", "bigint"), ("error", "text")],
        failed
            .iter()
            .map(|(place, why)| [(*place).into(), why.as_str().into()]),
    );
    sql.push(" UPDATE campaign_recipients SET status = 'failed', error = failed.error, due_at = NULL, date_updated = ")
        .bind(Timestamp::now());
    sql.push(" FROM failed WHERE campaign_recipients.place = failed.place");
    still_pending(&mut sql, portion);
    all_of(sql.execute(tx).await?.rows_affected(), failed.len())
}

/// Those are members of the channel of all.
///
/// # Errors
/// As [`reach`].
pub(super) async fn join(
    tx: &DatabaseTransaction,
    portion: &Portion,
    channel: ChannelSid,
    places: &[i64],
) -> Result<()> {
    if places.is_empty() {
        return Ok(());
    }
    let mut sql = Sql::new("UPDATE campaign_recipients SET channel_id = ");
    sql.bind(channel).push(", date_updated = ").bind(Timestamp::now());
    sql.push(" WHERE ").one_of_values(
        tx.get_database_backend(),
        ("place", "bigint"),
        places.iter().map(|place| (*place).into()),
    );
    still_pending(&mut sql, portion);
    all_of(sql.execute(tx).await?.rows_affected(), places.len())
}

/// Those have to wait for their mornings.
///
/// # Errors
/// As [`reach`].
pub(super) async fn postpone(
    tx: &DatabaseTransaction,
    portion: &Portion,
    until: &[(i64, Timestamp)],
) -> Result<()> {
    if until.is_empty() {
        return Ok(());
    }
    let mut sql = Sql::new("WITH ");
    sql.table(
        tx.get_database_backend(),
        "asleep",
        [("place", "bigint"), ("due_at", "bigint")],
        until
            .iter()
            .map(|(place, moment)| [(*place).into(), (*moment).into()]),
    );
    sql.push(
        " UPDATE campaign_recipients SET due_at = asleep.due_at FROM asleep \
         WHERE campaign_recipients.place = asleep.place",
    );
    still_pending(&mut sql, portion);
    all_of(sql.execute(tx).await?.rows_affected(), until.len())
}

fn still_pending(sql: &mut Sql, portion: &Portion) {
    sql.push(" AND campaign_recipients.service_id = ")
        .bind(portion.key.service);
    sql.push(" AND campaign_recipients.campaign_id = ")
        .bind(portion.key.campaign);
    sql.push(" AND campaign_recipients.status = 'pending'");
    // Not among all who are pending, whatever Postgres believes how many those are.
    let (first, behind) = portion.places();
    sql.push(" AND campaign_recipients.place >= ").bind(first);
    sql.push(" AND campaign_recipients.place < ").bind(behind);
}

fn all_of(changed: u64, asked: usize) -> Result<()> {
    if usize::try_from(changed).is_ok_and(|changed| changed == asked) {
        Ok(())
    } else {
        Err(Error::with(
            ErrorCode::Conflict,
            "somebody else was at these recipients",
        ))
    }
}

/// Moves the counts of the portion.
pub(super) async fn count(tx: &DatabaseTransaction, portion: &Portion, moved: Moved) -> Result<()> {
    let gone = moved.sent + moved.read + moved.replied + moved.failed;
    let mut sql = Sql::new("UPDATE campaign_portions SET pending = pending - ");
    sql.bind(gone).push(", sent = sent + ").bind(moved.sent);
    sql.push(", read_count = read_count + ").bind(moved.read);
    sql.push(", replied = replied + ").bind(moved.replied);
    sql.push(", failed = failed + ").bind(moved.failed);
    sql.push(", joined = joined + ").bind(moved.joined);
    sql.push(", date_updated = ").bind(Timestamp::now());
    row_of(&mut sql, portion);
    sql.execute(tx).await?;
    Ok(())
}

/// Writes down when the first of those who wait in the portion is due.
pub(super) async fn note_due(tx: &DatabaseTransaction, portion: &Portion) -> Result<()> {
    let mut sql = Sql::new(
        "UPDATE campaign_portions SET next_due_at = (SELECT MIN(due_at) FROM campaign_recipients WHERE",
    );
    of_portion(&mut sql, portion);
    sql.push(" AND status = 'pending')");
    row_of(&mut sql, portion);
    sql.execute(tx).await?;
    Ok(())
}

/// Leaves out everybody in the portion who is pending; answers how many that were.
pub(super) async fn skip(tx: &DatabaseTransaction, portion: &Portion) -> Result<i32> {
    let mut sql =
        Sql::new("UPDATE campaign_recipients SET status = 'skipped', due_at = NULL, date_updated = ");
    sql.bind(Timestamp::now()).push(" WHERE");
    of_portion(&mut sql, portion);
    // What a provider has already ends by what the provider says.
    sql.push(" AND status = 'pending' AND handed_at IS NULL");
    let skipped = i32::try_from(sql.execute(tx).await?.rows_affected()).unwrap_or(i32::MAX);
    let mut sql = Sql::new("UPDATE campaign_portions SET pending = pending - ");
    sql.bind(skipped).push(", skipped = skipped + ").bind(skipped);
    sql.push(", next_due_at = NULL, date_updated = ")
        .bind(Timestamp::now());
    row_of(&mut sql, portion);
    sql.execute(tx).await?;
    Ok(skipped)
}

fn row_of(sql: &mut Sql, portion: &Portion) {
    sql.push(" WHERE service_id = ").bind(portion.key.service);
    sql.push(" AND campaign_id = ").bind(portion.key.campaign);
    sql.push(" AND number = ").bind(portion.number);
}

/// The numbers of the campaign's portions from `from` on in which somebody is to be worked on now, at most so many.
pub(super) async fn waiting(
    db: &impl ConnectionTrait,
    key: super::Key,
    from: i32,
    joining: bool,
    most: usize,
) -> Result<Vec<i32>> {
    let mut sql = Sql::new("SELECT number FROM campaign_portions WHERE service_id = ");
    sql.bind(key.service)
        .push(" AND campaign_id = ")
        .bind(key.campaign);
    sql.push(" AND number >= ").bind(from);
    sql.push(if joining {
        " AND pending > joined"
    } else {
        " AND pending > 0"
    });
    sql.push(" AND (next_due_at IS NULL OR next_due_at <= ")
        .bind(Timestamp::now());
    sql.push(") ORDER BY number LIMIT ")
        .bind(i64::try_from(most).unwrap_or(i64::MAX));
    sql.all(db)
        .await?
        .iter()
        .map(|row| Ok(row.try_get("", "number")?))
        .collect()
}

/// The number of the campaign's first portion from `from` on in which somebody is pending.
pub(super) async fn first_pending(
    db: &impl ConnectionTrait,
    key: super::Key,
    from: i32,
) -> Result<Option<i32>> {
    let mut sql = Sql::new("SELECT number FROM campaign_portions WHERE service_id = ");
    sql.bind(key.service)
        .push(" AND campaign_id = ")
        .bind(key.campaign);
    sql.push(" AND number >= ").bind(from);
    sql.push(" AND pending > 0 ORDER BY number LIMIT 1");
    match sql.all(db).await?.first() {
        Some(row) => Ok(Some(row.try_get("", "number")?)),
        None => Ok(None),
    }
}

/// Whether rows are locked one by one.
pub(super) fn locks(backend: DbBackend) -> bool {
    backend == DbBackend::Postgres
}
