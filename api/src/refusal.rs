//! A refusal on the wire: `{ "code", "message", "more_info", "status" }`.

use std::{borrow::Cow, fmt};

use actix_web::{
    HttpResponse, ResponseError,
    http::{
        StatusCode,
        header::{self, HeaderValue},
    },
};
use hubbub_core::{Error, ErrorCode};
use serde::Serialize;
use utoipa::ToSchema;

/// What handlers return.
pub(crate) type Result<T, E = Refusal> = std::result::Result<T, E>;

/// An error of the domain, on its way out.
pub(crate) struct Refusal(Error);

/// The body of every answer that is an error.
#[derive(Serialize, ToSchema)]
#[schema(as = Error)]
pub(crate) struct ErrorBody<'a> {
    /// The stable code that clients match on.
    #[schema(example = 50307)]
    code: u32,
    /// For people.
    #[schema(value_type = String, example = "A channel with this UniqueName already exists")]
    message: Cow<'a, str>,
    /// Where the code is explained.
    #[schema(example = "https://www.twilio.com/docs/errors/50307")]
    more_info: String,
    /// The HTTP status.
    #[schema(example = 409)]
    status: u16,
}

impl<'a> ErrorBody<'a> {
    /// The body for this error, with this text in place of its own.
    pub(crate) fn of(error: &Error, message: Cow<'a, str>) -> Self {
        Self {
            code: error.code().code(),
            message,
            more_info: error.more_info(),
            status: error.code().status(),
        }
    }
}

impl Refusal {
    /// The answer, with this text in place of the error's own.
    pub(crate) fn render(&self, message: &str) -> HttpResponse {
        let mut answer = HttpResponse::build(self.status_code());
        if self.status_code() == StatusCode::UNAUTHORIZED {
            answer.insert_header((
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static("Basic realm=\"Hubbub\""),
            ));
        }
        answer.json(ErrorBody::of(&self.0, Cow::Borrowed(message)))
    }

    /// The error behind it.
    pub(crate) fn error(&self) -> &Error {
        &self.0
    }
}

impl ResponseError for Refusal {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.0.code().status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn error_response(&self) -> HttpResponse {
        self.render(self.0.message())
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl From<ErrorCode> for Refusal {
    fn from(code: ErrorCode) -> Self {
        Self(code.into())
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}
