//! The parameters of Twilio's webhook events. Optional ones are left out when unset; dates have milliseconds;
//! numbers are decimal texts.

use crate::{
    ctx::Origin,
    entities::{channel, member, message},
    events::{Event, EventKind, Resource},
    users::UserNews,
};

/// The names of post-events, which a service's filters may list.
pub const POST_EVENTS: &[&str] = &[
    "onMessageSent",
    "onMessageUpdated",
    "onMessageRemoved",
    "onMediaMessageSent",
    "onChannelAdded",
    "onChannelUpdated",
    "onChannelDestroyed",
    STATE_UPDATED,
    "onMemberAdded",
    "onMemberUpdated",
    "onMemberRemoved",
    "onUserAdded",
    "onUserUpdated",
    "onCampaignUpdated",
];

/// The names of pre-events, which a service's filters may list.
pub const PRE_EVENTS: &[&str] = &[
    "onMessageSend",
    "onMessageUpdate",
    "onMessageRemove",
    "onMediaMessageSend",
    "onChannelAdd",
    "onChannelUpdate",
    "onChannelDestroy",
    "onMemberAdd",
    "onMemberUpdate",
    "onMemberRemove",
    "onUserUpdate",
];

/// The post-event that tells of an event; `None` for events that no webhook tells.
#[must_use]
pub fn post_event(event: &Event) -> Option<&'static str> {
    Some(match event.kind {
        EventKind::MessageAdded => "onMessageSent",
        EventKind::MessageUpdated => "onMessageUpdated",
        EventKind::MessageRemoved => "onMessageRemoved",
        EventKind::ChannelAdded => "onChannelAdded",
        EventKind::ChannelUpdated => "onChannelUpdated",
        EventKind::ChannelRemoved => "onChannelDestroyed",
        EventKind::MemberJoined => "onMemberAdded",
        EventKind::MemberUpdated => "onMemberUpdated",
        EventKind::MemberLeft => "onMemberRemoved",
        EventKind::UserAdded => "onUserAdded",
        EventKind::UserUpdated => "onUserUpdated",
        EventKind::CampaignUpdated
            if matches!(
                event.resource,
                Resource::Campaign {
                    status_is_new: true,
                    ..
                }
            ) =>
        {
            "onCampaignUpdated"
        }
        _ => return None,
    })
}

/// Tells of a channel whose case has another state, beside `onChannelUpdated`.
pub(super) const STATE_UPDATED: &str = "onChannelStateUpdated";

/// The names under which webhooks tell of an event.
pub(super) fn post_events(event: &Event) -> impl Iterator<Item = &'static str> {
    let turned = event.turn.state && event.kind == EventKind::ChannelUpdated;
    post_event(event)
        .into_iter()
        .chain(turned.then_some(STATE_UPDATED))
}

/// The event's parameters as name and value, without `RetryCount`, which belongs to the attempt.
#[must_use]
pub fn parameters(event_type: &str, origin: &Origin, event: &Event) -> Vec<(&'static str, String)> {
    let mut list = Parameters(vec![
        ("EventType", event_type.to_owned()),
        ("AccountSid", event.account.to_string()),
        ("InstanceSid", event.service.to_string()),
        (
            "Source",
            if origin.client.is_some() { "SDK" } else { "API" }.to_owned(),
        ),
    ]);
    list.optional("ClientIdentity", origin.client.as_deref());
    match &event.resource {
        Resource::Message(message) => list.message(event, message),
        Resource::Channel(channel) => list.channel(event, channel),
        Resource::Member { member, .. } => list.member(event, member),
        Resource::User(news) => list.user(event, news),
        Resource::Campaign { campaign, .. } => {
            list.add("CampaignSid", &campaign.id);
            list.add("Status", &campaign.status);
        }
        Resource::Invitation { .. } | Resource::Typing { .. } => {}
    }
    list.0
}

struct Parameters(Vec<(&'static str, String)>);

impl Parameters {
    fn add(&mut self, name: &'static str, value: &(impl ToString + ?Sized)) {
        self.0.push((name, value.to_string()));
    }

    fn optional(&mut self, name: &'static str, value: Option<&str>) {
        if let Some(value) = value {
            self.add(name, value);
        }
    }

    fn message(&mut self, event: &Event, message: &message::Model) {
        self.add("MessageSid", &message.id);
        self.add("Index", &message.idx);
        self.add("ChannelSid", &message.channel_id);
        self.add("Body", &message.body.as_deref().unwrap_or_default());
        self.add("Attributes", &message.attributes);
        self.add("From", &message.author);
        self.add("DateCreated", &message.date_created.to_millis_text());
        match event.kind {
            EventKind::MessageUpdated => {
                let editor = message.last_updated_by.as_ref();
                self.add("ModifiedBy", editor.unwrap_or(&event.identity));
                self.add("DateUpdated", &message.date_updated.to_millis_text());
            }
            EventKind::MessageRemoved => {
                self.add("RemovedBy", &event.identity);
                self.add("DateRemoved", &event.at.to_millis_text());
            }
            _ => {}
        }
    }

    fn channel(&mut self, event: &Event, channel: &channel::Model) {
        self.add("ChannelSid", &channel.id);
        self.add("Attributes", &channel.attributes);
        self.add("DateCreated", &channel.date_created.to_millis_text());
        self.add("CreatedBy", &channel.created_by);
        self.optional("FriendlyName", channel.friendly_name.as_deref());
        self.optional("UniqueName", channel.unique_name.as_deref());
        self.add("ChannelType", &channel.kind);
        match event.kind {
            EventKind::ChannelUpdated => {
                self.add("DateUpdated", &channel.date_updated.to_millis_text());
                self.optional("State", channel.case_state.as_deref());
                self.optional("Assignee", channel.assignee.as_deref());
                if let Some(pool) = channel.pool_id {
                    self.add("PoolSid", &pool);
                }
            }
            EventKind::ChannelRemoved => self.add("DateDestroyed", &event.at.to_millis_text()),
            _ => {}
        }
    }

    fn member(&mut self, event: &Event, member: &member::Model) {
        let own = event.identity == member.identity;
        self.add("MemberSid", &member.id);
        self.add("ChannelSid", &member.channel_id);
        self.add("Identity", &member.identity);
        self.add("RoleSid", &member.role_id);
        self.add("DateCreated", &member.date_created.to_millis_text());
        match event.kind {
            EventKind::MemberJoined => self.add("Reason", &if own { "JOINED" } else { "ADDED" }),
            EventKind::MemberLeft => {
                self.add("Reason", &if own { "LEFT" } else { "REMOVED" });
                self.add("DateRemoved", &event.at.to_millis_text());
            }
            _ => {
                self.add("Attributes", &member.attributes);
                if let Some(index) = member.last_consumed_message_index {
                    self.add("LastConsumedMessageIndex", &index);
                }
                self.add("DateUpdated", &member.date_updated.to_millis_text());
            }
        }
    }

    fn user(&mut self, event: &Event, news: &UserNews) {
        let user = &news.user;
        self.add("UserSid", &user.id);
        self.add("Identity", &user.identity);
        self.add("RoleSid", &user.role_id);
        self.optional("FriendlyName", user.friendly_name.as_deref());
        self.add("Attributes", &user.attributes);
        self.add("DateCreated", &user.date_created.to_millis_text());
        if event.kind == EventKind::UserUpdated {
            self.add("DateUpdated", &user.date_updated.to_millis_text());
            if let Some(notifiable) = news.notifiable {
                self.add("IsOnline", &user.online);
                self.add("IsNotifiable", &notifiable);
            }
        }
    }
}
