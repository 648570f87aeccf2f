//! Webhooks of single channels, beside those of their service.

mod configuration;
mod view;

use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, DbErr, EntityTrait, IntoActiveModel, PaginatorTrait,
    QueryFilter, Select,
};

pub use configuration::{Configuration, STUDIO, TRIGGER, WEBHOOK};
pub use view::{ChannelWebhookView, view};

use crate::{
    audit::Edit,
    change::Change,
    channels,
    ctx::Ctx,
    entities::{channel, channel_webhook},
    error::{ErrorCode, Result},
    input::ChannelRef,
    paging::{self, Key, Order, Page, PageRequest},
    sid::{ChannelSid, ServiceSid, WebhookSid},
    sql::Sql,
    timestamp::Timestamp,
    webhooks::pending,
};

/// The most webhooks of a channel.
const MOST: u64 = 5;

fn scoped(service: ServiceSid, channel: ChannelSid) -> Select<channel_webhook::Entity> {
    channel_webhook::Entity::find()
        .filter(channel_webhook::Column::ServiceId.eq(service))
        .filter(channel_webhook::Column::ChannelId.eq(channel))
}

async fn channel_of(ctx: &Ctx, db: &impl ConnectionTrait, channel: &ChannelRef) -> Result<channel::Model> {
    ctx.backend_only()?;
    channels::find(db, ctx.scope(), channel)
        .await?
        .ok_or_else(|| channels::missing(ctx, channel))
}

/// The channel, locked: its webhooks are counted and changed by one at a time.
async fn lock_channel(ctx: &Ctx, change: &Change<'_>, channel: &ChannelRef) -> Result<channel::Model> {
    ctx.backend_only()?;
    channels::lock(&change.tx, ctx.scope(), channel)
        .await?
        .ok_or_else(|| channels::missing(ctx, channel))
}

async fn of_channel(
    ctx: &Ctx,
    db: &impl ConnectionTrait,
    found: &channel::Model,
    channel: &ChannelRef,
    id: WebhookSid,
) -> Result<channel_webhook::Model> {
    scoped(ctx.scope(), found.id)
        .filter(channel_webhook::Column::Id.eq(id))
        .one(db)
        .await?
        .ok_or_else(|| ctx.not_found(format_args!("Channels/{channel}/Webhooks/{id}")))
}

/// The channel's webhook of this SID.
///
/// # Errors
/// 20404 when there is no such channel or webhook; 20006 for users.
pub async fn get(ctx: &Ctx, channel: &ChannelRef, id: WebhookSid) -> Result<channel_webhook::Model> {
    let found = channel_of(ctx, ctx.reader(), channel).await?;
    of_channel(ctx, ctx.reader(), &found, channel, id).await
}

/// The channel's webhooks, oldest first.
///
/// # Errors
/// 20404 when there is no such channel; 20006 for users.
pub async fn list(
    ctx: &Ctx,
    channel: &ChannelRef,
    request: &PageRequest,
) -> Result<Page<channel_webhook::Model>> {
    let found = channel_of(ctx, ctx.reader(), channel).await?;
    paging::fetch(
        ctx.reader(),
        scoped(ctx.scope(), found.id),
        channel_webhook::Column::Id,
        Order::Ascending,
        request,
        |row: &channel_webhook::Model| Key::Uuid(row.id.0),
    )
    .await
}

/// Makes a webhook of `kind`: `webhook`, `trigger` or `studio`.
///
/// # Errors
/// 20404 when there is no such channel; 50321 when it has five; 50324, 50328 or the code of the part of the
/// configuration that is wrong or missing; 20006 for users.
pub async fn create(
    ctx: &Ctx,
    channel: &ChannelRef,
    kind: &str,
    configuration: Configuration,
) -> Result<channel_webhook::Model> {
    let mut change = Change::begin(ctx).await?;
    let found = lock_channel(ctx, &change, channel).await?;
    let now = Timestamp::now();
    let mut row = channel_webhook::Model {
        service_id: ctx.scope(),
        channel_id: found.id,
        id: WebhookSid::generate(),
        kind: configuration::kind(kind)?.to_owned(),
        url: None,
        method: "POST".to_owned(),
        filters: None,
        triggers: None,
        flow_sid: None,
        retry_count: 0,
        date_created: now,
        date_updated: now,
    };
    configuration::apply(&ctx.core, &mut row, configuration)?;
    if scoped(ctx.scope(), found.id).count(&change.tx).await? >= MOST {
        return Err(ErrorCode::TooManyWebhooks.into());
    }
    let row = row.into_active_model().insert(&change.tx).await?;
    recount(&change.tx, &row).await?;
    change.audit(Edit::Created(&row))?;
    change.commit().await?;
    Ok(row)
}

/// Changes the parts of a webhook's configuration that are given; its type stays.
///
/// # Errors
/// 20404; the code of the part that is wrong; 20006 for users.
pub async fn update(
    ctx: &Ctx,
    channel: &ChannelRef,
    id: WebhookSid,
    configuration: Configuration,
) -> Result<channel_webhook::Model> {
    let mut change = Change::begin(ctx).await?;
    let found = lock_channel(ctx, &change, channel).await?;
    let before = of_channel(ctx, &change.tx, &found, channel, id).await?;
    let mut row = before.clone();
    configuration::apply(&ctx.core, &mut row, configuration)?;
    row.date_updated = Timestamp::now();
    let row = row.into_active_model().reset_all().update(&change.tx).await?;
    change.audit(Edit::Updated {
        before: &before,
        after: &row,
    })?;
    change.commit().await?;
    Ok(row)
}

/// Deletes a webhook. What it was still to be told is cancelled.
///
/// # Errors
/// 20404; 20006 for users.
pub async fn delete(ctx: &Ctx, channel: &ChannelRef, id: WebhookSid) -> Result<()> {
    let mut change = Change::begin(ctx).await?;
    let found = lock_channel(ctx, &change, channel).await?;
    let row = of_channel(ctx, &change.tx, &found, channel, id).await?;
    channel_webhook::Entity::delete_by_id((row.service_id, row.channel_id, row.id))
        .exec(&change.tx)
        .await?;
    recount(&change.tx, &row).await?;
    pending::cancel(&change.tx, row.id.0).await?;
    change.audit(Edit::Deleted(&row))?;
    change.commit().await
}

/// Notes in the channel, which is locked, how many of its webhooks call somebody: whoever changes it sees whether there
/// are any to be told.
async fn recount(db: &impl ConnectionTrait, row: &channel_webhook::Model) -> Result<()> {
    let mut sql = Sql::new(
        "UPDATE channels SET webhooks = (SELECT COUNT(*) FROM channel_webhooks w WHERE w.service_id = ",
    );
    sql.bind(row.service_id)
        .push(" AND w.channel_id = ")
        .bind(row.channel_id)
        .push(" AND w.kind <> ")
        .bind(STUDIO)
        .push(") WHERE service_id = ")
        .bind(row.service_id)
        .push(" AND id = ")
        .bind(row.channel_id);
    sql.execute(db).await?;
    Ok(())
}

/// Removes every webhook of a channel that ends. What they were told before, and that it has ended, they still hear of.
///
/// # Errors
/// Whatever the database refuses.
pub(crate) async fn delete_of_channel(
    db: &impl ConnectionTrait,
    service: ServiceSid,
    channel: ChannelSid,
) -> Result<(), DbErr> {
    channel_webhook::Entity::delete_many()
        .filter(channel_webhook::Column::ServiceId.eq(service))
        .filter(channel_webhook::Column::ChannelId.eq(channel))
        .exec(db)
        .await
        .map(|_| ())
}
