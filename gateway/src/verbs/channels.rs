//! Verbs about channels and the caller's place in them.

use hubbub_core::{
    Ctx, Error, Result, channels, members,
    user_channels::{self, UserChannel},
};
use serde_json::{Value, json};

use super::{Answer, Args, Session, data};

/// The length of the channel list, unless asked for otherwise, and at most.
const CHANNELS: (u64, u64) = (50, 100);

impl Session {
    pub(super) async fn get_channels(&self, args: &Args) -> Answer {
        let limit = args.limit(CHANNELS.0, CHANNELS.1)?;
        let joined = match args.text("status")? {
            None | Some("joined") => true,
            Some("invited") => false,
            Some(_) => return Err(Error::parameter("status", "must be joined or invited")),
        };
        if !joined {
            return data(&json!({ "channels": [], "next_page_token": null }));
        }
        let list = user_channels::list(&self.ctx, self.identity(), limit, args.text("page_token")?).await?;
        data(&json!({
            "channels": list.channels.iter().map(|entry| self.entry(entry)).collect::<Vec<_>>(),
            "next_page_token": list.next_page_token,
        }))
    }

    pub(super) async fn get_channel(&self, args: &Args) -> Answer {
        let ctx = self.fresh().await?;
        let access = channels::access(&ctx, ctx.reader(), &args.channel()?).await?;
        access.may_see()?;
        data(&self.channel_and_place(&ctx, &access.channel).await?)
    }

    pub(super) async fn join_channel(&self, args: &Args) -> Answer {
        let ctx = self.fresh().await?;
        let member = members::join(&ctx, &args.channel()?).await?;
        let channel = channels::get(&ctx, &member.channel_id.into()).await?;
        data(&self.channel_and_place(&ctx, &channel).await?)
    }

    pub(super) async fn leave_channel(&self, args: &Args) -> Answer {
        members::leave(&self.fresh().await?, &args.channel()?).await?;
        data(&json!({}))
    }

    /// The channel in its REST JSON and, beside its fields, those of an entry of `getChannels`.
    async fn channel_and_place(
        &self,
        ctx: &Ctx,
        channel: &hubbub_core::entities::channel::Model,
    ) -> Result<Value> {
        let mut answer = json!(channels::view(channel, self.client.account, &self.client.base));
        let place = match user_channels::find(ctx, self.identity(), channel.id).await? {
            Some(place) => self.entry(&place),
            None => json!({ "channel": answer.clone(), "member": null, "status": "notParticipating" }),
        };
        if let (Value::Object(answer), Value::Object(place)) = (&mut answer, place) {
            answer.extend(place);
        }
        Ok(answer)
    }

    fn entry(&self, entry: &UserChannel) -> Value {
        let (account, base) = (self.client.account, &self.client.base);
        json!({
            "channel": channels::view(&entry.channel, account, base),
            "member": members::view(&entry.member, account, base),
            "status": "joined",
            "unread_messages_count": entry.unread,
            "last_consumed_message_index": entry.member.last_consumed_message_index,
            "notification_level": entry.member.notification_level,
            "last_message": entry.last_message.as_ref().map(|message| self.message_value(message)),
        })
    }
}
