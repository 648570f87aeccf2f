//! The recipients of SMS and e-mail campaigns, in the ledger. A recipient is noted as handed over before the provider
//! is called, and gets its outcome afterwards: so whatever dies in between, nobody is sent a message twice.

mod settling;
mod standing;
mod status;

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use sea_orm::{ConnectionTrait, DbBackend, Value};

pub use settling::{Fate, Settlement, settle};
pub use status::{Report, accept, status_url};

use crate::{
    ctx::Core,
    entities::campaign,
    error::Result,
    providers::Kind,
    sid::ServiceSid,
    sql::Sql,
    timestamp::{Timestamp, micros},
};

/// How many recipients are in a portion.
const PORTION: i64 = 250;
/// After so long a call to an SMS provider has ended, whatever became of it and of its process.
const CALL_ENDED: Duration = Duration::from_secs(30);
/// As [`CALL_ENDED`], for the few letters that are handed over together and sent one after the other.
const LETTERS_ENDED: Duration = Duration::from_secs(180);

fn call_ended(campaign: &campaign::Model) -> Duration {
    if campaign.via == Kind::Email.name() {
        LETTERS_ENDED
    } else {
        CALL_ENDED
    }
}

/// Somebody to send to.
#[derive(Debug, Clone)]
pub struct Recipient {
    /// The place in the campaign.
    pub place: i64,
    /// The user.
    pub identity: String,
    /// The user's name, if there is one.
    pub friendly_name: Option<String>,
    /// The user's attributes; null when there is no such user.
    pub attributes: serde_json::Value,
    /// Whether there is such a user.
    pub exists: bool,
    /// How often it was handed over.
    pub attempts: i32,
    /// When it was handed over, if it is.
    pub handed_at: Option<Timestamp>,
    /// What its last attempt ended with.
    pub error: Option<String>,
}

/// Up to `most` recipients of a portion who are to be sent to now.
///
/// # Errors
/// Whatever the database refuses.
pub async fn due(
    core: &Core,
    campaign: &campaign::Model,
    portion: i32,
    most: usize,
) -> Result<Vec<Recipient>> {
    let mut sql = Sql::new("SELECT place, identity, attempts, handed_at, error FROM campaign_recipients");
    within(&mut sql, campaign);
    places(&mut sql, portion);
    sql.push(" AND status = 'pending' AND handed_at IS NULL AND (due_at IS NULL OR due_at <= ")
        .bind(Timestamp::now())
        .push(") ORDER BY place LIMIT ")
        .bind(i64::try_from(most).unwrap_or(PORTION));
    read(core.db.reader(), campaign.service_id, sql).await
}

/// Notes recipients as handed over; answers which of them are the caller's to send to, at once: none unless the campaign
/// is running, and nobody whom somebody else has.
///
/// # Errors
/// Whatever the database refuses; nobody is handed over then.
pub async fn hand_over(core: &Core, campaign: &campaign::Model, places: &[i64]) -> Result<HashSet<i64>> {
    if places.is_empty() {
        return Ok(HashSet::new());
    }
    let tx = core.db.begin().await?;
    // Who pauses or cancels the campaign waits until this is committed: what is handed over then still goes out.
    let mut sql = Sql::new("SELECT status FROM campaigns WHERE service_id = ");
    sql.bind(campaign.service_id).push(" AND id = ").bind(campaign.id);
    sql.push(" AND status = 'running'");
    if tx.get_database_backend() == DbBackend::Postgres {
        sql.push(" FOR SHARE");
    }
    if sql.all(&tx).await?.is_empty() {
        tx.rollback().await?;
        return Ok(HashSet::new());
    }
    let now = Timestamp::now();
    let mut sql =
        Sql::new("UPDATE campaign_recipients SET attempts = attempts + 1, error = NULL, handed_at = ");
    sql.bind(now).push(", date_updated = ").bind(now);
    within(&mut sql, campaign);
    sql.push(" AND status = 'pending' AND handed_at IS NULL AND place IN (");
    sql.list(places.iter().map(|place| Value::from(*place)))
        .push(") RETURNING place");
    let mut handed = HashSet::new();
    for row in sql.all(&tx).await? {
        handed.insert(row.try_get("", "place")?);
    }
    tx.commit().await?;
    Ok(handed)
}

/// Those of a portion who were handed over so long ago that their call has ended, and of whom no outcome is known; at
/// most `most`.
///
/// # Errors
/// Whatever the database refuses.
pub async fn without_outcome(
    core: &Core,
    campaign: &campaign::Model,
    portion: i32,
    most: usize,
) -> Result<Vec<Recipient>> {
    let mut sql = Sql::new("SELECT place, identity, attempts, handed_at, error FROM campaign_recipients");
    within(&mut sql, campaign);
    places(&mut sql, portion);
    sql.push(" AND status = 'pending' AND handed_at < ")
        .bind(Timestamp::now().minus(call_ended(campaign)))
        .push(" ORDER BY place LIMIT ")
        .bind(i64::try_from(most).unwrap_or(PORTION));
    read(core.db.reader(), campaign.service_id, sql).await
}

/// Writes down when something is to be done about the portion again: the first moment at which a recipient is due, or at
/// which the call to one that was handed over has ended.
///
/// # Errors
/// Whatever the database refuses.
pub async fn note_next_moment(core: &Core, campaign: &campaign::Model, portion: i32) -> Result<()> {
    let mut sql = Sql::new(
        "UPDATE campaign_portions SET next_due_at = \
         (SELECT MIN(CASE WHEN handed_at IS NULL THEN COALESCE(due_at, 0) ELSE handed_at + ",
    );
    sql.bind(micros(call_ended(campaign)))
        .push(" END) FROM campaign_recipients");
    within(&mut sql, campaign);
    self::places(&mut sql, portion);
    sql.push(" AND status = 'pending')");
    within(&mut sql, campaign);
    sql.push(" AND number = ").bind(portion);
    sql.execute(core.db.writer()).await?;
    Ok(())
}

/// Which of these identifiers of the provider's stand beside recipients already.
///
/// # Errors
/// Whatever the database refuses.
pub async fn known_sids(core: &Core, service: ServiceSid, sids: &[String]) -> Result<Vec<String>> {
    if sids.is_empty() {
        return Ok(Vec::new());
    }
    let mut sql = Sql::new("SELECT provider_sid FROM campaign_recipients WHERE service_id = ");
    sql.bind(service).push(" AND provider_sid IN (");
    sql.list(sids.iter().map(|sid| Value::from(sid.as_str())))
        .push(")");
    sql.all(core.db.reader())
        .await?
        .iter()
        .map(|row| Ok(row.try_get("", "provider_sid")?))
        .collect()
}

/// The number of a place's portion.
fn portion_of(place: i64) -> i32 {
    i32::try_from(place / PORTION).unwrap_or(i32::MAX)
}

fn within(sql: &mut Sql, campaign: &campaign::Model) {
    sql.push(" WHERE service_id = ")
        .bind(campaign.service_id)
        .push(" AND campaign_id = ")
        .bind(campaign.id);
}

fn places(sql: &mut Sql, portion: i32) {
    let first = i64::from(portion) * PORTION;
    sql.push(" AND place >= ").bind(first);
    sql.push(" AND place < ").bind(first + PORTION);
}

/// Reads recipients, with their users, in the order of their places.
async fn read(db: &impl ConnectionTrait, service: ServiceSid, sql: Sql) -> Result<Vec<Recipient>> {
    let mut recipients: Vec<Recipient> = Vec::new();
    for row in sql.all(db).await? {
        recipients.push(Recipient {
            place: row.try_get("", "place")?,
            identity: row.try_get("", "identity")?,
            friendly_name: None,
            attributes: serde_json::Value::Null,
            exists: false,
            attempts: row.try_get("", "attempts")?,
            handed_at: row.try_get("", "handed_at")?,
            error: row.try_get("", "error")?,
        });
    }
    if recipients.is_empty() {
        return Ok(recipients);
    }
    let mut sql = Sql::new("SELECT identity, friendly_name, attributes FROM users WHERE service_id = ");
    sql.bind(service).push(" AND identity IN (");
    sql.list(
        recipients
            .iter()
            .map(|recipient| Value::from(recipient.identity.as_str())),
    )
    .push(")");
    let mut users: HashMap<String, (Option<String>, String)> = HashMap::new();
    for row in sql.all(db).await? {
        users.insert(
            row.try_get("", "identity")?,
            (row.try_get("", "friendly_name")?, row.try_get("", "attributes")?),
        );
    }
    for recipient in &mut recipients {
        if let Some((friendly_name, attributes)) = users.remove(&recipient.identity) {
            recipient.friendly_name = friendly_name;
            recipient.attributes = serde_json::from_str(&attributes).unwrap_or_default();
            recipient.exists = true;
        }
    }
    recipients.sort_unstable_by_key(|recipient| recipient.place);
    Ok(recipients)
}
