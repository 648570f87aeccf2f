//! What every call is let in by: the account, the key, the service.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use sea_orm::{ColumnTrait, DbBackend, EntityTrait, QueryFilter};

use super::leases::{Leases, outlived};
use crate::{
    api_keys,
    coalesce::Coalesce,
    db::Db,
    entities::{account, api_key, service},
    error::Result,
    pre_events::{self, Hooks},
    sid::{AccountSid, ApiKeySid, ServiceSid},
};

/// How many services' hooks are remembered.
const HOOKS: usize = 4096;
/// How long they are, whatever happens.
const HOOKS_LIFE: Duration = Duration::from_secs(5);

/// The look-ups of a process.
pub struct Lookups {
    db: Db,
    accounts: Leases<AccountSid, account::Model>,
    keys: Leases<ApiKeySid, KeyOfAccount>,
    services: Leases<(AccountSid, ServiceSid), service::Model>,
    /// The number of the latest change of anybody's webhooks.
    hook_changes: Leases<(), i64>,
    hooks: Mutex<HashMap<ServiceSid, KnownHooks>>,
    hooks_asked: Coalesce<(AccountSid, ServiceSid), Option<Arc<Hooks>>>,
}

/// A service and whom it wants asked, as of a change.
struct KnownHooks {
    change: i64,
    at: Instant,
    hooks: Option<Arc<Hooks>>,
}

/// An API key, with whether its account may call.
#[derive(Debug)]
pub(crate) struct KeyOfAccount {
    pub(crate) key: api_key::Model,
    pub(crate) active: bool,
}

impl Lookups {
    pub(super) fn new(db: &Db) -> Self {
        Self {
            db: db.clone(),
            accounts: Leases::default(),
            keys: Leases::default(),
            services: Leases::default(),
            hook_changes: Leases::default(),
            hooks: Mutex::default(),
            hooks_asked: Coalesce::default(),
        }
    }

    /// To be called after the commit of whatever changes an account, a key or a service, before anybody is told that it
    /// is done.
    pub(crate) async fn changed(&self) {
        self.accounts.forget();
        self.keys.forget();
        self.services.forget();
        self.hook_changes.forget();
        // Other processes may share the database.
        if self.db.backend() == DbBackend::Postgres {
            outlived().await;
        }
    }

    /// The account, if there is one.
    ///
    /// # Errors
    /// Whatever the database refuses.
    pub(crate) async fn account(&self, id: AccountSid) -> Result<Option<Arc<account::Model>>> {
        let ask = || async { Ok(account::Entity::find_by_id(id).one(self.db.reader()).await?) };
        self.accounts.ask(id, ask).await
    }

    /// The key, if there is one.
    ///
    /// # Errors
    /// Whatever the database refuses.
    pub(crate) async fn key(&self, id: ApiKeySid) -> Result<Option<Arc<KeyOfAccount>>> {
        let ask = || async {
            let found = api_keys::with_account(self.db.reader(), id).await?;
            Ok(found.map(|(key, active)| KeyOfAccount { key, active }))
        };
        self.keys.ask(id, ask).await
    }

    /// The account's service of this SID, if there is one.
    ///
    /// # Errors
    /// Whatever the database refuses.
    pub(crate) async fn service(
        &self,
        account: AccountSid,
        id: ServiceSid,
    ) -> Result<Option<Arc<service::Model>>> {
        let ask = || async {
            Ok(service::Entity::find()
                .filter(service::Column::AccountId.eq(account))
                .filter(service::Column::Id.eq(id))
                .one(self.db.reader())
                .await?)
        };
        self.services.ask((account, id), ask).await
    }

    /// The service and whom it wants asked before something happens; `None` when there is no such service. Every send
    /// asks for it, so it is remembered until any service changes: one small row for the whole process is looked at, for a
    /// lease.
    ///
    /// # Errors
    /// Whatever the database refuses.
    pub async fn hooks(&self, account: AccountSid, service: ServiceSid) -> Result<Option<Arc<Hooks>>> {
        let ask = || async { Ok(Some(pre_events::changes(self.db.reader()).await?)) };
        let change = self.hook_changes.ask((), ask).await?.map_or(0, |change| *change);
        if let Some(known) = self.hooks.lock().get(&service)
            && known.change == change
            && known.at.elapsed() < HOOKS_LIFE
        {
            return Ok(known.hooks.clone());
        }
        // What is read from here on is at least as new as the change.
        let look_up = || async {
            let hooks = Hooks::read(self.db.reader(), account, service)
                .await?
                .map(Arc::new);
            let mut all = self.hooks.lock();
            // The next ones are read anew, a row or two each.
            if all.len() >= HOOKS {
                all.clear();
            }
            let known = KnownHooks {
                change,
                at: Instant::now(),
                hooks: hooks.clone(),
            };
            all.insert(service, known);
            Ok(hooks)
        };
        self.hooks_asked.ask((account, service), look_up).await
    }
}
