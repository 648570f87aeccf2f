//! Campaigns: a message to each of many recipients, or one to all of them. Here is what backends ask of them; the
//! engine in the workers carries it out.
//!
//! Whoever starts a campaign wakes the engine ([`Wake`]). From then on the campaign's row is the switch: the engine
//! looks at it within each of its transactions, and whoever pauses or cancels has it hold still, so that nothing is
//! sent after the answer.

mod actions;
mod counts;
mod deliveries;
pub mod engine;
mod export;
mod message;
pub mod outcomes;
pub mod quiet_hours;
mod recipients;
mod settings;
mod start;
mod sweep;
mod view;
mod wake;
mod walk;

use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect, Select};

pub(crate) use actions::delete_of_service;
pub use actions::{create, delete, start_broadcast, update};
pub use counts::{Counts, counts};
pub use deliveries::Deliveries;
pub use export::{EXPORT_HEADER, export_portion};
pub use message::{Message, Rendered};
pub use quiet_hours::QuietHours;
pub use recipients::{RecipientView, recipient_view, recipients};
pub use settings::CampaignSettings;
pub use start::check_start;
pub use view::{CampaignLinks, CampaignView, Rates, view};
pub use wake::Wake;
pub use walk::audience_page;

use crate::{
    ctx::Ctx,
    entities::campaign,
    error::{Error, Result},
    paging::{self, Key, Order, Page, PageRequest},
    sid::{CampaignSid, ServiceSid},
};

/// The kind of a campaign that is made, edited and then started.
pub const CAMPAIGN: &str = "campaign";
/// The kind of one that is started with its making.
pub const BROADCAST: &str = "broadcast";

/// One channel with all recipients as its members.
pub const GROUP: &str = "group";
/// A channel for each recipient.
pub const INDIVIDUAL: &str = "individual";
/// One way: in a channel where the recipients cannot write, or by SMS or e-mail.
pub const ONE_WAY: &str = "broadcast";

/// By messages in channels.
pub const CHAT: &str = "chat";
/// By SMS.
pub const SMS: &str = "sms";
/// By e-mail.
pub const EMAIL: &str = "email";

/// It can be edited, and begins when it is told to.
pub const DRAFT: &str = "draft";
/// It begins at `SendAt`.
pub const SCHEDULED: &str = "scheduled";
/// It is being sent.
pub const RUNNING: &str = "running";
/// Nothing is sent until it is resumed.
pub const PAUSED: &str = "paused";
/// It was ended before its end.
pub const CANCELLED: &str = "cancelled";
/// Everybody was sent to, or could not be.
pub const COMPLETED: &str = "completed";
/// It could not go on.
pub const FAILED: &str = "failed";
/// Every status of a campaign.
pub const STATUSES: [&str; 7] = [DRAFT, SCHEDULED, RUNNING, PAUSED, CANCELLED, COMPLETED, FAILED];

/// Nobody is among the recipients yet.
pub const UNRESOLVED: &str = "unresolved";
/// The audience is being walked.
pub const RESOLVING: &str = "resolving";
/// Every recipient is known.
pub const RESOLVED: &str = "resolved";

/// How many recipients are worked on together.
pub const PORTION: i64 = 250;

fn scoped(service: ServiceSid) -> Select<campaign::Entity> {
    campaign::Entity::find().filter(campaign::Column::ServiceId.eq(service))
}

fn missing(ctx: &Ctx, kind: Option<&str>, id: CampaignSid) -> Error {
    let collection = if kind == Some(BROADCAST) {
        "Broadcasts"
    } else {
        "Campaigns"
    };
    ctx.not_found(format_args!("{collection}/{id}"))
}

/// The service's campaign of this SID; with `kind` only one of that kind.
///
/// # Errors
/// 20404 when there is none; 20006 for users.
pub async fn get(ctx: &Ctx, kind: Option<&str>, id: CampaignSid) -> Result<campaign::Model> {
    ctx.backend_only()?;
    let mut select = scoped(ctx.scope()).filter(campaign::Column::Id.eq(id));
    if let Some(kind) = kind {
        select = select.filter(campaign::Column::Kind.eq(kind));
    }
    select
        .one(ctx.reader())
        .await?
        .ok_or_else(|| missing(ctx, kind, id))
}

/// The campaign, locked until the transaction ends. Whoever changes its status has the engine hold still before.
///
/// # Errors
/// Whatever the database refuses.
pub(crate) async fn lock(
    tx: &impl ConnectionTrait,
    service: ServiceSid,
    id: CampaignSid,
) -> Result<Option<campaign::Model>> {
    Ok(scoped(service)
        .filter(campaign::Column::Id.eq(id))
        .lock_exclusive()
        .one(tx)
        .await?)
}

/// The service's campaigns of a kind, oldest first; those of a status only, when one is given.
///
/// # Errors
/// 20001 naming `Status` when there is no such status; 20006 for users.
pub async fn list(
    ctx: &Ctx,
    kind: &str,
    status: Option<&str>,
    request: &PageRequest,
) -> Result<Page<campaign::Model>> {
    ctx.backend_only()?;
    let mut select = scoped(ctx.scope()).filter(campaign::Column::Kind.eq(kind));
    if let Some(status) = status {
        if !STATUSES.contains(&status) {
            return Err(Error::parameter(
                "Status",
                &format!("must be one of {}", STATUSES.join(", ")),
            ));
        }
        select = select.filter(campaign::Column::Status.eq(status));
    }
    paging::fetch(
        ctx.reader(),
        select,
        campaign::Column::Id,
        Order::Ascending,
        request,
        |row: &campaign::Model| Key::Uuid(row.id.0),
    )
    .await
}
