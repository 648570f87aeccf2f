//! Campaigns.

use actix_web::{
    HttpResponse, delete, get,
    http::header,
    post,
    web::{Bytes, Json},
};
use futures_util::stream;
use hubbub_core::{
    Ctx, Error,
    campaigns::{self, CAMPAIGN, CampaignSettings, CampaignView, EXPORT_HEADER, RecipientView},
    entities::campaign,
    paging::Page,
    sid::CampaignSid,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{
    answer::{Created, Deleted},
    call::Call,
    openapi::{IdempotencyKey, WebhooksEnabled},
    paging::{Meta, PageParams},
    params::{Clearable, ClearableDate, Object, Texts},
    refusal::Result,
    routes::Register,
};

pub(crate) fn routes(to: &mut impl Register) {
    to.add(create);
    to.add(list);
    to.add(fetch);
    to.add(update);
    to.add(remove);
    to.add(recipients);
    to.add(export);
}

/// What a campaign is. In an update, what is left out stays as it is, and an empty text clears what may be missing.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct CampaignForm {
    /// A name for people.
    friendly_name: Option<String>,
    /// `group`: one channel with all as its members; `individual`: a channel for each, found by its unique name or
    /// made; `broadcast`: one way, in a channel where nobody can reply, or by SMS or e-mail. A new campaign needs it.
    #[schema(example = "individual")]
    mode: Option<String>,
    /// `chat` (the default); with `Mode=broadcast` also `sms` or `email`.
    via: Option<String>,
    /// Whom it goes to: an audience, resolved when the campaign starts. Either this or `Identities` is needed.
    audience_sid: Option<String>,
    /// Whom it goes to: a JSON list of at most 10,000 identities, or its text.
    #[schema(value_type = Option<String>)]
    identities: Option<Texts>,
    /// The unique name of its channels, a template with `Mode=individual`. Left out, new channels without a name are
    /// made.
    #[schema(example = "support:{{user.identity}}")]
    channel_unique_name: Option<String>,
    /// The author of its messages, `system` unless given; who SMS and e-mail are from.
    from: Option<String>,
    /// The text, a template: `{{user.identity}}`, `{{user.friendly_name}}`, `{{user.attributes.a.b}}`; with a default
    /// `{{user.attributes.a|text}}`. Needed.
    #[schema(example = "Dear {{user.friendly_name|customer}}")]
    body: Option<String>,
    /// The subject of e-mail, a template.
    subject: Option<String>,
    /// The attributes of its messages: JSON in a string, whose own texts are templates.
    attributes: Option<String>,
    /// A media file.
    media_sid: Option<String>,
    /// When it begins, once it is started: a date in the future.
    #[schema(value_type = Option<String>, format = DateTime)]
    send_at: Option<ClearableDate>,
    /// How many recipients a second, 1 to 10000; as fast as it goes unless given.
    #[schema(value_type = Option<String>, example = "50")]
    rate_per_second: Option<Clearable>,
    /// The hours in which nobody is sent anything, JSON: by the user's own clock (`time_zone` of its attributes), or
    /// else in this zone.
    #[schema(value_type = Option<String>, example = "{\"start\": \"21:00\", \"end\": \"08:00\", \"time_zone\": \"Europe/Berlin\"}")]
    quiet_hours: Option<Object>,
    /// Whether it only goes through the motions: everybody is skipped.
    dry_run: Option<bool>,
    /// The SID of the operator pool that a reply attaches to the channel.
    attach_pool: Option<String>,
}

impl From<CampaignForm> for CampaignSettings {
    fn from(form: CampaignForm) -> Self {
        Self {
            friendly_name: form.friendly_name,
            mode: form.mode,
            via: form.via,
            audience_sid: form.audience_sid,
            identities: form.identities.map(|texts| texts.0),
            channel_unique_name: form.channel_unique_name,
            from: form.from,
            body: form.body,
            subject: form.subject,
            attributes: form.attributes,
            media_sid: form.media_sid,
            send_at: form.send_at.map(|date| date.0),
            rate_per_second: form.rate_per_second.map(|number| number.0),
            quiet_hours: form.quiet_hours.map(quiet_hours),
            dry_run: form.dry_run,
            attach_pool: form.attach_pool,
        }
    }
}

/// The JSON of an object; without any field it clears.
pub(crate) fn quiet_hours(object: Object) -> String {
    if object.0.is_empty() {
        String::new()
    } else {
        serde_json::Value::Object(object.0).to_string()
    }
}

/// The campaign as it stands.
pub(crate) async fn shown(call: &Call<Ctx>, row: &campaign::Model) -> Result<CampaignView> {
    let counts = campaigns::counts(call.ctx.reader(), call.ctx.scope(), &[row.id]).await?;
    Ok(campaigns::view(row, counts.get(&row.id), &call.base))
}

/// The campaigns of a page as they stand.
pub(crate) async fn all_shown(call: &Call<Ctx>, page: Page<campaign::Model>) -> Result<Page<CampaignView>> {
    let ids: Vec<CampaignSid> = page.items.iter().map(|row| row.id).collect();
    let counts = campaigns::counts(call.ctx.reader(), call.ctx.scope(), &ids).await?;
    Ok(page.map(|row| campaigns::view(&row, counts.get(&row.id), &call.base)))
}

/// Create a campaign, a draft.
#[utoipa::path(
    tag = "Campaign",
    operation_id = "CreateCampaign",
    params(WebhooksEnabled, IdempotencyKey),
    request_body(content = CampaignForm, content_type = "application/x-www-form-urlencoded"),
    responses((status = 201, description = "Created", body = CampaignView))
)]
#[post("/v2/Services/{ServiceSid}/Campaigns")]
async fn create(call: Call<Ctx>) -> Result<Created<CampaignView>> {
    let form: CampaignForm = call.body()?;
    let row = campaigns::create(&call.ctx, &form.into()).await?;
    Ok(Created(campaigns::view(&row, None, &call.base)))
}

/// Which campaigns.
#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "PascalCase")]
#[into_params(parameter_in = Query)]
pub(crate) struct OfStatus {
    /// Those that stand so.
    pub(crate) status: Option<String>,
}

/// A page of campaigns.
#[derive(Serialize, ToSchema)]
struct CampaignPage {
    meta: Meta,
    campaigns: Vec<CampaignView>,
}

/// List the service's campaigns, oldest first.
#[utoipa::path(
    tag = "Campaign",
    operation_id = "ListCampaign",
    params(OfStatus, PageParams),
    responses((status = 200, description = "OK", body = CampaignPage))
)]
#[get("/v2/Services/{ServiceSid}/Campaigns")]
async fn list(call: Call<Ctx>) -> Result<Json<CampaignPage>> {
    let paging = call.paging()?;
    let OfStatus { status } = call.query()?;
    let page = campaigns::list(&call.ctx, CAMPAIGN, status.as_deref(), &paging.request).await?;
    let page = all_shown(&call, page).await?;
    let (meta, campaigns) = paging.answer("campaigns", &page, Clone::clone);
    Ok(Json(CampaignPage { meta, campaigns }))
}

/// Fetch a campaign, and how many of its recipients stand where.
#[utoipa::path(
    tag = "Campaign",
    operation_id = "FetchCampaign",
    responses((status = 200, description = "OK", body = CampaignView))
)]
#[get("/v2/Services/{ServiceSid}/Campaigns/{Sid}")]
async fn fetch(call: Call<Ctx>) -> Result<Json<CampaignView>> {
    let row = campaigns::get(&call.ctx, None, call.at("Sid")?).await?;
    Ok(Json(shown(&call, &row).await?))
}

/// What to do with a campaign, and what to change of it while it has not begun.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[expect(dead_code, reason = "read in two; this is its description")]
struct UpdateCampaign {
    #[serde(flatten)]
    settings: CampaignForm,
    /// `running`, `paused` or `cancelled`.
    status: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct StatusForm {
    status: Option<String>,
}

/// Update a campaign: edit it until it begins, and start, pause, resume or cancel it.
///
/// `Status=running` starts it, at `SendAt` when it has one, or goes on with a paused one; `paused` and `cancelled` hold
/// from the answer on: nothing is sent after it.
#[utoipa::path(
    tag = "Campaign",
    operation_id = "UpdateCampaign",
    params(WebhooksEnabled, IdempotencyKey),
    request_body(content = UpdateCampaign, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, description = "OK", body = CampaignView))
)]
#[post("/v2/Services/{ServiceSid}/Campaigns/{Sid}")]
async fn update(call: Call<Ctx>) -> Result<Json<CampaignView>> {
    let form: CampaignForm = call.body()?;
    let StatusForm { status } = call.body()?;
    let row = campaigns::update(&call.ctx, call.at("Sid")?, &form.into(), status.as_deref()).await?;
    Ok(Json(shown(&call, &row).await?))
}

/// Delete a campaign that has not been started or has ended. Channels and messages stay.
#[utoipa::path(
    tag = "Campaign",
    operation_id = "DeleteCampaign",
    responses((status = 204, description = "Deleted"))
)]
#[delete("/v2/Services/{ServiceSid}/Campaigns/{Sid}")]
async fn remove(call: Call<Ctx>) -> Result<Deleted> {
    campaigns::delete(&call.ctx, call.at("Sid")?).await?;
    Ok(Deleted)
}

/// A page of recipients.
#[derive(Serialize, ToSchema)]
struct RecipientPage {
    meta: Meta,
    recipients: Vec<RecipientView>,
}

/// List a campaign's recipients, and what became of each.
#[utoipa::path(
    tag = "Campaign",
    operation_id = "ListCampaignRecipient",
    params(OfStatus, PageParams<1000>),
    responses((status = 200, description = "OK", body = RecipientPage))
)]
#[get("/v2/Services/{ServiceSid}/Campaigns/{Sid}/Recipients")]
async fn recipients(call: Call<Ctx>) -> Result<Json<RecipientPage>> {
    let paging = call.paging_up_to(1000)?;
    let OfStatus { status } = call.query()?;
    let (campaign, page) =
        campaigns::recipients(&call.ctx, call.at("Sid")?, status.as_deref(), &paging.request).await?;
    let view = |row: &_| campaigns::recipient_view(&campaign, row);
    let (meta, recipients) = paging.answer("recipients", &page, view);
    Ok(Json(RecipientPage { meta, recipients }))
}

/// Fetch all of a campaign's recipients as CSV, however many they are.
///
/// The columns are `identity, status, channel_sid, message_sid, error, date_updated`. An apostrophe stands before what
/// a spreadsheet would take for a formula: cells that begin with `=`, `@`, a tab or an end of line, and with `+` or `-`
/// unless only digits follow.
#[utoipa::path(
    tag = "Campaign",
    operation_id = "FetchCampaignExport",
    responses((status = 200, description = "OK", content_type = "text/csv", body = String))
)]
#[get("/v2/Services/{ServiceSid}/Campaigns/{Sid}/Export")]
async fn export(call: Call<Ctx>) -> Result<HttpResponse> {
    let campaign = campaigns::get(&call.ctx, None, call.at("Sid")?).await?;
    let name = format!("attachment; filename=\"{}.csv\"", campaign.id);
    let begin = Export {
        ctx: call.ctx,
        campaign,
        behind: None,
        begun: false,
    };
    Ok(HttpResponse::Ok()
        .content_type("text/csv; charset=utf-8")
        .insert_header((header::CONTENT_DISPOSITION, name))
        .streaming(stream::try_unfold(begin, Export::next)))
}

/// How far an export has come.
struct Export {
    ctx: Ctx,
    campaign: campaign::Model,
    behind: Option<i64>,
    begun: bool,
}

impl Export {
    async fn next(mut self) -> Result<Option<(Bytes, Self)>, Error> {
        if !self.begun {
            self.begun = true;
            return Ok(Some((Bytes::from_static(EXPORT_HEADER.as_bytes()), self)));
        }
        let portion = campaigns::export_portion(&self.ctx, &self.campaign, self.behind).await?;
        Ok(portion.map(|(lines, last)| {
            self.behind = Some(last);
            (Bytes::from(lines), self)
        }))
    }
}
