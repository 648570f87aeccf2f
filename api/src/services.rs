//! Service instances.

use actix_web::{delete, get, post, web::Json};
use hubbub_core::{
    AccountCtx, BackendCtx,
    services::{self, NotificationUpdate, ServiceView},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    answer::{Created, Deleted},
    call::Call,
    paging::{Meta, PageParams},
    params::Object,
    refusal::Result,
    routes::Register,
};

pub(crate) fn routes(to: &mut impl Register) {
    to.add(create);
    to.add(list);
    to.add(fetch);
    to.add(update);
    to.add(remove);
}

/// A service to make.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
struct CreateService {
    /// A name for people.
    #[serde(default)]
    #[schema(required)]
    friendly_name: String,
}

/// Create a service, with its four default roles.
#[utoipa::path(
    tag = "Service",
    operation_id = "CreateService",
    request_body(content = CreateService, content_type = "application/x-www-form-urlencoded"),
    responses((status = 201, description = "Created", body = ServiceView))
)]
#[post("/v2/Services")]
async fn create(call: Call<AccountCtx>) -> Result<Created<ServiceView>> {
    let form: CreateService = call.body()?;
    let service = services::create(&call.ctx, &form.friendly_name).await?;
    Ok(Created(services::view(&call.ctx.core, &service, &call.base)?))
}

/// A page of services.
#[derive(Serialize, ToSchema)]
struct ServicePage {
    meta: Meta,
    services: Vec<ServiceView>,
}

/// List the account's services, oldest first; a key of one service sees that one.
#[utoipa::path(
    tag = "Service",
    operation_id = "ListService",
    params(PageParams),
    responses((status = 200, description = "OK", body = ServicePage))
)]
#[get("/v2/Services")]
async fn list(call: Call<BackendCtx>) -> Result<Json<ServicePage>> {
    let paging = call.paging()?;
    let page = services::list(&call.ctx, &paging.request).await?;
    let view = |service: &_| services::view(&call.ctx.core, service, &call.base);
    let (meta, views) = paging.answer("services", &page, view);
    let services = views.into_iter().collect::<Result<_, _>>()?;
    Ok(Json(ServicePage { meta, services }))
}

/// Fetch a service.
#[utoipa::path(
    tag = "Service",
    operation_id = "FetchService",
    responses((status = 200, description = "OK", body = ServiceView))
)]
#[get("/v2/Services/{Sid}")]
async fn fetch(call: Call<BackendCtx>) -> Result<Json<ServiceView>> {
    let service = services::get(&call.ctx, call.at("Sid")?).await?;
    Ok(Json(services::view(&call.ctx.core, &service, &call.base)?))
}

/// Update a service: what is given changes, lists are replaced.
#[utoipa::path(
    tag = "Service",
    operation_id = "UpdateService",
    request_body(content = UpdateService, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, description = "OK", body = ServiceView))
)]
#[post("/v2/Services/{Sid}")]
async fn update(call: Call<BackendCtx>) -> Result<Json<ServiceView>> {
    let sid = call.at("Sid")?;
    services::get(&call.ctx, sid).await?;
    let form: UpdateService = call.body()?;
    let service = services::update(&call.ctx, sid, form.into()).await?;
    Ok(Json(services::view(&call.ctx.core, &service, &call.base)?))
}

/// Delete a service with everything in it.
#[utoipa::path(
    tag = "Service",
    operation_id = "DeleteService",
    responses((status = 204, description = "Deleted"))
)]
#[delete("/v2/Services/{Sid}")]
async fn remove(call: Call<AccountCtx>) -> Result<Deleted> {
    services::delete(&call.ctx, call.at("Sid")?).await?;
    Ok(Deleted)
}

/// What to change of a service.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
struct UpdateService {
    /// A name for people.
    friendly_name: Option<String>,
    /// The role of new users: of type `deployment`.
    default_service_role_sid: Option<String>,
    /// The role of new members: of type `channel`.
    default_channel_role_sid: Option<String>,
    /// The role of a channel's creator: of type `channel`.
    default_channel_creator_role_sid: Option<String>,
    /// Whether members see each other's read horizon.
    read_status_enabled: Option<bool>,
    /// Whether presence is told.
    reachability_enabled: Option<bool>,
    /// Seconds, 1 to 60.
    typing_indicator_timeout: Option<i64>,
    /// Seconds.
    consumption_report_interval: Option<i64>,
    /// The most members a channel may have.
    #[serde(rename = "Limits.ChannelMembers")]
    limit_channel_members: Option<i64>,
    /// The most channels a user may be in.
    #[serde(rename = "Limits.UserChannels")]
    limit_user_channels: Option<i64>,
    /// Empty clears it.
    pre_webhook_url: Option<String>,
    /// Empty clears it.
    post_webhook_url: Option<String>,
    /// `GET` or `POST`; empty clears it.
    webhook_method: Option<String>,
    /// The events that are told; a single empty value clears the list.
    webhook_filters: Option<Vec<String>>,
    /// 0 to 3.
    pre_webhook_retry_count: Option<i64>,
    /// 0 to 3.
    post_webhook_retry_count: Option<i64>,
    /// Empty clears it.
    #[serde(rename = "Media.CompatibilityMessage")]
    media_compatibility_message: Option<String>,
    /// What opens cases by itself: JSON such as `{"pool_sid": "OP…"}`, by which a user's message in a channel that nobody
    /// attends to opens a case and attaches the pool. `{}` or an empty text switches it off.
    #[schema(value_type = Option<String>, example = "{\"pool_sid\": \"OP…\"}")]
    case_rules: Option<Object>,
    /// Makes a new webhook secret; the one before signs beside it for 24 hours.
    rotate_webhook_secret: Option<bool>,
    #[serde(rename = "Notifications.LogEnabled")]
    notifications_log_enabled: Option<bool>,
    #[serde(rename = "Notifications.NewMessage.Enabled")]
    new_message_enabled: Option<bool>,
    #[serde(rename = "Notifications.NewMessage.Template")]
    new_message_template: Option<String>,
    #[serde(rename = "Notifications.NewMessage.Sound")]
    new_message_sound: Option<String>,
    #[serde(rename = "Notifications.NewMessage.BadgeCountEnabled")]
    new_message_badge_count_enabled: Option<bool>,
    #[serde(rename = "Notifications.AddedToChannel.Enabled")]
    added_to_channel_enabled: Option<bool>,
    #[serde(rename = "Notifications.AddedToChannel.Template")]
    added_to_channel_template: Option<String>,
    #[serde(rename = "Notifications.AddedToChannel.Sound")]
    added_to_channel_sound: Option<String>,
    #[serde(rename = "Notifications.RemovedFromChannel.Enabled")]
    removed_from_channel_enabled: Option<bool>,
    #[serde(rename = "Notifications.RemovedFromChannel.Template")]
    removed_from_channel_template: Option<String>,
    #[serde(rename = "Notifications.RemovedFromChannel.Sound")]
    removed_from_channel_sound: Option<String>,
    #[serde(rename = "Notifications.InvitedToChannel.Enabled")]
    invited_to_channel_enabled: Option<bool>,
    #[serde(rename = "Notifications.InvitedToChannel.Template")]
    invited_to_channel_template: Option<String>,
    #[serde(rename = "Notifications.InvitedToChannel.Sound")]
    invited_to_channel_sound: Option<String>,
}

impl From<UpdateService> for services::UpdateService {
    fn from(form: UpdateService) -> Self {
        let notification = |enabled, template, sound, badge_count_enabled| NotificationUpdate {
            enabled,
            template,
            sound,
            badge_count_enabled,
        };
        let notifications = vec![
            (
                "new_message",
                notification(
                    form.new_message_enabled,
                    form.new_message_template,
                    form.new_message_sound,
                    form.new_message_badge_count_enabled,
                ),
            ),
            (
                "added_to_channel",
                notification(
                    form.added_to_channel_enabled,
                    form.added_to_channel_template,
                    form.added_to_channel_sound,
                    None,
                ),
            ),
            (
                "removed_from_channel",
                notification(
                    form.removed_from_channel_enabled,
                    form.removed_from_channel_template,
                    form.removed_from_channel_sound,
                    None,
                ),
            ),
            (
                "invited_to_channel",
                notification(
                    form.invited_to_channel_enabled,
                    form.invited_to_channel_template,
                    form.invited_to_channel_sound,
                    None,
                ),
            ),
        ];
        Self {
            friendly_name: form.friendly_name,
            default_service_role_sid: form.default_service_role_sid,
            default_channel_role_sid: form.default_channel_role_sid,
            default_channel_creator_role_sid: form.default_channel_creator_role_sid,
            read_status_enabled: form.read_status_enabled,
            reachability_enabled: form.reachability_enabled,
            typing_indicator_timeout: form.typing_indicator_timeout,
            consumption_report_interval: form.consumption_report_interval,
            limit_channel_members: form.limit_channel_members,
            limit_user_channels: form.limit_user_channels,
            pre_webhook_url: form.pre_webhook_url,
            post_webhook_url: form.post_webhook_url,
            webhook_method: form.webhook_method,
            webhook_filters: form.webhook_filters,
            pre_webhook_retry_count: form.pre_webhook_retry_count,
            post_webhook_retry_count: form.post_webhook_retry_count,
            media_compatibility_message: form.media_compatibility_message,
            notifications_log_enabled: form.notifications_log_enabled,
            notifications,
            case_rules: form
                .case_rules
                .map(|rules| serde_json::Value::Object(rules.0).to_string()),
            rotate_webhook_secret: form.rotate_webhook_secret.unwrap_or(false),
        }
    }
}
