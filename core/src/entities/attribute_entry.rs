//! The place of one resource in one declared index.

use sea_orm::entity::prelude::*;

use crate::sid::{AttributeIndexSid, ServiceSid};

/// The place of one resource in one declared index. Every resource that the index covers has one, also when its
/// value is missing.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "attribute_entries")]
pub struct Model {
    /// The service it belongs to.
    #[sea_orm(primary_key, auto_increment = false)]
    pub service_id: ServiceSid,
    /// The index.
    #[sea_orm(primary_key, auto_increment = false)]
    pub index_id: AttributeIndexSid,
    /// What lists of the resource are confined to: the channel of members and messages, the service of channels and
    /// users.
    #[sea_orm(primary_key, auto_increment = false)]
    pub scope_id: Uuid,
    /// The resource.
    #[sea_orm(primary_key, auto_increment = false)]
    pub item_id: Uuid,
    /// Its place: `attributes::SortKey`.
    pub key: Vec<u8>,
    /// What does not fit into the key.
    pub rest: Vec<u8>,
    /// Whether there is a value at all: arrays and objects are, and have no place.
    pub present: bool,
}

/// No relations: queries join by hand, tenant first.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
