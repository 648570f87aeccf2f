//! Backends at work outside of a service. What a key's scope takes away is in the type: a function says by its
//! context how far its caller must reach.

use std::sync::Arc;

use super::{Caller, Core};
use crate::{accounts, error::Result, sid::AccountSid};

/// A backend at work in what its credentials reach: every service of its account, or the one of its key.
#[derive(Clone)]
pub struct BackendCtx {
    /// The process's handles.
    pub core: Arc<Core>,
    /// Who calls.
    pub caller: Caller,
}

impl BackendCtx {
    /// Lets a backend in.
    ///
    /// # Errors
    /// 20006 for users.
    pub fn enter(core: &Arc<Core>, caller: Caller) -> Result<Self> {
        caller.backend_only()?;
        Ok(Self {
            core: Arc::clone(core),
            caller,
        })
    }

    /// Its account.
    #[must_use]
    pub fn account(&self) -> AccountSid {
        self.caller.account()
    }

    /// For queries outside a transaction.
    #[must_use]
    pub fn reader(&self) -> &sea_orm::DatabaseConnection {
        self.core.db.reader()
    }
}

/// A backend at work in its whole account.
#[derive(Clone)]
pub struct AccountCtx {
    /// The process's handles.
    pub core: Arc<Core>,
    /// The account.
    pub account: AccountSid,
    /// Who calls.
    pub caller: Caller,
}

impl AccountCtx {
    /// Lets a backend in that reaches all of its account.
    ///
    /// # Errors
    /// 20006 for users and for keys of one service.
    pub fn enter(core: &Arc<Core>, caller: Caller) -> Result<Self> {
        caller.whole_account_only()?;
        Ok(Self {
            core: Arc::clone(core),
            account: caller.account(),
            caller,
        })
    }

    /// For queries outside a transaction.
    #[must_use]
    pub fn reader(&self) -> &sea_orm::DatabaseConnection {
        self.core.db.reader()
    }
}

/// A backend that manages an account: its own, or a sub-account of it.
#[derive(Clone)]
pub struct AdminCtx {
    /// The process's handles.
    pub core: Arc<Core>,
    /// The account that is managed.
    pub account: AccountSid,
    /// Who calls.
    pub caller: Caller,
}

impl AdminCtx {
    /// Lets a backend in that may manage keys and accounts; `account` is its own unless another is named.
    ///
    /// # Errors
    /// 20006 for users and for keys with a scope; 20404 when the account is neither its own nor a sub-account.
    pub async fn enter(core: &Arc<Core>, caller: Caller, account: Option<AccountSid>) -> Result<Self> {
        caller.unscoped_only()?;
        let own = caller.account();
        let ctx = Self {
            core: Arc::clone(core),
            account: account.unwrap_or(own),
            caller,
        };
        if ctx.account != own {
            accounts::get(&ctx, ctx.account).await?;
        }
        Ok(ctx)
    }

    /// For queries outside a transaction.
    #[must_use]
    pub fn reader(&self) -> &sea_orm::DatabaseConnection {
        self.core.db.reader()
    }
}
