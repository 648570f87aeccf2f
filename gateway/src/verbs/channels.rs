//! Verbs about channels and the caller's place in them.

use hubbub_core::{
    Ctx, Error, Result,
    channels::{self, ChannelView, NewChannel, PUBLIC, UpdateChannel},
    desk,
    entities::message,
    members::{self, MemberView},
    messages::{self, MessageView},
    user_channels::{self, Standing, UpdateUserChannel, UserChannel},
};
use serde::Serialize;
use serde_json::{Value, json};

use super::{Answer, Args, Session, data, desk::case_update};

/// The length of the channel list, unless asked for otherwise, and at most.
const CHANNELS: (u64, u64) = (50, 100);

impl Session {
    pub(super) async fn get_channels(&self, args: &Args) -> Answer {
        let limit = args.limit(CHANNELS.0, CHANNELS.1)?;
        let standing = match args.text("status")? {
            None | Some("joined") => Standing::Joined,
            Some("invited") => Standing::Invited,
            Some(_) => return Err(Error::parameter("status", "must be joined or invited")),
        };
        let token = args.text("page_token")?;
        let list = user_channels::latest(&self.ctx(), self.identity(), standing, limit, token).await?;
        let entries = list
            .channels
            .iter()
            .map(|(place, last)| self.entry(place, last.as_ref()));
        data(&Page {
            channels: entries.collect(),
            next_page_token: list.next_page_token.as_deref(),
        })
    }

    pub(super) async fn get_public_channels(&self, args: &Args) -> Answer {
        let request = args.page(CHANNELS.0, CHANNELS.1)?;
        let page = channels::list(&self.fresh().await?, &[PUBLIC], &request).await?;
        let view = |channel: &_| channels::view(channel, self.client.account, &self.client.base);
        data(&json!({
            "channels": page.items.iter().map(view).collect::<Vec<_>>(),
            "next_page_token": page.next.map(|token| token.encode()),
        }))
    }

    pub(super) async fn create_channel(&self, args: &Args) -> Answer {
        let new = NewChannel {
            friendly_name: args.owned_text("friendly_name")?,
            unique_name: args.owned_text("unique_name")?,
            attributes: args.owned_text("attributes")?,
            kind: args.owned_text("type")?,
            ..NewChannel::default()
        };
        let channel = channels::create(&self.fresh().await?, new).await?;
        data(&channels::view(&channel, self.client.account, &self.client.base))
    }

    pub(super) async fn update_channel(&self, args: &Args) -> Answer {
        let update = UpdateChannel {
            friendly_name: args.owned_text("friendly_name")?,
            unique_name: args.owned_text("unique_name")?,
            attributes: args.owned_text("attributes")?,
            case: case_update(args)?,
            ..UpdateChannel::default()
        };
        let channel = channels::update(&self.fresh().await?, &args.channel()?, update).await?;
        data(&channels::view(&channel, self.client.account, &self.client.base))
    }

    pub(super) async fn remove_channel(&self, args: &Args) -> Answer {
        channels::delete(&self.fresh().await?, &args.channel()?).await?;
        data(&json!({}))
    }

    pub(super) async fn get_channel(&self, args: &Args) -> Answer {
        let ctx = self.fresh().await?;
        let access = channels::access(&ctx, ctx.reader(), &args.channel()?).await?;
        access.may_see()?;
        if access.operator && access.member.is_none() {
            let case = desk::case_of(&ctx, &access.channel).await?;
            return data(&self.case(&case));
        }
        data(&self.channel_and_place(&ctx, &access.channel).await?)
    }

    pub(super) async fn join_channel(&self, args: &Args) -> Answer {
        let ctx = self.fresh().await?;
        let member = members::join(&ctx, &args.channel()?).await?;
        let channel = channels::get(&ctx, &member.channel_id.into()).await?;
        data(&self.channel_and_place(&ctx, &channel).await?)
    }

    /// The caller's place in a channel: its notification level, and its read horizon wherever it is to be.
    pub(super) async fn update_user_channel(&self, args: &Args) -> Answer {
        let update = UpdateUserChannel {
            notification_level: args.owned_text("notification_level")?,
            last_consumed_message_index: args.clearable_integer("last_consumed_message_index")?,
            ..UpdateUserChannel::default()
        };
        let (ctx, channel) = (self.fresh().await?, args.channel()?);
        let (user, place) = user_channels::update(&ctx, &self.identity().into(), &channel, update).await?;
        let (account, base) = (self.client.account, &self.client.base);
        data(&user_channels::view(&place, user.id, account, base))
    }

    pub(super) async fn leave_channel(&self, args: &Args) -> Answer {
        members::leave(&self.fresh().await?, &args.channel()?).await?;
        data(&json!({}))
    }

    /// The channel in its REST JSON and, beside its fields, those of an entry of `getChannels`.
    pub(super) async fn channel_and_place(
        &self,
        ctx: &Ctx,
        channel: &hubbub_core::entities::channel::Model,
    ) -> Result<Value> {
        let mut answer = json!(channels::view(channel, self.client.account, &self.client.base));
        let place = match user_channels::find(ctx, self.identity(), channel.id).await? {
            Some(place) => {
                let last = user_channels::last_message(ctx, &place).await?;
                json!(self.entry(&place, last.as_ref()))
            }
            None => json!({ "channel": answer.clone(), "member": null, "status": "notParticipating" }),
        };
        if let (Value::Object(answer), Value::Object(place)) = (&mut answer, place) {
            answer.extend(place);
        }
        Ok(answer)
    }

    fn entry<'p>(&self, place: &'p UserChannel, last_message: Option<&message::Model>) -> Entry<'p> {
        let (account, base) = (self.client.account, &self.client.base);
        Entry {
            channel: channels::view(&place.channel, account, base),
            member: place.member().map(|member| members::view(member, account, base)),
            status: place.status(),
            unread_messages_count: place.unread,
            last_consumed_message_index: place.last_consumed_message_index(),
            notification_level: place.notification_level(),
            last_message: last_message.map(|message| messages::view(message, account, base)),
        }
    }
}

/// A page of `getChannels`.
#[derive(Serialize)]
struct Page<'p> {
    channels: Vec<Entry<'p>>,
    next_page_token: Option<&'p str>,
}

/// A channel with the user's place in it.
#[derive(Serialize)]
struct Entry<'p> {
    channel: ChannelView,
    member: Option<MemberView>,
    status: &'static str,
    unread_messages_count: Option<i64>,
    last_consumed_message_index: Option<i64>,
    notification_level: &'p str,
    last_message: Option<MessageView>,
}
