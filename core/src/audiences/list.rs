//! The identities of an audience that is a list.

use sea_orm::ConnectionTrait;

use crate::{
    entities::audience,
    error::Result,
    sid::{AudienceSid, ServiceSid},
    sql::Sql,
};

/// How many rows one statement writes.
const ROWS: usize = 1000;
/// How many rows one statement deletes.
const CLEARED: i64 = 10_000;

/// Adds those that are not in it; answers how many.
pub(super) async fn add<'i>(
    tx: &impl ConnectionTrait,
    audience: &audience::Model,
    identities: impl IntoIterator<Item = &'i str>,
) -> Result<u64> {
    let mut identities: Vec<&str> = identities.into_iter().collect();
    // In one order, as whoever else adds them.
    identities.sort_unstable();
    identities.dedup();
    let mut added = 0;
    for rows in identities.chunks(ROWS) {
        let mut sql = Sql::new("INSERT INTO audience_members (service_id, audience_id, identity) VALUES ");
        sql.rows(
            rows.iter()
                .map(|identity| [audience.service_id.into(), audience.id.into(), (*identity).into()]),
        );
        sql.push(" ON CONFLICT (service_id, audience_id, identity) DO NOTHING");
        added += sql.execute(tx).await?.rows_affected();
    }
    Ok(added)
}

/// Takes all of them out.
pub(super) async fn clear(
    tx: &impl ConnectionTrait,
    service: ServiceSid,
    audience: AudienceSid,
) -> Result<()> {
    let mut sql = Sql::new("DELETE FROM audience_members WHERE service_id = ");
    sql.bind(service).push(" AND audience_id = ").bind(audience);
    sql.execute(tx).await?;
    Ok(())
}

/// Takes some of them out; answers whether there may be more.
pub(super) async fn clear_some(
    db: &impl ConnectionTrait,
    service: ServiceSid,
    audience: AudienceSid,
) -> Result<bool> {
    let of = |sql: &mut Sql| {
        sql.push(" FROM audience_members WHERE service_id = ")
            .bind(service);
        sql.push(" AND audience_id = ").bind(audience);
    };
    let mut sql = Sql::new("DELETE");
    of(&mut sql);
    sql.push(" AND identity IN (SELECT identity");
    of(&mut sql);
    sql.push(&format!(" ORDER BY identity LIMIT {CLEARED})"));
    Ok(sql.execute(db).await?.rows_affected() >= CLEARED.unsigned_abs())
}

/// The next identities behind `after`, at most so many, in the order of the database.
///
/// # Errors
/// Whatever the database refuses.
pub(crate) async fn identities(
    db: &impl ConnectionTrait,
    service: ServiceSid,
    audience: AudienceSid,
    after: Option<&str>,
    most: usize,
) -> Result<Vec<String>> {
    let mut sql = Sql::new("SELECT identity FROM audience_members WHERE service_id = ");
    sql.bind(service).push(" AND audience_id = ").bind(audience);
    if let Some(after) = after {
        sql.push(" AND identity > ").bind(after);
    }
    sql.push(&format!(" ORDER BY identity LIMIT {most}"));
    let rows = sql.all(db).await?;
    Ok(rows
        .iter()
        .map(|row| row.try_get("", "identity"))
        .collect::<Result<_, _>>()?)
}

/// How many there are.
///
/// # Errors
/// Whatever the database refuses.
pub(crate) async fn count(
    db: &impl ConnectionTrait,
    service: ServiceSid,
    audience: AudienceSid,
) -> Result<i64> {
    let mut sql = Sql::new("SELECT count(*) AS found FROM audience_members WHERE service_id = ");
    sql.bind(service).push(" AND audience_id = ").bind(audience);
    Ok(match sql.all(db).await?.first() {
        Some(row) => row.try_get("", "found")?,
        None => 0,
    })
}
