//! Users of a service, addressed by SID or identity. They spring up when a token or a membership first names them.

use std::collections::{HashMap, HashSet};

use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder,
    QuerySelect, Select, sea_query::OnConflict,
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    attribute_indexes::upkeep,
    audit::Edit,
    bindings,
    change::Change,
    channels,
    ctx::{BaseUrl, Ctx},
    entities::user,
    error::{Error, ErrorCode, Result},
    events::{EventKind, Resource, publisher::Control},
    input::{self, Identity, UserRef},
    invites, members,
    paging::{self, Key, Order, Page, PageRequest},
    permissions::{Permission, Permissions},
    query::{self, Asked, Bounds, Listing},
    roles,
    sid::{AccountSid, RoleSid, ServiceSid, UserSid},
    sql::Sql,
    timestamp::Timestamp,
};

fn scoped(service: ServiceSid) -> Select<user::Entity> {
    user::Entity::find().filter(user::Column::ServiceId.eq(service))
}

fn addressed(service: ServiceSid, user: &UserRef) -> Select<user::Entity> {
    match user {
        UserRef::Sid(id) => scoped(service).filter(user::Column::Id.eq(*id)),
        UserRef::Identity(identity) => scoped(service).filter(user::Column::Identity.eq(identity)),
    }
}

/// The user so addressed, if there is one.
///
/// # Errors
/// Whatever the database refuses.
pub async fn find(
    db: &impl ConnectionTrait,
    service: ServiceSid,
    user: &UserRef,
) -> Result<Option<user::Model>> {
    Ok(addressed(service, user).one(db).await?)
}

/// The user so addressed, if there is one, locked until the transaction ends: nobody deletes it meanwhile.
///
/// # Errors
/// Whatever the database refuses.
pub(crate) async fn lock(
    db: &impl ConnectionTrait,
    service: ServiceSid,
    user: &UserRef,
) -> Result<Option<user::Model>> {
    Ok(addressed(service, user).lock_exclusive().one(db).await?)
}

/// Which of these users exist.
///
/// # Errors
/// Whatever the database refuses.
pub async fn existing(
    db: &impl ConnectionTrait,
    users: &[(AccountSid, ServiceSid, String)],
) -> Result<HashSet<(ServiceSid, String)>> {
    if users.is_empty() {
        return Ok(HashSet::new());
    }
    let mut sql = Sql::new("SELECT service_id, identity FROM users WHERE (service_id, identity) IN ");
    sql.values(
        users
            .iter()
            .map(|(_, service, identity)| [service.into(), identity.as_str().into()]),
    );
    sql.all(db)
        .await?
        .iter()
        .map(|row| Ok((row.try_get("", "service_id")?, row.try_get("", "identity")?)))
        .collect()
}

/// The user so addressed.
///
/// # Errors
/// 20404 when there is none.
pub async fn get(ctx: &Ctx, user: &UserRef) -> Result<user::Model> {
    find(ctx.reader(), ctx.scope(), user)
        .await?
        .ok_or_else(|| ctx.not_found(format_args!("Users/{user}")))
}

/// The user so addressed, with what concerns nobody else: its channels and its devices. A user gets to its own only.
///
/// # Errors
/// 20404 when there is none; 20006 when a user asks for another.
pub async fn own(ctx: &Ctx, user: &UserRef) -> Result<user::Model> {
    let Some(identity) = ctx.caller.identity() else {
        return get(ctx, user).await;
    };
    let own = get(ctx, &UserRef::Identity(identity.as_str().to_owned())).await?;
    let is_own = match user {
        UserRef::Sid(id) => own.id == *id,
        UserRef::Identity(identity) => own.identity == *identity,
    };
    if is_own {
        Ok(own)
    } else {
        Err(Error::with(
            ErrorCode::AccessDenied,
            "Access denied: an access token opens the channels and bindings of its own user only",
        ))
    }
}

/// The service's users, oldest first.
///
/// # Errors
/// Whatever the database refuses.
pub async fn list(ctx: &Ctx, request: &PageRequest) -> Result<Page<user::Model>> {
    paging::fetch(
        ctx.reader(),
        scoped(ctx.scope()),
        user::Column::Id,
        Order::Ascending,
        request,
        |row: &user::Model| Key::Uuid(row.id.0),
    )
    .await
}

/// The service's users as they are asked for.
///
/// # Errors
/// As [`query::run`].
pub async fn search(ctx: &Ctx, asked: &Asked, request: &PageRequest) -> Result<Listing<user::Model>> {
    if asked.is_nothing() {
        return Ok(list(ctx, request).await?.into());
    }
    query::run(ctx, &Bounds::default(), asked, request).await
}

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

fn fresh(ctx: &Ctx, identity: &str, role_id: RoleSid) -> user::Model {
    let now = Timestamp::now();
    user::Model {
        service_id: ctx.scope(),
        id: UserSid::generate(),
        identity: identity.to_owned(),
        role_id,
        friendly_name: None,
        attributes: "{}".to_owned(),
        joined_channels_count: 0,
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

async fn locked(
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
async fn insert_missing(change: &mut Change<'_>, rows: Vec<user::Model>) -> Result<Vec<user::Model>> {
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
        change.tell(EventKind::UserAdded, Resource::User(Box::new(row.clone())));
    }
    Ok(made)
}

/// The user of this identity, made when it is the first time that a token names it. That is the platform's doing: a
/// read-only token's user springs up too.
///
/// # Errors
/// Whatever the database refuses.
pub async fn log_in(ctx: &Ctx, identity: &Identity) -> Result<user::Model> {
    if let Some(row) = find(
        ctx.reader(),
        ctx.scope(),
        &UserRef::Identity(identity.as_str().to_owned()),
    )
    .await?
    {
        return Ok(row);
    }
    let mut change = Change::of_the_platform(ctx).await?;
    let row = ensure_all(ctx, &mut change, &[identity.as_str()])
        .await?
        .remove(identity.as_str())
        .ok_or_else(|| Error::internal("a user vanished while it was made"))?;
    change.commit().await?;
    Ok(row)
}

/// What to change of a user; `None` leaves it as it is.
#[derive(Debug, Clone, Default)]
pub struct UpdateUser {
    /// A role of type `deployment`.
    pub role_sid: Option<String>,
    /// Empty clears it.
    pub friendly_name: Option<String>,
    /// JSON text.
    pub attributes: Option<String>,
}

/// A backend may change everything of a user; a user what its role allows, its role never.
async fn may_update(ctx: &Ctx, user: &user::Model, update: &UpdateUser) -> Result<()> {
    let Some(identity) = ctx.caller.identity() else {
        return Ok(());
    };
    if update.role_sid.is_some() {
        return Err(ErrorCode::RoleNotSettable.into());
    }
    let rights = rights(ctx.reader(), ctx.scope(), identity.as_str()).await?;
    let own = identity.as_str() == user.identity;
    if rights.has(Permission::EditAnyUserInfo) || own && rights.has(Permission::EditOwnUserInfo) {
        return Ok(());
    }
    let lacking = if own {
        Permission::EditOwnUserInfo
    } else {
        Permission::EditAnyUserInfo
    };
    Err(Error::lacks(lacking.name()))
}

/// Changes a user.
///
/// # Errors
/// 20404; 50107 when the caller's role does not allow it; the code of the field that is wrong.
pub async fn update(ctx: &Ctx, user: &UserRef, update: UpdateUser) -> Result<user::Model> {
    let mut change = Change::begin(ctx).await?;
    let mut row = lock(&change.tx, ctx.scope(), user)
        .await?
        .ok_or_else(|| ctx.not_found(format_args!("Users/{user}")))?;
    may_update(ctx, &row, &update).await?;
    let before = row.clone();
    if let Some(sid) = &update.role_sid {
        row.role_id = roles::of_kind(&change.tx, ctx.scope(), sid, roles::DEPLOYMENT)
            .await?
            .id;
    }
    if let Some(name) = &update.friendly_name {
        row.friendly_name = input::friendly_name(name)?;
    }
    if let Some(text) = &update.attributes {
        row.attributes = input::small_attributes(text)?;
    }
    row.date_updated = Timestamp::now();
    let row = row.into_active_model().reset_all().update(&change.tx).await?;
    if update.attributes.is_some() {
        upkeep::changed(&change.tx, &row).await?;
    }
    change.tell(EventKind::UserUpdated, Resource::User(Box::new(row.clone())));
    change.audit(Edit::Updated {
        before: &before,
        after: &row,
    })?;
    change.commit().await?;
    Ok(row)
}

/// How many memberships one transaction ends.
const LEAVES_AT_ONCE: usize = 50;

/// Deletes a user: its memberships end, each with its event, and so do its sockets. Its messages stay.
/// Memberships end in portions, so that a user of many channels does not hold them all locked; when it fails half
/// way, the user is still there and the call can be repeated.
///
/// # Errors
/// 20404.
pub async fn delete(ctx: &Ctx, user: &UserRef) -> Result<()> {
    ctx.backend_only()?;
    let row = get(ctx, user).await?;
    let mut joined = members::of_user(ctx.reader(), ctx.scope(), &row.identity).await?;
    // In the order of their SIDs: the order in which everybody locks channels.
    joined.sort_unstable_by_key(|member| member.channel_id);
    for portion in joined.chunks(LEAVES_AT_ONCE) {
        let mut change = Change::begin(ctx).await?;
        for member in portion {
            if let Some(mut channel) =
                channels::lock(&change.tx, ctx.scope(), &member.channel_id.into()).await?
            {
                members::end(&mut change, &mut channel, member).await?;
            }
        }
        change.commit().await?;
    }
    let mut change = Change::begin(ctx).await?;
    user::Entity::delete_many()
        .filter(user::Column::ServiceId.eq(ctx.scope()))
        .filter(user::Column::Id.eq(row.id))
        .exec(&change.tx)
        .await?;
    upkeep::removed(&change.tx, &row).await?;
    invites::delete_of_user(&change.tx, ctx.scope(), &row.identity).await?;
    bindings::delete_all_of_user(&change.tx, ctx.scope(), row.id).await?;
    if let Ok(identity) = Identity::parse(&row.identity) {
        change.control(Control::UserDeleted {
            service: ctx.scope(),
            identity,
        });
    }
    change.audit(Edit::Deleted(&row))?;
    change.commit().await
}

/// What the user's role allows in every channel of the service.
///
/// # Errors
/// Whatever the database refuses.
pub async fn rights(db: &impl ConnectionTrait, service: ServiceSid, identity: &str) -> Result<Permissions> {
    let Some(user) = find(db, service, &UserRef::Identity(identity.to_owned())).await? else {
        return Ok(Permissions::default());
    };
    roles::permissions(db, service, user.role_id).await
}

/// A user.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = User)]
pub struct UserView {
    #[schema(value_type = String)]
    sid: UserSid,
    #[schema(value_type = String)]
    account_sid: AccountSid,
    #[schema(value_type = String)]
    service_sid: ServiceSid,
    attributes: String,
    friendly_name: Option<String>,
    #[schema(value_type = String)]
    role_sid: RoleSid,
    identity: String,
    /// Null unless `reachability_enabled`.
    is_online: Option<bool>,
    /// Null unless `reachability_enabled`.
    is_notifiable: Option<bool>,
    date_created: String,
    date_updated: String,
    joined_channels_count: i32,
    links: UserLinks,
    url: String,
}

/// Where the user's resources are.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct UserLinks {
    user_channels: String,
    user_bindings: String,
}

/// The user as REST answers and events show it.
#[must_use]
pub fn view(user: &user::Model, account: AccountSid, base: &BaseUrl) -> UserView {
    let url = format!("{base}/v2/Services/{}/Users/{}", user.service_id, user.id);
    UserView {
        sid: user.id,
        account_sid: account,
        service_sid: user.service_id,
        attributes: user.attributes.clone(),
        friendly_name: user.friendly_name.clone(),
        role_sid: user.role_id,
        identity: user.identity.clone(),
        is_online: None,
        is_notifiable: None,
        date_created: user.date_created.to_seconds_text(),
        date_updated: user.date_updated.to_seconds_text(),
        joined_channels_count: user.joined_channels_count,
        links: UserLinks {
            user_channels: format!("{url}/Channels"),
            user_bindings: format!("{url}/Bindings"),
        },
        url,
    }
}
