//! Verbs about users; about the caller itself, unless another is named.

use hubbub_core::{
    Result,
    input::UserRef,
    users::{self, UpdateUser},
};

use super::{Answer, Args, Session, data};

impl Session {
    pub(super) async fn get_user(&self, args: &Args) -> Answer {
        let ctx = self.fresh().await?;
        let user = users::get(&ctx, &self.user(args)?).await?;
        data(&users::view(&user, self.client.account, &self.client.base))
    }

    pub(super) async fn update_user(&self, args: &Args) -> Answer {
        let update = UpdateUser {
            friendly_name: args.owned_text("friendly_name")?,
            attributes: args.owned_text("attributes")?,
            ..UpdateUser::default()
        };
        let ctx = self.fresh().await?;
        let user = users::update(&ctx, &self.user(args)?, update).await?;
        data(&users::view(&user, self.client.account, &self.client.base))
    }

    fn user(&self, args: &Args) -> Result<UserRef> {
        Ok(args.text("identity")?.unwrap_or(self.identity()).into())
    }
}
