//! Declared indexes over attributes.

use actix_web::{delete, get, post, web::Json};
use hubbub_core::{
    Ctx,
    attribute_indexes::{self, AttributeIndexView, NewIndex},
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

pub(crate) fn routes(to: &mut impl Register) {
    to.add(create);
    to.add(list);
    to.add(fetch);
    to.add(remove);
}

/// An index to declare.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
struct CreateAttributeIndex {
    /// `channels`, `members`, `users` or `messages`.
    #[schema(example = "channels")]
    resource: String,
    /// The way into the attributes: 1 to 8 segments of 1 to 64 letters, digits, `_` or `-`.
    #[schema(example = "ticket.priority")]
    path: String,
    /// `string`, `number`, `boolean`, or `datetime`, to which texts that are dates are points in time.
    #[serde(rename = "Type")]
    #[schema(example = "number")]
    kind: String,
}

/// Declare an index over an attribute. It is built while everything goes on.
#[utoipa::path(
    tag = "AttributeIndex",
    operation_id = "CreateAttributeIndex",
    request_body(content = CreateAttributeIndex, content_type = "application/x-www-form-urlencoded"),
    responses((status = 201, description = "Created", body = AttributeIndexView))
)]
#[post("/v2/Services/{ServiceSid}/AttributeIndexes")]
async fn create(call: Call<Ctx>) -> Result<Created<AttributeIndexView>> {
    let CreateAttributeIndex { resource, path, kind } = call.body()?;
    let new = NewIndex { resource, path, kind };
    let index = attribute_indexes::create(&call.ctx, new).await?;
    Ok(Created(attribute_indexes::view(
        &index,
        call.ctx.account(),
        &call.base,
    )))
}

/// Which indexes.
#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "PascalCase")]
#[into_params(parameter_in = Query)]
struct ListAttributeIndexes {
    /// `channels`, `members`, `users` or `messages`.
    resource: Option<String>,
}

/// A page of indexes.
#[derive(Serialize, ToSchema)]
struct AttributeIndexPage {
    meta: Meta,
    attribute_indexes: Vec<AttributeIndexView>,
}

/// List the service's declared indexes, oldest first.
#[utoipa::path(
    tag = "AttributeIndex",
    operation_id = "ListAttributeIndex",
    params(ListAttributeIndexes, PageParams),
    responses((status = 200, description = "OK", body = AttributeIndexPage))
)]
#[get("/v2/Services/{ServiceSid}/AttributeIndexes")]
async fn list(call: Call<Ctx>) -> Result<Json<AttributeIndexPage>> {
    let paging = call.paging()?;
    let filter: ListAttributeIndexes = call.query()?;
    let page = attribute_indexes::list(&call.ctx, filter.resource.as_deref(), &paging.request).await?;
    let view = |index: &_| attribute_indexes::view(index, call.ctx.account(), &call.base);
    let (meta, attribute_indexes) = paging.answer("attribute_indexes", &page, view);
    Ok(Json(AttributeIndexPage {
        meta,
        attribute_indexes,
    }))
}

/// Fetch a declared index.
#[utoipa::path(
    tag = "AttributeIndex",
    operation_id = "FetchAttributeIndex",
    responses((status = 200, description = "OK", body = AttributeIndexView))
)]
#[get("/v2/Services/{ServiceSid}/AttributeIndexes/{Sid}")]
async fn fetch(call: Call<Ctx>) -> Result<Json<AttributeIndexView>> {
    let index = attribute_indexes::get(&call.ctx, call.at("Sid")?).await?;
    Ok(Json(attribute_indexes::view(
        &index,
        call.ctx.account(),
        &call.base,
    )))
}

/// Take a declared index down.
#[utoipa::path(
    tag = "AttributeIndex",
    operation_id = "DeleteAttributeIndex",
    responses((status = 204, description = "Deleted"))
)]
#[delete("/v2/Services/{ServiceSid}/AttributeIndexes/{Sid}")]
async fn remove(call: Call<Ctx>) -> Result<Deleted> {
    attribute_indexes::delete(&call.ctx, call.at("Sid")?).await?;
    Ok(Deleted)
}
