//! What an operation may answer with when it does not do what was asked. The doors give these answers in one place, so
//! the document says so in one place.

use utoipa::{
    ToSchema,
    openapi::{
        Components, Content, HttpMethod, Ref, RefOr, Response, ResponseBuilder,
        header::HeaderBuilder,
        path::{Operation, ParameterIn},
        schema::{ObjectBuilder, Type},
    },
};

use super::JSON;
use crate::refusal::ErrorBody;

/// An answer that operations share: its status, its name in the document, and what it means.
type Shared = (&'static str, &'static str, &'static str);

const BAD_REQUEST: Shared = (
    "400",
    "BadRequest",
    "A parameter is missing or wrong; the message names it.",
);
const UNAUTHENTICATED: Shared = (
    "401",
    "Unauthenticated",
    "The credentials are missing or wrong, or the access token is not valid.",
);
const FORBIDDEN: Shared = (
    "403",
    "Forbidden",
    "The key or the user's roles do not allow it (the message names the permission), or a limit is reached.",
);
const NOT_FOUND: Shared = (
    "404",
    "NotFound",
    "The caller's account has no such object at this path, or a role or user that a parameter names is not there.",
);
const CONFLICT: Shared = (
    "409",
    "Conflict",
    "It exists already, is in use, or the Idempotency-Key was used for another request.",
);
const TOO_LARGE: Shared = (
    "413",
    "TooLarge",
    "The body is over one mebibyte; an upload: over 256.",
);
const TOO_MANY: Shared = (
    "429",
    "TooManyRequests",
    "The operator's limit of requests a second is reached.",
);
const FAILED: Shared = (
    "5XX",
    "Failed",
    "Something of the server's failed, or is away for now: 503 is to be repeated.",
);

/// The answers themselves, to which the operations refer.
pub(super) fn declare(components: &mut Components) {
    for (status, name, description) in [
        BAD_REQUEST,
        UNAUTHENTICATED,
        FORBIDDEN,
        NOT_FOUND,
        CONFLICT,
        TOO_LARGE,
        TOO_MANY,
        FAILED,
    ] {
        let error = Content::new(Some(Ref::from_schema_name(ErrorBody::name())));
        let mut answer = ResponseBuilder::new()
            .description(description)
            .content(JSON, error);
        if status == TOO_MANY.0 {
            let seconds = HeaderBuilder::new()
                .schema(Some(ObjectBuilder::new().schema_type(Type::Integer)))
                .description(Some("In how many seconds to try again."));
            answer = answer.header("Retry-After", seconds.build());
        }
        components
            .responses
            .insert(name.to_owned(), answer.build().into());
    }
}

/// Adds those that the operation may give.
pub(super) fn add(operation: &mut Operation, path: &str, methods: &[HttpMethod]) {
    let writes = !methods.contains(&HttpMethod::Get);
    let has_query = operation.parameters.iter().flatten().any(
        |parameter| matches!(parameter, RefOr::T(parameter) if parameter.parameter_in == ParameterIn::Query),
    );
    let has_body = operation.request_body.is_some();
    // Only what needs no credentials says so itself.
    let is_open = operation.security.is_some();
    let given = [
        // A saved filter may be one that nothing tells.
        (BAD_REQUEST, has_query || has_body || path.ends_with("/Preview")),
        (UNAUTHENTICATED, !is_open),
        (FORBIDDEN, !is_open),
        (NOT_FOUND, path.contains('{')),
        (CONFLICT, writes),
        (TOO_LARGE, has_body),
        (TOO_MANY, !is_open),
        (FAILED, true),
    ];
    for ((status, name, _), _) in given.into_iter().filter(|(_, may)| *may) {
        let answer: RefOr<Response> = RefOr::Ref(Ref::from_response_name(name));
        operation
            .responses
            .responses
            .entry(status.to_owned())
            .or_insert(answer);
    }
}
