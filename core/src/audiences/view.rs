//! An audience as REST answers show it.

use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    ctx::BaseUrl,
    entities::audience,
    sid::{AccountSid, AudienceSid, ServiceSid},
};

/// An audience: a filter over users, or a list of identities.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Audience)]
pub struct AudienceView {
    #[schema(value_type = String)]
    sid: AudienceSid,
    #[schema(value_type = String)]
    account_sid: AccountSid,
    #[schema(value_type = String)]
    service_sid: ServiceSid,
    friendly_name: Option<String>,
    /// Which users it has, as `Filter` of their list; null when it is a list.
    filter: Option<String>,
    /// How many identities its list has; null when it is a filter, whose users `Preview` counts.
    members_count: Option<i32>,
    date_created: String,
    date_updated: String,
    links: AudienceLinks,
    url: String,
}

/// Where the audience's resources are.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct AudienceLinks {
    preview: String,
    upload: String,
}

/// The audience in its REST JSON.
#[must_use]
pub fn view(audience: &audience::Model, base: &BaseUrl) -> AudienceView {
    let url = format!(
        "{base}/v2/Services/{}/Audiences/{}",
        audience.service_id, audience.id
    );
    AudienceView {
        sid: audience.id,
        account_sid: audience.account_id,
        service_sid: audience.service_id,
        friendly_name: audience.friendly_name.clone(),
        filter: audience.filter.clone(),
        members_count: audience.filter.is_none().then_some(audience.members_count),
        date_created: audience.date_created.to_seconds_text(),
        date_updated: audience.date_updated.to_seconds_text(),
        links: AudienceLinks {
            preview: format!("{url}/Preview"),
            upload: format!("{url}/Upload"),
        },
        url,
    }
}
