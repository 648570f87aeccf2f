//! Users spring up: made by a backend, or named for the first time by a token or a membership.

use std::collections::{HashMap, HashSet};

use sea_orm::{
    ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect, sea_query::OnConflict,
};

use super::{Reach, UserNews, scoped};
use crate::{
    attribute_indexes::upkeep,
    audit::Edit,
    change::Change,
    connecting::KnownUser,
    ctx::Ctx,
    entities::user,
    error::{Error, ErrorCode, Result},
    events::{EventKind, Resource},
    input::{self, Identity},
    roles,
    sid::{RoleSid, ServiceSid, UserSid},
    timestamp::Timestamp,
};

/// A user to make.
#[derive(Debug, Clone)]
pub struct NewUser {
    /// Who.
    pub identity: Identity,
    /// A role of type `deployment`; the service's default otherwise.
    pub role_sid: Option<String>,
    /// A name for people.
    pub friendly_name: Option<String>,
    /// JSON text.
    pub attributes: Option<String>,
}

/// Makes a user.
///
/// # Errors
/// 50201 when there is one of this identity; the code of the field that is wrong; 20006 for users.
pub async fn create(ctx: &Ctx, new: NewUser) -> Result<user::Model> {
    create_all(ctx, vec![Ok(new)])
        .await?
        .pop()
        .unwrap_or_else(|| Err(Error::internal("a user to be was lost")))
}

/// Makes many users, in one transaction; who cannot be made fails alone. The answers are in the order of `new`.
///
/// # Errors
/// 20006 for users; each answer as [`create`].
pub async fn create_all(ctx: &Ctx, new: Vec<Result<NewUser>>) -> Result<Vec<Result<user::Model>>> {
    ctx.backend_only()?;
    let mut change = Change::begin(ctx).await?;
    let mut answers = Vec::with_capacity(new.len());
    let mut named = HashSet::new();
    for new in new {
        answers.push(match new {
            Ok(new) if !named.insert(new.identity.clone()) => Err(ErrorCode::UserExists.into()),
            Ok(new) => prepare(ctx, &change, new).await,
            Err(refusal) => Err(refusal),
        });
    }
    let wanted: Vec<user::Model> = answers.iter().flatten().cloned().collect();
    let made: HashSet<UserSid> = insert_missing(&mut change, wanted)
        .await?
        .into_iter()
        .map(|row| row.id)
        .collect();
    for answer in &mut answers {
        if answer.as_ref().is_ok_and(|row| !made.contains(&row.id)) {
            *answer = Err(ErrorCode::UserExists.into());
        }
    }
    for row in answers.iter().flatten() {
        change.audit(Edit::Created(row))?;
    }
    if !made.is_empty() {
        change.commit().await?;
    }
    Ok(answers)
}

async fn prepare(ctx: &Ctx, change: &Change<'_>, new: NewUser) -> Result<user::Model> {
    let role_id = match &new.role_sid {
        Some(sid) => {
            roles::of_kind(&change.tx, ctx.scope(), sid, roles::DEPLOYMENT)
                .await?
                .id
        }
        None => ctx.service.default_service_role_id,
    };
    let mut row = fresh(ctx, new.identity.as_str(), role_id);
    row.friendly_name = new
        .friendly_name
        .as_deref()
        .map_or(Ok(None), input::friendly_name)?;
    row.attributes = input::small_attributes(new.attributes.as_deref().unwrap_or_default())?;
    Ok(row)
}

pub(super) fn fresh(ctx: &Ctx, identity: &str, role_id: RoleSid) -> user::Model {
    let now = Timestamp::now();
    user::Model {
        service_id: ctx.scope(),
        id: UserSid::generate(),
        identity: identity.to_owned(),
        role_id,
        friendly_name: None,
        attributes: "{}".to_owned(),
        joined_channels_count: 0,
        online: false,
        date_last_seen: None,
        date_created: now,
        date_updated: now,
    }
}

/// The users of these identities by name, made within the change when it is the first time that they are named.
/// Locked, in the order of their names.
///
/// # Errors
/// Whatever the database refuses.
pub(crate) async fn ensure_all(
    ctx: &Ctx,
    change: &mut Change<'_>,
    identities: &[&str],
) -> Result<HashMap<String, user::Model>> {
    let mut identities = identities.to_vec();
    identities.sort_unstable();
    identities.dedup();
    let mut known = locked(change, ctx.scope(), &identities).await?;
    let missing: Vec<user::Model> = identities
        .iter()
        .filter(|identity| !known.contains_key(**identity))
        .map(|identity| fresh(ctx, identity, ctx.service.default_service_role_id))
        .collect();
    for row in insert_missing(change, missing).await? {
        known.insert(row.identity.clone(), row);
    }
    if known.len() < identities.len() {
        // Somebody else made the others between the two statements.
        known = locked(change, ctx.scope(), &identities).await?;
    }
    if known.len() < identities.len() {
        // And deleted them at once: whoever tries again makes them.
        return Err(ErrorCode::Unavailable.into());
    }
    Ok(known)
}

pub(super) async fn locked(
    change: &Change<'_>,
    service: ServiceSid,
    identities: &[&str],
) -> Result<HashMap<String, user::Model>> {
    if identities.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = scoped(service)
        .filter(user::Column::Identity.is_in(identities.iter().copied()))
        .order_by_asc(user::Column::Identity)
        .lock_exclusive()
        .all(&change.tx)
        .await?;
    Ok(rows.into_iter().map(|row| (row.identity.clone(), row)).collect())
}

/// Inserts those whose identities are free, announces them, and answers them.
pub(super) async fn insert_missing(
    change: &mut Change<'_>,
    rows: Vec<user::Model>,
) -> Result<Vec<user::Model>> {
    if rows.is_empty() {
        return Ok(rows);
    }
    let inserted = user::Entity::insert_many(rows.iter().map(|row| row.clone().into_active_model()))
        .on_conflict(
            OnConflict::columns([user::Column::ServiceId, user::Column::Identity])
                .do_nothing()
                .to_owned(),
        )
        .exec_without_returning(&change.tx)
        .await?;
    let mut made = rows;
    if inserted < made.len() as u64 {
        let ids = made.iter().map(|row| row.id);
        let ours: HashSet<UserSid> = user::Entity::find()
            .select_only()
            .column(user::Column::Id)
            .filter(user::Column::ServiceId.eq(made[0].service_id))
            .filter(user::Column::Id.is_in(ids))
            .into_tuple()
            .all(&change.tx)
            .await?
            .into_iter()
            .collect();
        made.retain(|row| ours.contains(&row.id));
    }
    upkeep::added(&change.tx, &made).await?;
    for row in &made {
        change.tell(
            EventKind::UserAdded,
            Resource::User(Box::new(UserNews::plain(row.clone()))),
        );
    }
    Ok(made)
}

/// The user of this identity, made when it is the first time that a token names it. That is the platform's doing: a
/// read-only token's user springs up too. With it comes what its service tells of it, in the same statement.
///
/// # Errors
/// Whatever the database refuses.
pub async fn log_in(ctx: &Ctx, identity: &Identity) -> Result<(user::Model, Reach)> {
    let known = ctx.core.connecting.user(ctx.scope(), identity.as_str()).await?;
    let reach = |row: &user::Model, notifiable| {
        if ctx.service.reachability_enabled {
            Reach::known(row, notifiable)
        } else {
            Reach::default()
        }
    };
    if let Some(KnownUser { row, notifiable }) = known {
        let reach = reach(&row, notifiable);
        return Ok((row, reach));
    }
    let mut change = Change::of_the_platform(ctx).await?;
    let row = ensure_all(ctx, &mut change, &[identity.as_str()])
        .await?
        .remove(identity.as_str())
        .ok_or_else(|| Error::internal("a user vanished while it was made"))?;
    change.commit().await?;
    let reach = reach(&row, false);
    Ok((row, reach))
}
