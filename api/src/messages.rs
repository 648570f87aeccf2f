//! Messages of a channel.

use actix_web::{delete, get, post, web::Json};
use hubbub_core::{
    Ctx, Error,
    messages::{self, MessageView, NewMessage, SentView},
    paging::Order,
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
    params::Date,
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

/// A message to send.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
struct CreateMessage {
    /// The author; `system` otherwise. It need not be a member.
    from: Option<String>,
    /// JSON in a string.
    attributes: Option<String>,
    /// For imports.
    #[schema(value_type = Option<String>, format = DateTime)]
    date_created: Option<Date>,
    /// For imports.
    #[schema(value_type = Option<String>, format = DateTime)]
    date_updated: Option<Date>,
    /// For imports.
    last_updated_by: Option<String>,
    /// The text: at most 32,768 bytes of UTF-8.
    body: Option<String>,
    /// A media file.
    media_sid: Option<String>,
    /// The sender's own id of the message, 1 to 255 characters: a repeat answers with the first message. The header
    /// `Idempotency-Key` comes before it.
    client_id: Option<String>,
}

impl From<CreateMessage> for NewMessage {
    fn from(form: CreateMessage) -> Self {
        Self {
            body: form.body,
            attributes: form.attributes,
            from: form.from,
            client_id: form.client_id,
            media_sid: form.media_sid,
            date_created: form.date_created.map(Into::into),
            date_updated: form.date_updated.map(Into::into),
            last_updated_by: form.last_updated_by,
        }
    }
}

/// Send a message.
#[utoipa::path(
    tag = "Message",
    operation_id = "CreateMessage",
    params(WebhooksEnabled, IdempotencyKey),
    request_body(content = CreateMessage, content_type = "application/x-www-form-urlencoded"),
    responses((status = 201, description = "Created", body = SentView))
)]
#[post("/v2/Services/{ServiceSid}/Channels/{ChannelSid}/Messages")]
async fn create(call: Call<Ctx>) -> Result<Created<SentView>> {
    let form: CreateMessage = call.body()?;
    let mut new = NewMessage::from(form);
    new.client_id = call.idempotency_key().or(new.client_id);
    let sent = messages::send(&call.ctx, call.at("ChannelSid")?, new).await?;
    Ok(Created(messages::sent_view(
        &sent,
        call.ctx.account(),
        &call.base,
    )))
}

type MessageItem = Item<CreateMessage>;

/// Messages to send.
#[derive(ToSchema)]
#[expect(dead_code, reason = "read item by item; this is its description")]
struct CreateMessages {
    /// A JSON list, or its text.
    #[schema(rename = "Items", max_items = 1000)]
    items: Vec<MessageItem>,
}

/// Send up to 1,000 messages at once; each is answered for itself, in order, which is the order of their indexes.
#[utoipa::path(
    tag = "Message",
    operation_id = "CreateMessageBatch",
    params(WebhooksEnabled, IdempotencyKey),
    request_body(content = CreateMessages, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, description = "OK", body = Batch<SentView>))
)]
#[post("/v2/Services/{ServiceSid}/Channels/{ChannelSid}/Messages/Batch")]
async fn create_batch(call: Call<Ctx>) -> Result<Json<Batch<SentView>>> {
    let new = call.items::<CreateMessage, NewMessage>()?;
    let key = call.idempotency_key();
    let sent = messages::send_all(&call.ctx, &call.at("ChannelSid")?, new, key.as_deref()).await?;
    Ok(batch::answer(sent, |sent| {
        messages::sent_view(sent, call.ctx.account(), &call.base)
    }))
}

/// In which order.
#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "PascalCase")]
#[into_params(parameter_in = Query)]
struct ListMessages {
    /// `asc` (the default) or `desc`, by index. Not together with `Sort`.
    order: Option<String>,
}

impl ListMessages {
    fn order(&self) -> Result<Option<Order>, Error> {
        match self.order.as_deref() {
            None => Ok(None),
            Some("asc") => Ok(Some(Order::Ascending)),
            Some("desc") => Ok(Some(Order::Descending)),
            Some(_) => Err(Error::parameter("Order", "must be asc or desc")),
        }
    }
}

/// A page of messages.
#[derive(Serialize, ToSchema)]
struct MessagePage {
    meta: Meta,
    messages: Vec<MessageView>,
    /// How the items were found; only with `Explain=true`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    explain: Option<Explain>,
}

/// List the channel's messages: by index, or as they are asked for.
#[utoipa::path(
    tag = "Message",
    operation_id = "ListMessage",
    params(ListMessages, AskedParams, PageParams),
    responses((status = 200, description = "OK", body = MessagePage))
)]
#[get("/v2/Services/{ServiceSid}/Channels/{ChannelSid}/Messages")]
async fn list(call: Call<Ctx>) -> Result<Json<MessagePage>> {
    let paging = call.paging()?;
    let order = call.query::<ListMessages>()?.order()?;
    let (channel, asked) = (call.at("ChannelSid")?, call.asked()?);
    let found = messages::search(&call.ctx, &channel, order, &asked, &paging.request).await?;
    let view = |message: &_| messages::view(message, call.ctx.account(), &call.base);
    let (meta, messages) = paging.answer("messages", &found.page, view);
    Ok(Json(MessagePage {
        meta,
        messages,
        explain: found.explain,
    }))
}

/// Fetch a message.
#[utoipa::path(
    tag = "Message",
    operation_id = "FetchMessage",
    responses((status = 200, description = "OK", body = MessageView))
)]
#[get("/v2/Services/{ServiceSid}/Channels/{ChannelSid}/Messages/{Sid}")]
async fn fetch(call: Call<Ctx>) -> Result<Json<MessageView>> {
    let message = messages::get(&call.ctx, &call.at("ChannelSid")?, call.at("Sid")?).await?;
    Ok(Json(messages::view(&message, call.ctx.account(), &call.base)))
}

/// What to change of a message.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
struct UpdateMessage {
    /// The text: at most 32,768 bytes of UTF-8.
    body: Option<String>,
    /// JSON in a string.
    attributes: Option<String>,
    /// For imports.
    #[schema(value_type = Option<String>, format = DateTime)]
    date_created: Option<Date>,
    /// For imports.
    #[schema(value_type = Option<String>, format = DateTime)]
    date_updated: Option<Date>,
    /// The editor; `system` otherwise.
    last_updated_by: Option<String>,
    /// For imports.
    from: Option<String>,
}

impl From<UpdateMessage> for messages::UpdateMessage {
    fn from(form: UpdateMessage) -> Self {
        Self {
            body: form.body,
            attributes: form.attributes,
            date_created: form.date_created.map(Into::into),
            date_updated: form.date_updated.map(Into::into),
            last_updated_by: form.last_updated_by,
            from: form.from,
        }
    }
}

/// Edit a message.
#[utoipa::path(
    tag = "Message",
    operation_id = "UpdateMessage",
    params(WebhooksEnabled),
    request_body(content = UpdateMessage, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, description = "OK", body = MessageView))
)]
#[post("/v2/Services/{ServiceSid}/Channels/{ChannelSid}/Messages/{Sid}")]
async fn update(call: Call<Ctx>) -> Result<Json<MessageView>> {
    let form: UpdateMessage = call.body()?;
    let (channel, sid) = (call.at("ChannelSid")?, call.at("Sid")?);
    let message = messages::update(&call.ctx, &channel, sid, form.into()).await?;
    Ok(Json(messages::view(&message, call.ctx.account(), &call.base)))
}

/// Remove a message.
#[utoipa::path(
    tag = "Message",
    operation_id = "DeleteMessage",
    params(WebhooksEnabled),
    responses((status = 204, description = "Deleted"))
)]
#[delete("/v2/Services/{ServiceSid}/Channels/{ChannelSid}/Messages/{Sid}")]
async fn remove(call: Call<Ctx>) -> Result<Deleted> {
    messages::remove(&call.ctx, &call.at("ChannelSid")?, call.at("Sid")?).await?;
    Ok(Deleted)
}
