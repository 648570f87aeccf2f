//! Pools and operators as REST answers show them.

use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    ctx::BaseUrl,
    entities::{operator, operator_pool},
    sid::{AccountSid, OperatorPoolSid, ServiceSid},
};

/// A pool of operators.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = OperatorPool)]
pub struct OperatorPoolView {
    #[schema(value_type = String)]
    sid: OperatorPoolSid,
    #[schema(value_type = String)]
    account_sid: AccountSid,
    #[schema(value_type = String)]
    service_sid: ServiceSid,
    friendly_name: Option<String>,
    operators_count: i32,
    date_created: String,
    date_updated: String,
    url: String,
    links: OperatorPoolLinks,
}

/// Where the pool's operators and channels are.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct OperatorPoolLinks {
    operators: String,
    channels: String,
}

/// The pool in its REST JSON.
#[must_use]
pub fn view(pool: &operator_pool::Model, account: AccountSid, base: &BaseUrl) -> OperatorPoolView {
    let url = format!("{base}/v2/Services/{}/OperatorPools/{}", pool.service_id, pool.id);
    OperatorPoolView {
        sid: pool.id,
        account_sid: account,
        service_sid: pool.service_id,
        friendly_name: pool.friendly_name.clone(),
        operators_count: pool.operators_count,
        date_created: pool.date_created.to_seconds_text(),
        date_updated: pool.date_updated.to_seconds_text(),
        links: OperatorPoolLinks {
            operators: format!("{url}/Operators"),
            channels: format!("{url}/Channels"),
        },
        url,
    }
}

/// An operator of a pool.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Operator)]
pub struct OperatorView {
    identity: String,
    #[schema(value_type = String)]
    pool_sid: OperatorPoolSid,
    #[schema(value_type = String)]
    account_sid: AccountSid,
    #[schema(value_type = String)]
    service_sid: ServiceSid,
    date_created: String,
}

/// The operator in its REST JSON.
#[must_use]
pub fn operator_view(operator: &operator::Model, account: AccountSid) -> OperatorView {
    OperatorView {
        identity: operator.identity.clone(),
        pool_sid: operator.pool_id,
        account_sid: account,
        service_sid: operator.service_id,
        date_created: operator.date_created.to_seconds_text(),
    }
}
