//! Notices by e-mail of messages that somebody missed. A worker walks through a service's messages behind their senders,
//! who pay nothing for it, and writes down who has not read them after the service's delay. Whoever was told of a channel
//! is not told again before having read there.

mod handing;
mod scan;
mod text;

use std::time::Duration;

use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter};

pub use handing::{Fate, Notice, due, settle};
pub use scan::{Walked, scan};
pub use text::{BODY, NoticeText, SUBJECT};

use crate::{
    ctx::Core, entities::provider, error::Result, providers::Kind, sid::ServiceSid, sql::Sql, timestamp,
};

/// For how long a process has a service for itself, unless it asks again.
pub const LEASE: Duration = Duration::from_secs(30);

/// The e-mail providers of all services that want notices sent.
///
/// # Errors
/// Whatever the database refuses.
pub async fn wanted(core: &Core) -> Result<Vec<provider::Model>> {
    Ok(provider::Entity::find()
        .filter(provider::Column::Kind.eq(Kind::Email.name()))
        .filter(provider::Column::NoticeDelay.is_not_null())
        .all(core.db.reader())
        .await?)
}

/// How far messages can be looked through at this moment: nothing appears before this place any more.
///
/// # Errors
/// Whatever the database refuses.
pub async fn reach(core: &Core) -> Result<i64> {
    core.readers.safe_place().await
}

/// Takes a service in hand; answers how far its messages were looked through, or `None` when it is in another process's.
/// Messages from before the first time are nobody's.
///
/// # Errors
/// Whatever the database refuses.
pub async fn lease(core: &Core, service: ServiceSid, reach: i64) -> Result<Option<i64>> {
    let db = core.db.writer();
    let backend = db.get_database_backend();
    let mut sql = Sql::new("INSERT INTO notice_cursors AS c (service_id, place, node, expires_at) VALUES (");
    sql.bind(service)
        .push(", ")
        .bind(reach)
        .push(", ")
        .bind(core.node)
        .push(", ");
    sql.clock(backend)
        .push(" + ")
        .bind(timestamp::micros(LEASE))
        .push(
            ") ON CONFLICT (service_id) DO UPDATE SET node = excluded.node, expires_at = excluded.expires_at \
             WHERE c.node = excluded.node OR c.expires_at < ",
        )
        .clock(backend)
        .push(" RETURNING place");
    match sql.all(db).await?.first() {
        Some(row) => Ok(Some(row.try_get("", "place")?)),
        None => Ok(None),
    }
}

/// Forgets how far a service's messages were looked through: notices have ended, and what is sent until they begin again
/// is nobody's.
///
/// # Errors
/// Whatever the database refuses.
pub(crate) async fn end(db: &impl ConnectionTrait, service: ServiceSid) -> Result<()> {
    let mut sql = Sql::new("DELETE FROM notice_cursors WHERE service_id = ");
    sql.bind(service);
    sql.execute(db).await?;
    let mut sql = Sql::new("DELETE FROM notices WHERE status = 'waiting' AND service_id = ");
    sql.bind(service);
    sql.execute(db).await?;
    Ok(())
}

/// Forgets all of a service, with the service.
///
/// # Errors
/// Whatever the database refuses.
pub(crate) async fn forget(db: &impl ConnectionTrait, service: ServiceSid) -> Result<()> {
    end(db, service).await?;
    let mut sql = Sql::new("DELETE FROM notices WHERE service_id = ");
    sql.bind(service);
    sql.execute(db).await?;
    Ok(())
}
