//! Channels that a user has joined or is invited to.

use actix_web::{delete, get, post, web::Json};
use hubbub_core::{
    Ctx,
    query::Explain,
    user_channels::{self, UserChannelView},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    answer::Deleted,
    asked::AskedParams,
    call::Call,
    openapi::WebhooksEnabled,
    paging::{Meta, PageParams},
    params::{Clearable, Date},
    refusal::Result,
    routes::Register,
};

/// The largest page, as Twilio has it.
const MOST: u64 = 50;

pub(crate) fn routes(to: &mut impl Register) {
    to.add(list);
    to.add(fetch);
    to.add(update);
    to.add(remove);
}

/// A page of a user's channels.
#[derive(Serialize, ToSchema)]
struct UserChannelPage {
    meta: Meta,
    channels: Vec<UserChannelView>,
    /// How the items were found; only with `Explain=true`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    explain: Option<Explain>,
}

/// List the channels that a user has joined or is invited to: oldest channel first, or as they are asked for. Their
/// `attributes.…` are the channels'.
#[utoipa::path(
    tag = "UserChannel",
    operation_id = "ListUserChannel",
    params(AskedParams, PageParams<MOST>),
    responses((status = 200, description = "OK", body = UserChannelPage))
)]
#[get("/v2/Services/{ServiceSid}/Users/{UserSid}/Channels")]
async fn list(call: Call<Ctx>) -> Result<Json<UserChannelPage>> {
    let paging = call.paging_up_to(MOST)?;
    let (user, asked) = (call.at("UserSid")?, call.asked()?);
    let (user, found) = user_channels::search(&call.ctx, &user, &asked, &paging.request).await?;
    let view = |place: &_| user_channels::view(place, user.id, call.ctx.account(), &call.base);
    let (meta, channels) = paging.answer("channels", &found.page, view);
    Ok(Json(UserChannelPage {
        meta,
        channels,
        explain: found.explain,
    }))
}

/// Fetch a user's place in a channel: 404 when it is neither a member nor invited.
#[utoipa::path(
    tag = "UserChannel",
    operation_id = "FetchUserChannel",
    responses((status = 200, description = "OK", body = UserChannelView))
)]
#[get("/v2/Services/{ServiceSid}/Users/{UserSid}/Channels/{ChannelSid}")]
async fn fetch(call: Call<Ctx>) -> Result<Json<UserChannelView>> {
    let (user, place) = user_channels::get(&call.ctx, &call.at("UserSid")?, &call.at("ChannelSid")?).await?;
    let view = user_channels::view(&place, user.id, call.ctx.account(), &call.base);
    Ok(Json(view))
}

/// What to change of a user's place in a channel.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
struct UpdateUserChannel {
    /// `default` or `muted`.
    notification_level: Option<String>,
    /// The read horizon; empty clears it.
    #[schema(value_type = Option<i64>)]
    last_consumed_message_index: Option<Clearable>,
    /// When the read horizon was set.
    #[schema(value_type = Option<String>, format = DateTime)]
    last_consumption_timestamp: Option<Date>,
}

impl From<UpdateUserChannel> for user_channels::UpdateUserChannel {
    fn from(form: UpdateUserChannel) -> Self {
        Self {
            notification_level: form.notification_level,
            last_consumed_message_index: form.last_consumed_message_index.map(|index| index.0),
            last_consumption_timestamp: form.last_consumption_timestamp.map(Into::into),
        }
    }
}

/// Update a user's place in a channel.
#[utoipa::path(
    tag = "UserChannel",
    operation_id = "UpdateUserChannel",
    request_body(content = UpdateUserChannel, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, description = "OK", body = UserChannelView))
)]
#[post("/v2/Services/{ServiceSid}/Users/{UserSid}/Channels/{ChannelSid}")]
async fn update(call: Call<Ctx>) -> Result<Json<UserChannelView>> {
    let form: UpdateUserChannel = call.body()?;
    let (user, channel) = (call.at("UserSid")?, call.at("ChannelSid")?);
    let (user, place) = user_channels::update(&call.ctx, &user, &channel, form.into()).await?;
    let view = user_channels::view(&place, user.id, call.ctx.account(), &call.base);
    Ok(Json(view))
}

/// End a user's place in a channel: its membership, or its invite.
#[utoipa::path(
    tag = "UserChannel",
    operation_id = "DeleteUserChannel",
    params(WebhooksEnabled),
    responses((status = 204, description = "Deleted"))
)]
#[delete("/v2/Services/{ServiceSid}/Users/{UserSid}/Channels/{ChannelSid}")]
async fn remove(call: Call<Ctx>) -> Result<Deleted> {
    user_channels::leave(&call.ctx, &call.at("UserSid")?, &call.at("ChannelSid")?).await?;
    Ok(Deleted)
}
