//! Audiences: whom campaigns go to.

use actix_web::{delete, get, post, web::Json};
use hubbub_core::{
    Ctx, Error, ErrorCode,
    audiences::{self, AudienceView, Format, NewAudience, Preview, Report, Upload},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    answer::{Created, Deleted},
    call::{Call, Streamed},
    openapi::{IdempotencyKey, WebhooksEnabled},
    paging::{Meta, PageParams},
    params::Texts,
    refusal::Result,
    routes::Register,
};

pub(crate) fn routes(to: &mut impl Register) {
    to.add(create);
    to.add(list);
    to.add(fetch);
    to.add(update);
    to.add(remove);
    to.add(upload);
    to.add(preview);
}

/// An audience to make.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
struct CreateAudience {
    /// A name for people.
    friendly_name: Option<String>,
    /// Which users: as `Filter` of their list, JSON in a string. Not with `Identities`.
    #[schema(example = "{\"attributes.city\": \"Lyon\"}")]
    filter: Option<String>,
    /// Whom: a JSON list of at most 10,000 identities, or its text. They need not be users yet. More go by `Upload`.
    #[schema(value_type = Option<String>, example = "[\"alice\", \"bob\"]")]
    identities: Option<Texts>,
}

/// Create an audience: a filter over users, or a list, which is empty without identities.
#[utoipa::path(
    tag = "Audience",
    operation_id = "CreateAudience",
    params(IdempotencyKey),
    request_body(content = CreateAudience, content_type = "application/x-www-form-urlencoded"),
    responses((status = 201, description = "Created", body = AudienceView))
)]
#[post("/v2/Services/{ServiceSid}/Audiences")]
async fn create(call: Call<Ctx>) -> Result<Created<AudienceView>> {
    let form: CreateAudience = call.body()?;
    let new = NewAudience {
        friendly_name: form.friendly_name,
        filter: form.filter,
        identities: form.identities.map(|texts| texts.0),
    };
    let audience = audiences::create(&call.ctx, new).await?;
    Ok(Created(audiences::view(&audience, &call.base)))
}

/// A page of audiences.
#[derive(Serialize, ToSchema)]
struct AudiencePage {
    meta: Meta,
    audiences: Vec<AudienceView>,
}

/// List the service's audiences, oldest first.
#[utoipa::path(
    tag = "Audience",
    operation_id = "ListAudience",
    params(PageParams),
    responses((status = 200, description = "OK", body = AudiencePage))
)]
#[get("/v2/Services/{ServiceSid}/Audiences")]
async fn list(call: Call<Ctx>) -> Result<Json<AudiencePage>> {
    let paging = call.paging()?;
    let page = audiences::list(&call.ctx, &paging.request).await?;
    let (meta, audiences) = paging.answer("audiences", &page, |row| audiences::view(row, &call.base));
    Ok(Json(AudiencePage { meta, audiences }))
}

/// Fetch an audience.
#[utoipa::path(
    tag = "Audience",
    operation_id = "FetchAudience",
    responses((status = 200, description = "OK", body = AudienceView))
)]
#[get("/v2/Services/{ServiceSid}/Audiences/{Sid}")]
async fn fetch(call: Call<Ctx>) -> Result<Json<AudienceView>> {
    let audience = audiences::get(&call.ctx, call.at("Sid")?).await?;
    Ok(Json(audiences::view(&audience, &call.base)))
}

/// What to change of an audience. A filter stays a filter, and a list a list.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
struct UpdateAudience {
    /// Empty clears it.
    friendly_name: Option<String>,
    /// Which users; of a filter only.
    filter: Option<String>,
    /// Who takes the place of all who are in it; of a list only.
    #[schema(value_type = Option<String>)]
    identities: Option<Texts>,
}

/// Update an audience. Campaigns that have begun keep their recipients.
#[utoipa::path(
    tag = "Audience",
    operation_id = "UpdateAudience",
    params(IdempotencyKey),
    request_body(content = UpdateAudience, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, description = "OK", body = AudienceView))
)]
#[post("/v2/Services/{ServiceSid}/Audiences/{Sid}")]
async fn update(call: Call<Ctx>) -> Result<Json<AudienceView>> {
    let form: UpdateAudience = call.body()?;
    let update = audiences::UpdateAudience {
        friendly_name: form.friendly_name,
        filter: form.filter,
        identities: form.identities.map(|texts| texts.0),
    };
    let audience = audiences::update(&call.ctx, call.at("Sid")?, update).await?;
    Ok(Json(audiences::view(&audience, &call.base)))
}

/// Delete an audience. Refused while a campaign names it whose recipients are not known yet.
#[utoipa::path(
    tag = "Audience",
    operation_id = "DeleteAudience",
    responses((status = 204, description = "Deleted"))
)]
#[delete("/v2/Services/{ServiceSid}/Audiences/{Sid}")]
async fn remove(call: Call<Ctx>) -> Result<Deleted> {
    audiences::delete(&call.ctx, call.at("Sid")?).await?;
    Ok(Deleted)
}

/// Upload identities into a list, of up to 256 MiB: they are added to those who are in it.
///
/// `text/csv`: the first line names the columns. One is `identity`; the others become attributes of the users, whom
/// they are merged into (texts; a dot in a name leads into an object; an empty cell leaves the attribute as it is).
/// `application/x-ndjson`: an object a line, with `identity`, and with attributes as further fields or in `attributes`
/// (null takes an attribute away). Users who are not there spring up. A row that is wrong is told of by the line that
/// it begins in, and stops none of the others. An upload that broke off can be sent again.
#[utoipa::path(
    tag = "Audience",
    operation_id = "UploadAudience",
    params(WebhooksEnabled, IdempotencyKey),
    request_body(content((String = "text/csv"), (String = "application/x-ndjson"))),
    responses((status = 200, description = "OK", body = Report))
)]
#[post("/v2/Services/{ServiceSid}/Audiences/{Sid}/Upload")]
async fn upload(mut streamed: Streamed<Ctx>) -> Result<Json<Report>> {
    let report = take_in(&mut streamed).await;
    if report.is_err() {
        streamed.discard().await;
    }
    Ok(Json(report?))
}

async fn take_in(streamed: &mut Streamed<Ctx>) -> Result<Report, Error> {
    let call = &streamed.call;
    let id = call.at("Sid")?;
    let format = call.media_type().and_then(Format::of);
    audiences::get(&call.ctx, id).await?;
    let format = format.ok_or_else(|| {
        Error::with(
            ErrorCode::InvalidParameter,
            "Content-Type must be text/csv or application/x-ndjson",
        )
    })?;
    let mut taking = Upload::begin(&call.ctx, id, format).await?;
    while let Some(piece) = streamed.next().await? {
        taking.feed(&piece).await?;
    }
    taking.finish().await
}

/// Fetch what an audience comes to: how many it has now, and ten of them.
#[utoipa::path(
    tag = "Audience",
    operation_id = "FetchAudiencePreview",
    responses((status = 200, description = "OK", body = Preview))
)]
#[get("/v2/Services/{ServiceSid}/Audiences/{Sid}/Preview")]
async fn preview(call: Call<Ctx>) -> Result<Json<Preview>> {
    Ok(Json(audiences::preview(&call.ctx, call.at("Sid")?).await?))
}
