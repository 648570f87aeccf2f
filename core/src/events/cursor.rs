//! Cursors: where a client stands in all its channels at once, small however many they are.
//!
//! A cursor holds a watermark, up to which the gateway is known to have delivered everything, and the `seq` that the
//! client has of each channel that was active around or after it. An event's time is taken under its channel's lock
//! and its transaction commits at most [`TRANSACTION_LIMIT`] later, so whatever was committed without the client's
//! knowledge has a time after the watermark less [`MARGIN`]. No server keeps anything for a client that is away.

use std::{collections::HashMap, time::Duration};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use sea_orm::ConnectionTrait;
use siphasher::sip::SipHasher24;
use smallvec::SmallVec;
use subtle::ConstantTimeEq;

use super::log::{self, Stretch};
use crate::{
    ctx::Core,
    db::TRANSACTION_LIMIT,
    error::Result,
    secrets::Vault,
    sid::{AccountSid, ChannelSid, OperatorPoolSid, ServiceSid},
    sql::Sql,
    timestamp::Timestamp,
    topic::Topic,
};

/// How far an event's time may lie before its commit becomes visible: the longest transaction, and as much again
/// for clocks that disagree and commits that take their time.
pub const MARGIN: Duration = Duration::from_secs(2 * TRANSACTION_LIMIT.as_secs());

const VERSION: u8 = 1;
/// Version, owner and watermark.
const HEAD_BYTES: usize = 17;
const MAC_BYTES: usize = 8;
/// A channel's tag and `seq`.
const CHANNEL_BYTES: usize = 16;
/// Room for a cursor with a few channels.
pub(super) const USUAL_BYTES: usize = HEAD_BYTES + MAC_BYTES + 5 * CHANNEL_BYTES;

/// How long a cursor with so many channels is, in characters.
#[must_use]
pub fn encoded_length(channels: usize) -> usize {
    ((HEAD_BYTES + MAC_BYTES + channels * CHANNEL_BYTES) * 4).div_ceil(3)
}

/// Where a client stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// Up to here everything was delivered.
    pub watermark: Timestamp,
    /// The `seq` that the client has of channels with events after the watermark less [`MARGIN`], by their [`tag`]s.
    pub recent: HashMap<u64, i64>,
}

/// Makes cursors and knows its own: a client cannot make itself one, nor use another's.
#[derive(Clone)]
pub struct CursorKey(SipHasher24);

/// Whose a cursor is: a user, hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner(u64);

impl Owner {
    /// The owner of this user's cursors.
    #[must_use]
    pub fn new(service: ServiceSid, identity: &str) -> Self {
        Self(Topic::user(service, identity).0)
    }

    pub(super) fn to_bytes(self) -> [u8; 8] {
        self.0.to_be_bytes()
    }
}

/// A channel's tag in cursors: the random half of its UUID.
#[must_use]
pub fn tag(channel: ChannelSid) -> u64 {
    channel.0.as_u64_pair().1
}

/// The tag by which the cursor of an operator says that it covers a pool.
#[must_use]
pub fn pool_tag(pool: OperatorPoolSid) -> u64 {
    pool.0.as_u64_pair().1
}

impl CursorKey {
    /// The key that every node with this master key has.
    #[must_use]
    pub fn new(vault: &Vault) -> Self {
        Self(SipHasher24::new_with_key(&vault.derive("event cursors")))
    }

    fn mac(&self, bytes: &[u8]) -> [u8; MAC_BYTES] {
        self.0.hash(bytes).to_be_bytes()
    }

    /// Appends the MAC.
    pub(super) fn sign(&self, bytes: &mut SmallVec<[u8; USUAL_BYTES]>) {
        let mac = self.mac(bytes);
        bytes.extend_from_slice(&mac);
    }

    /// What stands before the MAC, when that is ours.
    pub(super) fn signed<'a>(&self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        let (signed, mac) = bytes.split_last_chunk::<MAC_BYTES>()?;
        bool::from(self.mac(signed).ct_eq(mac)).then_some(signed)
    }

    /// Writes a cursor of this user; `recent` are channels' [`tag`]s with the `seq` that the client has.
    #[must_use]
    pub fn encode(
        &self,
        owner: Owner,
        watermark: Timestamp,
        recent: impl IntoIterator<Item = (u64, i64)>,
    ) -> String {
        let mut text = String::new();
        self.write(owner, watermark, recent, &mut text);
        text
    }

    /// Appends what [`CursorKey::encode`] makes to a text, which grows by [`encoded_length`].
    pub fn write(
        &self,
        owner: Owner,
        watermark: Timestamp,
        recent: impl IntoIterator<Item = (u64, i64)>,
        text: &mut String,
    ) {
        let mut bytes = SmallVec::<[u8; USUAL_BYTES]>::new();
        bytes.push(VERSION);
        bytes.extend_from_slice(&owner.to_bytes());
        bytes.extend_from_slice(&watermark.0.to_be_bytes());
        for (tag, seq) in recent {
            bytes.extend_from_slice(&tag.to_be_bytes());
            bytes.extend_from_slice(&seq.to_be_bytes());
        }
        self.sign(&mut bytes);
        BASE64_URL_SAFE_NO_PAD.encode_string(&bytes, text);
    }

    /// Reads a cursor; `None` when it is unreadable, not ours, or another user's.
    #[must_use]
    pub fn decode(&self, text: &str, service: ServiceSid, identity: &str) -> Option<Cursor> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?;
        let (&[VERSION], rest) = self.signed(&bytes)?.split_first_chunk::<1>()? else {
            return None;
        };
        let (given, rest) = rest.split_first_chunk::<8>()?;
        let (watermark, rest) = rest.split_first_chunk::<8>()?;
        if *given != Owner::new(service, identity).to_bytes() {
            return None;
        }
        let (pairs, []) = rest.as_chunks::<16>() else {
            return None;
        };
        let recent = pairs
            .iter()
            .filter_map(|pair| {
                let (tag, seq) = pair.split_first_chunk::<8>()?;
                Some((u64::from_be_bytes(*tag), i64::from_be_bytes(seq.try_into().ok()?)))
            })
            .collect();
        Some(Cursor {
            watermark: Timestamp(i64::from_be_bytes(*watermark)),
            recent,
        })
    }
}

/// A channel that a user is a member of, as it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subscription {
    /// The channel.
    pub channel: ChannelSid,
    /// Its latest event.
    pub last_seq: i64,
    /// When that was committed.
    pub last_event_at: Timestamp,
    /// Whether the channel was deleted: its end may have to be told, but nothing comes after it.
    pub deleted: bool,
}

/// The account of a channel and its latest `seq`, deleted channels included.
///
/// # Errors
/// Whatever the database refuses.
pub async fn position(
    db: &impl ConnectionTrait,
    service: ServiceSid,
    channel: ChannelSid,
) -> Result<Option<(AccountSid, i64)>> {
    let mut sql = Sql::new(
        "SELECT s.account_id, c.last_seq FROM channels c JOIN services s ON s.id = c.service_id WHERE c.service_id = ",
    );
    sql.bind(service).push(" AND c.id = ").bind(channel);
    let rows = sql.all(db).await?;
    rows.first()
        .map(|row| Ok((row.try_get("", "account_id")?, row.try_get("", "last_seq")?)))
        .transpose()
}

/// The latest `seq` of each of these channels, deleted ones included.
///
/// # Errors
/// Whatever the database refuses.
pub async fn positions(
    db: &impl ConnectionTrait,
    channels: &[(ServiceSid, ChannelSid)],
) -> Result<Vec<((ServiceSid, ChannelSid), i64)>> {
    if channels.is_empty() {
        return Ok(Vec::new());
    }
    let mut sql = Sql::new("SELECT service_id, id, last_seq FROM channels WHERE (service_id, id) IN ");
    sql.values(
        channels
            .iter()
            .map(|(service, channel)| [service.into(), channel.into()]),
    );
    sql.all(db)
        .await?
        .iter()
        .map(|row| {
            Ok((
                (row.try_get("", "service_id")?, row.try_get("", "id")?),
                row.try_get("", "last_seq")?,
            ))
        })
        .collect()
}

/// What a returning client missed: stretches of channels, to be read and delivered one after the other.
///
/// # Errors
/// Whatever the database refuses.
pub async fn missed(
    core: &Core,
    account: AccountSid,
    service: ServiceSid,
    identity: &str,
    cursor: &Cursor,
    subscriptions: &[Subscription],
) -> Result<Vec<Stretch>> {
    let since = cursor.watermark.minus(MARGIN);
    let mut changes: HashMap<ChannelSid, Vec<log::MembershipChange>> = HashMap::new();
    let found = core.connecting.membership_changes(service, identity, since);
    for change in found.await? {
        changes.entry(change.channel).or_default().push(change);
    }
    let mut stretches = Vec::new();
    let mut joined_now: HashMap<ChannelSid, i64> = HashMap::new();
    let active = subscriptions
        .iter()
        .filter(|subscription| subscription.last_event_at > since);
    let mut channels: Vec<ChannelSid> = changes.keys().copied().collect();
    for subscription in active {
        joined_now.insert(subscription.channel, subscription.last_seq);
        if !changes.contains_key(&subscription.channel) {
            channels.push(subscription.channel);
        }
    }
    let told = |channel: &ChannelSid| cursor.recent.get(&tag(*channel)).copied();
    let untold: Vec<ChannelSid> = channels
        .iter()
        .copied()
        .filter(|channel| told(channel).is_none())
        .collect();
    let before = core.connecting.seqs_at(service, untold, since).await?;
    for channel in channels {
        let known = told(&channel)
            .or_else(|| before.get(&channel).copied())
            .unwrap_or(0);
        let changes = changes.get(&channel).map_or(&[][..], Vec::as_slice);
        let spans = spans(known, changes, joined_now.get(&channel).copied());
        stretches.extend(spans.into_iter().map(|(after, until)| Stretch {
            account,
            service,
            channel,
            after,
            until,
        }));
    }
    Ok(stretches)
}

/// The stretches of one channel that a member may hear: from what it knows to each leave, from each join on, and to
/// the end (`last_seq`) when it is a member now.
pub(super) fn spans(known: i64, changes: &[log::MembershipChange], last_seq: Option<i64>) -> Vec<(i64, i64)> {
    let mut spans = Vec::new();
    let mut changes = changes.iter().filter(|change| change.seq > known).peekable();
    // Before the first change the opposite held; without any, what holds now held all along.
    let mut from = match changes.peek() {
        Some(first) => (!first.joined).then_some(known),
        None => last_seq.map(|_| known),
    };
    for change in changes {
        if change.joined {
            from = Some(change.seq - 1);
        } else if let Some(start) = from.take() {
            spans.push((start, change.seq));
        }
    }
    if let (Some(start), Some(last)) = (from, last_seq)
        && start < last
    {
        spans.push((start, last));
    }
    spans
}

#[cfg(test)]
mod tests {
    use super::*;
    use log::MembershipChange;

    #[test]
    fn a_cursor_is_read_only_by_its_owner_and_cannot_be_made_up() {
        let key = CursorKey::new(&Vault::new([1; 32]));
        let service = ServiceSid::generate();
        let channel = ChannelSid::generate();
        let text = key.encode(Owner::new(service, "alice"), Timestamp(77), [(tag(channel), 5)]);
        assert_eq!(text.len(), encoded_length(1));
        let cursor = key.decode(&text, service, "alice").unwrap();
        assert_eq!(cursor.watermark, Timestamp(77));
        assert_eq!(cursor.recent.get(&tag(channel)), Some(&5));
        assert_eq!(key.decode(&text, service, "bob"), None);
        assert_eq!(key.decode(&text, ServiceSid::generate(), "alice"), None);
        assert_eq!(
            CursorKey::new(&Vault::new([2; 32])).decode(&text, service, "alice"),
            None
        );
        let mut forged = BASE64_URL_SAFE_NO_PAD.decode(&text).unwrap();
        forged[HEAD_BYTES + 15] = 0;
        assert_eq!(
            key.decode(&BASE64_URL_SAFE_NO_PAD.encode(forged), service, "alice"),
            None
        );
        for nonsense in [&text[..text.len() - 3], "", "not a cursor!", "AAAA"] {
            assert_eq!(key.decode(nonsense, service, "alice"), None);
        }
    }

    #[test]
    fn a_member_hears_what_was_said_while_it_was_one() {
        let channel = ChannelSid::generate();
        let join = |seq| MembershipChange {
            channel,
            seq,
            joined: true,
        };
        let leave = |seq| MembershipChange {
            channel,
            seq,
            joined: false,
        };
        assert_eq!(spans(3, &[], Some(9)), [(3, 9)]);
        assert_eq!(spans(9, &[], Some(9)), []);
        assert_eq!(spans(3, &[leave(6)], None), [(3, 6)]);
        assert_eq!(spans(3, &[join(6)], Some(9)), [(5, 9)]);
        assert_eq!(spans(3, &[leave(5), join(8)], Some(9)), [(3, 5), (7, 9)]);
        assert_eq!(spans(3, &[join(2), leave(5)], None), [(3, 5)]);
        assert_eq!(spans(6, &[join(2), leave(5)], None), []);
    }
}
