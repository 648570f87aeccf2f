//! How a client gets to its place: seats in all its channels, and what it missed, before anything new.
//!
//! The client enters first and holds live events back; then the database is asked. Whatever is committed later
//! reaches it as a live event, whatever was committed before is in the answer, and what falls between the question
//! and its seat is found by asking once more for what is recent.

use std::{collections::HashMap, sync::Arc, time::Duration};

use hubbub_core::{
    Error, Result, Timestamp,
    error::ErrorCode,
    events::{
        Event, EventKind, attending,
        cursor::{self, Cursor, MARGIN, Subscription, pool_tag},
        log::{self, Stretch},
    },
    sid::ChannelSid,
    topic::Topic,
};

use super::Hub;
use crate::client::Client;

/// How many missed events are read at once, of however many channels.
const PORTION: i64 = 500;
/// How many seats are taken before others get their turn.
const SEATS: usize = 500;
/// How long a client may take to read what it missed.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often a full queue is looked at, and a client that catches up.
pub(crate) const PACE: Duration = Duration::from_millis(5);

/// What a client that takes its place has to catch up with.
pub(crate) struct Start {
    stretches: Vec<Stretch>,
    /// Whether nothing is missing behind the cursor; `None` without a cursor.
    pub(crate) complete: Option<bool>,
    besides_own: bool,
}

impl Start {
    fn of(stretches: Vec<Stretch>, complete: Option<bool>) -> Self {
        Self {
            stretches,
            complete,
            besides_own: false,
        }
    }

    /// These, without what the client has sent itself since it came: that it has by the acks.
    pub(super) fn besides_own(stretches: Vec<Stretch>) -> Self {
        Self {
            stretches,
            complete: None,
            besides_own: true,
        }
    }
}

impl Hub {
    /// Gives a client that has entered its seats, and finds what it missed since its cursor. It goes on holding live events
    /// back. `channels` is about how many its user has.
    ///
    /// # Errors
    /// Whatever the database refuses.
    pub(crate) async fn admit(
        self: &Arc<Self>,
        client: &Arc<Client>,
        cursor: Option<&str>,
        channels: i32,
    ) -> Result<Start> {
        let own = Topic::user(client.service, client.identity.as_str());
        let pools = client.pools();
        let attended = pools.iter().map(|pool| Topic::pool(client.service, *pool));
        self.buckets.bound(attended.chain([own])).await;
        let asked = Timestamp::now();
        let connecting = &self.core.connecting;
        let identity = client.identity.as_str();
        let subscriptions = connecting
            .subscriptions(client.service, identity, None, channels)
            .await?;
        let watermark = self.watermark();
        let cursor = cursor.map(|text| self.readable(client, text));
        let (mut stretches, complete) = match &cursor {
            None => (Vec::new(), None),
            Some(None) => (Vec::new(), Some(false)),
            Some(Some(cursor)) => {
                client.has(cursor, watermark);
                let missed = cursor::missed(
                    &self.core,
                    client.account,
                    client.service,
                    identity,
                    cursor,
                    &subscriptions,
                )
                .await?;
                (missed, Some(true))
            }
        };
        let as_they_stand = subscriptions.iter().map(
            |Subscription {
                 channel,
                 last_seq,
                 last_event_at,
                 ..
             }| (*channel, *last_seq, *last_event_at),
        );
        client.knows_all(as_they_stand, watermark);
        let mut known = HashMap::with_capacity(subscriptions.len());
        for (number, subscription) in subscriptions.iter().enumerate() {
            if number % SEATS == SEATS - 1 {
                tokio::task::yield_now().await;
            }
            let Subscription {
                channel,
                last_seq,
                deleted,
                ..
            } = *subscription;
            if !deleted {
                known.insert(channel, last_seq);
                stretches.extend(self.seat(client, channel, last_seq));
            }
        }
        self.buckets
            .bound(
                known
                    .keys()
                    .map(|channel| Topic::channel(client.service, *channel)),
            )
            .await;
        self.settle(client, asked, &mut known, &mut stretches).await?;
        if !pools.is_empty() {
            // Seats first: what is said from now on is held back, and what was said before is in the answer.
            self.seat_in_desks(client);
            let cursor = cursor.as_ref().and_then(Option::as_ref);
            let since = cursor.map_or(watermark, |cursor| cursor.watermark.min(watermark));
            let is_member = |channel| known.contains_key(&channel);
            let active = self
                .know_desks(client, &pools, since.minus(MARGIN), is_member)
                .await?;
            if let Some(cursor) = cursor {
                let tenant = (client.account, client.service);
                let db = self.core.db.reader();
                stretches.extend(attending::missed(db, tenant, &pools, cursor, &active).await?);
                stretches = attending::merged(stretches);
            }
        }
        Ok(Start::of(stretches, complete))
    }

    /// The cursor, when it is this client's and the log reaches back to it.
    pub(crate) fn readable(&self, client: &Client, text: &str) -> Option<Cursor> {
        let cursor = self
            .core
            .cursors
            .decode(text, client.service, client.identity.as_str())?;
        let oldest = Timestamp::now().minus(self.core.settings.event_retention);
        // Of the channels of a pool that it has joined since, it knows nothing.
        let attended = client
            .pools()
            .iter()
            .all(|pool| cursor.recent.contains_key(&pool_tag(*pool)));
        (cursor.watermark >= oldest && attended).then_some(cursor)
    }

    /// Seats the client, which knows the channel up to `known`; answers what the room delivered beyond that.
    pub(super) fn seat(
        self: &Arc<Self>,
        client: &Arc<Client>,
        channel: ChannelSid,
        known: i64,
    ) -> Option<Stretch> {
        let key = (client.service, channel);
        let behind = loop {
            let (room, _) = self.open_room(key, known);
            let mut room = room.lock();
            if room.closed {
                continue;
            }
            break client
                .take_seat(channel)
                .then(|| room.seat(Arc::clone(client), known));
        };
        match behind {
            Some(behind) => behind.map(|(after, until)| self.stretch(client, channel, after, until)),
            None => {
                // It has a seat, or is gone and leaves the room as it was.
                self.close_if_empty(key);
                None
            }
        }
    }

    pub(super) fn stretch(&self, client: &Client, channel: ChannelSid, after: i64, until: i64) -> Stretch {
        Stretch {
            account: client.account,
            service: client.service,
            channel,
            after,
            until,
        }
    }

    /// Finds what was committed between the question and the seats: events that no room heard, joins, and leaves that
    /// came before the seat they end.
    async fn settle(
        self: &Arc<Self>,
        client: &Arc<Client>,
        asked: Timestamp,
        known: &mut HashMap<ChannelSid, i64>,
        stretches: &mut Vec<Stretch>,
    ) -> Result<()> {
        let connecting = &self.core.connecting;
        let since = asked.min(self.watermark()).minus(MARGIN);
        let identity = client.identity.as_str();
        let channels = i32::try_from(known.len()).unwrap_or(i32::MAX);
        let (active, changes) = futures_util::join!(
            connecting.subscriptions(client.service, identity, Some(since), channels),
            connecting.membership_changes(client.service, identity, since),
        );
        for subscription in active? {
            let key = (client.service, subscription.channel);
            if let Some(room) = self.room(key)
                && room.lock().last_seq() < subscription.last_seq
            {
                self.heal_soon(key);
            }
        }
        let mut changes = changes?;
        // A seat that was taken by an answer may have ended after it: only an answer that is younger tells.
        while self.follow(client, asked, &changes, known, stretches) {
            changes = connecting
                .membership_changes(client.service, identity, since)
                .await?;
        }
        Ok(())
    }

    /// Takes the seats that these joins give, and gives up those that these leaves end. True when a seat was taken.
    fn follow(
        self: &Arc<Self>,
        client: &Arc<Client>,
        asked: Timestamp,
        changes: &[log::MembershipChange],
        known: &mut HashMap<ChannelSid, i64>,
        stretches: &mut Vec<Stretch>,
    ) -> bool {
        let last_change: HashMap<ChannelSid, log::MembershipChange> =
            changes.iter().map(|change| (change.channel, *change)).collect();
        let mut has_taken = false;
        for (channel, change) in last_change {
            match known.get(&channel) {
                Some(&seq) if !change.joined && change.seq > seq && self.unseat(client, channel) => {
                    known.remove(&channel);
                    // The room may have been behind the leave when the seat was taken.
                    for stretch in stretches.iter_mut().filter(|stretch| stretch.channel == channel) {
                        stretch.until = stretch.until.min(change.seq);
                    }
                    stretches.push(self.stretch(client, channel, seq, change.seq));
                }
                // A channel that it has left: its cursors must cover the leave.
                None if !change.joined => client.knows(channel, change.seq, asked, self.watermark()),
                None if !client.is_seated(channel) => {
                    has_taken = true;
                    known.insert(channel, change.seq);
                    stretches.push(self.stretch(client, channel, change.seq - 1, change.seq));
                    stretches.extend(self.seat(client, channel, change.seq));
                    self.heal_after_binding((client.service, channel));
                }
                _ => {}
            }
        }
        has_taken
    }

    /// Takes a client's seat away. False when it had none.
    pub(super) fn unseat(&self, client: &Client, channel: ChannelSid) -> bool {
        let had_one = client.give_up_seat(channel);
        if had_one {
            let key = (client.service, channel);
            if let Some(room) = self.room(key) {
                room.lock().unseat(client);
            }
            self.close_if_empty(key);
        }
        had_one
    }

    /// Delivers what was missed, no faster than the client reads it, then lets live events through.
    ///
    /// # Errors
    /// When the database is away or the client does not read: it must come back with its cursor.
    pub(crate) async fn catch_up(&self, client: &Arc<Client>, start: &Start) -> Result<()> {
        let mut portion = Vec::new();
        let mut room = PORTION;
        for stretch in &start.stretches {
            let mut rest = *stretch;
            while rest.after < rest.until {
                let until = rest.until.min(rest.after + room);
                room -= until - rest.after;
                portion.push(Stretch { until, ..rest });
                rest.after = until;
                if room == 0 {
                    self.deliver_portion(client, &portion, start.besides_own).await?;
                    portion.clear();
                    room = PORTION;
                }
            }
        }
        self.deliver_portion(client, &portion, start.besides_own).await
    }

    async fn deliver_portion(
        &self,
        client: &Arc<Client>,
        portion: &[Stretch],
        besides_own: bool,
    ) -> Result<()> {
        for mut event in self.core.connecting.read_all(portion).await? {
            self.wait_for_room(client).await?;
            if besides_own {
                event.connection = self.core.writer.socket_of(event.id);
            }
            let kind = self.kind_for(client, &event);
            client.catch_up(event, kind, self.watermark());
        }
        Ok(())
    }

    pub(super) fn kind_for(&self, client: &Client, event: &Event) -> EventKind {
        match event.kind {
            EventKind::MemberJoined if event.subject() == Some(client.identity.as_str()) => {
                EventKind::ChannelJoined
            }
            EventKind::MemberLeft if event.subject() == Some(client.identity.as_str()) => {
                EventKind::ChannelLeft
            }
            kind => kind,
        }
    }

    async fn wait_for_room(&self, client: &Client) -> Result<()> {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while client.socket.queued_bytes() > self.socket_queue / 2 {
            if !client.socket.is_connected() || tokio::time::Instant::now() > deadline {
                return Err(Error::new(ErrorCode::Unavailable));
            }
            tokio::time::sleep(PACE).await;
        }
        Ok(())
    }

    /// Finds what a connected client missed since a cursor of its own: for the verb `sync`.
    ///
    /// # Errors
    /// Whatever the database refuses.
    pub(crate) async fn missed_since(&self, client: &Client, text: &str) -> Result<Start> {
        let Some(cursor) = self.readable(client, text) else {
            return Ok(Start::of(Vec::new(), Some(false)));
        };
        let identity = client.identity.as_str();
        let channels = i32::try_from(client.seats().len()).unwrap_or(i32::MAX);
        let connecting = &self.core.connecting;
        let subscriptions = connecting
            .subscriptions(client.service, identity, None, channels)
            .await?;
        let mut stretches = cursor::missed(
            &self.core,
            client.account,
            client.service,
            identity,
            &cursor,
            &subscriptions,
        )
        .await?;
        let pools = client.pools();
        if !pools.is_empty() {
            let since = cursor.watermark.minus(MARGIN);
            let db = self.core.db.reader();
            let active = attending::active(db, client.service, &pools, since).await?;
            let tenant = (client.account, client.service);
            stretches.extend(attending::missed(db, tenant, &pools, &cursor, &active).await?);
            stretches = attending::merged(stretches);
        }
        Ok(Start::of(stretches, Some(true)))
    }
}
