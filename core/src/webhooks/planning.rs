//! One event, its deliveries: to the service's `PostWebhookUrl`, to the channel's webhooks, to the service's endpoints.
//!
//! The first two are Twilio's, and hear of REST actions only when the request asks for it. Endpoints hear of every
//! durable event: whoever relies on them must not miss what somebody else did over REST. Nothing is asked of the
//! database where there are neither: the rows of the service and the channel, which the change holds anyway, say so.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use sea_orm::{ConnectionTrait, FromQueryResult};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    hooks::ChannelHooks,
    ledger, parameters,
    parameters::{STATE_UPDATED, post_events},
    post_event, store,
};
use crate::{
    channel_webhooks::{TRIGGER, WEBHOOK},
    ctx::{BaseUrl, Origin},
    entities::{channel_webhook, service, webhook_delivery},
    error::Result,
    events::{Event, EventKind, Resource, publisher::Due},
    sid::{DeliverySid, ServiceSid, WebhookEndpointSid},
    sql::Sql,
    webhook_endpoints::{DISABLED, JSON},
};

/// An event, with what is known of who wants to hear of it.
pub(crate) struct Told<'a> {
    /// Its service.
    pub(crate) service: &'a service::Model,
    /// Where the action came from.
    pub(crate) origin: &'a Origin,
    /// What happened.
    pub(crate) event: &'a Event,
}

/// Records the deliveries of these events, in their order; answers the targets that have something due by it.
///
/// # Errors
/// Whatever the database refuses.
pub(crate) async fn record(
    db: &impl ConnectionTrait,
    base: &BaseUrl,
    hooks: &ChannelHooks,
    told: &[Told<'_>],
) -> Result<Vec<Due>> {
    let endpoints = endpoints(db, told).await?;
    let mut due: BTreeMap<ServiceSid, BTreeSet<Uuid>> = BTreeMap::new();
    let mut deliveries = Vec::new();
    for told in told {
        let endpoints = endpoints.get(&told.service.id).map_or(&[][..], Vec::as_slice);
        let planned = post_events(told.event)
            .flat_map(|event_type| plan(base, told, event_type, hooks.of(told.event), endpoints));
        for delivery in planned {
            due.entry(delivery.service_id)
                .or_default()
                .insert(delivery.target_id);
            deliveries.push(delivery);
        }
    }
    store(db, deliveries).await?;
    Ok(due
        .into_iter()
        .map(|(service, targets)| Due {
            service,
            targets: targets.into_iter().collect(),
        })
        .collect())
}

/// What planning needs to know of an endpoint.
#[derive(FromQueryResult)]
struct Subscriber {
    service_id: ServiceSid,
    id: WebhookEndpointSid,
    url: String,
    events: Value,
    format: String,
}

/// The endpoints of the services that have some; those that are disabled hear of nothing.
async fn endpoints(
    db: &impl ConnectionTrait,
    told: &[Told<'_>],
) -> Result<HashMap<ServiceSid, Vec<Subscriber>>> {
    let services: BTreeSet<ServiceSid> = told
        .iter()
        .filter(|told| told.service.webhook_endpoints > 0 && post_event(told.event).is_some())
        .map(|told| told.service.id)
        .collect();
    let mut endpoints: HashMap<ServiceSid, Vec<Subscriber>> = HashMap::new();
    if services.is_empty() {
        return Ok(endpoints);
    }
    let mut sql =
        Sql::new("SELECT service_id, id, url, events, format FROM webhook_endpoints WHERE service_id IN (");
    sql.list(services.iter().map(Into::into))
        .push(") AND status <> ")
        .bind(DISABLED)
        .push(" ORDER BY service_id, id");
    for row in sql.all(db).await? {
        let row = Subscriber::from_query_result(&row, "")?;
        endpoints.entry(row.service_id).or_default().push(row);
    }
    Ok(endpoints)
}

/// The deliveries of one event under one of its names.
fn plan(
    base: &BaseUrl,
    told: &Told<'_>,
    event_type: &'static str,
    hooks: &[channel_webhook::Model],
    endpoints: &[Subscriber],
) -> Vec<webhook_delivery::Model> {
    let Told {
        service,
        origin,
        event,
    } = *told;
    let mut content = Content {
        base,
        told,
        event_type,
        form: None,
        json: None,
    };
    let mut planned = Vec::new();
    if origin.webhooks {
        if let Some(url) = &service.post_webhook_url
            && service
                .webhook_filters
                .as_ref()
                .is_none_or(|filters| names(filters, event_type))
        {
            let target = Target {
                kind: ledger::SERVICE,
                id: service.id.0,
                url,
                method: service.webhook_method.as_deref(),
                retry_count: service.post_webhook_retry_count,
            };
            let said = content.form();
            planned.push(content.delivery(&target, said));
        }
        for hook in hooks.iter().filter(|hook| wants(hook, event_type, event)) {
            let Some(url) = &hook.url else { continue };
            let target = Target {
                kind: ledger::CHANNEL,
                id: hook.id.0,
                url,
                method: Some(&hook.method),
                retry_count: hook.retry_count,
            };
            let said = content.form();
            planned.push(content.delivery(&target, said));
        }
    }
    for endpoint in endpoints
        .iter()
        .filter(|endpoint| names(&endpoint.events, event_type))
    {
        let target = Target {
            kind: ledger::ENDPOINT,
            id: endpoint.id.0,
            url: &endpoint.url,
            method: None,
            // Endpoints have a ladder of their own.
            retry_count: 0,
        };
        let said = if endpoint.format == JSON {
            content.json()
        } else {
            content.form()
        };
        planned.push(content.delivery(&target, said));
    }
    planned
}

/// Whether a JSON list has this name.
fn names(list: &Value, name: &str) -> bool {
    list.as_array()
        .is_some_and(|names| names.iter().any(|known| known.as_str() == Some(name)))
}

/// Whether a channel's webhook is to hear of the event. A Studio flow is not ours to start.
fn wants(hook: &channel_webhook::Model, event_type: &str, event: &Event) -> bool {
    match hook.kind.as_str() {
        WEBHOOK => hook
            .filters
            .as_ref()
            .is_some_and(|filters| names(filters, event_type)),
        TRIGGER => match &event.resource {
            Resource::Message(message) if MESSAGES.contains(&event_type) => hook
                .triggers
                .as_ref()
                .is_some_and(|keywords| has_keyword(message.body.as_deref().unwrap_or_default(), keywords)),
            _ => false,
        },
        _ => false,
    }
}

/// The arrivals of messages, which triggers look at.
const MESSAGES: [&str; 2] = ["onMessageSent", "onMediaMessageSent"];

/// Whether the text has one of the keywords somewhere in it, in upper or lower case.
fn has_keyword(text: &str, keywords: &Value) -> bool {
    let text = text.to_lowercase();
    keywords.as_array().is_some_and(|keywords| {
        keywords
            .iter()
            .filter_map(Value::as_str)
            .any(|keyword| text.contains(&keyword.to_lowercase()))
    })
}

/// Whom a delivery goes to.
struct Target<'a> {
    kind: &'static str,
    id: Uuid,
    url: &'a str,
    /// POST unless it is given.
    method: Option<&'a str>,
    retry_count: i32,
}

/// What the deliveries of one event say: made once, and only in the form that somebody wants.
struct Content<'a> {
    base: &'a BaseUrl,
    told: &'a Told<'a>,
    event_type: &'static str,
    form: Option<Value>,
    json: Option<Value>,
}

impl Content<'_> {
    /// Twilio's parameters.
    fn form(&mut self) -> Value {
        let Told { origin, event, .. } = *self.told;
        let event_type = self.event_type;
        self.form
            .get_or_insert_with(|| json!(parameters(event_type, origin, event)))
            .clone()
    }

    /// The envelope, as text: what is signed and sent is what was recorded.
    fn json(&mut self) -> Value {
        let (base, event) = (self.base, self.told.event);
        let kind = match self.event_type {
            STATE_UPDATED => EventKind::ChannelStateUpdated,
            _ => event.kind,
        };
        self.json
            .get_or_insert_with(|| Value::String(event.render(base, kind)))
            .clone()
    }

    fn delivery(&self, target: &Target<'_>, said: Value) -> webhook_delivery::Model {
        let event = self.told.event;
        webhook_delivery::Model {
            service_id: event.service,
            id: DeliverySid::generate(),
            account_id: event.account,
            event_id: event.id,
            event_type: self.event_type.to_owned(),
            channel_id: event.channel,
            seq: event.seq,
            target_kind: target.kind.to_owned(),
            target_id: target.id,
            url: target.url.to_owned(),
            method: target.method.unwrap_or("POST").to_owned(),
            parameters: said,
            status: ledger::PENDING.to_owned(),
            attempts: 0,
            attempts_before: 0,
            retry_count: target.retry_count,
            next_attempt_at: Some(event.at),
            response_status: None,
            response_start: None,
            last_error: None,
            date_created: event.at,
            date_updated: event.at,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_keyword_counts_anywhere_and_in_any_case() {
        let keywords = json!(["Help", "größer als"]);
        for text in ["help", "please HELP me", "unhelpful", "GRÖSSER ALS, größer Als"] {
            assert!(has_keyword(text, &keywords), "{text}");
        }
        for text in ["", "hel p", "größer  als"] {
            assert!(!has_keyword(text, &keywords), "{text}");
        }
        assert!(!has_keyword("help", &json!([])));
    }

    #[test]
    fn a_list_has_a_name_or_not() {
        let list = json!(["onMessageSent", "onUserAdded"]);
        assert!(names(&list, "onUserAdded"));
        assert!(!names(&list, "onMessageSend") && !names(&Value::Null, "onMessageSent"));
    }
}
