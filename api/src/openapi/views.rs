//! What is always there in an answer. A field of ours is null or left out, but never either: whatever may be null is
//! there, and what may be left out says `#[schema(nullable = false)]`.

use std::collections::BTreeSet;

use serde::Serialize;
use utoipa::openapi::{
    Components, RefOr,
    path::Operation,
    schema::{Schema, SchemaType, Type},
};

const REFERENCE: &str = "\"$ref\":\"#/components/schemas/";

/// The schemas that an operation's parameters are made of.
pub(super) fn of_request(operation: &Operation) -> Vec<String> {
    operation
        .request_body
        .as_ref()
        .map(references)
        .unwrap_or_default()
}

/// Whether none of these schemas has a field that must be given.
pub(super) fn need_nothing(components: &Components, requests: &[String]) -> bool {
    requests.iter().all(|name| {
        matches!(components.schemas.get(name), Some(RefOr::T(Schema::Object(object))) if object.required.is_empty())
    })
}

/// Marks the nullable fields of all other schemas as required. `requests` are those of the operations' bodies.
pub(super) fn require_nullable_fields(components: &mut Components, requests: BTreeSet<String>) {
    let mut inputs = BTreeSet::new();
    let mut left: Vec<String> = requests.into_iter().collect();
    while let Some(name) = left.pop() {
        if !inputs.contains(&name) {
            left.extend(components.schemas.get(&name).map(references).unwrap_or_default());
            inputs.insert(name);
        }
    }
    for (name, schema) in &mut components.schemas {
        let RefOr::T(Schema::Object(object)) = schema else {
            continue;
        };
        if inputs.contains(name) {
            continue;
        }
        let always: Vec<String> = object
            .properties
            .iter()
            .filter(|(field, schema)| may_be_null(schema) || object.required.contains(field))
            .map(|(field, _)| field.clone())
            .collect();
        object.required = always;
    }
}

fn references(part: &impl Serialize) -> Vec<String> {
    let text = serde_json::to_string(part).unwrap_or_default();
    text.split(REFERENCE)
        .skip(1)
        .filter_map(|rest| rest.split('"').next().map(str::to_owned))
        .collect()
}

fn may_be_null(schema: &RefOr<Schema>) -> bool {
    match schema {
        RefOr::T(Schema::Object(object)) => allows_null(&object.schema_type),
        RefOr::T(Schema::Array(array)) => allows_null(&array.schema_type),
        RefOr::T(Schema::OneOf(choice)) => choice.items.iter().any(may_be_null),
        RefOr::T(Schema::AnyOf(choice)) => choice.items.iter().any(may_be_null),
        _ => false,
    }
}

fn allows_null(kind: &SchemaType) -> bool {
    match kind {
        SchemaType::Type(kind) => *kind == Type::Null,
        SchemaType::Array(kinds) => kinds.contains(&Type::Null),
        SchemaType::AnyValue => false,
    }
}
