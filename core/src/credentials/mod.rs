//! Credentials of push services, an account's own. Their secrets go in and never come out over REST.

mod secrets;
mod view;

use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, QuerySelect,
    Select, sea_query::Query,
};

pub use secrets::Secrets;
pub use view::{CredentialView, view};

use crate::{
    audit::Edit,
    change::AccountChange,
    ctx::AccountCtx,
    entities::{binding, credential, service},
    error::{Error, Result},
    input,
    paging::{self, Key, Order, Page, PageRequest},
    secrets::Vault,
    sid::{AccountSid, CredentialSid},
    timestamp::Timestamp,
};

/// Google Cloud Messaging.
pub const GCM: &str = "gcm";
/// Apple Push Notification service.
pub const APN: &str = "apn";
/// Firebase Cloud Messaging.
pub const FCM: &str = "fcm";

/// Reads the name of a push service.
#[must_use]
pub fn push_service(text: &str) -> Option<&'static str> {
    [GCM, APN, FCM].into_iter().find(|known| *known == text)
}

fn scoped(account: AccountSid) -> Select<credential::Entity> {
    credential::Entity::find().filter(credential::Column::AccountId.eq(account))
}

fn missing(id: CredentialSid) -> Error {
    Error::not_found(format_args!("/Credentials/{id}"))
}

/// The account's credential of this SID.
///
/// # Errors
/// 20404 when there is none.
pub async fn get(ctx: &AccountCtx, id: CredentialSid) -> Result<credential::Model> {
    scoped(ctx.account)
        .filter(credential::Column::Id.eq(id))
        .one(ctx.reader())
        .await?
        .ok_or_else(|| missing(id))
}

/// The account's credential of this SID, if there is one; nobody deletes it until the transaction ends.
///
/// # Errors
/// Whatever the database refuses.
pub(crate) async fn hold(
    db: &impl ConnectionTrait,
    account: AccountSid,
    id: CredentialSid,
) -> Result<Option<credential::Model>> {
    Ok(scoped(account)
        .filter(credential::Column::Id.eq(id))
        .lock_shared()
        .one(db)
        .await?)
}

/// The account's credentials, oldest first.
///
/// # Errors
/// Whatever the database refuses.
pub async fn list(ctx: &AccountCtx, request: &PageRequest) -> Result<Page<credential::Model>> {
    paging::fetch(
        ctx.reader(),
        scoped(ctx.account),
        credential::Column::Id,
        Order::Ascending,
        request,
        |row: &credential::Model| Key::Uuid(row.id.0),
    )
    .await
}

/// A credential to make.
pub struct NewCredential {
    /// `gcm`, `apn` or `fcm`.
    pub kind: String,
    /// A name for people.
    pub friendly_name: Option<String>,
    /// Whether Apple's test servers are meant.
    pub sandbox: Option<bool>,
    /// What the push service wants to see.
    pub secrets: Secrets,
}

/// Makes a credential.
///
/// # Errors
/// 20001 naming what is missing: the type, or a secret that it needs; 50003 when the name is too long.
pub async fn create(ctx: &AccountCtx, new: NewCredential) -> Result<credential::Model> {
    let kind = push_service(&new.kind).ok_or_else(|| {
        let problem = if new.kind.is_empty() {
            "is missing: gcm, apn or fcm"
        } else {
            "must be gcm, apn or fcm"
        };
        Error::parameter("Type", problem)
    })?;
    let now = Timestamp::now();
    let id = CredentialSid::generate();
    let row = credential::Model {
        account_id: ctx.account,
        id,
        kind: kind.to_owned(),
        friendly_name: new
            .friendly_name
            .as_deref()
            .map_or(Ok(None), input::friendly_name)?,
        sandbox: new.sandbox.unwrap_or(false) && kind == APN,
        secrets: new.secrets.needed_by(kind)?.seal(&ctx.core.vault, id)?,
        date_created: now,
        date_updated: now,
    };
    let mut change = AccountChange::begin(&ctx.core, &ctx.caller)
        .await?
        .lets_in_as_before();
    let row = row.into_active_model().insert(&change.tx).await?;
    change.audit(ctx.account, None, Edit::Created(&row))?;
    change.commit().await?;
    Ok(row)
}

/// What to change of a credential; `None` leaves it as it is.
pub struct UpdateCredential {
    /// Empty clears it.
    pub friendly_name: Option<String>,
    /// Whether Apple's test servers are meant.
    pub sandbox: Option<bool>,
    /// Those that are given replace what was there.
    pub secrets: Secrets,
}

/// Changes a credential; its type stays.
///
/// # Errors
/// 20404; 20001 when a secret is given empty; 50003 when the name is too long.
pub async fn update(
    ctx: &AccountCtx,
    id: CredentialSid,
    update: UpdateCredential,
) -> Result<credential::Model> {
    let mut change = AccountChange::begin(&ctx.core, &ctx.caller)
        .await?
        .lets_in_as_before();
    let before = lock(ctx, &change, id).await?;
    let mut row = before.clone();
    if let Some(name) = &update.friendly_name {
        row.friendly_name = input::friendly_name(name)?;
    }
    if let Some(sandbox) = update.sandbox {
        row.sandbox = sandbox && row.kind == APN;
    }
    let secrets = secrets(&ctx.core.vault, &row)?.replaced_by(update.secrets);
    row.secrets = secrets.needed_by(&row.kind)?.seal(&ctx.core.vault, id)?;
    row.date_updated = Timestamp::now();
    let row = row.into_active_model().reset_all().update(&change.tx).await?;
    change.audit(
        ctx.account,
        None,
        Edit::Updated {
            before: &before,
            after: &row,
        },
    )?;
    change.commit().await?;
    Ok(row)
}

async fn lock(ctx: &AccountCtx, change: &AccountChange<'_>, id: CredentialSid) -> Result<credential::Model> {
    scoped(ctx.account)
        .filter(credential::Column::Id.eq(id))
        .lock_exclusive()
        .one(&change.tx)
        .await?
        .ok_or_else(|| missing(id))
}

/// Deletes a credential, and the bindings that cannot be reached without it.
///
/// # Errors
/// 20404.
pub async fn delete(ctx: &AccountCtx, id: CredentialSid) -> Result<()> {
    let mut change = AccountChange::begin(&ctx.core, &ctx.caller)
        .await?
        .lets_in_as_before();
    let row = lock(ctx, &change, id).await?;
    credential::Entity::delete_by_id((ctx.account, id))
        .exec(&change.tx)
        .await?;
    let services = Query::select()
        .column(service::Column::Id)
        .from(service::Entity)
        .and_where(service::Column::AccountId.eq(ctx.account))
        .to_owned();
    binding::Entity::delete_many()
        .filter(binding::Column::ServiceId.in_subquery(services))
        .filter(binding::Column::CredentialId.eq(id))
        .exec(&change.tx)
        .await?;
    change.audit(ctx.account, None, Edit::Deleted(&row))?;
    change.commit().await
}

/// What the push service wants to see.
///
/// # Errors
/// When it was sealed under another master key.
pub fn secrets(vault: &Vault, credential: &credential::Model) -> Result<Secrets> {
    Secrets::open(vault, credential)
}
