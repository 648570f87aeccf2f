//! What an audience comes to: how many it has, and some of them.

use std::collections::HashMap;

use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter};
use serde::Serialize;
use utoipa::ToSchema;

use super::{get, list};
use crate::{
    ctx::Ctx,
    entities::user,
    error::Result,
    query::{self, Everyone},
    sid::{AudienceSid, ServiceSid, UserSid},
};

/// How many of them are shown.
const SAMPLE: usize = 10;

/// What an audience comes to.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = AudiencePreview)]
pub struct Preview {
    /// How many it has now, exactly.
    count: i64,
    /// The first ten of them.
    sample: Vec<SampleUser>,
}

/// One of an audience.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct SampleUser {
    /// The user's SID; null when there is no user of this identity yet.
    #[schema(value_type = Option<String>)]
    sid: Option<UserSid>,
    identity: String,
    friendly_name: Option<String>,
    /// JSON in a string; null when there is no user of this identity yet.
    attributes: Option<String>,
}

/// What the audience comes to.
///
/// # Errors
/// 20404; 20001 naming `Filter` when no index tells what it asks and too many users would have to be read; 20006 for
/// users.
pub async fn preview(ctx: &Ctx, id: AudienceSid) -> Result<Preview> {
    let audience = get(ctx, id).await?;
    let (count, identities) = match &audience.filter {
        Some(filter) => {
            let count = query::count::<user::Model>(ctx, filter).await?;
            let everyone = Everyone::new(&ctx.core.db, ctx.core.settings.lists, ctx.scope(), filter);
            let sample = match count {
                0 => Vec::new(),
                count => everyone.first(count, SAMPLE).await?,
            };
            (i64::try_from(count).unwrap_or(i64::MAX), sample)
        }
        None => (
            list::count(ctx.reader(), ctx.scope(), id).await?,
            list::identities(ctx.reader(), ctx.scope(), id, None, SAMPLE).await?,
        ),
    };
    let mut users = users(ctx.reader(), ctx.scope(), &identities).await?;
    let sample = identities
        .into_iter()
        .map(|identity| {
            let user = users.remove(&identity);
            SampleUser {
                sid: user.as_ref().map(|user| user.id),
                friendly_name: user.as_ref().and_then(|user| user.friendly_name.clone()),
                attributes: user.map(|user| user.attributes),
                identity,
            }
        })
        .collect();
    Ok(Preview { count, sample })
}

/// The users of these identities, as far as there are any, by identity.
pub(crate) async fn users(
    db: &impl ConnectionTrait,
    service: ServiceSid,
    identities: &[String],
) -> Result<HashMap<String, user::Model>> {
    if identities.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = user::Entity::find()
        .filter(user::Column::ServiceId.eq(service))
        .filter(user::Column::Identity.is_in(identities.iter().map(String::as_str)))
        .all(db)
        .await?;
    Ok(rows.into_iter().map(|row| (row.identity.clone(), row)).collect())
}
