//! The engine: what carries a campaign out. It keeps its place in the database after every step, so that it can be cut
//! off anywhere and go on, in this process or another.
//!
//! A running campaign has a **holder**, one process with a lease ([`runs`]). It resolves the audience into recipients,
//! page by page ([`snapshot`]), and hands out portions of them. Whoever gets a portion works on it in **slices**: one
//! transaction makes the channels, memberships and messages of some recipients and writes down that they were sent to
//! ([`slice`], [`together`]). What is written down is not done again, and what is not was not committed.
//!
//! Locks are taken in this order by everybody: the campaign and its portion (both as advisory locks, [`gate`]), channels
//! by their keys, users by their names, recipients by their places, the counts of portions by their keys. Slices only
//! touch recipients that are pending, outcomes ([`super::outcomes`]) only others.

mod ending;
mod gate;
mod ledger;
mod pressure;
mod progress;
mod rows;
pub mod runs;
mod slice;
mod snapshot;
mod templates;
mod together;
mod work;

use std::sync::Arc;

use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use serde::{Deserialize, Serialize};

pub use ending::{begin_if_due, clear_away, end_if_done, fail};
pub(crate) use gate::hold_still;
pub use pressure::Pressure;
pub use progress::tell as tell_progress;
pub(crate) use progress::told;
pub use snapshot::resolve;
pub use together::send as send_together;
pub use work::{advance, is_joining, waiting};

use super::PORTION;
use crate::{
    ctx::{Caller, Core, Ctx},
    entities::campaign,
    error::Result,
    sid::{AccountSid, CampaignSid, ServiceSid},
};

/// The most recipients of one transaction: half a portion, so that two make it up.
pub const SLICE: usize = 125;
/// The most while others have something to say.
pub const SMALL_SLICE: usize = 16;

/// What the `client_id` of a campaign's message begins with; the campaign's SID follows and, where each recipient has a
/// message of its own, a colon and its place.
pub const CLIENT_ID: &str = "campaign:";

/// A recipient is to be sent to.
pub const PENDING: &str = "pending";
/// It was sent to.
pub const SENT: &str = "sent";
/// One of its devices has the message.
pub const DELIVERED: &str = "delivered";
/// It has read the message.
pub const READ: &str = "read";
/// It has answered.
pub const REPLIED: &str = "replied";
/// It could not be sent to.
pub const FAILED: &str = "failed";
/// It was left out.
pub const SKIPPED: &str = "skipped";

/// A campaign, as jobs and holders name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Key {
    /// The account of its service.
    pub account: AccountSid,
    /// Its service.
    pub service: ServiceSid,
    /// The campaign.
    pub campaign: CampaignSid,
}

impl Key {
    /// The key of this campaign.
    #[must_use]
    pub fn of(campaign: &campaign::Model) -> Self {
        Self {
            account: campaign.account_id,
            service: campaign.service_id,
            campaign: campaign.id,
        }
    }
}

/// A portion of a campaign's recipients: the payload of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Portion {
    /// The campaign.
    #[serde(flatten)]
    pub key: Key,
    /// Which portion it is, from 0.
    pub number: i32,
}

impl Portion {
    /// The first place in it, and the first behind it.
    pub(crate) fn places(&self) -> (i64, i64) {
        let first = i64::from(self.number) * PORTION;
        (first, first + PORTION)
    }
}

/// What a step at a portion came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// How many recipients have a new status.
    pub done: usize,
    /// What follows.
    pub next: Next,
}

/// What follows a step at a portion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// There may be more to do at once.
    More,
    /// Nobody in the portion is to be worked on now.
    Finished,
    /// Somebody else is at it.
    Busy,
    /// The campaign does not run.
    Stopped,
    /// It is no business of the chat's: it goes out by SMS or e-mail.
    Outward,
}

impl Step {
    /// Nothing was done.
    pub(crate) fn none(next: Next) -> Self {
        Self { done: 0, next }
    }
}

/// The campaign as it is now.
///
/// # Errors
/// Whatever the database refuses.
pub async fn load(core: &Core, key: Key) -> Result<Option<campaign::Model>> {
    Ok(campaign::Entity::find()
        .filter(campaign::Column::ServiceId.eq(key.service))
        .filter(campaign::Column::Id.eq(key.campaign))
        .one(core.db.reader())
        .await?)
}

/// The engine at work in the campaign's service: the platform itself, which no audit entry names. Webhooks follow when
/// whoever started the campaign asked for them.
async fn enter(core: &Arc<Core>, campaign: &campaign::Model) -> Result<Ctx> {
    let caller = Caller::Account {
        account: campaign.account_id,
        key: None,
        webhooks: campaign.webhooks,
        request: None,
    };
    Ctx::enter(core, caller, campaign.service_id).await
}
