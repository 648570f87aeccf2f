//! A channel as this process's clients hear it: its events in order, each once.

use std::{collections::BTreeMap, sync::Arc, time::Instant};

use hubbub_core::{
    Timestamp,
    events::{Event, EventKind},
    sid::{ChannelSid, OperatorPoolSid},
};

use super::encoded::Encoded;
use crate::client::Client;

/// The `seq` of the event that each channel begins with.
const CHANNEL_ADDED: i64 = 1;

/// A client in a room.
struct Seat {
    client: Arc<Client>,
    /// It knows everything up to here by other means.
    after: i64,
    /// It is here because of its pool, and no member.
    operator: bool,
}

/// Whether by an event of this kind clients come into the room, or go, or there is a room at all.
pub(crate) fn moves_clients(kind: EventKind) -> bool {
    matches!(
        kind,
        EventKind::ChannelAdded | EventKind::ChannelRemoved | EventKind::MemberJoined | EventKind::MemberLeft
    )
}

/// The local end of a channel.
pub(crate) struct Room {
    /// What came after this event it has heard without a gap, and since when.
    begins: (i64, Instant),
    /// The last event that was delivered.
    last_seq: i64,
    seats: Vec<Seat>,
    /// The pool whose operators are seated.
    pool: Option<OperatorPoolSid>,
    /// When the last event was committed that is known of.
    last_at: Timestamp,
    /// Events ahead of a gap.
    waiting: BTreeMap<i64, Arc<Event>>,
    /// Somebody reads the gap from the database.
    pub(crate) healing: bool,
    /// Taken out of the map; whoever still holds it must look again.
    pub(crate) closed: bool,
}

/// What an event leaves to do once the room is unlocked.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Followup {
    /// Nothing.
    Nothing,
    /// There is a gap that nobody heals yet.
    Heal,
}

impl Room {
    pub(crate) fn new(last_seq: i64) -> Self {
        Self {
            begins: (last_seq, Instant::now()),
            last_seq,
            seats: Vec::new(),
            pool: None,
            last_at: Timestamp(0),
            waiting: BTreeMap::new(),
            healing: false,
            closed: false,
        }
    }

    pub(crate) fn last_seq(&self) -> i64 {
        self.last_seq
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.seats.is_empty()
    }

    /// Those who are seated.
    pub(crate) fn clients(&self) -> impl Iterator<Item = Arc<Client>> {
        self.seats.iter().map(|seat| Arc::clone(&seat.client))
    }

    /// Seats a client that knows the channel up to `known`. Answers what it must catch up with: the stretch that the
    /// room has delivered and the client does not know.
    pub(crate) fn seat(&mut self, client: Arc<Client>, known: i64) -> Option<(i64, i64)> {
        let behind = (known < self.last_seq).then_some((known, self.last_seq));
        self.seats.push(Seat {
            client,
            after: known.max(self.last_seq),
            operator: false,
        });
        behind
    }

    /// Whether the operators of this pool are seated here.
    pub(crate) fn is_attended_by(&self, pool: OperatorPoolSid) -> bool {
        self.pool == Some(pool)
    }

    /// From now on the operators of this pool are seated here; something happened at this moment.
    pub(crate) fn attend(&mut self, pool: OperatorPoolSid, at: Timestamp) {
        self.pool = Some(pool);
        self.last_at = self.last_at.max(at);
    }

    /// Seats an operator who knows the channel as the room has it.
    pub(crate) fn seat_operator(&mut self, client: Arc<Client>) {
        let last_seq = self.last_seq;
        self.seat_operator_behind(client, last_seq);
    }

    /// Seats an operator who knows the channel up to this event.
    pub(crate) fn seat_operator_behind(&mut self, client: Arc<Client>, known: i64) {
        self.seats.push(Seat {
            client,
            after: known.max(self.last_seq),
            operator: true,
        });
    }

    /// Takes an operator's seat away; false when it has none, or is a member.
    pub(crate) fn unseat_operator(&mut self, client: &Client) -> bool {
        let before = self.seats.len();
        self.seats
            .retain(|seat| !(seat.operator && seat.client.id == client.id));
        self.seats.len() < before
    }

    /// Takes all seats away when only operators have some and nothing happened since. True when nobody is left.
    pub(crate) fn clear_if_quiet(&mut self, channel: ChannelSid, since: Timestamp) -> bool {
        let quiet = self.last_at < since && self.waiting.is_empty() && !self.healing;
        if quiet && self.seats.iter().all(|seat| seat.operator) {
            self.dismiss(channel);
        }
        self.seats.is_empty()
    }

    /// Takes the operators' seats away.
    fn dismiss(&mut self, channel: ChannelSid) {
        self.pool = None;
        self.seats.retain(|seat| {
            if seat.operator {
                seat.client.give_up_seat(channel);
            }
            !seat.operator
        });
    }

    pub(crate) fn unseat(&mut self, client: &Client) {
        if let Some(place) = self.seats.iter().position(|seat| seat.client.id == client.id) {
            self.seats.swap_remove(place);
        }
    }

    /// Takes durable events: delivers those that are the next ones, with those that waited for them; keeps them when
    /// something is missing before them; ignores what was delivered. `newcomers` are the clients of whoever joins by a
    /// given event.
    pub(crate) fn take(
        &mut self,
        events: impl IntoIterator<Item = Arc<Event>>,
        watermark: Timestamp,
        newcomers: &impl Fn(&Event) -> Vec<Arc<Client>>,
    ) -> Followup {
        for event in events {
            if let Some(seq) = event.seq.filter(|seq| *seq > self.last_seq) {
                self.waiting.insert(seq, event);
            }
        }
        let mut run = Vec::new();
        while let Some(next) = self.waiting.remove(&(self.last_seq + 1)) {
            self.last_seq += 1;
            self.last_at = self.last_at.max(next.at);
            if moves_clients(next.kind) || next.turn.attached == Some(false) {
                self.tell_all(&std::mem::take(&mut run), watermark);
                self.fan_out(next, watermark, newcomers);
            } else {
                run.push(Encoded::new(next));
            }
        }
        self.tell_all(&run, watermark);
        if self.waiting.is_empty() || self.healing {
            return Followup::Nothing;
        }
        self.healing = true;
        Followup::Heal
    }

    /// The gap cannot be read any more: goes on behind it. Clients learn the truth when they next resume.
    pub(crate) fn skip_to(&mut self, seq: i64) {
        if seq > self.last_seq {
            self.begins = (seq, Instant::now());
            self.last_seq = seq;
            self.waiting = self.waiting.split_off(&(seq + 1));
        }
    }

    /// Whether the room has heard every join and leave of the client's user that the client was not told of: it is older
    /// than the client, or begins where the client knows the channel, or where the channel begins.
    fn vouches_for(&self, client: &Client, told: Option<i64>) -> bool {
        let (first_seq, since) = self.begins;
        since < client.since || first_seq <= told.unwrap_or(CHANNEL_ADDED)
    }

    /// Tells events between which nobody comes or goes: to one client after the other, to each all of them.
    fn tell_all(&self, run: &[Encoded], watermark: Timestamp) {
        if run.is_empty() {
            return;
        }
        for seat in &self.seats {
            let news = run
                .iter()
                .filter(|encoded| encoded.event.seq > Some(seat.after))
                .map(|encoded| (encoded, encoded.event.kind));
            seat.client.deliver_all(news, watermark);
        }
    }

    fn fan_out(
        &mut self,
        event: Arc<Event>,
        watermark: Timestamp,
        newcomers: &impl Fn(&Event) -> Vec<Arc<Client>>,
    ) {
        let encoded = Encoded::new(event);
        let event = &encoded.event;
        let seq = event.seq.unwrap_or(0);
        let subject = event.subject();
        for seat in self.seats.iter().filter(|seat| seat.after < seq) {
            let kind = match (subject, event.kind) {
                (Some(subject), EventKind::MemberLeft) if seat.client.identity.as_str() == subject => {
                    EventKind::ChannelLeft
                }
                (Some(subject), EventKind::MemberJoined) if seat.client.identity.as_str() == subject => {
                    EventKind::ChannelJoined
                }
                (_, kind) => kind,
            };
            seat.client.deliver(&encoded, kind, watermark);
        }
        match (event.kind, event.channel) {
            (EventKind::MemberJoined, Some(channel)) => {
                for seat in &mut self.seats {
                    // From now on it is here as a member.
                    seat.operator &= Some(seat.client.identity.as_str()) != subject;
                }
                for client in newcomers(event) {
                    // One that came since may know already how that membership ended. Whom the room cannot vouch for, the
                    // database is asked about.
                    let told = client.told(channel);
                    if told < event.seq && self.vouches_for(&client, told) && client.take_seat(channel) {
                        client.deliver(&encoded, EventKind::ChannelJoined, watermark);
                        let operator = false;
                        self.seats.push(Seat {
                            client,
                            after: seq,
                            operator,
                        });
                    }
                }
            }
            (EventKind::MemberLeft, Some(channel)) => {
                self.seats.retain(|seat| {
                    let leaves = Some(seat.client.identity.as_str()) == subject && seat.after < seq;
                    if leaves {
                        seat.client.give_up_seat(channel);
                    }
                    !leaves
                });
            }
            (EventKind::ChannelRemoved, Some(channel)) => {
                for seat in self.seats.drain(..) {
                    seat.client.give_up_seat(channel);
                }
            }
            (_, Some(channel)) if event.turn.attached == Some(false) && event.pool == self.pool => {
                self.dismiss(channel);
            }
            _ => {}
        }
    }

    /// Tells a volatile event to everybody but whoever caused it.
    pub(crate) fn tell(&self, event: Arc<Event>, watermark: Timestamp) {
        let encoded = Encoded::new(event);
        for seat in &self.seats {
            if seat.client.identity.as_str() != encoded.event.identity {
                seat.client.deliver(&encoded, encoded.event.kind, watermark);
            }
        }
    }
}
