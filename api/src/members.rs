//! Members of a channel, addressed by SID or identity.

use actix_web::{delete, get, post, web::Json};
use hubbub_core::{
    Ctx, Error,
    input::Identity,
    members::{self, MemberView, NewMember},
    query::Explain,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{
    answer::{Created, Deleted},
    asked::AskedParams,
    batch::{self, Batch, Item},
    call::Call,
    openapi::{IdempotencyKey, WebhooksEnabled},
    paging::{Meta, PageParams},
    params::{Clearable, Date},
    refusal::Result,
    routes::Register,
};

pub(crate) fn routes(to: &mut impl Register) {
    to.add(create);
    to.add(create_batch);
    to.add(list);
    to.add(fetch);
    to.add(update);
    to.add(remove);
}

/// A member to add.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
struct CreateMember {
    /// Who; the user springs up when it is new.
    identity: String,
    /// A role of type `channel`; the service's default otherwise.
    role_sid: Option<String>,
    /// The read horizon.
    #[schema(value_type = Option<i64>)]
    last_consumed_message_index: Option<Clearable>,
    /// When the read horizon was set.
    #[schema(value_type = Option<String>, format = DateTime)]
    last_consumption_timestamp: Option<Date>,
    /// For imports.
    #[schema(value_type = Option<String>, format = DateTime)]
    date_created: Option<Date>,
    /// For imports.
    #[schema(value_type = Option<String>, format = DateTime)]
    date_updated: Option<Date>,
    /// JSON in a string.
    attributes: Option<String>,
}

impl TryFrom<CreateMember> for NewMember {
    type Error = Error;

    fn try_from(form: CreateMember) -> Result<Self, Error> {
        Ok(Self {
            identity: Identity::parse(&form.identity)?,
            role_sid: form.role_sid,
            attributes: form.attributes,
            last_consumed_message_index: form.last_consumed_message_index.and_then(|index| index.0),
            last_consumption_timestamp: form.last_consumption_timestamp.map(Into::into),
            date_created: form.date_created.map(Into::into),
            date_updated: form.date_updated.map(Into::into),
        })
    }
}

/// Add a member.
#[utoipa::path(
    tag = "Member",
    operation_id = "CreateMember",
    params(WebhooksEnabled),
    request_body(content = CreateMember, content_type = "application/x-www-form-urlencoded"),
    responses((status = 201, description = "Created", body = MemberView))
)]
#[post("/v2/Services/{ServiceSid}/Channels/{ChannelSid}/Members")]
async fn create(call: Call<Ctx>) -> Result<Created<MemberView>> {
    let form: CreateMember = call.body()?;
    let member = members::create(&call.ctx, &call.at("ChannelSid")?, form.try_into()?).await?;
    Ok(Created(members::view(&member, call.ctx.account(), &call.base)))
}

type MemberItem = Item<CreateMember>;

/// Members to add.
#[derive(ToSchema)]
#[expect(dead_code, reason = "read item by item; this is its description")]
struct CreateMembers {
    /// A JSON list, or its text.
    #[schema(rename = "Items", max_items = 1000)]
    items: Vec<MemberItem>,
}

/// Add up to 1,000 members at once; each is answered for itself, in order.
#[utoipa::path(
    tag = "Member",
    operation_id = "CreateMemberBatch",
    params(WebhooksEnabled, IdempotencyKey),
    request_body(content = CreateMembers, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, description = "OK", body = Batch<MemberView>))
)]
#[post("/v2/Services/{ServiceSid}/Channels/{ChannelSid}/Members/Batch")]
async fn create_batch(call: Call<Ctx>) -> Result<Json<Batch<MemberView>>> {
    let new = call.items::<CreateMember, NewMember>()?;
    let members = members::create_all(&call.ctx, &call.at("ChannelSid")?, new).await?;
    Ok(batch::answer(members, |member| {
        members::view(member, call.ctx.account(), &call.base)
    }))
}

/// Which members.
#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "PascalCase")]
#[into_params(parameter_in = Query)]
struct ListMembers {
    /// Those of this identity; may be repeated.
    #[serde(rename = "Identity", default)]
    identities: Vec<String>,
}

/// A page of members.
#[derive(Serialize, ToSchema)]
struct MemberPage {
    meta: Meta,
    members: Vec<MemberView>,
    /// How the items were found; only with `Explain=true`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    explain: Option<Explain>,
}

/// List the channel's members: oldest first, or as they are asked for.
#[utoipa::path(
    tag = "Member",
    operation_id = "ListMember",
    params(ListMembers, AskedParams, PageParams),
    responses((status = 200, description = "OK", body = MemberPage))
)]
#[get("/v2/Services/{ServiceSid}/Channels/{ChannelSid}/Members")]
async fn list(call: Call<Ctx>) -> Result<Json<MemberPage>> {
    let paging = call.paging()?;
    let filter: ListMembers = call.query()?;
    let channel = call.at("ChannelSid")?;
    let (asked, identities) = (call.asked()?, &filter.identities);
    let found = members::search(&call.ctx, &channel, identities, &asked, &paging.request).await?;
    let view = |member: &_| members::view(member, call.ctx.account(), &call.base);
    let (meta, members) = paging.answer("members", &found.page, view);
    Ok(Json(MemberPage {
        meta,
        members,
        explain: found.explain,
    }))
}

/// Fetch a member.
#[utoipa::path(
    tag = "Member",
    operation_id = "FetchMember",
    responses((status = 200, description = "OK", body = MemberView))
)]
#[get("/v2/Services/{ServiceSid}/Channels/{ChannelSid}/Members/{Sid}")]
async fn fetch(call: Call<Ctx>) -> Result<Json<MemberView>> {
    let member = members::get(&call.ctx, &call.at("ChannelSid")?, &call.at("Sid")?).await?;
    Ok(Json(members::view(&member, call.ctx.account(), &call.base)))
}

/// What to change of a member.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
struct UpdateMember {
    /// A role of type `channel`.
    role_sid: Option<String>,
    /// The read horizon; empty clears it.
    #[schema(value_type = Option<i64>)]
    last_consumed_message_index: Option<Clearable>,
    /// When the read horizon was set.
    #[schema(value_type = Option<String>, format = DateTime)]
    last_consumption_timestamp: Option<Date>,
    /// For imports.
    #[schema(value_type = Option<String>, format = DateTime)]
    date_created: Option<Date>,
    /// For imports.
    #[schema(value_type = Option<String>, format = DateTime)]
    date_updated: Option<Date>,
    /// JSON in a string.
    attributes: Option<String>,
}

impl From<UpdateMember> for members::UpdateMember {
    fn from(form: UpdateMember) -> Self {
        Self {
            role_sid: form.role_sid,
            attributes: form.attributes,
            last_consumed_message_index: form.last_consumed_message_index.map(|index| index.0),
            last_consumption_timestamp: form.last_consumption_timestamp.map(Into::into),
            notification_level: None,
            date_created: form.date_created.map(Into::into),
            date_updated: form.date_updated.map(Into::into),
        }
    }
}

/// Update a member.
#[utoipa::path(
    tag = "Member",
    operation_id = "UpdateMember",
    params(WebhooksEnabled),
    request_body(content = UpdateMember, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, description = "OK", body = MemberView))
)]
#[post("/v2/Services/{ServiceSid}/Channels/{ChannelSid}/Members/{Sid}")]
async fn update(call: Call<Ctx>) -> Result<Json<MemberView>> {
    let form: UpdateMember = call.body()?;
    let (channel, member) = (call.at("ChannelSid")?, call.at("Sid")?);
    let member = members::update(&call.ctx, &channel, &member, form.into()).await?;
    Ok(Json(members::view(&member, call.ctx.account(), &call.base)))
}

/// Remove a member.
#[utoipa::path(
    tag = "Member",
    operation_id = "DeleteMember",
    params(WebhooksEnabled),
    responses((status = 204, description = "Deleted"))
)]
#[delete("/v2/Services/{ServiceSid}/Channels/{ChannelSid}/Members/{Sid}")]
async fn remove(call: Call<Ctx>) -> Result<Deleted> {
    members::delete(&call.ctx, &call.at("ChannelSid")?, &call.at("Sid")?).await?;
    Ok(Deleted)
}
