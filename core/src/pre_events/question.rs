//! What a worker is asked about a pre-event, and what it replies. Both cross the broker as JSON.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    sid::{AccountSid, ChannelSid, DeliverySid, EventSid, ServiceSid, WebhookEndpointSid},
    timestamp::Timestamp,
};

/// Calls one target about one pre-event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// The account whose token signs the call.
    pub account: AccountSid,
    /// The service.
    pub service: ServiceSid,
    /// The endpoint; `None` for the service's `PreWebhookUrl`.
    pub endpoint: Option<WebhookEndpointSid>,
    /// The call's place in the ledger, and its `webhook-id`.
    pub delivery: DeliverySid,
    /// What the ledger calls the event.
    pub event: EventSid,
    /// The event's name: `onMessageSend`.
    pub name: String,
    /// Who acts: an identity, or `system`.
    pub actor: String,
    /// The channel, if there is one already.
    pub channel: Option<ChannelSid>,
    /// Names and values, without `RetryCount`.
    pub parameters: Vec<(String, String)>,
    /// When it was asked.
    pub at: Timestamp,
    /// How long the call may take, further attempts included.
    pub budget_ms: u64,
}

/// What the target made of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Answer {
    /// It may happen as it is.
    Allowed,
    /// It may happen with these changes.
    Amended {
        /// As they came; only what can be changed counts.
        fields: Map<String, Value>,
    },
    /// It must not happen.
    Rejected {
        /// Why, for the user.
        message: Option<String>,
    },
    /// There was no answer that can be understood.
    Silent {
        /// For the log.
        why: String,
    },
}
