//! Waiting for writers that may not know of an index's new status.
//!
//! On Postgres a change reads the declarations in a statement of its own, after it has written its rows. Suppose that
//! this statement does not see a status that was committed at the time D. Then the change began to write before D, and
//! since then it holds the lock `RowExclusiveLock` on the table of its rows, until it ends. So whoever asks for the
//! holders of that lock after D, and waits until they have ended, has waited for every change that did not see D; and
//! what those changes wrote is then visible, since Postgres shows a transaction's writes before it releases its locks.
//! Changes that come later see D. (`CREATE INDEX CONCURRENTLY` waits in the same way.) Nobody else waits for anything.
//!
//! SQLite has one writer: whoever writes after D sees it.

use std::collections::HashSet;

use sea_orm::{ConnectionTrait, DbBackend};

use super::Covered;
use crate::{error::Result, sql::Sql};

/// The transactions that are waited for.
#[derive(Debug)]
pub(super) struct Border {
    tables: &'static str,
    open: HashSet<String>,
}

impl Border {
    /// Notes every transaction that writes to the resource at this moment. Call it after the status was seen.
    pub(super) async fn draw(db: &impl ConnectionTrait, resource: Covered) -> Result<Self> {
        let tables = match resource {
            Covered::Channels => "'channels'::regclass",
            Covered::Users => "'users'::regclass",
            // Whoever deletes a channel ends what is in it, too.
            Covered::Members => "'members'::regclass, 'channels'::regclass",
            Covered::Messages => "'messages'::regclass, 'channels'::regclass",
        };
        Ok(Self {
            tables,
            open: writers(db, tables).await?,
        })
    }

    /// Whether all of them have ended.
    pub(super) async fn is_passed(&mut self, db: &impl ConnectionTrait) -> Result<bool> {
        if !self.open.is_empty() {
            let still = writers(db, self.tables).await?;
            self.open.retain(|writer| still.contains(writer));
        }
        Ok(self.open.is_empty())
    }
}

async fn writers(db: &impl ConnectionTrait, tables: &str) -> Result<HashSet<String>> {
    if db.get_database_backend() != DbBackend::Postgres {
        return Ok(HashSet::new());
    }
    let mut sql = Sql::new(
        "SELECT DISTINCT virtualtransaction FROM pg_locks WHERE locktype = 'relation' AND granted \
         AND mode = 'RowExclusiveLock' \
         AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND relation IN (",
    );
    sql.push(tables).push(")");
    let rows = sql.all(db).await?;
    Ok(rows
        .iter()
        .map(|row| row.try_get("", "virtualtransaction"))
        .collect::<Result<_, _>>()?)
}
