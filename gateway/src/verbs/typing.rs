//! The verb `typing`.

use std::time::Duration;

use hubbub_core::{channels, input::ChannelRef, permissions::Permission};
use serde_json::json;

use super::{Answer, Args, Session, data};
use crate::hub::Pass;

impl Session {
    /// Repeated signs cost no question to the database: who may type in a channel may for a while.
    pub(super) async fn typing(&self, args: &Args) -> Answer {
        let channel = args.channel()?;
        let given = self
            .hub
            .typing
            .pass(self.client.service, self.identity(), &channel);
        let pass = match given {
            Some(pass) => pass,
            None => self.typing_pass(channel).await?,
        };
        if pass.told {
            self.hub.types(&self.client, pass);
        }
        data(&json!({}))
    }

    async fn typing_pass(&self, channel: ChannelRef) -> hubbub_core::Result<Pass> {
        let ctx = self.fresh().await?;
        let access = channels::access(&ctx, ctx.reader(), &channel).await?;
        access.may_read()?;
        access.require(Permission::SendMessage)?;
        let seconds = u64::try_from(ctx.service.typing_indicator_timeout).unwrap_or(5);
        let members = u32::try_from(access.channel.members_count).unwrap_or(u32::MAX);
        let pass = Pass {
            channel: access.channel.id,
            lasts: Duration::from_secs(seconds),
            told: members <= self.hub.typing.channel_limit,
        };
        self.hub
            .typing
            .give(self.client.service, self.identity(), channel, pass);
        Ok(pass)
    }
}
