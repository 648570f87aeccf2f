//! What operators may do in the channels of their pools.

use std::collections::HashMap;

use sea_orm::ConnectionTrait;

use crate::{
    error::Result,
    permissions::Permissions,
    sid::{ChannelSid, OperatorPoolSid, ServiceSid},
    sql::Sql,
};

/// Somebody who may be an operator of the pool of a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Asked<'a> {
    pub(crate) service: ServiceSid,
    pub(crate) channel: ChannelSid,
    pub(crate) pool: OperatorPoolSid,
    pub(crate) identity: &'a str,
}

/// What these may do as operators: what their service role allows, and what whoever made a channel may. Who is no
/// operator is not in it.
///
/// # Errors
/// Whatever the database refuses.
pub(crate) async fn rights(
    db: &impl ConnectionTrait,
    asked: &[Asked<'_>],
) -> Result<HashMap<(ServiceSid, ChannelSid, String), Permissions>> {
    if asked.is_empty() {
        return Ok(HashMap::new());
    }
    let mut sql = Sql::new("WITH asked (place, service_id, pool_id, identity) AS (VALUES ");
    sql.rows((0_i64..).zip(asked).map(|(place, asked)| {
        [
            place.into(),
            asked.service.into(),
            asked.pool.into(),
            asked.identity.into(),
        ]
    }));
    sql.push(
        ") SELECT a.place, (c.permissions | r.permissions) AS permissions FROM asked a \
         JOIN operators o ON o.service_id = a.service_id AND o.pool_id = a.pool_id AND o.identity = a.identity \
         JOIN services s ON s.id = a.service_id \
         JOIN roles c ON c.service_id = s.id AND c.id = s.default_channel_creator_role_id \
         JOIN users u ON u.service_id = a.service_id AND u.identity = a.identity \
         JOIN roles r ON r.service_id = u.service_id AND r.id = u.role_id",
    );
    let mut rights = HashMap::new();
    for row in sql.all(db).await? {
        let place: i64 = row.try_get("", "place")?;
        let Some(asked) = usize::try_from(place).ok().and_then(|place| asked.get(place)) else {
            continue;
        };
        let key = (asked.service, asked.channel, asked.identity.to_owned());
        rights.insert(key, row.try_get("", "permissions")?);
    }
    Ok(rights)
}
