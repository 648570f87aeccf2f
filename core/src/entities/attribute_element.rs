//! A distinct scalar element of an array that a declared index finds.

use sea_orm::entity::prelude::*;

use crate::sid::{AttributeIndexSid, ServiceSid};

/// A distinct scalar element of an array that a declared index finds.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "attribute_elements")]
pub struct Model {
    /// The service it belongs to.
    #[sea_orm(primary_key, auto_increment = false)]
    pub service_id: ServiceSid,
    /// The index.
    #[sea_orm(primary_key, auto_increment = false)]
    pub index_id: AttributeIndexSid,
    /// As in the entry of the resource.
    #[sea_orm(primary_key, auto_increment = false)]
    pub scope_id: Uuid,
    /// The resource.
    #[sea_orm(primary_key, auto_increment = false)]
    pub item_id: Uuid,
    /// Tells the elements of one resource apart.
    #[sea_orm(primary_key, auto_increment = false)]
    pub ordinal: i32,
    /// Its place: `attributes::SortKey`.
    pub key: Vec<u8>,
    /// What does not fit into the key.
    pub rest: Vec<u8>,
}

/// No relations: queries join by hand, tenant first.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
