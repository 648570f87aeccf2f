//! Access tokens of users, minted on a backend's behalf.

use actix_web::post;
use hubbub_core::{Ctx, access_tokens, api_keys, input::Identity, sid::ServiceSid};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{answer::Created, call::Call, refusal::Result, routes::Register};

pub(crate) fn routes(to: &mut impl Register) {
    to.add(create);
}

/// A token to mint.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
struct CreateAccessToken {
    /// Whom it is for.
    identity: String,
    /// Its life in seconds, 1 to 86400.
    #[schema(default = 3600)]
    ttl: Option<u64>,
}

/// An access token.
#[derive(Serialize, ToSchema)]
struct AccessToken {
    /// The token: a JWT in Twilio's format.
    token: String,
    #[schema(value_type = String)]
    identity: Identity,
    #[schema(value_type = String)]
    service_sid: ServiceSid,
    /// When it ends: not after the key that signs it.
    date_expires: String,
}

/// Mint an access token for a user.
#[utoipa::path(
    tag = "AccessToken",
    operation_id = "CreateAccessToken",
    request_body(content = CreateAccessToken, content_type = "application/x-www-form-urlencoded"),
    responses((status = 201, description = "Created", body = AccessToken))
)]
#[post("/v2/Services/{ServiceSid}/AccessTokens")]
async fn create(call: Call<Ctx>) -> Result<Created<AccessToken>> {
    call.ctx.backend_only()?;
    let form: CreateAccessToken = call.body()?;
    let identity = Identity::parse(&form.identity)?;
    let life = access_tokens::life(form.ttl)?;
    let (account, service) = (call.ctx.account(), call.ctx.scope());
    let core = &call.ctx.core;
    let (key, secret) = api_keys::for_tokens(&core.db, &core.vault, account, call.ctx.caller.key()).await?;
    let (token, expires) = access_tokens::mint(&key, &secret, service, &identity, life)?;
    Ok(Created(AccessToken {
        token,
        identity,
        service_sid: service,
        date_expires: expires.to_seconds_text(),
    }))
}
