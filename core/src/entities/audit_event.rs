//! An entry of the audit log: what a backend changed.

use sea_orm::entity::prelude::*;

use crate::{
    sid::{AccountSid, AuditEventSid, RequestSid, ServiceSid},
    timestamp::Timestamp,
};

/// An entry of the audit log: what a backend changed.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "audit_events")]
pub struct Model {
    /// The account whose resource it was.
    #[sea_orm(primary_key, auto_increment = false)]
    pub account_id: AccountSid,
    /// Its SID, in the order of time.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: AuditEventSid,
    /// The service, for resources of one.
    pub service_id: Option<ServiceSid>,
    /// The account or the API key that changed it.
    pub actor_sid: String,
    /// `channel.create`, `key.delete` and so on.
    pub action: String,
    /// What was changed.
    pub resource_sid: String,
    /// The resource before, as JSON.
    pub before: Option<String>,
    /// The resource after, as JSON.
    pub after: Option<String>,
    /// The request that changed it.
    pub request_id: Option<RequestSid>,
    /// When.
    pub date_created: Timestamp,
}

/// No relations: queries join by hand, tenant first.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
