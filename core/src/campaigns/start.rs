//! What must be right before a campaign starts.

use serde_json::Value;

use super::{Message, audience_page, settings};
use crate::{
    attributes, audiences,
    ctx::Ctx,
    entities::{campaign, user},
    error::{Error, Result},
    providers, query,
    templates::Person,
};

/// How many of the audience the texts are filled in for.
const SAMPLE: usize = 100;

/// Checks that the campaign can start: its audience is not empty and can be found, and the texts can be filled in for
/// the first of it.
///
/// # Errors
/// 20001 naming the parameter, and the user's field when one is missing.
pub async fn check_start(ctx: &Ctx, campaign: &campaign::Model) -> Result<()> {
    settings::check(campaign)?;
    if let Some(id) = campaign.audience_id {
        let audience = audiences::find(ctx.reader(), ctx.scope(), id)
            .await?
            .ok_or_else(|| settings::no_audience(id))?;
        if let Some(filter) = &audience.filter {
            query::affordable::<user::Model>(ctx, filter).await?;
        }
    }
    let sample = audience_page(&ctx.core, campaign, None, SAMPLE).await?;
    if sample.is_empty() {
        return Err(Error::parameter(
            "AudienceSid",
            "is of an audience that is empty now: nobody would be sent anything",
        ));
    }
    try_out(ctx, campaign, &sample).await?;
    if let Some(kind) = providers::Kind::parse(&campaign.via)
        && providers::find(ctx.reader(), ctx.scope(), kind).await?.is_none()
    {
        return Err(no_provider(campaign));
    }
    Ok(())
}

/// Fills the texts in for each of these.
async fn try_out(ctx: &Ctx, campaign: &campaign::Model, sample: &[String]) -> Result<()> {
    let message = Message::of(campaign)?;
    let users = audiences::users(ctx.reader(), ctx.scope(), sample).await?;
    for identity in sample {
        let user = users.get(identity);
        let attributes = user.map_or(Value::Null, |user| attributes::read(&user.attributes));
        let person = Person {
            identity,
            friendly_name: user.and_then(|user| user.friendly_name.as_deref()),
            attributes: &attributes,
        };
        message.render(&person).map_err(|problem| {
            let shown: String = identity.chars().take(80).collect();
            let (field, why) = problem.split_once(": ").unwrap_or((problem.as_str(), ""));
            Error::parameter(
                field,
                &format!("cannot be filled in for the user '{shown}': {why}"),
            )
        })?;
    }
    Ok(())
}

fn no_provider(campaign: &campaign::Model) -> Error {
    Error::parameter(
        "Via",
        &format!(
            "is {via}, and the service has no provider for it: set one with POST /v2/Services/{}/Providers/{via}",
            campaign.service_id,
            via = campaign.via
        ),
    )
}
