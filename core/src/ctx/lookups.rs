//! What every call is let in by: the account, the key, the service. Looked up anew for every call, yet together for
//! calls that come at the same time.

use std::sync::Arc;

use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};

use crate::{
    api_keys,
    coalesce::Coalesce,
    db::Db,
    entities::{account, api_key, service},
    error::Result,
    sid::{AccountSid, ApiKeySid, ServiceSid},
};

/// The look-ups of a process.
pub struct Lookups {
    db: Db,
    accounts: Coalesce<AccountSid, Option<Arc<account::Model>>>,
    keys: Coalesce<ApiKeySid, Option<Arc<KeyOfAccount>>>,
    services: Coalesce<(AccountSid, ServiceSid), Option<Arc<service::Model>>>,
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
            accounts: Coalesce::default(),
            keys: Coalesce::default(),
            services: Coalesce::default(),
        }
    }

    /// The account, if there is one.
    ///
    /// # Errors
    /// Whatever the database refuses.
    pub(crate) async fn account(&self, id: AccountSid) -> Result<Option<Arc<account::Model>>> {
        let ask = || async {
            let row = account::Entity::find_by_id(id).one(self.db.reader()).await?;
            Ok(row.map(Arc::new))
        };
        self.accounts.ask(id, ask).await
    }

    /// The key, if there is one.
    ///
    /// # Errors
    /// Whatever the database refuses.
    pub(crate) async fn key(&self, id: ApiKeySid) -> Result<Option<Arc<KeyOfAccount>>> {
        let ask = || async {
            let found = api_keys::with_account(self.db.reader(), id).await?;
            Ok(found.map(|(key, active)| Arc::new(KeyOfAccount { key, active })))
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
            let row = service::Entity::find()
                .filter(service::Column::AccountId.eq(account))
                .filter(service::Column::Id.eq(id))
                .one(self.db.reader())
                .await?;
            Ok(row.map(Arc::new))
        };
        self.services.ask((account, id), ask).await
    }
}
