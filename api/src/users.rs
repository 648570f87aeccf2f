//! Users, addressed by SID or identity.

use actix_web::{delete, get, post, web::Json};
use hubbub_core::{
    Ctx, Error,
    input::{Identity, UserRef},
    query::Explain,
    users::{self, NewUser, Reach, UserView},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    answer::{Created, Deleted},
    asked::AskedParams,
    batch::{self, Batch, Item},
    call::Call,
    openapi::{IdempotencyKey, WebhooksEnabled},
    paging::{Meta, PageParams},
    refusal::Result,
    routes::Register,
};

pub(crate) fn routes(to: &mut impl Register) {
    to.add(create);
    to.add(create_batch);
    to.add(list);
    to.add(fetch);
    to.add(update);
    to.add(remove);
}

/// A user to make.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
struct CreateUser {
    /// Who: the tenant's own name for the user, case-sensitive.
    identity: String,
    /// A role of type `deployment`; the service's default otherwise.
    role_sid: Option<String>,
    /// JSON in a string.
    attributes: Option<String>,
    /// A name for people.
    friendly_name: Option<String>,
}

impl TryFrom<CreateUser> for NewUser {
    type Error = Error;

    fn try_from(form: CreateUser) -> Result<Self, Error> {
        Ok(Self {
            identity: Identity::parse(&form.identity)?,
            role_sid: form.role_sid,
            friendly_name: form.friendly_name,
            attributes: form.attributes,
        })
    }
}

/// Create a user.
#[utoipa::path(
    tag = "User",
    operation_id = "CreateUser",
    params(WebhooksEnabled),
    request_body(content = CreateUser, content_type = "application/x-www-form-urlencoded"),
    responses((status = 201, description = "Created", body = UserView))
)]
#[post("/v2/Services/{ServiceSid}/Users")]
async fn create(call: Call<Ctx>) -> Result<Created<UserView>> {
    let form: CreateUser = call.body()?;
    let user = users::create(&call.ctx, form.try_into()?).await?;
    let reach = Reach::of(&call.ctx, &[&user]).await?;
    Ok(Created(reach.view(&user, call.ctx.account(), &call.base)))
}

type UserItem = Item<CreateUser>;

/// Users to make.
#[derive(ToSchema)]
#[expect(dead_code, reason = "read item by item; this is its description")]
struct CreateUsers {
    /// A JSON list, or its text.
    #[schema(rename = "Items", max_items = 1000)]
    items: Vec<UserItem>,
}

/// Create up to 1,000 users at once; each is answered for itself, in order.
#[utoipa::path(
    tag = "User",
    operation_id = "CreateUserBatch",
    params(WebhooksEnabled, IdempotencyKey),
    request_body(content = CreateUsers, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, description = "OK", body = Batch<UserView>))
)]
#[post("/v2/Services/{ServiceSid}/Users/Batch")]
async fn create_batch(call: Call<Ctx>) -> Result<Json<Batch<UserView>>> {
    let new = call.items::<CreateUser, NewUser>()?;
    let users = users::create_all(&call.ctx, new).await?;
    let reach = Reach::of(&call.ctx, &users.iter().flatten().collect::<Vec<_>>()).await?;
    Ok(batch::answer(users, |user| {
        reach.view(user, call.ctx.account(), &call.base)
    }))
}

/// A page of users.
#[derive(Serialize, ToSchema)]
struct UserPage {
    meta: Meta,
    users: Vec<UserView>,
    /// How the items were found; only with `Explain=true`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    explain: Option<Explain>,
}

/// List the service's users: oldest first, or as they are asked for.
#[utoipa::path(
    tag = "User",
    operation_id = "ListUser",
    params(AskedParams, PageParams),
    responses((status = 200, description = "OK", body = UserPage))
)]
#[get("/v2/Services/{ServiceSid}/Users")]
async fn list(call: Call<Ctx>) -> Result<Json<UserPage>> {
    let paging = call.paging()?;
    let found = users::search(&call.ctx, &call.asked()?, &paging.request).await?;
    let reach = Reach::of(&call.ctx, &found.page.items.iter().collect::<Vec<_>>()).await?;
    let view = |user: &_| reach.view(user, call.ctx.account(), &call.base);
    let (meta, users) = paging.answer("users", &found.page, view);
    Ok(Json(UserPage {
        meta,
        users,
        explain: found.explain,
    }))
}

/// Fetch a user.
#[utoipa::path(
    tag = "User",
    operation_id = "FetchUser",
    responses((status = 200, description = "OK", body = UserView))
)]
#[get("/v2/Services/{ServiceSid}/Users/{Sid}")]
async fn fetch(call: Call<Ctx>) -> Result<Json<UserView>> {
    let user = users::get(&call.ctx, &call.at("Sid")?).await?;
    let reach = Reach::of(&call.ctx, &[&user]).await?;
    Ok(Json(reach.view(&user, call.ctx.account(), &call.base)))
}

/// What to change of a user.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
struct UpdateUser {
    /// A role of type `deployment`.
    role_sid: Option<String>,
    /// JSON in a string.
    attributes: Option<String>,
    /// Empty clears it.
    friendly_name: Option<String>,
}

impl From<UpdateUser> for users::UpdateUser {
    fn from(form: UpdateUser) -> Self {
        Self {
            role_sid: form.role_sid,
            friendly_name: form.friendly_name,
            attributes: form.attributes,
        }
    }
}

/// Update a user.
#[utoipa::path(
    tag = "User",
    operation_id = "UpdateUser",
    params(WebhooksEnabled),
    request_body(content = UpdateUser, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, description = "OK", body = UserView))
)]
#[post("/v2/Services/{ServiceSid}/Users/{Sid}")]
async fn update(call: Call<Ctx>) -> Result<Json<UserView>> {
    let form: UpdateUser = call.body()?;
    let user = users::update(&call.ctx, &call.at::<UserRef>("Sid")?, form.into()).await?;
    let reach = Reach::of(&call.ctx, &[&user]).await?;
    Ok(Json(reach.view(&user, call.ctx.account(), &call.base)))
}

/// Delete a user, and end its memberships.
#[utoipa::path(
    tag = "User",
    operation_id = "DeleteUser",
    responses((status = 204, description = "Deleted"))
)]
#[delete("/v2/Services/{ServiceSid}/Users/{Sid}")]
async fn remove(call: Call<Ctx>) -> Result<Deleted> {
    users::delete(&call.ctx, &call.at("Sid")?).await?;
    Ok(Deleted)
}
