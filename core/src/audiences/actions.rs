//! Making, changing and deleting audiences.

use sea_orm::{ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter};

use super::{list, lock, parse_identities};
use crate::{
    audit::Edit,
    campaigns,
    change::Change,
    ctx::Ctx,
    entities::{audience, audience_member, campaign},
    error::{Error, ErrorCode, Result},
    filter::{Filter, USERS},
    input::{self, Identity},
    sid::{AudienceSid, ServiceSid},
    timestamp::Timestamp,
};

/// The longest filter that is kept, in bytes.
const FILTER_BYTES: usize = 32_768;

/// An audience to make: of a filter, or of a list, which is empty without identities.
#[derive(Debug, Clone, Default)]
pub struct NewAudience {
    /// A name for people.
    pub friendly_name: Option<String>,
    /// Which users, in the query language.
    pub filter: Option<String>,
    /// Whom.
    pub identities: Option<Vec<String>>,
}

/// What to change of an audience; `None` leaves it as it is.
#[derive(Debug, Clone, Default)]
pub struct UpdateAudience {
    /// Empty clears it.
    pub friendly_name: Option<String>,
    /// The new filter, of an audience that is one.
    pub filter: Option<String>,
    /// Who takes the place of the list, of an audience that is one.
    pub identities: Option<Vec<String>>,
}

fn filter(text: &str) -> Result<String> {
    if text.len() > FILTER_BYTES {
        return Err(Error::parameter(
            "Filter",
            &format!(
                "is too long: {} bytes, at most {FILTER_BYTES} are allowed",
                text.len()
            ),
        ));
    }
    Filter::parse(text, &USERS)?;
    Ok(text.to_owned())
}

/// Makes an audience.
///
/// # Errors
/// 20001 when both a filter and identities are given; the code of the field that is wrong; 20006 for users.
pub async fn create(ctx: &Ctx, new: NewAudience) -> Result<audience::Model> {
    ctx.backend_only()?;
    if new.filter.is_some() && new.identities.is_some() {
        return Err(Error::parameter(
            "Identities",
            "must not be given with Filter: an audience is a filter or a list; leave one of them out",
        ));
    }
    let identities = parse_identities(new.identities.as_deref().unwrap_or_default())?;
    let now = Timestamp::now();
    let row = audience::Model {
        service_id: ctx.scope(),
        id: AudienceSid::generate(),
        account_id: ctx.account(),
        friendly_name: new
            .friendly_name
            .as_deref()
            .map_or(Ok(None), input::friendly_name)?,
        filter: new.filter.as_deref().map(filter).transpose()?,
        members_count: i32::try_from(identities.len()).unwrap_or(i32::MAX),
        date_created: now,
        date_updated: now,
    };
    let mut change = Change::begin(ctx).await?;
    let row = row.into_active_model().insert(&change.tx).await?;
    list::add(&change.tx, &row, identities.iter().map(Identity::as_str)).await?;
    change.audit(Edit::Created(&row))?;
    change.commit().await?;
    Ok(row)
}

/// Changes an audience.
///
/// # Errors
/// 20404; 20001 when a list is given to a filter or the other way round; the code of the field that is wrong; 20006
/// for users.
pub async fn update(ctx: &Ctx, id: AudienceSid, update: UpdateAudience) -> Result<audience::Model> {
    ctx.backend_only()?;
    let identities = update.identities.as_deref().map(parse_identities).transpose()?;
    let mut change = Change::begin(ctx).await?;
    let before = lock(ctx, &change.tx, id).await?;
    let mut row = before.clone();
    if let Some(name) = &update.friendly_name {
        row.friendly_name = input::friendly_name(name)?;
    }
    if let Some(text) = &update.filter {
        if row.filter.is_none() {
            return Err(Error::parameter(
                "Filter",
                "cannot be set: this audience is a list of identities; make another one with Filter",
            ));
        }
        row.filter = Some(filter(text)?);
    }
    if let Some(identities) = &identities {
        if row.filter.is_some() {
            return Err(Error::parameter(
                "Identities",
                "cannot be set: this audience is a filter; make another one with Identities",
            ));
        }
        list::clear(&change.tx, row.service_id, row.id).await?;
        list::add(&change.tx, &row, identities.iter().map(Identity::as_str)).await?;
        row.members_count = i32::try_from(identities.len()).unwrap_or(i32::MAX);
    }
    row.date_updated = Timestamp::now();
    let row = row.into_active_model().reset_all().update(&change.tx).await?;
    change.audit(Edit::Updated {
        before: &before,
        after: &row,
    })?;
    change.commit().await?;
    Ok(row)
}

/// Deletes an audience. Campaigns whose recipients are known keep them.
///
/// # Errors
/// 20404; 20409 while a campaign that has not read all of it names it; 20006 for users.
pub async fn delete(ctx: &Ctx, id: AudienceSid) -> Result<()> {
    ctx.backend_only()?;
    let mut change = Change::begin(ctx).await?;
    let row = lock(ctx, &change.tx, id).await?;
    if let Some(campaign) = waiting(&change.tx, &row).await? {
        return Err(Error::with(
            ErrorCode::Conflict,
            format!(
                "Audience {id} is in use: the campaign {} is {} and its recipients are not known yet; cancel or delete \
                 the campaign, or give it another AudienceSid",
                campaign.id, campaign.status
            ),
        ));
    }
    audience::Entity::delete_many()
        .filter(audience::Column::ServiceId.eq(ctx.scope()))
        .filter(audience::Column::Id.eq(id))
        .exec(&change.tx)
        .await?;
    change.audit(Edit::Deleted(&row))?;
    change.commit().await?;
    // Nobody finds them any more, however many they are: in portions, so that no transaction is long.
    while list::clear_some(ctx.core.db.writer(), row.service_id, row.id).await? {}
    Ok(())
}

/// A campaign that names the audience and has not read all of it.
async fn waiting(tx: &impl ConnectionTrait, audience: &audience::Model) -> Result<Option<campaign::Model>> {
    Ok(campaign::Entity::find()
        .filter(campaign::Column::ServiceId.eq(audience.service_id))
        .filter(campaign::Column::AudienceId.eq(audience.id))
        .filter(campaign::Column::Phase.ne(campaigns::RESOLVED))
        .filter(campaign::Column::Status.is_in([
            campaigns::DRAFT,
            campaigns::SCHEDULED,
            campaigns::RUNNING,
            campaigns::PAUSED,
        ]))
        .one(tx)
        .await?)
}

/// Deletes every audience of a service.
///
/// # Errors
/// Whatever the database refuses.
pub(crate) async fn delete_of_service(tx: &impl ConnectionTrait, service: ServiceSid) -> Result<()> {
    audience::Entity::delete_many()
        .filter(audience::Column::ServiceId.eq(service))
        .exec(tx)
        .await?;
    audience_member::Entity::delete_many()
        .filter(audience_member::Column::ServiceId.eq(service))
        .exec(tx)
        .await?;
    Ok(())
}
