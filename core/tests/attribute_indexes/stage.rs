//! A service on a database of its own, and short words for what is done in it.

use std::{env, fmt::Write as _, future::Future, sync::Arc, time::Duration};

use hubbub_broker::InProcess;
use hubbub_core::{
    AccountCtx, Caller, Core, Ctx, Secret, Settings, Vault, WebhookSettings, accounts,
    attribute_indexes::{self, NewIndex, Next, Rounds},
    channels::{self, NewChannel},
    db::Db,
    entities::{attribute_index, channel, member, message, user},
    input::{ChannelRef, Identity},
    members::{self, NewMember},
    messages::{self, NewMessage},
    query::Limits,
    services,
    sid::{AccountSid, AttributeIndexSid, ChannelSid},
    users::{self, NewUser},
};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter};
use uuid::Uuid;

/// Runs each named test on both databases.
macro_rules! on_both_databases {
    ($($module:ident::$test:ident)*) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread")] async fn $test() {
                super::stage::on_sqlite(super::$module::$test).await;
            })*
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread")] async fn $test() {
                super::stage::on_postgres(stringify!($test), super::$module::$test).await;
            })*
        }
    };
}

/// How long a building may take here.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Clone)]
pub(crate) struct Stage {
    pub(crate) core: Arc<Core>,
    pub(crate) ctx: Ctx,
}

/// Runs the test on a SQLite file of its own.
pub(crate) async fn on_sqlite<R: Future<Output = ()> + Send + 'static>(
    test: impl FnOnce(Stage) -> R + Send + 'static,
) {
    let folder = env::temp_dir().join(fresh_name());
    std::fs::create_dir(&folder).unwrap();
    let path = folder.join("hubbub.db");
    let outcome =
        tokio::spawn(async move { test(Stage::on(Db::sqlite(&path).await.unwrap()).await).await }).await;
    std::fs::remove_dir_all(&folder).unwrap();
    outcome.unwrap();
}

/// Runs the test on a Postgres database of its own, or says loudly that it does not.
pub(crate) async fn on_postgres<R: Future<Output = ()> + Send + 'static>(
    name: &str,
    test: impl FnOnce(Stage) -> R + Send + 'static,
) {
    let Ok(url) = env::var("HUBBUB_TEST_DATABASE_URL") else {
        eprintln!("SKIPPED: {name} (HUBBUB_TEST_DATABASE_URL is not set)");
        return;
    };
    let server = Db::postgres(&url, 1).await.unwrap();
    let database = fresh_name();
    let create = format!("CREATE DATABASE {database}");
    server.writer().execute_unprepared(&create).await.unwrap();
    let mut own = url::Url::parse(&url).unwrap();
    own.set_path(&database);
    let outcome =
        tokio::spawn(
            async move { test(Stage::on(Db::postgres(own.as_str(), 12).await.unwrap()).await).await },
        )
        .await;
    // By force: a test that failed may have left connections open.
    let drop = format!("DROP DATABASE {database} WITH (FORCE)");
    server.writer().execute_unprepared(&drop).await.unwrap();
    outcome.unwrap();
}

fn fresh_name() -> String {
    let mut name = "hubbub_indexes_".to_owned();
    write!(name, "{}", Uuid::new_v4().simple()).unwrap();
    name
}

impl Stage {
    async fn on(db: Db) -> Self {
        hubbub_migrations::up(db.writer()).await.unwrap();
        let broker = Arc::new(InProcess::new());
        let settings = Settings {
            public_url: None,
            event_retention: Duration::from_secs(3600),
            audit_retention: Duration::from_secs(3600),
            webhooks: WebhookSettings::default(),
            limit_ceiling: 100_000,
            presence_channel_limit: 100,
            lists: Limits::default(),
            vet_url: Arc::new(|_| Ok(())),
        };
        let node = Uuid::new_v4();
        let core = Core::start(node, db, Vault::new([7; 32]), broker.into(), settings);
        let (account, token) = (AccountSid::generate(), Secret::random_hex());
        accounts::create(core.db.writer(), &core.vault, "acme", account, &token)
            .await
            .unwrap();
        Self::in_service_of(core, account).await
    }

    async fn in_service_of(core: Arc<Core>, account: AccountSid) -> Self {
        let caller = Caller::Account {
            account,
            key: None,
            webhooks: false,
            request: None,
        };
        let whole = AccountCtx::enter(&core, caller.clone()).unwrap();
        let service = services::create(&whole, "stage").await.unwrap();
        let ctx = Ctx::enter(&core, caller, service.id).await.unwrap();
        Self { core, ctx }
    }

    /// Another service of the same account.
    pub(crate) async fn another(&self) -> Self {
        Self::in_service_of(Arc::clone(&self.core), self.ctx.account()).await
    }

    pub(crate) async fn declare(&self, resource: &str, path: &str, kind: &str) -> AttributeIndexSid {
        let new = NewIndex {
            resource: resource.to_owned(),
            path: path.to_owned(),
            kind: kind.to_owned(),
        };
        attribute_indexes::create(&self.ctx, new).await.unwrap().id
    }

    pub(crate) async fn index(&self, id: AttributeIndexSid) -> Option<attribute_index::Model> {
        attribute_index::Entity::find()
            .filter(attribute_index::Column::ServiceId.eq(self.ctx.scope()))
            .filter(attribute_index::Column::Id.eq(id))
            .one(self.core.db.writer())
            .await
            .unwrap()
    }

    /// A worker works until nothing is left to do.
    pub(crate) async fn work(&self) {
        let mut rounds = Rounds::default();
        let all = async {
            while rounds.go(&self.core.db).await.unwrap() != Next::Later {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, all).await.unwrap();
    }

    pub(crate) async fn channel(&self, attributes: &str) -> channel::Model {
        let new = NewChannel {
            attributes: Some(attributes.to_owned()),
            ..NewChannel::default()
        };
        channels::create(&self.ctx, new).await.unwrap()
    }

    pub(crate) async fn member(
        &self,
        channel: ChannelSid,
        identity: &str,
        attributes: &str,
    ) -> member::Model {
        let new = NewMember {
            attributes: Some(attributes.to_owned()),
            ..NewMember::new(Identity::parse(identity).unwrap())
        };
        members::create(&self.ctx, &channel.into(), new).await.unwrap()
    }

    pub(crate) async fn user(&self, identity: &str, attributes: &str) -> user::Model {
        let new = NewUser {
            identity: Identity::parse(identity).unwrap(),
            role_sid: None,
            friendly_name: None,
            attributes: Some(attributes.to_owned()),
        };
        users::create(&self.ctx, new).await.unwrap()
    }

    pub(crate) async fn message(&self, channel: ChannelSid, attributes: &str) -> message::Model {
        let new = NewMessage {
            attributes: Some(attributes.to_owned()),
            ..NewMessage::default()
        };
        messages::send(&self.ctx, ChannelRef::Sid(channel), new)
            .await
            .unwrap()
            .message
    }
}
