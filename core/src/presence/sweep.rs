//! Sweeping up behind gateways whose leases ran out.

use sea_orm::ConnectionTrait;
use uuid::Uuid;

use super::{AT_ONCE, Who, news, places::Turn};
use crate::{ctx::Core, error::Result, sql::Sql};

/// Tells the going of users who have sockets at no gateway with a lease. Any process may do so, and any number at once.
///
/// # Errors
/// Whatever the database refuses; what was told until then is told.
pub async fn sweep(core: &Core) -> Result<()> {
    let mut sql = Sql::new("SELECT id FROM presence_nodes WHERE expires_at <= ");
    sql.clock(core.db.backend());
    for row in sql.all(core.db.reader()).await? {
        let node: Uuid = row.try_get("", "id")?;
        while portion(core, node).await? {}
    }
    Ok(())
}

/// False when nothing is left, when the lease holds again, or when only busy users are left.
async fn portion(core: &Core, node: Uuid) -> Result<bool> {
    let tx = core.db.begin().await?;
    let backend = tx.get_database_backend();
    // The gateway cannot renew it until this is over; whoever else sweeps looks for another one.
    let mut sql = Sql::new("SELECT id FROM presence_nodes WHERE id = ");
    sql.bind(node).push(" AND expires_at <= ").clock(backend);
    sql.for_update_skipping_locked(backend);
    if sql.all(&tx).await?.is_empty() {
        return Ok(false);
    }
    let mut sql = Sql::new("SELECT service_id, identity FROM presence_places WHERE node_id = ");
    sql.bind(node).push(&format!(" LIMIT {AT_ONCE}"));
    let left: Vec<Who> = sql
        .all(&tx)
        .await?
        .iter()
        .map(|row| Ok((row.try_get("", "service_id")?, row.try_get("", "identity")?)))
        .collect::<Result<_>>()?;
    if left.is_empty() {
        let mut sql = Sql::new("DELETE FROM presence_nodes WHERE id = ");
        sql.bind(node);
        sql.execute(&tx).await?;
        tx.commit().await?;
        return Ok(false);
    }
    let mut turn = Turn::of(&tx, left.iter().collect()).await?;
    let turned = turn.go(node, &left).await?;
    let events = news::of(&tx, turned, core.settings.presence_channel_limit).await?;
    let progress = turn.busy.len() < left.len();
    tx.commit().await?;
    core.publisher.volatile_all(events);
    Ok(progress)
}
