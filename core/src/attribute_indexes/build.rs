//! Building an index while everything goes on.
//!
//! Changes that know of the index write its entries themselves; those that may not know of it are waited for
//! ([`super::border`]). Then the resources are read in portions, in the order of their keys, and those without an
//! entry get one. No resource is locked, and none is missed or entered wrongly:
//!
//! - *A resource that no change touches any more.* What it has was committed before the reading began, and is read.
//! - *A change writes while the portion is under way.* When its entry comes first, the portion's is left out: `ON
//!   CONFLICT DO NOTHING` waits for the change to end and then keeps what it wrote. When the portion's comes first, the
//!   change waits for the portion and then replaces it. The order of the two is the order of truth either way, and
//!   elements follow their entry.
//! - *A resource is removed while the portion is under way.* The change deletes the entries that it sees and, as the
//!   index is being built, notes a leftover. The portion may still write an entry of what it read. Nobody finds
//!   anything by it, and the sweep takes it away when the index is built.
//!
//! A portion locks entries in the order of their keys, as changes do, and holds nothing that a change waits for
//! otherwise: they cannot wait for each other. Each portion is one transaction together with its place in
//! `built_to`, so a crash continues there. The row of the index is locked meanwhile; other workers pass it by.

use std::collections::{HashMap, HashSet};

use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseTransaction, DbBackend, EntityTrait, FromQueryResult, QueryFilter,
    QuerySelect, sea_query::Expr,
};
use uuid::Uuid;

use super::{
    Covered, Declared, FAILED, READY,
    entries::{Entries, Item},
};
use crate::{
    db::Db,
    entities::{attribute_index, channel},
    error::{Error, Result},
    sid::ChannelSid,
    sql::Sql,
    timestamp::Timestamp,
};

/// How many resources one transaction enters.
const PORTION: usize = 500;

/// Enters the next portion; the last one makes the index ready. False when somebody else is at it.
pub(super) async fn portion(db: &Db, known: &attribute_index::Model) -> Result<bool> {
    let tx = db.begin().await?;
    let Some(index) = claim(&tx, known).await? else {
        return Ok(false);
    };
    let resource = Covered::parse(&index.resource)
        .ok_or_else(|| Error::internal(format!("an index over '{}'", index.resource)))?;
    let read = match resource {
        Covered::Channels | Covered::Users => of_service(&tx, &index, resource).await?,
        Covered::Members | Covered::Messages => of_channels(&tx, &index, resource).await?,
    };
    let declared = HashMap::from([(index.service_id, vec![Declared::of(&index)?])]);
    let items = read.resources.iter().map(|(scope, id, attributes)| Item {
        service: index.service_id,
        scope: *scope,
        id: *id,
        attributes,
    });
    Entries::read(items, &declared).insert_missing(&tx).await?;
    match &read.built_to {
        Some(built_to) => {
            note(&tx, &index, built_to).await?;
            if tx.get_database_backend() == DbBackend::Postgres {
                // Should the server fall before this is on its disk, the place in `built_to` is lost with the rest.
                tx.execute_unprepared("SET LOCAL synchronous_commit TO off")
                    .await?;
            }
        }
        None => conclude(&tx, &index, READY, None).await?,
    }
    tx.commit().await?;
    Ok(true)
}

/// Gives an index up.
pub(super) async fn fail(db: &Db, known: &attribute_index::Model, why: &str) -> Result<()> {
    let tx = db.begin().await?;
    if let Some(index) = claim(&tx, known).await? {
        conclude(&tx, &index, FAILED, Some(why)).await?;
        tx.commit().await?;
    }
    Ok(())
}

/// Locks the row of an index that is unfinished in the same way still, unless somebody else has it.
pub(super) async fn claim(
    tx: &DatabaseTransaction,
    known: &attribute_index::Model,
) -> Result<Option<attribute_index::Model>> {
    let mut sql = Sql::new("SELECT * FROM attribute_indexes WHERE service_id = ");
    sql.bind(known.service_id).push(" AND id = ").bind(known.id);
    sql.push(" AND status = ")
        .bind(known.status.as_str())
        .for_update_skipping_locked(tx.get_database_backend());
    let rows = sql.all(tx).await?;
    Ok(rows
        .first()
        .map(|row| attribute_index::Model::from_query_result(row, ""))
        .transpose()?)
}

/// Notes how far a claimed index has come.
pub(super) async fn note(
    tx: &DatabaseTransaction,
    index: &attribute_index::Model,
    built_to: &str,
) -> Result<()> {
    use attribute_index::Column;
    attribute_index::Entity::update_many()
        .col_expr(Column::BuiltTo, Expr::value(built_to))
        .filter(Column::ServiceId.eq(index.service_id))
        .filter(Column::Id.eq(index.id))
        .exec(tx)
        .await?;
    Ok(())
}

async fn conclude(
    tx: &DatabaseTransaction,
    index: &attribute_index::Model,
    status: &str,
    failure: Option<&str>,
) -> Result<()> {
    use attribute_index::Column;
    attribute_index::Entity::update_many()
        .col_expr(Column::Status, Expr::value(status))
        .col_expr(Column::Failure, Expr::value(failure.map(str::to_owned)))
        .col_expr(Column::BuiltTo, Expr::value(Option::<String>::None))
        .col_expr(Column::DateUpdated, Expr::value(Timestamp::now()))
        .filter(Column::ServiceId.eq(index.service_id))
        .filter(Column::Id.eq(index.id))
        .exec(tx)
        .await?;
    Ok(())
}

/// A portion of resources.
struct Read {
    /// Scope, id, attributes.
    resources: Vec<(Uuid, Uuid, String)>,
    /// Where the next portion begins; `None` when there is none.
    built_to: Option<String>,
}

/// Where a portion begins: behind this key, whose parts are beside each other in `built_to`.
fn place<'t, T>(text: &'t str, parse: impl Fn(&'t str) -> Option<T>) -> Result<T> {
    parse(text).ok_or_else(|| Error::internal(format!("'{text}' is no place in an index")))
}

async fn of_service(
    tx: &DatabaseTransaction,
    index: &attribute_index::Model,
    resource: Covered,
) -> Result<Read> {
    let after = match &index.built_to {
        Some(text) => place(text, |text| text.parse().ok())?,
        None => Uuid::nil(),
    };
    let mut sql = Sql::new(match resource {
        Covered::Channels => "SELECT id, attributes FROM channels WHERE deleted_at IS NULL AND service_id = ",
        _ => "SELECT id, attributes FROM users WHERE service_id = ",
    });
    sql.bind(index.service_id)
        .push(" AND id > ")
        .bind(after)
        .push(" ORDER BY id LIMIT ")
        .bind(i64::try_from(PORTION).unwrap_or(i64::MAX));
    let rows = sql.all(tx).await?;
    let resources = rows
        .iter()
        .map(|row| {
            let id: Uuid = row.try_get("", "id")?;
            Ok((index.service_id.0, id, row.try_get("", "attributes")?))
        })
        .collect::<Result<Vec<_>>>()?;
    let last = resources.last().filter(|_| resources.len() == PORTION);
    Ok(Read {
        built_to: last.map(|(_, id, _)| id.to_string()),
        resources,
    })
}

async fn of_channels(
    tx: &DatabaseTransaction,
    index: &attribute_index::Model,
    resource: Covered,
) -> Result<Read> {
    let (channel, key) = match &index.built_to {
        Some(text) => place(text, |text| text.split_once(' '))?,
        None => ("", ""),
    };
    let channel = match channel {
        "" => Uuid::nil(),
        text => place(text, |text| text.parse().ok())?,
    };
    let (select, order, after): (_, _, sea_orm::Value) = match (resource, key) {
        (Covered::Members, "") => (MEMBERS, "channel_id, id", Uuid::nil().into()),
        (Covered::Members, key) => {
            let id: Uuid = place(key, |key| key.parse().ok())?;
            (MEMBERS, "channel_id, id", id.into())
        }
        (_, "") => (MESSAGES, "channel_id, idx", (-1_i64).into()),
        (_, key) => {
            let idx: i64 = place(key, |key| key.parse().ok())?;
            (MESSAGES, "channel_id, idx", idx.into())
        }
    };
    let mut sql = Sql::new(select);
    sql.bind(index.service_id);
    sql.push(" AND (").push(order).push(") > (").bind(channel);
    sql.push(", ").bind(after).push(") ORDER BY ").push(order);
    sql.push(" LIMIT ")
        .bind(i64::try_from(PORTION).unwrap_or(i64::MAX));
    let rows = sql.all(tx).await?;
    let mut resources = Vec::with_capacity(rows.len());
    for row in &rows {
        let channel: Uuid = row.try_get("", "channel_id")?;
        resources.push((channel, row.try_get("", "id")?, row.try_get("", "attributes")?));
    }
    let built_to = match rows.last().filter(|_| rows.len() == PORTION) {
        Some(row) => {
            let channel: Uuid = row.try_get("", "channel_id")?;
            let key = match resource {
                Covered::Members => row.try_get::<Uuid>("", "id")?.to_string(),
                _ => row.try_get::<i64>("", "idx")?.to_string(),
            };
            Some(format!("{channel} {key}"))
        }
        None => None,
    };
    let living = living(tx, index, resources.iter().map(|(channel, ..)| *channel)).await?;
    resources.retain(|(channel, ..)| living.contains(channel));
    Ok(Read { resources, built_to })
}

const MEMBERS: &str = "SELECT channel_id, id, attributes FROM members WHERE service_id = ";
const MESSAGES: &str =
    "SELECT channel_id, idx, id, attributes FROM messages WHERE removed_at IS NULL AND service_id = ";

/// Which of these channels are not deleted: what is in the others cannot be reached.
async fn living(
    tx: &DatabaseTransaction,
    index: &attribute_index::Model,
    channels: impl Iterator<Item = Uuid>,
) -> Result<HashSet<Uuid>> {
    let asked: HashSet<Uuid> = channels.collect();
    if asked.is_empty() {
        return Ok(asked);
    }
    let living: Vec<ChannelSid> = channel::Entity::find()
        .select_only()
        .column(channel::Column::Id)
        .filter(channel::Column::ServiceId.eq(index.service_id))
        .filter(channel::Column::Id.is_in(asked))
        .filter(channel::Column::DeletedAt.is_null())
        .into_tuple()
        .all(tx)
        .await?;
    Ok(living.into_iter().map(|id| id.0).collect())
}
