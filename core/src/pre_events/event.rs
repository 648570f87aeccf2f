//! The pre-events with their parameters, and what an answer may change of each. Optional parameters are left out when
//! unset; dates have milliseconds.

use crate::{
    ctx::Ctx,
    entities::{channel, member, message},
    sid::ChannelSid,
    users::UserNews,
};

/// A message is about to be sent.
pub(crate) const MESSAGE_SEND: &str = "onMessageSend";
/// A message is about to be edited.
pub(crate) const MESSAGE_UPDATE: &str = "onMessageUpdate";
/// A message is about to be removed.
pub(crate) const MESSAGE_REMOVE: &str = "onMessageRemove";
/// A channel is about to be made.
pub(crate) const CHANNEL_ADD: &str = "onChannelAdd";
/// A channel is about to be changed.
pub(crate) const CHANNEL_UPDATE: &str = "onChannelUpdate";
/// A channel is about to be deleted.
pub(crate) const CHANNEL_DESTROY: &str = "onChannelDestroy";
/// A user is about to become a member.
pub(crate) const MEMBER_ADD: &str = "onMemberAdd";
/// A membership is about to be changed.
pub(crate) const MEMBER_UPDATE: &str = "onMemberUpdate";
/// A membership is about to end.
pub(crate) const MEMBER_REMOVE: &str = "onMemberRemove";
/// A user is about to be changed.
pub(crate) const USER_UPDATE: &str = "onUserUpdate";

/// What an answer may change, by the parameter that it changes.
const FIELDS: [(&str, &str); 5] = [
    ("body", "Body"),
    ("author", "From"),
    ("attributes", "Attributes"),
    ("friendly_name", "FriendlyName"),
    ("unique_name", "UniqueName"),
];

/// Something that is about to happen.
#[derive(Debug, Clone)]
pub(crate) struct PreEvent {
    /// The event's name.
    pub(super) name: &'static str,
    /// The channel that it is about, if there is one already.
    pub(super) channel: Option<ChannelSid>,
    /// Names and values, without `RetryCount`, which belongs to the attempt.
    pub(super) parameters: Vec<(&'static str, String)>,
}

impl PreEvent {
    fn new(ctx: &Ctx, name: &'static str, channel: Option<ChannelSid>) -> Self {
        let client = ctx.caller.origin().client;
        let mut event = Self {
            name,
            channel,
            parameters: Vec::with_capacity(12),
        };
        event
            .with("EventType", name)
            .with("AccountSid", &ctx.account())
            .with("InstanceSid", &ctx.scope())
            .with("Source", if client.is_some() { "SDK" } else { "API" })
            .with_some("ClientIdentity", client.as_deref());
        if let Some(channel) = channel {
            event.with("ChannelSid", &channel);
        }
        event
    }

    fn with(&mut self, name: &'static str, value: &(impl ToString + ?Sized)) -> &mut Self {
        self.parameters.push((name, value.to_string()));
        self
    }

    fn with_some(&mut self, name: &'static str, value: Option<&str>) -> &mut Self {
        if let Some(value) = value {
            self.with(name, value);
        }
        self
    }

    /// A message by `author`, sent now.
    pub(crate) fn message_send(
        ctx: &Ctx,
        channel: ChannelSid,
        (author, body, attributes): (&str, Option<&str>, &str),
        now: crate::Timestamp,
    ) -> Self {
        let mut event = Self::new(ctx, MESSAGE_SEND, Some(channel));
        event
            .with("Body", body.unwrap_or_default())
            .with("Attributes", attributes)
            .with("From", author)
            .with("DateCreated", &now.to_millis_text());
        event
    }

    /// A message as it is to be.
    pub(crate) fn message_update(ctx: &Ctx, message: &message::Model) -> Self {
        Self::message(ctx, MESSAGE_UPDATE, message, "ModifiedBy")
    }

    /// A message as it is.
    pub(crate) fn message_remove(ctx: &Ctx, message: &message::Model) -> Self {
        Self::message(ctx, MESSAGE_REMOVE, message, "RemovedBy")
    }

    fn message(ctx: &Ctx, name: &'static str, message: &message::Model, by: &'static str) -> Self {
        let mut event = Self::new(ctx, name, Some(message.channel_id));
        event
            .with("MessageSid", &message.id)
            .with("Body", message.body.as_deref().unwrap_or_default())
            .with("Attributes", &message.attributes)
            .with("From", &message.author)
            .with("DateCreated", &message.date_created.to_millis_text())
            .with(by, ctx.caller.actor());
        event
    }

    /// A channel to be: it has no SID yet.
    pub(crate) fn channel_add(ctx: &Ctx, channel: &channel::Model) -> Self {
        let mut event = Self::new(ctx, CHANNEL_ADD, None);
        event.channel_fields(channel).with("ChannelType", &channel.kind);
        event
    }

    /// A channel as it is to be.
    pub(crate) fn channel_update(ctx: &Ctx, channel: &channel::Model) -> Self {
        let mut event = Self::new(ctx, CHANNEL_UPDATE, Some(channel.id));
        event
            .with("DateCreated", &channel.date_created.to_millis_text())
            .channel_fields(channel);
        event
    }

    /// A channel as it is.
    pub(crate) fn channel_destroy(ctx: &Ctx, channel: &channel::Model) -> Self {
        let mut event = Self::new(ctx, CHANNEL_DESTROY, Some(channel.id));
        event
            .with("DateCreated", &channel.date_created.to_millis_text())
            .channel_fields(channel)
            .with("ChannelType", &channel.kind);
        event
    }

    fn channel_fields(&mut self, channel: &channel::Model) -> &mut Self {
        self.with("Attributes", &channel.attributes)
            .with("CreatedBy", &channel.created_by)
            .with_some("FriendlyName", channel.friendly_name.as_deref())
            .with_some("UniqueName", channel.unique_name.as_deref())
    }

    /// A member to be: it has no SID yet.
    pub(crate) fn member_add(ctx: &Ctx, member: &member::Model) -> Self {
        let mut event = Self::new(ctx, MEMBER_ADD, Some(member.channel_id));
        let own = ctx.caller.actor() == member.identity;
        event
            .with("Identity", &member.identity)
            .with("RoleSid", &member.role_id)
            .with("Reason", if own { "JOINED" } else { "ADDED" });
        event
    }

    /// A membership as it is to be.
    pub(crate) fn member_update(ctx: &Ctx, member: &member::Model) -> Self {
        let mut event = Self::new(ctx, MEMBER_UPDATE, Some(member.channel_id));
        event
            .with("MemberSid", &member.id)
            .with("Identity", &member.identity)
            .with("RoleSid", &member.role_id)
            .with("Attributes", &member.attributes)
            .with_some(
                "LastConsumedMessageIndex",
                member
                    .last_consumed_message_index
                    .map(|index| index.to_string())
                    .as_deref(),
            )
            .with("DateCreated", &member.date_created.to_millis_text())
            .with("DateUpdated", &member.date_updated.to_millis_text());
        event
    }

    /// A membership as it is.
    pub(crate) fn member_remove(ctx: &Ctx, member: &member::Model) -> Self {
        let mut event = Self::new(ctx, MEMBER_REMOVE, Some(member.channel_id));
        let own = ctx.caller.actor() == member.identity;
        event
            .with("Identity", &member.identity)
            .with("MemberSid", &member.id)
            .with("RoleSid", &member.role_id)
            .with("Reason", if own { "LEFT" } else { "REMOVED" });
        event
    }

    /// A user as it is to be.
    pub(crate) fn user_update(ctx: &Ctx, news: &UserNews) -> Self {
        let mut event = Self::new(ctx, USER_UPDATE, None);
        let user = &news.user;
        event
            .with("UserSid", &user.id)
            .with("Identity", &user.identity)
            .with_some("FriendlyName", user.friendly_name.as_deref())
            .with("RoleSid", &user.role_id)
            .with("Attributes", &user.attributes)
            .with("DateCreated", &user.date_created.to_millis_text())
            .with("DateUpdated", &user.date_updated.to_millis_text());
        if let Some(notifiable) = news.notifiable {
            event
                .with("IsOnline", &user.online)
                .with("IsNotifiable", &notifiable);
        }
        event
    }

    /// What an answer may change of it.
    pub(super) fn modifiable(&self) -> &'static [&'static str] {
        match self.name {
            MESSAGE_SEND => &["body", "author", "attributes"],
            MESSAGE_UPDATE => &["body", "attributes"],
            CHANNEL_ADD | CHANNEL_UPDATE => &["friendly_name", "unique_name", "attributes"],
            MEMBER_ADD | MEMBER_UPDATE => &["attributes"],
            USER_UPDATE => &["friendly_name", "attributes"],
            _ => &[],
        }
    }

    /// Takes a change over, for those who are asked next.
    pub(super) fn amend(&mut self, field: &str, value: &str) {
        let Some((_, name)) = FIELDS.iter().find(|(known, _)| *known == field) else {
            return;
        };
        // A name that is empty is one that is cleared.
        let is_cleared = value.is_empty() && matches!(*name, "FriendlyName" | "UniqueName");
        match self.parameters.iter().position(|(known, _)| known == name) {
            Some(place) if is_cleared => {
                self.parameters.remove(place);
            }
            Some(place) => value.clone_into(&mut self.parameters[place].1),
            // Of members only changes tell the attributes.
            None if is_cleared || self.name == MEMBER_ADD => {}
            None => self.parameters.push((name, value.to_owned())),
        }
    }
}
