//! Entries of declared indexes that are left to be cleared away.

use sea_orm::entity::prelude::*;

use crate::sid::ServiceSid;

/// Entries that are left to be cleared away: those of one resource, or all in a scope. Nobody finds anything by them,
/// since what they stood for is gone.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "attribute_leftovers")]
pub struct Model {
    /// The service they belong to.
    #[sea_orm(primary_key, auto_increment = false)]
    pub service_id: ServiceSid,
    /// As in the entries.
    #[sea_orm(primary_key, auto_increment = false)]
    pub scope_id: Uuid,
    /// The resource; the nil UUID for everything in the scope.
    #[sea_orm(primary_key, auto_increment = false)]
    pub item_id: Uuid,
}

/// No relations: queries join by hand, tenant first.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
