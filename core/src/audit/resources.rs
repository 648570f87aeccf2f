//! How the log shows each resource: its REST JSON, without addresses and secrets.

use serde_json::Value;

use super::{Audited, NOWHERE, bare};
use crate::{
    accounts, api_keys, attribute_indexes, channels,
    entities::{
        account, api_key, attribute_index, channel, member, message, role, service, user, webhook_delivery,
    },
    error::Result,
    members, messages, roles, services,
    sid::AccountSid,
    users,
    webhooks::ledger,
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
    "member" member::Model, |row, account| bare(&members::view(row, account, &NOWHERE));
    "message" message::Model, |row, account| bare(&messages::view(row, account, &NOWHERE));
    "user" user::Model, |row, account| bare(&users::view(row, account, &NOWHERE));
    "role" role::Model, |row, account| bare(&roles::view(row, account, &NOWHERE));
    "service" service::Model, |row, _| bare(&services::view_without_secret(row, &NOWHERE));
    "key" api_key::Model, |row, _| bare(&api_keys::view(row));
    "account" account::Model, |row, _| bare(&accounts::view(row, None));
    "attribute_index" attribute_index::Model,
        |row, account| bare(&attribute_indexes::view(row, account, &NOWHERE));
    "webhook_delivery" webhook_delivery::Model, |row, _| bare(&ledger::view(row, &NOWHERE));
}
