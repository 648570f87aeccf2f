//! Service instances: isolated silos with their own settings, roles, users and channels.

mod settings;
mod view;

use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, QuerySelect,
    Select,
};
use serde_json::json;

pub use settings::{NotificationUpdate, UpdateService};
pub(crate) use view::view_without_secret;
pub use view::{ServiceView, view};

use crate::{
    api_keys, attribute_indexes, audiences,
    audit::Edit,
    campaigns,
    change::AccountChange,
    ctx::{AccountCtx, BackendCtx, Core},
    db::is_duplicate,
    entities::{
        binding, channel, channel_event, channel_webhook, invite, member, message, operator, operator_pool,
        role, service, user, webhook_attempt, webhook_delivery, webhook_endpoint,
    },
    error::{Error, ErrorCode, Result},
    events::publisher::Control,
    input, notices,
    paging::{self, Key, Order, Page, PageRequest},
    permissions::{CHANNEL_ADMIN, CHANNEL_USER, DefaultRole, Permissions, SERVICE_ADMIN, SERVICE_USER},
    pre_events, presence, providers,
    secrets::Secret,
    sid::{AccountSid, RoleSid, ServiceSid},
    timestamp::Timestamp,
};

fn scoped(account: AccountSid) -> Select<service::Entity> {
    service::Entity::find().filter(service::Column::AccountId.eq(account))
}

/// The services that the caller reaches.
fn reached(ctx: &BackendCtx) -> Select<service::Entity> {
    let all = scoped(ctx.account());
    match ctx.caller.only_service() {
        Some(only) => all.filter(service::Column::Id.eq(only)),
        None => all,
    }
}

fn missing(id: ServiceSid) -> Error {
    Error::not_found(format_args!("/Services/{id}"))
}

/// The service of this SID.
///
/// # Errors
/// 20404 when the caller reaches none.
pub async fn get(ctx: &BackendCtx, id: ServiceSid) -> Result<service::Model> {
    reached(ctx)
        .filter(service::Column::Id.eq(id))
        .one(ctx.reader())
        .await?
        .ok_or_else(|| missing(id))
}

/// The account's service of this SID, if there is one: for what the platform does by itself.
///
/// # Errors
/// Whatever the database refuses.
pub async fn find(
    db: &impl ConnectionTrait,
    account: AccountSid,
    id: ServiceSid,
) -> Result<Option<service::Model>> {
    Ok(scoped(account).filter(service::Column::Id.eq(id)).one(db).await?)
}

/// When the account's service of this SID last changed, if there is one.
///
/// # Errors
/// Whatever the database refuses.
pub async fn changed_at(
    db: &impl ConnectionTrait,
    account: AccountSid,
    id: ServiceSid,
) -> Result<Option<Timestamp>> {
    Ok(scoped(account)
        .filter(service::Column::Id.eq(id))
        .select_only()
        .column(service::Column::DateUpdated)
        .into_tuple()
        .one(db)
        .await?)
}

/// The account that a service belongs to: for the operator, who stands above accounts.
///
/// # Errors
/// 20404 when there is no such service.
pub async fn account_of(db: &impl ConnectionTrait, id: ServiceSid) -> Result<AccountSid> {
    let row = service::Entity::find()
        .filter(service::Column::Id.eq(id))
        .one(db)
        .await?;
    row.map(|row| row.account_id).ok_or_else(|| missing(id))
}

/// The services that the caller reaches, oldest first.
///
/// # Errors
/// Whatever the database refuses.
pub async fn list(ctx: &BackendCtx, request: &PageRequest) -> Result<Page<service::Model>> {
    paging::fetch(
        ctx.reader(),
        reached(ctx),
        service::Column::Id,
        Order::Ascending,
        request,
        |row: &service::Model| Key::Uuid(row.id.0),
    )
    .await
}

/// Makes a service with the default settings and its four default roles.
///
/// # Errors
/// 50000 without a name, 50003 when it is too long.
pub async fn create(ctx: &AccountCtx, friendly_name: &str) -> Result<service::Model> {
    create_as(ctx, ServiceSid::generate(), friendly_name).await
}

/// Makes the service of this SID: for what the platform does by itself. Of many who do so at once the first one makes
/// it, and all get it.
pub(crate) async fn create_as(
    ctx: &AccountCtx,
    id: ServiceSid,
    friendly_name: &str,
) -> Result<service::Model> {
    let (core, account) = (&ctx.core, ctx.account);
    let friendly_name = input::friendly_name(friendly_name)?.ok_or(ErrorCode::FriendlyNameMissing)?;
    let now = Timestamp::now();
    let make = |default: &DefaultRole| role::Model {
        service_id: id,
        id: RoleSid::generate(),
        friendly_name: default.name.to_owned(),
        kind: default.kind.to_owned(),
        permissions: Permissions::of(default.permissions),
        date_created: now,
        date_updated: now,
    };
    let roles = [&SERVICE_ADMIN, &SERVICE_USER, &CHANNEL_ADMIN, &CHANNEL_USER].map(make);
    let [_, service_user, channel_admin, channel_user] = &roles;
    let row = service::Model {
        account_id: account,
        id,
        friendly_name,
        default_service_role_id: service_user.id,
        default_channel_role_id: channel_user.id,
        default_channel_creator_role_id: channel_admin.id,
        read_status_enabled: true,
        reachability_enabled: false,
        typing_indicator_timeout: 5,
        consumption_report_interval: 10,
        limit_channel_members: 100,
        limit_user_channels: 250,
        pre_webhook_url: None,
        post_webhook_url: None,
        webhook_method: None,
        webhook_filters: None,
        pre_webhook_retry_count: 0,
        post_webhook_retry_count: 0,
        notifications: json!({
            "log_enabled": false,
            "new_message": { "enabled": false },
            "added_to_channel": { "enabled": false },
            "removed_from_channel": { "enabled": false },
            "invited_to_channel": { "enabled": false },
        }),
        media_compatibility_message: None,
        webhook_secret: core.vault.seal(&Secret::random_webhook(), &id.to_string())?,
        webhook_secret_before: None,
        webhook_secret_before_until: None,
        webhook_endpoints: 0,
        case_rules: None,
        operator_pools: 0,
        date_created: now,
        date_updated: now,
    };
    let mut change = AccountChange::begin(core, &ctx.caller).await?.lets_in_as_before();
    let row = match row.into_active_model().insert(&change.tx).await {
        Err(error) if is_duplicate(&error, &["services"]) => {
            drop(change);
            return find(ctx.reader(), account, id).await?.ok_or_else(|| missing(id));
        }
        inserted => inserted?,
    };
    role::Entity::insert_many(roles.map(IntoActiveModel::into_active_model))
        .exec_without_returning(&change.tx)
        .await?;
    change.audit(account, Some(id), Edit::Created(&row))?;
    change.commit().await?;
    Ok(row)
}

/// Changes the settings that are given.
///
/// # Errors
/// 20404; the code of the setting that is wrong, the others unchanged.
pub async fn update(ctx: &BackendCtx, id: ServiceSid, update: UpdateService) -> Result<service::Model> {
    let mut change = AccountChange::begin(&ctx.core, &ctx.caller).await?;
    let before = lock(&change, ctx, id).await?;
    let mut row = before.clone();
    settings::apply(&ctx.core, &change.tx, &mut row, update).await?;
    row.date_updated = Timestamp::now();
    let row = row.into_active_model().reset_all().update(&change.tx).await?;
    change.audit(
        ctx.account(),
        Some(id),
        Edit::Updated {
            before: &before,
            after: &row,
        },
    )?;
    pre_events::changed(&change.tx).await?;
    change.commit().await?;
    Ok(row)
}

async fn lock(change: &AccountChange<'_>, ctx: &BackendCtx, id: ServiceSid) -> Result<service::Model> {
    reached(ctx)
        .filter(service::Column::Id.eq(id))
        .lock_exclusive()
        .one(&change.tx)
        .await?
        .ok_or_else(|| missing(id))
}

/// Deletes the service with everything in it, the keys that reach nothing else among it, and ends its sockets.
///
/// # Errors
/// 20404.
pub async fn delete(ctx: &AccountCtx, id: ServiceSid) -> Result<()> {
    let account = ctx.account;
    let mut change = AccountChange::begin(&ctx.core, &ctx.caller).await?;
    let row = scoped(account)
        .filter(service::Column::Id.eq(id))
        .lock_exclusive()
        .one(&change.tx)
        .await?
        .ok_or_else(|| missing(id))?;
    service::Entity::delete_many()
        .filter(service::Column::AccountId.eq(account))
        .filter(service::Column::Id.eq(id))
        .exec(&change.tx)
        .await?;
    role::Entity::delete_many()
        .filter(role::Column::ServiceId.eq(id))
        .exec(&change.tx)
        .await?;
    user::Entity::delete_many()
        .filter(user::Column::ServiceId.eq(id))
        .exec(&change.tx)
        .await?;
    channel::Entity::delete_many()
        .filter(channel::Column::ServiceId.eq(id))
        .exec(&change.tx)
        .await?;
    member::Entity::delete_many()
        .filter(member::Column::ServiceId.eq(id))
        .exec(&change.tx)
        .await?;
    invite::Entity::delete_many()
        .filter(invite::Column::ServiceId.eq(id))
        .exec(&change.tx)
        .await?;
    channel_webhook::Entity::delete_many()
        .filter(channel_webhook::Column::ServiceId.eq(id))
        .exec(&change.tx)
        .await?;
    binding::Entity::delete_many()
        .filter(binding::Column::ServiceId.eq(id))
        .exec(&change.tx)
        .await?;
    message::Entity::delete_many()
        .filter(message::Column::ServiceId.eq(id))
        .exec(&change.tx)
        .await?;
    channel_event::Entity::delete_many()
        .filter(channel_event::Column::ServiceId.eq(id))
        .exec(&change.tx)
        .await?;
    webhook_endpoint::Entity::delete_many()
        .filter(webhook_endpoint::Column::ServiceId.eq(id))
        .exec(&change.tx)
        .await?;
    audiences::delete_of_service(&change.tx, id).await?;
    campaigns::delete_of_service(&change.tx, id).await?;
    operator::Entity::delete_many()
        .filter(operator::Column::ServiceId.eq(id))
        .exec(&change.tx)
        .await?;
    operator_pool::Entity::delete_many()
        .filter(operator_pool::Column::ServiceId.eq(id))
        .exec(&change.tx)
        .await?;
    providers::forget(&change.tx, id).await?;
    notices::forget(&change.tx, id).await?;
    presence::forget(&change.tx, id, None).await?;
    attribute_indexes::take_down(&change.tx, id, None).await?;
    webhook_attempt::Entity::delete_many()
        .filter(webhook_attempt::Column::ServiceId.eq(id))
        .exec(&change.tx)
        .await?;
    webhook_delivery::Entity::delete_many()
        .filter(webhook_delivery::Column::ServiceId.eq(id))
        .exec(&change.tx)
        .await?;
    for key in api_keys::of_service(&change.tx, account, id).await? {
        api_keys::remove(&mut change, &key).await?;
    }
    change.control(Control::ServiceDeleted { service: id });
    change.audit(account, Some(id), Edit::Deleted(&row))?;
    change.commit().await
}

/// The secrets that sign this service's webhooks in the Standard Webhooks way: the current one, and the one before
/// it for 24 hours after a rotation.
///
/// # Errors
/// When one was sealed under another master key.
pub fn webhook_secrets(core: &Core, service: &service::Model) -> Result<Vec<Secret>> {
    let context = service.id.to_string();
    let mut secrets = vec![core.vault.open(&service.webhook_secret, &context)?];
    if let (Some(before), Some(until)) = (
        &service.webhook_secret_before,
        service.webhook_secret_before_until,
    ) && until > Timestamp::now()
    {
        secrets.push(core.vault.open(before, &context)?);
    }
    Ok(secrets)
}
