//! Reading the audit log, newest first: of one service, or of a whole account.

use std::time::Duration;

use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, Select};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::{
    ctx::{AccountCtx, BaseUrl, Ctx},
    entities::audit_event::{self, Column},
    error::{Error, Result},
    paging::{self, Key, Order, Page, PageRequest},
    sid::{AccountSid, ApiKeySid, AuditEventSid, RequestSid, ServiceSid, first_at},
    timestamp::Timestamp,
};

/// How far an entry's identifier and its date may be apart.
const SLACK: Duration = Duration::from_secs(60);

fn scoped(account: AccountSid) -> Select<audit_event::Entity> {
    audit_event::Entity::find().filter(Column::AccountId.eq(account))
}

fn of_service(ctx: &Ctx) -> Select<audit_event::Entity> {
    scoped(ctx.account()).filter(Column::ServiceId.eq(ctx.scope()))
}

/// Which entries; `None` lets all pass.
#[derive(Debug, Clone, Default)]
pub struct AuditFilter {
    /// `channel.create` and so on.
    pub action: Option<String>,
    /// What was changed.
    pub resource_sid: Option<String>,
    /// The account or the API key that changed it.
    pub actor_sid: Option<String>,
    /// Not before this.
    pub start: Option<Timestamp>,
    /// Not after this; a whole second is meant to its end.
    pub end: Option<Timestamp>,
}

impl AuditFilter {
    fn apply(&self, mut select: Select<audit_event::Entity>) -> Select<audit_event::Entity> {
        for (column, wanted) in [
            (Column::Action, &self.action),
            (Column::ResourceSid, &self.resource_sid),
            (Column::ActorSid, &self.actor_sid),
        ] {
            if let Some(wanted) = wanted {
                select = select.filter(column.eq(wanted.as_str()));
            }
        }
        // The list is in the order of its identifiers: they bound what is read, the dates say what counts.
        if let Some(start) = self.start {
            select = select
                .filter(Column::Id.gte(first_at(start.minus(SLACK))))
                .filter(Column::DateCreated.gte(start));
        }
        if let Some(end) = self.end {
            // Dates are shown in whole seconds, so what is shown as the end belongs to it.
            let end = if end.0 % 1_000_000 == 0 {
                end.plus(Duration::from_micros(999_999))
            } else {
                end
            };
            select = select
                .filter(Column::Id.lt(first_at(end.plus(SLACK))))
                .filter(Column::DateCreated.lte(end));
        }
        select
    }
}

async fn page(
    db: &impl ConnectionTrait,
    select: Select<audit_event::Entity>,
    filter: &AuditFilter,
    request: &PageRequest,
) -> Result<Page<audit_event::Model>> {
    let key = |row: &audit_event::Model| Key::Uuid(row.id.0);
    paging::fetch(
        db,
        filter.apply(select),
        Column::Id,
        Order::Descending,
        request,
        key,
    )
    .await
}

/// The entries of one service.
///
/// # Errors
/// 20006 for users.
pub async fn list_of_service(
    ctx: &Ctx,
    filter: &AuditFilter,
    request: &PageRequest,
) -> Result<Page<audit_event::Model>> {
    ctx.backend_only()?;
    page(ctx.reader(), of_service(ctx), filter, request).await
}

/// The entries of the account, those of its services included.
///
/// # Errors
/// Whatever the database refuses.
pub async fn list(
    ctx: &AccountCtx,
    filter: &AuditFilter,
    request: &PageRequest,
) -> Result<Page<audit_event::Model>> {
    page(ctx.reader(), scoped(ctx.account), filter, request).await
}

/// An entry of one service.
///
/// # Errors
/// 20404 when there is none; 20006 for users.
pub async fn get_of_service(ctx: &Ctx, id: AuditEventSid) -> Result<audit_event::Model> {
    ctx.backend_only()?;
    of_service(ctx)
        .filter(Column::Id.eq(id))
        .one(ctx.reader())
        .await?
        .ok_or_else(|| ctx.not_found(format_args!("AuditEvents/{id}")))
}

/// An entry of the account.
///
/// # Errors
/// 20404 when there is none.
pub async fn get(ctx: &AccountCtx, id: AuditEventSid) -> Result<audit_event::Model> {
    scoped(ctx.account)
        .filter(Column::Id.eq(id))
        .one(ctx.reader())
        .await?
        .ok_or_else(|| Error::not_found(format_args!("/AuditEvents/{id}")))
}

/// Who made a change.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct AuditActor {
    /// `account` or `api_key`.
    #[serde(rename = "type")]
    kind: &'static str,
    sid: String,
}

/// A change that a backend made.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditEvent)]
pub struct AuditEventView {
    #[schema(value_type = String)]
    sid: AuditEventSid,
    /// The account whose resource it is.
    #[schema(value_type = String)]
    account_sid: AccountSid,
    /// Null for what belongs to no service.
    #[schema(value_type = Option<String>)]
    service_sid: Option<ServiceSid>,
    actor: AuditActor,
    /// The resource and what was done to it.
    #[schema(example = "channel.create")]
    action: String,
    resource_sid: String,
    /// The resource before, without its addresses and secrets; null when it was made.
    #[schema(value_type = Option<Object>)]
    before: Option<Box<RawValue>>,
    /// The resource after, without its addresses and secrets; null when it was deleted.
    #[schema(value_type = Option<Object>)]
    after: Option<Box<RawValue>>,
    /// The `Twilio-Request-Id` of the request.
    #[schema(value_type = Option<String>)]
    request_id: Option<RequestSid>,
    date_created: String,
    url: String,
}

/// Where an entry was found, and where its URL leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shelf {
    /// In the log of the account.
    Account,
    /// In the log of this service.
    Service(ServiceSid),
}

/// The entry in its REST JSON.
///
/// # Errors
/// When the row is damaged.
pub fn view(row: &audit_event::Model, shelf: Shelf, base: &BaseUrl) -> Result<AuditEventView> {
    let raw = |text: &Option<String>| {
        text.clone()
            .map(RawValue::from_string)
            .transpose()
            .map_err(Error::internal)
    };
    let place = match shelf {
        Shelf::Account => String::new(),
        Shelf::Service(service) => format!("/Services/{service}"),
    };
    Ok(AuditEventView {
        sid: row.id,
        account_sid: row.account_id,
        service_sid: row.service_id,
        actor: AuditActor {
            kind: if ApiKeySid::matches(&row.actor_sid) {
                "api_key"
            } else {
                "account"
            },
            sid: row.actor_sid.clone(),
        },
        action: row.action.clone(),
        resource_sid: row.resource_sid.clone(),
        before: raw(&row.before)?,
        after: raw(&row.after)?,
        request_id: row.request_id,
        date_created: row.date_created.to_seconds_text(),
        url: format!("{base}/v2{place}/AuditEvents/{}", row.id),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_lies_between_the_bounds_of_its_time() {
        let before = AuditEventSid(first_at(Timestamp::now().minus(SLACK)));
        let made = AuditEventSid::generate();
        assert!(before < made && made < AuditEventSid(first_at(Timestamp::now().plus(SLACK))));
    }
}
