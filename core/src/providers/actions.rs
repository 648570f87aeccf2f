//! Setting providers, looking at them and taking them away.

use sea_orm::{
    ActiveModelTrait, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect,
};

use super::{Kind, ProviderSettings, missing, scoped, settings::apply};
use crate::{
    audit::Edit,
    change::Change,
    ctx::Ctx,
    db::is_duplicate,
    entities::provider,
    error::{Error, ErrorCode, Result},
    notices,
    paging::{self, Key, Page, PageRequest},
    timestamp::Timestamp,
};

/// The service's provider of this kind.
///
/// # Errors
/// 20404; 20006 for users.
pub async fn get(ctx: &Ctx, kind: Kind) -> Result<provider::Model> {
    ctx.backend_only()?;
    super::find(ctx.reader(), ctx.scope(), kind)
        .await?
        .ok_or_else(|| missing(ctx.scope(), kind))
}

/// The service's providers, by kind: one of each at most.
///
/// # Errors
/// 20001 when the token is of another kind of list; 20006 for users.
pub async fn list(ctx: &Ctx, request: &PageRequest) -> Result<Page<provider::Model>> {
    ctx.backend_only()?;
    let mut rows = scoped(ctx.scope())
        .order_by_asc(provider::Column::Kind)
        .all(ctx.reader())
        .await?;
    if request.is_backward() {
        rows.reverse();
    }
    let key = |row: &provider::Model| Key::Place(row.kind.as_bytes().to_vec());
    if let Some(token) = &request.token {
        let place = token.place().ok_or_else(paging::unknown_token)?;
        rows.retain(|row| {
            let kind = row.kind.as_bytes();
            if request.is_backward() {
                kind < place
            } else {
                kind > place
            }
        });
    }
    rows.truncate(usize::try_from(request.size + 1).unwrap_or(usize::MAX));
    Ok(paging::cut(request, rows, key))
}

/// A provider that was set.
pub struct Saved {
    /// The provider.
    pub provider: provider::Model,
    /// Whether it is new.
    pub is_new: bool,
}

/// Sets what is given, of a new provider or of the one that is there.
///
/// # Errors
/// 20001 naming what is missing or wrong; 50054 when a URL or a host may not be called; 20006 for users.
pub async fn save(ctx: &Ctx, kind: Kind, given: ProviderSettings) -> Result<Saved> {
    ctx.backend_only()?;
    let mut change = Change::begin(ctx).await?;
    let before = scoped(ctx.scope())
        .filter(provider::Column::Kind.eq(kind.name()))
        .lock_exclusive()
        .one(&change.tx)
        .await?;
    let now = Timestamp::now();
    let mut row = before.clone().unwrap_or_else(|| provider::Model {
        service_id: ctx.scope(),
        kind: kind.name().to_owned(),
        account_id: ctx.account(),
        url: None,
        host: None,
        port: None,
        tls: None,
        login: None,
        secret: None,
        sender: String::new(),
        notice_delay: None,
        notice_subject: None,
        notice_body: None,
        date_created: now,
        date_updated: now,
    });
    apply(&ctx.core, &mut row, kind, given)?;
    row.date_updated = now;
    if before
        .as_ref()
        .is_some_and(|before| before.notice_delay.is_some())
        && row.notice_delay.is_none()
    {
        notices::end(&change.tx, ctx.scope()).await?;
    }
    let provider = match &before {
        None => {
            let provider = row
                .into_active_model()
                .insert(&change.tx)
                .await
                .map_err(|error| {
                    if is_duplicate(&error, &["providers"]) {
                        Error::with(
                            ErrorCode::Conflict,
                            format!("Another call has just set the provider {kind}: try again"),
                        )
                    } else {
                        error.into()
                    }
                })?;
            change.audit(Edit::Created(&provider))?;
            provider
        }
        Some(before) => {
            let provider = row.into_active_model().reset_all().update(&change.tx).await?;
            change.audit(Edit::Updated {
                before,
                after: &provider,
            })?;
            provider
        }
    };
    change.commit().await?;
    Ok(Saved {
        provider,
        is_new: before.is_none(),
    })
}

/// Takes a provider away. What is still to go through it fails.
///
/// # Errors
/// 20404; 20006 for users.
pub async fn delete(ctx: &Ctx, kind: Kind) -> Result<()> {
    ctx.backend_only()?;
    let mut change = Change::begin(ctx).await?;
    let row = scoped(ctx.scope())
        .filter(provider::Column::Kind.eq(kind.name()))
        .lock_exclusive()
        .one(&change.tx)
        .await?
        .ok_or_else(|| missing(ctx.scope(), kind))?;
    provider::Entity::delete_by_id((row.service_id, row.kind.clone()))
        .exec(&change.tx)
        .await?;
    notices::end(&change.tx, ctx.scope()).await?;
    change.audit(Edit::Deleted(&row))?;
    change.commit().await
}
