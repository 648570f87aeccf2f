//! What a request with an `Idempotency-Key` was answered.

use sea_orm::entity::prelude::*;

use crate::{sid::AccountSid, timestamp::Timestamp};

/// What a request with an `Idempotency-Key` was answered.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "idempotency_keys")]
pub struct Model {
    /// The account.
    #[sea_orm(primary_key, auto_increment = false)]
    pub account_id: AccountSid,
    /// The service and user of an access token; empty for backends.
    #[sea_orm(primary_key, auto_increment = false)]
    pub caller: String,
    /// The key.
    #[sea_orm(primary_key, auto_increment = false)]
    pub key: String,
    /// A hash of the request.
    pub fingerprint: Vec<u8>,
    /// The HTTP status of the answer; unset while the request is under way.
    pub status: Option<i32>,
    /// The body of the answer, sealed: it may hold secrets.
    pub answer: Option<Vec<u8>>,
    /// When the request came.
    pub date_created: Timestamp,
}

/// No relations: queries join by hand, tenant first.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
