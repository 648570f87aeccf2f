//! What must still be published after a commit.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use crate::timestamp::Timestamp;

/// What must still be published after a commit.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "outbox")]
pub struct Model {
    /// Time-ordered.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// JSON; only `events` reads it.
    pub payload: String,
    /// When it was committed.
    pub created_at: Timestamp,
}

/// No relations: queries join by hand, tenant first.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
