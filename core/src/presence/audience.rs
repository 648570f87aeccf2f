//! Who hears of a user: the members of the channels that it is in, as far as these are small.

use std::collections::HashMap;

use sea_orm::ConnectionTrait;

use super::Who;
use crate::{entities::user, error::Result, sid::ChannelSid, sql::Sql};

/// By way of how many channels a user is told of at most: its newest ones.
const MOST_CHANNELS: usize = 1000;
/// How many memberships one statement reads.
const MEMBERSHIPS_AT_ONCE: usize = 20_000;

/// The channels by whose members each of these users is heard of: those with other members, but not with more than
/// `limit`.
///
/// # Errors
/// Whatever the database refuses.
pub(crate) async fn shared_channels(
    db: &impl ConnectionTrait,
    users: &[&user::Model],
    limit: u32,
) -> Result<HashMap<Who, Vec<ChannelSid>>> {
    let mut found = HashMap::new();
    let mut few: Vec<&user::Model> = Vec::new();
    let mut memberships = 0;
    for &user in users {
        let joined = usize::try_from(user.joined_channels_count).unwrap_or(0);
        if joined > MOST_CHANNELS {
            read(db, &[user], limit, &mut found).await?;
            continue;
        }
        if memberships + joined > MEMBERSHIPS_AT_ONCE {
            read(db, &few, limit, &mut found).await?;
            few.clear();
            memberships = 0;
        }
        memberships += joined;
        few.push(user);
    }
    read(db, &few, limit, &mut found).await?;
    Ok(found)
}

/// Reads the channels of one user, or of several who have few.
async fn read(
    db: &impl ConnectionTrait,
    users: &[&user::Model],
    limit: u32,
    found: &mut HashMap<Who, Vec<ChannelSid>>,
) -> Result<()> {
    if users.is_empty() || limit < 2 {
        return Ok(());
    }
    let mut sql = Sql::new(
        "SELECT m.service_id, m.identity, m.channel_id FROM members m \
         JOIN channels c ON c.service_id = m.service_id AND c.id = m.channel_id \
         WHERE c.deleted_at IS NULL AND c.members_count BETWEEN 2 AND ",
    );
    sql.bind(i64::from(limit));
    if let [user] = users {
        sql.push(" AND m.service_id = ").bind(user.service_id);
        sql.push(" AND m.identity = ").bind(user.identity.as_str());
        sql.push(&format!(" ORDER BY m.channel_id DESC LIMIT {MOST_CHANNELS}"));
    } else {
        sql.push(" AND (m.service_id, m.identity) IN ");
        sql.values(
            users
                .iter()
                .map(|user| [user.service_id.into(), user.identity.as_str().into()]),
        );
    }
    for row in sql.all(db).await? {
        let who = (row.try_get("", "service_id")?, row.try_get("", "identity")?);
        found.entry(who).or_default().push(row.try_get("", "channel_id")?);
    }
    Ok(())
}
