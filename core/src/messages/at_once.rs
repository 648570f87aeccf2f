//! Sends about which nothing has to be asked: on Postgres one statement authorises, numbers and stores those of a whole
//! batch, and without a transaction around it one trip to the database is all that they take.
//!
//! It takes plain channels only: no webhooks of their own, no pool, no campaign, nobody snoozing. Whatever it leaves out,
//! for whatever reason, is for [`super::batch`] to store or to refuse. A channel is taken with all its sends of the batch
//! or not at all.
//!
//! Rights are read in the statement's snapshot, before the channel is locked. So the channel has to be at the `seq` that
//! it had in the snapshot when its turn comes: then nobody was removed and nothing was said in between. Channels are
//! locked in the order of their keys, as everywhere.

use std::collections::{BTreeMap, HashMap, HashSet};

use sea_orm::{ConnectionTrait, DbBackend, Statement, Value};
use uuid::Uuid;

use super::writer::SendRequest;
use crate::{
    channels::{ChannelKey, SLACK},
    entities::message,
    error::Result,
    input::{ChannelRef, SYSTEM},
    permissions::{Permission, Permissions},
    sid::{ChannelSid, MessageSid, ServiceSid},
    timestamp::Timestamp,
};

/// So many names of channels are remembered.
const NAMES: usize = 16_384;

/// Texts, numbers and moments that are not given are sent as these: arrays without nulls are cheaper to write down.
const NO_TEXT: &str = "";
const NO_MOMENT: i64 = i64::MIN;

/// `room`: the channels as they are now; `COALESCE` keeps Postgres from the indexes of those that are not deleted, none of
/// which is as good as the key. `unfit`: those in which somebody may not send, or has sent that before. The
/// last four parameters are the moment, the slack of lists, the outbox row and its payload.
const STORE: &str = "\
WITH room AS MATERIALIZED (\
 SELECT r.number, r.service_id, r.channel_id, r.sends, r.last_id, NULLIF(r.last_date, -9223372036854775808) AS last_date, \
 c.last_seq \
 FROM unnest(CAST($1 AS uuid[]), CAST($2 AS uuid[]), CAST($3 AS text[]), CAST($4 AS integer[]), CAST($5 AS uuid[]), \
 CAST($6 AS bigint[])) WITH ORDINALITY AS r(service_id, channel_id, name, sends, last_id, last_date, number) \
 CROSS JOIN LATERAL (SELECT last_seq FROM channels WHERE service_id = r.service_id AND id = r.channel_id \
 AND COALESCE(deleted_at, 0) = 0 AND (r.name = '' OR unique_name = r.name) AND webhooks = 0 AND pool_id IS NULL \
 AND campaign_id IS NULL AND case_state IS DISTINCT FROM 'snoozed' OFFSET 0) c \
 WHERE NOT EXISTS (SELECT 1 FROM attribute_indexes x WHERE x.service_id = r.service_id AND x.resource = 'messages' \
 AND x.status IN ('building', 'ready'))\
), unfit AS (\
 SELECT i.room FROM unnest(CAST($7 AS integer[]), CAST($8 AS text[]), CAST($10 AS text[]), CAST($11 AS text[])) \
 AS i(room, sender, author, client_id) JOIN room r ON r.number = i.room \
 WHERE (i.sender <> '' AND COALESCE((\
 SELECT (SELECT permissions FROM roles WHERE service_id = r.service_id AND id = m.role_id) \
 | (SELECT permissions FROM roles WHERE service_id = r.service_id AND id = u.role_id) \
 FROM (SELECT role_id FROM members WHERE service_id = r.service_id AND channel_id = r.channel_id \
 AND identity = i.sender OFFSET 0) m \
 CROSS JOIN (SELECT role_id FROM users WHERE service_id = r.service_id AND identity = i.sender OFFSET 0) u\
 ), 0) & $18 = 0) \
 OR (i.client_id <> '' AND EXISTS (SELECT 1 FROM messages d WHERE d.service_id = r.service_id \
 AND d.channel_id = r.channel_id AND d.author = i.author AND d.client_id = i.client_id AND d.client_id IS NOT NULL))\
), moved AS (\
 UPDATE channels c SET next_index = c.next_index + r.sends, last_seq = c.last_seq + r.sends, \
 last_event_at = GREATEST(c.last_event_at, $19), messages_count = c.messages_count + r.sends, \
 last_message_id = r.last_id, last_message_at = COALESCE(r.last_date, GREATEST(c.last_event_at, $19)), \
 listed_at = CASE WHEN COALESCE(r.last_date, GREATEST(c.last_event_at, $19)) >= c.listed_at \
 AND COALESCE(r.last_date, GREATEST(c.last_event_at, $19)) < c.listed_at + $20 THEN c.listed_at \
 ELSE COALESCE(r.last_date, GREATEST(c.last_event_at, $19)) END, pool_event_at = NULL \
 FROM room r WHERE c.service_id = r.service_id AND c.id = r.channel_id AND c.last_seq = r.last_seq \
 AND r.number NOT IN (SELECT room FROM unfit) \
 RETURNING r.number, c.service_id, c.id AS channel_id, c.next_index - r.sends AS first_index, \
 c.last_seq - r.sends + 1 AS first_seq, c.last_event_at AS moment\
), made AS (\
 INSERT INTO messages (service_id, channel_id, idx, id, seq, author, body, attributes, client_id, last_updated_by, \
 was_edited, committed_at, date_created, date_updated) \
 SELECT m.service_id, m.channel_id, m.first_index + i.nth, i.id, m.first_seq + i.nth, i.author, \
 CASE WHEN i.has_body THEN i.body END, i.attributes, NULLIF(i.client_id, ''), NULLIF(i.editor, ''), i.editor <> '', m.moment, \
 COALESCE(NULLIF(i.created, -9223372036854775808), m.moment), \
 COALESCE(NULLIF(i.updated, -9223372036854775808), NULLIF(i.created, -9223372036854775808), m.moment) \
 FROM unnest(CAST($7 AS integer[]), CAST($9 AS uuid[]), CAST($10 AS text[]), CAST($11 AS text[]), \
 CAST($12 AS text[]), CAST($13 AS boolean[]), CAST($14 AS text[]), CAST($15 AS text[]), CAST($16 AS bigint[]), \
 CAST($17 AS bigint[]), CAST($21 AS bigint[])) WITH ORDINALITY \
 AS i(room, id, author, client_id, body, has_body, attributes, editor, created, updated, nth, place) \
 JOIN moved m ON m.number = i.room ORDER BY i.place \
 RETURNING id, idx, seq, committed_at\
), noted AS (\
 INSERT INTO outbox (id, payload, created_at) SELECT o.id, $23, $19 FROM unnest(CAST($22 AS uuid[])) AS o(id)\
) SELECT id, idx, seq, committed_at, (SELECT nextval('live_changes')) AS live_change FROM made";

/// The channels of names that sends used lately. The statement takes none on trust.
#[derive(Default)]
pub(super) struct Names(HashMap<(ServiceSid, String), ChannelSid>);

impl Names {
    /// Remembers what a name stands for.
    pub(super) fn learn(&mut self, service: ServiceSid, name: &str, channel: ChannelSid) {
        if self.0.len() >= NAMES {
            self.0.clear();
        }
        self.0.insert((service, name.to_owned()), channel);
    }

    fn find<'r>(&self, request: &'r SendRequest) -> Option<(ChannelSid, &'r str)> {
        match &request.channel {
            ChannelRef::Sid(id) => Some((*id, NO_TEXT)),
            ChannelRef::Name(name) => {
                let id = self.0.get(&(request.service, name.clone()))?;
                Some((*id, name.as_str()))
            }
        }
    }
}

/// What one statement is to store.
pub(super) struct AtOnce<'a> {
    rooms: BTreeMap<ChannelKey, Room>,
    items: Vec<Item<'a>>,
}

struct Room {
    /// The name by which it was addressed, if it was.
    name: String,
    sends: i32,
    last_id: MessageSid,
    last_date: Option<Timestamp>,
}

struct Item<'a> {
    /// Its place among the requests.
    place: usize,
    request: &'a SendRequest,
    channel: ChannelSid,
    id: MessageSid,
    /// How many sends of the batch are before it in its channel.
    nth: i64,
}

impl<'a> AtOnce<'a> {
    /// Takes what may be stored at once. What comes after something that may not, in the same service, waits behind it:
    /// sends take effect in the order in which they were asked for.
    pub(super) fn of(requests: &'a [SendRequest], names: &Names) -> Self {
        let mut rooms: BTreeMap<ChannelKey, Room> = BTreeMap::new();
        let mut items = Vec::with_capacity(requests.len());
        let mut held_up: HashSet<ServiceSid> = HashSet::new();
        let mut client_ids: HashSet<(ChannelKey, &str, &str)> = HashSet::new();
        for (place, request) in requests.iter().enumerate() {
            let service = request.service;
            let mut is_new = |channel| {
                request.client_id.as_ref().is_none_or(|client_id| {
                    client_ids.insert(((service, channel), request.author.as_str(), client_id.as_str()))
                })
            };
            let found = names
                .find(request)
                .filter(|_| !held_up.contains(&service) && !may_open_case(request))
                .filter(|(channel, name)| {
                    let known = rooms.get(&(service, *channel)).map(|room| room.name.as_str());
                    // A room is addressed in one way.
                    known.is_none_or(|known| known.is_empty() || name.is_empty() || known == *name)
                })
                .filter(|(channel, _)| is_new(*channel));
            let Some((channel, name)) = found else {
                held_up.insert(service);
                continue;
            };
            let id = MessageSid::generate();
            let room = rooms.entry((service, channel)).or_insert_with(|| Room {
                name: String::new(),
                sends: 0,
                last_id: id,
                last_date: None,
            });
            if room.name.is_empty() {
                name.clone_into(&mut room.name);
            }
            let nth = i64::from(room.sends);
            room.sends += 1;
            room.last_id = id;
            room.last_date = request.date_created;
            items.push(Item {
                place,
                request,
                channel,
                id,
                nth,
            });
        }
        Self { rooms, items }
    }

    /// Whether there is nothing in it.
    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// The messages to be, with who sends them.
    pub(super) fn arrivals(&self) -> impl Iterator<Item = (&'a SendRequest, ChannelSid, MessageSid)> {
        self.items
            .iter()
            .map(|item| (item.request, item.channel, item.id))
    }

    /// Stores what can be stored, with this outbox row; answers the messages with their places among the requests, in
    /// their order.
    ///
    /// # Errors
    /// Whatever the database refuses; nothing is stored then.
    pub(super) async fn store(
        self,
        db: &impl ConnectionTrait,
        outbox: Option<(Uuid, String)>,
    ) -> Result<Vec<(usize, message::Model)>> {
        let now = Timestamp::now();
        let statement = self.statement(now, outbox);
        let mut places: HashMap<Uuid, (i64, i64, Timestamp)> = HashMap::with_capacity(self.items.len());
        for row in db.query_all_raw(statement).await? {
            let id: Uuid = row.try_get_by_index(0)?;
            let (index, seq): (i64, i64) = (row.try_get_by_index(1)?, row.try_get_by_index(2)?);
            places.insert(id, (index, seq, Timestamp(row.try_get_by_index(3)?)));
        }
        let messages = self.items.into_iter().filter_map(|item| {
            let (index, seq, at) = places.remove(&item.id.0)?;
            let request = item.request;
            let date_created = request.date_created.unwrap_or(at);
            let message = message::Model {
                service_id: request.service,
                channel_id: item.channel,
                idx: index,
                id: item.id,
                seq,
                author: request.author.clone(),
                body: request.body.clone(),
                attributes: request.attributes.clone(),
                client_id: request.client_id.clone(),
                last_updated_by: request.last_updated_by.clone(),
                was_edited: request.last_updated_by.is_some(),
                removed_at: None,
                committed_at: at,
                date_created,
                date_updated: request.date_updated.unwrap_or(date_created),
            };
            Some((item.place, message))
        });
        Ok(messages.collect())
    }

    fn statement(&self, now: Timestamp, outbox: Option<(Uuid, String)>) -> Statement {
        let numbers: HashMap<ChannelKey, i32> = self.rooms.keys().copied().zip(1..).collect();
        let rooms = || self.rooms.iter();
        let items = || self.items.iter();
        let requests = || self.items.iter().map(|item| item.request);
        let text = |text: Option<&String>| text.map_or(NO_TEXT, String::as_str).to_owned();
        let moment = |moment: Option<Timestamp>| moment.map_or(NO_MOMENT, |moment| moment.0);
        let room_of = |item: &Item<'_>| numbers.get(&(item.request.service, item.channel)).copied();
        let (row, payload) = match outbox {
            Some((row, payload)) => (vec![row], payload),
            None => (Vec::new(), String::new()),
        };
        let values: [Value; 23] = [
            list(rooms().map(|((service, _), _)| service.0)),
            list(rooms().map(|((_, channel), _)| channel.0)),
            list(rooms().map(|(_, room)| room.name.clone())),
            list(rooms().map(|(_, room)| room.sends)),
            list(rooms().map(|(_, room)| room.last_id.0)),
            list(rooms().map(|(_, room)| moment(room.last_date))),
            list(items().map(|item| room_of(item).unwrap_or_default())),
            list(requests().map(|request| text(request.sender.as_ref()))),
            list(items().map(|item| item.id.0)),
            list(requests().map(|request| request.author.clone())),
            list(requests().map(|request| text(request.client_id.as_ref()))),
            list(requests().map(|request| text(request.body.as_ref()))),
            list(requests().map(|request| request.body.is_some())),
            list(requests().map(|request| request.attributes.clone())),
            list(requests().map(|request| text(request.last_updated_by.as_ref()))),
            list(requests().map(|request| moment(request.date_created))),
            list(requests().map(|request| moment(request.date_updated))),
            Permissions::of(&[Permission::SendMessage]).into(),
            now.into(),
            i64::try_from(SLACK.as_micros()).unwrap_or(i64::MAX).into(),
            list(items().map(|item| item.nth)),
            row.into(),
            payload.into(),
        ];
        Statement::from_sql_and_values(DbBackend::Postgres, STORE, values)
    }
}

fn list<T>(items: impl Iterator<Item = T>) -> Value
where
    Vec<T>: Into<Value>,
{
    items.collect::<Vec<T>>().into()
}

/// Whether a case may be opened by it, by the rules of its service. Channels that may have one for other reasons are
/// left out by the statement.
fn may_open_case(request: &SendRequest) -> bool {
    request.settings.case_rules.is_some() && (request.sender.is_some() || request.author != SYSTEM)
}
