//! The set-based statements of one group commit: whatever the number of sends, each kind of question is asked once.

use std::collections::HashMap;

use sea_orm::{
    ConnectionTrait, DatabaseTransaction, EntityTrait, FromQueryResult, IntoActiveModel, QueryResult, Value,
};

use super::{Sent, writer::SendRequest};
use crate::{
    attribute_indexes::upkeep,
    audit::{self, Edit},
    change::advance,
    entities::{channel, message, service},
    error::{Error, ErrorCode, Result},
    events::Event,
    input::ChannelRef,
    permissions::{Permission, Permissions},
    sid::{AccountSid, ChannelSid, DeliverySid, MessageSid, ServiceSid},
    sql::Sql,
    timestamp::Timestamp,
    webhooks,
};

type ClientKey = (ServiceSid, ChannelSid, String, String);

/// What the batch needs to know, and what it adds.
pub(super) struct Batch<'a> {
    names: HashMap<(ServiceSid, String), ChannelSid>,
    channels: HashMap<(ServiceSid, ChannelSid), channel::Model>,
    rights: HashMap<(ServiceSid, ChannelSid, String), Permissions>,
    sent: HashMap<ClientKey, message::Model>,
    added: Vec<(&'a SendRequest, message::Model)>,
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
            added: Vec::new(),
        };
        if keys.is_empty() {
            return Ok(batch);
        }
        batch.channels = lock_channels(tx, &keys).await?;
        batch.rights = load_rights(tx, &batch.names, requests).await?;
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
        if request.checked {
            let rights = self
                .rights
                .get(&(request.service, id, request.author.clone()))
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

    /// Writes what was placed; answers the events and the webhook deliveries that are due.
    pub(super) async fn write(
        self,
        tx: &DatabaseTransaction,
    ) -> Result<(Vec<Event>, Vec<(ServiceSid, Vec<DeliverySid>)>)> {
        let rows = self
            .added
            .iter()
            .map(|(_, message)| message.clone().into_active_model());
        message::Entity::insert_many(rows)
            .exec_without_returning(tx)
            .await?;
        upkeep::added(tx, self.added.iter().map(|(_, message)| message)).await?;
        let mut touched: Vec<(ServiceSid, ChannelSid)> = self
            .added
            .iter()
            .map(|(_, message)| (message.service_id, message.channel_id))
            .collect();
        touched.sort_unstable();
        touched.dedup();
        move_counters(tx, touched.iter().filter_map(|key| self.channels.get(key))).await?;
        let hooked: Vec<&SendRequest> = self
            .added
            .iter()
            .map(|(request, _)| *request)
            .filter(|request| request.origin.webhooks)
            .collect();
        let services = load_services(tx, &hooked).await?;
        let mut events = Vec::with_capacity(self.added.len());
        let mut due: HashMap<ServiceSid, Vec<DeliverySid>> = HashMap::new();
        let mut deliveries = Vec::new();
        let mut entries = Vec::new();
        for (request, message) in self.added {
            if let Some(actor) = request.actor {
                let (account, service) = (request.account, Some(request.service));
                entries.push(audit::entry(actor, account, service, Edit::Created(&message))?);
            }
            let event = Event::message_added(request.account, message, request.origin.connection);
            if request.origin.webhooks
                && let Some(service) = services.get(&request.service)
                && let Some(delivery) = webhooks::delivery(service, &request.origin, &event)
            {
                due.entry(service.id).or_default().push(delivery.id);
                deliveries.push(delivery);
            }
            events.push(event);
        }
        webhooks::store(tx, deliveries).await?;
        audit::store(tx, &entries).await?;
        Ok((events, due.into_iter().collect()))
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
    if first.body == request.body && first.attributes == request.attributes {
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
    let mut wanted: Vec<(ServiceSid, &String)> = requests
        .iter()
        .filter_map(|request| match &request.channel {
            ChannelRef::Name(name) => Some((request.service, name)),
            ChannelRef::Sid(_) => None,
        })
        .collect();
    if wanted.is_empty() {
        return Ok(HashMap::new());
    }
    wanted.sort_unstable();
    wanted.dedup();
    let mut sql =
        Sql::new("SELECT service_id, id, unique_name FROM channels WHERE (service_id, unique_name) IN ");
    sql.values(
        wanted
            .into_iter()
            .map(|(service, name)| [service.into(), Value::from(name.as_str())]),
    );
    sql.all(tx)
        .await?
        .iter()
        .map(|row| {
            Ok((
                (column(row, "service_id")?, column(row, "unique_name")?),
                column(row, "id")?,
            ))
        })
        .collect()
}

async fn lock_channels(
    tx: &DatabaseTransaction,
    keys: &[(ServiceSid, ChannelSid)],
) -> Result<HashMap<(ServiceSid, ChannelSid), channel::Model>> {
    let mut sql = Sql::new("SELECT * FROM channels WHERE deleted_at IS NULL AND (service_id, id) IN ");
    sql.values(
        keys.iter()
            .map(|(service, channel)| [service.into(), channel.into()]),
    );
    // One fixed order of locking: two batches cannot wait for each other.
    sql.push(" ORDER BY service_id, id")
        .for_update(tx.get_database_backend());
    sql.all(tx)
        .await?
        .iter()
        .map(|row| {
            channel::Model::from_query_result(row, "")
                .map(|channel| ((channel.service_id, channel.id), channel))
        })
        .collect::<Result<_, _>>()
        .map_err(Error::from)
}

/// What each author may do in its channel: as a member, and by its role in the service. Who is no member is not in it.
async fn load_rights(
    tx: &DatabaseTransaction,
    names: &HashMap<(ServiceSid, String), ChannelSid>,
    requests: &[SendRequest],
) -> Result<HashMap<(ServiceSid, ChannelSid, String), Permissions>> {
    let mut wanted: Vec<(ServiceSid, ChannelSid, &str)> = requests
        .iter()
        .filter(|request| request.checked)
        .filter_map(|request| {
            channel_of(names, request).map(|channel| (request.service, channel, request.author.as_str()))
        })
        .collect();
    if wanted.is_empty() {
        return Ok(HashMap::new());
    }
    wanted.sort_unstable();
    wanted.dedup();
    let mut sql = Sql::new(
        "SELECT m.service_id, m.channel_id, m.identity, (r.permissions | s.permissions) AS permissions \
         FROM members m \
         JOIN roles r ON r.service_id = m.service_id AND r.id = m.role_id \
         JOIN users u ON u.service_id = m.service_id AND u.identity = m.identity \
         JOIN roles s ON s.service_id = u.service_id AND s.id = u.role_id \
         WHERE (m.service_id, m.channel_id, m.identity) IN ",
    );
    sql.values(
        wanted
            .into_iter()
            .map(|(service, channel, author)| [service.into(), channel.into(), author.into()]),
    );
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
    let mut sql = Sql::new(
        "SELECT * FROM messages WHERE client_id IS NOT NULL AND (service_id, channel_id, author, client_id) IN ",
    );
    sql.values(wanted);
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

async fn load_services(
    tx: &DatabaseTransaction,
    requests: &[&SendRequest],
) -> Result<HashMap<ServiceSid, service::Model>> {
    let mut wanted: Vec<(AccountSid, ServiceSid)> = requests
        .iter()
        .map(|request| (request.account, request.service))
        .collect();
    if wanted.is_empty() {
        return Ok(HashMap::new());
    }
    wanted.sort_unstable();
    wanted.dedup();
    let mut sql =
        Sql::new("SELECT * FROM services WHERE post_webhook_url IS NOT NULL AND (account_id, id) IN ");
    sql.values(
        wanted
            .into_iter()
            .map(|(account, service)| [account.into(), service.into()]),
    );
    sql.all(tx)
        .await?
        .iter()
        .map(|row| service::Model::from_query_result(row, "").map(|service| (service.id, service)))
        .collect::<Result<_, _>>()
        .map_err(Error::from)
}

async fn move_counters<'m>(
    tx: &DatabaseTransaction,
    channels: impl Iterator<Item = &'m channel::Model>,
) -> Result<()> {
    let mut sql = Sql::new(
        "WITH moved (service_id, id, next_index, last_seq, last_event_at, messages_count, last_message_id, last_message_at) AS (VALUES ",
    );
    sql.rows(channels.map(|channel| {
        [
            channel.service_id.into(),
            channel.id.into(),
            channel.next_index.into(),
            channel.last_seq.into(),
            channel.last_event_at.into(),
            channel.messages_count.into(),
            channel.last_message_id.into(),
            channel.last_message_at.into(),
        ]
    }));
    sql.push(
        ") UPDATE channels SET next_index = moved.next_index, last_seq = moved.last_seq, last_event_at = moved.last_event_at, \
         messages_count = moved.messages_count, last_message_id = moved.last_message_id, last_message_at = moved.last_message_at \
         FROM moved WHERE channels.service_id = moved.service_id AND channels.id = moved.id",
    );
    sql.execute(tx).await?;
    Ok(())
}

fn column<T: sea_orm::TryGetable>(row: &QueryResult, name: &str) -> Result<T> {
    row.try_get("", name).map_err(Error::from)
}
