//! A declared index as REST answers show it.

use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    ctx::BaseUrl,
    entities::attribute_index,
    sid::{AccountSid, AttributeIndexSid, ServiceSid},
};

/// A declared index over an attribute.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = AttributeIndex)]
pub struct AttributeIndexView {
    #[schema(value_type = String)]
    sid: AttributeIndexSid,
    #[schema(value_type = String)]
    account_sid: AccountSid,
    #[schema(value_type = String)]
    service_sid: ServiceSid,
    /// `channels`, `members`, `users` or `messages`.
    resource: String,
    /// The way into the attributes: `ticket.priority`.
    path: String,
    /// `string`, `number`, `boolean` or `datetime`.
    #[serde(rename = "type")]
    kind: String,
    /// `building`, `ready` or `failed`. Queries use it once it is ready.
    status: String,
    /// Why it failed.
    failure: Option<String>,
    date_created: String,
    date_updated: String,
    url: String,
}

/// The index in its REST JSON.
#[must_use]
pub fn view(index: &attribute_index::Model, account: AccountSid, base: &BaseUrl) -> AttributeIndexView {
    AttributeIndexView {
        sid: index.id,
        account_sid: account,
        service_sid: index.service_id,
        resource: index.resource.clone(),
        path: index.path.clone(),
        kind: index.kind.clone(),
        status: index.status.clone(),
        failure: index.failure.clone(),
        date_created: index.date_created.to_seconds_text(),
        date_updated: index.date_updated.to_seconds_text(),
        url: format!(
            "{base}/v2/Services/{}/AttributeIndexes/{}",
            index.service_id, index.id
        ),
    }
}
