//! Changing a service's settings: every field optional, every wrong one named.

use std::time::Duration;

use sea_orm::ConnectionTrait;
use serde_json::{Value, json};

use crate::{
    ctx::Core,
    desk::CaseRules,
    entities::service,
    error::{Error, ErrorCode, Result},
    input, roles,
    secrets::Secret,
    sid::RoleSid,
    timestamp::Timestamp,
    webhooks::{POST_EVENTS, PRE_EVENTS, target},
};

/// For how long the webhook secret before a rotation signs beside the new one.
const ROTATION_OVERLAP: Duration = Duration::from_secs(24 * 3600);

/// One of the four push notifications.
#[derive(Debug, Clone, Default)]
pub struct NotificationUpdate {
    /// Whether it is sent.
    pub enabled: Option<bool>,
    /// Its text.
    pub template: Option<String>,
    /// Its sound.
    pub sound: Option<String>,
    /// Whether the badge is counted (new messages only).
    pub badge_count_enabled: Option<bool>,
}

/// What to change; `None` leaves a setting as it is.
#[derive(Debug, Clone, Default)]
pub struct UpdateService {
    /// A name for people.
    pub friendly_name: Option<String>,
    /// A role of type `deployment`.
    pub default_service_role_sid: Option<String>,
    /// A role of type `channel`.
    pub default_channel_role_sid: Option<String>,
    /// A role of type `channel`.
    pub default_channel_creator_role_sid: Option<String>,
    /// Whether members see each other's read horizon.
    pub read_status_enabled: Option<bool>,
    /// Whether presence is told.
    pub reachability_enabled: Option<bool>,
    /// Seconds.
    pub typing_indicator_timeout: Option<i64>,
    /// Seconds.
    pub consumption_report_interval: Option<i64>,
    /// The most members a channel may have.
    pub limit_channel_members: Option<i64>,
    /// The most channels a user may be in.
    pub limit_user_channels: Option<i64>,
    /// Empty clears it.
    pub pre_webhook_url: Option<String>,
    /// Empty clears it.
    pub post_webhook_url: Option<String>,
    /// `GET` or `POST`; empty clears it.
    pub webhook_method: Option<String>,
    /// Replaces the list; a single empty value clears it.
    pub webhook_filters: Option<Vec<String>>,
    /// 0 to 3.
    pub pre_webhook_retry_count: Option<i64>,
    /// 0 to 3.
    pub post_webhook_retry_count: Option<i64>,
    /// Empty clears it.
    pub media_compatibility_message: Option<String>,
    /// `notifications.log_enabled`.
    pub notifications_log_enabled: Option<bool>,
    /// By the name in the answer: `new_message`, `added_to_channel`, `removed_from_channel`, `invited_to_channel`.
    pub notifications: Vec<(&'static str, NotificationUpdate)>,
    /// JSON; `{}` or an empty text switches the rules off.
    pub case_rules: Option<String>,
    /// Makes a new webhook secret.
    pub rotate_webhook_secret: bool,
}

pub(super) async fn apply(
    core: &Core,
    db: &impl ConnectionTrait,
    row: &mut service::Model,
    update: UpdateService,
) -> Result<()> {
    if let Some(name) = update.friendly_name {
        row.friendly_name = input::friendly_name(&name)?.ok_or(ErrorCode::FriendlyNameMissing)?;
    }
    for (given, kind, slot) in [
        (
            update.default_service_role_sid,
            roles::DEPLOYMENT,
            &mut row.default_service_role_id,
        ),
        (
            update.default_channel_role_sid,
            roles::CHANNEL,
            &mut row.default_channel_role_id,
        ),
        (
            update.default_channel_creator_role_sid,
            roles::CHANNEL,
            &mut row.default_channel_creator_role_id,
        ),
    ] {
        if let Some(sid) = given {
            *slot = default_role(db, row.id, &sid, kind).await?;
        }
    }
    set(&mut row.read_status_enabled, update.read_status_enabled);
    set(&mut row.reachability_enabled, update.reachability_enabled);
    set(
        &mut row.typing_indicator_timeout,
        whole(
            update.typing_indicator_timeout,
            1..=60,
            ErrorCode::TypingTimeoutFormat,
        )?,
    );
    set(
        &mut row.consumption_report_interval,
        whole(
            update.consumption_report_interval,
            0..=86_400,
            ErrorCode::ConsumptionIntervalFormat,
        )?,
    );
    set(
        &mut row.limit_channel_members,
        limit(
            core,
            "Limits.ChannelMembers",
            update.limit_channel_members,
            ErrorCode::ChannelMembersFormat,
        )?,
    );
    set(
        &mut row.limit_user_channels,
        limit(
            core,
            "Limits.UserChannels",
            update.limit_user_channels,
            ErrorCode::UserChannelsFormat,
        )?,
    );
    set(
        &mut row.pre_webhook_retry_count,
        retry_count("PreWebhookRetryCount", update.pre_webhook_retry_count)?,
    );
    set(
        &mut row.post_webhook_retry_count,
        retry_count("PostWebhookRetryCount", update.post_webhook_retry_count)?,
    );
    if let Some(url) = update.pre_webhook_url {
        row.pre_webhook_url = webhook_url(core, "PreWebhookUrl", &url)?;
    }
    if let Some(url) = update.post_webhook_url {
        row.post_webhook_url = webhook_url(core, "PostWebhookUrl", &url)?;
    }
    if let Some(method) = update.webhook_method {
        row.webhook_method = match method.to_ascii_uppercase().as_str() {
            "" => None,
            method @ ("GET" | "POST") => Some(method.to_owned()),
            _ => return Err(ErrorCode::WebhookMethod.into()),
        };
    }
    if let Some(filters) = update.webhook_filters {
        row.webhook_filters = webhook_filters(&filters)?;
    }
    if let Some(message) = update.media_compatibility_message {
        row.media_compatibility_message = (!message.is_empty()).then_some(message);
    }
    notifications(
        &mut row.notifications,
        update.notifications_log_enabled,
        update.notifications,
    );
    if let Some(text) = update.case_rules {
        row.case_rules = CaseRules::read(db, row.id, &text)
            .await?
            .map(|rules| serde_json::to_string(&rules))
            .transpose()
            .map_err(Error::internal)?;
    }
    if update.rotate_webhook_secret {
        let fresh = core.vault.seal(&Secret::random_webhook(), &row.id.to_string())?;
        row.webhook_secret_before = Some(std::mem::replace(&mut row.webhook_secret, fresh));
        row.webhook_secret_before_until = Some(Timestamp::now().plus(ROTATION_OVERLAP));
    }
    Ok(())
}

fn set<T>(slot: &mut T, given: Option<T>) {
    if let Some(value) = given {
        *slot = value;
    }
}

fn whole(given: Option<i64>, allowed: std::ops::RangeInclusive<i64>, code: ErrorCode) -> Result<Option<i32>> {
    match given {
        None => Ok(None),
        Some(value) if allowed.contains(&value) => Ok(i32::try_from(value).ok()),
        Some(_) => Err(code.into()),
    }
}

/// A limit, up to the operator's ceiling.
fn limit(core: &Core, field: &str, given: Option<i64>, code: ErrorCode) -> Result<Option<i32>> {
    let ceiling = core.settings.limit_ceiling;
    whole(given, 1..=ceiling.into(), code)
        .map_err(|_| Error::with(code, format!("{field} must be a whole number, 1 to {ceiling}")))
}

fn retry_count(field: &str, given: Option<i64>) -> Result<Option<i32>> {
    let wrong = |_| {
        Error::with(
            ErrorCode::WebhookRetryCount,
            format!("{field} must be a whole number, 0 to 3"),
        )
    };
    whole(given, 0..=3, ErrorCode::WebhookRetryCount).map_err(wrong)
}

async fn default_role(
    db: &impl ConnectionTrait,
    service: crate::sid::ServiceSid,
    sid: &str,
    kind: &str,
) -> Result<RoleSid> {
    roles::of_kind(db, service, sid, kind).await.map(|role| role.id)
}

fn webhook_url(core: &Core, field: &str, text: &str) -> Result<Option<String>> {
    if text.is_empty() {
        return Ok(None);
    }
    target::check(core, field, text)?;
    Ok(Some(text.to_owned()))
}

fn webhook_filters(filters: &[String]) -> Result<Option<Value>> {
    if filters.iter().all(String::is_empty) {
        return Ok(None);
    }
    if let Some(unknown) = filters
        .iter()
        .find(|name| !POST_EVENTS.contains(&name.as_str()) && !PRE_EVENTS.contains(&name.as_str()))
    {
        return Err(Error::parameter(
            "WebhookFilters",
            &format!("names the unknown event '{unknown}'"),
        ));
    }
    Ok(Some(json!(filters)))
}

fn notifications(
    stored: &mut Value,
    log_enabled: Option<bool>,
    updates: Vec<(&'static str, NotificationUpdate)>,
) {
    if let Some(enabled) = log_enabled {
        stored["log_enabled"] = enabled.into();
    }
    for (name, update) in updates {
        let NotificationUpdate {
            enabled,
            template,
            sound,
            badge_count_enabled,
        } = update;
        for (field, value) in [
            ("enabled", enabled.map(Value::from)),
            ("template", template.map(Value::from)),
            ("sound", sound.map(Value::from)),
            ("badge_count_enabled", badge_count_enabled.map(Value::from)),
        ] {
            if let Some(value) = value {
                stored[name][field] = value;
            }
        }
    }
}
