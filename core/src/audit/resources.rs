//! How the log shows each resource: its REST JSON, without addresses and secrets.

use serde_json::Value;

use super::{Audited, NOWHERE, bare};
use crate::{
    accounts, api_keys, attribute_indexes, audiences, bindings, campaigns, channel_webhooks, channels,
    credentials,
    entities::{
        account, api_key, attribute_index, audience, binding, campaign, channel, channel_webhook, credential,
        invite, member, message, operator, operator_pool, provider, role, service, user, webhook_delivery,
        webhook_endpoint,
    },
    error::Result,
    invites, members, messages, operator_pools, providers, roles, services,
    sid::AccountSid,
    users::Reach,
    webhook_endpoints,
    webhooks::deliveries,
};

macro_rules! audited {
    ($($kind:literal $row:ty, $view:expr;)*) => {$(
        impl Audited for $row {
            const KIND: &'static str = $kind;

            fn sid(&self) -> String {
                self.id.to_string()
            }

            fn shown(&self, account: AccountSid) -> Result<Value> {
                let view: fn(&Self, AccountSid) -> Result<Value> = $view;
                view(self, account)
            }
        }
    )*};
}

audited! {
    "channel" channel::Model, |row, account| bare(&channels::view(row, account, &NOWHERE));
    "member" member::Model, |row, account| {
        let mut shown = bare(&members::view(row, account, &NOWHERE))?;
        // It is part of the user's view of the channel, not of the member's, and can be changed there.
        shown["notification_level"] = row.notification_level.as_str().into();
        Ok(shown)
    };
    "invite" invite::Model, |row, account| bare(&invites::view(row, account, &NOWHERE));
    "binding" binding::Model, |row, account| bare(&bindings::view(row, account, &NOWHERE));
    "channel_webhook" channel_webhook::Model,
        |row, account| bare(&channel_webhooks::view(row, account, &NOWHERE));
    "credential" credential::Model, |row, _| bare(&credentials::view(row, &NOWHERE));
    "webhook_endpoint" webhook_endpoint::Model, |row, _| {
        let mut shown = bare(&webhook_endpoints::view_without_secrets(row, &NOWHERE))?;
        // They are made of what is sealed, and nothing is opened for the log.
        if let Value::Object(fields) = &mut shown {
            fields.retain(|name, _| name != "header_names" && name != "public_key");
        }
        Ok(shown)
    };
    "message" message::Model, |row, account| bare(&messages::view(row, account, &NOWHERE));
    "user" user::Model, |row, account| bare(&Reach::default().view(row, account, &NOWHERE));
    "role" role::Model, |row, account| bare(&roles::view(row, account, &NOWHERE));
    "service" service::Model, |row, _| bare(&services::view_without_secret(row, &NOWHERE));
    "key" api_key::Model, |row, _| bare(&api_keys::view(row));
    "account" account::Model, |row, _| bare(&accounts::view(row, None));
    "operator_pool" operator_pool::Model, |row, account| bare(&operator_pools::view(row, account, &NOWHERE));
    "attribute_index" attribute_index::Model,
        |row, account| bare(&attribute_indexes::view(row, account, &NOWHERE));
    "audience" audience::Model, |row, _| bare(&audiences::view(row, &NOWHERE));
    "campaign" campaign::Model, |row, _| {
        let mut shown = bare(&campaigns::view(row, None, &NOWHERE))?;
        // They are the engine's doing, and stand elsewhere.
        if let Value::Object(fields) = &mut shown {
            fields.retain(|name, _| name != "counts" && name != "rates");
        }
        Ok(shown)
    };
    "webhook_delivery" webhook_delivery::Model, |row, _| bare(&deliveries::view(row, &NOWHERE));
}

/// It has no SID of its own: the log finds it under its pool's.
impl Audited for operator::Model {
    const KIND: &'static str = "operator";

    fn sid(&self) -> String {
        self.pool_id.to_string()
    }

    fn shown(&self, account: AccountSid) -> Result<Value> {
        bare(&operator_pools::operator_view(self, account))
    }
}

impl Audited for provider::Model {
    const KIND: &'static str = "provider";

    /// It has none of its own: there is one of a kind.
    fn sid(&self) -> String {
        self.service_id.to_string()
    }

    fn shown(&self, _: AccountSid) -> Result<Value> {
        bare(&providers::view(self, &NOWHERE))
    }
}
