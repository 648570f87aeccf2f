//! Walking through whom a campaign goes to.

use crate::{
    audiences,
    ctx::Core,
    entities::campaign,
    error::{Error, ErrorCode, Result},
    query::Everyone,
};

/// The next identities of the campaign's audience behind `after`, at most `most`; fewer only at the end. The order is
/// one in which a walk comes to everybody once: the database's.
///
/// # Errors
/// 20409 when the audience is gone; whatever the database refuses.
pub async fn audience_page(
    core: &Core,
    campaign: &campaign::Model,
    after: Option<&str>,
    most: usize,
) -> Result<Vec<String>> {
    if let Some(given) = &campaign.identities {
        let identities = read(given)?;
        let from = after.map_or(0, |after| {
            identities.partition_point(|identity| identity.as_str() <= after)
        });
        return Ok(identities.into_iter().skip(from).take(most).collect());
    }
    let gone = || {
        Error::with(
            ErrorCode::Conflict,
            "The campaign's audience is gone: give it another AudienceSid",
        )
    };
    let (service, db) = (campaign.service_id, core.db.reader());
    let id = campaign.audience_id.ok_or_else(gone)?;
    let audience = audiences::find(db, service, id).await?.ok_or_else(gone)?;
    match &audience.filter {
        Some(filter) => {
            Everyone::new(&core.db, core.settings.lists, service, filter)
                .behind(after, most)
                .await
        }
        None => audiences::identities(db, service, id, after, most).await,
    }
}

/// The identities that were given, as they are kept: sorted by their bytes, each once.
fn read(given: &str) -> Result<Vec<String>> {
    serde_json::from_str(given).map_err(Error::internal)
}

/// How many identities were given.
pub(super) fn count_of(given: &str) -> usize {
    read(given).map_or(0, |identities| identities.len())
}
