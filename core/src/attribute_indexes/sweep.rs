//! Sweeping what is left of indexes that were taken down, of deleted channels, and of what was removed while an index
//! was being built. In portions: no transaction is long.

use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseTransaction, EntityTrait, FromQueryResult, QueryFilter, QuerySelect,
};
use uuid::Uuid;

use super::{build, upkeep};
use crate::{
    db::Db,
    entities::{attribute_index, attribute_leftover},
    error::{Error, Result},
    sid::{AttributeIndexSid, ServiceSid},
    sql::Sql,
};

/// About how many rows one transaction deletes.
const PORTION: usize = 1000;
/// The most leftovers that one transaction looks at.
const LEFTOVERS: usize = 100;

/// What is swept, in this order: elements are only ever there beside an entry.
const TABLES: [&str; 2] = ["attribute_elements", "attribute_entries"];

/// Deletes the next portion of an index that was taken down, at last its row. False when somebody else is at it.
///
/// The place up to which it is swept is kept, since Postgres would otherwise read over all that is deleted already.
pub(super) async fn portion(db: &Db, known: &attribute_index::Model) -> Result<bool> {
    let tx = db.begin().await?;
    let Some(index) = build::claim(&tx, known).await? else {
        return Ok(false);
    };
    let (table, scope, item) = match &index.built_to {
        Some(text) => {
            place(text).ok_or_else(|| Error::internal(format!("'{text}' is no place in a sweep")))?
        }
        None => (0, Uuid::nil(), Uuid::nil()),
    };
    let next = match sweep_behind(&tx, &index, TABLES[table], (scope, item)).await? {
        Some((scope, item)) => Some((table, scope, item)),
        None if table + 1 < TABLES.len() => Some((table + 1, Uuid::nil(), Uuid::nil())),
        None => None,
    };
    match next {
        Some((table, scope, item)) => build::note(&tx, &index, &format!("{table} {scope} {item}")).await?,
        None => {
            attribute_index::Entity::delete_many()
                .filter(attribute_index::Column::ServiceId.eq(index.service_id))
                .filter(attribute_index::Column::Id.eq(index.id))
                .exec(&tx)
                .await?;
        }
    }
    tx.commit().await?;
    Ok(true)
}

fn place(text: &str) -> Option<(usize, Uuid, Uuid)> {
    let mut parts = text.split(' ');
    let table = parts.next()?.parse().ok().filter(|table| *table < TABLES.len())?;
    Some((table, parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// Deletes the index's rows behind this place; answers the place that it came to, or `None` at the end.
async fn sweep_behind(
    tx: &DatabaseTransaction,
    index: &attribute_index::Model,
    table: &str,
    (scope, item): (Uuid, Uuid),
) -> Result<Option<(Uuid, Uuid)>> {
    let behind = |sql: &mut Sql| {
        sql.push(" FROM ").push(table).push(" WHERE service_id = ");
        sql.bind(index.service_id).push(" AND index_id = ").bind(index.id);
        sql.push(" AND (scope_id, item_id) > (").bind(scope);
        sql.push(", ").bind(item).push(")");
    };
    let mut sql = Sql::new("SELECT scope_id, item_id");
    behind(&mut sql);
    sql.push(" ORDER BY scope_id, item_id LIMIT 1 OFFSET ")
        .bind(limit(PORTION - 1));
    let last: Option<(Uuid, Uuid)> = match sql.all(tx).await?.first() {
        Some(row) => Some((row.try_get("", "scope_id")?, row.try_get("", "item_id")?)),
        None => None,
    };
    let mut sql = Sql::new("DELETE");
    behind(&mut sql);
    if let Some((scope, item)) = last {
        sql.push(" AND (scope_id, item_id) <= (").bind(scope);
        sql.push(", ").bind(item).push(")");
    }
    sql.execute(tx).await?;
    Ok(last)
}

fn limit(rows: usize) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}

/// Clears leftovers away; false when there are none that can be. As long as an index of the service is being built,
/// its builder may yet write what is to be cleared.
pub(super) async fn leftovers(db: &Db) -> Result<bool> {
    if due(db.reader(), 1, false).await?.is_empty() {
        return Ok(false);
    }
    let tx = db.begin().await?;
    let due = due(&tx, LEFTOVERS, true).await?;
    let mut room = PORTION;
    for leftover in &due {
        let indexes: Vec<AttributeIndexSid> = attribute_index::Entity::find()
            .select_only()
            .column(attribute_index::Column::Id)
            .filter(attribute_index::Column::ServiceId.eq(leftover.service_id))
            .into_tuple()
            .all(&tx)
            .await?;
        if leftover.item_id.is_nil() {
            for index in indexes {
                room = clear_scope(&tx, leftover, index, room).await?;
            }
        } else {
            let (service, scope, item) = (leftover.service_id, leftover.scope_id, leftover.item_id);
            upkeep::clear_item(&tx, service, scope, item, indexes).await?;
            room -= 1;
        }
        if room == 0 {
            // There may be more of this one.
            break;
        }
        forget(&tx, leftover).await?;
    }
    tx.commit().await?;
    Ok(!due.is_empty())
}

async fn due(db: &impl ConnectionTrait, most: usize, locked: bool) -> Result<Vec<attribute_leftover::Model>> {
    let mut sql = Sql::new(
        "SELECT l.* FROM attribute_leftovers l WHERE NOT EXISTS (SELECT 1 FROM attribute_indexes i \
         WHERE i.service_id = l.service_id AND i.status = 'building') LIMIT ",
    );
    sql.bind(limit(most));
    if locked {
        sql.for_update_skipping_locked(db.get_database_backend());
    }
    let rows = sql.all(db).await?;
    Ok(rows
        .iter()
        .map(|row| attribute_leftover::Model::from_query_result(row, ""))
        .collect::<Result<_, _>>()?)
}

/// Deletes what one index has in a scope, at most `room` rows; answers how much room is left.
async fn clear_scope(
    tx: &DatabaseTransaction,
    leftover: &attribute_leftover::Model,
    index: AttributeIndexSid,
    mut room: usize,
) -> Result<usize> {
    for (table, key) in TABLES.into_iter().zip(["item_id, ordinal", "item_id"]) {
        if room == 0 {
            break;
        }
        let service: ServiceSid = leftover.service_id;
        let in_scope = |sql: &mut Sql| {
            sql.push(" FROM ").push(table).push(" WHERE service_id = ");
            sql.bind(service).push(" AND index_id = ").bind(index);
            sql.push(" AND scope_id = ").bind(leftover.scope_id);
        };
        let mut sql = Sql::new("DELETE");
        in_scope(&mut sql);
        sql.push(" AND (").push(key).push(") IN (SELECT ").push(key);
        in_scope(&mut sql);
        sql.push(" LIMIT ").bind(limit(room)).push(")");
        let gone = sql.execute(tx).await?.rows_affected();
        room -= room.min(usize::try_from(gone).unwrap_or(room));
    }
    Ok(room)
}

async fn forget(tx: &DatabaseTransaction, leftover: &attribute_leftover::Model) -> Result<()> {
    use attribute_leftover::Column;
    attribute_leftover::Entity::delete_many()
        .filter(Column::ServiceId.eq(leftover.service_id))
        .filter(Column::ScopeId.eq(leftover.scope_id))
        .filter(Column::ItemId.eq(leftover.item_id))
        .exec(tx)
        .await?;
    Ok(())
}
