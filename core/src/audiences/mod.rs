//! Audiences: whom campaigns go to. One is either a filter over the service's users, which is asked anew whenever it
//! is needed, or a list of identities.

mod actions;
mod list;
mod preview;
mod upload;
mod view;

use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect, Select};

pub(crate) use actions::delete_of_service;
pub use actions::{NewAudience, UpdateAudience, create, delete, update};
pub(crate) use list::identities;
pub(crate) use preview::users;
pub use preview::{Preview, SampleUser, preview};
pub use upload::{Format, Rejected, Report, Upload};
pub use view::{AudienceLinks, AudienceView, view};

use crate::{
    ctx::Ctx,
    entities::audience,
    error::{Error, Result},
    input::Identity,
    paging::{self, Key, Order, Page, PageRequest},
    sid::{AudienceSid, ServiceSid},
};

/// The most identities that one request gives.
pub const IDENTITIES: usize = 10_000;

fn scoped(service: ServiceSid) -> Select<audience::Entity> {
    audience::Entity::find().filter(audience::Column::ServiceId.eq(service))
}

fn missing(ctx: &Ctx, id: AudienceSid) -> Error {
    ctx.not_found(format_args!("Audiences/{id}"))
}

/// The service's audience of this SID, if there is one.
///
/// # Errors
/// Whatever the database refuses.
pub async fn find(
    db: &impl ConnectionTrait,
    service: ServiceSid,
    id: AudienceSid,
) -> Result<Option<audience::Model>> {
    Ok(scoped(service)
        .filter(audience::Column::Id.eq(id))
        .one(db)
        .await?)
}

/// The audience, locked until the transaction ends: nobody deletes it or changes its list meanwhile.
///
/// # Errors
/// 20404 when there is none.
async fn lock(ctx: &Ctx, tx: &impl ConnectionTrait, id: AudienceSid) -> Result<audience::Model> {
    scoped(ctx.scope())
        .filter(audience::Column::Id.eq(id))
        .lock_exclusive()
        .one(tx)
        .await?
        .ok_or_else(|| missing(ctx, id))
}

/// Whether there is such an audience; if so, nobody deletes it until the transaction ends.
///
/// # Errors
/// Whatever the database refuses.
pub(crate) async fn hold(tx: &impl ConnectionTrait, service: ServiceSid, id: AudienceSid) -> Result<bool> {
    let held = scoped(service)
        .filter(audience::Column::Id.eq(id))
        .lock_shared()
        .one(tx)
        .await?;
    Ok(held.is_some())
}

/// The service's audience of this SID.
///
/// # Errors
/// 20404 when there is none; 20006 for users.
pub async fn get(ctx: &Ctx, id: AudienceSid) -> Result<audience::Model> {
    ctx.backend_only()?;
    find(ctx.reader(), ctx.scope(), id)
        .await?
        .ok_or_else(|| missing(ctx, id))
}

/// The service's audiences, oldest first.
///
/// # Errors
/// 20006 for users.
pub async fn list(ctx: &Ctx, request: &PageRequest) -> Result<Page<audience::Model>> {
    ctx.backend_only()?;
    paging::fetch(
        ctx.reader(),
        scoped(ctx.scope()),
        audience::Column::Id,
        Order::Ascending,
        request,
        |row: &audience::Model| Key::Uuid(row.id.0),
    )
    .await
}

/// The identities of the parameter `Identities`, each once, in their order.
///
/// # Errors
/// 20001 when there are more than [`IDENTITIES`]; the code of the identity that is wrong, with its place.
pub(crate) fn parse_identities(given: &[String]) -> Result<Vec<Identity>> {
    if given.len() > IDENTITIES {
        return Err(Error::parameter(
            "Identities",
            &format!(
                "has {} elements, at most {IDENTITIES} are allowed here: use an Audience with Upload",
                given.len()
            ),
        ));
    }
    let mut identities = given
        .iter()
        .zip(1..)
        .map(|(text, place)| {
            Identity::parse(text).map_err(|refused| {
                let message = format!("Identities: element {place}: {}", refused.message());
                Error::with(refused.code(), message)
            })
        })
        .collect::<Result<Vec<_>>>()?;
    identities.sort_unstable_by(|one, other| one.as_str().cmp(other.as_str()));
    identities.dedup();
    Ok(identities)
}
