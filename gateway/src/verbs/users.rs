//! Verbs about users; about the caller itself, unless another is named.

use hubbub_core::{
    Ctx, Result,
    entities::user,
    input::UserRef,
    users::{self, Reach, UpdateUser},
};

use super::{Answer, Args, Session, data};

impl Session {
    pub(super) async fn get_user(&self, args: &Args) -> Answer {
        let ctx = self.fresh().await?;
        let user = users::get(&ctx, &self.user(args)?).await?;
        self.shown(&ctx, user).await
    }

    pub(super) async fn update_user(&self, args: &Args) -> Answer {
        let update = UpdateUser {
            friendly_name: args.owned_text("friendly_name")?,
            attributes: args.owned_text("attributes")?,
            ..UpdateUser::default()
        };
        let ctx = self.fresh().await?;
        let user = users::update(&ctx, &self.user(args)?, update).await?;
        self.shown(&ctx, user).await
    }

    fn user(&self, args: &Args) -> Result<UserRef> {
        Ok(args.text("identity")?.unwrap_or(self.identity()).into())
    }

    async fn shown(&self, ctx: &Ctx, mut user: user::Model) -> Answer {
        // Whoever asks is online, whether the database has it already or not.
        user.online |= user.identity == self.identity();
        let reach = Reach::of(ctx, &[&user]).await?;
        data(&reach.view(&user, self.client.account, &self.client.base))
    }
}
