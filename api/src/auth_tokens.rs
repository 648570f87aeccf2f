//! Rotation of an account's auth token, as Twilio's Accounts API has it. For account credentials only.

use actix_web::{delete, post, web::Json};
use hubbub_core::{
    AdminCtx,
    accounts::{self, PromotedTokenView, SecondaryTokenView},
};

use crate::{
    answer::{Created, Deleted},
    call::Call,
    refusal::Result,
    routes::Register,
};

pub(crate) fn routes(to: &mut impl Register) {
    to.add(create_secondary);
    to.add(remove_secondary);
    to.add(promote);
}

/// Create a second auth token, good beside the first. It is shown this once.
#[utoipa::path(
    tag = "AuthToken",
    operation_id = "CreateSecondaryAuthToken",
    responses((status = 201, description = "Created", body = SecondaryTokenView))
)]
#[post("/v1/AuthTokens/Secondary")]
async fn create_secondary(call: Call<AdminCtx>) -> Result<Created<SecondaryTokenView>> {
    let (account, token) = accounts::create_secondary_token(&call.ctx).await?;
    Ok(Created(accounts::secondary_view(&account, &token, &call.base)))
}

/// Delete the second auth token.
#[utoipa::path(
    tag = "AuthToken",
    operation_id = "DeleteSecondaryAuthToken",
    responses((status = 204, description = "Deleted"))
)]
#[delete("/v1/AuthTokens/Secondary")]
async fn remove_secondary(call: Call<AdminCtx>) -> Result<Deleted> {
    accounts::delete_secondary_token(&call.ctx).await?;
    Ok(Deleted)
}

/// Put the second auth token in the place of the first, which is worthless from then on.
#[utoipa::path(
    tag = "AuthToken",
    operation_id = "UpdateAuthTokenPromotion",
    responses((status = 200, description = "OK", body = PromotedTokenView))
)]
#[post("/v1/AuthTokens/Promote")]
async fn promote(call: Call<AdminCtx>) -> Result<Json<PromotedTokenView>> {
    let (promoted, account) = accounts::promote_secondary_token(&call.ctx).await?;
    Ok(Json(accounts::promoted_view(&account, &promoted, &call.base)))
}
