//! What a service sends SMS or e-mail through.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{
    sid::{AccountSid, ServiceSid},
    timestamp::Timestamp,
};

/// What a service sends SMS or e-mail through.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "providers")]
pub struct Model {
    /// The service it belongs to.
    #[sea_orm(primary_key, auto_increment = false)]
    pub service_id: ServiceSid,
    /// `sms` or `email`.
    #[sea_orm(primary_key, auto_increment = false)]
    pub kind: String,
    /// The service's account.
    pub account_id: AccountSid,
    /// `sms`: the full address of a `Messages.json`.
    pub url: Option<String>,
    /// `email`: the SMTP server.
    pub host: Option<String>,
    /// `email`: its port.
    pub port: Option<i32>,
    /// `email`: `none`, `starttls` or `tls`.
    pub tls: Option<String>,
    /// The provider's account SID, or the name at the SMTP server.
    pub login: Option<String>,
    /// The auth token or the password, sealed for this service and kind.
    pub secret: Option<Vec<u8>>,
    /// Who sends: a number or a name, or a mailbox.
    pub sender: String,
    /// `email`: after how many seconds users are told of messages that they missed.
    pub notice_delay: Option<i32>,
    /// `email`: the subject of such a notice, a template.
    pub notice_subject: Option<String>,
    /// `email`: its text, a template.
    pub notice_body: Option<String>,
    /// When it was made.
    pub date_created: Timestamp,
    /// When it last changed.
    pub date_updated: Timestamp,
}

/// No relations: queries join by hand, tenant first.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
