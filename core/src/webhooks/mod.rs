//! Webhooks: which event is told to whom, in which words. Deliveries are recorded in the change's own transaction;
//! the workers make the calls.

pub mod deliveries;
pub mod ledger;
mod parameters;
pub(crate) mod target;

use std::collections::HashMap;

use sea_orm::{ConnectionTrait, EntityTrait, FromQueryResult, IntoActiveModel};

pub use parameters::{POST_EVENTS, PRE_EVENTS, parameters, post_event};

use crate::{
    ctx::Origin,
    entities::{service, webhook_delivery},
    error::{Error, Result},
    events::Event,
    sid::{AccountSid, DeliverySid, ServiceSid},
    sql::Sql,
};

/// How many rows one statement inserts.
const ROWS: usize = 100;

/// The delivery that the service's settings ask for, if they do.
#[must_use]
pub fn delivery(service: &service::Model, origin: &Origin, event: &Event) -> Option<webhook_delivery::Model> {
    let url = service.post_webhook_url.as_ref()?;
    let event_type = post_event(event.kind)?;
    if let Some(filters) = service
        .webhook_filters
        .as_ref()
        .and_then(|filters| filters.as_array())
        && !filters.iter().any(|name| name.as_str() == Some(event_type))
    {
        return None;
    }
    Some(webhook_delivery::Model {
        service_id: event.service,
        id: DeliverySid::generate(),
        account_id: event.account,
        event_id: event.id,
        event_type: event_type.to_owned(),
        channel_id: event.channel,
        seq: event.seq,
        target_kind: ledger::SERVICE.to_owned(),
        target_id: event.service.0,
        url: url.clone(),
        method: service
            .webhook_method
            .clone()
            .unwrap_or_else(|| "POST".to_owned()),
        parameters: serde_json::json!(parameters(event_type, origin, event)),
        status: ledger::PENDING.to_owned(),
        attempts: 0,
        attempts_before: 0,
        retry_count: service.post_webhook_retry_count,
        next_attempt_at: Some(event.at),
        leased_until: None,
        response_status: None,
        response_start: None,
        last_error: None,
        date_created: event.at,
        date_updated: event.at,
    })
}

/// Records the deliveries of these events; answers their SIDs.
///
/// # Errors
/// Whatever the database refuses.
pub async fn record(
    db: &impl ConnectionTrait,
    service: &service::Model,
    origin: &Origin,
    events: &[Event],
) -> Result<Vec<DeliverySid>> {
    let deliveries: Vec<_> = events
        .iter()
        .filter_map(|event| delivery(service, origin, event))
        .collect();
    let ids = deliveries.iter().map(|delivery| delivery.id).collect();
    store(db, deliveries).await?;
    Ok(ids)
}

/// Of these services those that want webhooks.
///
/// # Errors
/// Whatever the database refuses.
pub(crate) async fn hooked(
    db: &impl ConnectionTrait,
    services: impl IntoIterator<Item = (AccountSid, ServiceSid)>,
) -> Result<HashMap<ServiceSid, service::Model>> {
    let mut wanted: Vec<_> = services.into_iter().collect();
    if wanted.is_empty() {
        return Ok(HashMap::new());
    }
    wanted.sort_unstable();
    wanted.dedup();
    let mut sql =
        Sql::new("SELECT * FROM services WHERE post_webhook_url IS NOT NULL AND (account_id, id) IN ");
    sql.values(
        wanted
            .into_iter()
            .map(|(account, service)| [account.into(), service.into()]),
    );
    sql.all(db)
        .await?
        .iter()
        .map(|row| service::Model::from_query_result(row, "").map(|service| (service.id, service)))
        .collect::<Result<_, _>>()
        .map_err(Error::from)
}

/// Inserts deliveries.
///
/// # Errors
/// Whatever the database refuses.
pub async fn store(db: &impl ConnectionTrait, deliveries: Vec<webhook_delivery::Model>) -> Result<()> {
    for portion in deliveries.chunks(ROWS) {
        let rows = portion.iter().map(|row| row.clone().into_active_model());
        webhook_delivery::Entity::insert_many(rows)
            .exec_without_returning(db)
            .await?;
    }
    Ok(())
}
