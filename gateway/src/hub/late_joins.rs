//! Joins of connected users that come when the room is past them: another member has opened it behind the join, by what
//! the database said, while the bus was slow or away. What was said in between is read back.

use std::sync::Arc;

use hubbub_core::{
    Result, Timestamp,
    events::{
        Event,
        cursor::{self, MARGIN},
        log::MembershipChange,
    },
    sid::ChannelSid,
};

use super::{Hub, RoomKey, Start};
use crate::client::Client;

impl Hub {
    /// Seats the clients of whoever joined by this event that have no seat though the room is past it.
    pub(super) fn seat_late(self: &Arc<Self>, key: RoomKey, join: &Arc<Event>) {
        if self
            .room(key)
            .is_none_or(|room| Some(room.lock().last_seq()) < join.seq)
        {
            return;
        }
        for client in self.newcomers(join) {
            if has_missed(&client, key.1, join.seq) {
                let (hub, join) = (Arc::clone(self), Arc::clone(join));
                tokio::spawn(async move { hub.bring(&client, key.1, &join).await });
            }
        }
    }

    /// Seats a client in a channel that it has joined by this event, and tells it what was said since. One that catches
    /// up with something else is left to the audit.
    async fn bring(self: &Arc<Self>, client: &Arc<Client>, channel: ChannelSid, join: &Event) {
        if !client.hold() {
            return;
        }
        // Whatever lies before this, every client has been told, and its telling may be forgotten.
        let since = self.watermark().minus(MARGIN);
        if join.at <= since || !has_missed(client, channel, join.seq) {
            return client.release(self.watermark());
        }
        let mut place = Place {
            channel,
            known: client.told(channel).unwrap_or(0).max(join.seq.unwrap_or(0) - 1),
            seated_at: None,
        };
        let told = match self.find_place(client, since, &mut place).await {
            Ok(start) => self.catch_up(client, &start).await,
            Err(error) => Err(error),
        };
        match told {
            Ok(()) => client.release(self.watermark()),
            Err(error) if place.seated_at.is_none() => {
                tracing::warn!(?error, %channel, "a join that came late could not be followed; the audit tries again");
                client.release(self.watermark());
            }
            Err(error) => {
                tracing::debug!(?error, "a client could not catch up; it comes back with its cursor");
                client.socket.close_transport();
            }
        }
    }

    /// Seats the client, if it is a member still, and finds what it has to be told.
    async fn find_place(
        self: &Arc<Self>,
        client: &Arc<Client>,
        since: Timestamp,
        place: &mut Place,
    ) -> Result<Start> {
        let channel = place.channel;
        let connecting = &self.core.connecting;
        loop {
            let changes: Vec<MembershipChange> = connecting
                .membership_changes(client.service, client.identity.as_str(), since)
                .await?
                .into_iter()
                .filter(|change| change.channel == channel)
                .collect();
            match (changes.last(), place.seated_at) {
                (Some(MembershipChange { joined: true, seq, .. }), None) => {
                    // The seat may be over already: only a younger answer tells.
                    let behind = self.seat(client, channel, *seq);
                    place.seated_at = Some(behind.map_or(*seq, |behind| behind.until));
                    self.heal_after_binding((client.service, channel));
                }
                (Some(MembershipChange { joined: false, .. }), Some(_)) => {
                    self.unseat(client, channel);
                    place.seated_at = None;
                }
                (_, seated_at) => {
                    let spans = cursor::spans(place.known, &changes, seated_at);
                    return Ok(Start::of(spans.into_iter().map(|(after, until)| {
                        self.stretch(client, channel, after, until)
                    })));
                }
            }
        }
    }
}

/// Where a client comes to sit.
struct Place {
    channel: ChannelSid,
    /// It has been told of everything up to here that it may hear.
    known: i64,
    /// Once it sits: what it is told live begins behind this.
    seated_at: Option<i64>,
}

/// Whether a client has neither a seat in the channel nor been told of what was there from this `seq` on.
pub(super) fn has_missed(client: &Client, channel: ChannelSid, seq: Option<i64>) -> bool {
    !client.is_seated(channel) && client.told(channel) < seq
}
