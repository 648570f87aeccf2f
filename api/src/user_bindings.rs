//! Devices that push notifications go to, from the user's side.

use actix_web::{delete, get, post, web::Json};
use hubbub_core::{
    Ctx, Secret,
    bindings::{self, BindingFilter, NewBinding, UserBindingView},
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{
    answer::{Created, Deleted},
    call::Call,
    paging::{Meta, PageParams},
    refusal::Result,
    routes::Register,
};

/// The largest page, as Twilio has it.
const MOST: u64 = 50;

pub(crate) fn routes(to: &mut impl Register) {
    to.add(create);
    to.add(list);
    to.add(fetch);
    to.add(remove);
}

/// A device to register.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
struct CreateUserBinding {
    /// `gcm`, `apn` or `fcm`.
    #[serde(default)]
    #[schema(required)]
    binding_type: String,
    /// The app's own name for the device. Without one the address tells devices apart.
    endpoint: Option<String>,
    /// The device's token at the push service; never shown again.
    address: String,
    /// The credentials to reach it with: of the same type.
    credential_sid: Option<String>,
    /// `new_message`, `added_to_channel`, `invited_to_channel` or `removed_from_channel`; repeated for each, all four
    /// when none is given.
    #[serde(default)]
    message_types: Vec<String>,
}

/// Register a device. The same device again replaces its binding, which keeps its SID.
#[utoipa::path(
    tag = "UserBinding",
    operation_id = "CreateUserBinding",
    request_body(content = CreateUserBinding, content_type = "application/x-www-form-urlencoded"),
    responses((status = 201, description = "Created", body = UserBindingView))
)]
#[post("/v2/Services/{ServiceSid}/Users/{UserSid}/Bindings")]
async fn create(call: Call<Ctx>) -> Result<Created<UserBindingView>> {
    let form: CreateUserBinding = call.body()?;
    let new = NewBinding {
        kind: form.binding_type,
        endpoint: form.endpoint,
        address: Secret::new(form.address),
        credential_sid: form.credential_sid,
        message_types: form.message_types,
    };
    let binding = bindings::register(&call.ctx, &call.at("UserSid")?, new).await?;
    let view = bindings::user_view(&binding, call.ctx.account(), &call.base);
    Ok(Created(view))
}

/// Which bindings.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ListUserBindings {
    /// Those of this type, `gcm`, `apn` or `fcm`; may be repeated.
    #[serde(rename = "BindingType", default)]
    kinds: Vec<String>,
}

/// A page of a user's bindings.
#[derive(Serialize, ToSchema)]
struct UserBindingPage {
    meta: Meta,
    bindings: Vec<UserBindingView>,
}

/// List the user's bindings, oldest first.
#[utoipa::path(
    tag = "UserBinding",
    operation_id = "ListUserBinding",
    params(ListUserBindings, PageParams<MOST>),
    responses((status = 200, description = "OK", body = UserBindingPage))
)]
#[get("/v2/Services/{ServiceSid}/Users/{UserSid}/Bindings")]
async fn list(call: Call<Ctx>) -> Result<Json<UserBindingPage>> {
    let paging = call.paging_up_to(MOST)?;
    let ListUserBindings { kinds } = call.query()?;
    let filter = BindingFilter {
        kinds,
        ..BindingFilter::default()
    };
    let page = bindings::list_of_user(&call.ctx, &call.at("UserSid")?, &filter, &paging.request).await?;
    let view = |binding: &_| bindings::user_view(binding, call.ctx.account(), &call.base);
    let (meta, bindings) = paging.answer("bindings", &page, view);
    Ok(Json(UserBindingPage { meta, bindings }))
}

/// Fetch a binding of the user.
#[utoipa::path(
    tag = "UserBinding",
    operation_id = "FetchUserBinding",
    responses((status = 200, description = "OK", body = UserBindingView))
)]
#[get("/v2/Services/{ServiceSid}/Users/{UserSid}/Bindings/{Sid}")]
async fn fetch(call: Call<Ctx>) -> Result<Json<UserBindingView>> {
    let binding = bindings::get_of_user(&call.ctx, &call.at("UserSid")?, call.at("Sid")?).await?;
    let view = bindings::user_view(&binding, call.ctx.account(), &call.base);
    Ok(Json(view))
}

/// Delete a binding of the user: the device hears nothing more.
#[utoipa::path(
    tag = "UserBinding",
    operation_id = "DeleteUserBinding",
    responses((status = 204, description = "Deleted"))
)]
#[delete("/v2/Services/{ServiceSid}/Users/{UserSid}/Bindings/{Sid}")]
async fn remove(call: Call<Ctx>) -> Result<Deleted> {
    bindings::delete_of_user(&call.ctx, &call.at("UserSid")?, call.at("Sid")?).await?;
    Ok(Deleted)
}
