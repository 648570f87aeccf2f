//! Declaring indexes, looking at them and taking them down.

use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, PaginatorTrait,
    QueryFilter, QuerySelect, Select, sea_query::Expr,
};

use super::{BUILDING, Covered, DELETING, KINDS};
use crate::{
    attributes::AttributePath,
    audit::Edit,
    change::Change,
    ctx::Ctx,
    entities::{attribute_index, service},
    error::{Error, ErrorCode, Result},
    paging::{self, Key, Order, Page, PageRequest},
    sid::{AttributeIndexSid, ServiceSid},
    timestamp::Timestamp,
};

/// The most indexes of a service over one kind of resource: every change of attributes writes to each of them.
const INDEXES: u64 = 32;
/// What a path may begin with, as it does in filters.
const ATTRIBUTES: &str = "attributes.";

fn scoped(service: ServiceSid) -> Select<attribute_index::Entity> {
    attribute_index::Entity::find()
        .filter(attribute_index::Column::ServiceId.eq(service))
        .filter(attribute_index::Column::Status.ne(DELETING))
}

fn addressed(service: ServiceSid, id: AttributeIndexSid) -> Select<attribute_index::Entity> {
    scoped(service).filter(attribute_index::Column::Id.eq(id))
}

fn missing(ctx: &Ctx, id: AttributeIndexSid) -> Error {
    ctx.not_found(format_args!("AttributeIndexes/{id}"))
}

fn covered(name: &str) -> Result<Covered> {
    Covered::parse(name)
        .ok_or_else(|| Error::parameter("Resource", "must be channels, members, users or messages"))
}

/// An index to declare.
#[derive(Debug, Clone)]
pub struct NewIndex {
    /// `channels`, `members`, `users` or `messages`.
    pub resource: String,
    /// The way into the attributes; `attributes.` in front is dropped.
    pub path: String,
    /// `string`, `number`, `boolean` or `datetime`.
    pub kind: String,
}

/// Declares an index. Changes keep it up from now on; a worker enters what was there before.
///
/// # Errors
/// 20409 when the path is declared already; 20001 naming what is wrong; 20006 for users.
pub async fn create(ctx: &Ctx, new: NewIndex) -> Result<attribute_index::Model> {
    ctx.backend_only()?;
    let resource = covered(&new.resource)?;
    let path: AttributePath = new
        .path
        .strip_prefix(ATTRIBUTES)
        .unwrap_or(&new.path)
        .parse()
        .map_err(|problem| Error::parameter("Path", &format!("{problem}")))?;
    if !KINDS.contains(&new.kind.as_str()) {
        return Err(Error::parameter(
            "Type",
            "must be string, number, boolean or datetime",
        ));
    }
    let mut change = Change::begin(ctx).await?;
    let tx = &change.tx;
    // One declaration of a service at a time, and none while the service is being deleted.
    service::Entity::find()
        .filter(service::Column::AccountId.eq(ctx.account()))
        .filter(service::Column::Id.eq(ctx.scope()))
        .lock_exclusive()
        .one(tx)
        .await?
        .ok_or_else(|| Error::not_found(format_args!("/Services/{}", ctx.scope())))?;
    let same_resource = || scoped(ctx.scope()).filter(attribute_index::Column::Resource.eq(resource.name()));
    if let Some(known) = same_resource()
        .filter(attribute_index::Column::Path.eq(path.as_str()))
        .one(tx)
        .await?
    {
        return Err(Error::with(
            ErrorCode::Conflict,
            format!(
                "Conflict: Path {path} is declared already, by the index {} of type {} over {}",
                known.id, known.kind, known.resource
            ),
        ));
    }
    if same_resource().count(tx).await? >= INDEXES {
        return Err(Error::parameter(
            "Resource",
            &format!(
                "has {INDEXES} indexes already, which is the most that {} can have",
                resource.name()
            ),
        ));
    }
    let now = Timestamp::now();
    let row = attribute_index::Model {
        service_id: ctx.scope(),
        id: AttributeIndexSid::generate(),
        resource: resource.name().to_owned(),
        path: path.as_str().to_owned(),
        kind: new.kind,
        status: BUILDING.to_owned(),
        failure: None,
        built_to: None,
        date_created: now,
        date_updated: now,
    };
    let row = row.into_active_model().insert(tx).await?;
    change.audit(Edit::Created(&row))?;
    change.commit().await?;
    Ok(row)
}

/// The service's index of this SID.
///
/// # Errors
/// 20404; 20006 for users.
pub async fn get(ctx: &Ctx, id: AttributeIndexSid) -> Result<attribute_index::Model> {
    ctx.backend_only()?;
    addressed(ctx.scope(), id)
        .one(ctx.reader())
        .await?
        .ok_or_else(|| missing(ctx, id))
}

/// The service's indexes, oldest first; those over one kind of resource only, when it is given.
///
/// # Errors
/// 20001 when there is no such kind; 20006 for users.
pub async fn list(
    ctx: &Ctx,
    resource: Option<&str>,
    request: &PageRequest,
) -> Result<Page<attribute_index::Model>> {
    ctx.backend_only()?;
    let mut select = scoped(ctx.scope());
    if let Some(resource) = resource {
        select = select.filter(attribute_index::Column::Resource.eq(covered(resource)?.name()));
    }
    let key = |row: &attribute_index::Model| Key::Uuid(row.id.0);
    let column = attribute_index::Column::Id;
    paging::fetch(ctx.reader(), select, column, Order::Ascending, request, key).await
}

/// Takes an index down. Nobody sees it any more and its path is free; its entries are swept later.
///
/// # Errors
/// 20404; 20006 for users.
pub async fn delete(ctx: &Ctx, id: AttributeIndexSid) -> Result<()> {
    ctx.backend_only()?;
    let mut change = Change::begin(ctx).await?;
    // One of several deletions at a time is the one.
    let row = addressed(ctx.scope(), id)
        .lock_exclusive()
        .one(&change.tx)
        .await?
        .ok_or_else(|| missing(ctx, id))?;
    take_down(&change.tx, ctx.scope(), Some(id)).await?;
    change.audit(Edit::Deleted(&row))?;
    change.commit().await
}

/// Takes down one index of the service, or all of them.
///
/// # Errors
/// Whatever the database refuses.
pub(crate) async fn take_down(
    tx: &impl ConnectionTrait,
    service: ServiceSid,
    only: Option<AttributeIndexSid>,
) -> Result<()> {
    use attribute_index::Column;
    let mut update = attribute_index::Entity::update_many()
        .col_expr(Column::Status, Expr::value(DELETING))
        .col_expr(Column::BuiltTo, Expr::value(Option::<String>::None))
        .col_expr(Column::DateUpdated, Expr::value(Timestamp::now()))
        .filter(Column::ServiceId.eq(service))
        .filter(Column::Status.ne(DELETING));
    if let Some(id) = only {
        update = update.filter(Column::Id.eq(id));
    }
    update.exec(tx).await?;
    Ok(())
}
