//! What a slice writes besides the ledger: one statement of each kind, whose text does not depend on how many there are.
//!
//! What is looked up is looked up one by one, along the index that is meant, inside of the statement. While a table grows
//! by thousands of rows a second, Postgres believes for a minute that it is small, and would rather read all that the
//! service has in it.

use std::collections::{HashMap, HashSet};

use sea_orm::{ConnectionTrait, DatabaseTransaction, FromQueryResult};

use super::ledger::locks;
use crate::{
    attribute_indexes::upkeep,
    change::Change,
    ctx::Ctx,
    entities::{channel, member, message, user},
    error::{Error, ErrorCode, Result},
    messages,
    sid::{ChannelSid, ServiceSid},
    sql::Sql,
    users,
};

/// A refusal that another try may not meet: somebody else was quicker.
pub(super) fn overtaken(by: &'static str) -> Error {
    Error::with(ErrorCode::Conflict, by)
}

/// Channels with these unique names, locked in the order of their keys.
pub(super) async fn channels_named<'n>(
    tx: &DatabaseTransaction,
    service: ServiceSid,
    names: impl IntoIterator<Item = &'n str>,
) -> Result<HashMap<String, channel::Model>> {
    let backend = tx.get_database_backend();
    let mut sql = Sql::new("");
    if locks(backend) {
        sql.push("WITH ").table(
            backend,
            "asked",
            [("name", "text")],
            names.into_iter().map(|name| [name.into()]),
        );
        // Deleted channels have no name.
        sql.push(
            " SELECT c.* FROM (SELECT f.id FROM asked a CROSS JOIN LATERAL \
             (SELECT id FROM channels WHERE unique_name = a.name AND service_id = ",
        )
        .bind(service)
        .push(" OFFSET 0) f ORDER BY f.id) k CROSS JOIN LATERAL (SELECT * FROM channels WHERE id = k.id AND service_id = ")
        .bind(service)
        .push(" FOR UPDATE) c");
    } else {
        sql.push("SELECT * FROM channels WHERE service_id = ")
            .bind(service)
            .push(" AND ")
            .one_of_values(
                backend,
                ("unique_name", "text"),
                names.into_iter().map(Into::into),
            );
    }
    let mut found = HashMap::new();
    for row in sql.all(tx).await? {
        let row = channel::Model::from_query_result(&row, "")?;
        if let Some(name) = row.unique_name.clone() {
            found.insert(name, row);
        }
    }
    Ok(found)
}

/// Which of these are members.
pub(super) async fn present<'i>(
    tx: &DatabaseTransaction,
    service: ServiceSid,
    asked: impl IntoIterator<Item = (ChannelSid, &'i str)>,
) -> Result<HashSet<(ChannelSid, String)>> {
    let rows: Vec<_> = asked
        .into_iter()
        .map(|(channel, identity)| [channel.into(), identity.into()])
        .collect();
    if rows.is_empty() {
        return Ok(HashSet::new());
    }
    let mut sql = Sql::new("WITH ");
    sql.table(
        tx.get_database_backend(),
        "asked",
        [("channel_id", "uuid"), ("identity", "text")],
        rows,
    );
    sql.push(if locks(tx.get_database_backend()) {
        " SELECT m.channel_id, m.identity FROM asked a CROSS JOIN LATERAL (SELECT channel_id, identity FROM members \
         WHERE channel_id = a.channel_id AND identity = a.identity AND service_id = "
    } else {
        " SELECT m.channel_id, m.identity FROM asked a JOIN members m \
         ON m.channel_id = a.channel_id AND m.identity = a.identity AND (m.service_id = "
    })
    .bind(service)
    .push(if locks(tx.get_database_backend()) {
        " OFFSET 0) m"
    } else {
        ")"
    });
    sql.all(tx)
        .await?
        .iter()
        .map(|row| Ok((row.try_get("", "channel_id")?, row.try_get("", "identity")?)))
        .collect()
}

/// The users of these identities who exist, by name.
pub(super) async fn users_named<'i>(
    tx: &DatabaseTransaction,
    service: ServiceSid,
    identities: impl IntoIterator<Item = &'i str>,
) -> Result<HashMap<String, user::Model>> {
    let backend = tx.get_database_backend();
    let mut sql = Sql::new("");
    if locks(backend) {
        sql.push("WITH ").table(
            backend,
            "asked",
            [("identity", "text")],
            identities.into_iter().map(|identity| [identity.into()]),
        );
        sql.push(
            " SELECT u.* FROM asked a CROSS JOIN LATERAL (SELECT * FROM users WHERE identity = a.identity \
             AND service_id = ",
        )
        .bind(service)
        .push(" OFFSET 0) u");
    } else {
        sql.push("SELECT * FROM users WHERE service_id = ")
            .bind(service)
            .push(" AND ")
            .one_of_values(
                backend,
                ("identity", "text"),
                identities.into_iter().map(Into::into),
            );
    }
    sql.all(tx)
        .await?
        .iter()
        .map(|row| {
            let row = user::Model::from_query_result(row, "")?;
            Ok((row.identity.clone(), row))
        })
        .collect()
}

/// Inserts channels that are not there; their names in order, so that two slices cannot wait for each other.
///
/// # Errors
/// 20409 when one of the names is taken meanwhile.
pub(super) async fn insert_channels(tx: &DatabaseTransaction, channels: &mut [channel::Model]) -> Result<()> {
    if channels.is_empty() {
        return Ok(());
    }
    channels.sort_unstable_by(|one, other| one.unique_name.cmp(&other.unique_name));
    let mut sql = Sql::new("WITH ");
    sql.table(
        tx.get_database_backend(),
        "made",
        [
            ("service_id", "uuid"),
            ("id", "uuid"),
            ("unique_name", "text"),
            ("friendly_name", "text"),
            ("attributes", "text"),
            ("kind", "text"),
            ("created_by", "text"),
            ("members_count", "integer"),
            ("messages_count", "integer"),
            ("next_index", "bigint"),
            ("last_seq", "bigint"),
            ("last_event_at", "bigint"),
            ("last_message_id", "uuid"),
            ("last_message_at", "bigint"),
            ("listed_at", "bigint"),
            ("campaign_id", "uuid"),
            ("date_created", "bigint"),
            ("date_updated", "bigint"),
        ],
        channels.iter().map(|row| {
            [
                row.service_id.into(),
                row.id.into(),
                row.unique_name.as_deref().into(),
                row.friendly_name.as_deref().into(),
                row.attributes.as_str().into(),
                row.kind.as_str().into(),
                row.created_by.as_str().into(),
                row.members_count.into(),
                row.messages_count.into(),
                row.next_index.into(),
                row.last_seq.into(),
                row.last_event_at.into(),
                row.last_message_id.into(),
                row.last_message_at.into(),
                row.listed_at.into(),
                row.campaign_id.into(),
                row.date_created.into(),
                row.date_updated.into(),
            ]
        }),
    );
    sql.push(
        " INSERT INTO channels (service_id, id, unique_name, friendly_name, attributes, kind, created_by, \
         members_count, messages_count, next_index, last_seq, last_event_at, last_message_id, last_message_at, \
         listed_at, campaign_id, date_created, date_updated, webhooks) \
         SELECT service_id, id, unique_name, friendly_name, attributes, kind, created_by, members_count, \
         messages_count, next_index, last_seq, last_event_at, last_message_id, last_message_at, listed_at, \
         campaign_id, date_created, date_updated, 0 FROM made WHERE true \
         ON CONFLICT (service_id, unique_name) DO NOTHING",
    );
    let inserted = sql.execute(tx).await?.rows_affected();
    if usize::try_from(inserted).is_ok_and(|inserted| inserted == channels.len()) {
        upkeep::added(tx, &*channels).await
    } else {
        Err(overtaken("somebody else made one of the channels"))
    }
}

/// Writes locked channels back.
pub(super) async fn update_channels(tx: &DatabaseTransaction, channels: &[channel::Model]) -> Result<()> {
    if channels.is_empty() {
        return Ok(());
    }
    let mut sql = Sql::new("WITH ");
    sql.table(
        tx.get_database_backend(),
        "moved",
        [
            ("service_id", "uuid"),
            ("id", "uuid"),
            ("members_count", "integer"),
            ("messages_count", "integer"),
            ("next_index", "bigint"),
            ("last_seq", "bigint"),
            ("last_event_at", "bigint"),
            ("last_message_id", "uuid"),
            ("last_message_at", "bigint"),
            ("listed_at", "bigint"),
            ("campaign_id", "uuid"),
            ("pool_event_at", "bigint"),
        ],
        channels.iter().map(|row| {
            [
                row.service_id.into(),
                row.id.into(),
                row.members_count.into(),
                row.messages_count.into(),
                row.next_index.into(),
                row.last_seq.into(),
                row.last_event_at.into(),
                row.last_message_id.into(),
                row.last_message_at.into(),
                row.listed_at.into(),
                row.campaign_id.into(),
                row.pool_event_at.into(),
            ]
        }),
    );
    sql.push(
        " UPDATE channels SET members_count = moved.members_count, messages_count = moved.messages_count, \
         next_index = moved.next_index, last_seq = moved.last_seq, last_event_at = moved.last_event_at, \
         last_message_id = moved.last_message_id, last_message_at = moved.last_message_at, \
         listed_at = moved.listed_at, campaign_id = moved.campaign_id, pool_event_at = moved.pool_event_at FROM moved \
         WHERE channels.service_id = moved.service_id AND channels.id = moved.id AND ",
    );
    sql.one_of(tx.get_database_backend(), "channels.id", |sql| {
        sql.push("SELECT id FROM moved");
    });
    sql.execute(tx).await?;
    Ok(())
}

/// Counts a channel more at these users, who are made when they are not there. Locks them in the order of their names.
///
/// # Errors
/// 20409 when one of them is in as many channels as it may by now.
pub(super) async fn count_joined(
    ctx: &Ctx,
    change: &mut Change<'_>,
    known: &HashMap<String, user::Model>,
    identities: &[&str],
) -> Result<()> {
    if identities.is_empty() {
        return Ok(());
    }
    let missing: Vec<&str> = identities
        .iter()
        .copied()
        .filter(|identity| !known.contains_key(*identity))
        .collect();
    let backend = change.tx.get_database_backend();
    let mut sql = Sql::new("");
    if locks(backend) {
        sql.push("WITH ").table(
            backend,
            "asked",
            [("identity", "text")],
            identities.iter().map(|identity| [(*identity).into()]),
        );
        sql.push(
            ", joined AS (SELECT u.id FROM (SELECT identity FROM asked ORDER BY identity) a \
             CROSS JOIN LATERAL (SELECT id FROM users WHERE identity = a.identity AND service_id = ",
        )
        .bind(ctx.scope())
        .push(
            " FOR UPDATE) u) UPDATE users SET joined_channels_count = joined_channels_count + 1 \
             WHERE id = ANY(ARRAY(SELECT id FROM joined)) AND service_id = ",
        )
        .bind(ctx.scope());
    } else {
        sql.push("UPDATE users SET joined_channels_count = joined_channels_count + 1 WHERE service_id = ")
            .bind(ctx.scope())
            .push(" AND ")
            .one_of_values(
                backend,
                ("identity", "text"),
                identities.iter().map(|identity| (*identity).into()),
            );
    }
    sql.push(" AND joined_channels_count < ")
        .bind(ctx.service.limit_user_channels);
    let mut counted = sql.execute(&change.tx).await?.rows_affected();
    if !missing.is_empty() {
        // They came after those who were there, as everywhere.
        users::ensure_all(ctx, change, &missing).await?;
        let mut sql = Sql::new(
            "UPDATE users SET joined_channels_count = joined_channels_count + 1 WHERE service_id = ",
        );
        sql.bind(ctx.scope()).push(" AND ").one_of_values(
            backend,
            ("identity", "text"),
            missing.iter().map(|identity| (*identity).into()),
        );
        sql.push(" AND joined_channels_count < ")
            .bind(ctx.service.limit_user_channels);
        counted += sql.execute(&change.tx).await?.rows_affected();
    }
    if usize::try_from(counted).is_ok_and(|counted| counted == identities.len()) {
        Ok(())
    } else {
        Err(overtaken("a user was made, deleted or filled up meanwhile"))
    }
}

/// Takes back the invites of those who have joined.
pub(super) async fn fulfil_invites<'i>(
    tx: &DatabaseTransaction,
    service: ServiceSid,
    joined: impl IntoIterator<Item = (ChannelSid, &'i str)>,
) -> Result<()> {
    let rows: Vec<_> = joined
        .into_iter()
        .map(|(channel, identity)| [channel.into(), identity.into()])
        .collect();
    if rows.is_empty() {
        return Ok(());
    }
    let mut sql = Sql::new("WITH ");
    sql.table(
        tx.get_database_backend(),
        "joined",
        [("channel_id", "uuid"), ("identity", "text")],
        rows,
    );
    sql.push(" DELETE FROM invites WHERE service_id = ")
        .bind(service)
        .push(" AND (channel_id, identity) IN (SELECT channel_id, identity FROM joined)");
    sql.execute(tx).await?;
    Ok(())
}

/// Inserts memberships.
pub(super) async fn insert_members(tx: &DatabaseTransaction, members: &[member::Model]) -> Result<()> {
    if members.is_empty() {
        return Ok(());
    }
    let mut sql = Sql::new("WITH ");
    sql.table(
        tx.get_database_backend(),
        "made",
        [
            ("service_id", "uuid"),
            ("channel_id", "uuid"),
            ("id", "uuid"),
            ("identity", "text"),
            ("role_id", "uuid"),
            ("attributes", "text"),
            ("notification_level", "text"),
            ("joined_seq", "bigint"),
            ("date_created", "bigint"),
        ],
        members.iter().map(|row| {
            [
                row.service_id.into(),
                row.channel_id.into(),
                row.id.into(),
                row.identity.as_str().into(),
                row.role_id.into(),
                row.attributes.as_str().into(),
                row.notification_level.as_str().into(),
                row.joined_seq.into(),
                row.date_created.into(),
            ]
        }),
    );
    sql.push(
        " INSERT INTO members (service_id, channel_id, id, identity, role_id, attributes, notification_level, \
         joined_seq, date_created, date_updated) SELECT service_id, channel_id, id, identity, role_id, attributes, \
         notification_level, joined_seq, date_created, date_created FROM made",
    );
    sql.execute(tx).await?;
    upkeep::added(tx, members).await
}

/// Inserts messages of which each is the only new one of its channel.
pub(super) async fn insert_messages(tx: &DatabaseTransaction, added: &[message::Model]) -> Result<()> {
    if added.is_empty() {
        return Ok(());
    }
    messages::rows::insert(tx, added).await?;
    upkeep::added(tx, added).await
}
