//! Where SMS providers report what became of a message. They have no credentials here: what lets them in is in the address
//! that was named to them.

use actix_web::{HttpRequest, HttpResponse, post, web};
use hubbub_core::{
    Error, ErrorCode,
    providers::recipients::{self, Report},
    sid::{CampaignSid, ServiceSid},
};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use crate::{call::Segments, params::Params, refusal::Result, routes::Register, state::ApiState};

pub(crate) fn routes(to: &mut impl Register) {
    to.add(report);
}

/// What proves that the provider was told this address.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Proof {
    /// As it stands in the address that the provider was told.
    token: Option<String>,
}

/// What a provider says, in the words of Twilio's status callbacks. Further parameters are taken and not looked at.
#[derive(ToSchema)]
#[schema(rename_all = "PascalCase")]
#[expect(
    dead_code,
    reason = "it describes the form, which is read as pairs because all of it is signed"
)]
struct ReportRecipientStatus {
    /// The provider's own identifier of the message.
    message_sid: Option<String>,
    /// `queued`, `sent`, `delivered`, `undelivered`, `failed` or `read`; others change nothing.
    message_status: String,
    /// Why it failed, as a number.
    error_code: Option<String>,
}

/// Report what became of an SMS of a campaign: for the provider it was sent through, at the address that it was told.
/// When the call is signed with `X-Twilio-Signature`, the signature must be right.
#[utoipa::path(
    tag = "Campaign",
    operation_id = "ReportRecipientStatus",
    security(()),
    params(Proof),
    request_body(content = ReportRecipientStatus, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 204, description = "Taken in"),
        (status = 400, description = "It has no status"),
        (status = 403, description = "The signature is wrong"),
        (status = 404, description = "Nobody was told this address"),
    )
)]
#[post("/v2/Services/{ServiceSid}/Campaigns/{CampaignSid}/Recipients/{Place}/Status")]
async fn report(request: HttpRequest, body: web::Bytes) -> Result<HttpResponse> {
    let state = request
        .app_data::<ApiState>()
        .ok_or_else(|| Error::internal("the REST door has no state"))?;
    let segments = Segments::of(&request.match_pattern().unwrap_or_default(), request.uri().path())?;
    let proof: Proof = Params::from_form(request.query_string().as_bytes())?.read()?;
    let unreadable = || Error::with(ErrorCode::InvalidParameter, "The body must be a form in UTF-8");
    let form = std::str::from_utf8(&body).map_err(|_| unreadable())?;
    let parameters = web::Query::<Vec<(String, String)>>::from_query(form).map_err(|_| unreadable())?;
    let signature = request
        .headers()
        .get("x-twilio-signature")
        .map(|value| value.to_str().unwrap_or_default().to_owned());
    let report = Report {
        service: segments.get::<ServiceSid>("ServiceSid")?,
        campaign: segments.get::<CampaignSid>("CampaignSid")?,
        place: segments.get::<i64>("Place")?,
        token: proof.token.unwrap_or_default(),
        signature,
        parameters: parameters.into_inner(),
    };
    recipients::accept(state.core(), &report).await?;
    Ok(HttpResponse::NoContent().finish())
}
