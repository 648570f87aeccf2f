//! One change: a transaction, the events it makes, and what follows its commit.

use std::{sync::Arc, time::Instant};

use sea_orm::DatabaseTransaction;

use crate::{
    audit::{self, Actor, Audited, Edit},
    channels::SLACK,
    ctx::{Caller, Core, Ctx},
    db::TRANSACTION_LIMIT,
    desk::CaseTurn,
    entities::{audit_event, channel},
    error::{Error, ErrorCode, Result},
    events::{
        Event, EventKind, Resource, log, outbox,
        publisher::{Committed, Control},
    },
    sid::{AccountSid, EventSid, ServiceSid},
    timestamp::Timestamp,
    webhooks::{self, Told, hooks::ChannelHooks},
};

/// A transaction in progress in a service. Dropped without [`Change::commit`], it never happened.
pub(crate) struct Change<'a> {
    ctx: &'a Ctx,
    /// For the statements of the change.
    pub(crate) tx: DatabaseTransaction,
    began: Instant,
    events: Vec<Event>,
    hooks: ChannelHooks,
    controls: Vec<Control>,
    audit: Ledger,
}

impl<'a> Change<'a> {
    /// Begins the transaction.
    ///
    /// # Errors
    /// 20006 when the caller may only read; 20503 when the database is away.
    pub(crate) async fn begin(ctx: &'a Ctx) -> Result<Self> {
        ctx.caller.may_write()?;
        Self::of_the_platform(ctx).await
    }

    /// Begins a transaction that is not the caller's doing, whatever the caller may do: its user springs up.
    ///
    /// # Errors
    /// 20503 when the database is away.
    pub(crate) async fn of_the_platform(ctx: &'a Ctx) -> Result<Self> {
        let tx = ctx.core.db.begin().await?;
        Ok(Self {
            ctx,
            tx,
            began: Instant::now(),
            events: Vec::new(),
            hooks: ChannelHooks::default(),
            controls: Vec::new(),
            audit: Ledger::of(&ctx.caller),
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
        if self.ctx.caller.origin().webhooks {
            // Now: the channel's end takes its webhooks with it, and they are to hear of that.
            self.hooks.read(&self.tx, [&*channel]).await?;
        }
        let first = self.events.len();
        for resource in resources {
            advance(channel, Timestamp::now());
            let resource = resource(channel);
            let event = self.event(kind, resource, Some(channel));
            self.events.push(event);
        }
        log::append(&self.tx, &self.events[first..]).await
    }

    /// Makes the event that tells how the channel has become, with what that does to its case. It may be two: a channel
    /// that goes from one pool to another has none in between, so that each pool hears its own part. The same holds for
    /// the channel as in [`Change::record`].
    ///
    /// # Errors
    /// Whatever the database refuses.
    pub(crate) async fn record_turn(
        &mut self,
        channel: &mut channel::Model,
        before: &channel::Model,
    ) -> Result<()> {
        let moves =
            before.pool_id.is_some() && channel.pool_id.is_some() && before.pool_id != channel.pool_id;
        if !moves {
            return self.record_as(EventKind::ChannelUpdated, channel, before).await;
        }
        let mut between = channel.clone();
        between.pool_id = None;
        between.assignee = None;
        self.record_as(EventKind::ChannelUpdated, &mut between, before)
            .await?;
        channel.last_seq = between.last_seq;
        channel.last_event_at = between.last_event_at;
        channel.pool_event_at = None;
        self.record_as(EventKind::ChannelUpdated, channel, &between).await
    }

    /// Makes the event of this kind that tells how the channel has become, with what that does to its case.
    ///
    /// # Errors
    /// Whatever the database refuses.
    pub(crate) async fn record_as(
        &mut self,
        kind: EventKind,
        channel: &mut channel::Model,
        before: &channel::Model,
    ) -> Result<()> {
        if self.ctx.caller.origin().webhooks {
            self.hooks.read(&self.tx, [&*channel]).await?;
        }
        advance(channel, Timestamp::now());
        let resource = Resource::Channel(Box::new(channel.clone()));
        let mut event = self.event(kind, resource, Some(channel));
        event.pool = channel.pool_id.or(before.pool_id);
        event.turn = CaseTurn::between(before, channel);
        log::append(&self.tx, std::slice::from_ref(&event)).await?;
        self.events.push(event);
        Ok(())
    }

    /// Takes over events of these locked channels, which were written to the log already.
    ///
    /// # Errors
    /// Whatever the database refuses.
    pub(crate) async fn take_over<'c>(
        &mut self,
        channels: impl IntoIterator<Item = &'c channel::Model>,
        events: Vec<Event>,
    ) -> Result<()> {
        if self.ctx.caller.origin().webhooks {
            self.hooks.read(&self.tx, channels).await?;
        }
        self.events.extend(events);
        Ok(())
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

    /// Puts what a backend did into the audit log. Every change that a backend can ask for calls it; for users it
    /// does nothing.
    ///
    /// # Errors
    /// When the resource cannot be shown.
    pub(crate) fn audit<R: Audited>(&mut self, edit: Edit<'_, R>) -> Result<()> {
        self.audit.add(self.ctx.account(), Some(self.ctx.scope()), edit)
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
            pool: channel.and_then(|channel| channel.pool_id),
            turn: CaseTurn::default(),
            resource,
            connection: self.ctx.caller.origin().connection,
        }
    }

    /// Records the webhook deliveries, the audit entries and the outbox row, commits, and hands the events on.
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
            hooks,
            controls,
            audit,
        } = self;
        let origin = ctx.caller.origin();
        let told: Vec<Told<'_>> = events
            .iter()
            .map(|event| Told {
                service: &ctx.service,
                origin: &origin,
                event,
            })
            .collect();
        let base = ctx.core.settings.base();
        let deliveries = webhooks::record(&tx, &base, &hooks, &told).await?;
        drop(told);
        audit::store(&tx, &audit.entries).await?;
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

impl Change<'_> {
    /// Ends a rehearsal: nothing happened.
    ///
    /// # Errors
    /// Whatever the database refuses.
    pub(crate) async fn abandon(self) -> Result<()> {
        Ok(self.tx.rollback().await?)
    }
}

/// A transaction in progress outside of a service: accounts, keys, services themselves. It makes no events.
pub(crate) struct AccountChange<'a> {
    core: &'a Core,
    /// For the statements of the change.
    pub(crate) tx: DatabaseTransaction,
    controls: Vec<Control>,
    audit: Ledger,
    /// Whether calls may be let in by what it changes.
    outdates: bool,
}

impl<'a> AccountChange<'a> {
    /// Begins the transaction.
    ///
    /// # Errors
    /// 20006 when the caller may only read; 20503 when the database is away.
    pub(crate) async fn begin(core: &'a Core, caller: &Caller) -> Result<Self> {
        caller.may_write()?;
        Ok(Self {
            core,
            tx: core.db.begin().await?,
            controls: Vec::new(),
            audit: Ledger::of(caller),
            outdates: true,
        })
    }

    /// Has every gateway act on this once the change is committed.
    pub(crate) fn control(&mut self, control: Control) {
        self.controls.push(control);
    }

    /// Says that it changes no account, key or service that is there already.
    pub(crate) fn lets_in_as_before(mut self) -> Self {
        self.outdates = false;
        self
    }

    /// Puts what was done to a resource of `account` into the audit log.
    ///
    /// # Errors
    /// When the resource cannot be shown.
    pub(crate) fn audit<R: Audited>(
        &mut self,
        account: AccountSid,
        service: Option<ServiceSid>,
        edit: Edit<'_, R>,
    ) -> Result<()> {
        self.audit.add(account, service, edit)
    }

    /// Writes the audit entries, commits, tells the gateways, and returns when no node lets anybody in by what was
    /// before.
    ///
    /// # Errors
    /// 20503 when the database went away; nothing happened then, unless the connection broke during the commit
    /// itself.
    pub(crate) async fn commit(self) -> Result<()> {
        audit::store(&self.tx, &self.audit.entries).await?;
        self.tx.commit().await?;
        for control in self.controls {
            self.core.publisher.control(control);
        }
        if self.outdates {
            self.core.lookups.changed().await;
        }
        Ok(())
    }
}

/// The audit entries of a change.
struct Ledger {
    /// `None` for users, whose actions are not in the log.
    actor: Option<Actor>,
    entries: Vec<audit_event::Model>,
}

impl Ledger {
    fn of(caller: &Caller) -> Self {
        Self {
            actor: caller.backend(),
            entries: Vec::new(),
        }
    }

    fn add<R: Audited>(
        &mut self,
        account: AccountSid,
        service: Option<ServiceSid>,
        edit: Edit<'_, R>,
    ) -> Result<()> {
        if let Some(actor) = self.actor {
            self.entries.push(audit::entry(actor, account, service, edit)?);
        }
        Ok(())
    }
}

/// Moves a locked channel's order on by one event. Its time never goes back, whatever the clocks of the nodes say:
/// cursors rely on it.
pub(crate) fn advance(channel: &mut channel::Model, now: Timestamp) {
    channel.last_seq += 1;
    channel.last_event_at = channel.last_event_at.max(now);
    channel.pool_event_at = match (channel.pool_id, channel.pool_event_at) {
        (None, _) => None,
        (Some(_), Some(at)) if channel.last_event_at < at.plus(SLACK) => Some(at),
        (Some(_), _) => Some(channel.last_event_at),
    };
}
