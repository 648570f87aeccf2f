//! A service as REST answers show it.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::{
    ctx::{BaseUrl, Core},
    desk::CaseRules,
    entities::service,
    error::Result,
    sid::{AccountSid, OperatorPoolSid, RoleSid, ServiceSid},
};

/// A service instance.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Service)]
pub struct ServiceView {
    #[schema(value_type = String)]
    sid: ServiceSid,
    #[schema(value_type = String)]
    account_sid: AccountSid,
    friendly_name: String,
    date_created: String,
    date_updated: String,
    #[schema(value_type = String)]
    default_service_role_sid: RoleSid,
    #[schema(value_type = String)]
    default_channel_role_sid: RoleSid,
    #[schema(value_type = String)]
    default_channel_creator_role_sid: RoleSid,
    read_status_enabled: bool,
    reachability_enabled: bool,
    /// Seconds.
    typing_indicator_timeout: i32,
    /// Seconds.
    consumption_report_interval: i32,
    limits: LimitsView,
    pre_webhook_url: Option<String>,
    post_webhook_url: Option<String>,
    webhook_method: Option<String>,
    #[schema(value_type = Option<Vec<String>>)]
    webhook_filters: Option<Value>,
    pre_webhook_retry_count: i32,
    post_webhook_retry_count: i32,
    #[schema(value_type = Object)]
    notifications: Value,
    media: MediaView,
    /// What opens cases by itself; null while nothing does.
    case_rules: Option<CaseRulesView>,
    /// The Standard Webhooks secret of this service's webhooks.
    webhook_secret: String,
    url: String,
    links: ServiceLinks,
}

/// How large things may grow.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = ServiceLimits)]
pub(super) struct LimitsView {
    channel_members: i32,
    user_channels: i32,
}

/// What opens cases by itself.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = ServiceCaseRules)]
pub(super) struct CaseRulesView {
    #[schema(value_type = String)]
    pool_sid: OperatorPoolSid,
}

/// What holds for media.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = ServiceMedia)]
pub(super) struct MediaView {
    size_limit_mb: i32,
    compatibility_message: Option<String>,
}

/// Where the service's resources are.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct ServiceLinks {
    channels: String,
    users: String,
    roles: String,
    bindings: String,
    operator_pools: String,
}

/// The service as its owner sees it.
///
/// # Errors
/// When the webhook secret was sealed under another master key.
pub fn view(core: &Core, service: &service::Model, base: &BaseUrl) -> Result<ServiceView> {
    let secret = core
        .vault
        .open(&service.webhook_secret, &service.id.to_string())?;
    Ok(ServiceView {
        webhook_secret: secret.expose().to_owned(),
        ..view_without_secret(service, base)
    })
}

/// The service with an empty `webhook_secret`, for the audit log, which leaves it out.
pub(crate) fn view_without_secret(service: &service::Model, base: &BaseUrl) -> ServiceView {
    let url = format!("{base}/v2/Services/{}", service.id);
    ServiceView {
        sid: service.id,
        account_sid: service.account_id,
        friendly_name: service.friendly_name.clone(),
        date_created: service.date_created.to_seconds_text(),
        date_updated: service.date_updated.to_seconds_text(),
        default_service_role_sid: service.default_service_role_id,
        default_channel_role_sid: service.default_channel_role_id,
        default_channel_creator_role_sid: service.default_channel_creator_role_id,
        read_status_enabled: service.read_status_enabled,
        reachability_enabled: service.reachability_enabled,
        typing_indicator_timeout: service.typing_indicator_timeout,
        consumption_report_interval: service.consumption_report_interval,
        limits: LimitsView {
            channel_members: service.limit_channel_members,
            user_channels: service.limit_user_channels,
        },
        pre_webhook_url: service.pre_webhook_url.clone(),
        post_webhook_url: service.post_webhook_url.clone(),
        webhook_method: service.webhook_method.clone(),
        webhook_filters: service.webhook_filters.clone(),
        pre_webhook_retry_count: service.pre_webhook_retry_count,
        post_webhook_retry_count: service.post_webhook_retry_count,
        notifications: service.notifications.clone(),
        media: MediaView {
            size_limit_mb: 150,
            compatibility_message: service.media_compatibility_message.clone(),
        },
        case_rules: CaseRules::of(service).map(|rules| CaseRulesView {
            pool_sid: rules.pool_sid,
        }),
        webhook_secret: String::new(),
        links: ServiceLinks {
            channels: format!("{url}/Channels"),
            users: format!("{url}/Users"),
            roles: format!("{url}/Roles"),
            bindings: format!("{url}/Bindings"),
            operator_pools: format!("{url}/OperatorPools"),
        },
        url,
    }
}
