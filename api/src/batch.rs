//! Batches: many items in one request, each with the fields of the single call in snake_case, each answered for itself.

use std::borrow::Cow;

use actix_web::web::Json;
use hubbub_core::{Error, ErrorCode};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        RefOr,
        schema::{Object, Schema},
    },
};

use crate::{params::Params, refusal::ErrorBody};

/// The most items of a request.
pub(crate) const MAX_ITEMS: usize = 1000;

/// The items in a list, each read like the form of a single call. Whatever is wrong with one is said with its place.
pub(crate) fn items<F: DeserializeOwned, N>(name: &str, list: Vec<Value>) -> Vec<Result<N, Error>>
where
    N: TryFrom<F>,
    Error: From<N::Error>,
{
    list.into_iter()
        .enumerate()
        .map(|(place, item)| {
            let read = Params::from_item(item)
                .and_then(|params| params.read::<F>())
                .and_then(|form| N::try_from(form).map_err(Error::from));
            read.map_err(|error| Error::with(error.code(), format!("{name}[{place}]: {}", error.message())))
        })
        .collect()
}

/// What became of one item.
#[derive(Serialize, ToSchema)]
pub(crate) struct BatchResult<V> {
    /// The HTTP status that a single call would have had.
    #[schema(example = 201)]
    status: u16,
    /// The new resource.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    resource: Option<V>,
    /// Why there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<ErrorBody>, nullable = false)]
    error: Option<ErrorBody<'static>>,
}

/// What became of the items, in their order.
#[derive(Serialize, ToSchema)]
pub(crate) struct Batch<V> {
    results: Vec<BatchResult<V>>,
}

/// The answer to a batch.
pub(crate) fn answer<T, V>(results: Vec<Result<T, Error>>, view: impl Fn(&T) -> V) -> Json<Batch<V>> {
    let results = results
        .into_iter()
        .map(|result| match result {
            Ok(made) => BatchResult {
                status: 201,
                resource: Some(view(&made)),
                error: None,
            },
            Err(error) => {
                if error.code() == ErrorCode::Internal {
                    tracing::error!(?error, "an item of a batch failed");
                }
                BatchResult {
                    status: error.code().status(),
                    resource: None,
                    error: Some(ErrorBody::of(&error, Cow::Owned(error.message().to_owned()))),
                }
            }
        })
        .collect();
    Json(Batch { results })
}

/// The form of a single call as an item: its fields in snake_case.
pub(crate) struct Item<F>(std::marker::PhantomData<F>);

impl<F: PartialSchema> PartialSchema for Item<F> {
    fn schema() -> RefOr<Schema> {
        match F::schema() {
            RefOr::T(Schema::Object(form)) => RefOr::T(Schema::Object(in_snake_case(form))),
            other => other,
        }
    }
}

impl<F: ToSchema> ToSchema for Item<F> {
    fn name() -> Cow<'static, str> {
        Cow::Owned(format!("{}Item", F::name()))
    }
}

fn in_snake_case(mut form: Object) -> Object {
    form.properties = form
        .properties
        .into_iter()
        .map(|(name, schema)| (snake_case(&name), schema))
        .collect();
    form.required = form.required.iter().map(|name| snake_case(name)).collect();
    form
}

fn snake_case(name: &str) -> String {
    let mut text = String::with_capacity(name.len() + 4);
    for (place, letter) in name.char_indices() {
        if letter.is_ascii_uppercase() && place > 0 {
            text.push('_');
        }
        text.push(letter.to_ascii_lowercase());
    }
    text
}
