//! What is told of a coming or going, and to whom.

use std::collections::HashMap;

use sea_orm::ConnectionTrait;

use super::{audience::shared_channels, places::Turned};
use crate::{
    desk::CaseTurn,
    entities::user,
    error::Result,
    events::{Event, EventKind, Resource},
    sid::{AccountSid, EventSid, ServiceSid},
    sql::Sql,
    timestamp::Timestamp,
    users::{Reach, UserNews},
};

/// The events of these users, of services that tell who is online.
pub(super) async fn of(db: &impl ConnectionTrait, turned: Vec<Turned>, limit: u32) -> Result<Vec<Event>> {
    let accounts = accounts(db, &turned).await?;
    let turned: Vec<Turned> = turned
        .into_iter()
        .filter(|turned| accounts.contains_key(&turned.user.service_id))
        .collect();
    if turned.is_empty() {
        return Ok(Vec::new());
    }
    let users: Vec<&user::Model> = turned.iter().map(|turned| &turned.user).collect();
    let reach = Reach::told(db, &users).await?;
    let mut channels = shared_channels(db, &users, limit).await?;
    Ok(turned
        .into_iter()
        .filter_map(|Turned { user, connection }| {
            let who = (user.service_id, user.identity.clone());
            let channels = channels.remove(&who).unwrap_or_default();
            // Nobody but itself would hear of it.
            if channels.is_empty() && connection.is_some() {
                return None;
            }
            Some(Event {
                id: EventSid::generate(),
                kind: EventKind::UserUpdated,
                account: accounts.get(&user.service_id).copied()?,
                service: user.service_id,
                channel: None,
                seq: None,
                identity: user.identity.clone(),
                at: user.date_last_seen.unwrap_or_else(Timestamp::now),
                pool: None,
                turn: CaseTurn::default(),
                resource: Resource::User(Box::new(UserNews {
                    notifiable: reach.notifiable(&user),
                    user,
                    channels,
                    of_presence: true,
                })),
                connection,
            })
        })
        .collect())
}

/// The accounts of those services that tell who is online.
async fn accounts(db: &impl ConnectionTrait, turned: &[Turned]) -> Result<HashMap<ServiceSid, AccountSid>> {
    let mut services: Vec<ServiceSid> = turned.iter().map(|turned| turned.user.service_id).collect();
    services.sort_unstable();
    services.dedup();
    if services.is_empty() {
        return Ok(HashMap::new());
    }
    let mut sql = Sql::new("SELECT id, account_id FROM services WHERE reachability_enabled AND id IN (");
    sql.list(services.into_iter().map(Into::into)).push(")");
    sql.all(db)
        .await?
        .iter()
        .map(|row| Ok((row.try_get("", "id")?, row.try_get("", "account_id")?)))
        .collect()
}
