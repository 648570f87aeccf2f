//! A binding as REST answers show it, from the service's side and from the user's: without the device's address.

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::{
    ctx::BaseUrl,
    entities::binding,
    sid::{AccountSid, BindingSid, CredentialSid, ServiceSid, UserSid},
};

/// What cannot stand in a part of a URL's path.
const NOT_IN_PATHS: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'/')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// A device that push notifications go to.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Binding)]
pub struct BindingView {
    #[schema(value_type = String)]
    sid: BindingSid,
    #[schema(value_type = String)]
    account_sid: AccountSid,
    #[schema(value_type = String)]
    service_sid: ServiceSid,
    date_created: String,
    date_updated: String,
    /// The app's own name for the device.
    endpoint: Option<String>,
    /// Whose it is.
    identity: String,
    #[schema(value_type = Option<String>)]
    credential_sid: Option<CredentialSid>,
    /// `gcm`, `apn` or `fcm`.
    binding_type: String,
    /// `new_message`, `added_to_channel`, `invited_to_channel`, `removed_from_channel`, or some of these.
    #[schema(value_type = Vec<String>)]
    message_types: Value,
    url: String,
    links: BindingLinks,
}

/// Where the device's user is.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct BindingLinks {
    user: String,
}

/// The binding in its REST JSON.
#[must_use]
pub fn view(binding: &binding::Model, account: AccountSid, base: &BaseUrl) -> BindingView {
    let service = format!("{base}/v2/Services/{}", binding.service_id);
    BindingView {
        sid: binding.id,
        account_sid: account,
        service_sid: binding.service_id,
        date_created: binding.date_created.to_seconds_text(),
        date_updated: binding.date_updated.to_seconds_text(),
        endpoint: binding.endpoint.clone(),
        identity: binding.identity.clone(),
        credential_sid: binding.credential_id,
        binding_type: binding.kind.clone(),
        message_types: binding.message_types.clone(),
        url: format!("{service}/Bindings/{}", binding.id),
        links: BindingLinks {
            user: format!(
                "{service}/Users/{}",
                utf8_percent_encode(&binding.identity, NOT_IN_PATHS)
            ),
        },
    }
}

/// A device of one user that push notifications go to.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = UserBinding)]
pub struct UserBindingView {
    #[schema(value_type = String)]
    sid: BindingSid,
    #[schema(value_type = String)]
    account_sid: AccountSid,
    #[schema(value_type = String)]
    service_sid: ServiceSid,
    date_created: String,
    date_updated: String,
    /// The app's own name for the device.
    endpoint: Option<String>,
    /// Whose it is.
    identity: String,
    #[schema(value_type = String)]
    user_sid: UserSid,
    #[schema(value_type = Option<String>)]
    credential_sid: Option<CredentialSid>,
    /// `gcm`, `apn` or `fcm`.
    binding_type: String,
    /// `new_message`, `added_to_channel`, `invited_to_channel`, `removed_from_channel`, or some of these.
    #[schema(value_type = Vec<String>)]
    message_types: Value,
    url: String,
}

/// The user's binding in its REST JSON.
#[must_use]
pub fn user_view(binding: &binding::Model, account: AccountSid, base: &BaseUrl) -> UserBindingView {
    UserBindingView {
        sid: binding.id,
        account_sid: account,
        service_sid: binding.service_id,
        date_created: binding.date_created.to_seconds_text(),
        date_updated: binding.date_updated.to_seconds_text(),
        endpoint: binding.endpoint.clone(),
        identity: binding.identity.clone(),
        user_sid: binding.user_id,
        credential_sid: binding.credential_id,
        binding_type: binding.kind.clone(),
        message_types: binding.message_types.clone(),
        url: format!(
            "{base}/v2/Services/{}/Users/{}/Bindings/{}",
            binding.service_id, binding.user_id, binding.id
        ),
    }
}
