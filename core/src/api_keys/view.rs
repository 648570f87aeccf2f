//! A key as the 2010-04-01 API shows it.

use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    entities::api_key,
    sid::{ApiKeySid, ServiceSid},
    timestamp::Timestamp,
};

/// An API key.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Key)]
pub struct KeyView {
    #[schema(value_type = String)]
    sid: ApiKeySid,
    friendly_name: String,
    /// The one service that it reaches, and that its tokens are for; null when it reaches the whole account.
    #[schema(value_type = Option<String>)]
    service_sid: Option<ServiceSid>,
    /// Whether it, and the tokens that it signs, may only read.
    read_only: bool,
    /// When it ends, with its tokens and their sockets.
    date_expires: Option<String>,
    /// When it was last used, give or take a minute.
    date_last_used: Option<String>,
    date_created: String,
    date_updated: String,
}

/// The key in its REST JSON, without its secret.
#[must_use]
pub fn view(key: &api_key::Model) -> KeyView {
    KeyView {
        sid: key.id,
        friendly_name: key.friendly_name.clone(),
        service_sid: key.service_id,
        read_only: key.read_only,
        date_expires: key.date_expires.map(Timestamp::to_rfc2822_text),
        date_last_used: key.date_last_used.map(Timestamp::to_rfc2822_text),
        date_created: key.date_created.to_rfc2822_text(),
        date_updated: key.date_updated.to_rfc2822_text(),
    }
}
