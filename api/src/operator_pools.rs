//! Pools of operators, and the desk of each.

use actix_web::{delete, get, post, web::Json};
use hubbub_core::{
    Ctx, Error,
    desk::{self, CaseView, DeskAsked},
    input::Identity,
    operator_pools::{self, NewPool, OperatorPoolView, OperatorView},
    query::Explain,
    sid::OperatorPoolSid,
};
use serde::{Deserialize, Serialize, de::IgnoredAny};
use utoipa::{IntoParams, ToSchema};

use crate::{
    answer::{Created, Deleted},
    asked::AskedParams,
    call::Call,
    paging::{Meta, PageParams},
    refusal::Result,
    routes::Register,
};

pub(crate) fn routes(to: &mut impl Register) {
    to.add(create);
    to.add(list);
    to.add(fetch);
    to.add(update);
    to.add(remove);
    to.add(add_operator);
    to.add(list_operators);
    to.add(fetch_operator);
    to.add(remove_operator);
    to.add(list_channels);
}

/// A pool to make.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
struct CreateOperatorPool {
    /// A name for people.
    friendly_name: Option<String>,
    /// A JSON list of identities, or its text: its first operators.
    #[serde(default)]
    #[schema(value_type = Vec<String>, required = false, max_items = 1000)]
    #[expect(dead_code, reason = "read item by item; this is its description")]
    identities: IgnoredAny,
}

/// The parameter `Identities`.
fn identities(call: &Call<Ctx>) -> Result<Option<Vec<Identity>>, Error> {
    let wrong = || Error::parameter("Identities", "must be a JSON list of texts");
    let Some(given) = call.list("Identities")? else {
        return Ok(None);
    };
    let identities = given
        .iter()
        .map(|item| Identity::parse(item.as_str().ok_or_else(wrong)?));
    identities.collect::<Result<_, Error>>().map(Some)
}

/// Create a pool of operators.
#[utoipa::path(
    tag = "OperatorPool",
    operation_id = "CreateOperatorPool",
    request_body(content = CreateOperatorPool, content_type = "application/x-www-form-urlencoded"),
    responses((status = 201, description = "Created", body = OperatorPoolView))
)]
#[post("/v2/Services/{ServiceSid}/OperatorPools")]
async fn create(call: Call<Ctx>) -> Result<Created<OperatorPoolView>> {
    let form: CreateOperatorPool = call.body()?;
    let new = NewPool {
        friendly_name: form.friendly_name,
        identities: identities(&call)?.unwrap_or_default(),
    };
    let pool = operator_pools::create(&call.ctx, new).await?;
    Ok(Created(operator_pools::view(
        &pool,
        call.ctx.account(),
        &call.base,
    )))
}

/// A page of pools.
#[derive(Serialize, ToSchema)]
struct OperatorPoolPage {
    meta: Meta,
    operator_pools: Vec<OperatorPoolView>,
}

/// List the service's pools of operators, oldest first.
#[utoipa::path(
    tag = "OperatorPool",
    operation_id = "ListOperatorPool",
    params(PageParams),
    responses((status = 200, description = "OK", body = OperatorPoolPage))
)]
#[get("/v2/Services/{ServiceSid}/OperatorPools")]
async fn list(call: Call<Ctx>) -> Result<Json<OperatorPoolPage>> {
    let paging = call.paging()?;
    let page = operator_pools::list(&call.ctx, &paging.request).await?;
    let view = |pool: &_| operator_pools::view(pool, call.ctx.account(), &call.base);
    let (meta, operator_pools) = paging.answer("operator_pools", &page, view);
    Ok(Json(OperatorPoolPage { meta, operator_pools }))
}

/// Fetch a pool of operators.
#[utoipa::path(
    tag = "OperatorPool",
    operation_id = "FetchOperatorPool",
    responses((status = 200, description = "OK", body = OperatorPoolView))
)]
#[get("/v2/Services/{ServiceSid}/OperatorPools/{Sid}")]
async fn fetch(call: Call<Ctx>) -> Result<Json<OperatorPoolView>> {
    let pool = operator_pools::get(&call.ctx, call.at("Sid")?).await?;
    Ok(Json(operator_pools::view(&pool, call.ctx.account(), &call.base)))
}

/// What to change of a pool.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
struct UpdateOperatorPool {
    /// Empty clears it.
    friendly_name: Option<String>,
    /// A JSON list of identities, or its text: they replace the operators before.
    #[serde(default)]
    #[schema(value_type = Vec<String>, required = false, max_items = 1000)]
    #[expect(dead_code, reason = "read item by item; this is its description")]
    identities: IgnoredAny,
}

/// Update a pool of operators.
#[utoipa::path(
    tag = "OperatorPool",
    operation_id = "UpdateOperatorPool",
    request_body(content = UpdateOperatorPool, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, description = "OK", body = OperatorPoolView))
)]
#[post("/v2/Services/{ServiceSid}/OperatorPools/{Sid}")]
async fn update(call: Call<Ctx>) -> Result<Json<OperatorPoolView>> {
    let form: UpdateOperatorPool = call.body()?;
    let update = operator_pools::UpdatePool {
        friendly_name: form.friendly_name,
        identities: identities(&call)?,
    };
    let pool = operator_pools::update(&call.ctx, call.at("Sid")?, update).await?;
    Ok(Json(operator_pools::view(&pool, call.ctx.account(), &call.base)))
}

/// Delete a pool of operators to which no channel is attached and that `CaseRules` do not name.
#[utoipa::path(
    tag = "OperatorPool",
    operation_id = "DeleteOperatorPool",
    responses((status = 204, description = "Deleted"))
)]
#[delete("/v2/Services/{ServiceSid}/OperatorPools/{Sid}")]
async fn remove(call: Call<Ctx>) -> Result<Deleted> {
    operator_pools::delete(&call.ctx, call.at("Sid")?).await?;
    Ok(Deleted)
}

/// Who is to be an operator.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
struct CreateOperator {
    /// Who; the user springs up when it is new.
    #[serde(default)]
    #[schema(required)]
    identity: String,
}

/// Make somebody an operator of a pool.
#[utoipa::path(
    tag = "Operator",
    operation_id = "CreateOperator",
    request_body(content = CreateOperator, content_type = "application/x-www-form-urlencoded"),
    responses((status = 201, description = "Created", body = OperatorView))
)]
#[post("/v2/Services/{ServiceSid}/OperatorPools/{PoolSid}/Operators")]
async fn add_operator(call: Call<Ctx>) -> Result<Created<OperatorView>> {
    let form: CreateOperator = call.body()?;
    let identity = Identity::parse(&form.identity)?;
    let operator = operator_pools::add(&call.ctx, call.at("PoolSid")?, &identity).await?;
    Ok(Created(operator_pools::operator_view(
        &operator,
        call.ctx.account(),
    )))
}

/// A page of operators.
#[derive(Serialize, ToSchema)]
struct OperatorPage {
    meta: Meta,
    operators: Vec<OperatorView>,
}

/// List the operators of a pool, in the order of their identities.
#[utoipa::path(
    tag = "Operator",
    operation_id = "ListOperator",
    params(PageParams),
    responses((status = 200, description = "OK", body = OperatorPage))
)]
#[get("/v2/Services/{ServiceSid}/OperatorPools/{PoolSid}/Operators")]
async fn list_operators(call: Call<Ctx>) -> Result<Json<OperatorPage>> {
    let paging = call.paging()?;
    let page = operator_pools::list_operators(&call.ctx, call.at("PoolSid")?, &paging.request).await?;
    let view = |operator: &_| operator_pools::operator_view(operator, call.ctx.account());
    let (meta, operators) = paging.answer("operators", &page, view);
    Ok(Json(OperatorPage { meta, operators }))
}

/// Fetch an operator of a pool.
#[utoipa::path(
    tag = "Operator",
    operation_id = "FetchOperator",
    responses((status = 200, description = "OK", body = OperatorView))
)]
#[get("/v2/Services/{ServiceSid}/OperatorPools/{PoolSid}/Operators/{Identity}")]
async fn fetch_operator(call: Call<Ctx>) -> Result<Json<OperatorView>> {
    let identity: String = call.at("Identity")?;
    let operator = operator_pools::find_operator(&call.ctx, call.at("PoolSid")?, &identity).await?;
    Ok(Json(operator_pools::operator_view(&operator, call.ctx.account())))
}

/// End somebody's being an operator of a pool.
#[utoipa::path(
    tag = "Operator",
    operation_id = "DeleteOperator",
    responses((status = 204, description = "Deleted"))
)]
#[delete("/v2/Services/{ServiceSid}/OperatorPools/{PoolSid}/Operators/{Identity}")]
async fn remove_operator(call: Call<Ctx>) -> Result<Deleted> {
    let identity: String = call.at("Identity")?;
    operator_pools::remove(&call.ctx, call.at("PoolSid")?, &identity).await?;
    Ok(Deleted)
}

/// Which channels of the desk.
#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "PascalCase")]
#[into_params(parameter_in = Query)]
struct ListDesk {
    /// `open` or `snoozed`; both otherwise.
    state: Option<String>,
    /// Those of this operator; empty for those of nobody.
    assignee: Option<String>,
}

/// A page of a desk.
#[derive(Serialize, ToSchema)]
struct DeskPage {
    meta: Meta,
    channels: Vec<CaseView>,
    /// How the items were found; only with `Explain=true`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    explain: Option<Explain>,
}

/// List the channels that are attached to a pool: the latest activity first, or as they are asked for. Operators of the
/// pool may ask with their tokens.
#[utoipa::path(
    tag = "OperatorPool",
    operation_id = "ListDeskChannel",
    params(ListDesk, AskedParams, PageParams),
    responses((status = 200, description = "OK", body = DeskPage))
)]
#[get("/v2/Services/{ServiceSid}/OperatorPools/{PoolSid}/Channels")]
async fn list_channels(call: Call<Ctx>) -> Result<Json<DeskPage>> {
    let paging = call.paging()?;
    let ListDesk { state, assignee } = call.query()?;
    let asked = DeskAsked {
        state,
        assignee,
        asked: call.asked()?,
    };
    let pool: OperatorPoolSid = call.at("PoolSid")?;
    let found = desk::list(&call.ctx, pool, &asked, &paging.request).await?;
    let view = |case: &_| desk::view(case, call.ctx.account(), &call.base);
    let (meta, channels) = paging.answer("channels", &found.page, view);
    Ok(Json(DeskPage {
        meta,
        channels,
        explain: found.explain,
    }))
}
