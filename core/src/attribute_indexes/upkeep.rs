//! Keeping declared indexes up, inside the transaction of each change.
//!
//! Call these *after* the change has written its own rows: an index that is declared at the same moment is then either
//! seen here, or its builder waits for this transaction (see [`super::build`]).

use std::collections::HashMap;

use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, FromQueryResult, IntoActiveModel, QueryFilter,
    sea_query::OnConflict,
};
use uuid::Uuid;

use super::{
    BUILDING, Covered, Declared, READY,
    entries::{Entries, Indexed, Item},
};
use crate::{
    entities::{attribute_element, attribute_entry, attribute_index, attribute_leftover, channel},
    error::Result,
    sid::{AttributeIndexSid, ServiceSid},
    sql::Sql,
};

/// New rows enter their indexes. Whatever the number of rows and services, the declarations are asked for once.
///
/// # Errors
/// Whatever the database refuses.
pub(crate) async fn added<'r, R: Indexed + 'r>(
    tx: &impl ConnectionTrait,
    rows: impl IntoIterator<Item = &'r R>,
) -> Result<()> {
    match entries(tx, rows).await? {
        Some(entries) => entries.insert(tx).await,
        None => Ok(()),
    }
}

/// The row's attributes have changed.
///
/// # Errors
/// Whatever the database refuses.
pub(crate) async fn changed<R: Indexed>(tx: &impl ConnectionTrait, row: &R) -> Result<()> {
    changed_all(tx, [row]).await
}

/// The attributes of these rows have changed.
///
/// # Errors
/// Whatever the database refuses.
pub(crate) async fn changed_all<'r, R: Indexed + 'r>(
    tx: &impl ConnectionTrait,
    rows: impl IntoIterator<Item = &'r R>,
) -> Result<()> {
    match entries(tx, rows).await? {
        Some(entries) => entries.replace(tx).await,
        None => Ok(()),
    }
}

/// The row is gone, and so are its entries.
///
/// # Errors
/// Whatever the database refuses.
pub(crate) async fn removed<R: Indexed>(tx: &impl ConnectionTrait, row: &R) -> Result<()> {
    let item = row.item();
    let indexes = kept_up(tx, &[item.service], &[R::COVERED]).await?;
    clear(tx, &item, &indexes).await
}

/// The channel is gone. Its members' and messages' entries, however many, are left to the sweep.
///
/// # Errors
/// Whatever the database refuses.
pub(crate) async fn channel_removed(tx: &impl ConnectionTrait, channel: &channel::Model) -> Result<()> {
    let item = channel.item();
    let (own, inside): (Vec<_>, Vec<_>) = kept_up(
        tx,
        &[item.service],
        &[Covered::Channels, Covered::Members, Covered::Messages],
    )
    .await?
    .into_iter()
    .partition(|index| index.resource == Covered::Channels.name());
    clear(tx, &item, &own).await?;
    if !inside.is_empty() {
        leave(tx, item.service, item.id, Uuid::nil()).await?;
    }
    Ok(())
}

async fn entries<'r, R: Indexed + 'r>(
    tx: &impl ConnectionTrait,
    rows: impl IntoIterator<Item = &'r R>,
) -> Result<Option<Entries>> {
    let items: Vec<Item<'_>> = rows.into_iter().map(R::item).collect();
    let mut services: Vec<ServiceSid> = items.iter().map(|item| item.service).collect();
    services.sort_unstable();
    services.dedup();
    let mut indexes: HashMap<ServiceSid, Vec<Declared>> = HashMap::new();
    for row in kept_up(tx, &services, &[R::COVERED]).await? {
        indexes
            .entry(row.service_id)
            .or_default()
            .push(Declared::of(&row)?);
    }
    Ok((!indexes.is_empty()).then(|| Entries::read(items, &indexes)))
}

/// The indexes that writers keep up: those that are ready or will be.
async fn kept_up(
    tx: &impl ConnectionTrait,
    services: &[ServiceSid],
    resources: &[Covered],
) -> Result<Vec<attribute_index::Model>> {
    if services.is_empty() {
        return Ok(Vec::new());
    }
    let mut sql = Sql::new("SELECT * FROM attribute_indexes WHERE service_id IN (");
    sql.list(services.iter().map(Into::into))
        .push(") AND resource IN (");
    sql.list(resources.iter().map(|resource| resource.name().into()));
    sql.push(") AND status IN (")
        .list([BUILDING.into(), READY.into()])
        .push(")");
    let rows = sql.all(tx).await?;
    Ok(rows
        .iter()
        .map(|row| attribute_index::Model::from_query_result(row, ""))
        .collect::<Result<_, _>>()?)
}

async fn clear(tx: &impl ConnectionTrait, item: &Item<'_>, indexes: &[attribute_index::Model]) -> Result<()> {
    if indexes.is_empty() {
        return Ok(());
    }
    clear_item(
        tx,
        item.service,
        item.scope,
        item.id,
        indexes.iter().map(|index| index.id),
    )
    .await?;
    // The builder may have read the row before, and may write its entry after this.
    if indexes.iter().any(|index| index.status == BUILDING) {
        leave(tx, item.service, item.scope, item.id).await?;
    }
    Ok(())
}

/// Deletes one resource's entries in these indexes.
pub(super) async fn clear_item(
    tx: &impl ConnectionTrait,
    service: ServiceSid,
    scope: Uuid,
    item: Uuid,
    indexes: impl IntoIterator<Item = AttributeIndexSid>,
) -> Result<()> {
    let indexes: Vec<AttributeIndexSid> = indexes.into_iter().collect();
    attribute_entry::Entity::delete_many()
        .filter(
            Condition::all()
                .add(attribute_entry::Column::ServiceId.eq(service))
                .add(attribute_entry::Column::IndexId.is_in(indexes.iter().copied()))
                .add(attribute_entry::Column::ScopeId.eq(scope))
                .add(attribute_entry::Column::ItemId.eq(item)),
        )
        .exec(tx)
        .await?;
    attribute_element::Entity::delete_many()
        .filter(
            Condition::all()
                .add(attribute_element::Column::ServiceId.eq(service))
                .add(attribute_element::Column::IndexId.is_in(indexes))
                .add(attribute_element::Column::ScopeId.eq(scope))
                .add(attribute_element::Column::ItemId.eq(item)),
        )
        .exec(tx)
        .await?;
    Ok(())
}

/// Leaves entries to the sweep.
async fn leave(tx: &impl ConnectionTrait, service: ServiceSid, scope: Uuid, item: Uuid) -> Result<()> {
    use attribute_leftover::Column;
    let row = attribute_leftover::Model {
        service_id: service,
        scope_id: scope,
        item_id: item,
    };
    attribute_leftover::Entity::insert(row.into_active_model())
        .on_conflict(
            OnConflict::columns([Column::ServiceId, Column::ScopeId, Column::ItemId])
                .do_nothing()
                .to_owned(),
        )
        .exec_without_returning(tx)
        .await?;
    Ok(())
}
