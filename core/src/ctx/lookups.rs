//! What every call is let in by: the account, the key, the service.

use std::sync::Arc;

use sea_orm::{ColumnTrait, DbBackend, EntityTrait, QueryFilter};

use super::leases::{Leases, outlived};
use crate::{
    api_keys,
    db::Db,
    entities::{account, api_key, service},
    error::Result,
    sid::{AccountSid, ApiKeySid, ServiceSid},
};

/// The look-ups of a process.
pub struct Lookups {
    db: Db,
    accounts: Leases<AccountSid, account::Model>,
    keys: Leases<ApiKeySid, KeyOfAccount>,
    services: Leases<(AccountSid, ServiceSid), service::Model>,
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
        }
    }

    /// To be called after the commit of whatever changes an account, a key or a service, before anybody is told that it
    /// is done.
    pub(crate) async fn changed(&self) {
        self.accounts.forget();
        self.keys.forget();
        self.services.forget();
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
}
