//! What a service tells of its users beside their rows: whether they are online, and whether push reaches them.

use std::collections::HashSet;

use sea_orm::ConnectionTrait;
use serde::{Deserialize, Serialize};

use super::view::{UserView, shown};
use crate::{
    ctx::{BaseUrl, Ctx},
    entities::user,
    error::Result,
    sid::{AccountSid, ChannelSid, UserSid},
    sql::Sql,
};

/// Which users push reaches, when their service tells it (`reachability_enabled`). By default it does not.
#[derive(Debug, Clone, Default)]
pub struct Reach(Option<HashSet<UserSid>>);

impl Reach {
    /// What the caller's service tells of these users, in one query or none.
    ///
    /// # Errors
    /// Whatever the database refuses.
    pub async fn of(ctx: &Ctx, users: &[&user::Model]) -> Result<Self> {
        Self::within(ctx.reader(), ctx, users).await
    }

    /// The same, within a transaction.
    ///
    /// # Errors
    /// Whatever the database refuses.
    pub(crate) async fn within(db: &impl ConnectionTrait, ctx: &Ctx, users: &[&user::Model]) -> Result<Self> {
        if ctx.service.reachability_enabled {
            Self::told(db, users).await
        } else {
            Ok(Self::default())
        }
    }

    /// Of users whose services tell it.
    ///
    /// # Errors
    /// Whatever the database refuses.
    pub(crate) async fn told(db: &impl ConnectionTrait, users: &[&user::Model]) -> Result<Self> {
        if users.is_empty() {
            return Ok(Self(Some(HashSet::new())));
        }
        let mut sql = Sql::new("SELECT DISTINCT user_id FROM bindings WHERE (service_id, user_id) IN ");
        sql.values(users.iter().map(|user| [user.service_id.into(), user.id.into()]));
        let rows = sql.all(db).await?;
        let reached = rows.iter().map(|row| Ok(row.try_get("", "user_id")?));
        Ok(Self(Some(reached.collect::<Result<_>>()?)))
    }

    /// Of one user whose service tells it.
    pub(super) fn known(user: &user::Model, notifiable: bool) -> Self {
        Self(Some(notifiable.then_some(user.id).into_iter().collect()))
    }

    /// Whether push reaches the user, when that is told.
    #[must_use]
    pub(crate) fn notifiable(&self, user: &user::Model) -> Option<bool> {
        self.0.as_ref().map(|reached| reached.contains(&user.id))
    }

    /// The user as REST answers and events show it.
    #[must_use]
    pub fn view(&self, user: &user::Model, account: AccountSid, base: &BaseUrl) -> UserView {
        shown(user, self.notifiable(user), account, base)
    }
}

/// A user as it is told of in an event, and by way of which channels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UserNews {
    /// The user.
    pub user: user::Model,
    /// Whether push reaches it, when its service tells that and whether it is online.
    pub notifiable: Option<bool>,
    /// The channels whose members hear of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub channels: Vec<ChannelSid>,
    /// Whether it came or went, and nothing of itself changed.
    #[serde(default)]
    pub of_presence: bool,
}

impl UserNews {
    /// Of a user whom nobody is told of by way of channels.
    #[must_use]
    pub fn plain(user: user::Model) -> Self {
        Self {
            user,
            notifiable: None,
            channels: Vec::new(),
            of_presence: false,
        }
    }

    /// The user as events show it.
    #[must_use]
    pub fn view(&self, account: AccountSid, base: &BaseUrl) -> UserView {
        shown(&self.user, self.notifiable, account, base)
    }
}
