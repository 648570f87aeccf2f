//! One change: a transaction, the events it makes, and what follows its commit.

use std::{sync::Arc, time::Instant};

use sea_orm::DatabaseTransaction;

use crate::{
    ctx::Ctx,
    db::TRANSACTION_LIMIT,
    entities::channel,
    error::{Error, ErrorCode, Result},
    events::{
        Event, EventKind, Resource, log, outbox,
        publisher::{Committed, Control},
    },
    sid::EventSid,
    timestamp::Timestamp,
    webhooks,
};

/// A transaction in progress. Dropped without [`Change::commit`], it never happened.
pub(crate) struct Change<'a> {
    ctx: &'a Ctx,
    /// For the statements of the change.
    pub(crate) tx: DatabaseTransaction,
    began: Instant,
    events: Vec<Event>,
    controls: Vec<Control>,
}

impl<'a> Change<'a> {
    /// Begins the transaction.
    ///
    /// # Errors
    /// 20503 when the database is away.
    pub(crate) async fn begin(ctx: &'a Ctx) -> Result<Self> {
        let tx = ctx.core.db.begin().await?;
        Ok(Self {
            ctx,
            tx,
            began: Instant::now(),
            events: Vec::new(),
            controls: Vec::new(),
        })
    }

    /// Makes the channel's next durable event and writes it to the log. The channel must be locked, and the caller
    /// must store it afterwards, since its `last_seq` moves.
    ///
    /// # Errors
    /// Whatever the database refuses.
    pub(crate) async fn record(
        &mut self,
        channel: &mut channel::Model,
        kind: EventKind,
        resource: impl FnOnce(&mut channel::Model) -> Resource,
    ) -> Result<()> {
        self.record_all(channel, kind, [resource]).await
    }

    /// Makes the channel's next durable events, one for each resource, and writes them to the log at once. The same
    /// holds for the channel as in [`Change::record`].
    ///
    /// # Errors
    /// Whatever the database refuses.
    pub(crate) async fn record_all<R>(
        &mut self,
        channel: &mut channel::Model,
        kind: EventKind,
        resources: impl IntoIterator<Item = R>,
    ) -> Result<()>
    where
        R: FnOnce(&mut channel::Model) -> Resource,
    {
        let first = self.events.len();
        for resource in resources {
            advance(channel, Timestamp::now());
            let resource = resource(channel);
            let event = self.event(kind, resource, Some(channel));
            self.events.push(event);
        }
        log::append(&self.tx, &self.events[first..]).await
    }

    /// Makes an event that belongs to no channel.
    pub(crate) fn tell(&mut self, kind: EventKind, resource: Resource) {
        let event = self.event(kind, resource, None);
        self.events.push(event);
    }

    /// Has every gateway act on this once the change is committed.
    pub(crate) fn control(&mut self, control: Control) {
        self.controls.push(control);
    }

    fn event(&self, kind: EventKind, resource: Resource, channel: Option<&channel::Model>) -> Event {
        Event {
            id: EventSid::generate(),
            kind,
            account: self.ctx.account(),
            service: self.ctx.scope(),
            channel: channel.map(|channel| channel.id),
            seq: channel.map(|channel| channel.last_seq),
            identity: self.ctx.caller.actor().to_owned(),
            at: channel.map_or_else(Timestamp::now, |channel| channel.last_event_at),
            resource,
            connection: self.ctx.caller.origin().connection,
        }
    }

    /// Records the webhook deliveries and the outbox row, commits, and hands the events on.
    ///
    /// # Errors
    /// 20503 when the transaction took longer than [`TRANSACTION_LIMIT`] or the database went away; nothing happened
    /// then, unless the connection broke during the commit itself.
    pub(crate) async fn commit(self) -> Result<()> {
        let Self {
            ctx,
            tx,
            began,
            events,
            controls,
        } = self;
        let origin = ctx.caller.origin();
        let mut deliveries = Vec::new();
        if origin.webhooks {
            let due = webhooks::record(&tx, &ctx.service, &origin, &events).await?;
            if !due.is_empty() {
                deliveries.push((ctx.scope(), due));
            }
        }
        let publisher = &ctx.core.publisher;
        let row = if publisher.needs_outbox() && !events.is_empty() {
            Some(outbox::push(&tx, publisher.node(), &events).await?)
        } else {
            None
        };
        if began.elapsed() > TRANSACTION_LIMIT {
            return Err(Error::new(ErrorCode::Unavailable));
        }
        tx.commit().await?;
        publisher.committed(Committed {
            events: events.into_iter().map(Arc::new).collect(),
            outbox: row,
            deliveries,
        });
        for control in controls {
            publisher.control(control);
        }
        Ok(())
    }
}

/// Moves a locked channel's order on by one event. Its time never goes back, whatever the clocks of the nodes say:
/// cursors rely on it.
pub(crate) fn advance(channel: &mut channel::Model, now: Timestamp) {
    channel.last_seq += 1;
    channel.last_event_at = channel.last_event_at.max(now);
}
