//! Broadcasts: one-off messages to given identities, with the same ledger as campaigns.

use actix_web::{get, post, web::Json};
use hubbub_core::{
    Ctx,
    campaigns::{self, BROADCAST, CampaignSettings, CampaignView},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    answer::Created,
    call::Call,
    campaigns::{OfStatus, all_shown, quiet_hours, shown},
    openapi::{IdempotencyKey, WebhooksEnabled},
    paging::{Meta, PageParams},
    params::{Clearable, Object, Texts},
    refusal::Result,
    routes::Register,
};

pub(crate) fn routes(to: &mut impl Register) {
    to.add(create);
    to.add(list);
    to.add(fetch);
}

/// A message to given identities.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
struct CreateBroadcast {
    /// A name for people.
    friendly_name: Option<String>,
    /// `chat` (the default), in a channel for each; `sms` or `email`.
    via: Option<String>,
    /// Whom it goes to: a JSON list of at most 10,000 identities, or its text.
    #[schema(value_type = String, example = "[\"alice\", \"bob\"]")]
    identities: Texts,
    /// The unique name of the channels, a template. Left out, new channels without a name are made.
    channel_unique_name: Option<String>,
    /// The author of the messages, `system` unless given; who SMS and e-mail are from.
    from: Option<String>,
    /// The text, a template.
    #[schema(example = "Dear {{user.friendly_name|customer}}")]
    body: String,
    /// The subject of e-mail, a template.
    subject: Option<String>,
    /// The attributes of the messages: JSON in a string, whose own texts are templates.
    attributes: Option<String>,
    /// A media file.
    media_sid: Option<String>,
    /// How many recipients a second, 1 to 10000; as fast as it goes unless given.
    #[schema(value_type = Option<String>)]
    rate_per_second: Option<Clearable>,
    /// The hours in which nobody is sent anything, as of a campaign.
    #[schema(value_type = Option<String>)]
    quiet_hours: Option<Object>,
    /// Whether it only goes through the motions: everybody is skipped.
    dry_run: Option<bool>,
    /// The SID of the operator pool that a reply attaches to the channel.
    attach_pool: Option<String>,
}

impl From<CreateBroadcast> for CampaignSettings {
    fn from(form: CreateBroadcast) -> Self {
        Self {
            friendly_name: form.friendly_name,
            via: form.via,
            identities: Some(form.identities.0),
            channel_unique_name: form.channel_unique_name,
            from: form.from,
            body: Some(form.body),
            subject: form.subject,
            attributes: form.attributes,
            media_sid: form.media_sid,
            rate_per_second: form.rate_per_second.map(|number| number.0),
            quiet_hours: form.quiet_hours.map(quiet_hours),
            dry_run: form.dry_run,
            attach_pool: form.attach_pool,
            ..Self::default()
        }
    }
}

/// Send a message to up to 10,000 identities. It begins at once and answers like a campaign; its recipients are below
/// the campaign of its SID, by which it is also paused and cancelled.
#[utoipa::path(
    tag = "Broadcast",
    operation_id = "CreateBroadcast",
    params(WebhooksEnabled, IdempotencyKey),
    request_body(content = CreateBroadcast, content_type = "application/x-www-form-urlencoded"),
    responses((status = 201, description = "Created", body = CampaignView))
)]
#[post("/v2/Services/{ServiceSid}/Broadcasts")]
async fn create(call: Call<Ctx>) -> Result<Created<CampaignView>> {
    let form: CreateBroadcast = call.body()?;
    let row = campaigns::start_broadcast(&call.ctx, &form.into()).await?;
    Ok(Created(shown(&call, &row).await?))
}

/// A page of broadcasts.
#[derive(Serialize, ToSchema)]
struct BroadcastPage {
    meta: Meta,
    broadcasts: Vec<CampaignView>,
}

/// List the service's broadcasts, oldest first.
#[utoipa::path(
    tag = "Broadcast",
    operation_id = "ListBroadcast",
    params(OfStatus, PageParams),
    responses((status = 200, description = "OK", body = BroadcastPage))
)]
#[get("/v2/Services/{ServiceSid}/Broadcasts")]
async fn list(call: Call<Ctx>) -> Result<Json<BroadcastPage>> {
    let paging = call.paging()?;
    let OfStatus { status } = call.query()?;
    let page = campaigns::list(&call.ctx, BROADCAST, status.as_deref(), &paging.request).await?;
    let page = all_shown(&call, page).await?;
    let (meta, broadcasts) = paging.answer("broadcasts", &page, Clone::clone);
    Ok(Json(BroadcastPage { meta, broadcasts }))
}

/// Fetch a broadcast, and how many of its recipients stand where.
#[utoipa::path(
    tag = "Broadcast",
    operation_id = "FetchBroadcast",
    responses((status = 200, description = "OK", body = CampaignView))
)]
#[get("/v2/Services/{ServiceSid}/Broadcasts/{Sid}")]
async fn fetch(call: Call<Ctx>) -> Result<Json<CampaignView>> {
    let row = campaigns::get(&call.ctx, Some(BROADCAST), call.at("Sid")?).await?;
    Ok(Json(shown(&call, &row).await?))
}
