//! Making pools, changing and deleting them.

use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, PaginatorTrait,
    QueryFilter, QuerySelect,
};

use super::{MOST_POOLS, missing, operators, scoped};
use crate::{
    audit::Edit,
    change::Change,
    ctx::Ctx,
    desk::CaseRules,
    entities::{channel, operator, operator_pool},
    error::{Error, ErrorCode, Result},
    events::publisher::Control,
    input::{self, Identity},
    sid::OperatorPoolSid,
    sql::Sql,
    timestamp::Timestamp,
};

/// A pool to make.
#[derive(Debug, Clone, Default)]
pub struct NewPool {
    /// A name for people.
    pub friendly_name: Option<String>,
    /// Its first operators.
    pub identities: Vec<Identity>,
}

/// Makes a pool. Operators whose users do not exist yet spring up.
///
/// # Errors
/// 20409 when the service has a hundred, or there are more than a thousand operators; 50003; 20006 for users.
pub async fn create(ctx: &Ctx, new: NewPool) -> Result<operator_pool::Model> {
    ctx.backend_only()?;
    let now = Timestamp::now();
    let row = operator_pool::Model {
        service_id: ctx.scope(),
        id: OperatorPoolSid::generate(),
        friendly_name: name(new.friendly_name.as_deref())?,
        operators_count: 0,
        date_created: now,
        date_updated: now,
    };
    let mut change = Change::begin(ctx).await?;
    if !count(&change.tx, ctx, 1).await? {
        return Err(Error::with(
            ErrorCode::Conflict,
            format!("A service can have at most {MOST_POOLS} operator pools: delete one first"),
        ));
    }
    let mut row = row.into_active_model().insert(&change.tx).await?;
    operators::replace(ctx, &mut change, &mut row, &new.identities).await?;
    let row = row.into_active_model().reset_all().update(&change.tx).await?;
    change.audit(Edit::Created(&row))?;
    tell(ctx, &mut change, row.id);
    change.commit().await?;
    ctx.core.lookups.changed().await;
    Ok(row)
}

fn name(text: Option<&str>) -> Result<Option<String>> {
    text.map_or(Ok(None), input::friendly_name)
}

/// Has the gateways look at who the pool's operators are.
pub(super) fn tell(ctx: &Ctx, change: &mut Change<'_>, pool: OperatorPoolSid) {
    change.control(Control::PoolChanged {
        service: ctx.scope(),
        pool,
    });
}

/// What to change of a pool; `None` leaves it as it is.
#[derive(Debug, Clone, Default)]
pub struct UpdatePool {
    /// Empty clears it.
    pub friendly_name: Option<String>,
    /// Replaces its operators.
    pub identities: Option<Vec<Identity>>,
}

/// Changes a pool.
///
/// # Errors
/// 20404; 20409 when there are more than a thousand operators; 50003; 20006 for users.
pub async fn update(ctx: &Ctx, id: OperatorPoolSid, update: UpdatePool) -> Result<operator_pool::Model> {
    let mut change = Change::begin(ctx).await?;
    let before = lock(ctx, &change, id).await?;
    let mut row = before.clone();
    if let Some(text) = &update.friendly_name {
        row.friendly_name = input::friendly_name(text)?;
    }
    if let Some(identities) = &update.identities {
        operators::replace(ctx, &mut change, &mut row, identities).await?;
        tell(ctx, &mut change, id);
    }
    row.date_updated = Timestamp::now();
    let row = row.into_active_model().reset_all().update(&change.tx).await?;
    change.audit(Edit::Updated {
        before: &before,
        after: &row,
    })?;
    change.commit().await?;
    Ok(row)
}

pub(super) async fn lock(
    ctx: &Ctx,
    change: &Change<'_>,
    id: OperatorPoolSid,
) -> Result<operator_pool::Model> {
    ctx.backend_only()?;
    scoped(ctx.scope())
        .filter(operator_pool::Column::Id.eq(id))
        .lock_exclusive()
        .one(&change.tx)
        .await?
        .ok_or_else(|| missing(ctx, id))
}

/// Deletes a pool that nothing needs any more.
///
/// # Errors
/// 20404; 20409 while channels are attached to it, or the service's `CaseRules` name it; 20006 for users.
pub async fn delete(ctx: &Ctx, id: OperatorPoolSid) -> Result<()> {
    let mut change = Change::begin(ctx).await?;
    let row = lock(ctx, &change, id).await?;
    let rules = CaseRules::of(&ctx.service);
    if rules.is_some_and(|rules| rules.pool_sid == id) {
        return Err(Error::with(
            ErrorCode::Conflict,
            format!("Operator pool {id} is in use: the service's CaseRules name it; change them first"),
        ));
    }
    let attached = channel::Entity::find()
        .filter(channel::Column::ServiceId.eq(ctx.scope()))
        .filter(channel::Column::PoolId.eq(id))
        .limit(1)
        .count(&change.tx)
        .await?;
    if attached > 0 {
        return Err(Error::with(
            ErrorCode::Conflict,
            format!(
                "Operator pool {id} is in use: channels are attached to it; close their cases (State=closed) or give them another PoolSid first"
            ),
        ));
    }
    operator::Entity::delete_many()
        .filter(operator::Column::ServiceId.eq(ctx.scope()))
        .filter(operator::Column::PoolId.eq(id))
        .exec(&change.tx)
        .await?;
    operator_pool::Entity::delete_by_id((row.service_id, row.id))
        .exec(&change.tx)
        .await?;
    count(&change.tx, ctx, -1).await?;
    tell(ctx, &mut change, id);
    change.audit(Edit::Deleted(&row))?;
    change.commit().await?;
    ctx.core.lookups.changed().await;
    Ok(())
}

/// Moves the service's count of pools, which says to all who look at the service whether there are any; answers whether
/// the count is allowed.
async fn count(db: &impl ConnectionTrait, ctx: &Ctx, by: i32) -> Result<bool> {
    let mut sql = Sql::new("UPDATE services SET operator_pools = operator_pools + ");
    sql.bind(by)
        .push(" WHERE account_id = ")
        .bind(ctx.account())
        .push(" AND id = ")
        .bind(ctx.scope());
    sql.push(" AND operator_pools + ")
        .bind(by)
        .push(" <= ")
        .bind(MOST_POOLS);
    Ok(sql.execute(db).await?.rows_affected() > 0)
}
