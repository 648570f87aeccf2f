//! `CaseRules`: what opens cases by itself.

use sea_orm::ConnectionTrait;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    entities::service,
    error::{Error, Result},
    operator_pools,
    sid::{OperatorPoolSid, ServiceSid},
};

const FIELD: &str = "CaseRules";

/// The rules of a service's cases.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaseRules {
    /// A user's message in a channel that nobody attends to opens a case and attaches this pool.
    pub pool_sid: OperatorPoolSid,
}

impl CaseRules {
    /// The rules of this service, if it has any.
    #[must_use]
    pub fn of(service: &service::Model) -> Option<Self> {
        serde_json::from_str(service.case_rules.as_deref()?).ok()
    }

    /// Reads the parameter; `None` switches the rules off.
    ///
    /// # Errors
    /// 20001 naming `CaseRules`, and the key that is wrong.
    pub(crate) async fn read(
        db: &impl ConnectionTrait,
        service: ServiceSid,
        text: &str,
    ) -> Result<Option<Self>> {
        if text.is_empty() {
            return Ok(None);
        }
        let Ok(Value::Object(given)) = serde_json::from_str(text) else {
            return Err(Error::parameter(
                FIELD,
                "must be a JSON object, such as {\"pool_sid\": \"OP…\"}",
            ));
        };
        if given.is_empty() {
            return Ok(None);
        }
        if let Some(unknown) = given.keys().find(|key| *key != "pool_sid") {
            let shown: String = unknown.chars().take(80).collect();
            return Err(Error::parameter(
                FIELD,
                &format!("has the unknown key '{shown}'; known is pool_sid"),
            ));
        }
        let sid = given.get("pool_sid").and_then(Value::as_str).unwrap_or_default();
        let pool = operator_pools::named(db, service, "CaseRules.pool_sid", sid).await?;
        Ok(Some(Self { pool_sid: pool.id }))
    }
}
