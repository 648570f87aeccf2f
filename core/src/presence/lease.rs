//! A gateway's lease: while it holds, the gateway speaks for the users that have sockets at it.

use sea_orm::{ConnectionTrait, DbBackend};
use uuid::Uuid;

use super::{GRACE, LEASE};
use crate::{
    ctx::Core,
    error::{Error, Result},
    sql::Sql,
    timestamp::{self, Timestamp},
};

/// A gateway's time in office.
#[derive(Debug, Default)]
pub struct Tenure {
    /// Since when its lease has held without a break, as it last knew.
    held_since: Option<Timestamp>,
    /// The same, in a transaction that is under way.
    asked: Option<Timestamp>,
}

impl Tenure {
    /// Renews the lease within a transaction. True when it had run out since it was last renewed.
    ///
    /// # Errors
    /// Whatever the database refuses.
    pub(super) async fn renew(&mut self, db: &impl ConnectionTrait, node: Uuid) -> Result<bool> {
        let backend = db.get_database_backend();
        if !expires(backend) && self.held_since.is_some() {
            return Ok(false);
        }
        let mut sql = Sql::new("INSERT INTO presence_nodes AS n (id, held_since, expires_at) VALUES (");
        sql.bind(node).push(", ").clock(backend).push(", ");
        if expires(backend) {
            sql.clock(backend).push(" + ").bind(timestamp::micros(LEASE));
        } else {
            sql.bind(i64::MAX);
        }
        sql.push(
            ") ON CONFLICT (id) DO UPDATE SET expires_at = excluded.expires_at, held_since = \
             CASE WHEN n.expires_at <= excluded.held_since THEN excluded.held_since ELSE n.held_since END \
             RETURNING held_since",
        );
        let rows = sql.all(db).await?;
        let row = rows
            .first()
            .ok_or_else(|| Error::internal("a lease was not renewed"))?;
        let held_since = row.try_get("", "held_since")?;
        self.asked = Some(held_since);
        Ok(self.held_since.is_some_and(|known| known != held_since))
    }

    /// The transaction was committed.
    pub(super) fn renewed(&mut self) {
        self.held_since = self.asked.take().or(self.held_since);
    }
}

/// Whether leases run out. There is one process on SQLite; its lease ends when the next one begins.
#[must_use]
pub fn expires(backend: DbBackend) -> bool {
    backend != DbBackend::Sqlite
}

/// A gateway that is to end hands its users over: those that are not at another one soon have gone.
///
/// # Errors
/// Whatever the database refuses.
pub async fn resign(core: &Core) -> Result<()> {
    curtail(core, " AND id = ").await
}

/// Ends the leases of all others, for a process that has the database for itself: they are of its predecessors. Who is
/// not back soon has gone.
///
/// # Errors
/// Whatever the database refuses.
pub async fn succeed(core: &Core) -> Result<()> {
    curtail(core, " AND id <> ").await
}

async fn curtail(core: &Core, which: &str) -> Result<()> {
    let db = core.db.writer();
    let backend = core.db.backend();
    let grace = timestamp::micros(GRACE);
    let mut sql = Sql::new("UPDATE presence_nodes SET expires_at = ");
    sql.clock(backend).push(" + ").bind(grace);
    sql.push(" WHERE expires_at > ")
        .clock(backend)
        .push(" + ")
        .bind(grace);
    sql.push(which).bind(core.node);
    sql.execute(db).await?;
    Ok(())
}
