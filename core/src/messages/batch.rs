//! The set-based statements of one group commit: whatever the number of sends, each kind of question is asked once.

use std::collections::{BTreeSet, HashMap};

use sea_orm::{ConnectionTrait, DatabaseTransaction, DbBackend, FromQueryResult, QueryResult, Value};

use super::{Sent, rows, writer::SendRequest};
use crate::{
    attribute_indexes::upkeep,
    audit::{self, Edit},
    campaigns::outcomes::{self, Reply},
    change::advance,
    channels,
    ctx::BaseUrl,
    desk::{self, Candidate, Openings},
    entities::{channel, message},
    error::{Error, ErrorCode, Result},
    events::{Event, log, publisher::Due},
    input::{ChannelRef, SYSTEM},
    operator_pools::{self, Asked},
    permissions::{Permission, Permissions},
    sid::{ChannelSid, MessageSid, ServiceSid},
    sql::Sql,
    timestamp::Timestamp,
    webhooks::{self, Told, hooks::ChannelHooks},
};

type ClientKey = (ServiceSid, ChannelSid, String, String);

/// What the batch needs to know, and what it adds.
pub(super) struct Batch<'a> {
    names: HashMap<(ServiceSid, String), ChannelSid>,
    channels: HashMap<(ServiceSid, ChannelSid), channel::Model>,
    rights: HashMap<(ServiceSid, ChannelSid, String), Permissions>,
    sent: HashMap<ClientKey, message::Model>,
    openings: Openings,
    added: Vec<(&'a SendRequest, message::Model)>,
    /// The events of cases that messages open, by the number of the message that follows.
    opened: HashMap<usize, Event>,
}

impl<'a> Batch<'a> {
    pub(super) async fn load(tx: &DatabaseTransaction, requests: &[SendRequest]) -> Result<Self> {
        let names = resolve_names(tx, requests).await?;
        let mut keys: Vec<(ServiceSid, ChannelSid)> = requests
            .iter()
            .filter_map(|request| channel_of(&names, request).map(|channel| (request.service, channel)))
            .collect();
        keys.sort_unstable();
        keys.dedup();
        let mut batch = Self {
            names,
            channels: HashMap::new(),
            rights: HashMap::new(),
            sent: HashMap::new(),
            openings: Openings::default(),
            added: Vec::new(),
            opened: HashMap::new(),
        };
        if keys.is_empty() {
            return Ok(batch);
        }
        batch.channels = channels::lock_all(tx, &keys).await?;
        batch.rights = load_rights(tx, &batch.names, requests).await?;
        let no_members = lacking(&batch, requests);
        let as_operators = operator_pools::rights(tx, &no_members).await?;
        batch.rights.extend(as_operators);
        let candidates = requests.iter().filter_map(|request| {
            let channel = channel_of(&batch.names, request)?;
            let author = speaker(request)?;
            Some(Candidate {
                service: &request.settings,
                channel: batch.channels.get(&(request.service, channel))?,
                author,
            })
        });
        batch.openings = Openings::load(tx, candidates).await?;
        batch.sent = load_sent(tx, &batch.names, requests).await?;
        Ok(batch)
    }

    /// Gives the send its place, or says why it has none.
    pub(super) fn place(&mut self, request: &'a SendRequest) -> Result<Sent> {
        let missing = || {
            Error::not_found(format_args!(
                "/Services/{}/Channels/{}",
                request.service, request.channel
            ))
        };
        let id = channel_of(&self.names, request).ok_or_else(missing)?;
        let channel = self
            .channels
            .get_mut(&(request.service, id))
            .ok_or_else(missing)?;
        if let Some(sender) = &request.sender {
            let rights = self
                .rights
                .get(&(request.service, id, sender.clone()))
                .ok_or(ErrorCode::NotAMember)?;
            if !rights.has(Permission::SendMessage) {
                return Err(Error::lacks(Permission::SendMessage.name()));
            }
        }
        let client_key = request
            .client_id
            .as_ref()
            .map(|client_id| (request.service, id, request.author.clone(), client_id.clone()));
        if let Some(first) = client_key.as_ref().and_then(|key| self.sent.get(key)) {
            return replay(first, request);
        }
        let opened = speaker(request).and_then(|author| {
            self.openings
                .open(request.account, &request.settings, channel, author)
        });
        if let Some(event) = opened {
            self.opened.insert(self.added.len(), event);
        }
        advance(channel, Timestamp::now());
        let date_created = request.date_created.unwrap_or(channel.last_event_at);
        let message = message::Model {
            service_id: request.service,
            channel_id: id,
            idx: channel.next_index,
            id: MessageSid::generate(),
            seq: channel.last_seq,
            author: request.author.clone(),
            body: request.body.clone(),
            attributes: request.attributes.clone(),
            client_id: request.client_id.clone(),
            last_updated_by: request.last_updated_by.clone(),
            was_edited: request.last_updated_by.is_some(),
            removed_at: None,
            committed_at: channel.last_event_at,
            date_created,
            date_updated: request.date_updated.unwrap_or(date_created),
        };
        channel.next_index += 1;
        channel.messages_count += 1;
        channel.last_message_id = Some(message.id);
        channel.last_message_at = Some(message.date_created);
        channels::relist(channel);
        if let Some(key) = client_key {
            self.sent.insert(key, message.clone());
        }
        self.added.push((request, message.clone()));
        Ok(Sent {
            message,
            replayed: false,
        })
    }

    /// Whether nothing is to be written.
    pub(super) fn is_empty(&self) -> bool {
        self.added.is_empty()
    }

    /// Writes what was placed; answers the events and the webhook targets that have something due.
    pub(super) async fn write(
        mut self,
        tx: &DatabaseTransaction,
        base: &BaseUrl,
    ) -> Result<(Vec<Event>, Vec<Due>)> {
        rows::insert(tx, self.added.iter().map(|(_, message)| message)).await?;
        upkeep::added(tx, self.added.iter().map(|(_, message)| message)).await?;
        let mut touched: Vec<(ServiceSid, ChannelSid)> = self
            .added
            .iter()
            .map(|(_, message)| (message.service_id, message.channel_id))
            .collect();
        touched.sort_unstable();
        touched.dedup();
        channels::move_counters(tx, touched.iter().filter_map(|key| self.channels.get(key))).await?;
        self.write_opened(tx).await?;
        outcomes::replied(tx, &self.replies()).await?;
        let hooked = self.added.iter().filter(|(request, _)| request.origin.webhooks);
        let hooked: BTreeSet<(ServiceSid, ChannelSid)> = hooked
            .map(|(_, message)| (message.service_id, message.channel_id))
            .collect();
        let mut hooks = ChannelHooks::default();
        hooks
            .read(tx, hooked.iter().filter_map(|key| self.channels.get(key)))
            .await?;
        let mut events = Vec::with_capacity(self.added.len());
        let mut requests = Vec::with_capacity(self.added.len());
        let mut entries = Vec::new();
        for (number, (request, message)) in self.added.into_iter().enumerate() {
            if let Some(event) = self.opened.remove(&number) {
                events.push(event);
                requests.push(request);
            }
            if let Some(actor) = request.actor {
                let (account, service) = (request.account, Some(request.service));
                entries.push(audit::entry(actor, account, service, Edit::Created(&message))?);
            }
            let pool = self
                .channels
                .get(&(message.service_id, message.channel_id))
                .and_then(|channel| channel.pool_id);
            events.push(Event {
                pool,
                ..Event::message_added(request.account, message, request.origin.connection)
            });
            requests.push(request);
        }
        let told: Vec<Told<'_>> = requests
            .iter()
            .zip(&events)
            .map(|(request, event)| Told {
                service: &request.settings,
                origin: &request.origin,
                event,
            })
            .collect();
        let due = webhooks::record(tx, base, &hooks, &told).await?;
        drop(told);
        audit::store(tx, &entries).await?;
        Ok((events, due))
    }

    /// Writes down which cases the messages opened.
    async fn write_opened(&self, tx: &DatabaseTransaction) -> Result<()> {
        if self.opened.is_empty() {
            return Ok(());
        }
        let events: Vec<Event> = self.opened.values().cloned().collect();
        log::append(tx, &events).await?;
        let channels = events.iter().filter_map(|event| {
            let key = (event.service, event.channel?);
            self.channels.get(&key)
        });
        desk::store_opened(tx, channels).await
    }
}

/// Whose words they are, of which a case may be opened: a user's, also when a backend says them for it. What a campaign
/// says opens none.
fn speaker(request: &SendRequest) -> Option<&str> {
    if let Some(sender) = &request.sender {
        return Some(sender);
    }
    let of_campaign = request
        .client_id
        .as_ref()
        .is_some_and(|id| id.starts_with("campaign:"));
    (!of_campaign && request.author != SYSTEM).then_some(request.author.as_str())
}

/// The senders who may not send as members, in channels that have a pool.
fn lacking<'r>(batch: &Batch<'_>, requests: &'r [SendRequest]) -> Vec<Asked<'r>> {
    let asked = requests.iter().filter_map(|request| {
        let sender = request.sender.as_deref()?;
        let channel = channel_of(&batch.names, request)?;
        let pool = batch.channels.get(&(request.service, channel))?.pool_id?;
        let rights = batch.rights.get(&(request.service, channel, sender.to_owned()));
        let may_send = rights.is_some_and(|rights| rights.has(Permission::SendMessage));
        (!may_send).then_some(Asked {
            service: request.service,
            channel,
            pool,
            identity: sender,
        })
    });
    asked.collect()
}

impl Batch<'_> {
    /// The messages that may answer a campaign: only channels that one went into are looked at.
    fn replies(&self) -> Vec<Reply> {
        let reply = |(_, message): &(&SendRequest, message::Model)| {
            let (service, channel) = (message.service_id, message.channel_id);
            let campaign = self.channels.get(&(service, channel))?.campaign_id?;
            (message.author != SYSTEM).then(|| Reply {
                service,
                channel,
                campaign,
                identity: message.author.clone(),
            })
        };
        self.added.iter().filter_map(reply).collect()
    }
}

fn channel_of(
    names: &HashMap<(ServiceSid, String), ChannelSid>,
    request: &SendRequest,
) -> Option<ChannelSid> {
    match &request.channel {
        ChannelRef::Sid(id) => Some(*id),
        ChannelRef::Name(name) => names.get(&(request.service, name.clone())).copied(),
    }
}

fn replay(first: &message::Model, request: &SendRequest) -> Result<Sent> {
    // What was sent first may have been changed by whoever was asked.
    let is_same = first.body == request.body && first.attributes == request.attributes;
    if is_same || request.was_asked {
        Ok(Sent {
            message: first.clone(),
            replayed: true,
        })
    } else {
        Err(Error::with(
            ErrorCode::Conflict,
            "Conflict: this client_id (Idempotency-Key) was used in this channel for a message with another body or other attributes",
        ))
    }
}

async fn resolve_names(
    tx: &DatabaseTransaction,
    requests: &[SendRequest],
) -> Result<HashMap<(ServiceSid, String), ChannelSid>> {
    let names = requests.iter().filter_map(|request| match &request.channel {
        ChannelRef::Name(name) => Some((request.service, name.as_str())),
        ChannelRef::Sid(_) => None,
    });
    channels::by_names(tx, names).await
}

/// What each author may do in its channel: as a member, and by its role in the service. Who is no member is not in it.
async fn load_rights(
    tx: &DatabaseTransaction,
    names: &HashMap<(ServiceSid, String), ChannelSid>,
    requests: &[SendRequest],
) -> Result<HashMap<(ServiceSid, ChannelSid, String), Permissions>> {
    let mut wanted: Vec<(ServiceSid, ChannelSid, &str)> = requests
        .iter()
        .filter_map(|request| {
            let sender = request.sender.as_deref()?;
            Some((request.service, channel_of(names, request)?, sender))
        })
        .collect();
    if wanted.is_empty() {
        return Ok(HashMap::new());
    }
    wanted.sort_unstable();
    wanted.dedup();
    let mut sql = Sql::new("WITH ");
    sql.table(
        tx.get_database_backend(),
        "asked",
        [
            ("service_id", "uuid"),
            ("channel_id", "uuid"),
            ("identity", "text"),
        ],
        wanted
            .into_iter()
            .map(|(service, channel, author)| [service.into(), channel.into(), author.into()]),
    );
    sql.push(if tx.get_database_backend() == DbBackend::Postgres {
        // One by one: while tables grow, Postgres would rather read all members of a service.
        " SELECT a.service_id, a.channel_id, a.identity, (r.permissions | s.permissions) AS permissions FROM asked a \
         CROSS JOIN LATERAL (SELECT role_id FROM members WHERE service_id = a.service_id \
         AND channel_id = a.channel_id AND identity = a.identity OFFSET 0) m \
         CROSS JOIN LATERAL (SELECT role_id FROM users WHERE service_id = a.service_id \
         AND identity = a.identity OFFSET 0) u \
         JOIN roles r ON r.service_id = a.service_id AND r.id = m.role_id \
         JOIN roles s ON s.service_id = a.service_id AND s.id = u.role_id"
    } else {
        " SELECT m.service_id, m.channel_id, m.identity, (r.permissions | s.permissions) AS permissions \
         FROM asked a \
         JOIN members m ON m.service_id = a.service_id AND m.channel_id = a.channel_id AND m.identity = a.identity \
         JOIN roles r ON r.service_id = m.service_id AND r.id = m.role_id \
         JOIN users u ON u.service_id = m.service_id AND u.identity = m.identity \
         JOIN roles s ON s.service_id = u.service_id AND s.id = u.role_id"
    });
    sql.all(tx)
        .await?
        .iter()
        .map(|row| {
            let key = (
                column(row, "service_id")?,
                column(row, "channel_id")?,
                column(row, "identity")?,
            );
            Ok((key, column(row, "permissions")?))
        })
        .collect()
}

async fn load_sent(
    tx: &DatabaseTransaction,
    names: &HashMap<(ServiceSid, String), ChannelSid>,
    requests: &[SendRequest],
) -> Result<HashMap<ClientKey, message::Model>> {
    let wanted: Vec<[Value; 4]> = requests
        .iter()
        .filter_map(|request| {
            let client_id = request.client_id.as_deref()?;
            let channel = channel_of(names, request)?;
            Some([
                request.service.into(),
                channel.into(),
                request.author.as_str().into(),
                client_id.into(),
            ])
        })
        .collect();
    if wanted.is_empty() {
        return Ok(HashMap::new());
    }
    let mut sql = Sql::new("WITH ");
    sql.table(
        tx.get_database_backend(),
        "asked",
        [
            ("service_id", "uuid"),
            ("channel_id", "uuid"),
            ("author", "text"),
            ("client_id", "text"),
        ],
        wanted,
    );
    sql.push(if tx.get_database_backend() == DbBackend::Postgres {
        " SELECT m.* FROM asked a CROSS JOIN LATERAL (SELECT * FROM messages WHERE service_id = a.service_id \
         AND channel_id = a.channel_id AND author = a.author AND client_id = a.client_id \
         AND client_id IS NOT NULL OFFSET 0) m"
    } else {
        " SELECT m.* FROM asked a JOIN messages m ON m.service_id = a.service_id AND m.channel_id = a.channel_id \
         AND m.author = a.author AND m.client_id = a.client_id WHERE m.client_id IS NOT NULL"
    });
    let mut sent = HashMap::new();
    for row in sql.all(tx).await? {
        let message = message::Model::from_query_result(&row, "")?;
        if let Some(client_id) = message.client_id.clone() {
            sent.insert(
                (
                    message.service_id,
                    message.channel_id,
                    message.author.clone(),
                    client_id,
                ),
                message,
            );
        }
    }
    Ok(sent)
}

fn column<T: sea_orm::TryGetable>(row: &QueryResult, name: &str) -> Result<T> {
    row.try_get("", name).map_err(Error::from)
}
