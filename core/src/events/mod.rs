//! Events: what happened, in one envelope for sockets, webhooks and the log.
//!
//! A durable channel event has a `seq`: per channel, from 1, contiguous, in commit order. A message's arrival is
//! recorded by the message's own row; everything else durable stands in the channel event log.

pub mod attending;
pub mod cursor;
pub mod log;
pub mod outbox;
pub mod publisher;
pub mod recovery;
pub mod stream;
mod view;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use view::EventView;

use crate::{
    campaigns::Counts,
    desk::{self, CaseTurn},
    entities::{campaign, channel, member, message},
    sid::{AccountSid, ChannelSid, EventSid, OperatorPoolSid, ServiceSid},
    timestamp::Timestamp,
    topic::Topic,
    users,
};

macro_rules! kinds {
    ($($name:ident $text:literal;)*) => {
        /// The names of events on the wire.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum EventKind {
            $(#[doc = $text] #[serde(rename = $text)] $name,)*
        }

        impl EventKind {
            /// The name on the wire.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// Reads the name on the wire.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$name),)* _ => None }
            }
        }
    };
}

kinds! {
    ChannelAdded "channelAdded";
    ChannelJoined "channelJoined";
    ChannelInvited "channelInvited";
    ChannelLeft "channelLeft";
    ChannelUpdated "channelUpdated";
    ChannelRemoved "channelRemoved";
    MemberJoined "memberJoined";
    MemberLeft "memberLeft";
    MemberUpdated "memberUpdated";
    MessageAdded "messageAdded";
    MessageUpdated "messageUpdated";
    MessageRemoved "messageRemoved";
    UserAdded "userAdded";
    UserUpdated "userUpdated";
    TypingStarted "typingStarted";
    TypingEnded "typingEnded";
    CampaignUpdated "campaignUpdated";
    ChannelStateUpdated "channelStateUpdated";
}

/// The resource an event is about, as it was then.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resource {
    /// A message.
    Message(Box<message::Model>),
    /// A channel.
    Channel(Box<channel::Model>),
    /// A membership, with its channel where the member has to be shown it.
    Member {
        /// The membership.
        member: Box<member::Model>,
        /// The channel, in joins and leaves.
        channel: Option<Box<channel::Model>>,
    },
    /// A user, and who hears of it.
    User(Box<users::UserNews>),
    /// An invitation to a channel.
    Invitation {
        /// The channel.
        channel: Box<channel::Model>,
        /// Who is invited.
        identity: String,
    },
    /// A campaign.
    Campaign {
        /// The campaign.
        campaign: Box<campaign::Model>,
        /// How many of its recipients stand where.
        counts: Counts,
        /// Whether its status is new; otherwise only its counts are.
        status_is_new: bool,
    },
    /// Nothing that is shown: typing.
    Typing {
        /// How long it lasts unless it is renewed, for the processes that hear of it.
        lasts_ms: u64,
    },
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Its SID; the same wherever it is told.
    pub id: EventSid,
    /// Its name.
    pub kind: EventKind,
    /// The tenant.
    pub account: AccountSid,
    /// The service.
    pub service: ServiceSid,
    /// The channel, for events of one.
    pub channel: Option<ChannelSid>,
    /// Its place in the channel's order; volatile events and those of users have none.
    pub seq: Option<i64>,
    /// Who did it: an identity, or `system`.
    pub identity: String,
    /// When it was committed.
    pub at: Timestamp,
    /// The pool whose operators hear of it: the channel's or, when it goes by this event, the one before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<OperatorPoolSid>,
    /// What it does to the channel's case.
    #[serde(default, skip_serializing_if = "CaseTurn::is_none")]
    pub turn: CaseTurn,
    /// What it is about.
    pub resource: Resource,
    /// The socket that caused it.
    pub connection: Option<Uuid>,
}

impl Event {
    /// The arrival of a message: its row is the record.
    #[must_use]
    pub fn message_added(account: AccountSid, message: message::Model, connection: Option<Uuid>) -> Self {
        Self {
            id: EventSid(message.id.0),
            kind: EventKind::MessageAdded,
            account,
            service: message.service_id,
            channel: Some(message.channel_id),
            seq: Some(message.seq),
            identity: message.author.clone(),
            at: message.committed_at,
            pool: None,
            turn: CaseTurn::default(),
            resource: Resource::Message(Box::new(message)),
            connection,
        }
    }

    /// Whose membership changed, for joins and leaves: that user hears of it as `channelJoined` or `channelLeft`.
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        match (self.kind, &self.resource) {
            (EventKind::MemberJoined | EventKind::MemberLeft, Resource::Member { member, .. }) => {
                Some(&member.identity)
            }
            _ => None,
        }
    }

    /// How the log notes that a pool came or went by it.
    pub(crate) fn attachment(&self) -> Option<String> {
        Some(desk::turn_subject(self.pool?, self.turn.attached?))
    }

    /// Whether the operators of its service hear of it, whatever their pools.
    #[must_use]
    pub fn for_operators(&self) -> bool {
        self.kind == EventKind::CampaignUpdated
    }

    /// Whose sockets hear of it, for events that are told to one user and have no place in a channel's order.
    #[must_use]
    pub fn addressee(&self) -> Option<&str> {
        match (self.kind, &self.resource) {
            (EventKind::UserUpdated, Resource::User(news)) => Some(&news.user.identity),
            (_, Resource::Invitation { identity, .. }) => Some(identity),
            _ => None,
        }
    }

    /// The channels whose members hear of it too, for events of a user.
    #[must_use]
    pub fn audience(&self) -> &[ChannelSid] {
        match (self.kind, &self.resource) {
            (EventKind::UserUpdated, Resource::User(news)) => &news.channels,
            _ => &[],
        }
    }

    /// Whether a user came or went.
    #[must_use]
    pub fn is_of_presence(&self) -> bool {
        matches!(&self.resource, Resource::User(news) if news.of_presence)
    }

    /// Whether it may be dropped under load.
    #[must_use]
    pub fn is_volatile(&self) -> bool {
        matches!(self.kind, EventKind::TypingStarted | EventKind::TypingEnded)
            || matches!(
                self.resource,
                Resource::Campaign {
                    status_is_new: false,
                    ..
                }
            )
            || self.is_of_presence()
    }

    /// The topics that must hear of it.
    #[must_use]
    pub fn topics(&self) -> smallvec::SmallVec<[Topic; 2]> {
        let mut topics = smallvec::SmallVec::new();
        if let Some(channel) = self.channel {
            topics.push(Topic::channel(self.service, channel));
        }
        if let Some(subject) = self.subject() {
            topics.push(Topic::user(self.service, subject));
        }
        if let Some(addressee) = self.addressee() {
            topics.push(Topic::user(self.service, addressee));
        }
        topics.extend(
            self.audience()
                .iter()
                .map(|channel| Topic::channel(self.service, *channel)),
        );
        if self.kind == EventKind::ChannelAdded {
            topics.push(Topic::user(self.service, &self.identity));
        }
        if let Some(pool) = self.pool {
            topics.push(Topic::pool(self.service, pool));
        }
        if self.for_operators() {
            topics.push(Topic::operators(self.service));
        }
        topics
    }
}
