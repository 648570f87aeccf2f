//! A declared index over an attribute of one kind of resource.

use sea_orm::entity::prelude::*;

use crate::{
    sid::{AttributeIndexSid, ServiceSid},
    timestamp::Timestamp,
};

/// A declared index over an attribute of one kind of resource.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "attribute_indexes")]
pub struct Model {
    /// The service it belongs to.
    #[sea_orm(primary_key, auto_increment = false)]
    pub service_id: ServiceSid,
    /// Its SID.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: AttributeIndexSid,
    /// `channels`, `members`, `users` or `messages`.
    pub resource: String,
    /// The way into the attributes.
    pub path: String,
    /// `string`, `number`, `boolean` or `datetime`.
    pub kind: String,
    /// `building`, `ready`, `failed` or `deleting`.
    pub status: String,
    /// Why it failed.
    pub failure: Option<String>,
    /// How far the builder has come; only the builder reads it.
    pub built_to: Option<String>,
    /// When it was declared.
    pub date_created: Timestamp,
    /// When its status last changed.
    pub date_updated: Timestamp,
}

/// No relations: queries join by hand, tenant first.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
