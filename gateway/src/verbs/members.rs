//! Verbs about the members of a channel.

use hubbub_core::{
    Result,
    input::{Identity, MemberRef},
    members::{self, NewMember, UpdateMember},
};
use serde_json::json;

use super::{Answer, Args, Session, data};

/// The length of a page of members, unless asked for otherwise, and at most.
const MEMBERS: (u64, u64) = (50, 100);

impl Session {
    pub(super) async fn add_member(&self, args: &Args) -> Answer {
        let new = NewMember {
            role_sid: args.owned_text("role_sid")?,
            attributes: args.owned_text("attributes")?,
            ..NewMember::new(Identity::parse(args.required_text("identity")?)?)
        };
        let member = members::create(&self.fresh().await?, &args.channel()?, new).await?;
        data(&members::view(&member, self.client.account, &self.client.base))
    }

    pub(super) async fn remove_member(&self, args: &Args) -> Answer {
        let ctx = self.fresh().await?;
        members::delete(&ctx, &args.channel()?, &member(args)?).await?;
        data(&json!({}))
    }

    pub(super) async fn update_member(&self, args: &Args) -> Answer {
        let update = UpdateMember {
            role_sid: args.owned_text("role_sid")?,
            attributes: args.owned_text("attributes")?,
            ..UpdateMember::default()
        };
        let ctx = self.fresh().await?;
        let member = members::update(&ctx, &args.channel()?, &member(args)?, update).await?;
        data(&members::view(&member, self.client.account, &self.client.base))
    }

    pub(super) async fn get_members(&self, args: &Args) -> Answer {
        let request = args.page(MEMBERS.0, MEMBERS.1)?;
        let only: Vec<String> = args.owned_text("identity")?.into_iter().collect();
        let ctx = self.fresh().await?;
        let page = members::list(&ctx, &args.channel()?, &only, &request).await?;
        let view = |member: &_| members::view(member, self.client.account, &self.client.base);
        data(&json!({
            "members": page.items.iter().map(view).collect::<Vec<_>>(),
            "next_page_token": page.next.map(|token| token.encode()),
        }))
    }
}

/// `identity`: who, also by the member's SID.
fn member(args: &Args) -> Result<MemberRef> {
    Ok(args.required_text("identity")?.into())
}
