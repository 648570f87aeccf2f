//! The audit log: what backends changed, each entry in the change's own transaction. Users' actions are not in it:
//! their permissions are checked, and events tell of them.

mod list;
mod resources;

use std::{sync::LazyLock, time::Duration};

use sea_orm::ConnectionTrait;
use serde::Serialize;
use serde_json::Value;

pub use list::{
    AuditActor, AuditEventView, AuditFilter, Shelf, get, get_of_service, list, list_of_service, view,
};

use crate::{
    ctx::BaseUrl,
    entities::audit_event,
    error::{Error, Result},
    sid::{AccountSid, ApiKeySid, AuditEventSid, RequestSid, ServiceSid},
    sql::Sql,
    timestamp::Timestamp,
};

/// How many entries one statement stores: SQLite allows 32,766 values.
const PORTION: usize = 500;
/// How many old entries one statement forgets.
const FORGOTTEN_AT_ONCE: i64 = 1000;
/// What the log leaves out: addresses that say nothing there, and secrets.
const LEFT_OUT: [&str; 10] = [
    "url",
    "links",
    "uri",
    "subresource_uris",
    "webhook_secret",
    "auth_token",
    "secondary_auth_token",
    "secret",
    "address",
    "token",
];

/// The base of URLs in views that lose them again.
pub(crate) static NOWHERE: LazyLock<BaseUrl> = LazyLock::new(|| BaseUrl::new(""));

/// The backend that changes something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Actor {
    /// Its account.
    pub account: AccountSid,
    /// The API key, when it came with one.
    pub key: Option<ApiKeySid>,
    /// The request.
    pub request: Option<RequestSid>,
}

impl Actor {
    fn sid(&self) -> String {
        self.key
            .map_or_else(|| self.account.to_string(), |key| key.to_string())
    }
}

/// A resource that the log shows.
pub(crate) trait Audited {
    /// What actions on it begin with: `channel`.
    const KIND: &'static str;

    /// Its SID.
    fn sid(&self) -> String;

    /// Its REST JSON, without secrets; [`bare`] makes it from a view.
    fn shown(&self, account: AccountSid) -> Result<Value>;
}

/// What happened to a resource.
pub(crate) enum Edit<'a, R> {
    /// It was made.
    Created(&'a R),
    /// It was changed.
    Updated {
        /// As it was.
        before: &'a R,
        /// As it is.
        after: &'a R,
    },
    /// It was deleted.
    Deleted(&'a R),
}

// Not derived: what it refers to need not be so.
impl<R> Clone for Edit<'_, R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<R> Copy for Edit<'_, R> {}

/// A view without what the log leaves out.
pub(crate) fn bare(view: &impl Serialize) -> Result<Value> {
    let mut shown = serde_json::to_value(view).map_err(Error::internal)?;
    if let Value::Object(fields) = &mut shown {
        fields.retain(|name, _| !LEFT_OUT.contains(&name.as_str()));
    }
    Ok(shown)
}

/// The entry of a change by `actor` to a resource of `account`, and of `service` when it is a service's.
pub(crate) fn entry<R: Audited>(
    actor: Actor,
    account: AccountSid,
    service: Option<ServiceSid>,
    edit: Edit<'_, R>,
) -> Result<audit_event::Model> {
    let (verb, resource, before, after) = match edit {
        Edit::Created(row) => ("create", row, None, Some(row)),
        Edit::Updated { before, after } => ("update", after, Some(before), Some(after)),
        Edit::Deleted(row) => ("delete", row, Some(row), None),
    };
    let shown = |row: Option<&R>| {
        row.map(|row| row.shown(account).map(|shown| shown.to_string()))
            .transpose()
    };
    Ok(audit_event::Model {
        account_id: account,
        id: AuditEventSid::generate(),
        service_id: service,
        actor_sid: actor.sid(),
        action: format!("{}.{verb}", R::KIND),
        resource_sid: resource.sid(),
        before: shown(before)?,
        after: shown(after)?,
        request_id: actor.request,
        date_created: Timestamp::now(),
    })
}

/// Writes entries, inside the transaction of what they tell of.
pub(crate) async fn store(tx: &impl ConnectionTrait, entries: &[audit_event::Model]) -> Result<()> {
    for portion in entries.chunks(PORTION) {
        let mut sql = Sql::new(
            "INSERT INTO audit_events (account_id, id, service_id, actor_sid, action, resource_sid, before, after, \
             request_id, date_created) VALUES ",
        );
        sql.rows(portion.iter().map(|entry| {
            [
                entry.account_id.into(),
                entry.id.into(),
                entry.service_id.into(),
                entry.actor_sid.as_str().into(),
                entry.action.as_str().into(),
                entry.resource_sid.as_str().into(),
                entry.before.clone().into(),
                entry.after.clone().into(),
                entry.request_id.into(),
                entry.date_created.into(),
            ]
        }));
        sql.execute(tx).await?;
    }
    Ok(())
}

/// Forgets entries older than `kept`, a portion a statement; answers how many.
///
/// # Errors
/// Whatever the database refuses.
pub async fn forget(db: &impl ConnectionTrait, kept: Duration) -> Result<u64> {
    let oldest = Timestamp::now().minus(kept);
    let mut forgotten = 0;
    loop {
        let mut sql = Sql::new(
            "DELETE FROM audit_events WHERE (account_id, id) IN \
             (SELECT account_id, id FROM audit_events WHERE date_created < ",
        );
        sql.bind(oldest)
            .push(" ORDER BY date_created LIMIT ")
            .bind(FORGOTTEN_AT_ONCE)
            .push(")");
        let gone = sql.execute(db).await?.rows_affected();
        forgotten += gone;
        if gone < FORGOTTEN_AT_ONCE.unsigned_abs() {
            return Ok(forgotten);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_bare_view_has_no_addresses_and_no_secrets() {
        let view = json!({
            "sid": "IS1", "friendly_name": null, "url": "u", "links": {"a": "b"}, "webhook_secret": "whsec_x",
            "auth_token": "t", "secret": "s", "uri": "u", "media": {"url": "kept"},
        });
        assert_eq!(
            bare(&view).unwrap(),
            json!({"sid": "IS1", "friendly_name": null, "media": {"url": "kept"}})
        );
    }

    #[test]
    fn an_entry_tells_who_did_what() {
        struct Thing;
        impl Audited for Thing {
            const KIND: &'static str = "thing";
            fn sid(&self) -> String {
                "TH1".to_owned()
            }
            fn shown(&self, _: AccountSid) -> Result<Value> {
                Ok(json!({"a": 1}))
            }
        }
        let key = ApiKeySid::generate();
        let actor = Actor {
            account: AccountSid::generate(),
            key: Some(key),
            request: Some(RequestSid::generate()),
        };
        let made = entry(actor, actor.account, None, Edit::Created(&Thing)).unwrap();
        assert_eq!(
            (made.action.as_str(), made.actor_sid),
            ("thing.create", key.to_string())
        );
        assert_eq!((made.before, made.after.as_deref()), (None, Some("{\"a\":1}")));
        let gone = entry(actor, actor.account, None, Edit::Deleted(&Thing)).unwrap();
        assert_eq!((gone.before.as_deref(), gone.after), (Some("{\"a\":1}"), None));
    }
}
