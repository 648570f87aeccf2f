//! Whom a service wants asked before something happens.

use std::sync::Arc;

use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder};
use uuid::Uuid;

use crate::{
    entities::{service, webhook_endpoint},
    error::Result,
    sid::{AccountSid, ServiceSid, WebhookEndpointSid},
    sql::Sql,
    webhook_endpoints,
    webhooks::{PRE_EVENTS, ledger},
};

/// The service and those of its endpoints that are asked, as they were a moment ago.
#[derive(Debug)]
pub struct Hooks {
    /// The service.
    pub service: Arc<service::Model>,
    /// Its enabled endpoints that subscribe to pre-events, oldest first.
    pub endpoints: Vec<webhook_endpoint::Model>,
}

impl Hooks {
    /// Reads them; `None` when there is no such service.
    ///
    /// # Errors
    /// Whatever the database refuses.
    pub(crate) async fn read(
        db: &impl ConnectionTrait,
        account: AccountSid,
        id: ServiceSid,
    ) -> Result<Option<Self>> {
        let service = service::Entity::find()
            .filter(service::Column::AccountId.eq(account))
            .filter(service::Column::Id.eq(id))
            .one(db)
            .await?;
        let Some(service) = service else { return Ok(None) };
        let mut endpoints = Vec::new();
        if service.webhook_endpoints > 0 {
            endpoints = webhook_endpoint::Entity::find()
                .filter(webhook_endpoint::Column::ServiceId.eq(id))
                .filter(webhook_endpoint::Column::Status.eq(webhook_endpoints::ENABLED))
                .order_by_asc(webhook_endpoint::Column::Id)
                .all(db)
                .await?;
            endpoints.retain(|endpoint| {
                PRE_EVENTS
                    .iter()
                    .any(|event| webhook_endpoints::subscribes(endpoint, event))
            });
        }
        Ok(Some(Self {
            service: Arc::new(service),
            endpoints,
        }))
    }

    /// Whom to ask about the event, in order: the service's `PreWebhookUrl` before actions of users, then its endpoints,
    /// before actions of backends those that want to be asked.
    pub(super) fn targets(&self, event: &str, by_user: bool) -> Vec<Target> {
        let mut targets = Vec::new();
        let is_wanted = || match self.service.webhook_filters.as_ref().and_then(|it| it.as_array()) {
            None => true,
            Some(filters) => filters.iter().any(|name| name.as_str() == Some(event)),
        };
        if by_user && self.service.pre_webhook_url.is_some() && is_wanted() {
            targets.push(Target::of_service());
        }
        targets.extend(
            self.endpoints
                .iter()
                .filter(|endpoint| by_user || endpoint.pre_events_on_rest)
                .filter(|endpoint| webhook_endpoints::subscribes(endpoint, event))
                .map(Target::of_endpoint),
        );
        targets
    }

    /// The endpoint of this SID.
    #[must_use]
    pub fn endpoint(&self, id: WebhookEndpointSid) -> Option<&webhook_endpoint::Model> {
        self.endpoints.iter().find(|endpoint| endpoint.id == id)
    }
}

/// One who is asked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Target {
    /// The endpoint; `None` for the service's `PreWebhookUrl`.
    pub(super) endpoint: Option<WebhookEndpointSid>,
    /// Milliseconds that it has.
    pub(super) budget_ms: u64,
    /// Whether what it does not answer is refused.
    pub(super) closed: bool,
    /// Whether it is called and not obeyed.
    pub(super) shadow: bool,
}

impl Target {
    fn of_service() -> Self {
        Self {
            endpoint: None,
            budget_ms: super::BUDGET_MS,
            closed: false,
            shadow: false,
        }
    }

    fn of_endpoint(endpoint: &webhook_endpoint::Model) -> Self {
        Self {
            endpoint: Some(endpoint.id),
            budget_ms: u64::try_from(endpoint.timeout_ms).unwrap_or(super::BUDGET_MS),
            closed: endpoint.failure_policy == webhook_endpoints::CLOSED,
            shadow: endpoint.shadow,
        }
    }
}

/// The target as the ledger names it.
pub(super) fn in_the_ledger(
    service: ServiceSid,
    endpoint: Option<WebhookEndpointSid>,
) -> (&'static str, Uuid) {
    match endpoint {
        Some(endpoint) => (ledger::ENDPOINT, endpoint.0),
        None => (ledger::SERVICE, service.0),
    }
}

/// The number that moves on with every change of webhooks: what was remembered before is forgotten then.
///
/// # Errors
/// Whatever the database refuses.
pub(crate) async fn changes(db: &impl ConnectionTrait) -> Result<i64> {
    let rows = Sql::new("SELECT number FROM hook_changes WHERE id = 1")
        .all(db)
        .await?;
    Ok(rows
        .first()
        .map(|row| row.try_get("", "number"))
        .transpose()?
        .unwrap_or_default())
}

/// To be called in every transaction that changes whom a service wants asked, or what signs the calls, as its last
/// statement: all such changes wait for each other here.
///
/// # Errors
/// Whatever the database refuses.
pub(crate) async fn changed(db: &impl ConnectionTrait) -> Result<()> {
    Sql::new("UPDATE hook_changes SET number = number + 1 WHERE id = 1")
        .execute(db)
        .await?;
    Ok(())
}
