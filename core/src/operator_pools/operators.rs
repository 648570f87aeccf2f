//! The operators of pools.

use std::collections::{BTreeSet, HashMap, HashSet};

use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder,
    QuerySelect,
};

use super::{MOST_OPERATORS, actions, get, missing};
use crate::{
    audit::Edit,
    change::Change,
    ctx::Ctx,
    entities::{operator, operator_pool},
    error::{Error, ErrorCode, Result},
    input::Identity,
    paging::{Key, Page, PageRequest, cut, unknown_token},
    sid::{AccountSid, OperatorPoolSid, ServiceSid},
    sql::Sql,
    timestamp::Timestamp,
    users,
};

/// A user who may be an operator.
pub type OperatorKey = (ServiceSid, String);

/// How many rows one statement inserts.
const ROWS: usize = 500;

fn too_many() -> Error {
    Error::with(
        ErrorCode::Conflict,
        format!("An operator pool can have at most {MOST_OPERATORS} operators: make another pool"),
    )
}

fn fresh(pool: &operator_pool::Model, identity: &str) -> operator::Model {
    operator::Model {
        service_id: pool.service_id,
        pool_id: pool.id,
        identity: identity.to_owned(),
        date_created: Timestamp::now(),
    }
}

/// Makes these the operators of a locked pool, whose row the caller stores.
///
/// # Errors
/// 20409 when there are too many.
pub(super) async fn replace(
    ctx: &Ctx,
    change: &mut Change<'_>,
    pool: &mut operator_pool::Model,
    identities: &[Identity],
) -> Result<()> {
    let wanted: BTreeSet<&str> = identities.iter().map(Identity::as_str).collect();
    if wanted.len() > MOST_OPERATORS {
        return Err(too_many());
    }
    let names: Vec<&str> = wanted.iter().copied().collect();
    users::ensure_all(ctx, change, &names).await?;
    let known: HashSet<String> = operator::Entity::find()
        .filter(operator::Column::ServiceId.eq(pool.service_id))
        .filter(operator::Column::PoolId.eq(pool.id))
        .all(&change.tx)
        .await?
        .into_iter()
        .map(|operator| operator.identity)
        .collect();
    let gone: Vec<&str> = known
        .iter()
        .map(String::as_str)
        .filter(|identity| !wanted.contains(identity))
        .collect();
    for portion in gone.chunks(ROWS) {
        operator::Entity::delete_many()
            .filter(operator::Column::ServiceId.eq(pool.service_id))
            .filter(operator::Column::PoolId.eq(pool.id))
            .filter(operator::Column::Identity.is_in(portion.iter().copied()))
            .exec(&change.tx)
            .await?;
    }
    let new: Vec<operator::Model> = names
        .iter()
        .filter(|identity| !known.contains(**identity))
        .map(|identity| fresh(pool, identity))
        .collect();
    for portion in new.chunks(ROWS) {
        operator::Entity::insert_many(portion.iter().map(|row| row.clone().into_active_model()))
            .exec_without_returning(&change.tx)
            .await?;
    }
    pool.operators_count = i32::try_from(wanted.len()).unwrap_or(i32::MAX);
    Ok(())
}

fn unknown(ctx: &Ctx, pool: OperatorPoolSid, identity: &str) -> Error {
    ctx.not_found(format_args!("OperatorPools/{pool}/Operators/{identity}"))
}

async fn operator(
    db: &impl ConnectionTrait,
    service: ServiceSid,
    pool: OperatorPoolSid,
    identity: &str,
) -> Result<Option<operator::Model>> {
    Ok(operator::Entity::find_by_id((service, pool, identity.to_owned()))
        .one(db)
        .await?)
}

/// An operator of a pool.
///
/// # Errors
/// 20404; 20006 for users.
pub async fn find_operator(ctx: &Ctx, pool: OperatorPoolSid, identity: &str) -> Result<operator::Model> {
    let pool = get(ctx, pool).await?;
    operator(ctx.reader(), ctx.scope(), pool.id, identity)
        .await?
        .ok_or_else(|| unknown(ctx, pool.id, identity))
}

/// The operators of a pool, in the order of their identities.
///
/// # Errors
/// 20404; 20001 when the page token is of another list; 20006 for users.
pub async fn list_operators(
    ctx: &Ctx,
    pool: OperatorPoolSid,
    request: &PageRequest,
) -> Result<Page<operator::Model>> {
    let pool = get(ctx, pool).await?;
    let mut select = operator::Entity::find()
        .filter(operator::Column::ServiceId.eq(ctx.scope()))
        .filter(operator::Column::PoolId.eq(pool.id));
    if let Some(token) = &request.token {
        let behind = token.place().and_then(|place| std::str::from_utf8(place).ok());
        let behind = behind.ok_or_else(unknown_token)?;
        select = if request.is_backward() {
            select.filter(operator::Column::Identity.lt(behind))
        } else {
            select.filter(operator::Column::Identity.gt(behind))
        };
    }
    let select = if request.is_backward() {
        select.order_by_desc(operator::Column::Identity)
    } else {
        select.order_by_asc(operator::Column::Identity)
    };
    let rows = select.limit(request.size + 1).all(ctx.reader()).await?;
    let key = |row: &operator::Model| Key::Place(row.identity.as_bytes().to_vec());
    Ok(cut(request, rows, key))
}

/// Makes somebody an operator of a pool.
///
/// # Errors
/// 20404; 20409 when it is one already, or the pool has a thousand; 20006 for users.
pub async fn add(ctx: &Ctx, pool: OperatorPoolSid, identity: &Identity) -> Result<operator::Model> {
    let mut change = Change::begin(ctx).await?;
    let mut pool = actions::lock(ctx, &change, pool).await?;
    if operator(&change.tx, ctx.scope(), pool.id, identity.as_str())
        .await?
        .is_some()
    {
        return Err(Error::with(
            ErrorCode::Conflict,
            format!("{identity} is an operator of {} already", pool.id),
        ));
    }
    if usize::try_from(pool.operators_count).unwrap_or(0) >= MOST_OPERATORS {
        return Err(too_many());
    }
    users::ensure_all(ctx, &mut change, &[identity.as_str()]).await?;
    let row = fresh(&pool, identity.as_str())
        .into_active_model()
        .insert(&change.tx)
        .await?;
    pool.operators_count += 1;
    store(&change, pool).await?;
    actions::tell(ctx, &mut change, row.pool_id);
    change.audit(Edit::Created(&row))?;
    change.commit().await?;
    Ok(row)
}

/// Ends somebody's being an operator of a pool. Cases that are assigned to it stay so until somebody assigns them anew.
///
/// # Errors
/// 20404; 20006 for users.
pub async fn remove(ctx: &Ctx, pool: OperatorPoolSid, identity: &str) -> Result<()> {
    let mut change = Change::begin(ctx).await?;
    let mut pool = actions::lock(ctx, &change, pool).await?;
    let row = operator(&change.tx, ctx.scope(), pool.id, identity)
        .await?
        .ok_or_else(|| unknown(ctx, pool.id, identity))?;
    operator::Entity::delete_by_id((row.service_id, row.pool_id, row.identity.clone()))
        .exec(&change.tx)
        .await?;
    pool.operators_count -= 1;
    store(&change, pool).await?;
    actions::tell(ctx, &mut change, row.pool_id);
    change.audit(Edit::Deleted(&row))?;
    change.commit().await
}

async fn store(change: &Change<'_>, mut pool: operator_pool::Model) -> Result<()> {
    pool.date_updated = Timestamp::now();
    pool.into_active_model().reset_all().update(&change.tx).await?;
    Ok(())
}

/// Takes a user that is being deleted out of its pools.
///
/// # Errors
/// Whatever the database refuses.
pub(crate) async fn delete_of_user(ctx: &Ctx, change: &mut Change<'_>, identity: &str) -> Result<()> {
    if ctx.service.operator_pools == 0 {
        return Ok(());
    }
    for operator in pools_of(&change.tx, ctx.scope(), identity).await? {
        let mut pool = actions::lock(ctx, change, operator.pool_id).await?;
        operator::Entity::delete_by_id((operator.service_id, operator.pool_id, operator.identity))
            .exec(&change.tx)
            .await?;
        pool.operators_count -= 1;
        store(change, pool).await?;
    }
    Ok(())
}

/// Whether this user is an operator of this pool.
///
/// # Errors
/// Whatever the database refuses.
pub(crate) async fn is_operator(
    db: &impl ConnectionTrait,
    service: ServiceSid,
    pool: OperatorPoolSid,
    identity: &str,
) -> Result<bool> {
    Ok(operator(db, service, pool, identity).await?.is_some())
}

/// The pool, for one of its operators or a backend.
///
/// # Errors
/// 20404 when there is none; 20006 when a user asks who is no operator of it.
pub async fn joined(ctx: &Ctx, id: OperatorPoolSid) -> Result<operator_pool::Model> {
    let pool = super::find(ctx.reader(), ctx.scope(), id)
        .await?
        .ok_or_else(|| missing(ctx, id))?;
    if let Some(identity) = ctx.caller.identity()
        && !is_operator(ctx.reader(), ctx.scope(), id, identity.as_str()).await?
    {
        return Err(Error::with(
            ErrorCode::AccessDenied,
            "Access denied: only operators of this pool see its desk",
        ));
    }
    Ok(pool)
}

/// The pools that this user is an operator of, with since when.
///
/// # Errors
/// Whatever the database refuses.
pub async fn pools_of(
    db: &impl ConnectionTrait,
    service: ServiceSid,
    identity: &str,
) -> Result<Vec<operator::Model>> {
    Ok(operator::Entity::find()
        .filter(operator::Column::ServiceId.eq(service))
        .filter(operator::Column::Identity.eq(identity))
        .all(db)
        .await?)
}

/// The pools of each of these users; who is in none is not in it.
///
/// # Errors
/// Whatever the database refuses.
pub async fn of_users(
    db: &impl ConnectionTrait,
    users: &[(AccountSid, ServiceSid, String)],
) -> Result<HashMap<OperatorKey, Vec<OperatorPoolSid>>> {
    let mut pools: HashMap<OperatorKey, Vec<OperatorPoolSid>> = HashMap::new();
    if users.is_empty() {
        return Ok(pools);
    }
    let mut sql =
        Sql::new("SELECT service_id, identity, pool_id FROM operators WHERE (service_id, identity) IN ");
    sql.values(
        users
            .iter()
            .map(|(_, service, identity)| [service.into(), identity.as_str().into()]),
    );
    for row in sql.all(db).await? {
        let key = (row.try_get("", "service_id")?, row.try_get("", "identity")?);
        pools.entry(key).or_default().push(row.try_get("", "pool_id")?);
    }
    Ok(pools)
}

/// Those of these services that have pools.
///
/// # Errors
/// Whatever the database refuses.
pub async fn services_with(
    db: &impl ConnectionTrait,
    services: &[ServiceSid],
) -> Result<HashSet<ServiceSid>> {
    if services.is_empty() {
        return Ok(HashSet::new());
    }
    let mut sql = Sql::new("SELECT DISTINCT service_id FROM operator_pools WHERE service_id IN (");
    sql.list(services.iter().map(Into::into)).push(")");
    sql.all(db)
        .await?
        .iter()
        .map(|row| Ok(row.try_get("", "service_id")?))
        .collect()
}

/// Those of these pools that exist, kept from being deleted until the transaction ends.
///
/// # Errors
/// Whatever the database refuses.
pub(crate) async fn attachable(
    db: &impl ConnectionTrait,
    pools: &BTreeSet<(ServiceSid, OperatorPoolSid)>,
) -> Result<HashSet<(ServiceSid, OperatorPoolSid)>> {
    if pools.is_empty() {
        return Ok(HashSet::new());
    }
    let mut sql = Sql::new("SELECT service_id, id FROM operator_pools WHERE (service_id, id) IN ");
    sql.values(pools.iter().map(|(service, pool)| [service.into(), pool.into()]));
    if db.get_database_backend() == sea_orm::DbBackend::Postgres {
        sql.push(" ORDER BY service_id, id FOR SHARE");
    }
    sql.all(db)
        .await?
        .iter()
        .map(|row| Ok((row.try_get("", "service_id")?, row.try_get("", "id")?)))
        .collect()
}
