//! Verbs about invites.

use hubbub_core::{
    channels,
    input::Identity,
    invites::{self, NewInvite},
};
use serde_json::json;

use super::{Answer, Args, Session, data};

impl Session {
    pub(super) async fn invite_member(&self, args: &Args) -> Answer {
        let new = NewInvite {
            identity: Identity::parse(args.required_text("identity")?)?,
            role_sid: args.owned_text("role_sid")?,
        };
        let invite = invites::create(&self.fresh().await?, &args.channel()?, new).await?;
        data(&invites::view(&invite, self.client.account, &self.client.base))
    }

    pub(super) async fn accept_invite(&self, args: &Args) -> Answer {
        let ctx = self.fresh().await?;
        let member = invites::accept(&ctx, &args.channel()?).await?;
        let channel = channels::get(&ctx, &member.channel_id.into()).await?;
        data(&self.channel_and_place(&ctx, &channel).await?)
    }

    pub(super) async fn decline_invite(&self, args: &Args) -> Answer {
        invites::decline(&self.fresh().await?, &args.channel()?).await?;
        data(&json!({}))
    }
}
