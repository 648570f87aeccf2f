//! Channels, addressed by SID or unique name.

use actix_web::{HttpResponse, delete, get, post, put, web::Json};
use hubbub_core::{
    Ctx, Error,
    channels::{self, ChannelView, NewChannel},
    desk::CaseUpdate,
    input::Identity,
    members::NewMember,
    query::Explain,
};
use serde::{Deserialize, Serialize, de::IgnoredAny};
use utoipa::{IntoParams, ToSchema};

use crate::{
    answer::{Created, Deleted},
    asked::AskedParams,
    batch::{self, Item},
    call::Call,
    openapi::WebhooksEnabled,
    paging::{Meta, PageParams},
    params::{ClearableDate, Date},
    refusal::Result,
    routes::Register,
};

pub(crate) fn routes(to: &mut impl Register) {
    to.add(create);
    to.add(find_or_create);
    to.add(list);
    to.add(fetch);
    to.add(update);
    to.add(remove);
}

/// A channel to make.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
struct CreateChannel {
    /// A name for people.
    friendly_name: Option<String>,
    /// A name to address it by.
    unique_name: Option<String>,
    /// JSON in a string.
    attributes: Option<String>,
    /// `public` (the default) or `private`.
    #[serde(rename = "Type")]
    kind: Option<String>,
    /// For imports.
    #[schema(value_type = Option<String>, format = DateTime)]
    date_created: Option<Date>,
    /// For imports.
    #[schema(value_type = Option<String>, format = DateTime)]
    date_updated: Option<Date>,
    /// For imports; `system` otherwise.
    created_by: Option<String>,
}

impl From<CreateChannel> for NewChannel {
    fn from(form: CreateChannel) -> Self {
        Self {
            friendly_name: form.friendly_name,
            unique_name: form.unique_name,
            attributes: form.attributes,
            kind: form.kind,
            date_created: form.date_created.map(Into::into),
            date_updated: form.date_updated.map(Into::into),
            created_by: form.created_by,
        }
    }
}

/// Create a channel.
#[utoipa::path(
    tag = "Channel",
    operation_id = "CreateChannel",
    params(WebhooksEnabled),
    request_body(content = CreateChannel, content_type = "application/x-www-form-urlencoded"),
    responses((status = 201, description = "Created", body = ChannelView))
)]
#[post("/v2/Services/{ServiceSid}/Channels")]
async fn create(call: Call<Ctx>) -> Result<Created<ChannelView>> {
    let form: CreateChannel = call.body()?;
    let channel = channels::create(&call.ctx, form.into()).await?;
    Ok(Created(channels::view(&channel, call.ctx.account(), &call.base)))
}

type WantedItem = Item<WantedMember>;

/// The channel of a name, and who is to be in it.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
struct FindOrCreateChannel {
    /// A name for people, when the channel is made.
    friendly_name: Option<String>,
    /// JSON in a string, when the channel is made.
    attributes: Option<String>,
    /// `public` (the default) or `private`, when the channel is made.
    #[serde(rename = "Type")]
    kind: Option<String>,
    /// A JSON list of `{identity, role_sid?, attributes?}`, or its text; each becomes a member who is none yet.
    #[serde(default)]
    #[schema(value_type = Vec<WantedItem>, required = false, max_items = 1000)]
    #[expect(dead_code, reason = "read item by item; this is its description")]
    members: IgnoredAny,
}

/// Who is to be a member.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
struct WantedMember {
    /// Who; the user springs up when it is new.
    identity: String,
    /// A role of type `channel`; the service's default otherwise.
    role_sid: Option<String>,
    /// JSON in a string.
    attributes: Option<String>,
}

impl TryFrom<WantedMember> for NewMember {
    type Error = Error;

    fn try_from(form: WantedMember) -> Result<Self, Error> {
        Ok(Self {
            role_sid: form.role_sid,
            attributes: form.attributes,
            ..Self::new(Identity::parse(&form.identity)?)
        })
    }
}

/// The channel, and whether this call made it.
#[derive(Serialize, ToSchema)]
struct FoundOrCreatedView {
    #[serde(flatten)]
    channel: ChannelView,
    created: bool,
}

/// Find the channel of this unique name or create it, and add the members who are missing, all at once or not at all.
/// An existing channel and its existing members stay as they are.
#[utoipa::path(
    tag = "Channel",
    operation_id = "FindOrCreateChannel",
    params(WebhooksEnabled),
    request_body(content = FindOrCreateChannel, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, description = "Found", body = FoundOrCreatedView),
        (status = 201, description = "Created", body = FoundOrCreatedView)
    )
)]
#[put("/v2/Services/{ServiceSid}/Channels/{Sid}")]
async fn find_or_create(call: Call<Ctx>) -> Result<HttpResponse> {
    let form: FindOrCreateChannel = call.body()?;
    let members = call.list("Members")?.unwrap_or_default();
    let members = batch::items::<WantedMember, NewMember>("Members", members)
        .into_iter()
        .collect::<Result<Vec<_>, _>>()?;
    let new = NewChannel {
        unique_name: Some(call.at("Sid")?),
        friendly_name: form.friendly_name,
        attributes: form.attributes,
        kind: form.kind,
        ..NewChannel::default()
    };
    let found = channels::find_or_create(&call.ctx, &new, &members).await?;
    let mut answer = if found.created {
        HttpResponse::Created()
    } else {
        HttpResponse::Ok()
    };
    Ok(answer.json(FoundOrCreatedView {
        channel: channels::view(&found.channel, call.ctx.account(), &call.base),
        created: found.created,
    }))
}

/// Which channels.
#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "PascalCase")]
#[into_params(parameter_in = Query)]
struct ListChannels {
    /// `public` (the default) or `private`; may be repeated. With `Filter` the default is both.
    #[serde(rename = "Type", default)]
    kinds: Vec<String>,
}

impl ListChannels {
    fn kinds(&self) -> Result<Vec<&'static str>, Error> {
        let kind = |text: &String| match text.as_str() {
            channels::PUBLIC => Ok(channels::PUBLIC),
            channels::PRIVATE => Ok(channels::PRIVATE),
            _ => Err(Error::parameter("Type", "must be public or private")),
        };
        self.kinds.iter().map(kind).collect()
    }
}

/// A page of channels.
#[derive(Serialize, ToSchema)]
struct ChannelPage {
    meta: Meta,
    channels: Vec<ChannelView>,
    /// How the items were found; only with `Explain=true`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    explain: Option<Explain>,
}

/// List the service's channels: oldest first, or as they are asked for.
#[utoipa::path(
    tag = "Channel",
    operation_id = "ListChannel",
    params(ListChannels, AskedParams, PageParams),
    responses((status = 200, description = "OK", body = ChannelPage))
)]
#[get("/v2/Services/{ServiceSid}/Channels")]
async fn list(call: Call<Ctx>) -> Result<Json<ChannelPage>> {
    let paging = call.paging()?;
    let filter: ListChannels = call.query()?;
    let found = channels::search(&call.ctx, &filter.kinds()?, &call.asked()?, &paging.request).await?;
    let view = |channel: &_| channels::view(channel, call.ctx.account(), &call.base);
    let (meta, channels) = paging.answer("channels", &found.page, view);
    Ok(Json(ChannelPage {
        meta,
        channels,
        explain: found.explain,
    }))
}

/// Fetch a channel.
#[utoipa::path(
    tag = "Channel",
    operation_id = "FetchChannel",
    responses((status = 200, description = "OK", body = ChannelView))
)]
#[get("/v2/Services/{ServiceSid}/Channels/{Sid}")]
async fn fetch(call: Call<Ctx>) -> Result<Json<ChannelView>> {
    let channel = channels::get(&call.ctx, &call.at("Sid")?).await?;
    Ok(Json(channels::view(&channel, call.ctx.account(), &call.base)))
}

/// What to change of a channel.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
struct UpdateChannel {
    /// Empty clears it.
    friendly_name: Option<String>,
    /// Empty clears it.
    unique_name: Option<String>,
    /// JSON in a string.
    attributes: Option<String>,
    /// For imports.
    #[schema(value_type = Option<String>, format = DateTime)]
    date_created: Option<Date>,
    /// For imports.
    #[schema(value_type = Option<String>, format = DateTime)]
    date_updated: Option<Date>,
    /// For imports.
    created_by: Option<String>,
    /// `open`, `snoozed` or `closed`; closing detaches the pool. For backends, and operators of the channel's pool.
    state: Option<String>,
    /// An operator of the channel's pool; empty for nobody.
    assignee: Option<String>,
    /// The pool of operators that is to reach it; empty for none.
    pool_sid: Option<String>,
    /// When a snoozed case opens again; it is snoozed by that alone. Empty: when its user writes.
    #[schema(value_type = Option<String>, format = DateTime)]
    snooze_until: Option<ClearableDate>,
}

impl From<UpdateChannel> for channels::UpdateChannel {
    fn from(form: UpdateChannel) -> Self {
        Self {
            friendly_name: form.friendly_name,
            unique_name: form.unique_name,
            attributes: form.attributes,
            date_created: form.date_created.map(Into::into),
            date_updated: form.date_updated.map(Into::into),
            created_by: form.created_by,
            case: CaseUpdate {
                state: form.state,
                assignee: form.assignee,
                pool_sid: form.pool_sid,
                snooze_until: form.snooze_until.map(|date| date.0),
            },
        }
    }
}

/// Update a channel.
#[utoipa::path(
    tag = "Channel",
    operation_id = "UpdateChannel",
    params(WebhooksEnabled),
    request_body(content = UpdateChannel, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, description = "OK", body = ChannelView))
)]
#[post("/v2/Services/{ServiceSid}/Channels/{Sid}")]
async fn update(call: Call<Ctx>) -> Result<Json<ChannelView>> {
    let form: UpdateChannel = call.body()?;
    let channel = channels::update(&call.ctx, &call.at("Sid")?, form.into()).await?;
    Ok(Json(channels::view(&channel, call.ctx.account(), &call.base)))
}

/// Delete a channel with everything in it.
#[utoipa::path(
    tag = "Channel",
    operation_id = "DeleteChannel",
    params(WebhooksEnabled),
    responses((status = 204, description = "Deleted"))
)]
#[delete("/v2/Services/{ServiceSid}/Channels/{Sid}")]
async fn remove(call: Call<Ctx>) -> Result<Deleted> {
    channels::delete(&call.ctx, &call.at("Sid")?).await?;
    Ok(Deleted)
}
