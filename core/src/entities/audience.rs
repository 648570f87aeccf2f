//! An audience: whom campaigns go to.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{
    sid::{AccountSid, AudienceSid, ServiceSid},
    timestamp::Timestamp,
};

/// An audience: whom campaigns go to.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "audiences")]
pub struct Model {
    /// The service it belongs to.
    #[sea_orm(primary_key, auto_increment = false)]
    pub service_id: ServiceSid,
    /// Its SID.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: AudienceSid,
    /// The account of the service.
    pub account_id: AccountSid,
    /// A name for people.
    pub friendly_name: Option<String>,
    /// Which users it has, in the query language; unset when it is a list.
    pub filter: Option<String>,
    /// How many identities its list has.
    pub members_count: i32,
    /// When it was made.
    pub date_created: Timestamp,
    /// When it last changed.
    pub date_updated: Timestamp,
}

/// No relations: queries join by hand, tenant first.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
