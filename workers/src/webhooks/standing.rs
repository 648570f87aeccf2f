//! How it stands with a target: whether it may be called, and by which rules.

use std::time::{Duration, Instant};

use hubbub_core::{
    Core, Result, Timestamp, accounts,
    entities::webhook_delivery::Model as Delivery,
    services,
    sid::{ServiceSid, WebhookEndpointSid},
    webhook_endpoints,
    webhooks::ledger::ENDPOINT,
};
use parking_lot::Mutex;

use super::endpoints::Failures;
use crate::calls::Signer;

/// How long what was read of a target is believed.
pub(super) const BELIEVED: Duration = Duration::from_secs(1);
/// By which rules a target is called.
pub(super) struct Settings {
    pub(super) signer: Signer,
    pub(super) ordered: bool,
    /// The endpoint, if it is one.
    pub(super) endpoint: Option<(ServiceSid, WebhookEndpointSid)>,
    pub(super) failures: Mutex<Failures>,
    pub(super) read_at: Instant,
    changed: Changed,
}

impl Settings {
    /// Whether they are what the target of this delivery has now. Who changes a secret or an address may rely on it
    /// with the next event.
    pub(super) async fn are_current(&self, core: &Core, delivery: &Delivery) -> Result<bool> {
        Ok(Changed::of(core, delivery).await? == Some(self.changed))
    }
}

/// When what signs and governs the calls of a target last changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Changed {
    /// The account, with its auth token.
    account: Timestamp,
    /// The service or the endpoint, with its secrets.
    target: Timestamp,
}

impl Changed {
    /// `None` when the target of this delivery is gone.
    async fn of(core: &Core, delivery: &Delivery) -> Result<Option<Self>> {
        let db = core.db.reader();
        let Some(account) = accounts::changed_at(db, delivery.account_id).await? else {
            return Ok(None);
        };
        let target = if delivery.target_kind == ENDPOINT {
            let id = WebhookEndpointSid(delivery.target_id);
            webhook_endpoints::changed_at(db, delivery.service_id, id).await?
        } else {
            services::changed_at(db, delivery.account_id, delivery.service_id).await?
        };
        Ok(target.map(|target| Self { account, target }))
    }
}

/// How it stands with a target.
pub(super) enum Standing {
    /// It is called.
    Called(Box<Settings>),
    /// It waits.
    Waits,
    /// It is not called any more, and nothing waits for it.
    Disabled(String),
    /// There is no such target any more.
    Gone,
}

impl Standing {
    /// Reads how it stands with the target of this delivery.
    pub(super) async fn of(core: &Core, delivery: &Delivery) -> Result<Self> {
        let db = core.db.reader();
        let read_at = Instant::now();
        // Before all else of it: what changes meanwhile is then read again.
        let Some(changed) = Changed::of(core, delivery).await? else {
            return Ok(Self::Gone);
        };
        let Some(account) = accounts::find(db, delivery.account_id).await? else {
            return Ok(Self::Gone);
        };
        if account.status != accounts::ACTIVE {
            return Ok(Self::Waits);
        }
        let mut ordered = false;
        let mut endpoint = None;
        let mut failing_since = None;
        if delivery.target_kind == ENDPOINT {
            let id = WebhookEndpointSid(delivery.target_id);
            let Some(row) = webhook_endpoints::find(db, delivery.service_id, id).await? else {
                return Ok(Self::Gone);
            };
            match row.status.as_str() {
                webhook_endpoints::ENABLED => {}
                webhook_endpoints::DISABLED => {
                    let why = row.disabled_reason.unwrap_or_default();
                    return Ok(Self::Disabled(format!("the endpoint is disabled: {why}")));
                }
                _ => return Ok(Self::Waits),
            }
            ordered = row.ordered;
            failing_since = row.failing_since;
            endpoint = Some((delivery.service_id, id));
        }
        Ok(Signer::of(core, delivery).await?.map_or(Self::Gone, |signer| {
            Self::Called(Box::new(Settings {
                signer,
                ordered,
                endpoint,
                failures: Failures::since(failing_since),
                read_at,
                changed,
            }))
        }))
    }
}
