//! Who calls, and what its credentials allow.

use uuid::Uuid;

use crate::{
    audit::Actor,
    error::{Error, ErrorCode, Result},
    input::{Identity, SYSTEM},
    sid::{AccountSid, ApiKeySid, RequestSid, ServiceSid},
};

/// What an API key opens, to its holder and to the tokens that it signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyScope {
    /// The key.
    pub sid: ApiKeySid,
    /// The one service that it reaches; `None` when it reaches all of its account.
    pub service: Option<ServiceSid>,
    /// Whether it only reads.
    pub read_only: bool,
}

/// Who calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// A backend with account credentials: bypasses roles, never rules.
    Account {
        /// Its account.
        account: AccountSid,
        /// The API key, when it was one.
        key: Option<KeyScope>,
        /// Whether it asked for post-event webhooks (`X-Twilio-Webhook-Enabled: true`).
        webhooks: bool,
        /// The request, for the audit log.
        request: Option<RequestSid>,
    },
    /// A user with an access token.
    User {
        /// The account of its service.
        account: AccountSid,
        /// The one service that its token opens.
        service: ServiceSid,
        /// Who.
        identity: Identity,
        /// The key that signed its token.
        key: KeyScope,
        /// The socket, which gets its own messages by the ack and not as events.
        connection: Option<Uuid>,
    },
}

fn denied(why: impl Into<String>) -> Error {
    Error::with(ErrorCode::AccessDenied, format!("Access denied: {}", why.into()))
}

impl Caller {
    /// The account on whose behalf the call is made.
    #[must_use]
    pub fn account(&self) -> AccountSid {
        match self {
            Self::Account { account, .. } | Self::User { account, .. } => *account,
        }
    }

    /// The key that it came with, or that signed its token.
    #[must_use]
    pub fn key(&self) -> Option<&KeyScope> {
        match self {
            Self::Account { key, .. } => key.as_ref(),
            Self::User { key, .. } => Some(key),
        }
    }

    /// The user, unless a backend calls.
    #[must_use]
    pub fn identity(&self) -> Option<&Identity> {
        match self {
            Self::Account { .. } => None,
            Self::User { identity, .. } => Some(identity),
        }
    }

    /// The one service that it reaches; `None` when it reaches all of its account.
    #[must_use]
    pub fn only_service(&self) -> Option<ServiceSid> {
        match self {
            Self::Account { key, .. } => key.and_then(|key| key.service),
            Self::User { service, .. } => Some(*service),
        }
    }

    /// The backend, as the audit log names it; `None` for users.
    #[must_use]
    pub fn backend(&self) -> Option<Actor> {
        match self {
            Self::Account {
                account,
                key,
                request,
                ..
            } => Some(Actor {
                account: *account,
                key: key.map(|key| key.sid),
                request: *request,
            }),
            Self::User { .. } => None,
        }
    }

    /// Whether it may only read.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        self.key().is_some_and(|key| key.read_only)
    }

    /// Passes for whom may change something.
    ///
    /// # Errors
    /// 20006 for a read-only key and for the tokens that it signed.
    pub fn may_write(&self) -> Result<()> {
        match self {
            Self::Account { key: Some(key), .. } if key.read_only => {
                Err(denied(format!("the API key {} is read-only (ReadOnly)", key.sid)))
            }
            Self::User { key, .. } if key.read_only => Err(denied(format!(
                "this access token is read-only, because the API key {} that signed it is (ReadOnly)",
                key.sid
            ))),
            _ => Ok(()),
        }
    }

    /// Passes for backends only.
    ///
    /// # Errors
    /// 20006 for users.
    pub fn backend_only(&self) -> Result<()> {
        match self {
            Self::Account { .. } => Ok(()),
            Self::User { .. } => Err(denied(
                "this needs account credentials, an access token does not do",
            )),
        }
    }

    /// Passes for backends that reach all of their account.
    ///
    /// # Errors
    /// 20006 for users and for keys of one service.
    pub fn whole_account_only(&self) -> Result<()> {
        self.backend_only()?;
        match self.key() {
            Some(KeyScope {
                sid,
                service: Some(service),
                ..
            }) => Err(denied(format!(
                "the API key {sid} reaches the service {service} only (ServiceSid)"
            ))),
            _ => Ok(()),
        }
    }

    /// Passes for backends that may manage accounts and keys.
    ///
    /// # Errors
    /// 20006 for users and for keys with a scope.
    pub fn unscoped_only(&self) -> Result<()> {
        self.whole_account_only()?;
        match self.key() {
            Some(key) if key.read_only => Err(denied(format!(
                "the API key {} is read-only (ReadOnly), and a key with a scope manages no accounts and keys",
                key.sid
            ))),
            _ => Ok(()),
        }
    }

    /// Passes for an account with its auth token.
    ///
    /// # Errors
    /// 20006 for users and for API keys.
    pub fn auth_token_only(&self) -> Result<()> {
        self.backend_only()?;
        match self.key() {
            Some(_) => Err(denied(
                "this needs the account's SID and auth token, an API key does not do",
            )),
            None => Ok(()),
        }
    }

    /// The name under which the action goes down in events: the identity, or `system`.
    #[must_use]
    pub fn actor(&self) -> &str {
        self.identity().map_or(SYSTEM, Identity::as_str)
    }

    /// Where the action comes from, for webhooks.
    #[must_use]
    pub fn origin(&self) -> Origin {
        match self {
            Self::Account { webhooks, .. } => Origin {
                client: None,
                webhooks: *webhooks,
                connection: None,
            },
            Self::User {
                identity, connection, ..
            } => Origin {
                client: Some(identity.as_str().to_owned()),
                webhooks: true,
                connection: *connection,
            },
        }
    }
}

/// Where an action comes from, as far as what follows it needs to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The user (`Source=SDK`); `None` for a backend (`Source=API`).
    pub client: Option<String>,
    /// Whether post-event webhooks follow.
    pub webhooks: bool,
    /// The socket that is not to hear of its own message.
    pub connection: Option<Uuid>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backend(service: Option<ServiceSid>, read_only: bool) -> Caller {
        Caller::Account {
            account: AccountSid::generate(),
            key: Some(KeyScope {
                sid: ApiKeySid::generate(),
                service,
                read_only,
            }),
            webhooks: false,
            request: None,
        }
    }

    #[test]
    fn a_scope_takes_rights_away_and_is_named() {
        let whole = backend(None, false);
        assert!(whole.may_write().is_ok() && whole.unscoped_only().is_ok());
        assert_eq!(whole.auth_token_only().unwrap_err().code().code(), 20006);

        let service = ServiceSid::generate();
        let one = backend(Some(service), false);
        assert!(one.may_write().is_ok());
        let refused = one.whole_account_only().unwrap_err();
        assert!(refused.message().contains(&service.to_string()), "{refused}");
        assert!(one.unscoped_only().is_err());

        let reader = backend(None, true);
        assert!(reader.whole_account_only().is_ok());
        for refused in [reader.may_write(), reader.unscoped_only()] {
            assert!(refused.unwrap_err().message().contains("read-only"));
        }
    }
}
