//! The beginning of what is kept. Events have places and times, which rise together but for the little that clocks and
//! transactions differ by: so the place of a time is found by halving, with two look-ups a step.

use sea_orm::ConnectionTrait;

use crate::{error::Result, sid::ServiceSid, sql::Sql, timestamp::Timestamp};

/// The place before the service's oldest event that happened at `since` or later; `until` when there is none.
///
/// # Errors
/// Whatever the database refuses.
pub(super) async fn before(
    db: &impl ConnectionTrait,
    service: ServiceSid,
    since: Timestamp,
    until: i64,
) -> Result<i64> {
    // Everything up to `old` happened before, and what comes behind `kept` did not.
    let (mut old, mut kept) = (0, until);
    let mut place = old;
    while old < kept {
        match next(db, service, place, kept).await? {
            Some((found, at)) if at < since => old = found,
            // Nothing lies in between: the same holds for the place.
            _ => kept = place,
        }
        place = old + (kept - old) / 2;
    }
    Ok(old)
}

/// The service's first event behind `place`, up to `until`: its place and its time.
async fn next(
    db: &impl ConnectionTrait,
    service: ServiceSid,
    place: i64,
    until: i64,
) -> Result<Option<(i64, Timestamp)>> {
    let mut sql = Sql::new("");
    for (number, table) in ["messages", "channel_events"].into_iter().enumerate() {
        sql.push(if number == 0 {
            "SELECT * FROM ("
        } else {
            " UNION ALL SELECT * FROM ("
        });
        sql.push("SELECT position, committed_at FROM ").push(table);
        sql.push(" WHERE service_id = ").bind(service);
        sql.push(" AND position > ").bind(place);
        sql.push(" AND position <= ").bind(until);
        sql.push(" ORDER BY position LIMIT 1) AS ").push(table);
    }
    let mut first: Option<(i64, Timestamp)> = None;
    for row in sql.all(db).await? {
        let found = (row.try_get("", "position")?, row.try_get("", "committed_at")?);
        if first.is_none_or(|(place, _)| found.0 < place) {
            first = Some(found);
        }
    }
    Ok(first)
}
