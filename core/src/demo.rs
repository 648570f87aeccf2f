//! The demo: a service instance of its own, in which two made-up people talk in one channel.
//!
//! Whoever may use it gets tokens of these two and of nothing else. So they may do little: talk, and change what is
//! their own. They make, join and leave no channels.

use std::sync::Arc;

use uuid::Uuid;

use crate::{
    access_tokens, accounts, api_keys,
    channels::{self, NewChannel},
    ctx::{AccountCtx, BackendCtx, Caller, Core, Ctx},
    error::{Error, ErrorCode, Result},
    input::Identity,
    members::NewMember,
    permissions::Permission,
    roles,
    services::{self, UpdateService},
    sid::{AccountSid, RoleSid, ServiceSid},
    timestamp::Timestamp,
};

/// The two.
pub const PEOPLE: [&str; 2] = ["alice", "bob"];
/// The unique name of their channel.
pub const CHANNEL: &str = "demo";

const NAME: &str = "Hubbub demo";
/// A token's life: short, so that a page shows how it is renewed.
const LIFE: std::time::Duration = std::time::Duration::from_secs(600);
/// What they may do anywhere in the service …
const SERVICE_RIGHTS: [Permission; 1] = [Permission::EditOwnUserInfo];
/// … and in their channel.
const CHANNEL_RIGHTS: [Permission; 4] = [
    Permission::SendMessage,
    Permission::EditOwnMessage,
    Permission::DeleteOwnMessage,
    Permission::EditNotificationLevel,
];

/// A token of one of the two.
#[derive(Debug, Clone)]
pub struct DemoToken {
    /// The JWT.
    pub token: String,
    /// Whose it is.
    pub identity: Identity,
    /// The demo's service.
    pub service: ServiceSid,
    /// When it ends.
    pub expires: Timestamp,
}

/// A token for one of the two; makes the demo's service in the first account when it is first asked.
///
/// # Errors
/// 20001 naming `Identity` for anybody else; 20005 when the first account is not active.
pub async fn token(core: &Arc<Core>, person: &str) -> Result<DemoToken> {
    if !PEOPLE.contains(&person) {
        return Err(Error::parameter("Identity", "must be alice or bob"));
    }
    let identity = Identity::parse(person)?;
    let account = first_account(core).await?;
    let ctx = open(core, account).await?;
    let (key, secret) = api_keys::for_tokens(&core.db, &core.vault, account, None).await?;
    let (token, expires) = access_tokens::mint(&key, &secret, ctx.scope(), &identity, LIFE)?;
    Ok(DemoToken {
        token,
        identity,
        service: ctx.scope(),
        expires,
    })
}

async fn first_account(core: &Core) -> Result<AccountSid> {
    let accounts = accounts::all(core.db.reader()).await?;
    let first = accounts
        .first()
        .filter(|account| account.status == accounts::ACTIVE);
    first
        .map(|account| account.id)
        .ok_or_else(|| ErrorCode::AccountNotActive.into())
}

/// The SID of the demo's service: the same for all nodes, and no tenant's service can come to have it.
fn service_sid(core: &Core) -> ServiceSid {
    ServiceSid(Uuid::from_bytes(core.vault.derive("demo service")))
}

/// The demo's service, with the two in their channel.
async fn open(core: &Arc<Core>, account: AccountSid) -> Result<Ctx> {
    let caller = Caller::Account {
        account,
        key: None,
        webhooks: false,
        request: None,
    };
    let sid = service_sid(core);
    let mut ctx = match Ctx::enter(core, caller.clone(), sid).await {
        Err(error) if error.code() == ErrorCode::NotFound => {
            services::create_as(&AccountCtx::enter(core, caller.clone())?, sid, NAME).await?;
            Ctx::enter(core, caller.clone(), sid).await?
        }
        entered => entered?,
    };
    // The last thing that is set: where it is not set, the rest may not be either.
    if !ctx.service.reachability_enabled {
        allow(&ctx, ctx.service.default_service_role_id, &SERVICE_RIGHTS).await?;
        allow(&ctx, ctx.service.default_channel_role_id, &CHANNEL_RIGHTS).await?;
        let settings = UpdateService {
            reachability_enabled: Some(true),
            ..UpdateService::default()
        };
        services::update(&BackendCtx::enter(core, caller.clone())?, sid, settings).await?;
        ctx = Ctx::enter(core, caller, sid).await?;
    }
    let channel = NewChannel {
        unique_name: Some(CHANNEL.to_owned()),
        friendly_name: Some("Demo".to_owned()),
        ..NewChannel::default()
    };
    let people = PEOPLE
        .iter()
        .map(|person| Ok(NewMember::new(Identity::parse(person)?)))
        .collect::<Result<Vec<_>>>()?;
    channels::find_or_create(&ctx, &channel, &people).await?;
    Ok(ctx)
}

async fn allow(ctx: &Ctx, role: RoleSid, rights: &[Permission]) -> Result<()> {
    let names: Vec<String> = rights.iter().map(|right| right.name().to_owned()).collect();
    roles::update(ctx, role, &names).await?;
    Ok(())
}
