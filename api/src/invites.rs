//! Invites to a channel.

use actix_web::{delete, get, post, web::Json};
use hubbub_core::{
    Ctx, Error,
    input::Identity,
    invites::{self, InviteView, NewInvite},
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{
    answer::{Created, Deleted},
    call::Call,
    paging::{Meta, PageParams},
    refusal::Result,
    routes::Register,
};

pub(crate) fn routes(to: &mut impl Register) {
    to.add(create);
    to.add(list);
    to.add(fetch);
    to.add(remove);
}

/// An invite to make.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
struct CreateInvite {
    /// Who: a user that exists.
    identity: String,
    /// The role that the user will have: of type `channel`; the service's default otherwise.
    role_sid: Option<String>,
}

impl TryFrom<CreateInvite> for NewInvite {
    type Error = Error;

    fn try_from(form: CreateInvite) -> Result<Self, Error> {
        Ok(Self {
            identity: Identity::parse(&form.identity)?,
            role_sid: form.role_sid,
        })
    }
}

/// Invite a user, who hears of it and may accept or decline.
#[utoipa::path(
    tag = "Invite",
    operation_id = "CreateInvite",
    request_body(content = CreateInvite, content_type = "application/x-www-form-urlencoded"),
    responses((status = 201, description = "Created", body = InviteView))
)]
#[post("/v2/Services/{ServiceSid}/Channels/{ChannelSid}/Invites")]
async fn create(call: Call<Ctx>) -> Result<Created<InviteView>> {
    let form: CreateInvite = call.body()?;
    let invite = invites::create(&call.ctx, &call.at("ChannelSid")?, form.try_into()?).await?;
    Ok(Created(invites::view(&invite, call.ctx.account(), &call.base)))
}

/// Which invites.
#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "PascalCase")]
#[into_params(parameter_in = Query)]
struct ListInvites {
    /// Those of this identity; may be repeated.
    #[serde(rename = "Identity", default)]
    identities: Vec<String>,
}

/// A page of invites.
#[derive(Serialize, ToSchema)]
struct InvitePage {
    meta: Meta,
    invites: Vec<InviteView>,
}

/// List the channel's invites, oldest first.
#[utoipa::path(
    tag = "Invite",
    operation_id = "ListInvite",
    params(ListInvites, PageParams),
    responses((status = 200, description = "OK", body = InvitePage))
)]
#[get("/v2/Services/{ServiceSid}/Channels/{ChannelSid}/Invites")]
async fn list(call: Call<Ctx>) -> Result<Json<InvitePage>> {
    let paging = call.paging()?;
    let filter: ListInvites = call.query()?;
    let channel = call.at("ChannelSid")?;
    let page = invites::list(&call.ctx, &channel, &filter.identities, &paging.request).await?;
    let view = |invite: &_| invites::view(invite, call.ctx.account(), &call.base);
    let (meta, invites) = paging.answer("invites", &page, view);
    Ok(Json(InvitePage { meta, invites }))
}

/// Fetch an invite.
#[utoipa::path(
    tag = "Invite",
    operation_id = "FetchInvite",
    responses((status = 200, description = "OK", body = InviteView))
)]
#[get("/v2/Services/{ServiceSid}/Channels/{ChannelSid}/Invites/{Sid}")]
async fn fetch(call: Call<Ctx>) -> Result<Json<InviteView>> {
    let invite = invites::get(&call.ctx, &call.at("ChannelSid")?, call.at("Sid")?).await?;
    Ok(Json(invites::view(&invite, call.ctx.account(), &call.base)))
}

/// Take an invite back.
#[utoipa::path(
    tag = "Invite",
    operation_id = "DeleteInvite",
    responses((status = 204, description = "Deleted"))
)]
#[delete("/v2/Services/{ServiceSid}/Channels/{ChannelSid}/Invites/{Sid}")]
async fn remove(call: Call<Ctx>) -> Result<Deleted> {
    invites::delete(&call.ctx, &call.at("ChannelSid")?, call.at("Sid")?).await?;
    Ok(Deleted)
}
